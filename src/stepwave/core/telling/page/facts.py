"""What the page says of a step beside what happened to it: what the file said, and the end of what it printed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from stepwave.core.events import Outcome
from stepwave.core.telling.story import StepStory
from stepwave.core.telling.style import without_paint
from stepwave.core.text import harmless


class Fact(NamedTuple):
    """Something to be shown of a step: `Environment`, `CC`, `gcc`."""

    kind: str
    name: str
    text: str


class Tail(NamedTuple):
    """The end of what an attempt printed, harmless. `whole`: nothing was before it."""

    attempt: int
    text: str
    whole: bool


ENVIRONMENT = "Environment that the file adds"
VARIABLES = "Variables that it reads"
DEFINITION = "In the file"

MAX_FAILED, MAX_OTHER, MAX_ALL = 32 << 10, 4 << 10, 4 << 20
"""Characters of one step that failed, of one that did not, and of all together."""


def facts_of(parts: Mapping[str, str], *, ran: bool) -> tuple[Fact, ...]:
    """From the parts of its definition (core/running/fingerprint.py). What it ran is shown with its attempts."""
    return tuple(_facts(parts, ran))


_shown_elsewhere = frozenset(("needs", "type", "cwd"))
_commands = frozenset(("run", "command", "shell"))


def _facts(parts: Mapping[str, str], ran: bool) -> Iterator[Fact]:
    for name, text in parts.items():
        kind, _, rest = name.partition(" ")
        if kind == "env":
            yield Fact(ENVIRONMENT, rest, _value(text))
        elif name.startswith("no env "):
            yield Fact(ENVIRONMENT, name.removeprefix("no env "), "(taken away)")
        elif kind == "variable" and rest:
            yield Fact(VARIABLES, rest, _value(text))
        elif name not in _shown_elsewhere and not (ran and name in _commands):
            yield Fact(DEFINITION, name, _value(text))


def _value(text: str) -> str:
    """A digest says nothing to a person."""
    if text.startswith("sealed:"):
        return "(not shown)"
    return "(too long for the record)" if text.startswith("blake2:") else text


def tails_of(printed: Iterable[tuple[StepStory, tuple[str, ...], bool]]) -> dict[str, Tail]:
    """For each step with a log its lines, and whether those are all. What went wrong comes first, as long as there is
    room."""
    room = MAX_ALL
    found: dict[str, Tail] = {}
    for step, lines, whole in sorted(printed, key=lambda one: one[0].outcome is Outcome.COMPLETED):
        text = harmless(without_paint("\n".join(lines)).replace("\r\n", "\n").replace("\r", "\n"))
        limit = min(MAX_OTHER if step.outcome is Outcome.COMPLETED else MAX_FAILED, room)
        end = text[-limit:] if limit else ""
        if end:
            found[step.drawn.id] = Tail(step.attempts[-1].number, end, whole and len(end) == len(text))
            room -= len(end)
    return found
