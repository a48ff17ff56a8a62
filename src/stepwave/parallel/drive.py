"""The way of every map: take from the input, give to a crew, collect what has ended, hand it out.

Rule 1  Everything here happens in the thread of the caller, and only while the caller waits for a result.
Rule 2  What is under way or waits to be handed out is bounded, whatever the length of the input.
Rule 3  The crew is closed however it ends: the last result, an error, Ctrl-C, or a caller who wants no more.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from time import monotonic
from typing import Any, NamedTuple, NoReturn, Protocol

from stepwave.core.text import one_line, plural, words_of
from stepwave.parallel.ended import Batch, Ended, Passed, Stretch, count, skipped
from stepwave.parallel.feed import Feed
from stepwave.parallel.outcomes import Outcome
from stepwave.parallel.progress import Progress, open_progress

MOST_NOTES = 10
"""So many further failures are named in the notes of the error that is raised."""
SKIPPED_AT_ONCE = 1000
LONGEST_WAIT_S = 0.1
"""A signal that comes in the very moment in which a wait begins does not end it: then Ctrl-C is heard so much later."""


class Crew(Protocol):
    """Workers: of `threads.py`, of `processes.py`."""

    in_flight: int

    def wanted(self, remaining: int | None) -> int: ...
    def is_free(self) -> bool: ...
    def most_held(self) -> int: ...
    def give(self, stretch: Stretch) -> None: ...
    def collect(self, until: float) -> list[Batch]: ...
    def abandon(self, after_s: float) -> list[Batch]: ...
    def close(self) -> None: ...


class Asked(NamedTuple):
    """What a map was asked for, by which name; times in seconds. `is_hasty`: the first error ends it."""

    name: str
    ordered: bool
    collects: bool
    is_hasty: bool
    timeout_s: float | None
    progress: Any
    description: str
    on_complete: Callable[[int, Any, Any], object] | None = None


class Failures:
    """The first one, and words about the others."""

    def __init__(self) -> None:
        self.count = 0
        self.first: BaseException | None = None
        self._words: list[str] = []

    def add(self, ended: Ended) -> None:
        index, error = ended[0], ended[4]
        assert error is not None
        self.count += 1
        if self.first is None:
            self.first = error
            self._words.append(f"item {index}")
        elif self.count <= MOST_NOTES + 1:
            self._words.append(one_line(f"item {index}: {type(error).__name__}: {words_of(error)}"))

    def notes(self, taken: int) -> list[str]:
        if self.count < 2:
            return self._words
        more = [] if self.count <= MOST_NOTES + 1 else ["…"]
        return [f"{self._words[0]}; {plural(self.count, 'item')} of {taken} failed, also:", *self._words[1:], *more]


class Way:
    """One call of a map, from its first item to its last result."""

    def __init__(self, asked: Asked, feed: Feed[Any], crew: Crew) -> None:
        self._asked, self._feed, self._crew = asked, feed, crew
        self._finished = 0
        self._failures = Failures()
        self._held: dict[int, Ended] = {}
        self._next = 0

    def as_list(self) -> list[Any]:
        found = list[Any]()
        with closing(self._batches()) as batches:
            for batch in batches:
                self._put(batch, found)
        if self._failures.first is not None:
            self._raise(self._failures.first, self._failures.notes(self._feed.taken))
        return found

    def _put(self, batch: Batch, found: list[Any]) -> None:
        ordered, collects = self._asked.ordered, self._asked.collects
        if ordered:
            found.extend([None] * (self._feed.taken - len(found)))
        if isinstance(batch, Passed) and not collects:
            first = batch.stretch.first if ordered else len(found)
            found[first : first + len(batch.values)] = batch.values
            return
        for ended in batch.each() if isinstance(batch, Passed) else batch:
            kept = Outcome._make(ended) if collects else ended[3]
            if ordered:
                found[ended[0]] = kept
            else:
                found.append(kept)

    def as_iterator(self) -> Iterator[Any]:
        with closing(self._batches()) as batches:
            for batch in batches:
                plain = batch.each() if isinstance(batch, Passed) else batch
                for ended in self._in_order(plain) if self._asked.ordered else plain:
                    if self._asked.collects:
                        yield Outcome._make(ended)
                    elif ended[4] is None:
                        yield ended[3]
                    else:
                        self._raise(ended[4], [f"item {ended[0]}"])

    def _in_order(self, batch: Sequence[Ended]) -> Iterator[Ended]:
        held = self._held
        for ended in batch:
            held[ended[0]] = ended
        while (ready := held.pop(self._next, None)) is not None:
            self._next += 1
            yield ready

    def _batches(self) -> Generator[Batch, None, None]:
        asked, feed, crew = self._asked, self._feed, self._crew
        over = math.inf if asked.timeout_s is None else monotonic() + asked.timeout_s
        with ExitStack() as at_end:
            progress = open_progress(asked.progress, asked.description, feed.total)
            if progress is not None:
                at_end.callback(progress.close)
            at_end.callback(crew.close)
            while crew.in_flight or not feed.exhausted:
                if monotonic() >= over:
                    yield from self._end_early(progress)
                    return
                batches = crew.collect(min(over, self._supply(), monotonic() + LONGEST_WAIT_S))
                if batches:
                    self._take_note(batches, progress)
                    yield from batches

    def _supply(self) -> float:
        """Give the crew what it wants. Returns how long to wait for results: a time of the clock."""
        feed, crew = self._feed, self._crew
        if feed.exhausted:
            return math.inf
        if feed.is_paced:
            if not crew.is_free() or monotonic() < feed.not_before:
                return feed.not_before if crew.is_free() else math.inf
            feed.keep_pace()
            wanted = 1
        else:
            wanted = min(crew.wanted(feed.remaining()), crew.most_held() - crew.in_flight - len(self._held))
        if wanted < 1:
            return math.inf
        crew.give(feed.take(wanted))
        return 0.0  # perhaps it wants more

    def _take_note(self, batches: Sequence[Batch], progress: Progress | None) -> None:
        asked, ended = self._asked, count(batches)
        self._finished += ended
        if progress is not None:
            progress.update(ended)
        if asked.on_complete is not None:
            self._tell(batches, asked.on_complete)
        if not asked.collects:
            for batch in batches:
                if not isinstance(batch, Passed):
                    self._note_failures(batch)

    def _tell(self, batches: Sequence[Batch], on_complete: Callable[[int, Any, Any], object]) -> None:
        for batch in batches:
            for index, item, _, value, error, _ in batch.each() if isinstance(batch, Passed) else batch:
                if error is None:
                    on_complete(index, item, value)

    def _note_failures(self, batch: list[Ended]) -> None:
        for ended in batch:
            if ended[4] is not None:
                self._failures.add(ended)
                if self._asked.is_hasty:
                    self._raise(ended[4], [f"item {ended[0]}"])

    def _end_early(self, progress: Progress | None) -> Iterator[Batch]:
        """Time is over."""
        asked, feed, after_s = self._asked, self._feed, self._asked.timeout_s or 0.0
        if not asked.collects:
            of = feed.taken if feed.total is None else feed.total
            words = f"{asked.name} timed out after {after_s:g}s: {self._finished} of {of} task(s) finished"
            self._raise(TimeoutError(words), self._failures.notes(feed.taken))
        batches = self._crew.abandon(after_s)
        while batches:
            self._take_note(batches, progress)
            yield from batches
            rest = [] if feed.total is None else feed.take(SKIPPED_AT_ONCE).tasks()
            last = [skipped(task, after_s) for task in rest]
            batches = [last] if last else []

    def _raise(self, error: BaseException, notes: Sequence[str]) -> NoReturn:
        with suppress(Exception):  # there are some that let nobody set anything
            for note in notes:
                error.add_note(f"{self._asked.name}: {note}")
        try:
            raise error
        finally:
            del error  # or it would hold this frame, which holds it
