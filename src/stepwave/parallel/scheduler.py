"""Coroutines with priorities, carried out by one event loop.

Rule 1  The job with the lowest number goes first, among equals the one that was scheduled first; one that is scheduled
        while others run takes its place among those that still wait.
Rule 2  jobs_scheduled == jobs_completed + jobs_failed + jobs_cancelled + those that wait or run, at every moment.
Rule 3  Nothing here is for several threads: schedule, cancel and run_all belong to the thread of the event loop.
"""

import asyncio
import inspect
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import Enum
from heapq import heappop, heappush
from typing import Any, NamedTuple
from uuid import uuid4

from stepwave.core.model import nothing
from stepwave.core.text import words_of
from stepwave.parallel.checks import at_least_one

log = logging.getLogger("stepwave.parallel")

CoroutineFunction = Callable[..., Coroutine[Any, Any, Any]]


class AsyncJobStatus(Enum):
    """Where a job is, or how it has ended."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class AsyncJob:
    """A coroutine function, its arguments, and what has become of it.

    `result` is that of its last run, `error` the text of the exception that has ended it; moments are in local time,
    `started_at` that of its first run. `runs` counts how often it has been started, at most `max_runs` times.
    """

    id: str = field(default_factory=lambda: uuid4().hex[:12])
    name: str = ""
    func: CoroutineFunction | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0
    status: AsyncJobStatus = AsyncJobStatus.PENDING
    result: Any = None
    error: str | None = None
    scheduled_at: datetime = field(default_factory=datetime.now)
    started_at: datetime | None = None
    completed_at: datetime | None = None
    max_runs: int = 1
    runs: int = 0


@dataclass
class SchedulerMetrics:
    """Jobs by what became of them, each counted once however often it ran. `total_execution_time` is the sum of the
    times of all runs, in seconds."""

    jobs_scheduled: int = 0
    jobs_completed: int = 0
    jobs_failed: int = 0
    jobs_cancelled: int = 0
    total_execution_time: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class JobEvent(NamedTuple):
    """What an event bus is told. `event_type` is `job.scheduled`, `job.started`, `job.completed`, `job.failed` or
    `job.cancelled`; `source` is `scheduler.<name of the job>`; `data` has `job_id`, `job_name`, at its end
    `execution_time` in seconds and, for one that has failed, `error`."""

    event_type: str
    source: str
    data: Mapping[str, Any]


class _Queue:
    """Jobs that wait: a line for each priority, and a heap of the priorities that have one.

    One heap of all jobs costs 2 µs more for each of 100,000.
    """

    def __init__(self) -> None:
        self._lines: dict[int, deque[AsyncJob]] = {}
        self._priorities: list[int] = []

    def add(self, job: AsyncJob) -> None:
        line = self._lines.get(job.priority)
        if line is None:
            self._lines[job.priority] = deque((job,))
            heappush(self._priorities, job.priority)
        else:
            line.append(job)

    def take(self) -> AsyncJob | None:
        if not self._priorities:
            return None
        line = self._lines[self._priorities[0]]
        job = line.popleft()
        if not line:
            del self._lines[heappop(self._priorities)]
        return job


class AsyncScheduler:
    """Keeps jobs, and runs them at most `max_concurrency` at a time.

    `event_bus` is any object with a method `publish(event)` or `emit(event)`, which is no coroutine function; it is
    told a `JobEvent` whenever something happens to a job, until it raises something, which is logged. `metrics` are the
    counts so far. Raises ValueError for a bound below 1 and TypeError for a bus without such a method.
    """

    def __init__(self, *, max_concurrency: int = 4, event_bus: Any = None) -> None:
        self._max_concurrency = at_least_one("max_concurrency", max_concurrency)
        self._send = _sender(event_bus)
        self.metrics = SchedulerMetrics()
        self._jobs: dict[str, AsyncJob] = {}
        self._prefix = uuid4().hex[:4]
        self._queue = _Queue()
        self._running: dict[asyncio.Task[Any], tuple[AsyncJob, float]] = {}
        self._asked: dict[str, AsyncJob] = {}
        self._over: asyncio.Future[None] | None = None
        self._is_filling = False

    def schedule(
        self,
        func: CoroutineFunction,
        *,
        name: str | None = None,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        priority: int = 0,
        max_runs: int = 1,
    ) -> str:
        """Queue a job, and give back its id.

        The lower its `priority`, the earlier it starts. It is run `max_runs` times, each time queued anew, unless it
        fails or is cancelled before. Raises TypeError for what is no function or no whole number, ValueError for
        `max_runs` below 1.
        """
        if not callable(func):
            raise TypeError(f"func must be a coroutine function, not {type(func).__name__}")
        if not isinstance(priority, int):
            raise TypeError(f"priority must be a whole number, not {type(priority).__name__}")
        at_least_one("max_runs", max_runs)
        id = f"{self._prefix}{len(self._jobs):08x}"
        job = AsyncJob(
            id,
            name or str(getattr(func, "__name__", type(func).__name__)),
            func,
            args,
            kwargs or {},
            priority,
            max_runs=max_runs,
        )
        self._jobs[id] = job
        self.metrics.jobs_scheduled += 1
        if self._send is not None:
            self._tell("scheduled", job)
        self._queue.add(job)
        if self._over is not None and not self._over.done():
            self._asked[id] = job
            self._fill(self._over)
        return id

    async def run_all(self) -> dict[str, AsyncJob]:
        """Run every pending job, and those that are scheduled meanwhile; the jobs by their ids.

        A job that fails keeps its error; nothing is raised. When the task that awaits this is cancelled, the running
        jobs are cancelled, the others stay pending, and CancelledError comes once the running ones have ended. Raises
        RuntimeError when it is running already.
        """
        if self._over is not None:
            raise RuntimeError("run_all is running already")
        over = self._over = asyncio.get_running_loop().create_future()
        asked = self._asked = {job.id: job for job in self._jobs.values() if job.status is AsyncJobStatus.PENDING}
        try:
            self._fill(over)
            await over
        finally:
            self._over, self._asked = None, {}
            await self._end_running()
        return asked

    def cancel(self, job_id: str) -> bool:
        """Cancel a job that waits. False for one that does not: it is running, has ended, or is not known."""
        job = self._jobs.get(job_id)
        if job is None or job.status is not AsyncJobStatus.PENDING:
            return False
        self._end(job, AsyncJobStatus.CANCELLED)
        return True

    def get_job(self, job_id: str) -> AsyncJob | None:
        return self._jobs.get(job_id)

    def list_jobs(self, status: AsyncJobStatus | None = None) -> list[AsyncJob]:
        """All jobs, or those with this status, in the order in which they were scheduled."""
        return [job for job in self._jobs.values() if status is None or job.status is status]

    # --- from queued to ended ------------------------------------------------------------------------------------

    def _fill(self, over: "asyncio.Future[None]") -> None:
        if self._is_filling:
            return  # a bus, or a job that has begun at once, has scheduled another: the loop below will come to it
        self._is_filling = True
        try:
            while len(self._running) < self._max_concurrency and (job := self._queue.take()) is not None:
                if job.status is AsyncJobStatus.PENDING:  # otherwise it was cancelled while it waited
                    self._start(job, over.get_loop())
        finally:
            self._is_filling = False
        if not self._running and not over.done():
            over.set_result(None)

    def _start(self, job: AsyncJob, loop: asyncio.AbstractEventLoop) -> None:
        job.status = AsyncJobStatus.RUNNING
        job.runs += 1
        if job.started_at is None:
            job.started_at = datetime.now()
        began = time.monotonic()  # before: there are loops whose tasks begin at once
        task = loop.create_task(_awaited(job))
        self._running[task] = job, began
        task.add_done_callback(self._ended)
        if self._send is not None:  # last: whoever is told may schedule another one
            self._tell("started", job)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        job, began = self._running.pop(task)
        seconds = time.monotonic() - began
        self.metrics.total_execution_time += seconds
        if task.cancelled():
            job.error = "Cancelled"
            self._end(job, AsyncJobStatus.CANCELLED, execution_time=seconds)
        elif (problem := task.exception()) is not None:
            job.error = words_of(problem)
            log.info("job %s failed: %s: %s", job.name, type(problem).__name__, job.error)
            self._end(job, AsyncJobStatus.FAILED, execution_time=seconds, error=job.error)
        else:
            job.result = task.result()
            if job.runs < job.max_runs:
                job.status = AsyncJobStatus.PENDING
                self._queue.add(job)
            else:
                self._end(job, AsyncJobStatus.COMPLETED, execution_time=seconds)
        if self._over is not None:
            self._fill(self._over)

    def _end(self, job: AsyncJob, status: AsyncJobStatus, **facts: Any) -> None:
        job.status = status
        job.completed_at = datetime.now()
        if status is AsyncJobStatus.COMPLETED:
            self.metrics.jobs_completed += 1
        elif status is AsyncJobStatus.FAILED:
            self.metrics.jobs_failed += 1
        else:
            self.metrics.jobs_cancelled += 1
        if self._send is not None:
            self._tell(status.value, job, facts)

    async def _end_running(self) -> None:
        """After an early end: what runs is cancelled, and waited for whoever cancels again meanwhile."""
        interruption: asyncio.CancelledError | None = None
        for task in self._running:
            task.cancel()
        while self._running:
            try:
                await asyncio.wait(list(self._running))
                await asyncio.sleep(0)  # their callbacks
            except asyncio.CancelledError as cancelled:
                interruption = cancelled
        if interruption is not None:
            raise interruption

    def _tell(self, what: str, job: AsyncJob, facts: Mapping[str, Any] = nothing) -> None:
        if self._send is None:
            return
        event = JobEvent(f"job.{what}", f"scheduler.{job.name}", {"job_id": job.id, "job_name": job.name, **facts})
        try:
            self._send(event)
        except Exception:
            self._send = None
            log.warning("the event bus failed at %s, and is told nothing any more", event.event_type, exc_info=True)


def _sender(event_bus: Any) -> Callable[[JobEvent], object] | None:
    if event_bus is None:
        return None
    for name in ("publish", "emit"):
        method: Callable[[JobEvent], object] | None = getattr(event_bus, name, None)
        if method is not None and inspect.iscoroutinefunction(method):
            raise TypeError(f"`{name}` of the event bus must be a plain method: scheduling a job does not await it")
        if callable(method):
            return method
    raise TypeError(f"an event bus has a method `publish` or `emit`, {type(event_bus).__name__} has none")


async def _awaited(job: AsyncJob) -> Any:
    """Also what the call itself raises, before there is anything to await, is the job's own failure."""
    assert job.func is not None
    return await job.func(*job.args, **job.kwargs)
