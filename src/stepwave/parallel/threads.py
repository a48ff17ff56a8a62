"""Threads that call a function, and whom nobody has to wait for.

Rule 1  They are daemon threads of this module, not of concurrent.futures: one that hangs does not hold up the end of
        the interpreter.
Rule 2  No lock is held, and none taken but those inside of SimpleQueue and deque: what is to do comes out of one queue,
        what is done goes into one deque. The caller is woken once for many quick items, and for each slow one.
Rule 3  Whoever takes the claim of an item away tells how it ended: its thread, or the caller who gives up on it. A
        thread that comes too late tells nothing and ends.
"""

import math
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, NamedTuple

from stepwave.parallel.ended import Batch, Ended, Stretch, Task, overtaken, skipped, timed_out
from stepwave.parallel.outcomes import Status, is_cancellation

SMALLEST_WINDOW, LARGEST_WINDOW = 2, 4096
"""How many items wait for a thread: per thread at the beginning, and in all at most."""
REFILL_S = 0.005
"""The window grows while it is emptied faster than this, and shrinks when that takes ten times as long."""
NAP_S = 0.002
"""The longest that the result of a quick item lies about before the caller looks."""
FAREWELL_S = 0.02
"""How long those that are not known to be idle are waited for at the end."""

_NEVER = 1 << 62


class _Exchange:
    """Where threads and caller meet: `pending`, `done`, and a bell that is rung when `enough` is done."""

    def __init__(self) -> None:
        self.pending: SimpleQueue[Task | None] = SimpleQueue()
        self.done: deque[Ended] = deque()
        self.enough = _NEVER
        self.bell = threading.Lock()
        self.bell.acquire()

    def ring(self) -> None:
        self.enough = _NEVER
        with suppress(RuntimeError):  # it rings already
            self.bell.release()


class _Now(NamedTuple):
    """What a thread is at. `claim` has one element until somebody pops it."""

    task: Task
    began: float
    claim: list[bool]


class _Post:
    """Where a thread tells what it is at."""

    def __init__(self) -> None:
        self.now: _Now | None = None


def _work(exchange: _Exchange, func: Callable[[Any], Any], post: _Post | None, limit_s: float | None) -> None:
    take, done = exchange.pending.get, exchange.done
    while (task := take()) is not None:
        began = monotonic()
        if post is not None:
            claim = [True]
            post.now = _Now(task, began, claim)
        ended = _carried_out(func, task, began)
        if post is not None:
            post.now = None
            try:
                claim.pop()
            except IndexError:
                return  # rule 3
            if limit_s is not None and ended[5] > limit_s:
                ended = timed_out(limit_s, task, ended[5])
        done.append(ended)
        task = ended = None  # type: ignore[assignment]  # while it waits, it keeps nothing alive
        if len(done) >= exchange.enough:
            exchange.ring()


def _carried_out(func: Callable[[Any], Any], task: Task, began: float) -> Ended:
    index, item = task
    try:
        value = func(item)
    except BaseException as error:  # whatever it is, the caller is told
        status = Status.CANCELLED if is_cancellation(error) else Status.FAILED
        return (index, item, status, None, error, monotonic() - began)
    return (index, item, Status.PASSED, value, None, monotonic() - began)


class ThreadCrew:
    """At most `width` threads that call `func`. `ahead`: so many items wait for a thread, None: as many as is good.

    With a limit per item, or `is_watched`, it is known what each thread is at.
    """

    def __init__(
        self,
        func: Callable[[Any], Any],
        width: int,
        *,
        limit_s: float | None = None,
        is_watched: bool = False,
        ahead: int | None = None,
    ) -> None:
        self.in_flight = 0
        self._func, self._width, self._limit_s = func, width, limit_s
        self._is_watched = is_watched or limit_s is not None
        self._adapts = ahead is None
        self._window = SMALLEST_WINDOW * width if ahead is None else ahead
        self._exchange = _Exchange()
        self._threads: list[tuple[threading.Thread, _Post | None]] = []
        self._last_size, self._filled_at = 0, monotonic()

    def most_held(self) -> int:
        """So many items may be under way or wait for their turn to be handed out."""
        return 4 * self._window + self._width

    def wanted(self, remaining: int | None) -> int:  # a crew of processes goes by it
        """How many more items it can take now."""
        queued = self._exchange.pending.qsize()
        if queued > self._window // 2:
            return 0
        return self._window - queued

    def is_free(self) -> bool:
        """Whether an item that is given now begins at once."""
        return self.in_flight < self._width

    def give(self, stretch: Stretch) -> None:
        if self._adapts:
            self._adapt(monotonic())
        self.in_flight += len(stretch.items)
        put = self._exchange.pending.put
        for task in stretch.tasks():
            put(task)
        self._hire()

    def _adapt(self, now: float) -> None:
        since, self._filled_at = now - self._filled_at, now
        if since < REFILL_S:
            self._window = min(2 * self._window, LARGEST_WINDOW)
        elif since > 10 * REFILL_S:
            self._window = max(self._window // 2, SMALLEST_WINDOW * self._width)

    def _hire(self) -> None:
        while len(self._threads) < min(self._width, self.in_flight):
            post = _Post() if self._is_watched else None
            words = (self._exchange, self._func, post, self._limit_s)
            thread = threading.Thread(target=_work, args=words, name="stepwave map", daemon=True)
            self._threads.append((thread, post))  # before it starts: Ctrl-C may come while it does
            try:
                thread.start()
            except RuntimeError:
                self._threads.pop()
                if not self._threads:
                    raise
                self._width = len(self._threads)  # the system gives no more: these will do

    def collect(self, until: float) -> list[Batch]:
        """What has ended; waits for that until the clock says `until`."""
        ended = self._collected(until)
        return [ended] if ended else []

    def _collected(self, until: float) -> list[Ended]:
        done = self._exchange.done
        if not done:
            self._sleep(until)
            self._last_size = len(done)
        ended = [done.popleft() for _ in range(len(done))]
        if self._limit_s is not None:
            ended += self._give_up(monotonic() - self._limit_s, partial(timed_out, self._limit_s))
        self.in_flight -= len(ended)
        if not ended and any(not thread.is_alive() for thread, _ in self._threads):
            raise RuntimeError("a thread of this map has died, and with it the item that it had")
        return ended

    def _sleep(self, until: float) -> None:
        exchange, now = self._exchange, monotonic()
        enough = max(1, min(self._last_size // 2, self.in_flight))
        wait = min(until - now, NAP_S if enough > 1 else math.inf)
        if self._limit_s is not None:
            began = [at.began for _, post in self._threads if post and (at := post.now)]
            wait = min(wait, min(began, default=now) + self._limit_s - now)
        exchange.enough = enough
        if len(exchange.done) < enough and wait > 0:
            exchange.bell.acquire(timeout=-1 if wait > threading.TIMEOUT_MAX else wait)
        exchange.enough = _NEVER

    def _give_up(self, before: float, verdict: Callable[[Task, float], Ended]) -> list[Ended]:
        """Take the claims of items that began before; their threads are left alone and replaced."""
        late = []
        for place in self._threads.copy():
            now = place[1].now if place[1] else None
            if now is None or now.began > before:
                continue
            try:
                now.claim.pop()
            except IndexError:
                continue  # it has just ended
            self._threads.remove(place)
            late.append(verdict(now.task, monotonic() - now.began))
        self._hire()
        return late

    def abandon(self, after_s: float) -> list[Batch]:
        """Time is over, `after_s` after the start: what runs has timed out, what waits is skipped. Wants watching."""
        ended = [skipped(task, after_s) for task in self._unqueue()]
        self.in_flight -= len(ended)
        self._width, self._limit_s = 0, None  # nobody is hired any more
        while self.in_flight:
            late = self._give_up(monotonic(), partial(overtaken, after_s))
            self.in_flight -= len(late)
            # What is left has an end that is about to be told, or was taken a moment ago and is about to be posted.
            ended += late + self._collected(monotonic() + NAP_S)
        return [ended]

    def _unqueue(self) -> list[Task]:
        tasks = []
        try:
            while True:
                task = self._exchange.pending.get_nowait()
                if task is not None:
                    tasks.append(task)
        except Empty:
            return tasks

    def close(self) -> None:
        """Let go: idle threads end now, the others when their function returns."""
        self._unqueue()
        for _ in self._threads:
            self._exchange.pending.put(None)
        until = monotonic() + FAREWELL_S
        for thread, _ in self._threads:
            with suppress(RuntimeError):  # interrupted while it was being started
                thread.join(None if not self.in_flight else max(0.0, until - monotonic()))
        self._threads.clear()
