"""AsyncScheduler: order, counts, events, and what is scheduled or cancelled while others run."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.parallel import AsyncJob, AsyncJobStatus, AsyncScheduler, JobEvent, SchedulerMetrics

from .test_coroutines import fail_without_words

PENDING, COMPLETED = AsyncJobStatus.PENDING, AsyncJobStatus.COMPLETED
FAILED, CANCELLED = AsyncJobStatus.FAILED, AsyncJobStatus.CANCELLED


async def double(x: int = 1, *, plus: int = 0) -> int:
    return 2 * x + plus


async def fail() -> None:
    raise ValueError("broken")


async def forever() -> None:
    await asyncio.Event().wait()


class Bus:
    def __init__(self) -> None:
        self.events: list[JobEvent] = []

    def publish(self, event: JobEvent) -> None:
        self.events.append(event)


def counts(metrics: SchedulerMetrics) -> tuple[int, int, int, int]:
    return metrics.jobs_scheduled, metrics.jobs_completed, metrics.jobs_failed, metrics.jobs_cancelled


def test_a_job_from_scheduled_to_completed() -> None:
    scheduler = AsyncScheduler()
    id = scheduler.schedule(double, name="twice", args=(4,), kwargs={"plus": 1}, priority=3)
    waiting = scheduler.get_job(id)
    assert waiting is not None
    assert (waiting.status, waiting.started_at, waiting.runs) == (PENDING, None, 0)
    jobs = asyncio.run(scheduler.run_all())
    job = jobs[id]
    assert job is waiting
    assert (job.name, job.args, job.kwargs, job.priority) == ("twice", (4,), {"plus": 1}, 3)
    assert (job.status, job.result, job.error, job.runs, job.max_runs) == (COMPLETED, 9, None, 1, 1)
    assert job.started_at is not None
    assert job.completed_at is not None
    assert job.scheduled_at <= job.started_at <= job.completed_at
    assert len(id) == 12
    assert asyncio.run(scheduler.run_all()) == {}


def test_a_failing_job_has_its_error_and_raises_nothing() -> None:
    scheduler = AsyncScheduler()
    id = scheduler.schedule(fail)
    job = asyncio.run(scheduler.run_all())[id]
    assert (job.name, job.status, job.error, job.result) == ("fail", FAILED, "broken", None)


@settings(deadline=None)  # an event loop each time: slow on a busy machine
@given(st.lists(st.integers(-3, 3), max_size=30))
def test_lower_numbers_first_and_equals_in_order(priorities: list[int]) -> None:
    ran: list[int] = []

    async def note(n: int) -> None:
        ran.append(n)

    scheduler = AsyncScheduler(max_concurrency=1)
    for n, priority in enumerate(priorities):
        scheduler.schedule(note, args=(n,), priority=priority)
    asyncio.run(scheduler.run_all())
    assert ran == sorted(range(len(priorities)), key=lambda n: priorities[n])


def test_what_is_scheduled_meanwhile_takes_its_place() -> None:
    ran: list[str] = []
    scheduler = AsyncScheduler(max_concurrency=1)

    async def note(name: str) -> None:
        ran.append(name)

    async def schedule_more() -> None:
        scheduler.schedule(note, name="last", args=("last",), priority=9)
        scheduler.schedule(note, name="next", args=("next",), priority=1)

    scheduler.schedule(schedule_more, priority=0)
    scheduler.schedule(note, name="later", args=("later",), priority=5)
    jobs = asyncio.run(scheduler.run_all())
    assert ran == ["next", "later", "last"]
    assert [job.name for job in jobs.values()] == ["schedule_more", "later", "last", "next"]
    assert {job.status for job in jobs.values()} == {COMPLETED}


def test_a_job_scheduled_from_outside_while_others_run_is_started_at_once() -> None:
    async def main() -> None:
        scheduler = AsyncScheduler(max_concurrency=2)
        go = asyncio.Event()
        scheduler.schedule(go.wait, name="waits")
        running = asyncio.create_task(scheduler.run_all())
        await asyncio.sleep(0)

        async def release() -> None:
            go.set()

        scheduler.schedule(release)
        assert len(await running) == 2

    asyncio.run(main())


def test_max_runs_is_honored_with_one_place_in_the_line_for_each_run() -> None:
    ran: list[str] = []

    async def note(name: str) -> int:
        ran.append(name)
        return len(ran)

    scheduler = AsyncScheduler(max_concurrency=1)
    three = scheduler.schedule(note, args=("three",), max_runs=3)
    scheduler.schedule(note, args=("once",))
    scheduler.schedule(note, args=("low",), priority=1)
    job = asyncio.run(scheduler.run_all())[three]
    assert ran == ["three", "once", "three", "three", "low"]
    assert (job.runs, job.max_runs, job.result, job.status) == (3, 3, 4, COMPLETED)
    assert counts(scheduler.metrics) == (3, 3, 0, 0)


def test_a_failure_or_a_cancellation_ends_the_runs_of_a_job() -> None:
    scheduler = AsyncScheduler(max_concurrency=1)
    failing = scheduler.schedule(fail, max_runs=5)

    async def cancel() -> None:
        assert scheduler.cancel(repeated)

    repeated = scheduler.schedule(double, max_runs=5)
    scheduler.schedule(cancel)
    jobs = asyncio.run(scheduler.run_all())
    assert (jobs[failing].runs, jobs[failing].status) == (1, FAILED)
    assert (jobs[repeated].runs, jobs[repeated].status) == (1, CANCELLED)
    assert counts(scheduler.metrics) == (3, 1, 1, 1)


def test_only_what_waits_can_be_cancelled() -> None:
    scheduler = AsyncScheduler()
    id = scheduler.schedule(double)
    assert scheduler.cancel(id)
    assert not scheduler.cancel(id)
    assert not scheduler.cancel("unknown")
    assert scheduler.get_job("unknown") is None
    done = scheduler.schedule(double)
    assert list(asyncio.run(scheduler.run_all())) == [done]
    assert not scheduler.cancel(done)
    assert [job.id for job in scheduler.list_jobs()] == [id, done]
    assert [job.id for job in scheduler.list_jobs(CANCELLED)] == [id]
    assert scheduler.list_jobs(PENDING) == []
    assert counts(scheduler.metrics) == (2, 1, 0, 1)


@pytest.mark.parametrize("bound", [1, 3])
def test_the_bound_holds_and_is_used(bound: int) -> None:
    running = peak = 0

    async def counted() -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1

    scheduler = AsyncScheduler(max_concurrency=bound)
    for _ in range(10):
        scheduler.schedule(counted)
    asyncio.run(scheduler.run_all())
    assert peak == bound
    assert scheduler.metrics.total_execution_time > 0


def test_events_tell_the_life_of_a_job() -> None:
    bus = Bus()
    scheduler = AsyncScheduler(max_concurrency=1, event_bus=bus)
    good, bad, none = scheduler.schedule(double), scheduler.schedule(fail), scheduler.schedule(double, name="none")
    scheduler.cancel(none)
    asyncio.run(scheduler.run_all())
    assert [(event.event_type, event.data["job_id"]) for event in bus.events] == [
        ("job.scheduled", good),
        ("job.scheduled", bad),
        ("job.scheduled", none),
        ("job.cancelled", none),
        ("job.started", good),
        ("job.completed", good),
        ("job.started", bad),
        ("job.failed", bad),
    ]
    failed = bus.events[-1]
    assert (failed.source, failed.data["job_name"], failed.data["error"]) == ("scheduler.fail", "fail", "broken")
    assert failed.data["execution_time"] > 0


def test_a_bus_may_emit_and_one_that_fails_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Fragile:
        heard = 0

        def emit(self, event: JobEvent) -> None:
            self.heard += 1
            if event.event_type == "job.started":
                raise ZeroDivisionError

    bus = Fragile()
    scheduler = AsyncScheduler(event_bus=bus)
    scheduler.schedule(double)
    asyncio.run(scheduler.run_all())
    assert counts(scheduler.metrics) == (1, 1, 0, 0)
    assert bus.heard == 2
    assert caplog.messages == ["the event bus failed at job.started, and is told nothing any more"]


def test_a_bus_that_schedules_and_cancels_from_within() -> None:
    class Meddler:
        def publish(self, event: JobEvent) -> None:
            if event.event_type == "job.started" and event.data["job_name"] == "first":
                scheduler.schedule(double, name="second")
            if event.event_type == "job.scheduled" and event.data["job_name"] == "unwanted":
                assert scheduler.cancel(event.data["job_id"])

    scheduler = AsyncScheduler(max_concurrency=1, event_bus=Meddler())
    scheduler.schedule(double, name="first")
    scheduler.schedule(double, name="unwanted")
    jobs = asyncio.run(scheduler.run_all())
    assert {job.name: job.status for job in scheduler.list_jobs()} == {
        "first": COMPLETED,
        "unwanted": CANCELLED,
        "second": COMPLETED,
    }
    assert [job.name for job in jobs.values()] == ["first", "second"]


def test_cancellation_from_outside_ends_what_runs_and_goes_on() -> None:
    async def main() -> None:
        scheduler = AsyncScheduler(max_concurrency=1)
        begun = asyncio.Event()

        async def first() -> None:
            begun.set()
            await forever()

        stopped, waiting = scheduler.schedule(first), scheduler.schedule(double)
        running = asyncio.create_task(scheduler.run_all())
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert [job.status for job in scheduler.list_jobs()] == [CANCELLED, PENDING]
        assert list(await scheduler.run_all()) == [waiting]
        job = scheduler.get_job(stopped)
        assert job is not None
        assert job.error == "Cancelled"
        assert counts(scheduler.metrics) == (2, 1, 0, 1)

    asyncio.run(main())


def test_a_job_that_cancels_itself_is_cancelled_alone() -> None:
    async def cancel_oneself() -> None:
        raise asyncio.CancelledError

    scheduler = AsyncScheduler(max_concurrency=1)
    scheduler.schedule(cancel_oneself)
    scheduler.schedule(double)
    asyncio.run(scheduler.run_all())
    assert [job.status for job in scheduler.list_jobs()] == [CANCELLED, COMPLETED]


def test_each_run_of_a_job_has_its_own_context() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)
    seen: list[int] = []

    async def adds_one() -> None:
        variable.set(variable.get() + 1)
        seen.append(variable.get())

    scheduler = AsyncScheduler(max_concurrency=1)
    for _ in range(3):
        scheduler.schedule(adds_one, max_runs=2)
    asyncio.run(scheduler.run_all())
    assert seen == [1] * 6


def test_run_all_within_run_all_is_refused() -> None:
    scheduler = AsyncScheduler()
    id = scheduler.schedule(scheduler.run_all)
    job = asyncio.run(scheduler.run_all())[id]
    assert (job.status, job.error) == (FAILED, "run_all is running already")


def test_wrong_arguments_of_a_job_are_its_failure() -> None:
    scheduler = AsyncScheduler()
    scheduler.schedule(double, args=(1, 2, 3))
    scheduler.schedule(len, args=("abc",))  # type: ignore[arg-type]
    asyncio.run(scheduler.run_all())
    assert [job.status for job in scheduler.list_jobs()] == [FAILED, FAILED]


def test_an_exception_without_words_is_an_error_too() -> None:
    scheduler = AsyncScheduler()
    id = scheduler.schedule(fail_without_words)
    assert asyncio.run(scheduler.run_all())[id].error == "Speechless, which cannot be put into words"


def test_bad_input_is_refused() -> None:
    class Nothing: ...

    class Waiting:
        async def publish(self, event: JobEvent) -> None: ...

    with pytest.raises(ValueError, match="max_concurrency must be at least 1, not 0"):
        AsyncScheduler(max_concurrency=0)
    with pytest.raises(TypeError, match="an event bus has a method `publish` or `emit`, Nothing has none"):
        AsyncScheduler(event_bus=Nothing())
    with pytest.raises(TypeError, match="`publish` of the event bus must be a plain method"):
        AsyncScheduler(event_bus=Waiting())
    scheduler = AsyncScheduler()
    with pytest.raises(ValueError, match="max_runs must be at least 1, not 0"):
        scheduler.schedule(double, max_runs=0)
    with pytest.raises(TypeError, match="priority must be a whole number, not str"):
        scheduler.schedule(double, priority="high")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="func must be a coroutine function, not int"):
        scheduler.schedule(5)  # type: ignore[arg-type]
    assert counts(scheduler.metrics) == (0, 0, 0, 0)


def test_metrics_as_a_dictionary() -> None:
    assert SchedulerMetrics(3, 1, 1, 1, 0.5).to_dict() == {
        "jobs_scheduled": 3,
        "jobs_completed": 1,
        "jobs_failed": 1,
        "jobs_cancelled": 1,
        "total_execution_time": 0.5,
    }


def test_a_job_of_ones_own_making_is_a_plain_value() -> None:
    job = AsyncJob(name="x", func=double)
    assert (job.priority, job.status, job.max_runs, len(job.id)) == (0, PENDING, 1, 12)


@settings(deadline=None)  # an event loop each time: slow on a busy machine
@given(st.data())
def test_counts_add_up_whatever_happened(data: Any) -> None:
    scheduler = AsyncScheduler(max_concurrency=data.draw(st.integers(1, 4)))
    kinds = data.draw(st.lists(st.sampled_from([double, fail, forever]), max_size=12))
    ids = [
        scheduler.schedule(kind, priority=data.draw(st.integers(0, 2)), max_runs=data.draw(st.integers(1, 3)))
        for kind in kinds
    ]
    for id in data.draw(st.lists(st.sampled_from(ids), max_size=4)) if ids else []:
        scheduler.cancel(id)
    turns = data.draw(st.integers(0, 20))

    async def main() -> None:
        running = asyncio.create_task(scheduler.run_all())
        for _ in range(turns):
            await asyncio.sleep(0)
            assert_adds_up(scheduler)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(main())
    assert_adds_up(scheduler)
    assert scheduler.list_jobs(AsyncJobStatus.RUNNING) == []


def assert_adds_up(scheduler: AsyncScheduler) -> None:
    m = scheduler.metrics
    open_jobs = scheduler.list_jobs(PENDING) + scheduler.list_jobs(AsyncJobStatus.RUNNING)
    assert m.jobs_scheduled == m.jobs_completed + m.jobs_failed + m.jobs_cancelled + len(open_jobs)
    assert m.jobs_completed == len(scheduler.list_jobs(COMPLETED))
