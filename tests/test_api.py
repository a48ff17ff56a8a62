"""The path as functions: what a program gets from `stepwave.load`, `validate`, `plan` and `run`."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import stepwave
from stepwave import api
from stepwave.core.diagnostics import Severity
from stepwave.core.events import Outcome, Status
from tests.cli.invoke import Gate, flow

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGCHLD, signal.SIGPIPE)


def test_the_names_that_are_promised() -> None:
    assert stepwave.__all__ == ["Command", "Loaded", "Summary", "__version__", "load", "plan", "run", "validate"]
    for name in stepwave.__all__:
        assert getattr(stepwave, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'unload'"):
        stepwave.unload  # noqa: B018


def test_load_plan_run(tmp_path: Path) -> None:
    path = flow(
        tmp_path,
        """
        name: Three
        variables: {who: world}
        steps:
          - {id: a, run: "echo hello {{variables.who}}"}
          - {id: b, needs: a, run: "test '{{steps.a.output}}' = 'hello you'"}
          - {id: c, needs: a, run: 'true'}
        """,
    )
    loaded = stepwave.load(path, variables={"who": "you"})
    assert loaded.ok
    assert loaded.diagnostics == ()
    assert loaded.workflow is not None
    planned = stepwave.plan(loaded.workflow, max_concurrency=3)
    assert (planned.waves, planned.max_concurrency) == ((("a",), ("b", "c")), 3)
    summary = stepwave.run(loaded.workflow)
    assert isinstance(summary, stepwave.Summary)
    assert (summary.success, summary.exit_code, summary.status) == (True, 0, Status.COMPLETED)
    assert [(step.id, step.outcome) for step in summary.steps] == [(id, Outcome.COMPLETED) for id in "abc"]
    assert (Path(summary.folder) / (summary.steps[0].stdout_log or "")).read_text() == "hello you\n"
    document = api.result_document(summary)
    assert document["stepResults"]["a"]["output"] == "hello you\n"
    with pytest.raises(ValueError, match="1"):
        stepwave.plan(loaded.workflow, max_concurrency=0)


def test_failing_steps_are_a_summary(tmp_path: Path) -> None:
    path = flow(tmp_path, "{steps: [{id: a, run: echo oops >&2; exit 4}, {id: b, needs: a, run: 'true'}]}")
    summary = stepwave.run(path)
    assert (summary.success, summary.exit_code, summary.status) == (False, 1, Status.FAILED)
    assert summary.reason == "Failed steps: a"
    a, b = summary.steps
    assert (a.outcome, a.exit_code, a.reason, b.outcome) == (Outcome.FAILED, 4, "exit code 4", Outcome.SKIPPED)
    assert api.log_tail(summary, a) == ("oops",)
    assert api.log_tail(summary, b) == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("steps: [{id: a, run: x, needs: nobody}]", "unknown-step"),
        ("steps: [", None),
        ("", None),
        (None, "cannot-read"),
        ("steps: [{id: a, expression: {}, type: condition, onTrue: [a]}]", None),
    ],
)
def test_an_invalid_file_is_a_summary_with_diagnostics(text: str | None, code: str | None, tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    if text is not None:
        path.write_text(text)
    summary = stepwave.run(str(path))
    assert (summary.success, summary.exit_code, summary.steps) == (False, 2, ())
    errors = [finding for finding in summary.diagnostics if finding.severity is Severity.ERROR]
    assert errors
    assert code is None or code in {finding.code for finding in errors}
    assert f"{len(errors)} error" in (summary.reason or "")
    assert not (tmp_path / ".stepwave").exists()
    assert {finding.code for finding in stepwave.validate(path)} == {finding.code for finding in summary.diagnostics}


def test_options_reach_the_run(tmp_path: Path) -> None:
    path = flow(tmp_path, "{steps: [{id: a, run: 'test $X = {{variables.v}}'}, {id: b, run: exit 1}, {id: c, run: x}]}")
    seen: list[str] = []

    class Ear:
        refresh_s: float | None = None

        def see(self, entry: object) -> None:
            seen.append(type(getattr(entry, "event")).__name__)  # noqa: B009

        def refresh(self) -> None: ...

        def pause(self) -> None: ...

        def close(self) -> None:
            seen.append("closed")

    summary = stepwave.run(
        path,
        variables={"v": "1"},
        environ={"X": "1", "PATH": os.defpath, "STEPWAVE_STATE_DIR": str(tmp_path / "state")},
        deselected=frozenset({"b", "c"}),
        max_concurrency=1,
        courtesy=[lambda plan, folder: Ear()],
    )
    assert [(step.id, step.outcome.value) for step in summary.steps] == [
        ("a", "completed"),
        ("b", "skipped"),
        ("c", "skipped"),
    ]
    assert summary.folder.startswith(str(tmp_path / "state"))
    assert (seen[0], seen[-2:]) == ("RunStarted", ["RunFinished", "closed"])


def test_a_courtesy_listener_that_fails_is_muted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = flow(tmp_path, "{steps: [{id: a, run: 'true'}]}")

    class Grumpy:
        refresh_s: float | None = None

        def see(self, entry: object) -> None:
            raise RuntimeError("no")

        def refresh(self) -> None: ...

        def pause(self) -> None: ...

        def close(self) -> None: ...

    assert stepwave.run(path, courtesy=[lambda plan, folder: Grumpy()]).success
    assert capsys.readouterr().err == "stepwave: grumpy is silent from here on: no\n"
    with pytest.raises(Exception, match="Grumpy: no"):
        stepwave.run(path, required=[lambda plan, folder: Grumpy()])


def test_twice_in_a_row_with_nothing_kept_open(tmp_path: Path) -> None:
    path = flow(tmp_path, "{steps: [{id: a, run: 'true'}, {id: b, run: exit 1}]}")
    stepwave.run(path)
    before = set(Path("/proc/self/fd").iterdir())
    runs = {stepwave.run(path).run for _ in range(3)}
    assert len(runs) == 3
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_signal_handlers_are_as_they_were(tmp_path: Path) -> None:
    path = flow(tmp_path, "{steps: [{id: a, run: 'true'}]}")

    def mine(number: int, frame: object) -> None: ...

    old = signal.signal(signal.SIGTERM, mine)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    old_wakeup = signal.set_wakeup_fd(writer)
    try:
        before = [signal.getsignal(number) for number in HANDLED], signal.pthread_sigmask(signal.SIG_BLOCK, ())
        assert stepwave.run(path).success
        assert before == (
            [signal.getsignal(number) for number in HANDLED],
            signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        )
        assert signal.set_wakeup_fd(writer) == writer
    finally:
        signal.set_wakeup_fd(old_wakeup)
        signal.signal(signal.SIGTERM, old)
        os.close(reader)
        os.close(writer)


def test_from_another_thread(tmp_path: Path) -> None:
    path = flow(tmp_path, "{steps: [{id: a, run: echo hi}, {id: b, needs: a, run: exit 3}]}")
    found: list[stepwave.Summary] = []
    threads = [threading.Thread(target=lambda: found.append(stepwave.run(path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [summary.exit_code for summary in found] == [1, 1, 1]
    assert len({summary.run for summary in found}) == 3


def test_children_of_the_program_are_left_alone(tmp_path: Path) -> None:
    """They are neither reaped, so that their owner can, nor killed, nor are their exit codes lost."""
    gate = Gate(tmp_path)
    path = flow(tmp_path, "{steps: [{id: a, run: 'true'}, {id: b, run: exit 1}]}")
    over = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
    os.waitid(os.P_PID, over.pid, os.WEXITED | os.WNOWAIT)
    running = subprocess.Popen(["sh", "-c", f"{gate.hold}; {gate.wait}; exit 8"])
    gate.arrived()
    assert stepwave.run(path).exit_code == 1
    assert running.poll() is None
    gate.open()
    assert (over.wait(60), running.wait(60)) == (7, 8)
    gate.all_gone()


def test_no_folder_for_the_logs_is_a_broken_runner(tmp_path: Path) -> None:
    path = flow(tmp_path, "{steps: [{id: a, run: touch ran}]}")
    with pytest.raises(OSError, match="the folder for the run's logs cannot be made"):
        stepwave.run(path, environ={**os.environ, "STEPWAVE_STATE_DIR": f"{path}/below"})
    assert not (tmp_path / "ran").exists()


def test_a_folder_of_workflows(tmp_path: Path) -> None:
    flow(tmp_path, "{name: One, steps: [{id: a, run: x}]}", "one.yaml")
    flow(tmp_path, "{steps: [{id: a}]}", "two.yaml")
    one, two = api.list_workflows(str(tmp_path))
    assert (one.name, one.steps, one.problem) == ("One", 1, None)
    assert (two.name, two.steps) == ("two", None)
    assert two.problem


def test_a_workflow_whose_secrets_cannot_be_had_is_not_run_without_them(tmp_path: Path) -> None:
    path = flow(tmp_path, "{steps: [{id: a, run: touch ran, secrets: [TOKEN]}]}")
    loaded = stepwave.load(path)
    assert loaded.workflow is not None
    bare = {"PATH": os.environ["PATH"]}
    refused = [
        stepwave.run(path, environ=bare),
        stepwave.run(loaded.workflow, environ=bare),
        api.run_plan(stepwave.plan(loaded.workflow), environ=bare),
    ]
    for summary in refused:
        assert (summary.exit_code, summary.steps) == (2, ())
        assert [(finding.severity, finding.code) for finding in summary.diagnostics] == [
            (Severity.ERROR, "missing-secret")
        ]
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / ".stepwave").exists()
    assert stepwave.run(path, environ={**bare, "TOKEN": "hunter2"}).exit_code == 0
    assert stepwave.run(path, environ=bare, deselected=frozenset("a")).exit_code == 0, "nobody wants it"


def test_variables_beside_a_workflow_that_has_been_read_are_not_silently_dropped(tmp_path: Path) -> None:
    loaded = stepwave.load(flow(tmp_path, "{variables: {x: 1}, steps: [{id: a, run: 'true'}]}"))
    assert loaded.workflow is not None
    with pytest.raises(TypeError, match="give them to load"):
        stepwave.run(loaded.workflow, variables={"x": 2})
