"""The statistics of a run: what they come to, and that they cost no look at every pool for every event."""

from stepwave.core.events import Entry
from stepwave.core.model import Retry
from stepwave.core.telling.tally import Tally
from tests.core.world import Acts, World, run, step


def told(world: World) -> Tally:
    tally = Tally(world.plan)
    for seq, (at, event) in enumerate(world.events, 1):
        tally.see(Entry(seq, at, at, "r", event))
    return tally


def test_what_is_held_and_what_is_waited_for_are_sums_over_time() -> None:
    world = run(
        step("a", resources=(("cpu", 2),)),
        step("b", resources=(("cpu", 2),)),
        step("c", resources=(("disk", 1),)),
        acts={"a": Acts(3.0), "b": Acts(1.0), "c": Acts(1.0)},
        pools={"cpu": 3, "disk": 1, "idle": 1},
    )
    statistics = told(world).summary().statistics
    assert statistics.utilization == {"cpu": (3 * 2 + 1 * 2) / (3 * 4), "disk": 1 / 4, "idle": 0.0}
    assert statistics.peak_utilization == {"cpu": 2 / 3, "disk": 1.0, "idle": 0.0}
    assert statistics.resource_wait_s == {"cpu": 3.0, "disk": 0.0, "idle": 0.0}


def test_the_critical_path_takes_its_retries_with_it() -> None:
    world = run(
        step("quick"),
        step("slow"),
        step("flaky", "quick", retry=Retry(3, delay_s=4.0)),
        acts={"quick": Acts(1.0), "slow": Acts(9.0), "flaky": [Acts(1.0, 1), Acts(1.0, 1), Acts(1.0)]},
    )
    statistics = told(world).summary().statistics
    assert (statistics.critical_path, statistics.critical_path_s) == (("quick", "flaky"), 1.0 + 1 + 4 + 1 + 4 + 1)


class Counted(int):
    """The units of a pool; counts how often what is left of them is worked out."""

    looks = 0

    def __sub__(self, other: int) -> int:
        Counted.looks += 1
        return int(self) - other


def test_a_pool_for_every_step_costs_no_look_at_every_pool() -> None:
    count = 300
    steps = [step(f"s{n}", resources=((f"own-{n}", 1),)) for n in range(count)]
    world = run(*steps, pools={f"own-{n}": Counted(1) for n in range(count)})
    Counted.looks = 0
    told(world).summary()
    assert Counted.looks < 10 * count
