"""What the steps of a run bring: a listener, because it must be known before what follows is started."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from stepwave.core.events import Entry, Outcome, StepDecided, StepFinished, StepsAdded, StepStarted, stdout_log
from stepwave.core.model import StepType
from stepwave.core.plan import Plan

LARGEST = 1 << 20
"""Bytes of what a command prints that are read; of one that prints more, the path of the file is what it brings."""


class Brought:
    """Needs a run that keeps stdout apart. `errors` has what functions raised in their last attempts, by step."""

    refresh_s: float | None = None

    def __init__(self) -> None:
        self.errors: dict[str, BaseException] = {}
        self._results: dict[str, Any] = {}
        self._plan: Plan | None = None
        self._folder = Path()
        self._logs: dict[str, str] = {}
        self._printed: dict[str, Path | None] = {}
        self._wholes: dict[str, str] = {}
        self._parts: dict[str, list[str]] = {}

    def listen(self, plan: Plan, folder: Path) -> Self:
        """The run begins."""
        self._plan, self._folder = plan, folder
        return self

    def learn(self, step: str, result: object, error: BaseException | None) -> None:
        """An attempt of a function of this program has ended by itself."""
        if error is None:
            self._results[step] = result
        else:
            self.errors[step] = error

    def see(self, entry: Entry) -> None:
        event = entry.event
        if isinstance(event, StepStarted):
            self._logs[event.step] = event.log
            self.errors.pop(event.step, None)
        elif isinstance(event, StepFinished) and event.outcome is Outcome.COMPLETED and event.attempts:
            path = self._folder / stdout_log(self._logs[event.step])
            self._printed[event.step] = path if event.stdout_bytes else None
        elif isinstance(event, StepDecided):
            self._results[event.step] = event.result
        elif isinstance(event, StepsAdded):
            for step in event.steps:
                self._wholes[step.id] = step.after
                self._parts.setdefault(step.after, []).append(step.id)

    def of(self, steps: Iterable[str]) -> dict[str, Any]:
        """What these have brought, those of them that have completed."""
        return {step: self._value(step) for step in steps if step in self._printed}

    def _value(self, step: str) -> Any:
        if step in self._results:
            return self._results[step]
        if (path := self._printed.get(step)) is not None:
            return printed_value(path)
        if self._is_command(step):
            return ""
        if step in self._parts:
            return [self._value(part) for part in self._parts[step]]
        return None

    def _is_command(self, step: str) -> bool:
        """Whether it could have printed something. A function that brings None does not, in a process of its own."""
        assert self._plan is not None
        known = self._plan.steps.get(step) or self._plan.steps.get(self._wholes.get(step, ""))
        is_part = step in self._wholes
        return known is not None and known.function is None and (known.type is StepType.SCRIPT or is_part)

    def refresh(self) -> None:
        """Nothing to draw."""

    def pause(self) -> None:
        """Nothing on a terminal."""

    def close(self) -> None:
        """Nothing to put away."""


def printed_value(path: Path) -> Any:
    """The value, where the file holds JSON, else its text without newlines at the end; the path of a large one."""
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        return path
    text = data.decode("utf-8", "replace").rstrip("\n")
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(constant: str) -> object:
    """`NaN` and `Infinity` are words, as in `{{steps.id.output}}`."""
    raise ValueError(constant)
