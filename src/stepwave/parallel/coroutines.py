"""Coroutines at the same time, within a bound, and what became of each.

Rule 1  Every task has a result, and is counted once, also the one whose failure ends the rest.
Rule 2  Each runs in an asyncio task of its own: with its own context variables, and cancelled on its own.
Rule 3  A cancellation from outside is not swallowed: everything is ended and recorded, then it goes on its way.
"""

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from stepwave.core.text import words_of
from stepwave.parallel.checks import at_least_one

log = logging.getLogger("stepwave.parallel")

CoroutineFunction = Callable[..., Coroutine[Any, Any, Any]]
Tasks = Iterable[tuple[str, CoroutineFunction, tuple[Any, ...]]]


@dataclass
class AsyncTaskResult:
    """What became of one task. `error` is the text of the exception, `error_type` its class; `execution_time` is in
    seconds, from the task's own start on. A task that was cancelled has the `error_type` CancelledError."""

    name: str
    success: bool
    value: Any = None
    error: str | None = None
    error_type: str | None = None
    execution_time: float = 0.0


OnTaskComplete = Callable[[AsyncTaskResult], object]


@dataclass
class AsyncExecutionResult:
    """What became of all of them: passed + failed + cancelled == total == len(results).

    `results` stand in the order in which the tasks ended; those that never began come last.
    """

    batch_id: str = field(default_factory=lambda: uuid4().hex[:12])
    total: int = 0
    passed: int = 0
    failed: int = 0
    cancelled: int = 0
    execution_time: float = 0.0
    results: list[AsyncTaskResult] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Whether every task has passed."""
        return self.failed == 0 and self.cancelled == 0

    def to_dict(self) -> dict[str, Any]:
        """Everything, with the results as dictionaries, which leave out `error_type`."""
        names = ("batch_id", "total", "passed", "failed", "cancelled", "execution_time", "success")
        of_result = ("name", "success", "value", "error", "execution_time")
        results = [{name: getattr(result, name) for name in of_result} for result in self.results]
        return {**{name: getattr(self, name) for name in names}, "results": results}


class AsyncParallelRunner:
    """Runs coroutines at the same time.

    `max_concurrency`: at most so many, None for all at once. `fail_fast`: the first failure cancels the rest.
    `on_task_complete` is called with each result, in the event loop; what it raises is logged and disturbs nothing.
    `last_result` is the result of the last run, of one that was cancelled too. Raises ValueError for a bound below 1,
    TypeError for a callback that is a coroutine function.
    """

    def __init__(
        self,
        *,
        max_concurrency: int | None = None,
        fail_fast: bool = False,
        on_task_complete: OnTaskComplete | None = None,
    ) -> None:
        self._max_concurrency = None if max_concurrency is None else at_least_one("max_concurrency", max_concurrency)
        self._fail_fast = fail_fast
        if inspect.iscoroutinefunction(on_task_complete):
            raise TypeError("on_task_complete must be a plain function: nobody awaits it")
        self._on_task_complete = on_task_complete
        self.last_result: AsyncExecutionResult | None = None

    async def run(self, tasks: Tasks) -> AsyncExecutionResult:
        """Await `function(*args)` of every (name, function, args), to the end of all of them.

        What they raise is recorded, not raised. Raises ValueError and TypeError for an entry that is no such triple,
        before any has begun, and CancelledError when the task that awaits this is cancelled, once all of them have
        ended.
        """
        wanted = [_checked(task) for task in tasks]
        run = _Run(wanted, self._max_concurrency or len(wanted), self._fail_fast, self._on_task_complete)
        self.last_result = run.result
        await run.through()
        return run.result


def _checked(task: tuple[str, CoroutineFunction, tuple[Any, ...]]) -> tuple[str, CoroutineFunction, tuple[Any, ...]]:
    name, function, args = task
    if not callable(function):
        raise TypeError(f"task `{name}` must be (name, function, args): {type(function).__name__} cannot be called")
    return name, function, tuple(args)


class _Run:
    """One run: the tasks that wait, in order, and those that are on their way."""

    def __init__(
        self,
        tasks: list[tuple[str, CoroutineFunction, tuple[Any, ...]]],
        width: int,
        fail_fast: bool,
        tell: OnTaskComplete | None,
    ) -> None:
        self.result = AsyncExecutionResult(total=len(tasks))
        self._waiting = iter(tasks)
        self._width = width
        self._fail_fast = fail_fast
        self._tell = tell
        self._running: dict[asyncio.Task[Any], tuple[str, float]] = {}
        self._stopped = False
        self._over = asyncio.get_running_loop().create_future()

    async def through(self) -> None:
        began = time.monotonic()
        interruption: asyncio.CancelledError | None = None
        self._fill()
        while self._running:
            try:
                await asyncio.shield(self._over)
            except asyncio.CancelledError as cancelled:
                interruption = cancelled
                self._end_early()
        self.result.execution_time = time.monotonic() - began
        log.info("batch %s: %d of %d passed", self.result.batch_id, self.result.passed, self.result.total)
        if interruption is not None:
            raise interruption

    def _fill(self) -> None:
        while len(self._running) < self._width and not self._stopped:
            found = next(self._waiting, None)
            if found is None:
                break
            name, function, args = found
            began = time.monotonic()  # before: there are loops whose tasks begin at once
            task = asyncio.create_task(_awaited(function, args), name=name)
            self._running[task] = name, began
            task.add_done_callback(self._ended)
        if not self._running and not self._over.done():
            for name, _, _ in self._waiting:  # there are some only after an early end
                self._record(_cancelled(name))
            self._over.set_result(None)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        name, began = self._running.pop(task)
        seconds = time.monotonic() - began
        if task.cancelled():
            self._record(_cancelled(name, seconds))
        elif (problem := task.exception()) is None:
            self.result.passed += 1
            self._record(AsyncTaskResult(name, True, task.result(), execution_time=seconds))
        else:
            self.result.failed += 1
            words, kind = words_of(problem), type(problem).__name__
            log.info("task %s failed: %s: %s", name, kind, words)
            self._record(AsyncTaskResult(name, False, None, words, kind, seconds))
            if self._fail_fast:
                self._end_early()
        self._fill()

    def _record(self, result: AsyncTaskResult) -> None:
        self.result.results.append(result)
        self.result.cancelled = len(self.result.results) - self.result.passed - self.result.failed
        if self._tell is not None:
            try:
                self._tell(result)
            except Exception:
                log.warning("on_task_complete failed for task %s", result.name, exc_info=True)

    def _end_early(self) -> None:
        """What runs is cancelled; what waits never begins."""
        self._stopped = True
        for task in self._running:
            task.cancel()


def _cancelled(name: str, seconds: float = 0.0) -> AsyncTaskResult:
    return AsyncTaskResult(name, False, None, "Cancelled", "CancelledError", seconds)


async def _awaited(function: CoroutineFunction, args: tuple[Any, ...]) -> Any:
    """Also what the call itself raises, before there is anything to await, is the task's own failure."""
    return await function(*args)
