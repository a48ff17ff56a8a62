"""Maps over threads. docs/python-api.md tells when to use which.

What all of them share:

`results="list"` (default) returns a list; `"iterator"` gives results while they come, for inputs of any length: what is
under way is bounded, and so is memory. Input and iterator belong to the thread of the caller, who must ask for the next
result for anything further to begin.

`errors="raise"` (default) lets all items end, then raises the error that was recorded first; its notes name the item
and the other failures. An iterator raises at the item's turn, and cancels the rest. `errors="collect"` raises
none of them and gives an `Outcome` for each item instead of its result.

`timeout`: seconds for everything. Then TimeoutError is raised; with `errors="collect"`, what was running has timed out
and what had not begun is skipped, to the end of an input that has a length. `item_timeout`: seconds for each item. A
thread cannot be stopped: one whose item has timed out is left alone, replaced, and ends when its function returns. It
holds up neither the map nor the end of the interpreter. For functions that may hang for ever, see `process_map`.

`progress`: True for a bar on a terminal and plain lines elsewhere, or an object with `update(n)` and `close()`.
`max_workers`: a number, or "auto" for `resource_aware_workers()`.

All of them raise ValueError for numbers that make no sense, TypeError for values of the wrong kind. On Ctrl-C,
KeyboardInterrupt is raised in the caller at once; idle threads end, the others when their function returns.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from stepwave.parallel.asking import Display, Errors, Results, Workers, asked, name_of, width
from stepwave.parallel.checks import above_zero, at_least_one, seconds_or_none
from stepwave.parallel.drive import Asked, Way
from stepwave.parallel.feed import Feed, length_of
from stepwave.parallel.threads import ThreadCrew

if TYPE_CHECKING:
    from concurrent.futures import Future
    from typing import Unpack

    from stepwave.parallel.asking import BatchOptions, OrderedThreadOptions, RateOptions, ThreadOptions
    from stepwave.parallel.outcomes import Outcome

T = TypeVar("T")
R = TypeVar("R")


@overload
def thread_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["list"] = "list",
    errors: Literal["raise"] = "raise",
    **options: Unpack[OrderedThreadOptions[T, R]],
) -> list[R]: ...
@overload
def thread_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["iterator"],
    errors: Literal["raise"] = "raise",
    **options: Unpack[OrderedThreadOptions[T, R]],
) -> Iterator[R]: ...
@overload
def thread_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["list"] = "list",
    errors: Literal["collect"],
    **options: Unpack[OrderedThreadOptions[T, R]],
) -> list[Outcome[T, R]]: ...
@overload
def thread_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["iterator"],
    errors: Literal["collect"],
    **options: Unpack[OrderedThreadOptions[T, R]],
) -> Iterator[Outcome[T, R]]: ...
def thread_map(  # noqa: PLR0913 - the words are those of the seed
    func: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    max_workers: Workers = 8,
    chunk_size: int | None = None,
    timeout: float | None = None,
    ordered: bool = True,
    on_complete: Callable[[int, Any, Any], object] | None = None,
    results: Results = "list",
    errors: Errors = "raise",
    progress: Display = False,
    description: str = "",
    item_timeout: float | None = None,
) -> Any:
    """Call `func` for each item, in `max_workers` threads.

    Results come in the order of the input; with `ordered=False`, as they are ready. `chunk_size`: at most so many items
    wait for a thread; without it, as many as are done in some milliseconds. `on_complete(index, item, result)` is
    called for each success, as they are ready, in the thread of the caller; what it raises ends the map.
    """
    words = asked(
        "thread_map", func, results=results, errors=errors, timeout=timeout, progress=progress,
        description=description, ordered=ordered, on_complete=on_complete,
    )  # fmt: skip
    return _over_threads(words, func, Feed(items), width(max_workers), results, item_timeout, chunk_size)


@overload
def thread_map_unordered(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["list"] = "list",
    errors: Literal["raise"] = "raise",
    **options: Unpack[ThreadOptions[T, R]],
) -> list[R]: ...
@overload
def thread_map_unordered(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["iterator"],
    errors: Literal["raise"] = "raise",
    **options: Unpack[ThreadOptions[T, R]],
) -> Iterator[R]: ...
@overload
def thread_map_unordered(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["list"] = "list",
    errors: Literal["collect"],
    **options: Unpack[ThreadOptions[T, R]],
) -> list[Outcome[T, R]]: ...
@overload
def thread_map_unordered(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["iterator"],
    errors: Literal["collect"],
    **options: Unpack[ThreadOptions[T, R]],
) -> Iterator[Outcome[T, R]]: ...
def thread_map_unordered(  # noqa: PLR0913 - as above
    func: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    max_workers: Workers = 8,
    chunk_size: int | None = None,
    timeout: float | None = None,
    on_complete: Callable[[int, Any, Any], object] | None = None,
    results: Results = "list",
    errors: Errors = "raise",
    progress: Display = False,
    description: str = "",
    item_timeout: float | None = None,
) -> Any:
    """As `thread_map`, but results come as they are ready; the first error is raised at once, and cancels the rest."""
    words = asked(
        "thread_map_unordered", func, results=results, errors=errors, timeout=timeout, progress=progress,
        description=description, ordered=False, is_hasty=True, on_complete=on_complete,
    )  # fmt: skip
    return _over_threads(words, func, Feed(items), width(max_workers), results, item_timeout, chunk_size)


@overload
def rate_limited_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["list"] = "list",
    errors: Literal["raise"] = "raise",
    **options: Unpack[RateOptions],
) -> list[R]: ...
@overload
def rate_limited_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["iterator"],
    errors: Literal["raise"] = "raise",
    **options: Unpack[RateOptions],
) -> Iterator[R]: ...
@overload
def rate_limited_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["list"] = "list",
    errors: Literal["collect"],
    **options: Unpack[RateOptions],
) -> list[Outcome[T, R]]: ...
@overload
def rate_limited_map(
    func: Callable[[T], R],
    items: Iterable[T],
    *,
    results: Literal["iterator"],
    errors: Literal["collect"],
    **options: Unpack[RateOptions],
) -> Iterator[Outcome[T, R]]: ...
def rate_limited_map(
    func: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    max_per_second: float = 10.0,
    max_workers: Workers = 4,
    timeout: float | None = None,
    results: Results = "list",
    errors: Errors = "raise",
    progress: Display = False,
    description: str = "",
    item_timeout: float | None = None,
) -> Any:
    """As `thread_map`, but calls begin evenly spaced, `1 / max_per_second` seconds apart, the first at once.

    No thread is occupied by waiting. When all are busy at the time of a call it begins late: by more than 50 ms, and
    all after it are as much later; by less, and the next ones follow up to 5 ms closer until they are on time again.
    """
    interval_s = 1 / min(above_zero("max_per_second", max_per_second), sys.float_info.max)
    words = asked(
        "rate_limited_map", func, results=results, errors=errors, timeout=timeout, progress=progress,
        description=description,
    )  # fmt: skip
    feed = Feed(items, interval_s)
    return _over_threads(words, func, feed, width(max_workers), results, item_timeout, None)


@overload
def parallel_batch(
    func: Callable[[list[T]], Iterable[R]],
    items: Iterable[T],
    *,
    results: Literal["list"] = "list",
    errors: Literal["raise"] = "raise",
    **options: Unpack[BatchOptions],
) -> list[R]: ...
@overload
def parallel_batch(
    func: Callable[[list[T]], Iterable[R]],
    items: Iterable[T],
    *,
    results: Literal["iterator"],
    errors: Literal["raise"] = "raise",
    **options: Unpack[BatchOptions],
) -> Iterator[R]: ...
@overload
def parallel_batch(
    func: Callable[[list[T]], Iterable[R]],
    items: Iterable[T],
    *,
    results: Literal["list"] = "list",
    errors: Literal["collect"],
    **options: Unpack[BatchOptions],
) -> list[Outcome[list[T], list[R]]]: ...
@overload
def parallel_batch(
    func: Callable[[list[T]], Iterable[R]],
    items: Iterable[T],
    *,
    results: Literal["iterator"],
    errors: Literal["collect"],
    **options: Unpack[BatchOptions],
) -> Iterator[Outcome[list[T], list[R]]]: ...
def parallel_batch(
    func: Callable[[list[Any]], Iterable[Any]],
    items: Iterable[Any],
    *,
    batch_size: int = 10,
    max_workers: Workers = 4,
    timeout: float | None = None,
    results: Results = "list",
    errors: Errors = "raise",
    progress: Display = False,
    description: str = "",
    item_timeout: float | None = None,
) -> Any:
    """Call `func` with lists of `batch_size` items; it returns a list for each, and they are put together in order.

    With `errors="collect"` there is an `Outcome` for each batch. `item_timeout` and `progress` are about batches, too.
    """
    words = asked(
        "parallel_batch", func, results=results, errors=errors, timeout=timeout, progress=progress,
        description=description,
    )  # fmt: skip
    feed = Feed(_batches(items, at_least_one("batch_size", batch_size)))
    if (length := length_of(items)) is not None:
        feed.total = -(-length // batch_size)
    found = _over_threads(words, _returning_a_list(func), feed, width(max_workers), results, item_timeout, None)
    if words.collects:
        return found
    return _flat(found) if results == "iterator" else [value for values in found for value in values]


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def _returning_a_list(func: Callable[[list[T]], Iterable[R]]) -> Callable[[list[T]], list[R]]:
    def call(batch: list[T]) -> list[R]:
        values = func(batch)
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise TypeError(f"{name_of(func)} must return a list for its batch, not {type(values).__name__}")
        return list(values)

    return call


def _flat(batches: Any) -> Iterator[Any]:
    with closing(batches):
        for batch in batches:
            yield from batch


def _over_threads(
    words: Asked,
    func: Callable[[Any], Any],
    feed: Feed[Any],
    workers: int,
    results: str,
    item_timeout: float | None,
    ahead: int | None,
) -> Any:
    if ahead is not None:
        at_least_one("chunk_size", ahead)
    limit_s = seconds_or_none("item_timeout", item_timeout)
    is_watched = words.collects and words.timeout_s is not None
    crew = ThreadCrew(func, workers, limit_s=limit_s, is_watched=is_watched, ahead=ahead)
    way = Way(words, feed, crew)
    return way.as_iterator() if results == "iterator" else way.as_list()


def gather_results(
    futures: Iterable[Future[R]], *, timeout: float | None = None
) -> tuple[list[R], list[BaseException]]:
    """Wait for futures of concurrent.futures. Returns (results, errors), each in the order in which they ended.

    After `timeout` seconds there is a TimeoutError among the errors for each future that has not ended; the futures go
    on. Both lists together are as long as the input. Raises ValueError for a time that is not greater than 0.
    """
    from concurrent.futures import Future, as_completed
    from concurrent.futures import TimeoutError as Late

    waiting = list(futures)
    for future in waiting:
        if not isinstance(future, Future):
            raise TypeError(f"futures of concurrent.futures are gathered, not {type(future).__name__}")
    times = Counter(waiting)
    successes: list[R] = []
    errors: list[BaseException] = []
    ended = set()
    try:
        for future in as_completed(waiting, timeout=seconds_or_none("timeout", timeout)):
            ended.add(future)
            error = _error_of(future)
            if error is None:
                successes += [future.result()] * times[future]
            else:
                errors += [error] * times[future]
    except Late:
        words = f"the future had not ended after {timeout:g}s"
        errors += [TimeoutError(words) for future in waiting if future not in ended]
    return successes, errors


def _error_of(future: Future[Any]) -> BaseException | None:
    """Of one that has ended. Only looked at: a `sys.exit` in there is not one of the caller."""
    from concurrent.futures import CancelledError

    try:
        return future.exception()
    except CancelledError as error:
        return error
