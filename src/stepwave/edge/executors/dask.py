"""Dask as an engine: `dask` for a cluster of this machine that lives as long as the run, `dask://host:port` for one
that is there.

Rule 1  One attempt is one task, with a key of its own. Dask's own second tries are none of ours: a task whose worker is
        lost is taken back from Dask, and told as lost once no worker has it any more.
Rule 2  What comes of a job travels as an event, which costs a message on a stream that is open; a result would have to
        be fetched. Only what is too large for an event is fetched. The topic is the id of the client, which the
        scheduler forgets with the client.
Rule 3  Stops, and whatever else has to get to the workers at once, go past the queue of tasks (`Client.run`), in a
        thread that does nothing else: the loop is never blocked.
Rule 4  When Dask lets go of a running task, because its client is gone (kill -9), the worker kills the job.
Rule 5  A graph that is handed over costs the client and the scheduler a millisecond each, whatever is in it, and a
        client sends once in 10 ms: so what comes within that time is handed over together, in a thread of its own; and
        what comes within a longer time, as long as the workers have enough to do.
Rule 6  A job may wait in Dask's queue, so its time does not count until its worker says that it has begun.
"""

import logging
import pickle
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from stepwave import __version__
from stepwave.core.job import Brought, Job
from stepwave.core.text import one_line
from stepwave.edge.executors import dask_worker
from stepwave.edge.executors.contract import Desk, Refused, Work
from stepwave.edge.executors.masked_signals import deaf

if TYPE_CHECKING:
    from distributed import Client, LocalCluster
    from distributed import Future as Task

CONNECT_S = 5
TOGETHER_S = 0.01
"""What comes within this time is handed over together: the interval in which a client of Dask sends."""
PATIENCE_S = 10.0
"""How long a job that is killed at the end of the run may take to say so."""


def open_engine(rest: str, width: int | None) -> "Dask":
    """`rest` is empty, or `//host:port`, or `tls://host:port`. Raises Refused."""
    log = logging.getLogger("distributed")
    level, cluster, client = log.level, None, None
    log.setLevel(logging.CRITICAL + 1)  # what concerns the run is told by the run, on the terminal that shows it
    try:
        with deaf():
            if not rest:
                cluster = _local_cluster(width)
            elif _turns_away(rest):
                raise _nobody_at(rest, "nobody listens there")
            client = _connected(cluster or (f"tcp:{rest}" if rest.startswith("//") else rest))
        name = f"dask:{rest}" if rest else "dask"
        return Dask(name, client, cluster, _check(name, client, rest), partial(log.setLevel, level))
    except BaseException:
        for end in (client, cluster):
            if end is not None:
                end.close()
        log.setLevel(level)
        raise


class Offer(NamedTuple):
    """What the workers have, taken together; of a resource what the best of them has."""

    slots: int
    pools: Mapping[str, int]


class Dask:
    """An engine: see `contract.Engine`."""

    hears_silence = True
    ahead = 3

    def __init__(
        self, name: str, client: "Client", cluster: "LocalCluster | None", offer: Offer, loud: Callable[[], None]
    ) -> None:
        self.name = name
        self.slots: int | None = offer.slots
        self.pools = offer.pools
        self._client = client
        self._cluster = cluster
        self._loud = loud
        self._lock = threading.Lock()
        self._live: dict[str, Task[Any] | None] = {}  # None: it is being submitted, and may be done before it has been
        self._none_live = threading.Event()
        self._errands: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._jobs: queue.SimpleQueue[Sequence[Job] | threading.Event | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=work, name=f"stepwave dask {name}", daemon=True)
            for name, work in (("hands over", self._hand_over), ("runs errands", self._run_errands))
        ]

    def begin(self, desk: Desk, work: Work) -> None:
        self._desk = desk
        self._work = pickle.dumps(work)
        self._client.subscribe_topic(self._client.id, self._hear)
        self._client.subscribe_topic("all", self._notice)
        for thread in self._threads:
            thread.start()

    def submit(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            self._live.update(dict.fromkeys(job.key for job in jobs))
        for job in jobs:
            self._desk.held(job.key)
        self._jobs.put(jobs)

    def stop(self, key: str, number: int) -> None:
        self._errands.put(partial(self._stop, [key], number))

    def freeze(self, keys: tuple[str, ...], still: bool) -> None:
        if not keys:
            return
        done = threading.Event()

        def freeze() -> None:
            self._on_workers(dask_worker.freeze, self._work, keys, still)
            done.set()

        self._errands.put(freeze)
        done.wait(2.0)

    def close(self) -> None:
        with self._lock:
            keys = list(self._live)
            self._none_live.clear()
        if keys:
            self._errands.put(partial(self._stop, keys, signal.SIGKILL))
            self._none_live.wait(PATIENCE_S)
        self._jobs.put(None)
        self._errands.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(PATIENCE_S)
        with suppress(Exception):  # a scheduler that is gone is closed enough
            for topic in (self._client.id, "all"):
                self._client.unsubscribe_topic(topic)
        for end in (self._client, self._cluster):
            if end is not None:
                with suppress(Exception):
                    end.close(timeout=PATIENCE_S)
        self._loud()

    # --- the thread that hands jobs over ----------------------------------------------------------------

    def _hand_over(self) -> None:
        sent = 0.0
        while (first := self._jobs.get()) is not None:
            time.sleep(max(0.0, sent + self._pause() - time.monotonic()))
            found: list[Sequence[Job] | threading.Event | None] = [first]
            while not self._jobs.empty():
                found.append(self._jobs.get())
            self._give([job for jobs in found if jobs and not isinstance(jobs, threading.Event) for job in jobs])
            sent = time.monotonic()
            for one in found:
                if isinstance(one, threading.Event):
                    one.set()
            if None in found:
                return

    def _pause(self) -> float:
        with self._lock:
            queued = sum(task is not None for task in self._live.values()) - (self.slots or 0)
        return TOGETHER_S if queued <= (self.slots or 0) else 4 * TOGETHER_S

    def _give(self, jobs: Sequence[Job]) -> None:
        alike: dict[tuple[tuple[str, int], ...], list[Job]] = {}
        for job in jobs:
            alike.setdefault(tuple((n, u) for n, u in job.launch.pools if n in self.pools), []).append(job)
        for resources, group in alike.items():
            keys = [job.key for job in group]
            try:
                futures = self._client.map(
                    partial(dask_worker.carry_out, self._work, self._client.id),
                    [pickle.dumps(job) for job in group],
                    key=keys,
                    pure=False,
                    retries=0,
                    resources=dict(resources) or None,
                )
            except Exception as problem:
                for key in filter(self._taken, keys):
                    self._desk.failed(key, f"{self.name} takes no job: {_said(problem)}")
                continue
            with self._lock:
                self._live |= {key: future for key, future in zip(keys, futures, strict=True) if key in self._live}
            for future in futures:
                future.add_done_callback(self._done)

    # --- the thread for errands -----------------------------------------------------------------------

    def _run_errands(self) -> None:
        while (errand := self._errands.get()) is not None:
            with suppress(Exception):  # the scheduler is gone, which every future says of itself
                errand()

    def _on_workers(self, function: Callable[..., Any], *arguments: object) -> list[Any]:
        answers: dict[str, Any] = self._client.run(function, *arguments, on_error="ignore")
        return list(answers.values())

    def _stop(self, keys: list[str], number: int) -> None:
        handed = threading.Event()
        self._jobs.put(handed)  # what was on its way is with Dask then, and can be taken back
        handed.wait(PATIENCE_S)
        at_work = {key for found in self._on_workers(dask_worker.stop, self._work, keys, number) for key in found}
        queued = self._futures(key for key in keys if key not in at_work)
        self._client.cancel(list(queued.values()))
        for key in filter(self._taken, queued):
            self._desk.withdrawn(key)

    def _give_up(self, lost: list[str], futures: list[Any], worker: str) -> None:
        """Dask has put what a lost worker had on others already: it is taken back before anybody tries again."""
        with suppress(Exception):
            self._client.cancel(futures)
            self._on_workers(dask_worker.stop, self._work, lost, signal.SIGKILL)
        for key in lost:
            self._desk.lost(key, f"its Dask worker was lost ({worker})")

    # --- what comes in, in threads of Dask ----------------------------------------------------------------

    def _futures(self, keys: Iterable[str]) -> "dict[str, Task[Any]]":
        """Of those that have not been answered."""
        with self._lock:
            return {key: future for key in keys if (future := self._live.get(key)) is not None}

    def _taken(self, key: str) -> bool:
        """Whether the job has not been answered; it is from here on."""
        with self._lock:
            is_live = key in self._live
            self._live.pop(key, None)
            if not self._live:
                self._none_live.set()
            return is_live

    def _hear(self, event: tuple[float, Any]) -> None:
        """From `dask_worker.carry_out`."""
        _, told = event
        if isinstance(told, dict):
            return  # Dask tells of the client by the same name
        key, data = told
        if data == dask_worker.SILENT:
            self._desk.silent(key)
        elif data == dask_worker.BEGUN:
            self._desk.begun(key)
        elif self._taken(key):
            brought: Brought = pickle.loads(data)
            self._desk.ended(key, brought)

    def _notice(self, event: tuple[float, Any]) -> None:
        """What the scheduler tells everybody: of a lost worker, what it had."""
        _, told = event
        if not isinstance(told, dict) or told.get("action") != "remove-worker":
            return
        keys = [key for key in told.get("processing-tasks", ()) if isinstance(key, str)]
        futures = self._futures(keys)
        lost = [key for key in futures if self._taken(key)]
        if lost:
            self._errands.put(partial(self._give_up, lost, list(futures.values()), str(told.get("worker"))))

    def _done(self, future: "Task[Any]") -> None:
        if not self._taken(future.key):
            return  # told already, as most are
        if future.status == "finished":
            self._fetch(future)
        elif future.status == "cancelled" or self._client.status != "running":
            self._desk.failed(future.key, f"the Dask scheduler of {self.name} was lost")
        else:
            self._fail(future.key, future.exception())

    def _fetch(self, future: "Task[Any]") -> None:
        try:
            brought: Brought = pickle.loads(future.result(timeout=60))
        except Exception as problem:
            self._desk.lost(future.key, f"what it brought was lost with its Dask worker: {_said(problem)}")
        else:
            self._desk.ended(future.key, brought)

    def _fail(self, key: str, problem: BaseException | None) -> None:
        from distributed import KilledWorker

        if isinstance(problem, KilledWorker):
            self._desk.lost(key, f"its Dask worker was lost ({problem.last_worker.address})")
        else:
            self._desk.failed(key, f"{self.name} could not carry it out: {_said(problem)}")


# --- connecting -------------------------------------------------------------------------------------------------------


def _local_cluster(width: int | None) -> "LocalCluster":
    """One that has a thread for each attempt. Its workers have the environment of this process and no limit on memory:
    steps are no part of them."""
    import dask
    from distributed import LocalCluster

    from stepwave.machine import cpu_count

    width = width or max(4, cpu_count())
    workers = min(width, cpu_count())
    own = {"distributed.nanny.pre-spawn-environ": {}, "distributed.scheduler.allowed-failures": 0}
    with dask.config.set(own):
        try:
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=-(-width // workers),
                memory_limit=0,
                dashboard_address=None,
                silence_logs=logging.CRITICAL + 1,
            )
        except Exception as problem:
            raise Refused(f"no Dask cluster could be started: {_said(problem)}") from problem


def _connected(where: "LocalCluster | str") -> "Client":
    from distributed import Client

    connect = partial(Client, where, timeout=CONNECT_S, set_as_default=False, name="stepwave")
    try:
        return _in_time(connect)
    except (OSError, ValueError) as problem:
        reason = "it does not answer" if isinstance(problem, OSError) else _said(problem)
        raise _nobody_at(str(where).removeprefix("tcp:"), reason) from problem


def _nobody_at(rest: str, reason: str) -> Refused:
    help = "start one with `dask scheduler`, and workers with `dask worker tcp://host:port`"
    return Refused(f"there is no Dask scheduler at {rest}: {reason}", help)


def _turns_away(rest: str) -> bool:
    """Whether connections are refused there: a client of Dask would try again for all of `CONNECT_S`."""
    host, _, port = rest.rpartition("//")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except ConnectionRefusedError:
        return True
    except (OSError, ValueError):  # Dask has better words for it
        return False
    return False


def _in_time(connect: "Callable[[], Client]") -> "Client":
    """A scheduler that takes the connection and then says nothing would be waited for without an end: the timeout of a
    client is for the connection alone. Raises TimeoutError then."""
    found: Future[Client] = Future()

    def work() -> None:
        try:
            found.set_result(connect())
        except BaseException as problem:
            found.set_exception(problem)

    threading.Thread(target=work, name="stepwave dask connects", daemon=True).start()
    return found.result(2 * CONNECT_S)


def _check(name: str, client: "Client", rest: str) -> Offer:
    """What the workers have. Raises Refused where there is none, or one with another stepwave, or with none."""
    workers = client.scheduler_info()["workers"]
    if not workers:
        raise Refused(f"the Dask scheduler of {name} has no workers", f"start some: dask worker tcp:{rest}")
    answers = client.run(dask_worker.version, on_error="return")
    for worker, version in answers.items():
        if isinstance(version, Exception):
            help = f"install stepwave {__version__} where the workers run"
            raise Refused(f"the Dask worker {worker} cannot import stepwave: {_said(version)}", help)
        if version != __version__:
            help = "workers and the command line need the same one"
            raise Refused(f"the Dask worker {worker} has stepwave {version}, and this is {__version__}", help)
    pools: dict[str, int] = {}
    for worker in workers.values():
        for pool, units in worker["resources"].items():
            pools[pool] = max(pools.get(pool, 0), int(units))
    return Offer(sum(worker["nthreads"] for worker in workers.values()), pools)


def _said(problem: BaseException | None) -> str:
    return one_line(f"{type(problem).__name__}: {problem}", 300)
