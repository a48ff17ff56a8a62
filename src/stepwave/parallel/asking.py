"""What a map may be asked for, and what it says of askings that make no sense."""

from collections.abc import Callable
from typing import Any, Generic, Literal, TypedDict, TypeVar

from stepwave.parallel.checks import at_least_one, seconds_or_none
from stepwave.parallel.drive import Asked
from stepwave.parallel.progress import Progress, check_progress

T = TypeVar("T")
R = TypeVar("R")

Workers = int | Literal["auto"]
Display = bool | Progress | Callable[..., Progress]
Results = Literal["list", "iterator"]
Errors = Literal["raise", "collect"]


class Common(TypedDict, total=False):
    """What every map takes."""

    timeout: float | None
    item_timeout: float | None
    progress: Display
    description: str


class RateOptions(Common, total=False):
    max_per_second: float
    max_workers: Workers


class BatchOptions(Common, total=False):
    batch_size: int
    max_workers: Workers


class ThreadOptions(Common, Generic[T, R], total=False):
    max_workers: Workers
    chunk_size: int | None
    on_complete: Callable[[int, T, R], object] | None


class OrderedThreadOptions(ThreadOptions[T, R], total=False):
    ordered: bool


class ProcessOptions(Common, Generic[T, R], total=False):
    max_workers: Workers | None
    chunk_size: int | None
    ordered: bool
    on_complete: Callable[[int, T, R], object] | None
    memory_limit_mb: float | None


def asked(
    name: str,
    func: Callable[..., Any],
    *,
    results: str,
    errors: str,
    timeout: float | None,
    progress: Any,
    description: str,
    ordered: bool = True,
    is_hasty: bool = False,
    on_complete: Callable[[int, Any, Any], object] | None = None,
) -> Asked:
    """Raises TypeError and ValueError."""
    if not callable(func):
        raise TypeError(f"{name} needs a function, not {type(func).__name__}")
    if results not in ("list", "iterator"):
        raise ValueError(f"results must be 'list' or 'iterator', not {results!r}")
    if errors not in ("raise", "collect"):
        raise ValueError(f"errors must be 'raise' or 'collect', not {errors!r}")
    check_progress(progress)
    over = seconds_or_none("timeout", timeout)
    return Asked(name, ordered, errors == "collect", is_hasty, over, progress, description, on_complete)


def width(max_workers: object, task_type: str = "io") -> int:
    """So many workers. Raises TypeError and ValueError."""
    if max_workers == "auto":
        from stepwave.parallel.cores import resource_aware_workers

        return resource_aware_workers(task_type=task_type)
    if isinstance(max_workers, str):
        raise ValueError(f"max_workers must be a whole number or 'auto', not {max_workers!r}")
    return at_least_one("max_workers", max_workers)


def name_of(func: Callable[..., Any]) -> str:
    return str(getattr(func, "__qualname__", None) or repr(func))
