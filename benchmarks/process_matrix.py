"""What is left of a step, in every shape that a tree of processes takes, after every way to die.

`python benchmarks/process_matrix.py [--rounds N] [--write docs/process-care.md]`. Each cell is one run of stepwave: a
step makes its tree, something happens, and /proc is looked at until nothing of the tree is left. The leaves are
`sleep 311.NNNNNN` with a number of their own, so that they are found whatever session, parent or environment they have.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

sys.path[0] = str(Path(__file__).resolve().parent.parent)

import psutil  # noqa: E402

from benchmarks.table import Table, as_markdown, as_text, between_marks  # noqa: E402

PATIENCE_S = 15.0

SHAPES = {
    "the process itself": "touch ready; exec sleep {mark}",
    "one that ignores TERM": "trap '' TERM; touch ready; sleep {mark}; sleep {mark}",
    "a grandchild": "sh -c 'sleep {mark} & touch ready; wait' & wait",
    "a session of its own": "setsid sh -c 'touch ready; sleep {mark}; :' & wait",
    "a daemon, forked twice": "(setsid sh -c 'sleep {mark} & touch ready' </dev/null >/dev/null 2>&1 &); sleep {mark}",
    "a daemon without environment": "(env -i setsid sh -c 'sleep {mark} & >ready' >/dev/null 2>&1 &); sleep {mark}",
    "a tree that keeps forking": "touch ready; while :; do sh -c 'sleep {mark} & sleep {mark}' & sleep 0.02; done",
}
"""Shell text of a step; every process that it makes has the mark in its command line or is the shell itself."""

LEFT_BEHIND = "({script}) & while ! [ -e ready ]; do sleep 0.01; done; sleep 0.1"
"""A step whose own process ends and leaves all of that behind."""

WORKFLOW = """
name: Matrix
steps:
  - id: tree
    timeout: {timeout}
    kill: {{grace: 300ms}}
    run: |
      {script}
"""


class Scene(NamedTuple):
    """A run whose step has made its tree. `mark` is in the command line of every process of it."""

    runner: subprocess.Popen[bytes]
    mark: str
    folder: Path


def _tell_runner(number: int) -> Callable[[Scene], None]:
    return lambda scene: scene.runner.send_signal(number)


def _kill_group(scene: Scene) -> None:
    os.killpg(scene.runner.pid, signal.SIGKILL)


def _kill_zygote(scene: Scene) -> None:
    _zygote(scene).kill()


def _kill_supervisor(scene: Scene) -> None:
    for supervisor in _zygote(scene).children():
        if any(_is_marked(child, scene.mark) for child in supervisor.children(recursive=True)):
            supervisor.kill()


def _zygote(scene: Scene) -> psutil.Process:
    (zygote,) = psutil.Process(scene.runner.pid).children()
    return zygote


def _is_marked(process: psutil.Process, mark: str) -> bool:
    with suppress(psutil.Error):
        return any(mark in word for word in process.cmdline())
    return False


def _wait(scene: Scene) -> None:
    """Nothing is done to it: its own time is up."""


EXIT = "exit of the step"
WAYS: dict[str, Callable[[Scene], None]] = {
    EXIT: _wait,
    "time-out": _wait,
    "INT": _tell_runner(signal.SIGINT),
    "TERM": _tell_runner(signal.SIGTERM),
    "HUP": _tell_runner(signal.SIGHUP),
    "KILL runner": _tell_runner(signal.SIGKILL),
    "KILL its group": _kill_group,
    "KILL supervisor": _kill_supervisor,
    "KILL zygote": _kill_zygote,
}
TIMEOUT_S = 1.5


def living(mark: str) -> list[int]:
    """Processes with the mark in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if mark.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


@contextmanager
def scene(shape: str, timeout_s: float, form: str = "{script}") -> Iterator[Scene]:
    """A run that has come to the point where its step has made its tree; nothing of it is left afterwards."""
    mark = f"311.{random.randrange(10**6):06d}"
    with tempfile.TemporaryDirectory(prefix="stepwave-matrix-") as name:
        folder = Path(name)
        script = form.format(script=SHAPES[shape].format(mark=mark))
        (folder / "flow.yaml").write_text(WORKFLOW.format(script=script, timeout=f"{timeout_s}s"))
        runner = subprocess.Popen(
            [sys.executable, "-m", "stepwave", "run", "--quiet", "flow.yaml"],
            cwd=folder,
            env={**os.environ, "STEPWAVE_STATE_DIR": str(folder / "state")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            give_up = time.monotonic() + PATIENCE_S
            while not ((folder / "ready").exists() and living(mark)):
                if time.monotonic() > give_up or runner.poll() is not None:
                    raise RuntimeError(f"{shape}: the step never made its tree")
                time.sleep(0.005)
            yield Scene(runner, mark, folder)
        finally:
            with suppress(ProcessLookupError):
                runner.kill()
            runner.wait()
            for pid in living(mark):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def left_after(shape: str, way: str) -> tuple[int, float]:
    """How many processes are left when the runner has ended, and the seconds until there was none."""
    timeout_s = TIMEOUT_S if way == "time-out" else 300.0
    with scene(shape, timeout_s, LEFT_BEHIND if way == EXIT else "{script}") as set_up:
        began = time.monotonic()
        WAYS[way](set_up)
        give_up = began + PATIENCE_S
        while living(set_up.mark) and time.monotonic() < give_up:
            time.sleep(0.002)
        ended = time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            set_up.runner.wait(PATIENCE_S)
        time.sleep(0.05)  # what was forking in that moment has had its chance
        return len(living(set_up.mark)), ended - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/process_matrix.py", description="Tree shapes and ways to die.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each cell (default: 3)")
    parser.add_argument("--write", metavar="PAGE", type=Path, help="put the table between the two marks of PAGE")
    asked = parser.parse_args()
    rows = []
    for shape in SHAPES:
        cells = [_cell(shape, way, asked.rounds) for way in WAYS]
        rows.append((shape, *cells))
        print(f"{shape}: {', '.join(cells)}", file=sys.stderr)
    table = Table("Milliseconds until nothing of the step is left", ("", *WAYS, ""), tuple((*row, "") for row in rows))
    print(as_text(table))
    if asked.write:
        page = asked.write.read_text("utf-8")
        asked.write.write_text(between_marks(page, as_markdown(table)), "utf-8")


def _cell(shape: str, way: str, rounds: int) -> str:
    found = [left_after(shape, way) for _ in range(rounds)]
    worst = max(left for left, _ in found)
    if worst:
        return f"{worst} SURVIVE"
    return f"{statistics.median(seconds for _, seconds in found) * 1000:.0f}"


if __name__ == "__main__":
    main()
