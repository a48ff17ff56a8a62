"""AsyncParallelRunner: everything recorded, whatever becomes of the tasks and of whoever waits for them."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError as CancelledElsewhere
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.parallel import AsyncExecutionResult, AsyncParallelRunner, AsyncTaskResult

Task = tuple[str, Callable[..., Any], tuple[Any, ...]]


async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


async def fail(text: str = "broken") -> None:
    raise ValueError(text)


async def forever() -> None:
    await asyncio.Event().wait()


async def cancel_oneself() -> None:
    raise asyncio.CancelledError


def run(tasks: list[Task], **options: Any) -> AsyncExecutionResult:
    return asyncio.run(AsyncParallelRunner(**options).run(tasks))


def adds_up(result: AsyncExecutionResult) -> bool:
    return result.passed + result.failed + result.cancelled == result.total == len(result.results)


def test_values_and_failures_are_recorded() -> None:
    result = run([("a", double, (1,)), ("b", fail, ("no",)), ("c", double, (3,))])
    by_name = {r.name: r for r in result.results}
    assert (result.total, result.passed, result.failed, result.cancelled) == (3, 2, 1, 0)
    assert (by_name["a"].success, by_name["a"].value, by_name["a"].error) == (True, 2, None)
    assert (by_name["b"].success, by_name["b"].error, by_name["b"].error_type) == (False, "no", "ValueError")
    assert not result.success
    assert by_name["a"].execution_time > 0


def test_nothing_to_do_is_a_success() -> None:
    result = run([])
    assert (result.total, result.success, result.results) == (0, True, [])
    assert len(result.batch_id) == 12
    assert int(result.batch_id, 16) >= 0


def test_as_a_dictionary() -> None:
    result = run([("b", fail, ())])
    seconds = result.results[0].execution_time
    assert result.to_dict() == {
        "batch_id": result.batch_id,
        "total": 1,
        "passed": 0,
        "failed": 1,
        "cancelled": 0,
        "execution_time": result.execution_time,
        "success": False,
        "results": [{"name": "b", "success": False, "value": None, "error": "broken", "execution_time": seconds}],
    }


def test_fail_fast_keeps_the_failure_and_its_callback() -> None:
    told: list[AsyncTaskResult] = []
    tasks: list[Task] = [("bad", fail, ()), ("x", forever, ()), ("y", forever, ()), ("z", forever, ())]
    result = run(tasks, fail_fast=True, max_concurrency=2, on_task_complete=told.append)
    assert (result.total, result.passed, result.failed, result.cancelled) == (4, 0, 1, 3)
    assert [r.name for r in result.results] == ["bad", "x", "y", "z"]
    assert told == result.results
    assert [r.error_type for r in told] == ["ValueError", "CancelledError", "CancelledError", "CancelledError"]


def test_without_fail_fast_the_others_go_on() -> None:
    result = run([("bad", fail, ()), *[(str(n), double, (n,)) for n in range(5)]], max_concurrency=1)
    assert (result.passed, result.failed) == (5, 1)
    assert [r.name for r in result.results] == ["bad", "0", "1", "2", "3", "4"]


@pytest.mark.parametrize("bound", [1, 3, None])
def test_the_bound_holds_and_is_used(bound: int | None) -> None:
    running = peak = 0

    async def counted() -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1

    assert run([(str(n), counted, ()) for n in range(10)], max_concurrency=bound).passed == 10
    assert peak == (bound or 10)


def test_cancellation_from_outside_is_recorded_and_goes_on() -> None:
    told: list[str] = []
    runner = AsyncParallelRunner(max_concurrency=2, on_task_complete=lambda r: told.append(f"{r.name} {r.error_type}"))

    async def main() -> None:
        begun = asyncio.Event()

        async def first() -> None:
            begun.set()
            await forever()

        running = asyncio.create_task(runner.run([("a", first, ()), ("b", forever, ()), ("c", forever, ())]))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert running.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert told == ["a CancelledError", "b CancelledError", "c CancelledError"]
    result = runner.last_result
    assert result is not None
    assert (result.total, result.cancelled) == (3, 3)


def test_a_task_that_takes_time_to_end_is_waited_for() -> None:
    steps: list[str] = []

    async def tidy() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            steps.append("tidied")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await AsyncParallelRunner().run([("a", tidy, ())])
        steps.append("returned")

    asyncio.run(main())
    assert steps == ["tidied", "returned"]


def test_a_task_that_cancels_itself_is_counted_as_cancelled_and_no_other() -> None:
    async def cancels_its_task() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    result = run([("a", cancel_oneself, ()), ("b", cancels_its_task, ()), ("c", double, (1,))], max_concurrency=1)
    assert (result.passed, result.failed, result.cancelled) == (1, 0, 2)


def test_an_error_of_the_same_name_is_a_failure() -> None:
    async def elsewhere() -> None:
        raise CancelledElsewhere

    result = run([("a", elsewhere, ())])
    assert (result.failed, result.cancelled) == (1, 0)


def test_what_the_call_itself_raises_is_the_tasks_failure() -> None:
    def not_a_coroutine() -> int:
        return 1

    result = run([("a", double, (1, 2, 3)), ("b", not_a_coroutine, ()), ("c", double, (1,))], max_concurrency=1)
    assert [r.error_type for r in result.results] == ["TypeError", "TypeError", None]


class Speechless(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError


async def fail_without_words() -> None:
    raise Speechless


def test_an_exception_without_words_is_recorded_too() -> None:
    (result,) = run([("a", fail_without_words, ())]).results
    assert (result.error_type, result.error) == ("Speechless", "Speechless, which cannot be put into words")


def test_each_task_has_its_own_context() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)

    async def adds_one() -> int:
        variable.set(variable.get() + 1)
        return variable.get()

    assert [r.value for r in run([(str(n), adds_one, ()) for n in range(3)], max_concurrency=1).results] == [1, 1, 1]


def test_a_callback_that_fails_disturbs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(result: AsyncTaskResult) -> None:
        raise ZeroDivisionError

    assert run([("a", double, (1,)), ("b", double, (1,))], on_task_complete=broken).passed == 2
    assert caplog.messages == ["on_task_complete failed for task a", "on_task_complete failed for task b"]


def test_bad_input_is_refused_before_anything_runs() -> None:
    for bound in (0, -1):
        with pytest.raises(ValueError, match="max_concurrency must be at least 1"):
            AsyncParallelRunner(max_concurrency=bound)
    begun: list[int] = []

    async def begin() -> None:
        begun.append(1)

    with pytest.raises(TypeError, match=r"task `b` must be \(name, function, args\): int cannot be called"):
        run([("a", begin, ()), ("b", 5, ())])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="not enough values to unpack"):
        run([("a", begin, ()), ("b", begin)])  # type: ignore[list-item]
    assert begun == []


@settings(deadline=None)  # an event loop each time: slow on a busy machine
@given(
    kinds=st.lists(st.sampled_from([double, fail, cancel_oneself])),
    bound=st.none() | st.integers(1, 5),
    fail_fast=st.booleans(),
    cancel_after=st.none() | st.integers(0, 4),
)
def test_counts_add_up_whatever_happened(
    kinds: list[Callable[..., Awaitable[Any]]], bound: int | None, fail_fast: bool, cancel_after: int | None
) -> None:
    told: list[AsyncTaskResult] = []
    runner = AsyncParallelRunner(max_concurrency=bound, fail_fast=fail_fast, on_task_complete=told.append)

    async def main() -> None:
        tasks: list[Task] = [(str(n), kind, (n,) if kind is double else ()) for n, kind in enumerate(kinds)]
        running = asyncio.create_task(runner.run(tasks))
        if cancel_after is not None:
            for _ in range(cancel_after):
                await asyncio.sleep(0)
            running.cancel()
        await asyncio.wait([running])

    asyncio.run(main())
    if runner.last_result is not None:  # None: cancelled before it began
        assert adds_up(runner.last_result)
        assert told == runner.last_result.results
        assert sorted(int(r.name) for r in told) == list(range(len(kinds)))
