"""After every test that touches processes: no child left, no thread left."""

import gc
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No example fails for the time it takes: on a busy machine that says nothing of the program.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# In CI the same examples every time: a push is not the moment to meet a new one. Elsewhere they differ from run to run.
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# A shell starts what it leaves in the background with SIGINT ignored, which every process below would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent

ON_ITS_WAY_OUT_S = 5.0
"""A thread cannot be killed: one that was given up ends with what it does, on a busy machine after the test."""


def children(pid: int) -> set[int]:
    """The direct children of a process that are not already dead."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found |= {int(child) for child in (task / "children").read_text().split()}
        except OSError:
            continue
    return found


def pytest_collection_finish() -> None:
    """What was collected stays to the end: to look for garbage in it again and again takes a twelfth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    threads = set(threading.enumerate())
    before = children(os.getpid()) if Path("/proc/self/task").is_dir() else set()
    yield
    if Path("/proc/self/task").is_dir():
        assert children(os.getpid()) <= before, "a child process was left behind"
    for thread in set(threading.enumerate()) - threads:
        thread.join(ON_ITS_WAY_OUT_S)
        assert not thread.is_alive(), f"a thread was left behind: {thread.name}"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests mean the same in a terminal, in CI and below make."""
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "STEPWAVE_STATE_DIR", "MAKEFLAGS", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
