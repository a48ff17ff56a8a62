"""What is told of time: the seconds left, the bound at the end, the timeline of a plan, what other limits bring."""

import pytest

from stepwave.core.events import (
    Entry,
    Event,
    NewStep,
    Outcome,
    RunFinished,
    RunStarted,
    Status,
    StepFinished,
    StepsAdded,
    StepStarted,
)
from stepwave.core.model import Stage, Step, StepType
from stepwave.core.plan import Learned, Plan
from stepwave.core.running.graph import informed, make_plan
from stepwave.core.running.simulate import CannotSimulate, Setting
from stepwave.core.summary import StepResult, Summary
from stepwave.core.telling import forecast, whatif
from stepwave.core.telling.closing import closing
from stepwave.core.telling.gain import bound_of, is_worth_telling
from stepwave.core.telling.progress import Progress
from stepwave.core.telling.retell import Cover, retell
from stepwave.core.telling.sketch import sketch_of
from stepwave.core.telling.story import Story
from stepwave.core.telling.style import make_style
from stepwave.core.telling.tally import Tally
from tests.core.world import Acts, World, step, workflow

PLAIN = make_style(color=False, unicode=False)


def plan_of(*steps: Step, learned: dict[str, float] | None = None, **fields: object) -> Plan:
    plan = make_plan(workflow(*steps, **{"max_concurrency": 2, **fields}), cpus=2)
    return informed(plan, {id: Learned(3, seconds) for id, seconds in (learned or {}).items()})


def counted(plan: Plan, *happened: tuple[float, Event]) -> Progress:
    progress = Progress(plan)
    for at, event in happened:
        progress.count(event, at)
    return progress


def started(id: str) -> StepStarted:
    return StepStarted(id, 1, ("true",), "/")


def ended(id: str, seconds: float) -> StepFinished:
    return StepFinished(id, Outcome.COMPLETED, 1, 0, duration_s=seconds)


# --- the seconds left --------------------------------------------------------------------------------


def test_the_time_left_is_known_from_earlier_runs() -> None:
    plan = plan_of(step("a"), step("b", "a"), step("c"), learned={"a": 10.0, "b": 50.0, "c": 20.0})
    assert counted(plan).left_s(0.0) == 40.0, "80 s of work on two slots"
    progress = counted(plan, (0.0, started("a")), (0.0, started("c")))
    assert progress.left_s(0.0) == 60.0, "the longest path"
    assert progress.left_s(4.0) == 56.0
    progress.count(ended("c", 20.0), 9.0)
    assert progress.left_s(9.0) == 51.0


def test_a_step_that_takes_longer_than_ever_makes_nothing_shorter() -> None:
    plan = plan_of(step("a"), step("b"), step("c"), learned={"a": 2.0, "b": 10.0, "c": 10.0}, max_concurrency=1)
    progress = counted(plan, (0.0, started("a")))
    assert [progress.left_s(at) for at in (0.0, 1.0, 2.0, 9.0)] == [22.0, 21.0, 20.0, 20.0]


def test_a_pool_that_is_short_decides_how_long_it_takes() -> None:
    both = {"resources": (("db", 2),)}
    plan = plan_of(step("a", **both), step("b", **both), learned={"a": 10.0, "b": 10.0}, pools={"db": 2})
    assert counted(plan).left_s(0.0) == 20.0
    assert counted(plan, (0.0, started("a"))).left_s(4.0) == 16.0


def test_one_step_of_which_nothing_is_known_and_the_mean_must_do() -> None:
    plan = plan_of(step("a"), step("b"), learned={"a": 10.0})
    assert counted(plan).left_s(0.0) is None


def test_the_parts_of_a_for_each_stand_for_it() -> None:
    each = step("each", type=StepType.FAN_OUT, for_each="{{variables.xs}}")
    plan = plan_of(each, step("z", "each"), learned={"each": 9.0, "each[1]": 4.0, "each[2]": 6.0, "z": 1.0})
    assert counted(plan).left_s(0.0) == 5.0
    news = StepsAdded((NewStep("each[1]", "", "each", 0), NewStep("each[2]", "", "each", 0)))
    progress = counted(plan, (0.0, StepStarted("each", 1, (), "")), (0.0, news), (0.0, started("each[1]")))
    assert progress.left_s(0.0) == 5.5
    unknown = counted(plan_of(each, learned={"each": 9.0}), (0.0, StepStarted("each", 1, (), "")), (0.0, news))
    assert unknown.left_s(0.0) is None


# --- the bound at the end ----------------------------------------------------------------------------


def summary_of(world: World) -> Summary:
    tally = Tally(world.plan)
    for seq, (at, event) in enumerate(world.events, 1):
        tally.see(Entry(seq, 1000.0 + at, at, "r", event))
    return tally.summary()


def ran(*steps: Step, acts: dict[str, Acts | list[Acts]] | None = None, **fields: object) -> World:
    return World(plan_of(*steps, **fields), acts or {}).run()


def report(world: World) -> str:
    return "\n".join(closing(summary_of(world), world.plan, {}, "", PLAIN, 100))


def test_the_bound_in_the_closing_report() -> None:
    db = {"resources": (("db", 1),)}
    steps = (step("a", **db), step("b", **db), step("c", "a"), step("d", **db))
    acts: dict[str, Acts | list[Acts]] = {"a": Acts(60.0), "b": Acts(70.0), "c": Acts(118.0), "d": Acts(65.0)}
    world = ran(*steps, acts=acts, pools={"db": 1})
    assert world.now == 195.0
    assert "  took 3m 15s; lower bound 3m 15s (critical path 2m 58s, db pool 3m 15s)\n" in report(world) + "\n"
    wide = ran(step("a"), step("b"), step("c"), acts={"a": Acts(5.0)})
    assert "  took 5.0s; lower bound 5.0s (critical path 5.0s, 2 slots 3.5s)" in report(wide)


def test_a_for_each_takes_as_long_as_its_parts_and_what_is_undone_comes_later() -> None:
    each = step("each", "a", type=StepType.FAN_OUT, for_each="{{variables.xs}}")
    acts: dict[str, Acts | list[Acts]] = {"each[2]": Acts(7.0), "last": Acts(2.0)}
    world = ran(
        *(step("a"), each, step("z", "each"), step("last", stage=Stage.FINALLY)),
        acts=acts,
        variables={"xs": [1, 2, 3]},
    )
    found = bound_of(summary_of(world), world.plan)
    assert (found.path, found.path_s) == (("a", "each[2]", "each", "z", "last"), 11.0)
    assert found.tightest == ("", 6.5)
    assert found.seconds <= world.now


@pytest.mark.parametrize(
    ("steps", "acts"),
    [
        ((step("a"),), {"a": Acts(9.0)}),
        ((step("a"), step("b")), {"a": Acts(0.4), "b": Acts(0.5)}),
        ((step("a"), step("b")), {"a": Acts(9.0, code=1)}),
        ((step("a"), step("b", type=StepType.NOOP, argv=())), {"a": Acts(9.0)}),
    ],
)
def test_of_short_single_and_failed_runs_no_bound_is_told(
    steps: tuple[Step, ...], acts: dict[str, Acts | list[Acts]]
) -> None:
    world = ran(*steps, acts=acts)
    assert not is_worth_telling(summary_of(world))
    assert "lower bound" not in report(world)


def test_only_the_last_attempt_is_what_could_not_be_spared() -> None:
    results = (StepResult("a", "a", Outcome.COMPLETED, 0, attempts=3, duration_s=2.0, argv=("true",)),)
    summary = Summary("w", "w", "r", Status.COMPLETED, 0, None, 0.0, 30.0, results)
    assert bound_of(summary, plan_of(step("a"))).seconds == 2.0


# --- the timeline of a plan --------------------------------------------------------------------------

KNOWN = {"fetch": 10.0, "build": 30.0, "lint": 20.0}


def a_forecast() -> forecast.Forecast:
    steps = (step("lint"), step("fetch"), step("build", "fetch"), step("pack", "build", "lint", estimate_s=5.0))
    return forecast.forecast(plan_of(*steps, learned=KNOWN))


def test_a_timeline() -> None:
    assert list(forecast.lines(a_forecast(), PLAIN, 77)) == [
        "test: 45.0s expected (4 steps, 2 slots)",
        "  lower bound 45.0s (critical path 45.0s, 2 slots 32.5s)",
        "",
        "Step   Slot  Start    End   Time  From",
        "fetch     1    0ms  10.0s  10.0s  3 runs    #######",
        "lint      2    0ms  20.0s  20.0s  3 runs    ###############",
        "build     1  10.0s  40.0s  30.0s  3 runs           ######################",
        "pack      1  40.0s  45.0s   5.0s  estimate                               ####",
    ]


def test_without_room_there_are_no_bars_and_guesses_are_named() -> None:
    found = forecast.forecast(plan_of(step("a"), step("b\x1b[31m"), step("c", type=StepType.NOOP, argv=())))
    lines = list(forecast.lines(found, PLAIN, 20))
    assert all("#" not in line and "\x1b" not in line and len(line) <= 20 for line in lines[3:-1])
    assert lines[-1] == "Of 2 steps nothing is known yet: 1s each is a guess. A run will tell."


def test_where_a_time_comes_from() -> None:
    steps = (step("a"), step("b", estimate_s=3.0), step("c"), step("d", type=StepType.CONDITION, argv=()))
    found = forecast.forecast(plan_of(*steps, learned={"a": 5.0}))
    assert [found.remark(id) for id in "abc"] == ["3 runs", "estimate", "siblings"]
    assert {one["id"]: one["from"] for one in forecast.document(found)["steps"]} == {
        "a": "learned",
        "b": "estimate",
        "c": "siblings",
        "d": None,
    }
    assert forecast.forecast(plan_of(*steps)).remark("c") == "guess"


def test_the_document_of_a_timeline() -> None:
    document = forecast.document(a_forecast())
    steps = document.pop("steps")
    assert document == {
        "workflow": "test",
        "name": "test",
        "order": "critical-path",
        "maxConcurrency": 2,
        "pools": {},
        "makespan": 45.0,
        "lowerBound": {
            "seconds": 45.0,
            "criticalPath": {"seconds": 45.0, "steps": ["fetch", "build", "pack"]},
            "slots": 32.5,
            "pools": {},
        },
        "utilization": {"slots": 0.7222},
    }
    assert steps[2] == {
        "id": "build",
        "start": 10.0,
        "end": 40.0,
        "slot": 1,
        "duration": 30.0,
        "from": "learned",
        "runs": 3,
        "peakMemoryBytes": None,
    }


# --- with other limits -------------------------------------------------------------------------------


def story_of(world: World) -> Story:
    cover = Cover("20260131-142503-7f3a9c", "test", "Test")
    return retell(cover, sketch_of(world.plan), [(at, event) for at, event in world.events])


def a_story() -> Story:
    db = (("db", 1),)
    steps = (*(step(f"s{n}", resources=db) for n in range(4)), step("end", *(f"s{n}" for n in range(4))))
    return story_of(ran(*steps, acts={f"s{n}": Acts(10.0) for n in range(4)}, pools={"db": 1}))


def test_what_other_limits_would_bring() -> None:
    recorded = whatif.of_story(a_story())
    wider = recorded.setting._replace(slots=4, pools={"db": 4})
    found = list(whatif.trials(recorded, [("-j 4, db=4", wider)]))
    assert [one.makespan_s for one in found] == [41.0, 41.0, 11.0]
    assert list(whatif.lines(recorded, found, PLAIN, 100)) == [
        "Test: run 20260131-142503-7f3a9c, 2 at a time",
        "",
        "             Takes          Lower bound  Bound by       Busy",
        "as recorded  41.0s                40.0s  db pool        slots 50%, db 98%",
        "simulated    41.0s  1.00 x        40.0s  db pool        slots 50%, db 98%",
        "-j 4, db=4   11.0s  0.27 x        11.0s  critical path  slots 93%, db 91%",
    ]
    document = whatif.document(recorded, found)
    assert [trial["name"] for trial in document["trials"]] == ["as recorded", "simulated", "-j 4, db=4"]
    assert [trial["simulated"] for trial in document["trials"]] == [False, True, True]
    assert document["trials"][2]["pools"] == {"db": 4}


def test_a_simulated_run_takes_as_long_as_the_recorded_one() -> None:
    """The whole way: a run is told, its story is simulated, and nothing is lost but the waiting between attempts."""
    each = step("each", "a", type=StepType.FAN_OUT, for_each="{{variables.xs}}", resources=(("p", 1),))
    steps = (
        *(step("a"), each, step("z", "each", priority=1), step("alone", exclusive=True)),
        *(step("ask", type=StepType.NOOP, argv=()), step("after", stage=Stage.FINALLY), step("no", condition="false")),
    )
    acts: dict[str, Acts | list[Acts]] = {"each[2]": Acts(7.0), "z": Acts(2.5), "alone": Acts(1.5)}
    for by in ("eager", "waves"):
        world = ran(*steps, acts=acts, variables={"xs": [1, 2, 3]}, pools={"p": 2})
        recorded = whatif.of_story(story_of(world))
        taken, simulated = whatif.trials(recorded, [])
        assert taken.makespan_s == world.now
        assert simulated.makespan_s == pytest.approx(world.now, rel=0.1), by
        assert simulated.bound == taken.bound


def test_a_pool_that_is_too_small_for_a_step() -> None:
    recorded = whatif.of_plan(plan_of(step("a", resources=(("db", 2),)), pools={"db": 2}))
    assert recorded.wall_s is None
    with pytest.raises(CannotSimulate, match="step `a` needs 2 of pool `db`, which has 1"):
        list(whatif.trials(recorded, [("db=1", Setting(2, {"db": 1}))]))


def test_a_run_that_began_and_did_nothing() -> None:
    plan = plan_of(step("a"))
    begun = RunStarted("test", "Test", plan.waves, 0, 2, {})
    story = retell(Cover("r"), sketch_of(plan), [(0.0, begun), (0.0, RunFinished(Status.CANCELLED, 130))])
    recorded = whatif.of_story(story)
    found = list(whatif.trials(recorded, []))
    assert [one.makespan_s for one in found] == [0.0, 0.0]
    assert len(list(whatif.lines(recorded, found, PLAIN, 100))) == 5
