"""Many scripts at a time: a runner, batches that follow one another, and what became of all of them, counted.

Every script of a run is in its results, and in exactly one of its counts: see `ExecutionResult`.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from stepwave.api import cpu_count
from stepwave.parallel.checks import at_least_one, seconds_or_none
from stepwave.parallel.commands import Brake
from stepwave.parallel.scripts import DEFAULT_TIMEOUT_S, Result, Script, log, read_script, run_all

ProgressCallback = Callable[[str, str, dict[str, Any]], None]
"""Called with a script's file name, or `batch`; what has happened; and details. See `ParallelRunner`."""

PathLike = str | os.PathLike[str]
Configs = Mapping[Any, Mapping[str, Any]]

_most_workers = 8
_counted = {"passed": "passed", "timeout": "timeout", "skipped": "skipped", "cancelled": "cancelled"}


def run_parallel(
    scripts: Iterable[PathLike],
    max_workers: int | None = None,
    timeout: float | None = DEFAULT_TIMEOUT_S,
    progress_callback: ProgressCallback | None = None,
) -> "ExecutionResult":
    """Run Python scripts at the same time; see `ParallelRunner` and its `run_scripts`."""
    return ParallelRunner(max_workers, progress_callback, timeout).run_scripts(scripts)


async def run_parallel_async(
    scripts: Iterable[PathLike],
    max_workers: int | None = None,
    timeout: float | None = DEFAULT_TIMEOUT_S,
    progress_callback: ProgressCallback | None = None,
) -> "ExecutionResult":
    """The same for a coroutine; see `ParallelRunner.run_scripts_async`."""
    return await ParallelRunner(max_workers, progress_callback, timeout).run_scripts_async(scripts)


@dataclass
class ExecutionResult:
    """What became of a run: passed + failed + timeout + skipped + cancelled == total.

    `failed` counts the scripts with status `error`, too. `results` holds one dictionary for each script, as
    `run_script` gives it, in the order in which they ended; a script that never began has no `start_time`.
    `execution_time` is in seconds.
    """

    total: int = 0
    passed: int = 0
    failed: int = 0
    timeout: int = 0
    skipped: int = 0
    cancelled: int = 0
    execution_time: float = 0.0
    results: list[Result] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Whether nothing has failed, taken too long or been cancelled."""
        return self.failed == 0 and self.timeout == 0 and self.cancelled == 0

    def to_dict(self) -> dict[str, Any]:
        """The counts, the time and `success`."""
        names = ("total", "passed", "failed", "timeout", "skipped", "cancelled", "execution_time", "success")
        return {name: getattr(self, name) for name in names}


def count(results: Sequence[Result], execution_time: float = 0.0) -> ExecutionResult:
    """Every result in exactly one of the counts."""
    counted = ExecutionResult(total=len(results), execution_time=execution_time, results=list(results))
    for result in results:
        name = _counted.get(result["status"], "failed")
        setattr(counted, name, getattr(counted, name) + 1)
    return counted


class ParallelRunner:
    """Runs Python scripts at the same time.

    `max_workers`: at most so many; None for the CPUs that this process may use, but at most 8. `default_timeout`:
    seconds for each script, None for no limit. `fail_fast`: the first script that fails, takes too long or cannot be
    started ends the run: what waits is skipped, what runs is cancelled.

    `progress_callback` is called in the thread that runs the scripts: `("batch", "started", {"total", "workers"})`; for
    each script `(name, "submitted", {})` and `(name, status, {"execution_time"})`; `("batch", "completed", …)` with the
    counts. What it raises is logged and disturbs nothing.

    One runner may be used by several threads at once. Raises ValueError and TypeError for numbers that make no sense.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        progress_callback: ProgressCallback | None = None,
        default_timeout: float | None = DEFAULT_TIMEOUT_S,
        fail_fast: bool = False,
    ) -> None:
        self.max_workers = min(cpu_count(), _most_workers) if max_workers is None else max_workers
        at_least_one("max_workers", self.max_workers)
        self.progress_callback = progress_callback
        self.default_timeout = seconds_or_none("default_timeout", default_timeout)
        self.fail_fast = fail_fast
        self._brakes: set[Brake] = set()

    def run_scripts(
        self,
        scripts: Iterable[PathLike],
        timeout: float | None = None,
        cwd: PathLike | None = None,
        env: Mapping[str, str] | None = None,
        configs: Configs | None = None,
    ) -> ExecutionResult:
        """Run all of them to their end.

        `timeout` is in seconds, None for `default_timeout`; `cwd` and `env` are as for `run_script`. `configs` holds a
        `config` of `run_script` for some scripts: by path, as it is given here, absolute, or relative to `cwd` or to
        the current folder; or else by file name. Raises ValueError and TypeError as `run_script` does, before any
        script has begun, and OSError when no process can be started at all.
        """
        return self._run(self._read(scripts, timeout, cwd, env, configs), Brake())

    async def run_scripts_async(
        self,
        scripts: Iterable[PathLike],
        timeout: float | None = None,
        cwd: PathLike | None = None,
        env: Mapping[str, str] | None = None,
        configs: Configs | None = None,
    ) -> ExecutionResult:
        """The same in a thread, while the event loop goes on; callbacks are called in that thread.

        When the awaiting task is cancelled, so is the run: CancelledError comes once nothing is left of it.
        """
        wanted = self._read(scripts, timeout, cwd, env, configs)
        brake = Brake()
        with ThreadPoolExecutor(1, "stepwave scripts") as pool:
            running = asyncio.wrap_future(pool.submit(self._run, wanted, brake))
            try:
                return await asyncio.shield(running)
            except BaseException as interruption:
                brake.pull()
                if isinstance(interruption, asyncio.CancelledError):
                    await _ended(running, brake)
                raise

    def cancel(self) -> None:
        """End the runs that are going on, from any thread: what waits is not begun, what runs is ended (SIGTERM, a
        second later SIGKILL), and both count as cancelled. The second time kills at once. Without a run nothing
        happens."""
        for brake in list(self._brakes):
            brake.pull()

    def _read(
        self,
        scripts: Iterable[PathLike],
        timeout: float | None,
        cwd: PathLike | None,
        env: Mapping[str, str] | None,
        configs: Configs | None,
    ) -> list[Script]:
        limit = self.default_timeout if timeout is None else timeout
        found = {os.fspath(key): config for key, config in (configs or {}).items()}
        return [read_script(path, limit, env, cwd, config_of(path, found, cwd)) for path in listed(scripts)]

    def _run(self, scripts: list[Script], brake: Brake) -> ExecutionResult:
        began = time.monotonic()
        self._brakes.add(brake)
        try:
            self._tell("batch", "started", {"total": len(scripts), "workers": self.max_workers})
            results = run_all(
                scripts, width=self.max_workers, fail_fast=self.fail_fast, brake=brake, tell=self._tell_script
            )
        finally:
            self._brakes.discard(brake)
        counted = count(results, time.monotonic() - began)
        self._tell("batch", "completed", counted.to_dict())
        return counted

    def _tell_script(self, script: Script, status: str, result: Result) -> None:
        details = {"execution_time": result["execution_time"]} if result else {}
        self._tell(script.path.name, status, details)

    def _tell(self, name: str, status: str, details: dict[str, Any]) -> None:
        if self.progress_callback is None:
            return
        try:
            self.progress_callback(name, status, details)
        except Exception:
            log.warning("the progress callback failed at %s (%s)", name, status, exc_info=True)


async def _ended(running: "asyncio.Future[ExecutionResult]", brake: Brake) -> None:
    """Whoever cancels again while it is being ended wants it killed."""
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            brake.pull()
    if not running.cancelled():
        running.exception()  # looked at: the cancellation is what the caller hears of


def listed(scripts: Iterable[PathLike]) -> list[PathLike]:
    """Raises TypeError for a single path, which a list of letters would be made of."""
    if isinstance(scripts, str | os.PathLike):
        raise TypeError(f"scripts must be a list of paths, not the path {os.fspath(scripts)!r}")
    return list(scripts)


def config_of(
    script: PathLike, configs: Mapping[str, Mapping[str, Any]], cwd: PathLike | None = None
) -> Mapping[str, Any] | None:
    """The config of a script: the one for its path, before the one for its file name, which others may share."""
    path = os.fspath(script)
    absolute = os.path.abspath(path)  # noqa: PTH100
    keys = [path, absolute, os.path.relpath(absolute)]
    if cwd is not None:
        keys.append(os.path.relpath(absolute, cwd))
    for key in (*keys, os.path.basename(path)):  # noqa: PTH119
        if key in configs:
            return configs[key]
    return None


class BatchRunner:
    """Runs batches of scripts one after the other, those of a batch at the same time; see `ParallelRunner`."""

    def __init__(self, max_workers: int | None = None, progress_callback: ProgressCallback | None = None) -> None:
        self.parallel_runner = ParallelRunner(max_workers, progress_callback)

    def run_batches(
        self,
        batches: Iterable[Iterable[PathLike]],
        timeout: float | None = DEFAULT_TIMEOUT_S,
        cwd: PathLike | None = None,
        stop_on_batch_failure: bool = True,
    ) -> list[ExecutionResult]:
        """One result for each batch that has begun.

        With `stop_on_batch_failure` the first batch without `success` is the last. `timeout` is for each script, in
        seconds. Raises as `ParallelRunner.run_scripts` does.
        """
        results = []
        for batch in [listed(batch) for batch in batches]:
            results.append(self.parallel_runner.run_scripts(batch, math.inf if timeout is None else timeout, cwd))
            if stop_on_batch_failure and not results[-1].success:
                break
        return results
