"""Who starts next, whatever asks for what: no pool, slot or limit is ever exceeded, and nobody waits for ever."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.model import Limits, Step
from stepwave.core.running.admission import PATIENCE, Admission
from stepwave.core.running.graph import make_plan
from stepwave.core.running.needs import need_of
from tests.core.world import step, workflow

POOLS = {"p": 3, "q": 1}
MB = 1 << 20
UNLIMITED = Limits()


@st.composite
def crowds(draw: st.DrawFn) -> list[Step]:
    """Steps of two waves; most of them ask for something."""
    made: list[Step] = [step("first")]
    for n in range(draw(st.integers(1, 8))):
        units = {name: draw(st.integers(0, most)) for name, most in POOLS.items()}
        made.append(
            step(
                f"s{n}",
                *draw(st.sampled_from([(), ("first",)])),
                resources=tuple((name, count) for name, count in units.items() if count),
                exclusive=draw(st.integers(0, 5)) == 0,
                max_concurrency=draw(st.sampled_from([None, None, 1, 2, 3])),
                priority=draw(st.integers(-1, 1)),
                limits=Limits(memory_bytes=draw(st.sampled_from([None, 100 * MB, 300 * MB, 900 * MB]))),
            )
        )
    return made


def assert_room(admission: Admission, running: list[Step]) -> None:
    plan = admission.plan
    assert len(running) <= admission.capacity
    assert len(running) == 1 or not any(one.exclusive for one in running)
    for pool, limit in POOLS.items():
        held = sum(units for one in running for name, units in one.resources if name == pool)
        assert held <= limit and admission.free[pool] == limit - held
    for one in running:
        mates = sum(plan.wave_of[other.id] == plan.wave_of[one.id] for other in running)
        assert one.max_concurrency is None or mates <= one.max_concurrency


def assert_memory(admission: Admission, running: list[Step]) -> None:
    """Of the last to start."""
    needs = [need_of(one, {}) for one in running]
    assert admission.held_bytes == sum(needs)
    assert not needs[-1] or needs[-1] == sum(needs) or sum(needs) <= (admission.budget_bytes or 0)


@settings(max_examples=400, deadline=None)
@given(crowds(), st.integers(1, 5), st.randoms(use_true_random=False))
def test_nothing_is_ever_exceeded_and_all_have_their_turn(steps: list[Step], slots: int, chance: object) -> None:
    plan = make_plan(workflow(*steps, pools=POOLS, max_concurrency=slots), cpus=4)
    admission = Admission(plan, slots)
    admission.mind_memory(lambda one: need_of(one, {}))
    for one in steps:
        admission.add(one)
    running: list[Step] = []
    ended = 0
    while ended < len(steps):
        admission.budget_bytes = chance.choice([0, 350 * MB, 1200 * MB])  # type: ignore[attr-defined]
        id = admission.take()
        if id is not None:
            running.append(plan.steps[id])
            assert_room(admission, running)
            assert_memory(admission, running)
        else:
            assert running, f"nothing runs, and {admission.waiting} wait"
        if running and (id is None or chance.random() < 0.3):  # type: ignore[attr-defined]
            gone = running.pop(chance.randrange(len(running)))  # type: ignore[attr-defined]
            admission.give_back(gone.id)
            ended += 1
    assert admission.free == POOLS and not admission.held_bytes and not admission.waiting and admission.take() is None


def test_a_step_that_does_not_fit_is_not_overtaken_for_ever() -> None:
    def place(
        capacity: int, big: Step, small: tuple[tuple[str, int], ...] = (("p", 1),), limits: Limits = UNLIMITED
    ) -> int:
        """How many small ones start before the big one, where one of them is always running."""
        ids = [f"s{n}" for n in range(60)]
        others = [step(id, resources=small, limits=limits) for id in ids]
        steps = [others[0], big, *others[1:]]
        admission = Admission(make_plan(workflow(*steps, pools=POOLS, max_concurrency=capacity), cpus=4), capacity)
        admission.mind_memory(lambda one: need_of(one, {}))
        admission.budget_bytes = 400 * MB
        for one in steps:
            admission.add(one)
        running: list[str] = []
        while "big" not in admission.running:
            while (id := admission.take()) is not None and id != "big":
                running.append(id)
            if id is None:
                admission.give_back(running.pop(0))
        return admission.launches - 1

    assert place(2, step("big", resources=(("p", 3),))) == PATIENCE * 2 + 1
    assert place(3, step("big", exclusive=True)) == PATIENCE * 3 + 1
    some = Limits(memory_bytes=100 * MB)
    assert place(2, step("big", limits=Limits(memory_bytes=400 * MB)), (), some) == PATIENCE * 2 + 1
    assert place(3, step("big", limits=Limits(memory_bytes=9000 * MB)), (), some) == PATIENCE * 3 + 1
    both = step("big", limits=Limits(memory_bytes=400 * MB), resources=(("p", 3),))
    assert place(2, both, limits=some) == PATIENCE * 2 + 1
    assert place(2, step("big", resources=(("q", 1),)), (("q", 1),)) == 1, "in one line everybody has their turn"
