"""The parts of a run: checks before it, tests after it, undoing, cleaning up; and what stops it early."""

import pytest

from stepwave.core.events import (
    BreakerOpened,
    Interrupted,
    Measured,
    RunFinished,
    RunStopping,
    StageStarted,
    Status,
    StepsAdded,
    StepStopping,
    StepTested,
    WidthChanged,
)
from stepwave.core.model import AcceptanceTest, FailurePolicy, Retry, RetryOn, Stage, Step, StepType
from tests.core.world import Acts, World, cancelled, completed, failed, run, skipped, step, timeout

NO = Acts(code=1)
GB = 1 << 30


def check(id: str, *needs: str, **fields: object) -> Step:
    return step(id, *needs, stage=Stage.CHECK, **fields)


def accept(id: str, *needs: str, **fields: object) -> Step:
    return step(id, *needs, stage=Stage.ACCEPT, **fields)


def last(id: str, *needs: str, **fields: object) -> Step:
    return step(id, *needs, stage=Stage.FINALLY, **fields)


def undoable(id: str, *needs: str, **fields: object) -> Step:
    return step(id, *needs, undo=step(f"{id}.undo", stage=Stage.ROLLBACK), **fields)


def stages(world: World) -> list[tuple[str, tuple[str, ...]]]:
    return [(event.stage.value, event.steps) for event in world.of(StageStarted)]  # type: ignore[attr-defined]


# --- order --------------------------------------------------------------------------------------------


def test_a_stage_begins_when_everything_before_it_has_ended() -> None:
    world = run(last("end"), step("a"), accept("good"), check("ready"), acts={"ready": Acts(2), "a": Acts(3)})
    assert world.started == {"ready": 0, "a": 2, "good": 5, "end": 6}
    assert stages(world) == [("check", ("ready",)), ("accept", ("good",)), ("finally", ("end",))]
    assert world.plan.waves == (("ready",), ("a",), ("good",), ("end",))


def test_stages_without_a_process_pass_at_once() -> None:
    world = run(check("c", type=StepType.NOOP), step("m", type=StepType.NOOP), last("f", type=StepType.NOOP))
    assert world.outcomes == {"c": completed, "m": completed, "f": completed}
    assert world.exit_code == 0


def test_a_failed_check_ends_the_run_before_anything_has_started() -> None:
    world = run(
        check("ready"), check("steady"), step("a"), step("b", condition="always()"), accept("t"), last("end"),
        acts={"ready": NO}, on_failure=FailurePolicy.SKIP_DEPENDENTS,
    )  # fmt: skip
    assert world.outcomes == {
        "ready": failed, "steady": completed, "a": skipped, "b": skipped, "t": skipped, "end": completed
    }  # fmt: skip
    assert world.exit_code == 1


@pytest.mark.parametrize("policy", FailurePolicy)
def test_acceptance_tests_of_the_workflow_need_success(policy: FailurePolicy) -> None:
    world = run(step("a"), accept("t"), acts={"a": NO}, on_failure=policy)
    assert world.outcomes["t"] == skipped
    assert world.reasons["t"] == "Skipped due to previous failure"


def test_an_acceptance_test_that_fails_fails_the_run() -> None:
    world = run(step("a"), accept("t"), accept("u"), acts={"t": NO}, max_concurrency=1)
    assert world.outcomes == {"a": completed, "t": failed, "u": skipped}
    assert world.exit_code == 1


# --- finally ------------------------------------------------------------------------------------------


def test_what_stands_last_runs_after_a_failure_a_timeout_and_an_interrupt() -> None:
    after_failure = run(step("a"), step("b", "a"), last("end"), acts={"a": NO})
    assert after_failure.outcomes == {"a": failed, "b": skipped, "end": completed}
    after_deadline = run(step("a"), last("end"), acts={"a": Acts(9), "end": Acts(30)}, timeout_s=3.0)
    assert after_deadline.outcomes == {"a": timeout, "end": completed} and after_deadline.exit_code == 124
    after_ctrl_c = run(
        step("a"), step("b"), last("end"), acts={"a": Acts(9), "b": Acts(9, obeys=False)},
        signals=[(1.0, Interrupted(2)), (2.0, Interrupted(2))],
    )  # fmt: skip
    assert after_ctrl_c.outcomes == {"a": cancelled, "b": cancelled, "end": completed}
    assert after_ctrl_c.started["end"] == 2 and after_ctrl_c.exit_code == 130


def test_the_reason_of_the_end_is_that_of_its_status() -> None:
    """Not that of the failure before it, which nobody asks about any more."""
    undo = step("a.undo", stage=Stage.ROLLBACK)
    steps = step("a", undo=undo), step("b", "a"), last("end")
    acts = {"b": NO, "a.undo": Acts(9)}
    for signals, reason in (
        ([(3.0, Interrupted(2))], "interrupted (SIGINT)"),
        ([(3.0, Interrupted(15)), (3.5, Interrupted(2))], "interrupted (SIGTERM)"),
    ):
        ended = run(*steps, acts=acts, signals=signals).of(RunFinished)[0]
        assert (ended.status, ended.reason) == (Status.CANCELLED, reason)  # type: ignore[attr-defined]
    late = run(step("a"), step("b"), acts={"a": NO, "b": Acts(9)}, timeout_s=3.0).of(RunFinished)[0]
    assert (late.status, late.reason) == (Status.TIMEOUT, "workflow timed out after 3.0s")  # type: ignore[attr-defined]


def test_it_may_be_interrupted_in_its_turn() -> None:
    world = run(
        step("a"), last("end"), last("more", "end"), acts={"a": Acts(9), "end": Acts(60, obeys=False)},
        signals=[(1.0, Interrupted(2)), (3.0, Interrupted(2)), (4.0, Interrupted(2))],
    )  # fmt: skip
    assert world.outcomes == {"a": cancelled, "end": cancelled, "more": cancelled}
    assert world.now == 4.0
    assert [event.reason for event in world.of(RunStopping)] == ["interrupted (SIGINT)"] * 2  # type: ignore[attr-defined]


def test_its_failure_fails_the_run_and_stops_nothing_else_of_it() -> None:
    world = run(step("a"), last("x"), last("y"), last("z", "x"), acts={"x": NO}, max_concurrency=1)
    assert world.outcomes == {"a": completed, "x": failed, "y": completed, "z": skipped}
    assert world.exit_code == 1


def test_it_may_ask_how_the_run_went() -> None:
    def outcomes(acts: dict[str, Acts]) -> dict[str, str]:
        ends = [last("good", condition="success()"), last("bad", condition="failure()")]
        said = last("said", condition="workflow.status == 'failed'")
        return run(step("a"), *ends, said, acts=acts).outcomes

    assert outcomes({}) == {"a": completed, "good": completed, "bad": skipped, "said": skipped}
    assert outcomes({"a": NO}) == {"a": failed, "good": skipped, "bad": completed, "said": completed}
    world = run(step("a"), last("end"), acts={"a": NO})
    assert world.launches[-1].env["WORKFLOW_STATUS"] == "failed"


# --- undoing --------------------------------------------------------------------------------------------


def test_what_was_completed_is_undone_the_last_first() -> None:
    world = run(
        undoable("flight"), undoable("hotel", "flight"), undoable("car", "hotel"), undoable("never", "car"),
        acts={"car": NO},
    )  # fmt: skip
    assert world.outcomes == {
        "flight": completed, "hotel": completed, "car": failed, "never": skipped,
        "flight.undo": completed, "hotel.undo": completed,
    }  # fmt: skip
    assert world.started["hotel.undo"] == 3 and world.started["flight.undo"] == 4
    (added,) = world.of(StepsAdded)
    assert [(new.id, new.after) for new in added.steps] == [("hotel.undo", "hotel"), ("flight.undo", "flight")]  # type: ignore[attr-defined]
    assert stages(world) == [("rollback", ("hotel.undo", "flight.undo"))]
    assert world.exit_code == 1


def test_nothing_is_undone_after_success() -> None:
    world = run(undoable("flight"), undoable("hotel"))
    assert world.outcomes == {"flight": completed, "hotel": completed}


def test_undoing_goes_on_past_one_that_fails_and_comes_before_what_stands_last() -> None:
    world = run(undoable("a"), undoable("b", "a"), step("c", "b"), last("end"), acts={"c": NO, "b.undo": NO})
    assert world.outcomes["a.undo"] == completed and world.outcomes["b.undo"] == failed
    assert list(world.started)[-3:] == ["b.undo", "a.undo", "end"]
    assert world.events[-1][1].reason == "Failed steps: c, b.undo"  # type: ignore[union-attr]


def test_undoing_may_be_parallel_and_happens_after_ctrl_c_and_a_deadline_too() -> None:
    world = run(undoable("a"), undoable("b"), step("c", "a"), acts={"c": NO, "a.undo": Acts(5)}, rollback_parallel=True)
    assert world.started["a.undo"] == world.started["b.undo"]
    for end in ({"signals": [(2.0, Interrupted(2))]}, {"timeout_s": 2.0}):
        assert run(undoable("a"), step("b", "a"), acts={"b": Acts(9)}, **end).outcomes["a.undo"] == completed


# --- tests of a step --------------------------------------------------------------------------------------


def with_tests(id: str, *needs: str, tests: int = 2, **fields: object) -> Step:
    return step(id, *needs, tests=tuple(AcceptanceTest(str(n), "true") for n in range(1, tests + 1)), **fields)


def verdicts(world: World) -> list[tuple[str, str, bool]]:
    return [(event.step, event.test, event.passed) for event in world.of(StepTested)]  # type: ignore[attr-defined]


def test_tests_run_after_the_step_in_its_slot_one_after_the_other() -> None:
    world = run(with_tests("a"), step("b"), step("c", "a"), acts={"a#1": Acts(2)}, max_concurrency=1)
    assert world.started == {"a": 0, "b": 4, "c": 5}
    assert verdicts(world) == [("a", "1", True), ("a", "2", True)]
    assert [launch.log for launch in world.launches if launch.step == "a"] == [
        "logs/00001-a.log", "logs/00001-a.test-1.log", "logs/00001-a.test-2.log"
    ]  # fmt: skip
    assert world.ends["a"].duration_s == 4


def test_all_tests_are_run_and_one_that_fails_fails_the_step() -> None:
    world = run(with_tests("a"), step("b", "a"), acts={"a#1": NO})
    assert verdicts(world) == [("a", "1", False), ("a", "2", True)]
    assert world.outcomes == {"a": failed, "b": skipped}
    assert world.reasons["a"] == "acceptance test `1`: exit code 1"
    assert world.ends["a"].exit_code == 0


@pytest.mark.parametrize(
    ("asked", "value"),
    [("output", "5"), ("stdout", "5"), ("exitCode", "0"), ("result", "success"), ("success", "true")],
)
def test_a_test_sees_what_its_step_has_brought(asked: str, value: str) -> None:
    one = step("a", tests=(AcceptanceTest("1", f"test {{{{steps.a.{asked}}}}} = {value}"),))
    world = run(one, acts={"a": Acts(output="5\n")})
    assert world.outcomes == {"a": completed}, world.reasons
    assert value in world.launches[1].env.values()


def test_a_step_that_fails_is_not_tested_and_a_test_that_fails_is_a_failed_attempt() -> None:
    assert verdicts(run(with_tests("a"), acts={"a": NO})) == []
    world = run(with_tests("a", tests=1, retry=Retry(attempts=2)), acts={"a": [Acts(), Acts()], "a#1": [NO, Acts()]})
    assert verdicts(world) == [("a", "1", False), ("a", "1", True)]
    assert world.outcomes == {"a": completed} and world.ends["a"].attempts == 2
    assert world.launches[-1].log == "logs/00001-a.2.test-1.log"


def test_a_test_has_a_time_limit_its_own_or_that_of_the_step() -> None:
    slow = AcceptanceTest("slow", "sleep 9", timeout_s=2.0)
    world = run(step("a", tests=(slow,), timeout_s=5.0), acts={"a": Acts(4), "a#1": Acts(9)})
    assert world.outcomes == {"a": timeout} and world.now == 6
    assert world.reasons["a"] == "timed out after 2.0s"
    world = run(with_tests("a", timeout_s=5.0), acts={"a": Acts(4), "a#1": Acts(4), "a#2": Acts(9)})
    assert world.outcomes == {"a": timeout} and world.now == 13


def test_an_interrupt_ends_a_test_and_begins_no_other() -> None:
    world = run(with_tests("a"), acts={"a#1": Acts(9)}, signals=[(3.0, Interrupted(2))])
    assert world.outcomes == {"a": cancelled} and len(world.launches) == 2
    late = run(with_tests("a"), acts={"a": Acts(3, obeys=False)}, signals=[(2.0, Interrupted(2))])
    assert late.outcomes == {"a": cancelled} and len(late.launches) == 1


# --- trying again, and when not to --------------------------------------------------------------------------


def attempts(on: RetryOn | None = None, repeats: int | None = None, **acts: object) -> int:
    retry = Retry(attempts=4, on=on, max_repeats=repeats)
    return run(step("a", retry=retry, timeout_s=5.0), acts={"a": Acts(**acts)}).ends["a"].attempts  # type: ignore[arg-type]


def test_only_failures_that_are_meant_are_tried_again() -> None:
    codes = RetryOn(exit_codes=(75,))
    assert attempts(codes, code=75) == 4 and attempts(codes, code=1) == 1 and attempts(codes, seconds=9) == 1
    late = RetryOn(timeout=True)
    assert attempts(late, seconds=9) == 4 and attempts(late, code=1) == 1
    text = RetryOn(patterns=("ECONN[A-Z]+", "503"))
    assert attempts(text, code=1, tail="oh: ECONNRESET\n") == 4 and attempts(text, code=1, tail="oh") == 1
    both = RetryOn(exit_codes=(75,), patterns=("503",))
    assert attempts(both, code=75, tail="") == 4 and attempts(both, code=1, tail="503") == 4


def test_the_same_error_again_and_again_ends_the_attempts_early() -> None:
    assert attempts(repeats=1, code=1, tail="same") == 2
    assert attempts(repeats=0, code=1) == 1
    world = run(
        step("a", retry=Retry(attempts=4, max_repeats=1)),
        acts={"a": [Acts(code=1, tail="x"), Acts(code=1, tail="y"), Acts(code=1, tail="x  \n"), Acts()]},
    )
    assert world.ends["a"].attempts == 3, "the second `x` is one too many, however its blanks are set"


def test_a_shared_breaker_opens_after_so_many_failed_attempts() -> None:
    shared = {"breaker": "run", "retry": Retry(attempts=2), "continue_on_error": True}
    world = run(
        step("a", **shared), step("b", **shared), step("c", **shared), step("free"), acts={"a": NO, "b": NO},
        breakers={"run": 3}, max_concurrency=1,
    )  # fmt: skip
    assert world.outcomes == {"a": failed, "b": failed, "c": skipped, "free": completed}
    assert world.reasons["c"] == "circuit_open"
    assert (world.ends["a"].attempts, world.ends["b"].attempts) == (2, 1), "an open breaker allows no other attempt"
    assert world.of(BreakerOpened) == [BreakerOpened("run", 3)]


def test_patterns_in_the_output_decide_over_success() -> None:
    good = {"success_pattern": "[Aa]ll good"}
    assert run(step("a", **good), acts={"a": Acts(tail="all good\n")}).outcomes == {"a": completed}
    assert run(step("a", **good), acts={"a": Acts(tail="hm")}).reasons["a"] == (
        "its output does not match the success pattern"
    )
    bad = run(step("a", failure_pattern="^ERROR"), acts={"a": Acts(tail="ERROR\n")})
    assert bad.reasons["a"] == "its output matches the failure pattern" and bad.launches[0].keep_tail
    assert run(step("a", failure_pattern="(a+)+$"), acts={"a": Acts(tail="a" * 60 + "b")}).outcomes["a"] in (
        completed, failed
    )  # fmt: skip


def test_a_step_that_prints_nothing_for_too_long_times_out() -> None:
    world = run(step("a", idle_s=3.0), acts={"a": Acts(60, silent_s=4.0)})
    assert world.outcomes == {"a": timeout} and world.now == 4
    assert world.reasons["a"] == "timed out: it printed nothing for 3.0s"
    assert world.of(StepStopping)
    assert run(step("a"), acts={"a": Acts(6, silent_s=4.0)}).outcomes == {"a": completed}


# --- agents and width ---------------------------------------------------------------------------------------


def test_an_agent_that_nothing_can_carry_out_may_be_skipped() -> None:
    from stepwave.core.model import Agent

    ask = step("ask", type=StepType.AGENT, agent=Agent("gpt"))
    assert run(ask, step("after", "ask")).outcomes == {"ask": failed, "after": skipped}
    world = run(ask, step("after", "ask"), skip_agents=True)
    assert world.outcomes == {"ask": skipped, "after": completed} and world.exit_code == 0
    assert world.reasons["ask"] == "no executor"


def test_the_width_follows_how_busy_the_machine_is() -> None:
    steps = [step(f"s{n}") for n in range(8)]
    idle = Measured(0.0, 64 * GB)
    assert max(map(len, run(*steps, adaptive=True, measured=[idle]).overlaps)) == 4
    busy = run(*steps, adaptive=True, measured=[Measured(40.0, 64 * GB)])
    assert max(map(len, busy.overlaps)) == 1
    (change,) = busy.of(WidthChanged)
    assert change == WidthChanged(1, "load 40.0 on 4 CPUs")
    relaxing = run(*steps, adaptive=True, measured=[Measured(40.0, 64 * GB), idle], acts={s.id: Acts(3) for s in steps})
    assert [e.max_concurrency for e in relaxing.of(WidthChanged)] == [1, 4]  # type: ignore[attr-defined]


def test_why_a_clean_up_step_waits() -> None:
    from stepwave.core.running.prepare import Preparation
    from stepwave.core.running.schedule import Schedule

    world = World(run(step("a"), last("end")).plan)
    schedule = Schedule(world.plan, Preparation(world.plan, environ={}, run="r", run_folder="/r", now=0.0))
    schedule.begin(0.0)
    assert schedule.why("end") == "`end` waits for the end of everything before it"
