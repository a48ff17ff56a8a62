"""What an engine `dask` has its workers do. One process of a worker carries out as many jobs as it has threads.

Dask looks into what it is given, for futures: so jobs, and what is to be done with them, come as bytes.
"""

import pickle
import signal
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from stepwave import __version__
from stepwave.core.job import Brought, Job
from stepwave.edge.executors.contract import Work

if TYPE_CHECKING:
    from distributed import Worker

MOST_TOLD = 4096
"""Bytes of an event. The scheduler keeps the last thousands of them; what is longer is fetched from the worker."""


def version() -> str:
    return __version__


def carry_out(work: bytes, topic: str, job: bytes) -> bytes | None:
    """Tells the runner what has come of the job, or gives it back where that is too much to be told."""
    from distributed import get_worker

    one: Job = pickle.loads(job)
    worker: Any = get_worker()
    doing = _watched(worker, _work(work))
    doing.add(one.key)
    try:
        brought: Brought = _work(work).carry_out(one, lambda: worker.log_event(topic, (one.key, None)))
    finally:
        doing.remove(one.key)
    data = pickle.dumps(brought)
    if len(data) > MOST_TOLD:
        return data
    worker.log_event(topic, (one.key, data))
    return None


def stop(work: bytes, keys: list[str], number: int) -> list[str]:
    """Those of the jobs that are at work here; the others are not begun any more."""
    return [key for key in keys if _work(work).stop(key, number)]


def freeze(work: bytes, keys: tuple[str, ...], still: bool) -> None:
    _work(work).freeze(keys, still)


@lru_cache(8)
def _work(data: bytes) -> Work:
    work: Work = pickle.loads(data)
    return work


# --- tasks that Dask lets go of ---------------------------------------------------------------------------------------


class Doing:
    """The jobs of one worker, as a plugin of it. Dask calls a plugin whatever has these methods, but for one base class
    that it asks for: `_plugin` adds it, so that this module does not import Dask."""

    def __init__(self, stop: Callable[[str, int], bool]) -> None:
        self._stop = stop
        self._keys: set[str] = set()

    def add(self, key: str) -> None:
        self._keys.add(key)

    def remove(self, key: str) -> None:
        self._keys.discard(key)

    def transition(self, key: object, start: str, finish: str, **_: object) -> None:
        if start == "executing" and finish == "released" and key in self._keys:
            self._stop(str(key), signal.SIGKILL)

    def teardown(self, worker: object) -> None:
        del worker
        for key in tuple(self._keys):
            self._stop(key, signal.SIGKILL)


_doing: dict[int, Doing] = {}
_lock = threading.Lock()


def _watched(worker: "Worker", work: Work) -> Doing:
    """The plugin of this worker, which is there from its first job on."""
    with _lock:
        doing = _doing.get(id(worker))
        if doing is None:
            doing = _doing[id(worker)] = _add_plugin(worker, work)
        return doing


def _add_plugin(worker: "Worker", work: Work) -> Doing:
    import asyncio

    from distributed import WorkerPlugin

    plugin: Doing = type("Plugin", (Doing, WorkerPlugin), {})(work.stop)
    adding = worker.plugin_add(plugin, name="stepwave")
    asyncio.run_coroutine_threadsafe(adding, worker.loop.asyncio_loop).result(10)
    return plugin
