"""How much memory the steps of a run may take: what the machine has to give, held against what steps need.

Rule 1  The budget is what is available, and what running steps already use of what is held for them, less what is to be
        left free. What our own steps take or give back does not change it; what other programs do, does.
Rule 2  A step starts when what is held and what it needs fit into the budget; but where no step that needs memory runs,
        the next one starts whatever it needs. `Admission` sees to that.
Rule 3  No step that needs memory starts on a measurement that is older than MEASURE_S.
Rule 4  While steps wait for memory it is measured every MEASURE_S, and else never on a timer.
"""

from collections.abc import Mapping

from stepwave.core.events import Measure, Measured, MemoryShort
from stepwave.core.model import Step, StepType
from stepwave.core.running.alarms import Due
from stepwave.core.running.books import Books
from stepwave.core.running.needs import PER_STEP_BYTES, need_of
from stepwave.core.running.pace import MEASURE_S


class Room:
    """`measured` is what the machine has before anything runs."""

    def __init__(self, books: Books, measured: Measured) -> None:
        self._books = books
        self._admission = books.admission
        self._min_free = books.plan.workflow.min_free_bytes
        self._largest = 0
        self._admission.mind_memory(self._need_of)
        self._asked = False
        self._alarm = False
        self._measured_at = books.now
        self._unused_bytes = 0
        self._told: set[tuple[str, bool]] = set()
        self.heed(measured)

    def _need_of(self, step: Step) -> int:
        need = need_of(step, self._books.plan.learned, self._min_free)
        self._largest = max(self._largest, need)
        return need

    @property
    def usual_bytes(self) -> int:
        """What a step of the run needs, in the mean."""
        steps = self._books.plan.steps.values()
        needs = [self._need_of(step) or PER_STEP_BYTES for step in steps if step.type is StepType.SCRIPT]
        return sum(needs) // len(needs) if needs else PER_STEP_BYTES

    # --- the budget -----------------------------------------------------------------------------------

    def ask(self) -> None:
        """Measure, and tell what the steps use where that may matter."""
        self._asked = True
        ample = (self._min_free or 0) + self._admission.capacity * self._largest
        self._books.orders.append(Measure(ample))

    def heed(self, measured: Measured) -> None:
        self._asked = False
        self._measured_at = self._books.now
        given = measured.available_bytes - (self._min_free or 0)
        if not self._admission.held_bytes:
            self._unused_bytes = given
        if measured.used_bytes is not None:
            budget = given + self._in_use(measured.used_bytes)
        else:
            # Not less than what is held, were all of it in use; but never more than before any of it was.
            budget = max(given, min(given + self._admission.held_bytes, self._unused_bytes))
        self._admission.budget_bytes = budget

    def _in_use(self, used: Mapping[str, int]) -> int:
        """Of each step no more than is held for it: the rest is growth that nobody expected."""
        return sum(min(used.get(id, 0), ask.memory_bytes) for id, ask in self._admission.running.items())

    # --- when to look ---------------------------------------------------------------------------------

    def waits_for_answer(self) -> bool:
        """True while what is known is too old for a step to start on. The answer comes in the same moment."""
        if not self._asked and self._books.now - self._measured_at >= MEASURE_S:
            self.ask()
        return self._asked

    def look(self, *, on_a_timer: bool) -> None:
        """All that could start has started: those that could not for want of memory are told."""
        if not self._admission.short or not self._admission.waiting:
            return
        for id in self._admission.short:
            self._tell(id, starts=False)
        if on_a_timer and not self._alarm:
            self._alarm = True
            self._books.alarms.set(self._books.now + MEASURE_S, Due.MEMORY)

    def look_again(self) -> None:
        """The alarm has rung."""
        self._alarm = False
        if self._admission.waiting and self._admission.short and not self._asked:
            self.ask()

    def check_start(self, id: str) -> None:
        """The step has been let in: with more than there is, if no other needs any."""
        self._told.discard((id, False))  # should it wait once more, for another attempt
        budget, held = self._admission.budget_bytes, self._admission.held_bytes
        if budget is not None and 0 < held == self._admission.need(id) and held > budget:
            self._tell(id, starts=True)

    def _tell(self, id: str, *, starts: bool) -> None:
        if (id, starts) in self._told:
            return
        self._told.add((id, starts))
        need, held = self._admission.need(id), self._admission.held_bytes
        left = (self._admission.budget_bytes or 0) - (0 if starts else held)
        self._books.events.append(MemoryShort(id, need, max(left, 0), starts))
