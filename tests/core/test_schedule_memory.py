"""Successes of earlier runs that stand for steps of this one."""

from typing import NamedTuple

from stepwave.core.events import Launch, StepFinished, StepQueued
from stepwave.core.model import AcceptanceTest, FailurePolicy, Stage, Step, StepType
from stepwave.core.running.memory import Prior
from tests.core.test_schedule_branches import choose, fan
from tests.core.world import Acts, World, completed, failed, run, skipped, step


class Resuming:
    """Knows these steps, as long as nothing that they need has run; `outputs` is what they printed."""

    def __init__(self, *known: str, anyway: tuple[str, ...] = (), **outputs: str) -> None:
        self.known = {*known, *outputs}
        self.anyway = anyway
        self.outputs = outputs
        self.started: list[str] = []
        self.ended: list[str] = []
        self.notes: dict[str, str] = {}

    def knows(self, step: Step) -> bool:
        return step.id in self.known or step.id in self.anyway

    def recall(self, step: Step, launch: Launch, *, untouched: bool, wants_output: bool) -> Prior | None:
        if step.id in self.anyway or (untouched and step.id in self.known):
            return Prior("old", 0, self.outputs.get(step.id, ""), "", f"/old/{step.id}.out")
        return None

    def starts(self, step: Step, launch: Launch) -> None:
        self.started.append(step.id)

    def ends(self, step: Step, finished: StepFinished) -> str | None:
        self.ended.append(step.id)
        return self.notes.get(step.id)


class Went(NamedTuple):
    world: World
    taken: set[str]
    ran: list[str]


def went(*steps: Step, memory: Resuming, **fields: object) -> Went:
    world = run(*steps, memory=memory, **fields)  # type: ignore[arg-type]
    taken = {end.step for end in world.ends.values() if end.taken_from == "old"}
    assert memory.started == [launch.step for launch in world.launches if ".test-" not in launch.log]
    assert sorted(memory.ended) == sorted(world.ends)
    return Went(world, taken, memory.started)


def test_a_success_stands_for_a_step_and_takes_no_slot_and_no_time() -> None:
    result = went(step("a"), step("b", "a"), step("c", "b"), memory=Resuming("a", "b"))
    assert (result.taken, result.ran) == ({"a", "b"}, ["c"])
    assert set(result.world.outcomes.values()) == {completed}
    assert result.world.ends["a"].attempts == 0 and result.world.started == {"c": 0}
    assert StepQueued("a") not in result.world.of(StepQueued)


def test_what_needs_something_that_ran_runs_again() -> None:
    chain = (step("a"), step("b", "a"), step("c", "b"), step("d"))
    result = went(*chain, memory=Resuming("b", "c", "d"))
    assert (result.taken, sorted(result.ran)) == ({"d"}, ["a", "b", "c"])


def test_what_stands_by_itself_is_taken_over_whatever_ran_before() -> None:
    result = went(step("a"), step("b", "a"), memory=Resuming(anyway=("b",)))
    assert (result.taken, result.ran) == ({"b"}, ["a"])


def test_what_it_printed_is_known_to_those_that_refer_to_it() -> None:
    use = step("use", "a", argv=("echo", "{{steps.a.output.n}}", "{{steps.a.stdoutPath}}"))
    world = went(step("a"), use, memory=Resuming(a='{"n": 5}')).world
    assert world.launches[0].argv == ("echo", "5", "/old/a.out")
    assert world.launches[0].env["WORKFLOW_OUTPUT_A_STDOUT"] == '{"n": 5}'


def test_conditions_are_asked_again_and_hand_on_whether_anything_before_them_ran() -> None:
    flow = (
        step("a"), choose("ask", "a", yes=("b",), no=("c",)), step("b", "ask"), step("c", "ask"), step("d", "b"),
    )  # fmt: skip
    result = went(*flow, memory=Resuming("a", "b", "c", "d"))
    assert (result.taken, result.world.outcomes["c"]) == ({"a", "b", "d"}, skipped)
    again = went(*flow, memory=Resuming("b", "c", "d"))
    assert (again.taken, again.ran) == (set(), ["a", "b", "d"])


def test_the_parts_of_a_for_each_are_taken_over_one_by_one() -> None:
    flow = (step("list"), fan(), step("after", "fan"))
    acts = {"list": Acts(output="[1, 2]")}
    result = went(*flow, acts=acts, memory=Resuming("fan[1]", "after", list="[1, 2]"))
    assert (result.taken, result.ran) == ({"list", "fan[1]"}, ["fan[2]", "after"])
    whole = went(*flow, acts=acts, memory=Resuming("fan[1]", "fan[2]", "after", list="[1, 2]"))
    assert (whole.taken, whole.ran) == ({"list", "fan[1]", "fan[2]", "after"}, [])


def test_checks_tests_and_what_stands_last_run_every_time() -> None:
    stages = [step(stage.value, stage=stage) for stage in (Stage.CHECK, Stage.ACCEPT, Stage.FINALLY)]
    result = went(*stages, step("a"), memory=Resuming("a", "check", "accept", "finally"))
    assert (result.taken, result.ran) == ({"a"}, ["check", "accept", "finally"])


def test_a_step_that_was_taken_over_is_undone_like_any_other() -> None:
    undo = step("a.undo", stage=Stage.ROLLBACK)
    result = went(step("a", undo=undo), step("b", "a"), acts={"b": Acts(code=1)}, memory=Resuming("a"))
    assert result.world.outcomes == {"a": completed, "b": failed, "a.undo": completed}


def test_conditions_tests_and_policies_hold_around_a_step_that_is_taken_over() -> None:
    off = went(step("a", condition="false"), step("b", "a"), memory=Resuming("a", "b"))
    assert off.world.outcomes["a"] == skipped and off.taken == {"b"}
    tested = went(step("a", tests=(AcceptanceTest("1", "true"),)), memory=Resuming("a"))
    assert tested.ran == [] and tested.taken == {"a"}
    after_failure = went(
        step("bad"), step("a"), acts={"bad": Acts(code=1)}, memory=Resuming("a"),
        on_failure=FailurePolicy.SKIP_DEPENDENTS,
    )  # fmt: skip
    assert after_failure.taken == {"a"} and after_failure.world.exit_code == 1


def test_a_step_that_cannot_be_prepared_fails_as_it_would_without_a_memory() -> None:
    world = went(step("a", argv=("echo", "{{nothing}}")), memory=Resuming("a")).world
    assert world.outcomes == {"a": failed}
    assert went(step("n", type=StepType.NOOP), memory=Resuming("n")).taken == set()
