"""The sentences of the orchestrator log."""

import pytest

from stepwave.core.events import (
    BreakerOpened,
    Event,
    MemoryShort,
    NewStep,
    Outcome,
    RunFinished,
    RunStarted,
    RunStopping,
    StageStarted,
    Status,
    StepDecided,
    StepFinished,
    StepLeftProcesses,
    StepQueued,
    StepRetrying,
    StepsAdded,
    StepStarted,
    StepStopping,
    StepTested,
    WidthChanged,
)
from stepwave.core.model import Stage
from stepwave.core.telling.journal import sentence

BAD = "x\x1b]0;t\x07\n::error::y"
SHOWN = "x\\x1b]0;t\\x07 ::error::y"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (RunStarted("w", BAD, (("a", "b"), ("c",)), 2, 4), f"run of {SHOWN}: 3 steps in 2 waves, at most 4 at a time"),
        (StepQueued("a"), None),
        (StepStarted(BAD, 1, (), ""), f"[{SHOWN}] Starting"),
        (StepStarted("a", 3, (), ""), "[a] Starting (attempt 3)"),
        (StepStopping("a", 1, BAD), f"[a] Stopping: {SHOWN}"),
        (StepRetrying("a", 1, 2.0, BAD), f"[a] Retrying in 2.0s (attempt 1 failed): {SHOWN}"),
        (StepLeftProcesses("a", 1, (BAD,)), f"[a] left 1 process behind: {SHOWN}"),
        (StepLeftProcesses("a", 1, ("x", "y")), "[a] left 2 processes behind: x; y"),
        (StepTested("a", 1, BAD, True), f"[a] test {SHOWN} passed"),
        (StepTested("a", 1, "t", False, BAD), f"[a] test t did not pass: {SHOWN}"),
        (StepDecided("a", True, (BAD,)), f"[a] is true: {SHOWN}"),
        (StepsAdded((NewStep("a", "a", "", 1),)), "1 step more"),
        (StageStarted(Stage.FINALLY, ("a", "b")), "finally: 2 steps"),
        (MemoryShort(BAD, 3 << 30, 1 << 29, False), f"[{SHOWN}] Waits for memory: it needs 3 GB, and 512 MB are left"),
        (MemoryShort("a", 5, 0, True), "[a] Starts alone, short of memory: it needs 5 bytes, and 0 bytes are left"),
        (WidthChanged(2, BAD), f"at most 2 at a time from here on: {SHOWN}"),
        (BreakerOpened(BAD, 3), f"circuit breaker {SHOWN} opened: 3 failures"),
        (StepFinished(BAD, Outcome.COMPLETED, 1, 0, duration_s=2.0), f"[{SHOWN}] Complete (2.0s)"),
        (StepFinished("a", Outcome.FAILED, 1, 0, reason=BAD), f"[a] Failed (0ms): {SHOWN}"),
        (RunStopping(BAD), f"nothing new starts: {SHOWN}"),
        (RunFinished(Status.COMPLETED, 0), "run completed, exit code 0"),
        (RunFinished(Status.TIMEOUT, 124, BAD), f"run timeout, exit code 124: {SHOWN}"),
    ],
)
def test_an_event_is_a_harmless_line(event: Event, words: str | None) -> None:
    assert sentence(event) == words
