"""Uses that nobody had in mind: odd exceptions, odd numbers, functions that fork, iterators across a fork."""

import asyncio
import itertools
import sys
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stepwave.parallel import (
    AsyncParallelRunner,
    AsyncScheduler,
    JobEvent,
    gather_results,
    parallel_batch,
    process_map,
    rate_limited_map,
    resource_aware_workers,
    run_function,
    run_script,
    thread_map,
    thread_map_unordered,
    totals,
)
from tests.parallel import map_functions as functions
from tests.parallel.map_functions import Frozen, Sealed, Speechless
from tests.parallel.test_map_programs import run, script

maps: list[Any] = [thread_map, thread_map_unordered, partial(process_map, max_workers=2)]


# --- odd exceptions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("map_over", maps)
def test_an_exception_that_cannot_tell_its_text_is_raised_as_it_is(map_over: Any) -> None:
    with pytest.raises(Speechless):
        map_over(functions.fail_speechless, range(3))
    found = map_over(functions.fail_speechless, range(3), errors="collect")
    assert [type(outcome.error) for outcome in found] == [Speechless] * 3


@pytest.mark.parametrize("map_over", maps[:2])
def test_an_exception_that_takes_no_notes_is_raised_as_it_is(map_over: Any) -> None:
    with pytest.raises(Frozen):
        map_over(functions.fail_frozen, range(3))


def test_an_exception_that_takes_no_cause_comes_back_from_a_worker() -> None:
    with pytest.raises(Sealed):
        process_map(functions.fail_sealed, range(3), max_workers=2)


def test_what_cannot_be_sent_may_say_so_in_any_way() -> None:
    (outcome,) = process_map(repr, [functions.Unsendable()], errors="collect")
    assert str(outcome.error) == (
        "item 0, a Unsendable, cannot be sent to a worker process: Speechless, which cannot be put into words"
    )
    (other,) = process_map(functions.unsendable, [1], errors="collect")
    assert str(other.error) == "the result, a Unsendable, cannot be sent: Speechless"
    result = run_function(functions.increment, (functions.Unsendable(),))
    assert result["status"] == "error"
    assert result["error"].endswith("top level of a module can")


def test_the_exit_of_a_program_in_a_future_is_one_of_the_errors() -> None:
    ended: list[Future[int]] = [Future(), Future()]
    ended[0].set_exception(SystemExit(3))
    ended[1].set_result(1)
    successes, errors = gather_results(ended)
    assert successes == [1]
    assert [type(error) for error in errors] == [SystemExit]


def test_what_is_no_future_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"futures of concurrent\.futures are gathered, not int"):
        gather_results([1])  # type: ignore[arg-type]


# --- odd numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("map_over", [*maps, lambda f, i, **k: parallel_batch(lambda b: [f(n) for n in b], i, **k)])
def test_an_input_longer_than_a_length_can_be(map_over: Any) -> None:
    found = map_over(functions.increment, range(10**25), results="iterator")
    assert next(found) in range(1, 1000)
    found.close()


def test_an_input_that_does_not_tell_its_length() -> None:
    class Endless(list[int]):
        def __len__(self) -> int:
            raise TypeError("it has none")

    assert thread_map(functions.increment, Endless([1, 2])) == [2, 3]
    assert parallel_batch(list, Endless([1, 2])) == [1, 2]


def test_numbers_that_are_too_large_for_anything_are_no_limit() -> None:
    for most in (10**400, 1e300, float("inf")):
        assert thread_map(functions.increment, [1], timeout=most, item_timeout=most) == [2]
        assert process_map(functions.increment, [1], timeout=most, memory_limit_mb=most) == [2]
    assert resource_aware_workers(memory_per_worker_mb=1e-320) >= 1


def test_numbers_that_are_none_are_told_of() -> None:
    with pytest.raises(TypeError, match="memory_limit_mb must be a number, not str"):
        process_map(functions.increment, [1], memory_limit_mb="5")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="max_per_second must be a number, not str"):
        rate_limited_map(functions.increment, [1], max_per_second="5")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="memory_per_worker_mb must be a number, not str"):
        resource_aware_workers(memory_per_worker_mb="5")  # type: ignore[arg-type]


def test_progress_may_be_whatever_makes_it() -> None:
    counted: list[object] = []

    class Bar:
        def __init__(self, unit: str, total: int | None, desc: str | None) -> None:
            counted.append((unit, total, desc))

        def update(self, n: int, /) -> None:
            counted.append(n)

        def close(self) -> None: ...

    thread_map(functions.increment, [1], progress=partial(Bar, "files"), description="reading")
    assert counted == [("files", 1, "reading"), 1]


# --- forks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["return", "raise"])
def test_a_function_that_forks_answers_once(words: str) -> None:
    """The child comes back from the function as well, and has nothing to say."""
    found = process_map(partial(functions.fork, words), range(20), max_workers=2)
    assert found == list(range(20))


FORK = """\
    import itertools, os, sys
    from stepwave.parallel import process_map

    numbers = process_map(abs, itertools.count(), results="iterator", max_workers=2)
    assert next(numbers) == 0
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), [next(numbers) for _ in range(50_000)][-1])
        numbers.close()
    else:
        try:
            for _ in numbers:  # some results may have come in before
                pass
        except RuntimeError as error:
            os.write(1, str(error).encode() + b"\\n")
        sys.exit(3)
"""


def test_the_workers_belong_to_the_process_that_began_the_map(tmp_path: Path) -> None:
    ended = run(script(tmp_path, FORK), folder=tmp_path)
    assert (ended.stdout, ended.stderr) == ("this map belongs to the process that began it\n3 50000\n", "")


# --- at a prompt -------------------------------------------------------------------------------------------


DECORATED = """\
    import functools
    from stepwave.parallel import process_map

    def twice(func):
        @functools.wraps(func)
        def call(number):
            return 2 * func(number)
        return call

    @twice
    def double(number):
        return number

    try:
        process_map(double, [1])
    except TypeError as error:
        print(error)

    def uses(number, lock=__import__("threading").Lock()):
        return number

    try:
        process_map(uses, [1])
    except TypeError as error:
        print(str(error).partition(":")[0])
"""


def test_a_function_typed_at_a_prompt_that_cannot_be_sent_is_a_type_error(tmp_path: Path) -> None:
    ended = run("-", folder=tmp_path, source=script_text(DECORATED))
    assert ended.stdout.splitlines() == [
        "double uses what a function around it had, and cannot be sent to another process; define it in a file",
        "uses cannot be sent to another process",
    ]


def script_text(text: str) -> str:
    import textwrap

    return textwrap.dedent(text)


def test_the_flags_of_the_interpreter_hold_for_every_other_process(tmp_path: Path) -> None:
    text = """\
        import sys
        from stepwave.parallel import process_map, run_function

        def flags(_=0):
            return sys.flags.optimize, sys.flags.no_user_site, sys.flags.dont_write_bytecode, sys.flags.bytes_warning

        if __name__ == "__main__":
            print(flags(), *process_map(flags, [1]), run_function(flags)["result"])
    """
    ended = run("-OO", "-s", "-B", "-bb", script(tmp_path, text), folder=tmp_path)
    assert ended.stdout == "(2, 1, 1, 2) (2, 1, 1, 2) (2, 1, 1, 2)\n"


# --- scripts, functions, coroutines ------------------------------------------------------------------------


def test_a_path_that_the_system_does_not_take_is_an_error_of_that_script(tmp_path: Path) -> None:
    result = run_script(tmp_path / ("a" * 5000 + ".py"))
    assert result["status"] == "error"
    assert result["error"].endswith("file name too long")


def test_settings_of_the_wrong_kind() -> None:
    with pytest.raises(TypeError, match="the name of an environment variable must be text, not int"):
        run_script("x.py", env={5: "x"})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="a config must be a mapping, not list"):
        run_script("x.py", config=["timeout"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="args must be a sequence, not int"):
        run_function(functions.increment, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="kwargs must be a mapping, not int"):
        run_function(functions.increment, (), 5)  # type: ignore[arg-type]


def test_a_callback_that_would_have_to_be_awaited_is_refused() -> None:
    async def hear(result: object) -> None: ...

    with pytest.raises(TypeError, match="on_task_complete must be a plain function: nobody awaits it"):
        AsyncParallelRunner(on_task_complete=hear)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks begin later")
def test_tasks_that_begin_at_once_are_timed_from_their_beginning() -> None:
    import time

    async def work() -> None:
        time.sleep(0.02)

    async def main() -> float:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        found = await AsyncParallelRunner().run([("a", work, ())])
        return found.results[0].execution_time

    assert asyncio.run(main()) >= 0.02


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks begin later")
def test_jobs_that_begin_at_once_keep_to_the_bound() -> None:
    scheduler, running, most = AsyncScheduler(max_concurrency=2), 0, 0

    async def work(left: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if left:
            scheduler.schedule(work, args=(left - 1,))
            scheduler.schedule(work, args=(0,))
        running -= 1

    async def main() -> int:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        scheduler.schedule(work, args=(2000,))
        return len(await scheduler.run_all())

    assert asyncio.run(main()) == 4001
    assert (most, scheduler.metrics.jobs_completed) == (1, 4001)


def test_a_bus_that_schedules_does_not_dig_itself_in() -> None:
    """Each job is scheduled when the one before it has begun."""

    class Bus:
        def publish(self, event: JobEvent) -> None:
            if event.event_type == "job.started" and len(scheduler.list_jobs()) < 3000:
                scheduler.schedule(idle)

    async def idle() -> None: ...

    scheduler = AsyncScheduler(max_concurrency=5000, event_bus=Bus())
    scheduler.schedule(idle)
    assert len(asyncio.run(scheduler.run_all())) == 3000
    assert scheduler.metrics.jobs_completed == 3000


def test_time_may_be_over_before_the_workers_have_started() -> None:
    slow: Any = functions.SlowToArrive()
    found = process_map(slow, range(50), max_workers=5, chunk_size=1, timeout=0.3, errors="collect")
    assert totals(found).skipped == 50


def test_what_has_timed_out_adds_up_even_so() -> None:
    found = thread_map(functions.increment, itertools.repeat(1), timeout=1e-300, errors="collect")
    assert totals(found).total == 0
