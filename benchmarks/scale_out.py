"""What an engine costs: no-op steps on two Dask workers, beside plain `client.map(subprocess.run)` on the same cluster.

    python benchmarks/scale_out.py [--steps 1000] [--rounds 5]      or      benchmarks/run.py --only scale-out

The scheduler and both workers are processes of their own. stepwave is called as anybody would call it, with
`--executor` and nothing else; its record, logs and plain lines are on. The two ways take turns on the same workers:
what is compared is the ratio within a round. The map is timed from the call to the last result, in a client that is
there already; so stepwave is timed twice: from the first step to the last, and the command as a whole, with the start
of Python, of a client of Dask and the look at its workers.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.measure import ratio  # noqa: E402
from benchmarks.table import Table, as_text, at_most, seconds, verdicts  # noqa: E402

if TYPE_CHECKING:
    from benchmarks.comparisons import Setting

TARGET = 1.3
STEPS, ROUNDS = 1000, 5
WORKERS, THREADS = 2, 4
MAP, RUN, WHOLE = "client.map(subprocess.run)", "stepwave run --executor dask://…", "the same, with the start of Python"


class Round(NamedTuple):
    """Seconds: of the map; of the run, as its result document has it; of the command."""

    map_s: float
    run_s: float
    whole_s: float


def scale_out(setting: "Setting") -> list[Table]:
    """1,000 no-op steps on a Dask cluster of this machine."""
    if find_spec("distributed") is None:
        setting.told("scale-out: left out, distributed is not installed")
        return []
    folder = setting.folder / "scale-out"
    folder.mkdir(parents=True)
    return tables(measure(folder, STEPS, setting.rounds or ROUNDS), STEPS)


def tables(rounds: Sequence[Round], steps: int) -> list[Table]:
    """Raises ValueError without rounds."""
    maps, runs, wholes = ([one[n] for one in rounds] for n in range(3))
    rows = tuple(
        (name, seconds(statistics.median(took)), seconds(min(took)), seconds(max(took)), remark)
        for name, took, remark in (
            (MAP, maps, "in a client that is there"),
            (RUN, runs, "its own time, from first to last"),
            (WHOLE, wholes, "and of a client, its goodbye too"),
        )
    )
    found = [
        at_most("the run / the map", ratio(runs, maps), TARGET),
        at_most("the whole command / the map", ratio(wholes, maps), TARGET),
    ]
    title = f"{steps:,} no-op steps on {WORKERS} Dask workers of {THREADS} threads"
    return [
        Table(title, ("", "median", "least", "greatest", "remark"), rows),
        verdicts("Dask: targets", found),
    ]


def measure(folder: Path, steps: int, rounds: int) -> list[Round]:
    """After one round that is not counted."""
    from distributed import Client

    file = folder / "graph.json"
    graph = {"name": "no-ops", "steps": [{"id": f"s{n}", "command": ["/bin/true"]} for n in range(steps)]}
    file.write_text(json.dumps(graph))
    with cluster(folder) as address, Client(address, set_as_default=False) as client:
        client.wait_for_workers(WORKERS, timeout=30)
        taken = [Round(plain(client, steps), *ours(file, address)) for _ in range(rounds + 1)]
    return taken[1:]


def plain(client: Any, steps: int) -> float:
    """Seconds of the map."""
    took, done = _timed(lambda: client.gather(client.map(subprocess.run, [["/bin/true"]] * steps, pure=False)))
    if any(one.returncode for one in done):
        raise RuntimeError("the map did not do what it was asked")
    return took


def ours(file: Path, address: str) -> tuple[float, float]:
    """Seconds of the run and of the whole command."""
    result = file.parent / "result.json"
    command = [sys.executable, "-m", "stepwave", "run", str(file), "--executor", f"dask:{address.removeprefix('tcp:')}"]
    environ = {**os.environ, "STEPWAVE_STATE_DIR": str(file.parent / "state")}
    with (file.parent / "output").open("wb") as output:
        whole_s, _ = _timed(
            lambda: subprocess.run(
                [*command, "--output", str(result)], check=True, stdout=output, stderr=output, env=environ
            )
        )
    return float(json.loads(result.read_text())["executionTime"]) / 1000, whole_s


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """The address of a scheduler with two workers, which are gone afterwards."""
    with ExitStack() as closing:
        file = folder / "scheduler.json"
        common = ["--no-dashboard", "--scheduler-file", str(file)]
        _started(closing, "scheduler", "--port", "0", "--host", "127.0.0.1", *common)
        give_up = time.monotonic() + 30
        while not _is_written(file) and time.monotonic() < give_up:
            time.sleep(0.05)
        words = ("--nthreads", str(THREADS), "--memory-limit", "0")
        for _ in range(WORKERS):
            _started(closing, "worker", *words, *common)
        yield json.loads(file.read_text())["address"]


def _is_written(file: Path) -> bool:
    """To its end: it is there before anything is in it."""
    return file.exists() and file.read_text().endswith("}")


def _started(closing: ExitStack, *words: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    closing.callback(process.wait)
    closing.callback(process.terminate)
    return process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="stepwave-bench-") as name:
        found = tables(measure(Path(name), asked.steps, asked.rounds), asked.steps)
    print("\n".join(map(as_text, found)))


if __name__ == "__main__":
    main()
