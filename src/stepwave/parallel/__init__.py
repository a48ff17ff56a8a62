"""The toolkit for Python callers: maps over threads and processes, script runners, async runners.

    >>> from stepwave.parallel import thread_map
    >>> thread_map(str.upper, ["a", "b"])
    ['A', 'B']

Importing this package imports none of its modules until a name is asked for. docs/python-api.md tells what to use when.
"""

TYPE_CHECKING = False  # importing typing would cost more than all the rest of this module
if TYPE_CHECKING:
    from stepwave.parallel.cores import cpu_count, resource_aware_workers
    from stepwave.parallel.coroutines import AsyncExecutionResult, AsyncParallelRunner, AsyncTaskResult
    from stepwave.parallel.functions import run_function
    from stepwave.parallel.maps import (
        gather_results,
        parallel_batch,
        rate_limited_map,
        thread_map,
        thread_map_unordered,
    )
    from stepwave.parallel.outcomes import Outcome, Status, Totals, WorkerDied, totals
    from stepwave.parallel.processes import process_map
    from stepwave.parallel.runners import (
        BatchRunner,
        ExecutionResult,
        ParallelRunner,
        run_parallel,
        run_parallel_async,
    )
    from stepwave.parallel.scheduler import AsyncJob, AsyncJobStatus, AsyncScheduler, JobEvent, SchedulerMetrics
    from stepwave.parallel.scripts import run_script

_HOMES = {
    "cores": ("cpu_count", "resource_aware_workers"),
    "coroutines": ("AsyncExecutionResult", "AsyncParallelRunner", "AsyncTaskResult"),
    "functions": ("run_function",),
    "maps": ("gather_results", "parallel_batch", "rate_limited_map", "thread_map", "thread_map_unordered"),
    "outcomes": ("Outcome", "Status", "Totals", "WorkerDied", "totals"),
    "processes": ("process_map",),
    "runners": ("BatchRunner", "ExecutionResult", "ParallelRunner", "run_parallel", "run_parallel_async"),
    "scheduler": ("AsyncJob", "AsyncJobStatus", "AsyncScheduler", "JobEvent", "SchedulerMetrics"),
    "scripts": ("run_script",),
}
"""Which module has which names. A test holds it equal to what is imported above and to `__all__`."""

__all__ = [
    "AsyncExecutionResult",
    "AsyncJob",
    "AsyncJobStatus",
    "AsyncParallelRunner",
    "AsyncScheduler",
    "AsyncTaskResult",
    "BatchRunner",
    "ExecutionResult",
    "JobEvent",
    "Outcome",
    "ParallelRunner",
    "SchedulerMetrics",
    "Status",
    "Totals",
    "WorkerDied",
    "cpu_count",
    "gather_results",
    "parallel_batch",
    "process_map",
    "rate_limited_map",
    "resource_aware_workers",
    "run_function",
    "run_parallel",
    "run_parallel_async",
    "run_script",
    "thread_map",
    "thread_map_unordered",
    "totals",
]


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            found: object = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = found  # asked for once, found at once from then on
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
