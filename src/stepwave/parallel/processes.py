"""A map over processes. docs/python-api.md tells when to use it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from stepwave.parallel.asking import Display, Errors, Results, Workers, asked, width
from stepwave.parallel.checks import above_zero, at_least_one, seconds_or_none
from stepwave.parallel.cores import cpu_count
from stepwave.parallel.crew import ProcessCrew
from stepwave.parallel.drive import Way
from stepwave.parallel.feed import Feed
from stepwave.parallel.shipping import ship

if TYPE_CHECKING:
    from typing import Unpack

    from stepwave.parallel.asking import ProcessOptions
    from stepwave.parallel.outcomes import Outcome

T = TypeVar("T")
R = TypeVar("R")


@overload
def process_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["list"] = "list",
    errors: Literal["raise"] = "raise",
    **options: Unpack[ProcessOptions[T, R]],
) -> list[R]: ...
@overload
def process_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["iterator"],
    errors: Literal["raise"] = "raise",
    **options: Unpack[ProcessOptions[T, R]],
) -> Iterator[R]: ...
@overload
def process_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["list"] = "list",
    errors: Literal["collect"],
    **options: Unpack[ProcessOptions[T, R]],
) -> list[Outcome[T, R]]: ...
@overload
def process_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["iterator"],
    errors: Literal["collect"],
    **options: Unpack[ProcessOptions[T, R]],
) -> Iterator[Outcome[T, R]]: ...
def process_map(  # noqa: PLR0913 - the words are those of the seed
    func: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    max_workers: Workers | None = None,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    on_complete: Callable[[int, Any, Any], object] | None = None,
    results: Results = "list",
    errors: Errors = "raise",
    progress: Display = False,
    description: str = "",
    item_timeout: float | None = None,
    memory_limit_mb: float | None = None,
) -> Any:
    """Call `func` for each item, in processes: one less than `cpu_count()`, or `max_workers`.

    The options that `thread_map` has mean the same here, but a worker whose time is over is killed, with all of its
    process group, and replaced. The function, its items and its results are sent with pickle.

    `chunk_size`: so many items are sent at a time; without it, as many as take some milliseconds. `memory_limit_mb`:
    MiB of address space that each worker may have (RLIMIT_AS; macOS does not keep to it), set in the workers only.

    A worker that dies fails the item that it ran with `WorkerDied`; items sent with it run in another, some of them a
    second time, unless `chunk_size` is 1. Workers are fresh interpreters, not forks: safe beside threads, and they read
    the script of the caller again if the function is defined there, which needs `if __name__ == "__main__":`.

    Raises TypeError for a function that cannot be sent (a lambda, a function within a function), WorkerDied when
    workers die before they have begun an item, RuntimeError when they cannot import the function.
    """
    words = asked(
        "process_map", func, results=results, errors=errors, timeout=timeout, progress=progress,
        description=description, ordered=ordered, on_complete=on_complete,
    )  # fmt: skip
    workers = max(1, cpu_count() - 1) if max_workers is None else width(max_workers, "cpu")
    limit_s = seconds_or_none("item_timeout", item_timeout)
    if chunk_size is not None:
        at_least_one("chunk_size", chunk_size)
    memory_bytes = None if memory_limit_mb is None else _bytes(above_zero("memory_limit_mb", memory_limit_mb))
    shipment = ship(func, memory_bytes=memory_bytes, wants_times=words.collects or limit_s is not None)
    way = Way(words, Feed(items), ProcessCrew(shipment, workers, limit_s=limit_s, size=chunk_size))
    return way.as_iterator() if results == "iterator" else way.as_list()


def _bytes(limit_mb: float) -> int | None:
    """None: more than the system could count would be no limit."""
    return int(limit_mb * 2**20) if limit_mb < sys.maxsize >> 20 else None
