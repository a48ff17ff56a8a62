"""Any `concurrent.futures.Executor` as an engine: `python:module:factory`.

Rule 1  A pool that has lost a process is broken, by the contract of concurrent.futures: what was in it is lost, and a
        new pool is asked of the factory for what comes.
Rule 2  What the pool starts has SIGINT and SIGTSTP blocked: Ctrl-C and Ctrl-Z are for the runner to hear and to pass
        on, not for a pool of the same terminal to break of. Steps have none blocked: their supervisors see to that.
"""

import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from stepwave.core.job import Around, Brought, Job
from stepwave.core.text import one_line
from stepwave.edge.executors import lifeline
from stepwave.edge.executors.contract import Desk, Refused, Work
from stepwave.edge.executors.masked_signals import deaf

Factory = Callable[[], Executor]


def open_engine(rest: str, width: int | None) -> "Futures":
    """`rest` is `module:factory`. Raises Refused."""
    module, _, name = rest.partition(":")
    if not module or not name:
        raise Refused(f"`python:{rest}` names no factory", "for example python:concurrent.futures:ProcessPoolExecutor")
    return Futures(f"python:{rest}", _factory(module, name, width))


class Futures:
    """An engine: see `contract.Engine`."""

    pools: Mapping[str, int] = {}
    ahead = 0
    hears_silence = True

    def __init__(self, name: str, make: Factory) -> None:
        self.name = name
        self._make = make
        self._pool = _made(name, make)
        self.slots = _slots(self._pool)
        self._lock = threading.Lock()
        self._futures: dict[str, Future[Brought]] = {}
        self._folder: Path | None = None
        self._exchange: lifeline.Exchange | None = None

    def begin(self, desk: Desk, work: Work) -> None:
        self._desk = desk
        self._work = work
        self._exchange = lifeline.Exchange(self._hear)

    def submit(self, jobs: Sequence[Job]) -> None:
        assert self._exchange is not None
        for job in jobs:
            if self._folder is None:
                self._folder = _folder(job)
            try:
                future = self._submit(job, self._exchange.line)
            except Exception as problem:
                self._desk.failed(job.key, f"{self.name} takes no job: {_said(problem)}")
                continue
            with self._lock:
                self._futures[job.key] = future
            future.add_done_callback(partial(self._done, job.key))
        self._exchange.listen()

    def _submit(self, job: Job, line: lifeline.Line) -> "Future[Brought]":
        with deaf():
            try:
                return self._pool.submit(lifeline.carry_out, self._work, job, line)
            except (BrokenExecutor, RuntimeError):  # rule 1; or it has been shut down behind our back
                self._pool.shutdown(wait=False)
                self._pool = self._make()
                return self._pool.submit(lifeline.carry_out, self._work, job, line)

    def stop(self, key: str, number: int) -> None:
        with self._lock:
            future = self._futures.get(key)
        if future is None or future.done():
            return
        if future.cancel():
            return  # it had not begun: `_done` says so
        if self._work.stop(key, number):
            return  # a pool of threads
        assert self._exchange is not None
        self._exchange.stop(key, number)
        if self._folder is not None:
            lifeline.ask(self._folder, key, number)

    def freeze(self, keys: tuple[str, ...], still: bool) -> None:
        self._work.freeze(keys, still)
        if self._exchange is not None and keys:
            self._exchange.say(f"{'freeze' if still else 'thaw'} {' '.join(keys)}")

    def close(self) -> None:
        with self._lock:
            keys = list(self._futures)
        for key in keys:
            self.stop(key, signal.SIGKILL)
        try:
            self._pool.shutdown(wait=True, cancel_futures=True)
        except TypeError:  # as loky has it; what had not begun has been cancelled above
            self._pool.shutdown(wait=True)
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None
            self._work.end()

    # --- in threads of the pool ---------------------------------------------------------------------

    def _done(self, key: str, future: "Future[Brought]") -> None:
        with self._lock:
            self._futures.pop(key, None)
        if self._exchange is not None:
            self._exchange.forget(key)
        try:
            self._desk.ended(key, future.result())
        except CancelledError:
            self._desk.withdrawn(key)
        except BrokenExecutor as problem:
            self._desk.lost(key, f"a process of {self.name} was lost: {_said(problem)}")
        except BaseException as problem:
            self._desk.failed(key, f"{self.name} could not carry it out: {_said(problem)}")

    def _hear(self, line: str) -> None:
        self._desk.silent(line.removeprefix("silent "))


# --- the pool ---------------------------------------------------------------------------------------------------------


def _factory(module: str, name: str, width: int | None) -> Factory:
    if os.getcwd() not in sys.path:  # noqa: PTH109
        sys.path.append(os.getcwd())  # noqa: PTH109
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as problem:
        raise Refused(f"`python:{module}:{name}` cannot be imported: {_said(problem)}") from problem
    if not callable(found):
        raise Refused(f"`python:{module}:{name}` is of type {type(found).__name__} and cannot be called")
    return partial(found, width) if width is not None and _takes_width(found) else found


def _takes_width(factory: Callable[..., object]) -> bool:
    """Whether its first parameter can be the number of slots."""
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):
        return False
    return bool(parameters) and parameters[0].kind in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )


def _made(name: str, make: Factory) -> Executor:
    with deaf():
        try:
            pool: Any = make()
        except Exception as problem:
            raise Refused(f"{name} makes no executor: {_said(problem)}") from problem
    if not callable(getattr(pool, "submit", None)) or not callable(getattr(pool, "shutdown", None)):
        raise Refused(f"{name} makes an object of type {type(pool).__name__}, which is no executor")
    executor: Executor = pool
    return executor


def _slots(pool: Executor) -> int | None:
    """What all pools of the standard library, and most others, call so."""
    slots = getattr(pool, "_max_workers", None)
    return slots if isinstance(slots, int) and slots > 0 else None


def _folder(job: Job) -> Path:
    import pickle

    around: Around = pickle.loads(job.around)
    return Path(around.folder)


def _said(problem: BaseException) -> str:
    return one_line(f"{type(problem).__name__}: {problem}", 300)
