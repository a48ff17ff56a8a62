"""Admission where some units are not the run's own: pools of the whole machine, tokens of make, turns of a rate limit
that several runs share. They are asked for with `Lease`, and a step starts once `Leased` has come.

Rule 1  A step asks when it could start: its slot, its pools and its memory are kept for it until the answer is there,
        which is at once; until then nobody else is let in, or who asks would always be overtaken.
Rule 2  Where the answer is `Deferred` it keeps none of these, but only its own share of what it waits for: no more of
        a run's steps ask for a pool at a time than the run may have of it.
Rule 3  What was granted later goes before everything else: what the step then lacks within the run is kept for it.
Rule 4  What was granted is given back with the slot, after every attempt, or when the step ends without a start.
Rule 5  A turn of the rate limit is asked for last, by one step at a time, and that one keeps its slot: as long as it
        has no turn nobody else could start either. The launch itself uses the turn up.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum

from stepwave.core.events import Deferred, Lease, Order, Release
from stepwave.core.model import JOBSERVER, RATE_LIMIT, Step, StepType
from stepwave.core.plan import Plan
from stepwave.core.running.admission import Admission, Ask, Ticket
from stepwave.core.text import one_line

Wants = tuple[tuple[str, int], ...]

ONE_TURN: Wants = ((RATE_LIMIT, 1),)
LONG_AGO = -(1 << 60)


class State(Enum):
    """How far a step has come that wants something."""

    ASKED = "the answer is on the way, and what it needs is kept"
    DEFERRED = "it has nothing, and will be told"
    LATE = "it was granted later, and is in line for what it needs within the run"
    GRANTED = "it may start, and what it needs is kept"
    NEXT = "it waits for a turn of the rate limit, and what it needs is kept"
    ITS_TURN = "it may start, turn and all"
    STARTED = "it has been let in"


class LeasedAdmission(Admission):
    """`order` takes what is ordered. With `jobserver` every step with a process takes a token of make."""

    def __init__(self, plan: Plan, capacity: int, order: Callable[[Order], None], *, jobserver: bool) -> None:
        self._order = order
        self._jobserver = jobserver
        self._leased = plan.workflow.host_pools | ({JOBSERVER} if jobserver else frozenset())
        self._paced = bool(plan.workflow.rate_limit_host)
        self._steps = dict(plan.steps)
        super().__init__(plan, capacity)
        if jobserver:
            self.units = {**self.units, JOBSERVER: capacity}
            self.free[JOBSERVER] = capacity
        self._states: dict[str, State] = {}
        self._whole: dict[str, Ask] = {}  # what those in line ask for who were granted late
        self._lacks: dict[str, tuple[str, ...]] = {}
        self._told: set[tuple[str, tuple[str, ...]]] = set()
        self._ready: deque[str] = deque()  # GRANTED and ITS_TURN
        self._asking: str | None = None  # who is ASKED, or NEXT: nobody else is let in

    # --- what is wanted -----------------------------------------------------------------------------

    def _ask(self, step: Step, limited: set[int], wave: int) -> Ask:
        ask = super()._ask(step, limited, wave)
        if self._jobserver and _has_process(step):
            ask = ask._replace(units=(*ask.units, (JOBSERVER, 1)))
        return ask

    def _wants(self, step: Step) -> Wants:
        if not _has_process(step):
            return ()
        wants = [want for want in self._asks[step.id].units if want[0] in self._leased]
        # The token of make first: where another pool has nothing it is put back at once, and others can work on it.
        return tuple(sorted(wants, key=lambda want: want[0] != JOBSERVER))

    def join(self, step: Step, wave: int) -> None:
        self._steps[step.id] = step
        super().join(step, wave)

    # --- who is next --------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        return self._waiting + len(self._ready)

    def take(self) -> str | None:
        while self._asking is None:
            id = self._ready.popleft() if self._ready else super().take()
            if id is None or self._may_start(id):
                return id
        return None

    def _may_start(self, id: str) -> bool:
        """Whether a step that has all it needs within the run has all the rest, too; else it asks for that."""
        state, step = self._states.get(id), self._steps[id]
        if state is None and (wants := self._wants(step)):
            self._states[id], self._asking = State.ASKED, id
            self._order(Lease(id, wants))
            return False
        if state is State.LATE:
            self.running[id] = self._asks[id] = self._whole.pop(id)
        if self._paced and state is not State.ITS_TURN and _has_process(step):
            self._states[id], self._asking = State.NEXT, id
            self._order(Lease(id, ONE_TURN))
            return False
        if state is not None:
            self._states[id] = State.STARTED
            self._lacks.pop(id, None)
        return True

    # --- the answers --------------------------------------------------------------------------------

    def leased(self, id: str) -> None:
        match self._states.get(id):
            case State.ASKED:
                self._states[id], self._asking = State.GRANTED, None
                self._ready.append(id)
            case State.DEFERRED:
                self._states[id] = State.LATE
                self._line_up_first(id)
            case State.NEXT:
                self._states[id], self._asking = State.ITS_TURN, None
                self._ready.appendleft(id)
            case None:
                self._order(Release(id))  # it was on its way when the step ended

    def deferred(self, answer: Deferred) -> bool:
        """Whether this is the first that is heard of it, for this step and these pools."""
        id = answer.step
        state = self._states.get(id)
        if state not in (State.ASKED, State.DEFERRED, State.NEXT):
            return False
        if state is State.ASKED:
            self._let_go(id)
            self._states[id], self._asking = State.DEFERRED, None
        self._lacks[id] = answer.lacks
        is_news = (id, answer.lacks) not in self._told
        self._told.add((id, answer.lacks))
        return is_news

    def ask_again(self, id: str) -> None:
        """The time has come to try again, if the step still waits."""
        state = self._states.get(id)
        if state is State.DEFERRED:
            self._order(Lease(id, self._wants(self._steps[id])))
        elif state is State.NEXT:
            self._order(Lease(id, ONE_TURN))

    def _let_go(self, id: str) -> None:
        """All but its share of what it waits for is free again."""
        ask = self.running.pop(id)
        self.held_bytes -= ask.memory_bytes
        for pool, units in ask.units:
            if pool not in self._leased:
                self.free[pool] += units

    def _line_up_first(self, id: str) -> None:
        """Before everybody else, with the patience of one who has waited forever. Its share is kept already."""
        ask = self._whole[id] = self._asks[id]
        own = tuple((pool, units) for pool, units in ask.units if pool not in self._leased)
        self._asks[id] = ask._replace(units=own)
        self.add(self._steps[id], Ticket(LONG_AGO, 0.0, self._index[id], id, LONG_AGO))

    # --- the end ------------------------------------------------------------------------------------

    def give_back(self, id: str) -> None:
        super().give_back(id)
        self._forget(id)

    def remove(self, id: str) -> None:
        state = self._states.get(id)
        if state is None:
            super().remove(id)
            return
        if state is State.LATE:
            super().remove(id)
            self._asks[id] = self._whole.pop(id)
        if state in (State.LATE, State.DEFERRED):
            for pool, units in self._wants(self._steps[id]):
                self.free[pool] += units
        else:
            super().give_back(id)
        if id in self._ready:
            self._ready.remove(id)
        if self._asking == id:
            self._asking = None
        self._forget(id)

    def _forget(self, id: str) -> None:
        self._lacks.pop(id, None)
        if self._states.pop(id, None) is not None:
            self._order(Release(id))

    def why_waiting(self, id: str) -> str:
        if id in self._lacks:
            return lacking(self._lacks[id])
        return super().why_waiting(id)


def _has_process(step: Step) -> bool:
    """Whether there will be a process, which alone can use what is granted."""
    return step.type is StepType.SCRIPT


def lacking(pools: tuple[str, ...]) -> str:
    """What keeps a step waiting that is not the run's own, as the end of a sentence."""
    if pools == (JOBSERVER,):
        return "the job server has no slot left"
    if pools == (RATE_LIMIT,):
        return "it is the turn of another run, as the rate limit is one of the whole machine"
    names = " and ".join(
        "slots of the job server" if pool == JOBSERVER else f"`{one_line(pool, 80)}`" for pool in pools
    )
    return f"other runs on this machine hold {names}"
