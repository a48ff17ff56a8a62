"""From events to a Story: slots, waits, levels, the critical path; by values, and against what the schedule itself says
of every step that waits."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.events import (
    Event,
    Interrupted,
    Measured,
    NewStep,
    Order,
    Outcome,
    RunStarted,
    Status,
    StepFinished,
    StepQueued,
    StepsAdded,
    StepStarted,
)
from stepwave.core.model import Branch, FailurePolicy, Limits, Retry, Rule, Scheduling, Stage, Step, StepType
from stepwave.core.running.graph import make_plan
from stepwave.core.running.track import Phase
from stepwave.core.telling import charging
from stepwave.core.telling.retell import Cover, retell
from stepwave.core.telling.sketch import sketch_of
from stepwave.core.telling.story import ALONE, MEMORY, RATE, WAVE, Cause, StepStory, Story, Wait
from tests.core.world import Acts, World, step, workflow

MB = 1 << 20
COVER = Cover("r", "test", "A test")


def told(world: World, *, sketched: bool = True, until: float | None = None, cover: Cover = COVER) -> Story:
    happened = [(at, event) for at, event in world.events if until is None or at <= until]
    return retell(cover, sketch_of(world.plan) if sketched else None, happened)


def story(*steps: Step, acts: dict[str, Acts | list[Acts]] | None = None, **fields: object) -> Story:
    return told(run(*steps, acts=acts, **fields))


def run(*steps: Step, acts: dict[str, Acts | list[Acts]] | None = None, **fields: object) -> World:
    signals, measured = fields.pop("signals", []), fields.pop("measured", [])
    plan = make_plan(workflow(*steps, **fields), cpus=4)
    return World(plan, acts or {}, signals, measured).run()  # type: ignore[arg-type]


def waits(story: Story) -> dict[str, list[tuple[float, float, str, str]]]:
    return {
        one.drawn.id: [(wait.begin_s, wait.end_s, wait.cause.value, wait.name) for wait in one.waits]
        for one in story.steps
    }


def of(story: Story, id: str) -> StepStory:
    return next(one for one in story.steps if one.drawn.id == id)


# --- waits ---------------------------------------------------------------------------------------------------


def test_waiting_for_a_need_then_for_a_slot() -> None:
    found = story(
        *(step("a"), step("b"), step("c", "a")),
        acts={"a": Acts(1), "b": Acts(3), "c": Acts(1)},
        max_concurrency=1,
    )
    assert waits(found) == {"a": [], "b": [(0, 1, "slot", "")], "c": [(0, 1, "need", "a"), (1, 4, "slot", "")]}
    assert found.critical_path == ("a", "b", "c")


def test_a_pool_that_lacks_units_is_charged_while_slots_are_free() -> None:
    found = story(
        step("a", resources=(("gpu", 2),)),
        step("b", resources=(("gpu", 1), ("net", 1))),
        step("c", resources=(("net", 1),)),
        step("d"),
        acts={"a": Acts(2), "b": Acts(1), "c": Acts(5), "d": Acts(1)},
        pools={"gpu": 2, "net": 1},
        max_concurrency=3,
    )
    assert waits(found) == {
        "a": [],
        "b": [(0, 1, "slot", ""), (1, 2, "pool", "gpu"), (2, 5, "pool", "net")],
        "c": [],
        "d": [],
    }
    assert [(pool.name, pool.limit, pool.levels) for pool in found.pools] == [
        ("", 3, ((0, 3), (1, 2), (2, 1), (6, 0))),
        ("gpu", 2, ((0, 2), (2, 0), (5, 1), (6, 0))),
        ("net", 1, ((0, 1), (6, 0))),
    ]
    assert found.critical_path == ("c", "b")


def test_a_retry_waits_for_its_delay_and_then_for_its_turn() -> None:
    found = story(
        step("a", retry=Retry(2, 1.0)),
        step("b", priority=1),
        acts={"a": [Acts(1, code=1), Acts(1)], "b": Acts(4)},
        max_concurrency=1,
    )
    assert waits(found) == {"a": [(1, 2, "retry", ""), (2, 5, "slot", "")], "b": [(0, 1, "slot", "")]}
    first, second = of(found, "a").attempts
    assert (first.begin_s, first.end_s, first.exit_code, first.reason) == (0, 1, 1, "exit code 1")
    assert (second.number, second.begin_s, second.end_s, second.exit_code) == (2, 5, 6, 0)
    assert found.critical_path == ("a",)  # from its first attempt on it was on its way


def test_other_limits() -> None:
    alone = story(step("a"), step("b", exclusive=True), step("c", priority=1), acts={"b": Acts(2)}, max_concurrency=4)
    assert waits(alone)["b"] == [(0, 1, "limit", ALONE)]
    rate = story(step("a"), step("b"), step("c"), rate_limit_s=0.25, acts={"a": Acts(0.1)})
    assert waits(rate) == {"a": [], "b": [(0, 0.25, "limit", RATE)], "c": [(0, 0.5, "limit", RATE)]}
    assert rate.critical_path == ("a", "b", "c")
    wave = story(step("a", max_concurrency=1), step("b"), max_concurrency=4)
    assert waits(wave)["b"] == [(0, 1, "limit", WAVE)]
    assert wave.critical_path == ("a", "b")


def test_the_rate_counts_only_while_slots_are_free() -> None:
    found = story(step("a"), step("b"), rate_limit_s=1.5, max_concurrency=1)
    assert waits(found)["b"] == [(0, 1, "slot", ""), (1, 1.5, "limit", RATE)]


def test_who_waits_behind_another_one_is_charged_with_what_is_kept_for_it() -> None:
    """`big` is passed over nine times, then nothing that needs its pool overtakes it."""
    small = [step(f"s{n}", resources=(("gpu", 1),)) for n in range(24)]
    found = story(
        step("first", resources=(("gpu", 1),)),
        step("big", resources=(("gpu", 2),), priority=-1),
        *small,
        acts={"first": Acts(10.5), **{f"s{n}": Acts(1) for n in range(24)}},
        pools={"gpu": 2},
        max_concurrency=2,
    )
    assert {name for _, _, _, name in waits(found)["s23"]} <= {"gpu", ""}
    assert_adds_up(found)


def test_stages_and_barriers_are_charged_to_the_last_step_before_them() -> None:
    found = story(
        step("check", stage=Stage.CHECK),
        step("a"),
        step("b"),
        step("end", stage=Stage.FINALLY),
        acts={"b": Acts(3)},
    )
    assert waits(found) == {
        "check": [],
        "a": [(0, 1, "need", "check")],
        "b": [(0, 1, "need", "check")],
        "end": [(0, 4, "need", "b")],
    }
    assert found.critical_path == ("check", "b", "end")
    waves = story(step("a"), step("b"), step("c", "a"), acts={"b": Acts(3)}, scheduling=Scheduling.WAVES)
    assert waits(waves)["c"] == [(0, 1, "need", "a"), (1, 3, "need", "b")]
    assert waves.critical_path == ("b", "c")


def test_a_step_that_never_ran_waited_until_its_end() -> None:
    found = story(
        step("a"),
        step("b", "a"),
        step("c", condition="false"),
        step("d", "c", "a"),
        acts={"a": Acts(2, code=1)},
        on_failure=FailurePolicy.SKIP_DEPENDENTS,
    )
    assert waits(found) == {"a": [], "b": [(0, 2, "need", "a")], "c": [], "d": [(0, 2, "need", "a")]}
    assert of(found, "b").outcome is Outcome.SKIPPED
    assert of(found, "b").ready_s is None
    assert (found.status, found.exit_code, found.critical_path) == (Status.FAILED, 1, ("a",))


# --- steps that come to be -----------------------------------------------------------------------------------


def fan_out() -> World:
    return run(
        step("list"),
        step("parts", "list", type=StepType.FAN_OUT, for_each="{{steps.list.output}}", resources=(("gpu", 1),)),
        step("next", "parts"),
        acts={"list": Acts(1, output="[1,2]"), "parts[2]": Acts(2)},
        pools={"gpu": 1},
    )


def test_parts_take_slots_and_their_whole_does_not() -> None:
    found = told(fan_out())
    assert [one.drawn.id for one in found.steps] == ["list", "parts", "parts[1]", "parts[2]", "next"]
    assert [(one.drawn.id, a.slot) for one in found.steps for a in one.attempts] == [
        ("list", 0), ("parts", -1), ("parts[1]", 0), ("parts[2]", 0), ("next", 0),
    ]  # fmt: skip
    second = of(found, "parts[2]")
    assert (second.created_s, second.ready_s, second.drawn.after) == (1, 1, "parts")
    assert waits(found)["parts[2]"] == [(1, 2, "pool", "gpu")]
    assert waits(found)["next"] == [(0, 4, "need", "parts")]
    assert found.pools[1].levels == ((0, 0), (1, 1), (4, 0))
    assert found.critical_path == ("list", "parts[1]", "parts[2]", "parts", "next")


def test_what_is_undone_is_rolled_back() -> None:
    found = story(
        step("a", undo=step("a.undo", stage=Stage.ROLLBACK)),
        step("b", "a"),
        acts={"b": Acts(1, code=1)},
    )
    assert [(one.drawn.id, one.outcome.value if one.outcome else "") for one in found.steps] == [
        ("a", "rolled_back"), ("a.undo", "completed"), ("b", "failed"),
    ]  # fmt: skip
    assert of(found, "a.undo").created_s == 2
    assert found.critical_path == ("a", "b", "a.undo")


def test_a_condition_takes_no_time() -> None:
    branch = Branch(Rule("expression", "true"), ("b",), ("c",))
    found = story(
        step("a"), step("ask", "a", type=StepType.CONDITION, branch=branch), step("b", "ask"), step("c", "ask")
    )
    assert of(found, "ask").decision == ("ask", True, ("b",), None)
    assert (of(found, "ask").drawn.on_true, of(found, "c").reason) == (("b",), "branch")
    assert found.pools[0].levels == ((0, 1), (2, 0))
    assert found.critical_path == ("a", "ask", "b")


# --- runs without an end -------------------------------------------------------------------------------------


def test_a_run_that_goes_on() -> None:
    world = run(
        *(step("a"), step("b", "a"), step("c", "b"), step("d", priority=1), step("end", stage=Stage.FINALLY)),
        acts={"b": Acts(9)},
        max_concurrency=1,
    )
    found = told(world, until=1.0, cover=COVER._replace(alive=True, now_s=4.0))
    assert (found.status, found.alive, found.wall_s, found.exit_code) == (None, True, 4.0, None)
    assert of(found, "b").attempts[0].end_s is None
    assert waits(found) == {
        "a": [],
        "b": [(0, 1, "need", "a")],
        "c": [(0, 4, "need", "b")],
        "d": [(0, 4, "slot", "")],
        "end": [(0, 4, "need", "b")],
    }
    assert found.critical_path == ("a", "b")
    dead = told(world, until=1.0)
    assert (dead.alive, dead.wall_s) == (False, 1.0)


def test_a_delay_between_attempts_that_goes_on() -> None:
    world = run(step("a", retry=Retry(2, 5.0)), acts={"a": [Acts(1, code=1), Acts(1)]})
    for now, expected in ((3.0, [(1, 3, "retry", "")]), (6.5, [(1, 6.5, "retry", "")])):
        found = told(world, until=1.0, cover=COVER._replace(alive=True, now_s=now))
        assert waits(found) == {"a": expected}


def test_without_a_sketch_it_says_what_it_can() -> None:
    world = run(
        *(step("a", resources=(("gpu", 1),)), step("b", resources=(("gpu", 1),)), step("c", "a")),
        pools={"gpu": 1},
        max_concurrency=2,
    )
    found = told(world, sketched=False)
    assert not found.sketched
    assert [(one.drawn.id, one.drawn.wave, one.drawn.needs) for one in found.steps] == [
        ("a", 0, ()), ("b", 0, ()), ("c", 1, ()),
    ]  # fmt: skip
    assert waits(found) == {"a": [], "b": [(0, 1, "limit", "")], "c": [(0, 1, "need", "")]}
    assert [pool.name for pool in found.pools] == [""]


def test_nothing_at_all() -> None:
    found = retell(COVER, None, [])
    assert (found.steps, found.status, found.wall_s, found.critical_path) == ((), None, 0.0, ())


def test_events_of_steps_that_nobody_knows_are_passed_over() -> None:
    events: list[tuple[float, Event]] = [
        (0.0, RunStarted("w", "W", (("a",),), 0, 1)),
        (0.0, StepQueued("x")),
        (0.1, StepStarted("x", 1, ("true",), "/")),
        (0.2, StepsAdded((NewStep("y", "y", "gone", 0),))),
        (0.3, StepFinished("y", Outcome.SKIPPED)),
        (0.4, StepFinished("a", Outcome.COMPLETED, 1)),
    ]
    assert [one.drawn.id for one in retell(COVER, None, events).steps] == ["a", "y"]


# --- whatever is run -----------------------------------------------------------------------------------------


def assert_adds_up(story: Story) -> None:
    """Waits leave nothing out and count nothing twice; slots are never shared; levels change, and keep the limits."""
    for one in story.steps:
        assert_accounted_for(one, story.wall_s)
    slots: dict[int, list[tuple[float, float]]] = {}
    for one in story.steps:
        for a in one.attempts:
            if a.slot >= 0:
                slots.setdefault(a.slot, []).append((a.begin_s, story.wall_s if a.end_s is None else a.end_s))
    for spans in slots.values():
        assert all(end <= begin for (_, end), (begin, _) in pairwise(sorted(spans)))
    for pool in story.pools:
        assert all(at < later and held != other for (at, held), (later, other) in pairwise(pool.levels))
        assert all(0 <= held <= pool.limit for _, held in pool.levels)
    steps = {one.drawn.id: one for one in story.steps}
    assert len(set(story.critical_path)) == len(story.critical_path) <= len(steps)
    assert all(steps[id].attempts for id in story.critical_path)


def assert_accounted_for(one: StepStory, now: float) -> None:
    """From its creation to its end a step waits or runs, and never both."""
    busy = [(a.begin_s, now if a.end_s is None else a.end_s) for a in one.attempts]
    at = one.created_s
    for begin, end in sorted([*busy, *((w.begin_s, w.end_s) for w in one.waits)]):
        assert begin == at and end >= begin, one
        at = end
    assert at == (now if one.ended_s is None else one.ended_s), one
    between = {a.begin_s for a in one.attempts}
    assert all(a[2:] != b[2:] or a.end_s < b.begin_s or a.end_s in between for a, b in pairwise(one.waits))


@dataclass
class Watched(World):
    """Asks the schedule at every moment what each ready step waits for."""

    said: list[tuple[float, dict[str, str]]] = field(default_factory=list)

    def _take(self, events: list[Event], orders: list[Order]) -> None:
        super()._take(events, orders)
        ready = [id for id, track in self.schedule._tracks.items() if track.phase is Phase.READY]
        self.said.append((self.now, {id: self.schedule.why(id) for id in ready}))


def agrees(sentence: str, wait: Wait) -> bool:
    if "slots are taken" in sentence:
        return wait.cause is Cause.SLOT
    if "runs alone" in sentence or "exclusive step" in sentence:
        return wait[2:] == (Cause.LIMIT, ALONE)
    if "of its wave may run" in sentence:
        return wait[2:] == (Cause.LIMIT, WAVE)
    if "of memory" in sentence:
        return wait[2:] == (Cause.LIMIT, MEMORY)
    if "units free" in sentence:
        return wait.cause is Cause.POOL and f"pool `{wait.name}`" in sentence
    return "next in line" in sentence  # behind another one, or the rate


@st.composite
def worlds(draw: st.DrawFn) -> Watched:
    pools = {"cpu": draw(st.integers(1, 4)), "gpu": draw(st.integers(1, 2))}
    count = draw(st.integers(1, 9))
    sizes = draw(st.sampled_from([[None], [None, 100 * MB, 300 * MB, 900 * MB]]))
    steps, acts = [], {}
    for n in range(count):
        units = tuple((pool, draw(st.integers(1, most))) for pool, most in pools.items() if draw(st.booleans()))
        needs = draw(st.sets(st.integers(0, n - 1), max_size=2)) if n else set()
        retry = Retry(2, draw(st.sampled_from([0.0, 0.5, 2.0])))
        steps.append(
            step(
                f"s{n}",
                *(f"s{need}" for need in sorted(needs)),
                resources=units,
                exclusive=draw(st.integers(0, 6)) == 0,
                max_concurrency=draw(st.sampled_from([None, None, None, 1, 2])),
                priority=draw(st.integers(-1, 1)),
                retry=retry,
                limits=Limits(memory_bytes=draw(st.sampled_from(sizes))),
                continue_on_error=draw(st.booleans()),
                condition=draw(st.sampled_from([None, None, None, "false", "always()"])),
                undo=step(f"s{n}.undo", stage=Stage.ROLLBACK) if draw(st.booleans()) else None,
            )
        )
        acts[f"s{n}"] = [Acts(draw(st.sampled_from([0.0, 0.5, 1.0, 2.5])), code=draw(st.integers(0, 1))) for _ in "ab"]
    if draw(st.booleans()):
        steps.append(step("end", stage=Stage.FINALLY))
    flow = workflow(
        *steps,
        pools=pools,
        scheduling=draw(st.sampled_from(list(Scheduling))),
        on_failure=draw(st.sampled_from(list(FailurePolicy))),
        rate_limit_s=draw(st.sampled_from([0.0, 0.0, 0.3])),
    )
    signals = [(draw(st.sampled_from([0.7, 3.0])), Interrupted(2))] if draw(st.integers(0, 4)) == 0 else []
    measured = [Measured(0.0, draw(st.sampled_from([0, 200 * MB, 500 * MB, 1000 * MB]))) for _ in range(4)]
    plan = make_plan(flow, cpus=4, max_concurrency=draw(st.integers(1, 3)))
    return Watched(plan, acts, signals, measured)  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(worlds(), st.floats(0, 1))
def test_the_charge_adds_up_and_is_what_the_schedule_says(world: Watched, part: float) -> None:
    world.run()
    found = told(world)
    assert_adds_up(found)
    charged = {one.drawn.id: one.waits for one in found.steps}
    last_of_moment = dict(world.said)
    for (at, said), (until, _) in pairwise(sorted(last_of_moment.items())):
        for id, sentence in said.items():
            covering = [wait for wait in charged[id] if wait.begin_s <= at and wait.end_s >= until]
            rates = [w for w in charged[id] if w.begin_s < until and w.end_s > at and w.name == RATE]
            assert rates or any(agrees(sentence, wait) for wait in covering), (id, at, until, sentence, charged[id])
    until = world.now * part
    assert_adds_up(told(world, until=until, cover=COVER._replace(alive=True, now_s=until)))
    assert_adds_up(told(world, until=until, sketched=False))


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_a_reason_that_changes_too_often_is_summed_up(world: Watched) -> None:
    world.run()
    exact = told(world)
    most, charging.MOST_WAITS = charging.MOST_WAITS, 0
    try:
        summed = told(world)
    finally:
        charging.MOST_WAITS = most
    assert_adds_up(summed)
    for one, other in zip(exact.steps, summed.steps, strict=True):
        assert totals(one.waits) == pytest.approx(totals(other.waits))


def totals(waits: Iterable[Wait]) -> dict[tuple[Cause, str], float]:
    found: dict[tuple[Cause, str], float] = {}
    for wait in waits:
        found[wait[2:]] = found.get(wait[2:], 0.0) + wait.end_s - wait.begin_s
    return found


def test_ten_thousand_steps_are_told_in_seconds() -> None:
    """A rate and a full pool by turns, a pool for every step: the number of looks stays that of the events."""
    count = 10_000
    events: list[tuple[float, Event]] = [(0.0, RunStarted("w", "W", (tuple(f"s{n}" for n in range(count)),), 0, 2))]
    events += [(0.0, StepQueued(f"s{n}")) for n in range(count)]
    for n in range(count):
        at = n * 0.01
        events.append((at, StepStarted(f"s{n}", 1, ("true",), "/")))
        events.append((at + 0.005, StepFinished(f"s{n}", Outcome.COMPLETED, 1)))
    plan = make_plan(
        workflow(
            *(step(f"s{n}", resources=((f"p{n}", 1),)) for n in range(count)),
            pools={f"p{n}": 1 for n in range(count)},
            rate_limit_s=0.01,
        ),
        cpus=2,
    )
    found = retell(COVER, sketch_of(plan), events)
    assert len(found.steps) == count
    assert found.steps[-1].waits[-1].end_s == pytest.approx((count - 1) * 0.01)


def test_an_adaptive_width() -> None:
    world = run(
        *(step(f"s{n}") for n in range(3)),
        adaptive=True,
        measured=[Measured(0.0, 1 << 40)],
        acts={f"s{n}": Acts(1) for n in range(3)},
    )
    found = told(world)
    assert_adds_up(found)
    assert found.widths[0] == (0.0, 4)


def test_a_step_that_was_told_to_stop() -> None:
    world = run(step("a", timeout_s=1.0), acts={"a": Acts(9, obeys=True)})
    found = told(world)
    assert of(found, "a").stopping == "timed out after 1.0s"
    assert of(found, "a").attempts[0].end_s == 1.0


def test_a_step_may_lack_memory_at_the_moment_in_which_it_is_to_be_tried_again() -> None:
    small = Limits(memory_bytes=100 * MB)
    flow = workflow(
        step("a", limits=small, retry=Retry(2, 0.5)),
        step("b", limits=small, retry=Retry(2, 0.0)),
    )
    acts = {"a": [Acts(0.0, code=1), Acts(0.5)], "b": [Acts(0.5, code=1), Acts(0.0)]}
    world = Watched(make_plan(flow, cpus=4, max_concurrency=2), acts, [], [Measured(0.0, 0)] * 4)
    world.run()
    b = next(one for one in told(world).steps if one.drawn.id == "b")
    assert b.waits[-1] == Wait(0.5, 1.0, Cause.LIMIT, MEMORY)
