"""Kill the runner again and again, resume each time, and see that nothing was lost, nothing began too early and nothing
was left running: `python benchmarks/soak.py [--kills 200] [--steps 300] [--seed N]`.

Each step writes `start ID` and, after some work, `end ID` into a journal of its own making (one write, O_APPEND). From
the journal alone it is judged what happened; the ledger is asked only in the end whether it agrees. When a graph is
done before the last kill, another one begins.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.process_matrix import living  # noqa: E402

WIDTH = 4
STEP = """\
import os, sys, time
id, flaky, seconds, mark = sys.argv[1], sys.argv[2] == "flaky", float(sys.argv[3]), sys.argv[4]
def tell(word):
    fd = os.open("journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{word} {id}\\n".encode())
    os.close(fd)
tell("start")
time.sleep(seconds)
if flaky and not os.path.exists(f"tried-{id}"):
    open(f"tried-{id}", "w").close()
    tell("fail")
    sys.exit(1)
tell("end")
"""


class Graph(NamedTuple):
    """`needs` maps every step to those before it; `mark` is in the command line of all of its processes."""

    folder: Path
    needs: Mapping[str, tuple[str, ...]]
    mark: str


class Soaked(NamedTuple):
    """`faults` is empty when every promise was kept."""

    kills: int
    graphs: int
    starts: int
    repeated: int
    faults: tuple[str, ...]


def make_graph(folder: Path, steps: int, chance: random.Random) -> Graph:
    """A random graph of short steps; every seventh fails once and is tried again."""
    mark = f"311.{chance.randrange(10**6):06d}"
    needs: dict[str, tuple[str, ...]] = {}
    flow = []
    for n in range(steps):
        before = [f"s{m}" for m in range(max(0, n - 12), n)]
        needs[f"s{n}"] = tuple(sorted(chance.sample(before, min(len(before), chance.randint(0, 3)))))
        words = ["step.py", f"s{n}", "flaky" if n % 7 == 3 else "sound", f"{chance.random() * 0.03:.3f}", mark]
        step = {"id": f"s{n}", "command": sys.executable, "args": ["-I", "-S", *words], "retries": 1}
        flow.append({**step, "dependsOn": list(needs[f"s{n}"])})
    folder.mkdir()
    (folder / "step.py").write_text(STEP)
    (folder / "flow.json").write_text(json.dumps({"name": "soak", "steps": flow}))
    return Graph(folder, needs, mark)


def soak(kills: int, steps: int, seed: int, tell: bool = False) -> Soaked:
    """Until the runner has been killed so often; whole graphs are finished without being killed in the end."""
    chance = random.Random(seed)
    killed = graphs = starts = repeated = 0
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="stepwave-soak-") as name:
        while killed < kills:
            graph = make_graph(Path(name) / f"graph-{graphs}", steps, chance)
            here = 0
            while killed < kills and _life(graph, here, chance.uniform(0.12, 0.5)):
                killed += 1
                here += 1
                faults += _left(graph)
                if tell:
                    print(f"\r{killed} kills, {graphs + 1} graphs", end="", file=sys.stderr)
            if _life(graph, here, None):
                faults.append("a run that nobody killed was killed")
            began, again, wrong = _judge(graph, here)
            starts, repeated, graphs = starts + began, repeated + again, graphs + 1
            faults += wrong
            shutil.rmtree(graph.folder)
    return Soaked(killed, graphs, starts, repeated, tuple(faults))


def _life(graph: Graph, number: int, seconds: float | None) -> bool:
    """One life of the runner: True when it was killed before its end. The first one begins, the others resume."""
    words = [sys.executable, "-m", "stepwave", "run", "--quiet", f"-j{WIDTH}", "flow.json"]
    with (graph.folder / "talk").open("ab") as talk:
        runner = subprocess.Popen(
            [*words, "--resume", "latest"] if number else words,
            cwd=graph.folder,
            env={**os.environ, "STEPWAVE_STATE_DIR": str(graph.folder / "state")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=talk,
        )
    with suppress(subprocess.TimeoutExpired):
        runner.wait(seconds)
        if number and runner.returncode == 2:
            # There is nothing to take up: it was killed after its last word, or before its first.
            return bool(_ledger(graph)) and _life(graph, 0, seconds)
        return runner.returncode == -signal.SIGKILL
    runner.kill()
    runner.wait()
    return True


def _left(graph: Graph) -> list[str]:
    """Whether anything of the graph still runs, a moment after the kill."""
    give_up = time.monotonic() + 5
    while (alive := living(graph.mark)) and time.monotonic() < give_up:
        time.sleep(0.005)
    return [f"{len(alive)} processes survived a kill"] if alive else []


def _judge(graph: Graph, kills: int) -> tuple[int, int, list[str]]:
    """How many starts there were, how many of them after a success, and what was not as promised."""
    faults: list[str] = []
    ended: Counter[str] = Counter()
    starts = again = 0
    for line in (graph.folder / "journal").read_text().splitlines():
        word, id = line.split()
        if word == "end":
            ended[id] += 1
        elif word == "start":
            starts += 1
            again += bool(ended[id])
            faults += [f"{id} began before {need} had ended" for need in graph.needs[id] if not ended[need]]
    faults += [f"{id} never ended" for id in graph.needs if not ended[id]]
    if again > kills * WIDTH:
        faults.append(f"{again} steps were repeated after {kills} kills at {WIDTH} at a time")
    talk = (graph.folder / "talk").read_text("utf-8", "replace")
    if "Traceback" in talk:
        faults.append(f"a traceback: {talk[-2000:]}")
    return starts, again, faults + _ledger(graph)


def _ledger(graph: Graph) -> list[str]:
    """Does the record agree? Every step of the last run is a success there."""
    words = [sys.executable, "-m", "stepwave", "status", "latest", "--json"]
    env = {**os.environ, "STEPWAVE_STATE_DIR": str(graph.folder / "state")}
    told = subprocess.run(words, cwd=graph.folder, env=env, capture_output=True, text=True, check=False)
    try:
        status = json.loads(told.stdout)
    except ValueError:
        return [f"the ledger cannot be asked: {told.stderr[-500:]}"]
    steps = status["stepResults"]
    wrong = [id for id in graph.needs if steps.get(id, {}).get("state") != "completed"]
    return [f"{len(wrong)} steps are no successes in the ledger, such as {wrong[0]}"] if wrong else []


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/soak.py", description="Kill and resume, again and again.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    print(f"seed {asked.seed}", file=sys.stderr)
    soaked = soak(asked.kills, asked.steps, asked.seed, tell=True)
    print(
        f"\n{soaked.kills} kills over {soaked.graphs} graphs of {asked.steps} steps: {soaked.starts} starts,"
        f" {soaked.repeated} of them again after a success that was not recorded in time"
    )
    for fault in soaked.faults[:50]:
        print(f"FAULT {fault}")
    sys.exit(bool(soaked.faults))


if __name__ == "__main__":
    main()
