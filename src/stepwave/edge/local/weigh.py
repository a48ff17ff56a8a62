"""How much memory the processes of each running step use at this moment: Linux only, as /proc tells it.

What counts is what no other process shares and no file backs (proc_pid_statm(5): resident less shared), because that is
what is missing from the memory that is available.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOST_PROCESSES = 10_000
"""Of a step that has more, what these use."""

_proc = Path("/proc")


def weigh_children(pid: int) -> list[int] | None:
    """Bytes used below each child of the process, the oldest child first; None where that is not known."""
    try:
        children = (_proc / f"{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:  # another system, or a kernel without CONFIG_PROC_CHILDREN
        return None
    page = os.sysconf("SC_PAGE_SIZE")
    return [sum(map(_own_pages, _below(child))) * page for child in children]


def _below(pid: str) -> Iterator[str]:
    todo, seen = _children(pid), 0
    while todo and seen < MOST_PROCESSES:
        one = todo.pop()
        seen += 1
        yield one
        todo += _children(one)


def _children(pid: str) -> list[str]:
    """Of all its threads: each knows only those that it has started itself."""
    found: list[str] = []
    with suppress(OSError):  # it has just ended
        for thread in (_proc / pid / "task").iterdir():
            found += (thread / "children").read_text("ascii").split()
    return found


def _own_pages(pid: str) -> int:
    with suppress(OSError, IndexError):
        fields = (_proc / pid / "statm").read_text("ascii").split()
        return max(0, int(fields[1]) - int(fields[2]))
    return 0
