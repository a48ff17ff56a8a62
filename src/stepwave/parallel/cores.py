"""How many workers make sense on this machine, for this process."""

from stepwave.machine import available_bytes, cpu_count
from stepwave.parallel.checks import above_zero, at_least_one

__all__ = ["cpu_count", "fitting_workers", "resource_aware_workers"]

MOST_FOR_IO = 32
SMALL_WORKER_MB = 256
SHARE_OF_MEMORY = 0.7
"""The constants of the formula below, which is that of metainformant's core.execution."""


def resource_aware_workers(
    *, task_type: str = "io", max_cap: int | None = None, memory_per_worker_mb: float = SMALL_WORKER_MB
) -> int:
    """Choose how many workers to use. This is what `max_workers="auto"` means.

    For `task_type="cpu"` one less than there are CPUs; for anything else four per CPU, at most 32. Not more than
    fit into 70 % of the memory that is available, at `memory_per_worker_mb` (MiB) each; but for work that is not
    "cpu" and takes at most 256 MiB, not fewer than there are CPUs. At most `max_cap`, at least 1.

    Raises ValueError when `max_cap` is less than 1 or `memory_per_worker_mb` is not greater than 0.
    """
    if max_cap is not None:
        at_least_one("max_cap", max_cap)
    above_zero("memory_per_worker_mb", memory_per_worker_mb)
    available = available_bytes()
    available_mb = None if available is None else available / 2**20
    workers = fitting_workers(cpu_count(), available_mb, task_type == "cpu", memory_per_worker_mb)
    return workers if max_cap is None else min(workers, max_cap)


def fitting_workers(cpus: int, memory_mb: float | None, is_cpu_bound: bool, per_worker_mb: float) -> int:
    """The formula, for a machine of so many CPUs and so much available memory (MiB; None: not known)."""
    workers = max(1, cpus - 1) if is_cpu_bound else min(cpus * 4, MOST_FOR_IO)
    if memory_mb is not None:
        workers = max(1, int(min(workers, memory_mb * SHARE_OF_MEMORY / per_worker_mb)))
    if not is_cpu_bound and per_worker_mb <= SMALL_WORKER_MB:
        workers = max(workers, cpus)
    return workers
