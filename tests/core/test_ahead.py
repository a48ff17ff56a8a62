"""What is decided ahead changes when steps start, and nothing else: whatever they do, however late messages are."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.events import (
    Follow,
    Interrupted,
    Launch,
    Outcome,
    Recall,
    RunStopping,
    StepFinished,
    StepQueued,
    StepRetrying,
    StepStarted,
    StepStopping,
)
from stepwave.core.model import FailurePolicy, Retry, Scheduling, Step, StepType
from stepwave.core.running.ahead import MOST, MOST_TEXT, may_go_ahead
from stepwave.core.running.graph import make_plan
from tests.core.slots import HOLD_S, ON_THE_WAY_S, TURN_S, Slots
from tests.core.world import Acts, step, workflow

QUICK = (0.0, 0.0003, 0.001, 0.003)
MIXED = (*QUICK, 0.001, 0.015, 0.021, 0.2, 2.0)
ANSWER_S = TURN_S + 2 * ON_THE_WAY_S
"""From a thing that happens to what the runner does about it, at the longest; a turn that has begun comes before."""

seeds = st.integers(0, 2**32)
counts = st.integers(1, 70)
widths = st.integers(1, 5)


def graph(chance: Random, count: int, *, plain: bool, odd: bool = True) -> list[Step]:
    """Random steps. `plain`: they need nothing but each other and a slot. `odd`: some may fail and be tried again."""
    reach = chance.choice([0, 2, 10])
    return [
        step(
            f"s{n}",
            *{f"s{chance.randrange(n)}" for _ in range(min(n, chance.randint(0, reach)))},
            priority=chance.choice([0, 0, 0, 1, -1]),
            type=StepType.SCRIPT if plain or chance.random() < 0.95 else StepType.NOOP,
            resources=() if plain or chance.random() < 0.9 else (("p", 1),),
            exclusive=not plain and chance.random() < 0.03,
            max_concurrency=None if plain or chance.random() < 0.95 else 2,
            continue_on_error=odd and chance.random() < 0.2,
            condition=None if plain or chance.random() < 0.95 else chance.choice(["always()", "failure()"]),
            retry=Retry(attempts=chance.choice([1, 1, 2, 3]) if odd else 1, delay_s=chance.choice([0.0, 0.01])),
            allowed_exit_codes=(0,) if plain or chance.random() < 0.95 else (0, 1),
        )
        for n in range(count)
    ]


def slots(
    seed: int,
    count: int,
    width: int,
    *,
    plain: bool = False,
    faults: float = 0.0,
    odd: bool = True,
    ahead: bool = True,
    lengths: tuple[float, ...] = (),
    **fields: object,
) -> Slots:
    """A world that is the same for the same arguments."""
    chance = Random(seed)
    steps = graph(chance, count, plain=plain, odd=odd)
    lengths = lengths or chance.choice([QUICK, MIXED])
    acts: dict[tuple[str, int], Acts] = {}
    for one in steps:
        for attempt in range(1, 4):
            code = int(chance.random() < faults)
            acts[one.id, attempt] = Acts(chance.choice(lengths), code, chance.random() < 0.8)
    flow = workflow(*steps, pools={"p": 1}, max_concurrency=width, **fields)
    return Slots(make_plan(flow, cpus=4), lambda id, attempt: acts[id, attempt], chance, ahead)


def assert_true(run: Slots) -> None:
    """What holds of every run, of what was told and of what truly happened."""
    steps = run.plan.steps
    finished = Counter(event.step for _, event in run.events if isinstance(event, StepFinished))
    assert finished == Counter(list(steps)), "every step ends exactly once"
    once = Counter((begun.step, begun.attempt) for begun in run.begun)
    assert not once or max(once.values()) == 1, "an attempt begins once"
    told = [(event.step, event.attempt) for _, event in run.events if isinstance(event, StepStarted) and event.argv]
    assert sorted(told) == sorted(once), "all that began was told, and all that was told began"
    assert all(a <= b for (a, _), (b, _) in pairwise(run.events)), "time goes forward"
    assert_room(run)
    assert_order_of_needs(run)
    promised = sum(len(order.launches) for _, order in run.orders if isinstance(order, Follow))
    assert promised <= (MOST + 1) * (len(told) + 1), "promises are not made for ever"
    assert sum(isinstance(order, Recall) for _, order in run.orders) <= 2 * len(told)


def assert_room(run: Slots) -> None:
    """Slots, pools and who runs alone, as it truly was."""
    steps = run.plan.steps
    for _, working in run.overlaps:
        assert len(working) <= run.plan.max_concurrency
        assert sum(bool(steps[id].resources) for id in working) <= 1
        assert len(working) <= 1 or not any(steps[id].exclusive for id in working)


def assert_order_of_needs(run: Slots) -> None:
    """Nothing begins before all that it needs has truly ended; what is fail-fast, ended well."""
    last: dict[str, tuple[float, bool]] = {}
    for at, id, _, well in run.ended:
        last[id] = at, well
    for begun in run.begun:
        for need in run.plan.steps[begun.step].needs:
            if need in last:
                assert last[need][0] <= begun.at, f"{begun.step} began before {need} had ended"
                outcome = run.ends[need].outcome
                assert (outcome is Outcome.COMPLETED) == last[need][1] or 1 in run.plan.steps[need].allowed_exit_codes
    for begun in run.begun:
        assert begun.attempt == 1 or any(
            isinstance(event, StepRetrying) and event.step == begun.step and event.attempt == begun.attempt - 1
            for _, event in run.events
        )


@settings(max_examples=120, deadline=None)
@given(seeds, counts, widths, st.sampled_from([0.0, 0.03, 0.3]), st.sampled_from(FailurePolicy), st.booleans())
def test_the_books_balance(
    seed: int, count: int, width: int, faults: float, policy: FailurePolicy, waves: bool
) -> None:
    scheduling = Scheduling.WAVES if waves else Scheduling.EAGER
    run = slots(seed, count, width, faults=faults, on_failure=policy, scheduling=scheduling).run()
    assert_true(run)
    assert_nothing_after_the_end_began(run)


@settings(max_examples=100, deadline=None)
@given(seeds, counts, widths, st.floats(0, 0.1), st.sampled_from([None, 0.01]), st.booleans())
def test_interrupts_and_deadlines_end_the_run(
    seed: int, count: int, width: int, at: float, again_s: float | None, deadline: bool
) -> None:
    run = slots(seed, count, width, timeout_s=at + 0.001 if deadline else None)
    if not deadline:
        run.signals = [(at, Interrupted(2)), *([(at + again_s, Interrupted(2))] if again_s is not None else [])]
    run.run()
    assert_true(run)
    assert_nothing_after_the_end_began(run)
    assert_all_that_ran_was_stopped(run)


@settings(max_examples=100, deadline=None)
@given(seeds, counts, widths, st.lists(st.floats(0, 0.05), min_size=1, max_size=4))
def test_a_supervisor_that_is_killed_takes_with_it_only_what_had_begun(
    seed: int, count: int, width: int, kills: list[float]
) -> None:
    run = slots(seed, count, width, on_failure=FailurePolicy.CONTINUE)
    run.kills = kills
    run.run()
    assert_true_but_for_reports(run)


def assert_true_but_for_reports(run: Slots) -> None:
    """The success of a step may be lost with the supervisor that had not told it yet; nothing begins twice for it."""
    begun = Counter((begun.step, begun.attempt) for begun in run.begun)
    assert not begun or max(begun.values()) == 1, "an attempt begins once"
    assert Counter(e.step for _, e in run.events if isinstance(e, StepFinished)) == Counter(list(run.plan.steps))
    well = {(id, attempt) for _, id, attempt, well in run.ended if well}
    for id, end in run.ends.items():
        if end.outcome is Outcome.COMPLETED and run.plan.steps[id].type is StepType.SCRIPT and end.exit_code == 0:
            assert (id, end.attempts) in well, "what is told to have completed has"
    assert_room(run)


def assert_nothing_after_the_end_began(run: Slots) -> None:
    """Once the runner knows that the run is to end, only what was under way begins, and what asks for such an end."""
    stopping = [(at, event) for at, event in run.told_at if isinstance(event, RunStopping)]
    if not stopping:
        return
    known = stopping[0][0]
    for begun in run.begun:
        asked = run.plan.steps[begun.step].condition is not None
        assert asked or begun.at <= known + ON_THE_WAY_S
    for at, order in run.orders:
        assert at <= known or not isinstance(order, Follow)
        if isinstance(order, Launch):
            assert at <= known or run.plan.steps[order.step].condition is not None


def assert_all_that_ran_was_stopped(run: Slots) -> None:
    """Whatever truly ran when the run was told to stop has been ordered to, if it did not end before."""
    known = [at for at, event in run.events if isinstance(event, RunStopping)]
    stopped = {(event.step, event.attempt) for _, event in run.events if isinstance(event, StepStopping)}
    ends = {(id, attempt): at for at, id, attempt, _ in run.ended}
    for begun in run.begun if known and run.plan.workflow.scheduling is not None else ():
        if ends[begun.step, begun.attempt] > known[0] + 2 * ANSWER_S + TURN_S + HOLD_S:
            assert (begun.step, begun.attempt) in stopped


@settings(max_examples=100, deadline=None)
@given(seeds, counts, widths, st.sampled_from([0.0, 0.1]))
def test_the_end_is_the_same_as_without(seed: int, count: int, width: int, faults: float) -> None:
    """Where it does not hang on the moment: nobody fails fast, nobody is interrupted."""
    runs = [
        slots(seed, count, width, faults=faults, on_failure=FailurePolicy.CONTINUE, ahead=ahead).run()
        for ahead in (True, False)
    ]
    with_it, without = [{id: (e.outcome, e.attempts, e.exit_code, e.reason) for id, e in r.ends.items()} for r in runs]
    assert with_it == without
    assert not any(isinstance(order, Follow | Recall) for _, order in runs[1].orders)


# --- who is next, and when --------------------------------------------------------------------------------------------


def queued(run: Slots) -> dict[str, float]:
    return {event.step: at for at, event in run.events if isinstance(event, StepQueued)}


def promised(run: Slots) -> set[str]:
    return {launch.step for _, order in run.orders if isinstance(order, Follow) for launch in order.launches}


@settings(max_examples=80, deadline=None)
@given(seeds, counts, widths, st.sampled_from([0.0, 0.1]))
def test_whoever_is_more_urgent_is_not_left_behind(seed: int, count: int, width: int, faults: float) -> None:
    """One that was not promised waits no longer than it takes to call promises back. One that was may wait for what is
    before it in its slot, and only while that is short; where there is one slot, that is before it in the order."""
    run = slots(seed, count, width, plain=True, faults=faults, on_failure=FailurePolicy.CONTINUE).run()
    plan, ready, ahead = run.plan, queued(run), promised(run)
    rank = {id: (one.priority, -plan.remaining_s[id], n) for n, (id, one) in enumerate(plan.steps.items())}
    began = {begun.step: begun.at for begun in run.begun if begun.attempt == 1}
    for first in began.keys() - (ahead if width > 1 else set()):
        patience = 4 * ANSWER_S
        passed = [id for id, at in began.items() if rank[id] > rank[first] and ready[first] + patience < at]
        assert all(began[id] > began[first] - ON_THE_WAY_S for id in passed), "two orders of one turn may cross"


@settings(max_examples=60, deadline=None)
@given(seeds, counts, widths)
def test_what_is_promised_is_kept_soon(seed: int, count: int, width: int) -> None:
    """Where all steps are short, whoever is passed begins as soon as what is before it in its slot is over."""
    run = slots(seed, count, width, plain=True, odd=False, lengths=QUICK).run()
    ready, began = queued(run), {begun.step: begun.at for begun in run.begun}
    rank = {id: (one.priority, -run.plan.remaining_s[id], n) for n, (id, one) in enumerate(run.plan.steps.items())}
    for first, at in began.items():
        patience = 4 * ANSWER_S + MOST * QUICK[-1]
        assert not [id for id in began if rank[id] > rank[first] and ready[first] < began[id] < at - patience]


@settings(max_examples=100, deadline=None)
@given(seeds, counts, widths)
def test_no_slot_is_idle_while_somebody_waits(seed: int, count: int, width: int) -> None:
    run = slots(seed, count, width, plain=True, odd=False).run()
    ready, began = queued(run), {begun.step: begun.at for begun in run.begun}
    at_work = {begun.slot: [one for one in run.begun if one.slot == begun.slot] for begun in run.begun}
    ended = {id: at for at, id, _, _ in run.ended}
    longest = 4 * ANSWER_S  # to hear of it, to call one back, to hear of that, to launch it
    for works in at_work.values():
        begins = [*(one.at for one in works[1:]), run.now]
        for idle, until in zip((ended[one.step] for one in works), begins, strict=True):
            waits = [id for id in began if ready[id] <= idle and began[id] > idle + longest]
            assert not waits or until <= idle + longest


def test_most_short_steps_begin_by_themselves() -> None:
    steps = [step(f"s{n}") for n in range(300)]
    run = quick(*steps)
    assert_true(run)
    assert sum(begun.by == "follow" for begun in run.begun) > 200
    for end in run.ends.values():
        assert 0.0 <= end.duration_s < 2 * ANSWER_S, "what is told of its length is off by a turn at most"


def test_a_long_step_among_short_ones_keeps_nobody() -> None:
    steps = [step(f"s{n}") for n in range(100)]
    run = quick(*steps, acts={"s40": Acts(3.0)})
    assert_true(run)
    assert max(begun.at for begun in run.begun) < 2.0, "all others are done long before"


def quick(*steps: Step, acts: dict[str, Acts] | None = None, **fields: object) -> Slots:
    flow = workflow(*steps, **{"max_concurrency": 2, "pools": {"p": 1}, **fields})
    return Slots(make_plan(flow, cpus=4), lambda id, _: (acts or {}).get(id, Acts(QUICK[2])), Random(1)).run()


ODD = {
    "a pool": {"resources": (("p", 1),)},
    "alone": {"exclusive": True},
    "a wave's width": {"max_concurrency": 2},
    "a pattern": {"success_pattern": "ok"},
    "silence": {"idle_s": 1.0},
    "files": {"outputs": ("a",)},
    "its estimate": {"estimate_s": 1.0},
    "an exit code": {"allowed_exit_codes": (3,)},
    "a decision of its own": {"condition": "always()"},
    "much text": {"stdin": None, "argv": ("true", "x" * MOST_TEXT)},
    "no process": {"type": StepType.NOOP},
}


@pytest.mark.parametrize("fields", ODD.values(), ids=ODD.keys())
def test_only_who_wants_nothing_but_a_slot_is_promised_one(fields: dict[str, object]) -> None:
    acts = {
        f"s{n}": Acts(QUICK[2], code=3 if "allowed_exit_codes" in fields else 0, tail="ok") for n in range(3, 60, 4)
    }
    steps = [step(f"s{n}", **(fields if n % 4 == 3 else {})) for n in range(60)]
    run = quick(*steps, acts=acts)
    odd = {f"s{n}" for n in range(3, 60, 4)}
    assert not promised(run) & odd
    assert Counter(e.step for _, e in run.events if isinstance(e, StepFinished)) == Counter(list(run.plan.steps))


LIMITED = {
    "adaptive": {"adaptive": True},
    "a rate": {"rate_limit_s": 0.0001},
    "breakers": {"breakers": {"b": 3}},
}


@pytest.mark.parametrize("fields", LIMITED.values(), ids=LIMITED.keys())
def test_a_run_whose_starts_hang_on_more_decides_nothing_ahead(fields: dict[str, object]) -> None:
    assert promised(quick(*(step(f"s{n}") for n in range(60))))
    if "adaptive" not in fields:
        assert not promised(quick(*(step(f"s{n}") for n in range(60)), **fields))
    assert not may_go_ahead(make_plan(workflow(step("s"), **fields), cpus=4))


def test_a_recall_meets_what_runs_by_then() -> None:
    """Steps come back in the same turn in which a step ends, its follower begins and another one fails."""
    failing = {f"s{n}": Acts(0.001, code=1) for n in (60, 61)} | {"s20": Acts(0.5), "s21": Acts(0.05)}
    for seed in range(25):
        steps = [step(f"s{n}") for n in range(200)]
        flow = workflow(*steps, max_concurrency=4)
        plan = make_plan(flow, cpus=4)
        run = Slots(plan, lambda id, _: failing.get(id, Acts(0.002)), Random(seed)).run()
        assert_true(run)
        assert_nothing_after_the_end_began(run)


def test_promises_are_called_back_for_who_is_more_urgent() -> None:
    """It becomes ready when others are to begin in the only slot, each of 15 ms."""
    before = [step(f"a{n}", priority=-1) for n in range(6)]
    acts = {f"s{n}": Acts(0.015) for n in range(60)}
    steps = [*before, step("gate"), *(step(f"s{n}") for n in range(60)), step("urgent", "gate", priority=-2)]
    run = quick(*steps, acts=acts, max_concurrency=1)
    began = {begun.step: begun.at for begun in run.begun}
    assert {"gate", "s0"} <= promised(run) and began["urgent"] < queued(run)["urgent"] + 4 * ANSWER_S


@pytest.mark.parametrize("obeys", [True, False], ids=["once", "twice"])
def test_one_that_begins_while_the_run_is_interrupted_is_stopped_too(obeys: bool) -> None:
    for seed in range(40):
        chance = Random(seed)
        plan = make_plan(workflow(*(step(f"s{n}") for n in range(300)), max_concurrency=4), cpus=4)
        long = {f"s{n}": Acts(3.0, obeys=obeys) for n in range(20, 300, 6)}
        run = Slots(plan, lambda id, _, long=long: long.get(id, Acts(0.001)), chance)
        at = chance.uniform(0.01, 0.06)
        run.signals = [(at, Interrupted(2))] if obeys else [(at, Interrupted(2)), (at + 0.002, Interrupted(2))]
        run.run()
        assert_true(run)
        assert run.events[-1][0] < 0.5, "nobody has waited for a step that was not stopped"
