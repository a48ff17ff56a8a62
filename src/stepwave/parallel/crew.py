"""Worker processes: who gets how much, what they tell, and what is done about those that die or take too long.

Rule 1  Items go in lists that take some milliseconds, so that tiny ones are not dominated by their way. How long an
        item takes is learned; what a worker has not begun is asked back when another has nothing to do.
Rule 2  A worker that dies, or is killed because of its time limit, costs the one item that it ran. What else it had is
        given to others: items that had ended, but had not been told of yet, run again. In lists of one there are none.
Rule 3  Nothing here waits for a worker but `poll`, and the moment that a dead one takes to be gone.
"""

import os
import pickle
import select
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from time import monotonic

from stepwave.core.text import words_of
from stepwave.parallel.child import Child, Fault, load_fault
from stepwave.parallel.ended import Batch, Ended, Passed, Stretch, Task, count, overtaken, skipped, timed_out
from stepwave.parallel.outcomes import Status, WorkerDied, is_cancellation
from stepwave.parallel.shipping import Shipment
from stepwave.parallel.worker import RESULTS, UNREADABLE

LIST_S = 0.02
"""How long a list is meant to take."""
SHORT_S = 0.001
"""A list that is shorter than this would cost more than it evens out."""
LIST_BYTES = 4 << 20
LONGEST_LIST = 20_000
GROWTH = 8
"""A list is at most so many times as long as the last one: what is known of items is known of few at first."""
PATIENCE_S = 0.025
"""A worker that has told nothing for so long may be asked for what it has not begun."""
SILENCE_S = 0.05
"""A worker that has told nothing for so long is asked what it has done of its list."""
LAST_WORD_S = 0.02
"""When time is over: how long to wait for what has already been done."""
END_MS = 1000
"""How long a worker that has nothing to do, or whose connection has broken, may take to end by itself."""
STILLBORN = 3
"""So many workers in a row may die before they have begun an item."""

Verdict = Callable[[Task, float, str], Ended]
"""Of an item, its seconds, and how its worker ended."""


class ProcessCrew:
    """At most `width` processes. `limit_s`: seconds for an item. `size`: items in a list, None: as many as is good."""

    def __init__(
        self, shipment: Shipment, width: int, *, limit_s: float | None = None, size: int | None = None
    ) -> None:
        self.in_flight = 0
        self._shipment, self._width, self._limit_s, self._fixed_size = shipment, width, limit_s, size
        self._children: list[Child] = []
        self._spare: deque[Stretch] = deque()
        self._ended: list[Batch] = []
        self._size, self._item_s, self._item_bytes = 1, 0.0, 0.0
        self._stillborn = 0
        self._owner = os.getpid()

    # --- giving ----------------------------------------------------------------------------------------

    def most_held(self) -> int:
        return 8 * self._width * (self._fixed_size or self._size) + self._width

    def wanted(self, remaining: int | None) -> int:
        self._check_owner()
        return 0 if self._spare or not self._has_room() else self._list_size(remaining)

    def is_free(self) -> bool:
        return self.in_flight < self._width

    def give(self, stretch: Stretch) -> None:
        self.in_flight += len(stretch.items)
        self._hand_over(stretch)

    def _has_room(self) -> bool:
        return len(self._children) < self._width or self._roomiest() is not None

    def _roomiest(self) -> Child | None:
        """One with nothing to do; else, where lists are short in time, one with nothing to do next."""
        willing = [child for child in self._children if not child.is_asked_back()]
        idle = next((child for child in willing if not child.lists), None)
        if idle is not None or len(self._children) < self._width or not 0 < self._list_s() < 4 * LIST_S:
            return idle
        return next((child for child in willing if len(child.lists) < 2), None)

    def _list_s(self) -> float:
        return self._item_s * (self._fixed_size or self._size)

    def _list_size(self, remaining: int | None) -> int:
        if self._fixed_size is not None:
            return self._fixed_size
        if not self._item_s:
            return 1
        size = min(LIST_S / self._item_s, GROWTH * self._size, LONGEST_LIST)
        if self._item_bytes:
            size = min(size, LIST_BYTES / self._item_bytes)
        if remaining is not None:  # so that all come to the end at the same time
            size = min(size, max(SHORT_S / self._item_s, remaining / (2 * self._width)))
        return max(1, int(size))

    def _hand_over(self, stretch: Stretch) -> None:
        if not stretch.items:
            return
        try:
            blob = pickle.dumps(stretch.items, protocol=5)
        except Exception as error:  # whatever a __reduce__ may raise
            self._split(stretch, f"cannot be sent to a worker process: {words_of(error)}", error)
            return
        child = self._roomiest() or self._hired()
        self._learn_bytes(len(blob), len(stretch.items))
        child.give(stretch, blob)

    def _split(self, stretch: Stretch, words: str, cause: BaseException) -> None:
        """Something is wrong with it. Each half is tried alone; an item that is alone has failed."""
        if len(stretch.items) > 1:
            self._spare.extend(stretch.cut(len(stretch.items) // 2))
            return
        item = stretch.items[0]
        error = TypeError(f"item {stretch.first}, a {type(item).__name__}, {words}")
        error.__cause__ = cause
        self._ended.append([(stretch.first, item, Status.FAILED, None, error, 0.0)])

    def _hired(self) -> Child:
        try:
            self._children.append(Child(self._shipment))
        except OSError:
            if not self._children:
                raise
            self._width = len(self._children)  # the system gives no more: these will do
            return min(self._children, key=lambda child: len(child.lists))
        return self._children[-1]

    def _hand_on(self) -> None:
        """What others have left behind."""
        while self._spare and self._has_room():
            size = self._list_size(sum(len(spare.items) for spare in self._spare))
            now, later = self._spare.popleft().cut(size)
            if later.items:
                self._spare.appendleft(later)
            self._hand_over(now)

    # --- collecting ------------------------------------------------------------------------------------

    def collect(self, until: float) -> list[Batch]:
        """What has ended; waits until something has happened, or the clock says `until`, which is not for ever."""
        self._check_owner()
        self._hand_on()
        if not self._ended:
            self._wait(until)
        self._hand_on()
        ended, self._ended = self._ended, []
        self.in_flight -= count(ended)
        return ended

    def _wait(self, until: float) -> None:
        now = monotonic()
        for child in self._children:
            if child.lists and now - child.told_at > SILENCE_S:
                child.ask_report()
        wait = min(until, self._even_out(now), self._next_limit(now)) - now
        poll = select.poll()
        whose = {fd: child for child in self._children for fd in child.watch(poll)}
        ready = poll.poll(max(0.0, wait * 1000))
        for child in {id(whose[fd]): whose[fd] for fd, _ in ready}.values():
            self._attend(child)
        if self._limit_s is not None:
            self._enforce(monotonic() - self._limit_s, self._limit_s)

    def _attend(self, child: Child) -> None:
        child.flush()
        has_ended = child.has_ended()  # asked first, so that all its frames are here
        self._listen(child)
        if has_ended or child.is_gone:
            self._lay_out(child, _died, patience_ms=END_MS)

    def _listen(self, child: Child) -> None:
        while (frame := child.receive()) is not None:
            if frame.kind == RESULTS:
                self._take_results(child, frame.blob)
            elif frame.kind == UNREADABLE:
                error = load_fault(pickle.loads(frame.blob))
                _, stretch = child.told(0, len(child.lists[0].items))
                self._split(stretch, f"cannot be read by a worker process: {words_of(error)}", error)
            else:
                cause = load_fault(pickle.loads(frame.blob))
                raise RuntimeError(f"a worker process cannot get at the function: {words_of(cause)}") from cause
            if child.is_asked_back() and not child.lists:
                child.ask_back(asked=False)

    def _take_results(self, child: Child, blob: bytearray) -> None:
        with memoryview(blob) as view:
            number, left = (int.from_bytes(view[place : place + 8], "little") for place in (0, 8))
            done, back = child.told(number, left)
            if back.items:
                self._spare.append(back)
            if not number:
                return
            self._stillborn = 0
            try:
                values, faults, times, spent_ns = pickle.loads(view[16:])
            except Exception as error:  # whatever an unpickled class may raise
                kind = type(error).__name__
                failure = TypeError(f"the result cannot be put together again: {kind}: {words_of(error)}")
                self._ended.append([(*task, Status.FAILED, None, failure, 0.0) for task in done.tasks()])
                return
        self._size = max(1, number + left)
        self._item_s = max(1e-8, (self._item_s or spent_ns / 1e9 / number) / 2 + spent_ns / 2e9 / number)
        self._learn_bytes(len(blob), number)
        passed = Passed(done, values)
        self._ended.append(self._judged(passed, faults, times) if faults or times else passed)

    def _judged(self, passed: Passed, faults: list[tuple[int, Fault]], times: list[int]) -> list[Ended]:
        ended = passed.each()
        for offset, fault in faults:
            error, task = load_fault(fault), ended[offset][:2]
            status = Status.CANCELLED if is_cancellation(error) else Status.FAILED
            ended[offset] = (*task, status, None, error, 0.0)
        if times:
            ended = [(*one[:5], ns / 1e9) for one, ns in zip(ended, times, strict=True)]
        limit_s = self._limit_s
        if limit_s is not None:
            ended = [timed_out(limit_s, one[:2], one[5]) if one[5] > limit_s else one for one in ended]
        return ended

    def _learn_bytes(self, size: int, count: int) -> None:
        self._item_bytes = max(size / count, self._item_bytes / 2)

    def _even_out(self, now: float) -> float:
        """Somebody has nothing to do: ask another for what it has not begun. Returns when to look again."""
        if self._spare or not self._somebody_idle():
            return float("inf")
        loaded = [child for child in self._children if child.lists and child.not_begun() > 0]
        for child in loaded:
            if now - child.told_at > PATIENCE_S:
                child.ask_back(asked=True)
        return now + PATIENCE_S if any(not child.is_asked_back() for child in loaded) else float("inf")

    def _somebody_idle(self) -> bool:
        return len(self._children) < self._width or any(not child.lists for child in self._children)

    def _check_owner(self) -> None:
        if os.getpid() != self._owner:
            raise RuntimeError("this map belongs to the process that began it")

    # --- ends ------------------------------------------------------------------------------------------

    def _next_limit(self, now: float) -> float:
        if self._limit_s is None:
            return float("inf")
        since = (child.running_since() for child in self._children)
        return min((began for began in since if began is not None), default=now) + self._limit_s

    def _enforce(self, before: float, limit_s: float) -> None:
        for child in self._children.copy():
            since = child.running_since()
            if child.lists and since is not None and since <= before:
                self._lay_out(child, partial(_timed_out, limit_s), began_before=before)

    def _lay_out(
        self, child: Child, verdict: Verdict, *, patience_ms: int = 0, began_before: float = float("inf")
    ) -> None:
        """It is dead or shall be: hear its last words, judge the item that it ran, give the others to others."""
        child.kill(patience_ms=patience_ms)
        self._listen(child)
        since, begun, stretches = child.running_since(), child.begun(), list(child.lists)
        self._children.remove(child)
        how = child.bury()
        if (
            begun >= 1 and stretches and (since is None or since <= began_before)
        ):  # else the late one has ended meanwhile
            self._stillborn = 0
            took_s = monotonic() - since if since is not None else 0.0
            self._ended.append([verdict(_taken_out(stretches, begun - 1), took_s, how)])
        elif begun < 1 and stretches and verdict is _died:
            self._count_stillborn(how)
        self._spare.extend(stretch for stretch in stretches if stretch.items)

    def _count_stillborn(self, how: str) -> None:
        self._stillborn += 1
        if self._stillborn >= STILLBORN:
            raise WorkerDied(f"{STILLBORN} workers in a row died before they had begun an item; the last {how}")

    def abandon(self, after_s: float) -> list[Batch]:
        """Time is over: what runs has timed out, what has not begun is skipped."""
        until = monotonic() + LAST_WORD_S
        for child in self._children:
            child.ask_back(asked=True)
        self._limit_s = None
        while any(child.lists for child in self._children) and monotonic() < until:
            self._wait(until)
        for child in [child for child in self._children if child.lists]:
            self._lay_out(child, lambda task, took_s, _: overtaken(after_s, task, took_s))
        ended = [*self._ended, [skipped(task, after_s) for stretch in self._spare for task in stretch.tasks()]]
        self._ended = []
        self._spare.clear()
        self.in_flight -= count(ended)
        return ended

    def close(self) -> None:
        """Workers with nothing to do end; the others are killed, with all that they have started."""
        is_idle = not self.in_flight
        children, self._children = self._children, []
        if os.getpid() != self._owner:
            return  # this is a fork of the caller, who still needs them
        with ExitStack() as whatever_happens:
            for child in children:
                whatever_happens.callback(child.bury)
                whatever_happens.callback(child.kill, patience_ms=END_MS if is_idle else 0)
            for child in children:
                child.part()


def _taken_out(stretches: list[Stretch], place: int) -> Task:
    """The item at this place of all, which is no longer in them then."""
    for n, stretch in enumerate(stretches):
        if place < len(stretch.items):
            before, rest = stretch.cut(place)
            culprit, after = rest.cut(1)
            stretches[n : n + 1] = [before, after]
            return next(culprit.tasks())
        place -= len(stretch.items)
    raise IndexError(place)


def _died(task: Task, took_s: float, how: str) -> Ended:
    return (*task, Status.FAILED, None, WorkerDied(f"worker {how} while it ran item {task[0]}"), took_s)


def _timed_out(limit_s: float, task: Task, took_s: float, _: str) -> Ended:
    return timed_out(limit_s, task, took_s)
