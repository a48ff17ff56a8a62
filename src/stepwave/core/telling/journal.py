"""The events of a run as sentences of their own, for a log that is read while it grows."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from stepwave.core.events import (
    BreakerOpened,
    Event,
    LeaseAwaited,
    MemoryShort,
    RunFinished,
    RunStarted,
    RunStopping,
    StageStarted,
    StepDecided,
    StepFinished,
    StepLeftProcesses,
    StepLogCut,
    StepRetrying,
    StepsAdded,
    StepStarted,
    StepStopping,
    StepTested,
    WidthChanged,
)
from stepwave.core.telling.endings import decision_words, ending
from stepwave.core.telling.style import make_style
from stepwave.core.telling.wording import STAGE_NAMES, lease_words, memory_words
from stepwave.core.text import duration, plural, size_of

_style = make_style(color=False, unicode=True)
_usual = re.compile(r"[A-Za-z0-9_.\[\]-]{1,80}").fullmatch


def _word(text: str) -> str:
    """As `Style.word`, and faster for an id as ids usually are: two lines are written for every step."""
    return text if _usual(text) else _style.word(text)


def sentence(event: Event) -> str | None:
    """`[build] Complete (2m 45s)`; on one line, without control characters. None for what does not matter here."""
    words = _of_step.get(type(event))
    if words is not None:
        return f"[{_word(event.step)}] {words(event)}"  # type: ignore[union-attr]
    words = _of_run.get(type(event))
    return words(event) if words is not None else None


def _run_started(event: RunStarted) -> str:
    steps = plural(sum(map(len, event.waves)), "step")
    width = f"at most {event.max_concurrency} at a time"
    return f"run of {_word(event.name)}: {steps} in {plural(len(event.waves), 'wave')}, {width}"


def _run_finished(event: RunFinished) -> str:
    reason = f": {_word(event.reason)}" if event.reason else ""
    return f"run {event.status.value}, exit code {event.exit_code}{reason}"


def _step_started(event: StepStarted) -> str:
    return f"Starting (attempt {event.attempt})" if event.attempt > 1 else "Starting"


def _step_retrying(event: StepRetrying) -> str:
    return f"Retrying in {duration(event.delay_s)} (attempt {event.attempt} failed): {_word(event.reason)}"


def _step_left(event: StepLeftProcesses) -> str:
    count = len(event.processes)
    return f"left {count} process{'es' * (count != 1)} behind: {'; '.join(map(_word, event.processes[:10]))}"


def _step_cut(event: StepLogCut) -> str:
    return f"the first {size_of(event.dropped_bytes)} of its output are not kept (limits.outputSize)"


def _step_tested(event: StepTested) -> str:
    return f"test {_word(event.test)} " + ("passed" if event.passed else f"did not pass: {_word(event.reason or '')}")


_of_step: Mapping[type, Callable[[Any], str]] = {
    StepStarted: _step_started,
    StepFinished: lambda event: ending(event, _style),
    StepStopping: lambda event: f"Stopping: {_word(event.reason)}",
    StepRetrying: _step_retrying,
    StepLeftProcesses: _step_left,
    StepLogCut: _step_cut,
    MemoryShort: memory_words,
    LeaseAwaited: lease_words,
    StepTested: _step_tested,
    StepDecided: lambda event: f"is {decision_words(event, _style)}",
}
_of_run: Mapping[type, Callable[[Any], str]] = {
    RunStarted: _run_started,
    StageStarted: lambda event: f"{STAGE_NAMES[event.stage]}: {plural(len(event.steps), 'step')}",
    StepsAdded: lambda event: f"{plural(len(event.steps), 'step')} more",
    WidthChanged: lambda event: f"at most {event.max_concurrency} at a time from here on: {_word(event.reason)}",
    BreakerOpened: lambda event: f"circuit breaker {_word(event.breaker)} opened: {plural(event.failures, 'failure')}",
    RunStopping: lambda event: f"nothing new starts: {_word(event.reason)}",
    RunFinished: _run_finished,
}
