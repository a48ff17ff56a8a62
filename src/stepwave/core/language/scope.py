"""What names in a text stand for: scopes, and the two ways in which a reference can fail.

Light on purpose: a file without references imports this, and neither the parser nor the evaluator of expressions.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from stepwave.core.diagnostics import nearest
from stepwave.core.language.scoped import step_in
from stepwave.core.language.values import member
from stepwave.core.model import Value, nothing
from stepwave.core.text import one_line

Path = tuple[str | int, ...]
VARIABLE_ROOTS = ("variables", "variable", "inputs")
WORKFLOW_NAMES = ("name", "version")
WORKFLOW_PROPERTIES = ("id", "name", "version", "runId", "startTime", "currentStepId", "status")
"""What `workflow.x` may be."""


def has_reference(text: str, dollar: bool = False) -> bool:
    """Whether `fill` could change this text; quick, so true for an escaped `{{` as well."""
    return "{{" in text or (dollar and "${" in text)


class ExpressionError(Exception):
    """`message` is a lower-case sentence, `offset` counts characters into the text, `help` is what to do about it."""

    def __init__(self, message: str, offset: int = 0, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.help = help


class Unresolved(Exception):  # noqa: N818 - a name without a value is no fault of the expression
    """Nothing has this name. `candidates` are what could have stood after `known`, the part of `path` that was found.

    The nearest of them is looked for only when `help` is read: `default(x, y)` raises this and throws it away.
    `offset` counts characters into the text of the expression.
    """

    def __init__(self, path: Path, candidates: Iterable[str] = (), known: Path = ()) -> None:
        super().__init__(f"`{written(path)}` has no value")
        self.path = path
        self.offset = 0
        self._candidates = candidates
        self._known = known

    @property
    def message(self) -> str:
        return str(self)

    @property
    def help(self) -> str | None:
        missing = str(self.path[len(self._known)])
        near = nearest(missing, (name for name in self._candidates if name != missing))
        return f"did you mean `{written((*self._known, near))}`?" if near else None


def written(path: Path) -> str:
    """The path as it is written in a file: `steps["weird.id"].output[0]`, shortened and harmless."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if re.fullmatch(r"[\w-]+", part) else f'["{part}"]'
    return one_line(text.removeprefix("."), 100)


class FileRefused(Exception):  # noqa: N818 - the name says what happened
    """A file that an expression asked for cannot be had: absent, not a file, too large, outside of the folder.

    `str()` is a lower-case sentence.
    """


class Files(Protocol):
    """The files that expressions may look at: those in the workflow's folder. Paths are relative to it."""

    def read_text(self, path: str) -> str:
        """The whole of a file. Raises FileRefused."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder. Raises FileRefused for a path that may not be looked at."""

    def size(self, path: str) -> int:
        """Bytes of a file. Raises FileRefused."""


class Scope(Protocol):
    """What the names in an expression stand for."""

    @property
    def now(self) -> float:
        """Seconds since the epoch, for `date()`, `now()` and `timestamp()`."""

    @property
    def files(self) -> Files | None:
        """What `readFile()` and its like may read; None where no file may be looked at."""

    def lookup(self, path: Path) -> Value:
        """The value at ("steps", "build", "output"), ("env", "CI"), ("items", 0) … Raises Unresolved."""

    def status(self, name: str) -> bool:
        """The answer to `success()`, `failure()` or `always()`."""


class Values(NamedTuple):
    """The names of a run.

    `variables.x`, `variable.x` and `inputs.x` are variables. `env.X` is the environment, `steps.<id>.<property>` what
    a step brought, `workflow.<property>` the workflow. A bare name is a variable, else a step (`build.output`), else,
    for `name` and `version`, the workflow's. A property that a step does not have is looked for in its `output`, when
    that is an object: `steps.test.coverage`. `failed`: an earlier step failed, which `failure()` asks.

    `secrets.X` is a secret that the step gets.

    `locals` are names of one step alone, such as `matrix`, `item` and `prompt`; they come before all others. `scope` is
    the prefix that the ids of its file have: see `stepwave.core.language.scoped`.
    """

    variables: Mapping[str, Value] = nothing
    env: Mapping[str, str | None] = nothing
    steps: Mapping[str, Mapping[str, Value]] = nothing
    workflow: Mapping[str, Value] = nothing
    now: float = 0.0
    failed: bool = False
    locals: Mapping[str, Value] = nothing
    files: Files | None = None
    scope: str = ""
    secrets: Mapping[str, Value] = nothing

    def lookup(self, path: Path) -> Value:
        """See `Scope`."""
        root = path[0]
        if root in self.locals:
            return walk(self.locals, path)
        return self._bare(path) if len(path) == 1 else self._rooted(root, path)

    def _rooted(self, root: str | int, path: Path) -> Value:
        if root in VARIABLE_ROOTS:
            return walk(self.variables, path, 1)
        if root == "steps":
            return self._step(path, 1)
        if root == "workflow":
            return walk(self.workflow, path, 1)
        if root == "env":
            return self._variable_of_environment(path)
        if root == "secrets" and self.secrets and "secrets" not in self.variables:
            return walk(self.secrets, path, 1)
        return self._bare(path)

    def status(self, name: str) -> bool:
        """See `Scope`."""
        return name == "always" or self.failed == (name == "failure")

    def _variable_of_environment(self, path: Path) -> Value:
        value = self.env.get(str(path[1]))
        if value is None:
            raise Unresolved(path, self.env, path[:1])
        return walk(value, path, 2)

    def _bare(self, path: Path) -> Value:
        name = str(path[0])
        if name in self.variables:
            return walk(self.variables, path)
        named = step_in(path, 0, self.scope, self.steps) if len(path) > 1 else None
        if named and named[1] < len(path):
            return self._step(path, 0)
        if name in WORKFLOW_NAMES and name in self.workflow:
            return walk(self.workflow, path)
        raise Unresolved(path, [*self.locals, *self.variables, *self.steps, "variables", "steps", "env", "workflow"])

    def _step(self, path: Path, at: int) -> Value:
        """The value at a path that names a step from part `at` on."""
        named = step_in(path, at, self.scope, self.steps)
        if named is None:
            raise Unresolved(path, self.steps, path[:at])
        id, at = named
        facts, known, rest = self.steps[id], path[:at], path[at:]
        if not rest:
            return dict(facts)
        if rest[0] not in facts:
            output = facts.get("output")
            if isinstance(output, dict) and str(rest[0]) in output:
                return walk(output, path, at)
            if rest[0] != "outputs" or not isinstance(output, dict):
                found = [*facts, *(output if isinstance(output, dict) else ())]
                raise Unresolved(path, found, known)
            return walk({"outputs": output}, path, at)
        return walk(facts, path, at)


def walk(value: Value | Mapping[str, Value], path: Path, start: int = 0) -> Value:
    """Follow `path[start:]` into a value. Raises Unresolved, with the names that would have led further."""
    here = value
    for at in range(start, len(path)):
        try:
            here = member(here, path[at])
        except KeyError:
            raise Unresolved(path, here if isinstance(here, Mapping) else (), path[:at]) from None
    return dict(here) if isinstance(here, Mapping) and not isinstance(here, dict) else here
