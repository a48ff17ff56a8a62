"""How long each step is expected to take, and the order of ready steps that follows from it.

Rule 1  What was learned beats what the file says: `estimate` is for the first run.
Rule 2  Of a step of which neither is known its siblings speak: the mean of the parts of the same `matrix` or `forEach`.
        Then, where anything has been learned, that of the learned steps which start the same program, or of all learned
        ones. Else it is GUESS_S. An `estimate` says nothing about other steps than its family: who writes one does so
        because the step is not like the others.
Rule 3  Where anything has been learned, a step without a process takes no time.
Rule 4  The same plan gives the same order, on every machine.
"""

from collections.abc import Iterable, Mapping

from stepwave.core.digest import hex_digest
from stepwave.core.model import Step, StepType
from stepwave.core.plan import Learned, Plan

GUESS_S = 1.0

CRITICAL_PATH = "critical-path"
FILE_ORDER = "file"
SHUFFLE = "shuffle:"
ORDERS = (CRITICAL_PATH, FILE_ORDER, f"{SHUFFLE}SEED")


def expected_s(steps: Mapping[str, Step], learned: Mapping[str, Learned]) -> dict[str, float]:
    """Seconds by step, without those of which nothing is known: they are GUESS_S. `learned` may know of more steps than
    there are."""
    found: dict[str, float] = {}
    unknown: list[Step] = []
    for id, step in steps.items():
        if learned and id in learned:
            found[id] = learned[id].duration_s
        elif learned and step.type in (StepType.NOOP, StepType.CONDITION):
            found[id] = 0.0
        elif step.estimate_s is not None:
            found[id] = step.estimate_s
        else:
            unknown.append(step)
    if unknown and (found or learned):
        siblings = _Siblings(steps, found, learned)
        spoken = ((step.id, siblings.speak_for(step)) for step in unknown)
        found |= {id: mean_s for id, mean_s in spoken if mean_s is not None}
    return found


class _Siblings:
    """Means of what is known."""

    def __init__(self, steps: Mapping[str, Step], found: Mapping[str, float], learned: Mapping[str, Learned]) -> None:
        families: dict[str, list[float]] = {}
        programs: dict[str, list[float]] = {}
        for id, seconds in found.items():
            if steps[id].family:
                families.setdefault(steps[id].family, []).append(seconds)
            if id in learned:
                programs.setdefault(program_of(steps[id]), []).append(seconds)
        for id, fact in learned.items():
            if id not in steps and id.endswith("]"):  # a part that the run will bring forth again
                families.setdefault(id.partition("[")[0], []).append(fact.duration_s)
        self._families = {name: _mean(times) for name, times in families.items()}
        self._programs = {name: _mean(times) for name, times in programs.items()}
        self._all_s = _mean([seconds for id, seconds in found.items() if id in learned])

    def speak_for(self, step: Step) -> float | None:
        means = (
            self._families.get(step.family or step.id),
            self._programs.get(program_of(step)),
            self._all_s,
        )
        return next((mean_s for mean_s in means if mean_s is not None), None)


def _mean(seconds: list[float]) -> float | None:
    return sum(seconds) / len(seconds) if seconds else None


def program_of(step: Step) -> str:
    """What a step starts, as a word that its siblings share: of a script the first word that sets no variable."""
    if step.function is not None:
        return step.function.target
    if step.script is not None:
        return next((word for word in step.script[:200].split() if "=" not in word), "")
    return step.argv[0] if step.argv else ""


def remaining(
    order: Iterable[str], known_s: Mapping[str, float], dependents: Mapping[str, tuple[str, ...]]
) -> dict[str, float]:
    """The longest path from the start of each step to the end of the run, in seconds. In `order` a step comes after
    all that need it. `known_s` is from `expected_s`."""
    left_s: dict[str, float] = {}
    for id in order:
        longest_s = 0.0
        for other in dependents[id]:
            longest_s = max(longest_s, left_s[other])
        left_s[id] = known_s.get(id, GUESS_S) + longest_s
    return left_s


# --- another order ---------------------------------------------------------------------------------------------


def is_order(text: str) -> bool:
    """Whether this is one of ORDERS; a seed is any text."""
    return text in (CRITICAL_PATH, FILE_ORDER) or (text.startswith(SHUFFLE) and len(text) > len(SHUFFLE))


def in_order(plan: Plan, order: str) -> Plan:
    """The plan with its ready steps in this order, one of ORDERS; their priorities come first whatever it is.

    `shuffle:SEED` is for finding needs that a file does not declare. Raises ValueError for anything else.
    """
    if not is_order(order):
        raise ValueError(f"the order must be one of {', '.join(ORDERS)}, not {order!r}")
    if order == CRITICAL_PATH:
        return plan._replace(urgency=None)
    if order == FILE_ORDER:
        return plan._replace(urgency={})
    return plan._replace(urgency={id: _drawn(order, id) for id in plan.steps})


def _drawn(seed: str, id: str) -> float:
    """A number from 0 to 1 that hangs on nothing but these two: the beginning of a BLAKE2b digest (RFC 7693)."""
    return int(hex_digest(f"{seed}\0{id}", 8), 16) / 2**64
