"""What several of these tests need: scripts on disk, and a look at which processes are alive."""

import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def script(folder: Path, name: str, text: str) -> Path:
    """A Python script with this text."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), "utf-8")
    return path


WITH_GRANDCHILD = """
    import subprocess, sys
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    print(child.pid, flush=True)
    child.wait()
"""


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until_gone(pid: int, at_most_s: float = 10.0) -> bool:
    """Whether it ends by itself within that time: what the kernel delivers takes a moment."""
    give_up = time.monotonic() + at_most_s
    while is_alive(pid) and time.monotonic() < give_up:
        select.select([], [], [], 0.01)
    return not is_alive(pid)


class Program:
    """A Python program that uses the toolkit, as a process of its own."""

    def __init__(self, text: str, cwd: Path) -> None:
        path = script(cwd, "program.py", text)
        self.process = subprocess.Popen(
            [sys.executable, str(path)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(cwd)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line that it prints; waits for it."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Its exit code and what it has printed to stderr."""
        _, stderr = self.process.communicate(timeout=30)
        return self.process.returncode, stderr
