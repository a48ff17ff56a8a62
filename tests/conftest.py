"""After every test that touches processes: no child left, no thread left."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# In CI the same examples every time: a push is not the moment to meet a new one. Elsewhere they differ from run to run.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

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
