"""How busy the machine is, and how much memory it has left: a launcher before another one, which answers `Measure`.

On Linux the two files are read that psutil would read: importing it takes longer than most answers are good for.
"""

import os
from contextlib import suppress
from pathlib import Path

from stepwave.core.events import Measure, Measured, Order
from stepwave.engine import Inbox, Launcher

_UNLIMITED = 1 << 60  # cgroup v1 writes about as much where there is no limit


class Sensing:
    """Answers `Measure` through the inbox at once; every other order is passed on to `launcher`."""

    def __init__(self, launcher: Launcher, inbox: Inbox) -> None:
        self._launcher = launcher
        self._inbox = inbox

    def obey(self, order: Order) -> None:
        if isinstance(order, Measure):
            measured = measure()
            if measured.available_bytes < order.ample_bytes:
                weigh = getattr(self._launcher, "weigh", None)
                measured = measured._replace(used_bytes=weigh() if weigh else None)
            self._inbox.put(measured)
        else:
            self._launcher.obey(order)

    def close(self) -> None:
        self._launcher.close()


def measure() -> Measured:
    """The load average of the last minute (0 where there is none), and the bytes that new processes may still take."""
    available = _available()
    with suppress(OSError, ValueError):
        groups = Path("/proc/self/cgroup").read_text("utf-8")
        available = min(available, group_room(groups, Path("/sys/fs/cgroup")))
    return Measured(_load(), max(0, int(available)))


def _load() -> float:
    with suppress(AttributeError, OSError):
        return os.getloadavg()[0]
    return 0.0


def _available() -> int:
    with suppress(OSError, ValueError, KeyError):
        rows = (line.split() for line in Path("/proc/meminfo").read_text("ascii").splitlines())
        kilobytes = {row[0]: int(row[1]) for row in rows if len(row) > 1}
        return min(kilobytes["MemAvailable:"], kilobytes["MemTotal:"]) * 1024  # in a container it may be the host's
    import psutil

    available: int = psutil.virtual_memory().available
    return available


def group_room(groups: str, mount: Path) -> int:
    """What the memory limits of the cgroups leave, in bytes; a very large number where nothing limits it.

    `groups` is the text of /proc/self/cgroup (cgroups(7)), `mount` where cgroups are mounted. A limit of any group
    above counts as well. Files that the kernel holds in memory and can drop are room.
    """
    room = _UNLIMITED
    for line in groups.splitlines():
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            room = min(room, _room(mount, path, ("memory.max", "memory.current", "inactive_file")))
        elif "memory" in kinds.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            room = min(room, _room(mount / "memory", path, names))
    return room


def _room(top: Path, path: str, names: tuple[str, str, str]) -> int:
    """The least room in the group at `path` and all above it. In a container the path may be that of the host, and only
    the top be there."""
    limit, used, droppable = names
    room = _UNLIMITED
    own = top / path.lstrip("/")
    for folder in (own, *own.parents):
        with suppress(OSError, ValueError):  # not limited ("max"), or not there
            left = int((folder / limit).read_text("utf-8")) - int((folder / used).read_text("utf-8"))
            room = min(room, left + _statistic(folder / "memory.stat", droppable))
        if folder == top:
            break
    return room


def _statistic(path: Path, name: str) -> int:
    for line in path.read_text("utf-8").splitlines():
        if line.startswith(f"{name} "):
            return int(line.split()[1])
    return 0
