"""Uses that nobody had in mind, and a Ctrl-C in the last moment of a run."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stepwave.core.events import RunFinished
from stepwave.workflow import BaseWorkflowOrchestrator, Workflow, WorkflowStep, run_config_based_workflow
from tests.cli.invoke import flow
from tests.workflow.gather import Ear


class Speechless(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError("no words")


def fail() -> None:
    raise Speechless


def stop() -> None:
    raise KeyboardInterrupt


def run(config: Any = None, **steps: Any) -> dict[str, Any]:
    orchestrator = BaseWorkflowOrchestrator(config, "out")
    for name, function in steps.items():
        orchestrator.add_step(name, function)
    return orchestrator.run_workflow()


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --- what functions raise ----------------------------------------------------------------------------------


def test_an_exception_that_cannot_tell_its_text_fails_its_step() -> None:
    answer = run(a=fail, b=int)
    assert answer["errors"] == ["Step 'a' failed: Speechless, which cannot be put into words"]
    assert answer["results"] == {"b": 0}
    step = WorkflowStep("a", fail)
    with pytest.raises(Speechless):
        step.execute()
    assert (step.status, step.error) == ("failed", "Speechless, which cannot be put into words")


def test_an_exception_without_a_text_is_told_by_its_name() -> None:
    assert run(a=stop)["errors"] == ["Step 'a' failed: KeyboardInterrupt"]


# --- configs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needs", "error"),
    [
        ([1], "the dependencies of step 'a' are names, not int"),
        ([["b"]], "the dependencies of step 'a' are names, not list"),
        (5, "the dependencies of step 'a' are names, not int"),
    ],
)
def test_dependencies_that_are_no_names(needs: object, error: str) -> None:
    config = {"steps": {"a": {"function": "os:getpid", "depends_on": needs}}}
    assert run(config)["errors"] == [f"Failed to load steps from config: {error}"]
    with pytest.raises(TypeError, match=error):
        BaseWorkflowOrchestrator().add_step("a", int, depends_on=needs)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [None, 5, b"a"])
def test_names_that_are_no_text(name: Any) -> None:
    with pytest.raises(TypeError, match="the name of a step must be text, not"):
        BaseWorkflowOrchestrator().add_step(name, int)


def test_two_steps_of_one_name_in_a_config() -> None:
    config = {"steps": [{"id": "a", "function": "os:getpid"}, {"id": "a", "function": "os:getppid"}]}
    assert run(config)["errors"] == ["Failed to load steps from config: Duplicate step ID: a"]


def test_a_config_that_is_none() -> None:
    with pytest.raises(TypeError, match="config must be a mapping, not list"):
        BaseWorkflowOrchestrator([])  # type: ignore[arg-type]


def test_a_step_that_adds_steps_adds_them_to_the_next_run() -> None:
    orchestrator = BaseWorkflowOrchestrator(None, "out")
    orchestrator.add_step("a", lambda: orchestrator.add_step("b", int) and 1)
    assert orchestrator.run_workflow()["results"] == {"a": 1}
    assert orchestrator.get_step_status() == {"a": "completed", "b": "pending"}
    assert orchestrator.run_workflow()["results"] == {"a": 1, "b": 0}


def test_paths_that_no_file_can_have(tmp_path: Path) -> None:
    answer = run_config_based_workflow("a\0b")
    assert (answer["success"], answer["error"]) == (
        False,
        "Invalid config: Configuration loading failed: a\\x00b not found",
    )


# --- the builder -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"work": [b"ls"]}, "step 'a': the words of a command are texts and paths, not bytes"),
        ({"work": ["ls", 5]}, "step 'a': the words of a command are texts and paths, not int"),
        ({"work": 5}, "step 'a': the words of a command are a list, not int"),
        ({"work": b"ls"}, "step 'a': the words of a command are a list, not bytes"),
        ({"work": int, "name": 5}, "name must be text, not int"),
        ({"work": int, "condition": 5}, "condition must be text, not int"),
        ({"work": int, "needs": 5}, "needs are names, not int"),
        ({"shell": 5}, "shell must be text, not int"),
        ({"work": ["ls"], "env": 5}, "env is a mapping, not int"),
        ({"work": int, "params": 5}, "params are a mapping, not int"),
    ],
)
def test_arguments_of_the_wrong_kind(words: Any, error: str) -> None:
    with pytest.raises(TypeError) as problem:
        Workflow("w").step("a", **words)
    assert str(problem.value) == error


# --- Ctrl-C in the last moment -----------------------------------------------------------------------------


class Late(Ear):
    """Sends a signal when everything has ended."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self._number = number

    def listen(self, plan: Any, folder: Path) -> "Late":
        return self

    def see(self, entry: Any) -> None:
        super().see(entry)
        if isinstance(entry.event, RunFinished):
            os.kill(os.getpid(), self._number)


def test_a_signal_that_came_too_late_for_the_run_is_not_lost(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Workflow("w").step("a", int).run(courtesy=[Late(signal.SIGINT).listen])
    path = flow(tmp_path, "steps: [{id: a, type: noop}]")
    with pytest.raises(KeyboardInterrupt):
        run_config_based_workflow(path, courtesy=[Late(signal.SIGINT).listen])
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        assert Workflow("w").step("a", int).run(courtesy=[Late(signal.SIGTERM).listen]).success
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_it_is_heard_with_the_last_step_as_well() -> None:
    with pytest.raises(KeyboardInterrupt):
        Workflow("w").step("a", partial(os.kill, os.getpid(), signal.SIGINT)).run()
