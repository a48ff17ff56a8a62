"""How busy the machine is, for runs that adapt to it: a launcher in front of another one, which answers `Measure`."""

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
            self._inbox.put(measure())
        else:
            self._launcher.obey(order)

    def close(self) -> None:
        self._launcher.close()


def measure() -> Measured:
    """The load average of the last minute (0 where there is none), and the bytes that new processes may still take."""
    import psutil

    load = 0.0
    with suppress(AttributeError, OSError):
        load = psutil.getloadavg()[0]
    available = psutil.virtual_memory().available
    with suppress(OSError, ValueError):
        groups = Path("/proc/self/cgroup").read_text("utf-8")
        available = min(available, group_room(groups, Path("/sys/fs/cgroup")))
    return Measured(load, max(0, int(available)))


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
