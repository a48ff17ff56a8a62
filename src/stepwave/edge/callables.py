"""Steps that are functions of this program: a launcher in front of another one, which calls them in threads.

Rule 1  Every launch is answered with exactly one `Exited`, by the thread of the loop: the others only say that they are
        done.
Rule 2  A thread cannot be killed. A `Stop` ends the attempt at once, and what its thread still does or brings is
        nobody's any more. A coroutine is cancelled instead, and left to itself only when the order comes with `force`.
Rule 3  The threads are daemons: one that was left to itself does not keep the program from ending.
Rule 4  Whoever runs nothing but functions starts no process: the other launcher is made for its first order.
Rule 5  A step that has ended by itself has no thread any more.
"""

import contextvars
import json
import os
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from stepwave.core.events import Exited, Launch, Order, Signal, Stop, stdout_log
from stepwave.core.text import one_line
from stepwave.engine import Inbox

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType

KEEP = 64 * 1024
"""Bytes of a result that the texts of other steps may refer to; what is longer they can read from its file."""
MAX_REASON = 500


class Call(NamedTuple):
    """What a step calls; a coroutine that comes of it is awaited in the same thread.

    `is_told`: a text of the workflow refers to what it brings, so that JSON must be able to say it.
    """

    function: Callable[[], object]
    is_told: bool = False


class Calls(NamedTuple):
    """`steps` has what is called, by the id of the step.

    `learn` is told how each attempt went that has ended by itself: its step, what came of it, and what it raised. It is
    called in the thread of the loop, before anything that needs the step is started.
    """

    steps: Mapping[str, Call]
    learn: Callable[[str, object, BaseException | None], None]


class Processes(Protocol):
    """What runs the steps that are no functions."""

    def obey(self, order: Order) -> None: ...

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...

    def close(self) -> None: ...


class Attempt:
    """One call. What it has brought belongs to its thread until `over`, and to the loop from then on."""

    def __init__(self, launch: Launch, call: Call) -> None:
        self.launch = launch
        self.call = call
        self.result: object = None
        self.error: BaseException | None = None
        self.text = ""
        self.thread: threading.Thread | None = None
        self.over = self.stopped = False
        self.awaiting: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None


class Calling:
    """`others` makes the launcher of all other steps. `inbox`: where ends are reported. `folder`: that of the run, for
    what is kept of failures and of results that are told.
    """

    def __init__(self, calls: Calls, others: Callable[[], Processes], inbox: Inbox, folder: Path) -> None:
        self._calls = calls
        self._make_others = others
        self._others: Processes | None = None
        self._inbox = inbox
        self._folder = folder
        self._running: dict[tuple[str, int], Attempt] = {}
        self._lock = threading.Lock()
        self._ended: list[Attempt] = []
        self._ear, self._bell = os.pipe()
        for fd in (self._ear, self._bell):
            os.set_blocking(fd, False)
        inbox.watch(self._ear, self._read)

    def obey(self, order: Order) -> None:
        if isinstance(order, Launch) and (call := self._calls.steps.get(order.step)):
            self._call(order, call)
        elif isinstance(order, Stop) and (attempt := self._running.get((order.step, order.attempt))):
            self._stop(attempt, order)
        elif self._others is not None:
            self._others.obey(order)
        elif isinstance(order, Launch):
            self._begin_others(order)

    def _begin_others(self, order: Launch) -> None:
        try:
            self._others = self._make_others()
        except OSError as problem:
            reason = f"no process can be started: {problem.strerror}"
            self._inbox.put(Exited(order.step, order.attempt, problem=reason))
        else:
            self._others.obey(order)

    def freeze(self) -> None:
        """The threads stand still by themselves when this process does."""
        if self._others is not None:
            self._others.freeze()

    def thaw(self) -> None:
        if self._others is not None:
            self._others.thaw()

    def close(self) -> None:
        """Whoever still runs is left to itself, coroutines are cancelled."""
        with self._lock:
            for attempt in self._running.values():
                attempt.over = True
                _cancel(attempt)
        self._running.clear()
        self._inbox.unwatch(self._ear)
        os.close(self._ear)
        os.close(self._bell)
        if self._others is not None:
            self._others.close()

    # --- in the thread of the loop ------------------------------------------------------------------

    def _call(self, launch: Launch, call: Call) -> None:
        attempt = Attempt(launch, call)
        work = partial(contextvars.copy_context().run, self._work, attempt)
        self._running[launch.step, launch.attempt] = attempt
        attempt.thread = threading.Thread(target=work, name=f"stepwave {launch.step}", daemon=True)
        try:
            attempt.thread.start()
        except RuntimeError as problem:
            del self._running[launch.step, launch.attempt]
            self._inbox.put(Exited(launch.step, launch.attempt, problem=f"no thread could be started: {problem}"))

    def _stop(self, attempt: Attempt, order: Stop) -> None:
        with self._lock:
            if attempt.over:
                return  # its end is on the way, and came before the order
            attempt.stopped = True
            if _cancel(attempt) and not order.force:
                return
            attempt.over = True
        del self._running[order.step, order.attempt]
        self._inbox.put(Exited(order.step, order.attempt, problem="left to itself", stopped=True))

    def _read(self) -> Iterable[Signal]:
        with suppress(BlockingIOError):
            os.read(self._ear, 4096)
        with self._lock:
            ended, self._ended = self._ended, []
        return [self._exited(attempt) for attempt in ended]

    def _exited(self, attempt: Attempt) -> Exited:
        launch, error = attempt.launch, attempt.error
        del self._running[launch.step, launch.attempt]
        if attempt.thread is not None:
            attempt.thread.join(1.0)  # it is on its last lines
        end = Exited(launch.step, launch.attempt, stopped=attempt.stopped)
        code = _code(error)
        if code == 0:
            try:
                end, error = self._completed(end, attempt), None
            except OSError as problem:
                error, code = problem, None
        if error is not None:
            end = self._failed(end._replace(code=code), launch, error)
        self._calls.learn(launch.step, attempt.result, error)
        return end

    def _completed(self, end: Exited, attempt: Attempt) -> Exited:
        """Raises OSError when what is told cannot be written."""
        size = self._write(stdout_log(attempt.launch.log), attempt.text) if attempt.text else 0
        return end._replace(code=0, stdout=attempt.text if size <= KEEP else None, stderr="", stdout_bytes=size)

    def _failed(self, end: Exited, launch: Launch, error: BaseException) -> Exited:
        size = 0
        with suppress(OSError):  # what it raised is told in any case
            size = self._write(launch.log, trace_of(error))
        return end._replace(problem=in_a_sentence(error) if end.code is None else None, log_bytes=size)

    def _write(self, name: str, text: str) -> int:
        data = text.encode("utf-8", "backslashreplace")
        with open(self._folder / name, "wb", opener=_open_private) as file:
            file.write(data)
        return len(data)

    # --- in the thread of the step ------------------------------------------------------------------

    def _work(self, attempt: Attempt) -> None:
        try:
            result = attempt.call.function()
            if isinstance(result, Awaitable):
                result = self._awaited(attempt, result)
            if attempt.call.is_told and result is not None:
                attempt.text = _told(result)
            attempt.result = result
        except BaseException as problem:
            attempt.error = problem
        with self._lock:
            if attempt.over:
                return  # too late: nobody waits for it any more
            attempt.over = True
            self._ended.append(attempt)
            with suppress(BlockingIOError):  # full of bells that have not been heard yet
                os.write(self._bell, b"!")

    def _awaited(self, attempt: Attempt, awaitable: Awaitable[Any]) -> object:
        import asyncio

        async def settle() -> Any:
            task = asyncio.current_task()
            assert task is not None
            with self._lock:
                attempt.awaiting = asyncio.get_running_loop(), task
                if attempt.over:
                    task.cancel()
            return await awaitable

        try:
            return asyncio.run(settle())
        finally:
            with self._lock:
                attempt.awaiting = None


def _cancel(attempt: Attempt) -> bool:
    """Whether it is a coroutine, which has been asked to end."""
    if attempt.awaiting is None:
        return False
    loop, task = attempt.awaiting
    with suppress(RuntimeError):  # its loop has just been closed
        loop.call_soon_threadsafe(task.cancel)
    return True


# --- what came of it -------------------------------------------------------------------------------------------------


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _told(result: object) -> str:
    try:
        return json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError, RecursionError) as problem:
        raise TypeError(f"a text refers to what it brings, which JSON cannot say: {problem}") from problem


def _code(error: BaseException | None) -> int | None:
    """The exit code: 0 for a call that has come to its end, what it gave to `sys.exit`; None for what it raised."""
    if error is None:
        return 0
    if not isinstance(error, SystemExit) or not isinstance(error.code, int | None):
        return None
    return (error.code or 0) & 0xFF


def in_a_sentence(error: BaseException) -> str:
    """`ValueError: no such sample`, on one line."""
    try:
        text = str(error)
    except Exception:
        text = "(what it says cannot be shown)"
    kind = type(error).__qualname__
    return one_line(f"{kind}: {text}" if text else kind, MAX_REASON)


def trace_of(error: BaseException) -> str:
    """The traceback, from the first frame on that is neither ours nor asyncio's."""
    import traceback

    return "".join(traceback.format_exception(type(error), error, _theirs(error.__traceback__)))


def _theirs(trace: "TracebackType | None") -> "TracebackType | None":
    found = trace
    while found and found.tb_frame.f_globals.get("__name__", "").partition(".")[0] in ("stepwave", "asyncio"):
        found = found.tb_next
    return found or trace
