"""Units that are not the run's own: asked for when a step could start, waited for without a slot, always given back."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.events import (
    Deferred,
    Event,
    Exited,
    Interrupted,
    Launch,
    Lease,
    LeaseAwaited,
    Leased,
    Order,
    Release,
    Resumed,
    StepQueued,
    StepStarted,
    Tick,
)
from stepwave.core.model import (
    JOBSERVER,
    RATE_LIMIT,
    FailurePolicy,
    Limits,
    Retry,
    Scheduling,
    Stage,
    Step,
    StepType,
)
from stepwave.core.running.graph import make_plan
from stepwave.core.running.leases import lacking
from stepwave.core.running.prepare import Preparation
from stepwave.core.running.schedule import Schedule
from stepwave.core.telling.retell import Cover, retell
from stepwave.core.telling.sketch import sketch_of
from tests.core.world import Acts, World, step, workflow

Others = tuple[tuple[float, float, str], ...]
"""What other runs hold: from when until when they have a unit of which pool."""


class Outside:
    """All units of the machine. Serves who asked first, all or nothing; others come and go as it is written down."""

    def __init__(self, pools: dict[str, int], others: Others, retry_s: float | None) -> None:
        self.pools = pools
        self.others = others
        self.retry_s = retry_s
        self.held: dict[str, dict[str, int]] = {}
        self.waiting: dict[str, Lease] = {}
        self.most: dict[str, int] = {}

    def free(self, pool: str, now: float) -> int:
        theirs = sum(begin <= now < end for begin, end, name in self.others if name == pool)
        return self.pools[pool] - theirs - sum(units.get(pool, 0) for units in self.held.values())

    def lease(self, order: Lease, now: float) -> list[Leased | Deferred]:
        self.waiting.setdefault(order.step, order)
        answers = list(self.serve(now))
        if order.step in self.waiting:
            lacks = tuple(pool for pool, units in order.wants if self.free(pool, now) < units)
            answers.append(Deferred(order.step, lacks or tuple(pool for pool, _ in order.wants), self.retry_s))
        return answers

    def serve(self, now: float) -> Iterable[Leased]:
        before: set[str] = set()
        for id, order in list(self.waiting.items()):
            names = {pool for pool, _ in order.wants}
            if before.isdisjoint(names) and all(self.free(pool, now) >= units for pool, units in order.wants):
                del self.waiting[id]
                held = self.held.setdefault(id, {})
                for pool, units in order.wants:
                    held[pool] = held.get(pool, 0) + units
                    self.most[pool] = max(self.most.get(pool, 0), self.pools[pool] - self.free(pool, now))
                yield Leased(id)
            before |= names

    def release(self, id: str) -> None:
        self.waiting.pop(id, None)
        self.held.pop(id, None)


class Borrowing(World):
    """A world with an outside. `told`: whoever waits is told when it may go on; else only its own asking helps it."""

    outside: Outside
    leases: list[tuple[float, Lease]]

    def start(self, outside: Outside, *, told: bool, **options: object) -> "Borrowing":
        self.outside, self.leases, self.told = outside, [], told
        if told:
            ends = {end for _, end, _ in outside.others}
            self.signals = [*self.signals, *((at, Tick()) for at in sorted(ends))]
        return self.run(**options)  # type: ignore[return-value]

    def _take(self, events: list[Event], orders: list[Order]) -> None:
        rest: list[Order] = []
        answers: list[Leased | Deferred] = []
        for order in orders:
            if isinstance(order, Lease):
                self.leases.append((self.now, order))
                answers += self.outside.lease(order, self.now)
            elif isinstance(order, Release):
                self.outside.release(order.step)
            else:
                if isinstance(order, Launch):
                    self._check_launch(order)
                rest.append(order)
        if self.told:
            answers += self.outside.serve(self.now)
        super()._take(events, rest)
        self._pending = [*((self.now, answer) for answer in answers), *self._pending]

    def _check_launch(self, order: Launch) -> None:
        """It holds all that it wants, at every launch: those of its tests too. Its turn ends with it."""
        one = self.schedule._tracks[order.step].step if hasattr(self, "schedule") else None
        held = self.outside.held.get(order.step, {})
        flow = self.plan.workflow
        for pool, units in one.resources if one else ():
            assert pool not in flow.host_pools or held.get(pool) == units, order
        if flow.rate_limit_host and ".test-" not in order.log:
            assert held.pop(RATE_LIMIT) == 1


def borrow(
    *steps: Step,
    others: Others = (),
    acts: dict[str, Acts | list[Acts]] | None = None,
    told: bool = True,
    retry_s: float | None = None,
    signals: Iterable[tuple[float, object]] = (),
    jobserver: int = 0,
    **fields: object,
) -> Borrowing:
    flow = workflow(*steps, **{"pools": {"gpu": 1}, "host_pools": frozenset(("gpu",)), **fields})
    pools = {**flow.pools, JOBSERVER: jobserver, RATE_LIMIT: 1}
    world = Borrowing(make_plan(flow, cpus=4), acts or {}, list(signals))  # type: ignore[arg-type]
    world = world.start(Outside(pools, others, retry_s), told=told, jobserver=jobserver > 0)
    assert not world.outside.waiting and not any(world.outside.held.values()), "everything is given back"
    return world


def gpu(id: str, *needs: str, **fields: object) -> Step:
    return step(id, *needs, **{"resources": (("gpu", 1),), **fields})


def awaited(world: World) -> list[tuple[str, tuple[str, ...]]]:
    return [tuple(event) for _, event in world.events if isinstance(event, LeaseAwaited)]  # type: ignore[misc]


# --- one after the other ---------------------------------------------------------------------------------------------


def test_what_is_free_is_had_at_once_and_in_order() -> None:
    world = borrow(gpu("a"), gpu("b"), step("c"), max_concurrency=1)
    assert world.started == {"a": 0, "b": 1, "c": 2} and awaited(world) == []
    assert [order for _, order in world.leases] == [Lease("a", (("gpu", 1),)), Lease("b", (("gpu", 1),))]


def test_nobody_slips_past_while_the_answer_is_on_the_way() -> None:
    world = borrow(gpu("a"), step("b"), gpu("c"), pools={"gpu": 2}, max_concurrency=3)
    assert [launch.step for launch in world.launches] == ["a", "b", "c"]


def test_who_waits_has_no_slot_and_goes_first_once_it_is_granted() -> None:
    world = borrow(gpu("a"), *(step(f"s{n}") for n in range(4)), others=((0, 1.5, "gpu"),), max_concurrency=1)
    assert world.started == {"s0": 0, "s1": 1, "a": 2, "s2": 3, "s3": 4}
    assert awaited(world) == [("a", ("gpu",))] and len(world.leases) == 1


def test_one_that_nobody_tells_asks_again_and_only_as_often_as_it_is_told_to() -> None:
    world = borrow(gpu("a"), others=((0, 1.1, "gpu"),), told=False, retry_s=0.5)
    assert [at for at, _ in world.leases] == [0, 0.5, 1.0, 1.5] and world.started == {"a": 1.5}
    assert len(awaited(world)) == 1


def test_no_more_ask_than_the_run_may_have() -> None:
    world = borrow(*(gpu(f"s{n}") for n in range(9)), others=((0, 5, "gpu"),), max_concurrency=4)
    assert [at for at, _ in world.leases if at < 5] == [0] and sorted(world.started.values()) == [*range(5, 14)]


def test_own_pools_are_not_kept_while_waiting_and_are_kept_once_it_is_granted() -> None:
    pools = {"gpu": 1, "db": 1}
    both = gpu("both", resources=(("gpu", 1), ("db", 1)), priority=-1)
    world = borrow(
        both, *(step(f"s{n}", resources=(("db", 1),)) for n in range(3)), others=((0, 1.5, "gpu"),), pools=pools
    )
    assert world.started == {"s0": 0, "s1": 1, "both": 2, "s2": 3}


def test_an_exclusive_step_drains_the_run_once_it_is_granted() -> None:
    alone = gpu("alone", exclusive=True)
    acts: dict[str, Acts | list[Acts]] = {f"s{n}": Acts(1 + n / 10) for n in range(9)}
    world = borrow(alone, *(step(f"s{n}") for n in range(9)), others=((0, 1.05, "gpu"),), acts=acts, max_concurrency=3)
    assert [ids for ids in world.overlaps if "alone" in ids] == [frozenset(("alone",))]
    late = [id for id, at in world.started.items() if 1.05 < at < world.started["alone"]]
    assert late == [], "nobody starts while it waits for the others to end"


def test_a_step_without_a_process_takes_nothing() -> None:
    world = borrow(gpu("a", type=StepType.NOOP, argv=()), others=((0, 5, "gpu"),))
    assert world.leases == [] and world.now == 0


def test_each_attempt_asks_anew_and_tests_belong_to_it() -> None:
    from stepwave.core.model import AcceptanceTest

    one = gpu("a", retry=Retry(2, delay_s=3), tests=(AcceptanceTest("t", "true"),))
    world = borrow(one, gpu("b"), acts={"a": [Acts(1, 1), Acts(1)]}, max_concurrency=2)
    assert [(at, order.step) for at, order in world.leases] == [(0, "a"), (1, "b"), (4, "a")]
    assert world.outcomes == {"a": "completed", "b": "completed"}


def test_parts_of_a_for_each_ask_too() -> None:
    fan = gpu("fan", type=StepType.FAN_OUT, for_each="{{xs}}")
    world = borrow(fan, variables={"xs": [1, 2, 3]}, others=((0, 2, "gpu"),))
    assert [order.step for _, order in world.leases] == ["fan[1]", "fan[2]", "fan[3]"] and world.now == 5


@pytest.mark.parametrize("told", [True, False])
def test_a_signal_gives_back_what_is_held_and_takes_back_what_is_asked(told: bool) -> None:
    signals = [(0.7, Interrupted(2))]
    world = borrow(gpu("a"), gpu("b"), others=((0, 9, "gpu"),), told=told, retry_s=0.3, signals=signals)
    assert set(world.outcomes.values()) == {"cancelled"} and world.now == 0.7
    world = borrow(gpu("a"), gpu("b"), told=told, retry_s=0.3, signals=signals)
    assert set(world.outcomes.values()) == {"cancelled"} and world.now == 0.7


def test_the_deadline_of_the_run_ends_waiting() -> None:
    world = borrow(gpu("a"), others=((0, 9, "gpu"),), timeout_s=2.0)
    assert world.outcomes == {"a": "cancelled"} and world.exit_code == 124 and world.now == 2


def test_a_failure_elsewhere_ends_waiting() -> None:
    world = borrow(gpu("a"), step("bad"), others=((0, 9, "gpu"),), acts={"bad": Acts(1, 1)})
    assert world.outcomes == {"a": "skipped", "bad": "failed"} and world.now == 1


def test_an_answer_that_comes_too_late_is_given_back() -> None:
    plan = make_plan(workflow(gpu("a"), pools={"gpu": 1}, host_pools=frozenset(("gpu",))), cpus=1)
    schedule = Schedule(plan, Preparation(plan, environ={}, run="r", run_folder="/", now=0.0))
    assert schedule.begin(0.0)[1] == [Lease("a", (("gpu", 1),))]
    assert schedule.handle(Deferred("a", ("gpu",), 0.5), 0.0)[0] == [LeaseAwaited("a", ("gpu",))]
    assert schedule.why("a") == "`a` is ready and waits: other runs on this machine hold `gpu`"
    assert schedule.next_alarm == 0.5
    assert schedule.handle(Interrupted(2), 0.1)[1] == [Release("a")] and schedule.done
    assert schedule.handle(Leased("a"), 0.1)[1] == [Release("a")]
    assert schedule.handle(Deferred("a", ("gpu",), 0.5), 0.1) == ([], [])


def test_a_pause_moves_the_moment_of_asking_again() -> None:
    plan = make_plan(workflow(gpu("a"), pools={"gpu": 1}, host_pools=frozenset(("gpu",))), cpus=1)
    schedule = Schedule(plan, Preparation(plan, environ={}, run="r", run_folder="/", now=0.0))
    schedule.begin(0.0)
    schedule.handle(Deferred("a", ("gpu",), 1.0), 0.0)
    schedule.handle(Resumed(5.0), 5.5)
    assert schedule.next_alarm == 6.0
    assert schedule.handle(Tick(), 6.0)[1] == [Lease("a", (("gpu", 1),))]
    assert [type(order) for order in schedule.handle(Leased("a"), 6.0)[1]] == [Launch]
    assert schedule.handle(Exited("a", 1, code=0), 7.0)[1] == [Release("a")]


def test_what_a_resumed_run_does_not_run_again_asks_for_nothing() -> None:
    class Remembers:
        def knows(self, step: Step) -> bool:
            return step.id == "a"

        def recall(self, *_: object, **__: object) -> object:
            from stepwave.core.running.memory import Prior

            return Prior("r0")

        def starts(self, *_: object) -> None: ...

        def ends(self, *_: object) -> None: ...

    flow = workflow(gpu("a"), gpu("b"), pools={"gpu": 1}, host_pools=frozenset(("gpu",)))
    world = Borrowing(make_plan(flow, cpus=4)).start(Outside({"gpu": 1}, (), None), told=True, memory=Remembers())
    assert [order.step for _, order in world.leases] == ["b"]


# --- a rate limit that is shared -------------------------------------------------------------------------------------


def test_a_turn_is_asked_for_last_and_its_step_keeps_its_slot() -> None:
    limit = {"rate_limit_s": 0.5, "rate_limit_host": "api"}
    world = borrow(gpu("a"), step("b"), others=((0, 2, RATE_LIMIT),), max_concurrency=1, **limit)
    assert [order for _, order in world.leases] == [
        Lease("a", (("gpu", 1),)), Lease("a", ((RATE_LIMIT, 1),)), Lease("b", ((RATE_LIMIT, 1),)),
    ]  # fmt: skip
    assert world.started == {"a": 2, "b": 3} and awaited(world) == [("a", (RATE_LIMIT,))]


def test_the_gap_within_the_run_is_kept_as_well() -> None:
    world = borrow(*(step(f"s{n}") for n in range(4)), rate_limit_s=0.5, rate_limit_host="api", max_concurrency=4)
    assert [*world.started.values()] == [0, 0.5, 1.0, 1.5]


# --- tokens of make --------------------------------------------------------------------------------------------------


def test_every_step_with_a_process_takes_a_token() -> None:
    steps = [gpu("g"), step("idle", type=StepType.NOOP, argv=()), *(step(f"s{n}") for n in range(6))]
    world = borrow(*steps, jobserver=2, others=((0, 2, JOBSERVER),), max_concurrency=4)
    assert max(map(len, world.overlaps)) == 2 and world.outside.most[JOBSERVER] == 2
    assert world.leases[0][1] == Lease("g", ((JOBSERVER, 1), ("gpu", 1)))
    assert {order.step for _, order in world.leases} == {"g", *(f"s{n}" for n in range(6))}
    waits = [why for why in awaited(world) if why[1] == (JOBSERVER,)]
    assert waits


# --- whatever happens ------------------------------------------------------------------------------------------------

POOLS = {"gpu": 2, "fpga": 1, "db": 1}
_rate = {"rate_limit_s": 0.7, "rate_limit_host": "api"}


@st.composite
def runs(draw: st.DrawFn) -> tuple[Borrowing, Others, float | None, bool, int]:
    steps: list[Step] = []
    for n in range(draw(st.integers(1, 9))):
        stage = draw(st.sampled_from([*[Stage.MAIN] * 6, Stage.CHECK, Stage.FINALLY]))
        before = [one.id for one in steps if one.stage is stage]
        units = {name: draw(st.integers(0, most)) for name, most in POOLS.items()}
        steps.append(
            step(
                f"s{n}",
                *(draw(st.lists(st.sampled_from(before), unique=True, max_size=2)) if before else ()),
                stage=stage,
                type=draw(st.sampled_from([*[StepType.SCRIPT] * 5, StepType.NOOP])),
                resources=tuple((name, count) for name, count in units.items() if count),
                exclusive=draw(st.integers(0, 6)) == 0,
                max_concurrency=draw(st.sampled_from([None, None, None, 1, 2])),
                priority=draw(st.integers(-1, 1)),
                retry=Retry(draw(st.integers(1, 3)), delay_s=draw(st.sampled_from([0.0, 0.5]))),
                timeout_s=draw(st.sampled_from([None, None, 0.5])),
                isolate_errors=draw(st.integers(0, 5)) > 0,
                limits=Limits(),
            )
        )
    flow = workflow(
        *steps,
        pools=POOLS,
        host_pools=frozenset(draw(st.sampled_from([("gpu",), ("gpu", "fpga"), ("gpu", "fpga", "db")]))),
        max_concurrency=draw(st.integers(1, 4)),
        on_failure=draw(st.sampled_from(FailurePolicy)),
        scheduling=draw(st.sampled_from(Scheduling)),
        timeout_s=draw(st.sampled_from([None, None, 5.0])),
        **draw(st.sampled_from([{}, {}, _rate])),
    )
    act = st.builds(Acts, st.sampled_from([0.0, 1.0, 2.0]), st.sampled_from([0, 0, 0, 1]), st.booleans())
    acts: dict[str, Acts | list[Acts]] = {one.id: draw(st.lists(act, min_size=3, max_size=3)) for one in flow.steps}
    number = st.sampled_from([2, 15])
    signals = draw(st.lists(st.tuples(st.floats(0, 8), st.builds(Interrupted, number)), max_size=2))
    pauses = draw(st.lists(st.tuples(st.floats(0, 8), st.just(Resumed(0.0))), max_size=1))
    told = draw(st.booleans())
    held = st.tuples(st.floats(0, 5), st.floats(0, 9), st.sampled_from(["gpu", "fpga", JOBSERVER, RATE_LIMIT]))
    others = tuple(draw(st.lists(held, max_size=5)))
    others = _no_more_than(others, {**POOLS, JOBSERVER: 2, RATE_LIMIT: 1})
    world = Borrowing(make_plan(flow, cpus=2), acts, signals=[*signals, *pauses])
    return world, others, None if told else draw(st.sampled_from([0.1, 0.6])), told, draw(st.sampled_from([0, 2]))


def _no_more_than(others: Others, pools: dict[str, int]) -> Others:
    """What they can have had of each pool at a time."""
    kept: list[tuple[float, float, str]] = []
    for begin, end, name in others:
        if sum(other == name and b < end and begin < e for b, e, other in kept) < pools[name]:
            kept.append((begin, end, name))
    return tuple(kept)


@settings(max_examples=120, deadline=None)
@given(runs())
def test_whatever_happens_all_is_given_back_and_nobody_waits_for_ever(
    drawn: tuple[Borrowing, Others, float | None, bool, int],
) -> None:
    world, others, retry_s, told, tokens = drawn
    flow = world.plan.workflow
    world.start(
        Outside({**flow.pools, JOBSERVER: tokens, RATE_LIMIT: 1}, others, retry_s), told=told, jobserver=bool(tokens)
    )
    outside, schedule = world.outside, world.schedule
    assert schedule.done and world.ends.keys() == world.plan.steps.keys()
    assert not outside.waiting and not any(outside.held.values())
    assert schedule._books.admission.free == {
        **flow.pools,
        **({JOBSERVER: world.plan.max_concurrency} if tokens else {}),
    }
    assert schedule._books.admission.waiting == 0 and not schedule._books.admission.running
    for ids in world.overlaps:
        assert len(ids) <= min(world.plan.max_concurrency, tokens or 99)
        assert len(ids) == 1 or not any(world.plan.steps[id].exclusive for id in ids)
        for pool, limit in flow.pools.items():
            assert sum(dict(world.plan.steps[id].resources).get(pool, 0) for id in ids) <= limit
    queued = {event.step: at for at, event in world.events if isinstance(event, StepQueued)}
    assert all(
        queued[event.step] <= at for at, event in world.events if isinstance(event, StepStarted) and event.attempt == 1
    )
    if retry_s is not None:  # no busy waiting: between two moments it asks once for each that waits
        times = [(at, order.step) for at, order in world.leases]
        assert len(times) <= (world.now / retry_s + 2) * 4 * len(world.plan.steps)


# --- what is told of it ----------------------------------------------------------------------------------------------


def charges(world: World) -> dict[str, list[tuple[float, float, str, str]]]:
    story = retell(Cover("r", "test", "A test"), sketch_of(world.plan), world.events)
    return {one.drawn.id: [(w.begin_s, w.end_s, w.cause.value, w.name) for w in one.waits] for one in story.steps}


def test_a_wait_is_charged_to_the_pool_by_its_name() -> None:
    world = borrow(gpu("a"), gpu("b"), step("c"), others=((0, 2, "gpu"),), max_concurrency=1)
    assert charges(world) == {
        "a": [(0.0, 2.0, "pool", "gpu")],
        "b": [(0.0, 1.0, "slot", ""), (1.0, 2.0, "pool", "gpu"), (2.0, 3.0, "slot", "")],
        "c": [],
    }


def test_turns_and_tokens_are_charged_too() -> None:
    limit = {"rate_limit_s": 0.1, "rate_limit_host": "api"}
    assert charges(borrow(step("a"), others=((0, 2, RATE_LIMIT),), **limit)) == {
        "a": [(0.0, 2.0, "limit", "rate limit")]
    }
    assert charges(borrow(step("a"), others=((0, 2, JOBSERVER), (0, 2, JOBSERVER)), jobserver=2)) == {
        "a": [(0.0, 2.0, "pool", "jobserver")]
    }


def test_words_for_it() -> None:
    assert lacking(("gpu", "fpga")) == "other runs on this machine hold `gpu` and `fpga`"
    assert lacking((JOBSERVER,)) == "the job server has no slot left"
    assert lacking((RATE_LIMIT,)).startswith("it is the turn of another run")
    assert lacking(("a\x1b[31m\n",)).isprintable()
