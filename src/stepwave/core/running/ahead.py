"""What is decided ahead of time: which steps follow which, where steps take no longer than a decision does.

The last step of a slot has ended; it is a moment before the runner knows, another before it has decided, and another
until the next one starts. Of steps that take a millisecond that is a third of the run. So who is next in the order is
*promised* to a slot whose step has just started: it starts there by itself (`Follow`).

Rule 1  A promise changes nothing but the moment: it is made to who is first in the order, wants a slot and nothing
        else, and hangs on nothing that is not known yet.
Rule 2  Nobody is promised anything behind a step that has taken `LONG_S`, or while the last end was that of a long one;
        and the slots get no more than their share of those that wait.
Rule 3  Whoever comes to be more urgent than what is promised, and whatever ends the run early, calls all promises back.
        Until it is known what has become of each, the step is neither ready nor running.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from stepwave.core.events import LONG_S, Exited, Follow, Launch, Outcome, Recall, Returned
from stepwave.core.model import Stage, Step, StepType
from stepwave.core.plan import Plan
from stepwave.core.running.admission import Ticket
from stepwave.core.running.books import Books
from stepwave.core.running.judge import wants_tail
from stepwave.core.running.prepare import CannotPrepare
from stepwave.core.running.stopping import PREVIOUS_FAILURE, Stopping
from stepwave.core.running.track import Phase, Track

MOST = 8
"""Steps that are promised to one slot."""
FEW = MOST // 2
"""When no more than these are left, there may be new ones: so several go with one message."""
PATIENCE = 8
"""So often promises may be called back because others were more urgent; then the run does without."""
MOST_TEXT = 4096
"""Characters of what one promised step is started with. What lies unread in a socket of a slot stays below what that
holds: else runner and slot might each wait for the other to read."""


class Promise(NamedTuple):
    """A step that will start by itself: its place in the order, and what it has been prepared to start with."""

    ticket: Ticket
    launch: Launch
    declared: object


class Slot:
    """A running step, and what follows it in its slot. One that is not `open` is given no more."""

    def __init__(self) -> None:
        self.queue: deque[Promise] = deque()
        self.open = True


class Ahead:
    """`look` once all that has happened has been handled; the other methods when it happens."""

    def __init__(self, books: Books, stopping: Stopping) -> None:
        self._books = books
        self._stopping = stopping
        self._admission = books.admission
        self._plain = {step.id for step in books.plan.steps.values() if _is_plain(step, books)}
        self._slots: dict[str, Slot] = {}
        self._slot_of: dict[str, Slot] = {}  # by the steps that are promised
        self._back: set[str] = set()  # who was promised once and has not started
        self._known: Counter[str] = Counter()  # how often `Returned` will name one that has been taken back before
        self._quick = False
        self._overtaken = False  # some that were promised have come back, and are before what is promised still
        self._recalls = 0

    # --- what happens -------------------------------------------------------------------------------

    def started(self, track: Track) -> None:
        """An attempt has been ordered to start."""
        if track.step.id in self._plain:
            self._slots[track.step.id] = Slot()

    def ended(self, end: Exited) -> None:
        """An attempt that ran has ended, and that has been dealt with. Who followed it runs now, and whoever was to
        follow it follows that one. If nobody has, nobody will: the free slot is not for those who come after them."""
        slot = self._slots.pop(end.step, None)
        self._quick = self._books.now - self._books.tracks[end.step].started_at < LONG_S
        if slot is None:
            return
        if not end.follower:
            self._known.update(promise.ticket.id for promise in slot.queue)
            self._take_back(slot, list(slot.queue))
            return
        track = self._books.tracks[end.follower]
        self._slots[end.follower] = slot
        promise = slot.queue.popleft()
        del self._slot_of[end.follower]
        self._admission.start_promised(end.follower)
        self._books.begin_attempt(track)
        self._books.tell_started(track, promise.launch, promise.declared)
        self._books.launched(track, promise.launch, track.step.timeout_s)
        if self._stopping.cause is not None:  # it came before the order to stop
            self._books.stop(track, *self._stopping.cause)
            if self._stopping.is_forced:
                self._books.force(track)

    def returned(self, signal: Returned) -> None:
        """What these were to follow takes its time, or was to be followed by nobody."""
        for id in signal.steps:
            if self._known[id]:
                self._known[id] -= 1
                continue
            slot = self._slot_of[id]
            slot.open = False
            self._take_back(slot, [promise for promise in slot.queue if promise.ticket.id == id])
            self._overtaken = True

    def _take_back(self, slot: Slot, promises: Iterable[Promise]) -> None:
        """They wait in line again, where they were; or have nothing to wait for any more."""
        for promise in promises:
            id = promise.ticket.id
            track = self._books.tracks[id]
            slot.queue.remove(promise)
            del self._slot_of[id]
            self._back.add(id)
            self._admission.add(track.step, promise.ticket)
            track.move(Phase.READY)
            if self._stopping.aborting:
                self._books.finish(track, Outcome.SKIPPED, PREVIOUS_FAILURE)
            elif self._stopping.cause is not None:
                self._books.finish(track, Outcome.CANCELLED, "cancelled")

    # --- what is to be done ---------------------------------------------------------------------------

    def look(self) -> None:
        """Promise, or call back what was promised. Only here: what runs where is as the launcher sees it, too."""
        overtaken, self._overtaken = self._overtaken, False
        if self._slot_of and (overtaken or self._stopping.halting or self._could_start() or self._is_late()):
            self._call_back()
        elif self._quick and self._admission.waiting and self._recalls < PATIENCE and not self._stopping.halting:
            self._promise()

    def _could_start(self) -> bool:
        """Whether a slot is free: whoever waits has been looked at, and waits for something else."""
        return len(self._admission.running) < self._admission.capacity

    def _is_late(self) -> bool:
        """Whether somebody is more urgent than one who was promised to start before."""
        first = self._admission.first()
        last = max((slot.queue[-1].ticket for slot in self._slots.values() if slot.open and slot.queue), default=None)
        if first is None or last is None or first.id in self._back or not _is_before(first, last):
            return False
        self._recalls += 1
        return True

    def _call_back(self) -> None:
        for behind, slot in self._slots.items():
            if slot.queue and slot.open:
                slot.open = False
                self._books.orders.append(Recall(behind, self._books.tracks[behind].attempts))

    def _promise(self) -> None:
        """One to each slot in turn, as long as who is first is plain, and there are enough for all slots."""
        if len(self._slot_of) > FEW * len(self._slots):
            return
        most = min(MOST, (self._admission.waiting + len(self._slot_of)) // len(self._admission.running))
        given: dict[str, list[Launch]] = {behind: [] for behind in self._slots if self._takes_more(behind, most)}
        short = list(given)
        while short:
            behind = short.pop(0)
            promise = self._next()
            if promise is None:
                break
            slot = self._slots[behind]
            slot.queue.append(promise)
            self._slot_of[promise.ticket.id] = slot
            given[behind].append(promise.launch)
            if len(slot.queue) < most:
                short.append(behind)
        for behind, launches in given.items():
            if launches:
                self._books.orders.append(Follow(behind, self._books.tracks[behind].attempts, tuple(launches)))

    def _takes_more(self, behind: str, most: int) -> bool:
        slot, track = self._slots[behind], self._books.tracks[behind]
        is_quick = track.phase is Phase.RUNNING and self._books.now - track.started_at < LONG_S
        return is_quick and slot.open and len(slot.queue) <= FEW and len(slot.queue) < most

    def _next(self) -> Promise | None:
        """Who is first in the order, and will start by itself from here on; None when that cannot be."""
        ticket = self._admission.first()
        if ticket is None or ticket.id not in self._plain:
            return None
        track = self._books.tracks[ticket.id]
        try:
            launch, declared = self._books.preparation.launch(track.step, track.attempts + 1)
        except CannotPrepare:
            return None  # which is told when its turn comes
        if _size(launch) > MOST_TEXT:
            return None
        self._admission.promise()
        track.move(Phase.PROMISED)
        return Promise(ticket, launch, declared)


def _is_before(one: Ticket, other: Ticket) -> bool:
    """Whether it is more urgent by more than the steps of a slot take together: less is not worth calling back."""
    if one.priority != other.priority:
        return one.priority < other.priority
    return one.minus_urgency < other.minus_urgency - MOST * LONG_S


def may_go_ahead(plan: Plan) -> bool:
    """Whether steps of the plan hang on nothing but their needs and a slot."""
    workflow = plan.workflow
    limits = workflow.adaptive or workflow.rate_limit_s or workflow.breakers or workflow.host_pools
    odd = (StepType.CONDITION, StepType.FAN_OUT)
    steps = plan.steps.values()
    return not limits and not any(step.type in odd or not step.isolate_errors for step in steps)


def _size(launch: Launch) -> int:
    stdin = launch.stdin
    given = len(stdin.text or stdin.path or "") if stdin is not None else 0
    return sum(map(len, launch.argv)) + given + sum(len(value or "") for value in launch.env.values())


def _is_plain(step: Step, books: Books) -> bool:
    learned = books.plan.learned.get(step.id)
    known = step.estimate_s if learned is None else learned.duration_s
    return (
        step.type is StepType.SCRIPT
        and step.stage is Stage.MAIN
        and books.admission.wants_nothing(step.id)
        and 0 in step.allowed_exit_codes
        and (known is None or known < LONG_S)
        and not (step.tests or step.idle_s or step.outputs or step.inputs is not None or wants_tail(step))
        and not books.tracks[step.id].self_deciding
    )
