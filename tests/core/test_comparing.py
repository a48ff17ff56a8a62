"""Two runs beside each other."""

from stepwave.core.events import Outcome, Status
from stepwave.core.telling.comparing import compare, document, lines
from stepwave.core.telling.story import Cause, Story, Wait
from stepwave.core.telling.style import make_style
from tests.cli.invoke import say
from tests.core import hostile
from tests.core.stories import EARLIER, died, drawn, layered, mixed, ran, running, story

PLAIN = make_style(color=False, unicode=True)


def told(before: Story, after: Story, *, every: bool = False) -> str:
    return "".join(f"{line}\n" for line in lines(compare(before, after), PLAIN, every=every))


def two() -> tuple[Story, Story]:
    gpu = Wait(0.0, 1.5, Cause.POOL, "gpu")
    before = story(
        *(ran(drawn("a"), 0.0, 2.0), ran(drawn("b", "a"), 2.0, 6.0, outcome=Outcome.FAILED, reason="exit code 3")),
        *(ran(drawn("same"), 0.0, 1.0, waits=(gpu,)), ran(drawn("old"), 0.0, 0.5)),
        run=EARLIER,
        critical_path=("a", "b"),
        exit_code=1,
        status=Status.FAILED,
    )
    after = story(
        *(ran(drawn("a"), 0.0, 3.0), ran(drawn("b", "a"), 3.0, 4.0), ran(drawn("same"), 0.0, 1.05)),
        ran(drawn("new", "b"), 4.0, 4.25),
        critical_path=("a", "b", "new"),
    )
    return before, after


def test_what_changed() -> None:
    assert told(*two()) == say(
        """
        before  run 20260130-101500-00ff00 of A flow: failed in 6.0s, exit code 1
        after   run 20260131-142503-7f3a9c of A flow: completed in 4.2s, exit code 0

        STEP  BEFORE     AFTER      RAN BEFORE  RAN AFTER  CHANGE
        b     failed     completed        4.0s       1.0s  -3.0s (-75%)
        old   completed  -               500ms          -  gone
        new   -          completed           -      250ms  new
        a     completed  completed        2.0s       3.0s  +1.0s (+50%)
        1 step as before

                              BEFORE  AFTER  CHANGE
        wall time             6.0s    4.2s   -1.8s (-29%)
        running, all steps    7.5s    5.3s   -2.2s (-29%)
        waiting for pool gpu  1.5s    0ms    -1.5s (-100%)

        critical path before: a → b
        critical path after:  a → b → new
        """
    )


def test_every_step_where_that_is_asked_for() -> None:
    assert "same  completed  completed        1.0s       1.1s  =" in told(*two(), every=True)
    assert "as before" not in told(*two(), every=True)


def test_of_two_equal_runs_nothing_is_told() -> None:
    one = mixed()
    text = told(one, one)
    assert "STEP" not in text
    assert "11 steps as before" in text
    assert "critical path of both: fetch → choose → build → tidy" in text


def test_a_run_without_an_end_and_one_of_another_workflow() -> None:
    text = told(running()._replace(workflow="other"), died())
    assert "running after 5.0s" in text
    assert "died after 5.0s" in text
    assert "they are runs of different workflows" in text
    assert "reused" in told(mixed(), running())


def test_a_thousand_changes_are_not_a_thousand_rows() -> None:
    before = layered(1000)
    after = before._replace(
        steps=tuple(one._replace(attempts=(one.attempts[0]._replace(end_s=99.0),)) for one in before.steps)
    )
    text = told(before, after)
    assert "970 more steps changed" in text
    assert len(text.splitlines()) < 60
    assert len(told(before, after, every=True).splitlines()) > 1000
    assert "… 240 more …" in text


def test_the_document() -> None:
    found = document(compare(*two()))
    assert found["before"]["runId"] == EARLIER
    assert (found["after"]["criticalPath"], found["wallChangeS"]) == (["a", "b", "new"], -1.75)
    assert list(found["steps"]) == ["b", "old", "new", "a", "same"]
    assert found["steps"]["b"] == {
        "before": {"state": "failed", "ranS": 4.0, "waitedS": 0, "attempts": 1},
        "after": {"state": "completed", "ranS": 1.0, "waitedS": 0, "attempts": 1},
        "changeS": -3.0,
        "changed": True,
    }
    assert found["steps"]["new"]["before"] is None
    assert found["figures"][2] == {"name": "waiting for pool gpu", "beforeS": 1.5, "afterS": 0.0}


def test_foreign_text_is_shown_harmless() -> None:
    evil = hostile.story()
    for before, after in ((evil, mixed()), (mixed(), evil), (evil, evil._replace(workflow="other", wall_s=99.0))):
        text = told(before, after, every=True)
        assert hostile.controls(text) == []
        assert hostile.commands(text) == []
