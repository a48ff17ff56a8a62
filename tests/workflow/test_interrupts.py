"""Signals while a workflow runs: everything is put in order, and then the program has its signal."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stepwave.core.events import Outcome, RunFinished, StepFinished
from stepwave.workflow import BaseWorkflowOrchestrator, Workflow, run_config_based_workflow
from tests.cli.invoke import Gate, flow, send, started
from tests.workflow.gather import Ear, Stuck


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    one = Stuck()
    yield one
    one.let_go()


def sent_once_there(stuck: Stuck, number: signal.Signals) -> str:
    os.kill(os.getpid(), number)
    return stuck()


def test_ctrl_c_is_a_keyboard_interrupt_when_all_has_been_told(stuck: Stuck, tmp_path: Path) -> None:
    ear = Ear()
    work = (
        Workflow("cut short", folder=tmp_path)
        .step("before", lambda: 1)
        .step("stuck", partial(sent_once_there, stuck, signal.SIGINT), needs="before")
        .step("sleeper", shell="sleep 1000", needs="before")
        .step("after", lambda: 2, needs="stuck")
    )
    with pytest.raises(KeyboardInterrupt) as stopped:
        work.run(courtesy=[ear.listen])
    ended = {event.step: event.outcome for event in ear.events if isinstance(event, StepFinished)}
    cancelled = dict.fromkeys(("stuck", "sleeper", "after"), Outcome.CANCELLED)
    assert ended == {"before": Outcome.COMPLETED, **cancelled}
    last = ear.events[-1]
    assert isinstance(last, RunFinished)
    assert last.exit_code == 130
    (note,) = stopped.value.__notes__
    assert note.startswith("cut short: 1 step of 4 had completed; logs in ")


def test_a_handler_of_the_program_is_called_once_and_the_result_comes_back(stuck: Stuck, tmp_path: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        work = Workflow("term", folder=tmp_path).step("a", partial(sent_once_there, stuck, signal.SIGTERM))
        result = work.run()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
    assert (result.success, result.exit_code) == (False, 143)
    assert result.summary.steps[0].reason == "cancelled (SIGTERM)"


def test_the_others_pass_it_on_as_well(stuck: Stuck, tmp_path: Path) -> None:
    orchestrator = BaseWorkflowOrchestrator({}, tmp_path)
    orchestrator.add_step("a", partial(sent_once_there, stuck, signal.SIGINT)).add_step("b", len, depends_on="a")
    with pytest.raises(KeyboardInterrupt):
        orchestrator.run_workflow()
    assert orchestrator.get_step_status() == {"a": "skipped", "b": "skipped"}
    path = flow(tmp_path, "steps: [{id: a, run: 'kill -INT $PARENT; sleep 1000'}]")
    with pytest.raises(KeyboardInterrupt):
        run_config_based_workflow(path, environ={**os.environ, "PARENT": str(os.getpid())})


PROGRAM = """
import asyncio, sys, threading
from pathlib import Path
from stepwave.workflow import Workflow

def stuck():
    print("there", flush=True)
    threading.Event().wait()

Workflow("w").step("a", stuck).step("b", lambda a: a, needs="a").run()
print("never printed")
"""


def test_a_program_ends_by_its_signal_though_a_function_never_comes_back(tmp_path: Path) -> None:
    command = (sys.executable, "-c", PROGRAM)
    for number, code, last in ((signal.SIGINT, -2, "KeyboardInterrupt"), (signal.SIGTERM, -15, "")):
        with started(cwd=tmp_path, command=command) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"there\n"
            send(process, number)
            out, err = process.communicate(timeout=60)
            assert (process.returncode, out) == (code, b"")
            lines = err.decode().splitlines()
            assert (lines[-2] if last else "".join(lines)) == last


def test_a_thread_leaves_signals_alone(tmp_path: Path) -> None:
    gate, results = Gate(tmp_path), []
    work = Workflow("thread", folder=tmp_path).step("a", shell=f"{gate.hold}; {gate.wait}")
    thread = threading.Thread(target=lambda: results.append(work.run()))
    thread.start()
    gate.arrived()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(30)
    gate.open()
    thread.join(30)
    assert results[0].success
