"""A process of a pool that starts when the runner has been killed already."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

STARTS_LATE = """
import sys
from stepwave.edge.executors.lifeline import Held, Line
path, pid, host = sys.argv[1:]
held = Held(None, Line(path, int(pid), host))
print("alone" if held.connection is None else "connected")
"""


@pytest.mark.parametrize(
    ("runner", "is_here", "expected"),
    [
        ("dead", True, (1, "", False)),
        ("not waited for", True, (1, "", False)),
        ("dead", False, (0, "alone\n", True)),
        ("alive", True, (0, "alone\n", True)),
    ],
)
def test_it_carries_nothing_out_for_a_runner_that_is_dead(
    runner: str, is_here: bool, expected: tuple[int, str, bool], tmp_path: Path
) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    if runner == "dead":
        process.wait()
    else:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    folder = tmp_path / "e"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:  # whose name stays when nobody listens any more
        listener.bind(os.path.relpath(folder / "runner"))
    words = [os.path.relpath(folder / "runner"), str(os.getpid() if runner == "alive" else process.pid)]
    host = socket.gethostname() if is_here else "elsewhere"
    argv = [sys.executable, "-c", STARTS_LATE, *words, host]
    ended = subprocess.run(argv, check=False, capture_output=True, text=True)
    process.wait()
    assert (ended.returncode, ended.stdout, folder.exists()) == expected
