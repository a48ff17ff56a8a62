"""Whatever happens, in whatever order: what holds of every run."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.events import (
    BY_BRANCH,
    Interrupted,
    Measured,
    Resumed,
    RunStopping,
    StageStarted,
    StepDecided,
    StepFinished,
    StepQueued,
    StepsAdded,
    StepStarted,
)
from stepwave.core.model import (
    CLEAN_UP,
    STAGES,
    AcceptanceTest,
    Branch,
    FailurePolicy,
    Limits,
    Retry,
    Rule,
    Scheduling,
    Stage,
    Step,
    StepType,
)
from stepwave.core.running.graph import make_plan
from tests.core.world import Acts, World, step, workflow

MB = 1 << 20
_types = [*[StepType.SCRIPT] * 5, StepType.CONDITION, StepType.CONDITION, StepType.FAN_OUT, StepType.NOOP]
_stages = [*[Stage.MAIN] * 8, Stage.CHECK, Stage.ACCEPT, Stage.FINALLY]

# To draw costs many times what it costs to run: one choice for an act, and none for what nobody asks.
_act = st.sampled_from(
    [Acts(seconds, code, obeys) for seconds in (0.0, 1.0, 3.0) for code in (0, 0, 0, 1) for obeys in (False, True)]
)
_three_acts = st.tuples(_act, _act, _act)


def _ids_that_act(one: Step) -> Iterator[str]:
    """The step, its first test, the first of its parts, its compensation."""
    yield one.id
    if one.tests:
        yield f"{one.id}#1"
    if one.type is StepType.FAN_OUT:
        yield f"{one.id}[1]"
    if one.undo:
        yield f"{one.id}.undo"


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(1, 12))
    pools = {"p": draw(st.integers(1, 3)), "q": draw(st.integers(1, 2))}
    steps: list[Step] = []
    for n in range(count):
        stage, kind = draw(st.sampled_from(_stages)), draw(st.sampled_from(_types))
        before = [other.id for other in steps if other.stage is stage]
        needs = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
        steps.append(_step(draw, f"s{n}", needs, stage, kind, pools))
    flow = workflow(
        *_with_branches(draw, steps),
        pools=pools,
        max_concurrency=draw(st.integers(1, 5)),
        on_failure=draw(st.sampled_from(FailurePolicy)),
        scheduling=draw(st.sampled_from(Scheduling)),
        rate_limit_s=draw(st.sampled_from([0.0, 0.0, 0.7])),
        timeout_s=draw(st.sampled_from([None, None, 6.0])),
        breakers={"run": draw(st.integers(1, 4))},
        variables={"xs": [1, 2, 3], "none": [], "text": "a b"},
        rollback_parallel=draw(st.booleans()),
    )
    acts: dict[str, Acts | list[Acts]] = {
        id: list(draw(_three_acts)) for one in flow.steps for id in _ids_that_act(one)
    }
    number = st.sampled_from([2, 15])
    signals = draw(st.lists(st.tuples(st.floats(0, 8), st.builds(Interrupted, number)), max_size=3))
    pauses = draw(st.lists(st.tuples(st.floats(0, 8), st.just(Resumed(0.0))), max_size=1))
    room = draw(st.lists(st.integers(0, 9).map(lambda n: Measured(0.0, n * 100 * MB)), max_size=4))
    return World(make_plan(flow, cpus=2), acts, signals=[*signals, *pauses], measured=room)


_lists_of = st.sampled_from(["{{variables.xs}}", "{{variables.none}}", "{{variables.text}}"])
_fields = st.builds(
    dict,
    breaker=st.sampled_from(["", "", "run"]),
    continue_on_error=st.booleans(),
    isolate_errors=st.booleans(),
    shielded=st.booleans(),
    exclusive=st.sampled_from([*[False] * 9, True]),
    max_concurrency=st.sampled_from([None, None, None, 1, 2]),
    priority=st.integers(-1, 1),
    timeout_s=st.sampled_from([None, None, 2.5]),
    condition=st.sampled_from([None, None, None, "false", "always()", "failure()", "success()"]),
    limits=st.sampled_from([Limits(memory_bytes=size) for size in (None, None, 100 * MB, 400 * MB)]),
    retry=st.sampled_from([Retry(attempts, delay_s=delay_s) for attempts in (1, 2, 3) for delay_s in (0.0, 1.0)]),
    tests=st.sampled_from([(), (), (), (AcceptanceTest("1", "true"),)]),
)


def _step(draw: st.DrawFn, id: str, needs: list[str], stage: Stage, kind: StepType, pools: dict[str, int]) -> Step:
    return step(
        id,
        *needs,
        type=kind,
        stage=stage,
        for_each=draw(_lists_of) if kind is StepType.FAN_OUT else None,
        undo=step(f"{id}.undo", stage=Stage.ROLLBACK) if draw(st.booleans()) else None,
        resources=tuple((name, draw(st.integers(1, limit))) for name, limit in pools.items() if draw(st.booleans())),
        **draw(_fields),
    )


def _with_branches(draw: st.DrawFn, steps: list[Step]) -> list[Step]:
    """Every condition names some of the steps after it in its stage, which then need it."""
    made = {one.id: one for one in steps}
    for n, one in enumerate(steps):
        if one.type is not StepType.CONDITION:
            continue
        after = [other.id for other in steps[n + 1 :] if other.stage is one.stage]
        targets = draw(st.lists(st.sampled_from(after), unique=True, max_size=3)) if after else []
        sides: tuple[list[str], list[str]] = ([], [])
        for target in targets:
            sides[draw(st.booleans())].append(target)
            needs = made[target].needs
            made[target] = made[target]._replace(needs=needs if one.id in needs else (*needs, one.id))
        rule = Rule("expression", left=draw(st.sampled_from(["true", "false", "no.such.name"])))
        branch = Branch(rule, tuple(sides[0]), tuple(sides[1]), lenient=draw(st.booleans()))
        made[one.id] = made[one.id]._replace(branch=branch)
    return list(made.values())


@settings(max_examples=300, deadline=None)
@given(worlds(), st.sets(st.integers(0, 30), max_size=3))
def test_whatever_happens_the_books_balance(world: World, out: set[int]) -> None:
    deselected = frozenset(f"s{n}" for n in out) & world.plan.steps.keys()
    world.run(deselected=deselected)
    steps = _all_steps(world)
    finished = [event.step for event in world.of(StepFinished)]  # type: ignore[attr-defined]
    assert sorted(finished) == sorted(steps), "every step ends exactly once"
    assert not world.running, "nothing is left running"
    for overlap in world.overlaps:
        _assert_room(world, [steps[id] for id in overlap])
    _assert_order(world, steps, deselected)
    queued = [event.step for event in world.of(StepQueued)]  # type: ignore[attr-defined]
    assert len(queued) == len(set(queued))


def _all_steps(world: World) -> dict[str, Step]:
    steps = dict(world.plan.steps)
    for event in world.of(StepsAdded):
        for new in event.steps:  # type: ignore[attr-defined]
            whole = steps[new.after]
            assert new.id not in steps
            steps[new.id] = whole._replace(
                id=new.id, needs=new.needs, resources=new.resources, stage=new.stage, branch=None
            )
            if new.stage is Stage.ROLLBACK:
                steps[new.id] = steps[new.id]._replace(exclusive=False, max_concurrency=None, condition=None)
    return steps


def _assert_room(world: World, steps: list[Step]) -> None:
    assert len(steps) <= world.plan.max_concurrency
    assert len(steps) == 1 or not any(s.exclusive for s in steps)
    for pool, limit in world.plan.workflow.pools.items():
        assert sum(units for s in steps for name, units in s.resources if name == pool) <= limit
    waves = [world.plan.wave_of.get(s.id, world.plan.wave_of.get(s.id.partition("[")[0])) for s in steps]
    for s, wave in zip(steps, waves, strict=True):
        if s.max_concurrency is not None and s.id in world.plan.steps:
            assert sum(s.id in world.plan.steps and other == wave for s, other in zip(steps, waves, strict=True)) <= (
                s.max_concurrency
            )


def _assert_order(world: World, steps: dict[str, Step], deselected: frozenset[str]) -> None:
    """Needs, stages, branches, and that nothing starts once the run is stopping."""
    asked = {
        target: [
            c.id
            for c in steps.values()
            if c.branch and c.id not in deselected and target in (*c.branch.on_true, *c.branch.on_false)
        ]
        for target in world.plan.steps
    }
    chosen: set[str] = set()
    ended: set[str] = set()
    cut_off: set[str] = set()
    stopping = False
    for _, event in world.events:
        if isinstance(event, StepFinished):
            ended.add(event.step)
            if event.reason == BY_BRANCH:
                cut_off.add(event.step)
        elif isinstance(event, StepDecided):
            chosen.update(event.chosen)
        elif isinstance(event, StageStarted):
            stopping = stopping and event.stage not in CLEAN_UP
        elif isinstance(event, RunStopping):
            stopping = True
        elif isinstance(event, StepStarted):
            one = steps[event.step]
            assert set(one.needs) <= ended, "nothing starts before its needs have ended"
            earlier = STAGES[: STAGES.index(one.stage)]
            assert {id for id, other in steps.items() if other.stage in earlier} <= ended, "nor before its stage"
            if asked.get(one.id):
                assert one.id in chosen, "nothing starts on a branch that was not taken"
            elif one.needs and "always" not in (one.condition or ""):
                assert not cut_off.issuperset(one.needs), "nor behind one"
            assert not stopping or "()" in (one.condition or ""), "nothing starts while the run is stopping"
