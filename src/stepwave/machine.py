"""What this machine leaves to this process: CPUs and memory, within its control groups, both versions of them.

A limit of any group above the own one counts too. In a container the path of the own group may be that of the host, and
is not there; then the groups above it that are there are looked at, the last of them the mount itself.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")
MEMORY_INFO = Path("/proc/meminfo")


def cpu_count() -> int:
    """The CPUs that this process may use: its affinity, and the quota of its control group, rounded up. At least 1."""
    quota = cpu_quota()
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cpus if quota is None else min(cpus, math.ceil(quota)))


def available_bytes(info: Path = MEMORY_INFO) -> int | None:
    """The memory that new processes can have without swapping: of the machine, or of the control group, if that is
    less. None when neither can be read.
    """
    found = [amount for amount in (_free_bytes(info), memory_left()) if amount is not None]
    return min(found, default=None)


def _free_bytes(info: Path) -> int | None:
    """What psutil would say, without importing it, which takes some 30 ms, where a file says the same."""
    try:
        rows = (line.split() for line in info.read_text("ascii").splitlines())
        kilobytes = {row[0]: int(row[1]) for row in rows if len(row) > 1}
        return min(kilobytes["MemAvailable:"], kilobytes["MemTotal:"]) * 1024  # in a container it may be the host's
    except (OSError, ValueError, KeyError):
        pass
    try:
        import psutil

        return int(psutil.virtual_memory().available)
    except (ImportError, OSError):
        return None


def cpu_quota(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> float | None:
    """CPUs' worth of time per time, as `1.5`; None: no limit."""
    found = []
    for folder in _groups("cpu", membership, mount):
        quota, period = [*_numbers(folder / "cpu.max"), None, None][:2]
        if quota is None:
            quota = next(_numbers(folder / "cpu.cfs_quota_us"), None)
            period = next(_numbers(folder / "cpu.cfs_period_us"), None)
        if quota is not None and period and quota > 0:
            found.append(quota / period)
    return min(found, default=None)


def memory_left(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> int | None:
    """Bytes until the tightest limit, what the kernel can drop of its file cache included; None: no limit."""
    found = []
    for folder in _groups("memory", membership, mount):
        for limit_file, usage_file, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit = next(_numbers(folder / limit_file), None)
            usage = next(_numbers(folder / usage_file), None)
            if limit is not None and usage is not None:
                found.append(max(0, limit - usage + _of_table(folder / "memory.stat", cache)))
    return min(found, default=None)


def _groups(controller: str, membership: Path, mount: Path) -> Iterator[Path]:
    """The folders of the own group and of those above it, of the hierarchies that know the controller."""
    try:
        lines = membership.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            roots = [mount, mount / "unified"]
        elif controller in controllers.split(","):
            roots = [mount / controllers, mount / controller]
        else:
            continue
        for root in roots:
            own = root / path.strip("/")
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root) and folder.is_dir())


def _numbers(file: Path) -> Iterator[int]:
    """Those that stand in it, up to the first word that is none (`max`)."""
    try:
        words = file.read_text("ascii").split()
    except (OSError, UnicodeDecodeError):
        return
    for word in words:
        if not word.lstrip("-").isdigit():
            return
        yield int(word)


def _of_table(file: Path, name: str) -> int:
    try:
        rows = [line.split() for line in file.read_text("ascii").splitlines()]
    except (OSError, UnicodeDecodeError):
        return 0
    return next((int(row[1]) for row in rows if len(row) == 2 and row[0] == name and row[1].isdigit()), 0)
