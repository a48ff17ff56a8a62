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
SILENT, BEGUN = b"silent", b"begun"
"""What is told of a job that goes on. No pickle looks like that."""
BEGUN_S = 0.05
"""That a job has begun is told after so long, and of most short ones never: each message costs as much as they do."""


def version() -> str:
    return __version__


def carry_out(work: bytes, topic: str, job: bytes) -> bytes | None:
    """Tells the runner what has come of the job, or gives it back where that is too much to be told."""
    from distributed import get_worker

    one: Job = pickle.loads(job)
    worker: Any = get_worker()
    doing = _watched(worker, _work(work))
    doing.add(one.key)
    worker.loop.add_callback(doing.tell_begun, one.key, topic)
    try:
        brought: Brought = _work(work).carry_out(one, lambda: worker.log_event(topic, (one.key, SILENT)))
    finally:
        doing.remove(one.key)
    data = pickle.dumps(brought)
    if len(data) > MOST_TOLD:
        return data
    doing.brought[one.key] = (topic, data)
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
    that it asks for: `_add_plugin` adds it, so that this module does not import Dask.

    `brought` is told at the moment in which Dask is about to tell the scheduler that the task has ended: the two, and
    what the scheduler makes of them for the runner, are one message each then.
    """

    def __init__(self, stop: Callable[[str, int], bool], worker: Any) -> None:
        self._stop = stop
        self._worker = worker
        self._keys: set[str] = set()
        self.brought: dict[str, tuple[str, bytes]] = {}

    def add(self, key: str) -> None:
        self._keys.add(key)

    def remove(self, key: str) -> None:
        self._keys.discard(key)

    def tell_begun(self, key: str, topic: str) -> None:
        """In a while, if it is still at work then. Called in the thread of the worker's loop."""

        def tell() -> None:
            if key in self._keys:
                self._worker.log_event(topic, (key, BEGUN))

        self._worker.loop.call_later(BEGUN_S, tell)

    def transition(self, key: object, start: str, finish: str, **_: object) -> None:
        if finish != "executing" and key in self.brought:
            topic, data = self.brought.pop(str(key))
            self._worker.log_event(topic, (key, data))
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

    plugin: Doing = type("Plugin", (Doing, WorkerPlugin), {})(work.stop, worker)
    adding = worker.plugin_add(plugin, name="stepwave")
    asyncio.run_coroutine_threadsafe(adding, worker.loop.asyncio_loop).result(10)
    return plugin
