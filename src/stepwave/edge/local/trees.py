"""Process trees: finding, freezing and killing everything below this process, whatever session it moved to."""

from __future__ import annotations

import contextlib
import os
import signal

TYPE_CHECKING = False  # importing typing would be a third of the start-up
if TYPE_CHECKING:
    from collections.abc import Set


def parents() -> dict[int, int]:
    """Every living process of this machine that can be seen, and its parent."""
    table: dict[int, int] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return parents_by_psutil()
    for name in names:
        if name.isdigit():
            # A process may be gone by now.
            with (
                contextlib.suppress(OSError, ValueError, IndexError),
                open(f"/proc/{name}/stat", "rb") as file,
            ):
                fields = file.read().rpartition(b")")[2].split()
                if fields[0] != b"Z":
                    table[int(name)] = int(fields[1])
    return table


def parents_by_psutil() -> dict[int, int]:
    """The same where there is no /proc (macOS). Empty where psutil cannot be found either."""
    try:
        import psutil
    except ImportError:
        return {}
    table = {}
    for process in psutil.process_iter(["pid", "ppid", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE:
            table[process.info["pid"]] = process.info["ppid"]
    return table


def descendants(root: int, spare: Set[int] = frozenset()) -> set[int]:
    """All living processes below `root`, but for those of `spare` and what is below them."""
    below: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        below.setdefault(parent, []).append(pid)
    found: set[int] = set()
    todo = [root]
    while todo:
        for pid in below.get(todo.pop(), ()):
            if pid not in found and pid not in spare:
                found.add(pid)
                todo.append(pid)
    return found


def signal_each(pids: set[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def freeze(spare: Set[int] = frozenset()) -> set[int]:
    """Stop everything below this process, until a walk finds nothing new: what is stopped cannot fork. Nothing below
    those of `spare` is touched, and they may fork meanwhile."""
    frozen: set[int] = set()
    for _ in range(1000):
        new = descendants(os.getpid(), spare) - frozen
        if not new:
            break
        signal_each(new, signal.SIGSTOP)
        frozen |= new
    return frozen


def kill_below(leader: int | None = None, spare: Set[int] = frozenset()) -> None:
    if leader is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)  # all that can be done where there is no /proc
    signal_each(freeze(spare), signal.SIGKILL)


def describe(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(201).replace(b"\0", b" ").decode("utf-8", "replace").strip()
            command = words if len(words) <= 200 else f"{words[:200]}…"  # so that one sees that it is cut
    except OSError:
        command = ""
    return f"pid {pid}: {command}" if command else f"pid {pid}"
