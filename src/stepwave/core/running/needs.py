"""How much memory a step needs, as far as anybody knows, and whether a run has to mind it at all.

Rule 1  What earlier runs have shown counts, but never more than `limits.memory`, which no process of the step exceeds.
        Before the first run it is that limit itself.
Rule 2  Of a step of which neither is known nothing is expected, and it never waits for memory; but where some memory
        is to be left free (`--min-free-memory`) it counts as much as `adaptive_scaling` expects of any step.
Rule 3  Needs are rounded up to a few dozen sizes, because steps that ask for the same things wait in one line.
Rule 4  Steps that all together fit into SMALL_BYTES, whichever run, are not worth a look at the machine.
"""

from collections.abc import Mapping

from stepwave.core.model import Step, StepType
from stepwave.core.plan import Learned, Plan

PER_STEP_BYTES = 256 << 20
"""What a step is taken to need of which nobody knows, where that matters."""
SMALL_BYTES = 64 << 20
LEAST_BYTES = 4 << 20
"""Any process needs about as much; all below count the same."""


def need_of(step: Step, learned: Mapping[str, Learned], min_free: int | None = None) -> int:
    """Bytes; 0: nothing is known. `min_free` is how much memory is to be left free, None: nobody has asked for that."""
    if step.type is not StepType.SCRIPT:
        return 0
    limit, fact = step.limits.memory_bytes, learned.get(step.id)
    peak = fact.peak_rss_bytes if fact is not None else None
    if peak is None:
        if limit is not None:
            return rounded(limit)
        return 0 if min_free is None else PER_STEP_BYTES
    return rounded(peak if limit is None else min(peak, limit))


def rounded(size: int) -> int:
    """Up to the next size, of which there are eight from each power of two to the next: at most an eighth more."""
    if size <= LEAST_BYTES:
        return LEAST_BYTES
    grain = 1 << (size - 1).bit_length() - 4
    return -(-size // grain) * grain


def minds_memory(plan: Plan) -> bool:
    """Whether a run of the plan has to look how much memory there is."""
    steps, learned = plan.steps, plan.learned
    if plan.max_concurrency == 1:
        return False
    if plan.workflow.min_free_bytes is not None:
        return True
    most = sorted((need_of(step, learned) for step in steps.values()), reverse=True)[: plan.max_concurrency]
    if plan.workflow.adaptive and any(most):
        return True
    # The parts of a `forEach` are not known yet: as many as may run, each as the whole says of itself.
    parts = (step._replace(type=StepType.SCRIPT) for step in steps.values() if step.type is StepType.FAN_OUT)
    whole = max((need_of(step, learned) for step in parts), default=0) * plan.max_concurrency
    return sum(most) > SMALL_BYTES or whole > SMALL_BYTES
