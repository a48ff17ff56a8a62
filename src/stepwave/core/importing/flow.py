"""What every importer makes of its source, and what it may ask of the world: values, and one protocol.

All texts of a `Flow` are texts of a workflow file: what the source wrote as `{{` stands in them as it has to be
written there (see `holes`). Whoever makes a `Flow` escapes, the writer does not.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error
from stepwave.core.text import one_line

Yaml = str | int | bool | None | Sequence["Yaml"] | Mapping[str, "Yaml"]

MAX_STEPS = 10_000
MAX_NOTES = 1_000


class Note(NamedTuple):
    """Something of the source that has no equivalent. `line` counts from 1; 0 is the whole file. `file` is another one
    than the source, which that one includes."""

    line: int
    what: str
    advice: str = ""
    file: str = ""


class Step(NamedTuple):
    """A step to be written.

    `work` holds the keys that say what is run; `more` any others, as they are to be written. `once` is a file that
    makes the step unnecessary when it is there. `inputs` is None for a step that runs every time.
    """

    id: str
    work: Mapping[str, Yaml]
    needs: tuple[str, ...] = ()
    name: str = ""
    folder: str = ""
    env: Mapping[str, str] = {}
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] = ()
    once: str = ""
    condition: str = ""
    more: Mapping[str, Yaml] = {}
    notes: tuple[Note, ...] = ()


class Flow(NamedTuple):
    """A workflow to be written. `taken` says in words what it has of the source, `others` names what could be chosen
    instead."""

    name: str
    steps: tuple[Step, ...]
    keys: Mapping[str, Yaml] = {}
    last: tuple[Step, ...] = ()
    notes: tuple[Note, ...] = ()
    taken: str = ""
    others: tuple[str, ...] = ()


class Asked(NamedTuple):
    """What a person wants of a source: which targets (tasks, scripts, jobs …), and values for variables of it."""

    path: str
    wanted: tuple[str, ...] = ()
    values: Mapping[str, str] = {}


class Surroundings(Protocol):
    """What lies around the source. Paths start from the folder in which the source's commands run."""

    @property
    def system(self) -> str:
        """As `uname -s` says: Linux, Darwin."""

    @property
    def machine(self) -> str:
        """As `uname -m` says: x86_64, aarch64."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""

    def is_folder(self, path: str) -> bool: ...

    def matches(self, pattern: str) -> tuple[str, ...]:
        """The paths that a shell pattern means, sorted; a bounded number of them."""

    def read(self, path: str) -> str | None:
        """The text of an ordinary file of bearable size, or None."""


class Refused(Exception):  # noqa: N818 - a diagnostic on its way to the door of the package
    """The source cannot be taken over at all. Does not leave this package."""

    def __init__(self, finding: Diagnostic) -> None:
        super().__init__(finding.message)
        self.finding = finding


def bad_source(path: str, line: int, message: str, help: str | None = None) -> Refused:
    return Refused(error("bad-source", message, Place(path, max(line, 1), 1, max(line, 1), 1), help))


def missing_argument(path: str, line: int, message: str, help: str) -> Refused:
    return Refused(error("missing-argument", message, Place(path, max(line, 1), 1, max(line, 1), 1), help))


def too_large(path: str, message: str) -> Refused:
    return Refused(error("source-too-large", message, Place(path)))


def unknown_target(kind: str, name: str, known: Sequence[str]) -> Refused:
    from stepwave.core.diagnostics import did_you_mean

    shown = ", ".join(one_line(one, 40) for one in known[:20])
    help = did_you_mean(name, known) or (f"there are: {shown}" if known else None)
    return Refused(error("unknown-target", f"there is no {kind} `{one_line(name, 80)}`", Place(COMMAND_LINE), help))


class Ids:
    """Ids of steps: letters, digits, `_`, `.` and `-`, and no two that differ only in case."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._last: dict[str, int] = {}

    def make(self, text: str) -> str:
        """An id that reads like the text. The same text twice gives two ids."""
        import re

        base = re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:180].strip("-.") or "step"
        found, n = base, self._last.get(base.lower(), 1)
        while found.lower() in self._taken:
            n += 1
            found = f"{base}-{n}"
        self._taken.add(found.lower())
        self._last[base.lower()] = n
        return found
