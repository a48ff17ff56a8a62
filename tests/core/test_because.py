"""Why a step of a run is as it is, in words: from stories made by hand, and from runs of a world made of numbers."""

import pytest

from stepwave.core.events import Outcome
from stepwave.core.model import FailurePolicy, Retry, Stage
from stepwave.core.telling.because import because, state_of
from stepwave.core.telling.reasons import Telling, document
from stepwave.core.telling.story import Cause, StepStory, Story, Wait
from stepwave.core.telling.style import make_style
from tests.core import hostile, stories
from tests.core.test_retell import COVER, run, told
from tests.core.world import Acts, step

PLAIN = make_style(color=False, unicode=True)


def why(story: Story, id: str) -> list[str]:
    return list(Telling(story, because(story, id), PLAIN).lines())


def test_of_a_run_with_everything_in_it() -> None:
    story = stories.mixed()
    assert why(story, "fetch") == [
        "fetch completed; it ran for 2.0s and waited for nothing",
        "  it started as soon as the run did",
        "  it is step 1 of 4 on the critical path of the run (10.0s)",
    ]
    assert why(story, "build") == [
        "build failed after 2 attempts: exit code 3; it ran for 3.0s and waited for 4.0s",
        "  it was chosen by choose",
        "  what it needs had ended: choose (completed)",
        "  it waited 2.0s for choose, which it needs",
        "  it waited 1.0s for the delay between two attempts",
        "  it waited 1.0s for 1 unit of pool gpu, which has 1; held by parts[2] (1.0s)",
        "  attempt 1 took 2.0s: exit code 3",
        "  it is step 3 of 4 on the critical path of the run (10.0s)",
    ]
    assert why(story, "parts") == [
        "parts completed; it ran for 4.0s and waited for 2.0s",
        "  what it needs had ended: fetch (completed)",
        "  it became 2 parts, the last of which is parts[2]",
        "  it waited 2.0s for fetch, which it needs",
    ]
    assert why(story, "parts[2]") == [
        "parts[2] completed; it ran for 1.0s and waited for 3.0s",
        "  it is a part of parts",
        "  it waited 3.0s for 1 unit of pool gpu, which has 1; held by build (2.0s), parts[1] (1.0s)",
        "  it could start when parts[1] made room",
    ]
    assert why(story, "ship") == [
        "ship was skipped: it needs build, which failed after 2 attempts: exit code 3",
        "  it waited 7.0s for build, the last to end of the 2 that it needs",
    ]
    assert why(story, "tidy") == [
        "tidy failed, which is tolerated: exit code 3; it ran for 3.0s and waited for 7.0s",
        "  it is in another part of the run: finally",
        "  it waited 7.0s for build, as it comes after all of that",
        "  it is step 4 of 4 on the critical path of the run (10.0s)",
    ]
    assert why(story, "rest") == ["rest was skipped: it was not chosen: choose was true"]
    assert why(story, "lint") == [f"lint was not run: its success in run {stories.EARLIER} stands for it"]
    with pytest.raises(KeyError):
        because(story, "nobody")


def test_of_a_run_that_goes_on_or_has_died() -> None:
    running, died = stories.running(), stories.died()
    assert why(running, "b")[0] == "b has been running for 3.0s"
    assert why(running, "c") == [
        "c waits for b, which has been running for 3.0s",
        "  it has been waiting 5.0s for b, which it needs",
    ]
    assert why(died, "b")[0] == "b was running when the run died"
    assert why(died, "c")[0] == "c had not started when the run died; it had waited for 5.0s"
    states = [[state_of(one, alive=story.alive) for one in story.steps] for story in (running, died)]
    assert states == [["completed", "running", "waiting"], ["completed", "lost", "not started"]]


def test_what_waits_for_what_in_a_living_run() -> None:
    world = run(
        *(step("a"), step("b", "a"), step("c", "b"), step("d", "c"), step("e", priority=1)),
        acts={"a": Acts(9)},
        max_concurrency=1,
    )
    now = told(world, until=0.0, cover=COVER._replace(alive=True, now_s=4.0))
    assert why(now, "d") == [
        "d waits for a (and 2 steps between them), which has been running for 4.0s",
        "  it has been waiting 4.0s for c, which it needs",
    ]
    assert why(now, "e") == [
        "e is ready and waits for a slot (1 may run at a time)",
        "  it has been waiting 4.0s for a slot (1 may run at a time); while there ran a (4.0s)",
    ]
    assert document(now, because(now, "d"), [])["waitsFor"] == ["c", "b", "a"]


def test_a_delay_between_attempts() -> None:
    world = run(step("a", retry=Retry(2, 5.0)), step("b", "a"), acts={"a": [Acts(1, code=1), Acts(1)]})
    now = told(world, until=1.0, cover=COVER._replace(alive=True, now_s=3.0))
    assert why(now, "a") == [
        "a waits for its attempt 2",
        "  it has been waiting 2.0s for the delay between two attempts",
        "  it started as soon as the run did",
        "  it is step 1 of 1 on the critical path of the run (3.0s)",
    ]
    assert why(now, "b")[0] == "b waits for a, which waits for its attempt 2"
    assert why(told(world, until=1.0), "a")[0] == "a waited for its attempt 2 when the run died"


def test_a_step_that_is_told_to_stop() -> None:
    world = run(step("a", timeout_s=1.0), acts={"a": Acts(9, obeys=False)})
    now = told(world, until=1.0, cover=COVER._replace(alive=True, now_s=3.0))
    assert why(now, "a")[0] == "a is told to stop (timed out after 1.0s), and has been running for 3.0s"
    assert why(told(world), "a")[0].startswith("a timed out: timed out after 1.0s; it ran for 6.0s")


def test_through_skipped_steps_to_the_failure() -> None:
    acts = {"a": Acts(1, code=3), "z": Acts(1, code=4)}
    found = told(run(step("a"), step("b", "a"), step("c", "b"), acts=acts, on_failure=FailurePolicy.SKIP_DEPENDENTS))
    assert why(found, "c")[0] == "c was skipped: it needs b, which could not run because a failed: exit code 3"
    two = told(run(step("a"), step("z"), step("c", "a", "z"), acts=acts, on_failure=FailurePolicy.SKIP_DEPENDENTS))
    assert why(two, "c")[0] == "c was skipped: it needs a, which failed: exit code 3 (and 1 other step did not succeed)"
    abort = told(run(step("a"), step("b"), step("c", "b"), acts={**acts, "b": Acts(2)}))
    assert why(abort, "c") == [
        "c was skipped: a failed: exit code 3, and nothing was to start after that",
        "  it waited 1.0s for b, which it needs",
    ]


def test_what_was_left_out() -> None:
    condition = told(run(step("a", condition="false")))
    assert why(condition, "a") == ["a was skipped: its condition was false"]
    story = stories.mixed()
    for reason, words in (
        ("not selected", "the run was asked to leave it out"),
        ("no executor", "nothing here can carry out its agent, and the run was asked to skip such steps"),
        ("circuit_open", "its circuit breaker had opened, as too many attempts had failed"),
        ("branch", "it lies on a branch that was not taken"),
    ):
        steps = tuple(one._replace(reason=reason) if one.drawn.id == "ship" else one for one in story.steps)
        assert why(story._replace(steps=steps), "ship")[0] == f"ship was skipped: {words}"


def test_what_undoes_a_step_and_what_was_undone() -> None:
    found = told(run(step("a", undo=step("a.undo", stage=Stage.ROLLBACK)), step("b", "a"), acts={"b": Acts(1, code=1)}))
    assert why(found, "a")[0] == "a completed and was undone; it ran for 1.0s and waited for nothing"
    assert why(found, "a.undo")[1] == "  it undoes a"


def test_limits_have_names() -> None:
    rate = told(run(step("a"), step("b"), rate_limit_s=0.25))
    assert "  it waited 250ms for the rate limit, the least time between two starts" in why(rate, "b")
    alone = told(run(step("a"), step("b", exclusive=True)))
    assert "  it waited 1.0s for its turn beside a step that runs alone; while there ran a (1.0s)" in why(alone, "b")
    wave = told(run(step("a", max_concurrency=1), step("b")))
    assert "  it waited 1.0s for others of its wave, as maxConcurrency says; while there ran a (1.0s)" in why(wave, "b")


def test_of_a_run_without_a_sketch() -> None:
    found = told(run(step("a"), step("b", "a"), step("c", resources=(("gpu", 1),)), pools={"gpu": 1}), sketched=False)
    assert "  it waited 1.0s for what it needs, which was not recorded" in why(found, "b")
    steps = tuple(one._replace(waits=(Wait(0.0, 1.0, Cause.LIMIT),)) for one in found.steps)
    assert "  it waited 1.0s for a pool or a limit, which was not recorded" in why(found._replace(steps=steps), "c")


def test_foreign_text_is_shown_harmless() -> None:
    for story in (hostile.story(), *(story for _, story in hostile.stories())):
        for state in (story, story._replace(steps=tuple(unended(one) for one in story.steps), alive=True)):
            for one in state.steps:
                told = why(state, one.drawn.id)
                assert not any("\n" in line for line in told)
                assert hostile.controls("\n".join(told)) == []
                assert hostile.commands("\n".join(told)) == []


def unended(one: StepStory) -> StepStory:
    return one._replace(outcome=None, ended_s=None, taken_from=None)


def test_the_document_has_every_figure() -> None:
    story = stories.mixed()
    found = because(story, "build")
    told = document(story, found, ["build failed", "  it waited"])
    assert (told["step"], told["state"], told["waitedS"], told["ranS"]) == ("build", "failed", 4.0, 3.0)
    assert told["sentences"] == ["build failed", "it waited"]
    assert told["charges"] == [
        {"cause": "need", "name": "choose", "seconds": 2.0, "holders": []},
        {"cause": "retry", "name": "", "seconds": 1.0, "holders": []},
        {"cause": "pool", "name": "gpu", "seconds": 1.0, "holders": [{"step": "parts[2]", "seconds": 1.0}]},
    ]
    assert told["waits"][2] == {"beginS": 5.0, "endS": 6.0, "cause": "pool", "name": "gpu"}
    assert [one["exitCode"] for one in told["attempts"]] == [3, 3]
    assert (told["chosenBy"], told["blockedBy"], told["onCriticalPath"]) == (["choose"], [], True)
    assert document(story, because(story, "ship"), [])["blockedBy"] == ["build"]
    assert because(story, "ship").step.outcome is Outcome.SKIPPED
