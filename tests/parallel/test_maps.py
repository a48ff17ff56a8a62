"""Maps over threads: what they return, what they raise, what they leave behind."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave import parallel
from stepwave.parallel import (
    Outcome,
    Status,
    Totals,
    gather_results,
    parallel_batch,
    rate_limited_map,
    thread_map,
    thread_map_unordered,
    totals,
)
from tests.parallel.map_functions import fail_at_three, increment, nap


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging function waits for. It is opened at the end, and the threads that were left alone are awaited."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name == "stepwave map":
            thread.join()


# --- results -----------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers()), st.integers(1, 9), st.booleans(), st.sampled_from([None, 1, 3]))
def test_a_map_is_a_map(items: list[int], workers: int, as_iterator: bool, chunk_size: int | None) -> None:
    if as_iterator:
        found = list(thread_map(increment, iter(items), max_workers=workers, results="iterator", chunk_size=chunk_size))
    else:
        found = thread_map(increment, items, max_workers=workers, chunk_size=chunk_size)
    assert found == [item + 1 for item in items]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers()))
def test_unordered_results_are_the_same_ones(items: list[int]) -> None:
    expected = sorted(item + 1 for item in items)
    assert sorted(thread_map_unordered(increment, items)) == expected
    assert sorted(thread_map(increment, items, ordered=False)) == expected
    assert sorted(thread_map_unordered(increment, iter(items), results="iterator")) == expected


def test_unordered_results_come_as_they_are_ready() -> None:
    first, second = threading.Event(), threading.Event()

    def wait(event: threading.Event | None) -> str:
        if event is None:
            first.set()
            return "free"
        assert event.wait(10)
        if event is first:
            second.set()
        return "first" if event is first else "second"

    assert thread_map_unordered(wait, [second, first, None]) == ["free", "first", "second"]
    assert thread_map(wait, [second, first, None]) == ["second", "first", "free"]


def test_many_quick_items() -> None:
    assert thread_map(increment, range(50_000)) == list(range(1, 50_001))


def test_an_infinite_input_is_taken_as_far_as_it_is_asked_for() -> None:
    taken = itertools.count()
    numbers = thread_map(increment, taken, results="iterator", max_workers=2)
    assert list(itertools.islice(numbers, 1000)) == list(range(1, 1001))
    assert next(taken) < 100_000


def test_a_chunk_size_bounds_what_is_taken_ahead() -> None:
    taken = itertools.count()
    numbers = thread_map(increment, taken, results="iterator", max_workers=2, chunk_size=1)
    assert [next(numbers) for _ in range(100)] == list(range(1, 101))
    assert next(taken) < 100 + 4 * 1 + 2 + 2


def test_a_slow_input_does_not_hold_up_results() -> None:
    """The second item is there only when the result of the first has been seen."""
    seen = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        time.sleep(0.01)  # slow: more than a generator is given to go on
        yield 2
        assert seen.is_set()
        yield 3

    for result in thread_map(increment, items(), results="iterator"):
        if result == 2:
            seen.set()


def test_the_input_is_read_in_the_thread_of_the_caller() -> None:
    here = threading.get_ident()
    assert set(thread_map(lambda thread: thread, (threading.get_ident() for _ in range(100)))) == {here}


def test_what_the_input_raises_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        thread_map(increment, items())
    with pytest.raises(OSError, match="torn"):
        thread_map(increment, items(), errors="collect")


def test_an_iterator_that_is_given_up_leaves_no_thread() -> None:
    numbers = thread_map(increment, itertools.count(), results="iterator")
    next(numbers)
    del numbers
    never_asked = thread_map(increment, itertools.count(), results="iterator")
    assert iter(never_asked) is never_asked


def test_a_map_within_a_map() -> None:
    found = thread_map(lambda n: sum(thread_map(increment, range(n), max_workers=2)), range(20), max_workers=2)
    assert found == [sum(range(1, n + 1)) for n in range(20)]


def test_on_complete_is_told_of_successes_in_the_thread_of_the_caller() -> None:
    told: list[tuple[int, int, int]] = []
    threads = set()

    def on_complete(index: int, item: int, result: int) -> None:
        threads.add(threading.get_ident())
        told.append((index, item, result))

    thread_map(fail_at_three, range(7), on_complete=on_complete, errors="collect")
    assert sorted(told) == [(n, n, n) for n in (1, 2, 4, 5)]
    assert threads == {threading.get_ident()}


def test_what_on_complete_raises_ends_the_map() -> None:
    def on_complete(index: int, item: int, result: int) -> None:
        raise LookupError(result)

    with pytest.raises(LookupError):
        thread_map(increment, itertools.count(), on_complete=on_complete)


# --- errors ------------------------------------------------------------------------------------------------


def test_all_items_end_before_the_first_error_is_raised() -> None:
    called = []

    def note(number: int) -> None:
        called.append(number)
        if number in (0, 7):
            raise KeyError(number)

    with pytest.raises(KeyError, match="0") as caught:
        thread_map(note, range(20), max_workers=1)
    assert sorted(called) == list(range(20))
    assert caught.value.__notes__ == [
        "thread_map: item 0; 2 items of 20 failed, also:",
        "thread_map: item 7: KeyError: 7",
    ]


def test_of_many_failures_ten_more_are_named() -> None:
    with pytest.raises(KeyError) as caught:
        thread_map(fail_at_three, range(0, 300, 3), max_workers=1)
    notes = caught.value.__notes__
    assert notes[0] == "thread_map: item 0; 100 items of 100 failed, also:"
    assert notes[10:] == ["thread_map: item 10: KeyError: 30", "thread_map: …"]


def test_unordered_raises_at_once() -> None:
    def items() -> Iterator[int]:
        yield from itertools.count()

    with pytest.raises(KeyError) as caught:
        thread_map_unordered(fail_at_three, items(), max_workers=2)
    assert caught.value.__notes__ == [f"thread_map_unordered: item {caught.value.args[0]}"]


def test_an_iterator_raises_at_the_turn_of_the_item() -> None:
    numbers = thread_map(fail_at_three, itertools.count(1), results="iterator")
    assert [next(numbers), next(numbers)] == [1, 2]
    with pytest.raises(KeyError):
        next(numbers)
    with pytest.raises(StopIteration):
        next(numbers)


def test_an_exception_keeps_its_traceback() -> None:
    with pytest.raises(KeyError) as caught:
        thread_map(fail_at_three, [0])
    assert caught.traceback[-1].name == "fail_at_three"


def test_outcomes() -> None:
    found = thread_map(fail_at_three, iter([0, 1]), errors="collect")
    assert [(o.index, o.item, o.status, o.value) for o in found] == [
        (0, 0, Status.FAILED, None),
        (1, 1, Status.PASSED, 1),
    ]
    assert isinstance(found[0], Outcome)
    assert isinstance(found[0].error, KeyError)
    assert found[1].error is None
    assert found[1].duration_s > 0
    assert str(found[1].status) == "passed"
    assert next(thread_map(fail_at_three, [1], errors="collect", results="iterator")).value == 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_whatever_a_function_raises_is_its_items_failure(kind: type[BaseException]) -> None:
    def leave(_: int) -> None:
        raise kind

    assert totals(thread_map(leave, range(3), errors="collect")).failed == 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory may end in the middle of the machinery."""
    from stepwave.parallel import threads

    def die(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(threads, "_carried_out", die)
    with pytest.raises(RuntimeError, match="a thread of this map has died"):
        thread_map(increment, [1])


# --- time --------------------------------------------------------------------------------------------------


def test_the_overall_timeout_does_not_wait_for_a_hanging_function(gate: threading.Event) -> None:
    with pytest.raises(TimeoutError, match=r"^thread_map timed out after 0\.05s: 2 of 4 task\(s\) finished$"):
        thread_map(lambda n: n < 2 or gate.wait(), range(4), timeout=0.05)


def test_the_overall_timeout_of_an_endless_input() -> None:
    with pytest.raises(TimeoutError, match=r"timed out after 0\.05s"):
        thread_map(increment, itertools.count(), timeout=0.05)
    numbers = thread_map(increment, itertools.count(), timeout=0.05, results="iterator")
    with pytest.raises(TimeoutError, match=r"timed out after 0\.05s"):
        for _ in numbers:
            pass


def test_when_time_is_over_every_item_has_its_outcome(gate: threading.Event) -> None:
    found = thread_map(lambda n: n == 0 or gate.wait(), range(2500), timeout=0.2, errors="collect", max_workers=2)
    assert totals(found) == Totals(passed=1, failed=0, timeout=2, skipped=2497, cancelled=0, total=2500)
    assert [outcome.index for outcome in found] == list(range(2500))
    assert str(found[1].error) == "item 1 was running when time was over, after 200ms"
    assert str(found[3].error) == "item 3 had not begun when time was over, after 200ms"
    assert found[3].duration_s == 0


def test_an_item_that_takes_too_long_is_left_alone_and_its_thread_replaced(gate: threading.Event) -> None:
    found = thread_map(
        lambda n: gate.wait() if n % 2 else n, range(6), item_timeout=0.15, max_workers=1, errors="collect"
    )
    assert [outcome.status for outcome in found] == [Status.PASSED, Status.TIMEOUT] * 3
    assert str(found[1].error) == "item 1 timed out after 150ms"


def test_an_item_that_took_too_long_has_timed_out_even_if_nobody_looked() -> None:
    numbers = thread_map(nap, [0.0, 0.3], item_timeout=0.2, results="iterator", max_workers=1, chunk_size=1)
    assert next(numbers) == 0.0
    time.sleep(0.35)  # the caller does something else meanwhile
    with pytest.raises(TimeoutError, match="item 1 timed out after 200ms"):
        next(numbers)


def test_an_item_timeout_is_raised_as_any_error(gate: threading.Event) -> None:
    with pytest.raises(TimeoutError, match="item 0 timed out after 10ms"):
        thread_map(lambda _: gate.wait(), [0], item_timeout=0.01)


KINDS = st.sampled_from(["value", "raise", "cancel", "hang"])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(KINDS, max_size=30),
    st.integers(1, 4),
    st.sampled_from([None, 0.02]),
    st.sampled_from([None, 0.01]),
    st.booleans(),
    st.booleans(),
)
def test_every_total_adds_up(
    words: list[str],
    workers: int,
    timeout: float | None,
    item_timeout: float | None,
    ordered: bool,
    as_iterator: bool,
) -> None:
    gate = threading.Event()

    def act(word: str) -> str:
        if word == "raise":
            raise ValueError(word)
        if word == "cancel":
            raise CancelledError
        if word == "hang" and (timeout or item_timeout):
            gate.wait()
        return word

    found = list(
        thread_map(
            act, words, max_workers=workers, timeout=timeout, item_timeout=item_timeout, ordered=ordered,
            errors="collect", results="iterator" if as_iterator else "list",
        )
    )  # fmt: skip
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "stepwave map":
            thread.join()
    sums = totals(found)
    assert sum(sums[:5]) == sums.total == len(words)
    assert (sorted if not ordered else list)(o.index for o in found) == list(range(len(words)))
    assert all((o.error is None) == (o.status is Status.PASSED) for o in found)
    assert [words[o.index] for o in found] == [o.item for o in found]
    if timeout is None and item_timeout is None:
        assert sums[:5] == (
            words.count("value") + words.count("hang"),
            words.count("raise"),
            0,
            0,
            words.count("cancel"),
        )


# --- rates and batches -------------------------------------------------------------------------------------


def test_starts_are_never_nearer_than_the_rate_allows() -> None:
    starts: list[float] = []
    rate_limited_map(lambda _: starts.append(time.monotonic()), range(12), max_per_second=200)
    # A start may be late, and the next one on time again: only the whole is exact.
    assert starts[-1] - starts[0] > 11 / 200 - 0.005
    assert len(starts) == 12


def test_busy_threads_put_off_what_follows() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    rate_limited_map(work, range(10), max_per_second=1000, max_workers=2)
    assert most == 2


def test_a_rate_with_a_timeout_and_an_iterator() -> None:
    with pytest.raises(TimeoutError, match=r"rate_limited_map timed out after 0\.5s: 1 of 3 task\(s\) finished"):
        rate_limited_map(increment, range(3), max_per_second=0.1, timeout=0.5)
    numbers = rate_limited_map(increment, itertools.count(), max_per_second=1000, results="iterator")
    assert list(itertools.islice(numbers, 5)) == [1, 2, 3, 4, 5]
    found = rate_limited_map(increment, range(3), max_per_second=0.1, timeout=0.5, errors="collect")
    assert totals(found) == Totals(1, 0, 0, 2, 0, 3)
    assert rate_limited_map(increment, range(100), max_per_second=float("inf")) == list(range(1, 101))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers()), st.integers(1, 12), st.booleans())
def test_batches_are_put_together_again(items: list[int], size: int, as_iterator: bool) -> None:
    sizes: list[int] = []

    def double(batch: list[int]) -> list[int]:
        assert isinstance(batch, list)
        sizes.append(len(batch))
        return [2 * item for item in batch]

    if as_iterator:
        found = list(parallel_batch(double, iter(items), batch_size=size, results="iterator"))
    else:
        found = parallel_batch(double, items, batch_size=size)
    assert found == [2 * item for item in items]
    assert sum(sizes) == len(items)
    assert all(0 < one <= size for one in sizes)


def test_outcomes_of_batches() -> None:
    found = parallel_batch(lambda batch: [1 // item for item in batch], [1, 2, 0, 1], batch_size=2, errors="collect")
    assert [(o.item, o.value, o.status) for o in found] == [([1, 2], [1, 0], "passed"), ([0, 1], None, "failed")]


@pytest.mark.parametrize("value", [None, 3, "text"])
def test_a_batch_function_must_return_a_list(value: Any) -> None:
    def summarize(batch: list[int]) -> Any:
        return value

    with pytest.raises(TypeError, match="summarize must return a list for its batch, not"):
        parallel_batch(summarize, range(3))


# --- futures -----------------------------------------------------------------------------------------------


def test_gathering_ends_with_a_result_an_error_or_a_timeout_for_each_future() -> None:
    done, failed, cancelled, never = (Future[int]() for _ in range(4))
    done.set_result(1)
    failed.set_exception(KeyError("k"))
    cancelled.cancel()
    cancelled.set_running_or_notify_cancel()
    successes, errors = gather_results([done, failed, cancelled, never, done], timeout=0.01)
    assert successes == [1, 1]
    assert {type(error) for error in errors} == {KeyError, CancelledError, TimeoutError}
    assert len(errors) == 3
    assert not never.cancelled()
    assert gather_results([]) == ([], [])


# --- askings that make no sense ----------------------------------------------------------------------------


untyped_map: Any = thread_map  # for what a type checker would not let pass


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: untyped_map(increment, [], max_workers=0), ValueError, "max_workers must be at least 1, not 0"),
        (lambda: untyped_map(increment, [], max_workers=1.5), TypeError, "max_workers must be a whole number"),
        (lambda: untyped_map(increment, [], max_workers="all"), ValueError, "max_workers must be .* 'auto', not 'all'"),
        (lambda: untyped_map(increment, [], timeout=-1), ValueError, "timeout must be greater than 0 seconds, not -1"),
        (lambda: untyped_map(increment, [], item_timeout=-1), ValueError, "item_timeout must be greater than 0"),
        (lambda: untyped_map(increment, [], timeout="1"), TypeError, "timeout must be a number of seconds or None"),
        (lambda: untyped_map(increment, [], chunk_size=0), ValueError, "chunk_size must be at least 1"),
        (lambda: untyped_map(increment, [], results="tuple"), ValueError, "results must be 'list' or 'iterator'"),
        (lambda: untyped_map(increment, [], errors="ignore"), ValueError, "errors must be 'raise' or 'collect'"),
        (lambda: untyped_map(None, []), TypeError, "thread_map needs a function, not NoneType"),
        (lambda: untyped_map(increment, 3), TypeError, "not iterable"),
        (lambda: untyped_map(increment, [], results="iterator", timeout=-1), ValueError, "timeout must be"),
        (
            lambda: rate_limited_map(increment, [], max_per_second=0),
            ValueError,
            "max_per_second must be greater than 0",
        ),
        (lambda: rate_limited_map(increment, [], max_per_second=-2), ValueError, "max_per_second must be greater"),
        (lambda: rate_limited_map(increment, [], max_per_second=float("nan")), ValueError, "max_per_second must be"),
        (lambda: parallel_batch(list, [], batch_size=0), ValueError, "batch_size must be at least 1, not 0"),
        (lambda: gather_results([], timeout=-1), ValueError, "timeout must be greater than 0"),
        (lambda: untyped_map(increment, [], progress=3), TypeError, "progress must be True, False or have update"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_begins(
    call: Callable[[], object], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        call()


def test_auto_is_a_number_of_workers() -> None:
    assert thread_map(increment, [1], max_workers="auto") == [2]


# --- the package -------------------------------------------------------------------------------------------


def test_every_name_of_the_package_has_its_home() -> None:
    homes = [name for names in parallel._HOMES.values() for name in names]
    assert sorted(homes) == sorted(parallel.__all__)
    for module, names in parallel._HOMES.items():
        for name in names:
            assert getattr(parallel, name) is getattr(import_module(f"stepwave.parallel.{module}"), name)
    with pytest.raises(AttributeError, match="has no attribute 'thread_mop'"):
        _ = parallel.thread_mop
