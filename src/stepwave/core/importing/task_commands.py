"""What stands under the name of a task: commands and calls with their loops, conditions before them, files."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from stepwave.core.importing.flow import Note, Yaml
from stepwave.core.importing.go_templates import Missing, as_text, fill
from stepwave.core.importing.holes import Holes, Kind, Unsayable, escaped
from stepwave.core.importing.nodes import flag, items, scalar_text
from stepwave.core.importing.recipe import Line, work_of
from stepwave.core.importing.task_read import Task, Taskfile
from stepwave.core.reading import document as tree

MAX_LOOPS = 10_000


class Command(NamedTuple):
    text: str
    is_ignored: bool = False
    is_deferred: bool = False


class Call(NamedTuple):
    name: str
    given: Mapping[str, Any]
    line: int


class Reader:
    """Reads tasks. Everything raises Unsayable for what only task itself can know."""

    def __init__(self, file: Taskfile) -> None:
        self.file = file
        self.holes = file.holes
        self._loops = 0

    def variables(self, task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
        known = {**task.variables, **given, "TASK": task.name, "ALIAS": task.name}
        return self.file.layered(task.node.get("vars"), known) if isinstance(task.node, tree.Mapping) else known

    def text(self, text: str, variables: Mapping[str, Any]) -> str:
        return fill(text, variables, self.file.world)

    def is_for_here(self, node: tree.Node) -> bool:
        """Whether `platforms` has this system."""
        around = self.file.world.around
        system = {"Linux": "linux", "Darwin": "darwin"}.get(around.system, around.system.lower())
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(around.machine, around.machine)
        listed = node.get("platforms") if isinstance(node, tree.Mapping) else None
        wanted = [scalar_text(item) for item in items(listed)]
        return not wanted or any(one in (system, machine, f"{system}/{machine}") for one in wanted)

    # --- commands -----------------------------------------------------------------------------------------------------

    def commands(self, task: Task, variables: Mapping[str, Any]) -> list[Command | Call]:
        node = task.node
        listed = (node.get("cmds") or node.get("cmd")) if isinstance(node, tree.Mapping) else node
        found: list[Command | Call] = []
        for item in items(listed):
            if not self.is_for_here(item):
                continue
            for local in self._loop(item, task, variables):
                found += self._command(item, local)
        if isinstance(node, tree.Mapping) and scalar_text(node.get("if")):
            raise Unsayable("its `if` has no equivalent")
        return found

    def _command(self, item: tree.Node, variables: Mapping[str, Any]) -> Iterator[Command | Call]:
        if isinstance(item, tree.Scalar):
            text = scalar_text(item)
            if text and text.strip():
                yield Command(self.text(text, variables))
            return
        if not isinstance(item, tree.Mapping):
            return
        if scalar_text(item.get("if")):
            raise Unsayable("the `if` of a command has no equivalent")
        deferred = item.get("defer")
        text = scalar_text(item.get("cmd")) or scalar_text(deferred)
        if isinstance(deferred, tree.Mapping):
            raise Unsayable("`defer` of a task has no equivalent")
        if text:
            yield Command(self.text(text, variables), flag(item, "ignore_error"), deferred is not None)
        elif scalar_text(item.get("task")):
            yield self._call(item, variables)

    def _call(self, item: tree.Node, variables: Mapping[str, Any]) -> Call:
        if not isinstance(item, tree.Mapping):
            return Call(self.text(scalar_text(item) or "", variables), {}, item.span.line)
        name = self.text(scalar_text(item.get("task")) or "", variables)
        given = self.file.mapping_of(item.get("vars"), variables)
        if self.holes.of(name):
            raise Unsayable("which task is called, only the run knows")
        return Call(name, given, tree.beginning(item).line)

    def dependencies(self, task: Task, variables: Mapping[str, Any]) -> list[Call]:
        listed = task.node.get("deps") if isinstance(task.node, tree.Mapping) else None
        return [self._call(item, local) for item in items(listed) for local in self._loop(item, task, variables)]

    # --- loops --------------------------------------------------------------------------------------------------------

    def _loop(self, item: tree.Node, task: Task, variables: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        over = item.get("for") if isinstance(item, tree.Mapping) else None
        if over is None:
            yield variables
            return
        name = scalar_text(over.get("as")) if isinstance(over, tree.Mapping) else None
        for key, value in self._values(over, task, variables):
            self._loops += 1
            if self._loops > MAX_LOOPS:
                raise Unsayable(f"its loops are longer than {MAX_LOOPS:,}")
            yield {**variables, name or "ITEM": value, "KEY": key}

    def _values(self, over: tree.Node, task: Task, variables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        if isinstance(over, tree.Sequence):
            yield from (("", self.file.value_of(one, variables)) for one in over.items)
        elif isinstance(over, tree.Scalar):
            if not isinstance(task.node, tree.Mapping) or over.text not in ("sources", "generates"):
                raise Unsayable(f"`for: {over.text[:40]}` has no equivalent")
            for pattern in self.file.texts_of(task.node.get(over.text), variables):
                yield from (("", path) for path in self.file.world.around.matches(pattern))
        elif isinstance(inner := over.get("matrix"), tree.Mapping):
            rows = [[self.file.value_of(one, variables) for one in items(node)] for _, node in inner.items()]
            size = 1
            for row in rows:
                size *= max(len(row), 1)
            if size > MAX_LOOPS:
                raise Unsayable(f"its loops are longer than {MAX_LOOPS:,}")
            yield from (("", dict(zip(inner.entries, one, strict=True))) for one in product(*rows))
        else:
            yield from self._over_variable(over, variables)

    def _over_variable(self, over: tree.Mapping, variables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        value = variables.get(scalar_text(over.get("var")) or "", "")
        if isinstance(value, Missing):
            raise Unsayable(value.reason)
        if isinstance(value, dict):
            yield from value.items()
        elif isinstance(value, list):
            yield from (("", one) for one in value)
        else:
            text = self.holes.without_variables(as_text(value))
            if any(hole.kind is Kind.COMMAND for hole in self.holes.of(text)):
                raise Unsayable("what a loop goes through, only the run knows")
            yield from (("", one) for one in text.split(scalar_text(over.get("split"))) if one)

    # --- what surrounds the commands ----------------------------------------------------------------------------------

    def folder(self, task: Task, variables: Mapping[str, Any]) -> str:
        own = scalar_text(task.node.get("dir")) if isinstance(task.node, tree.Mapping) else None
        path = self.text(own, variables) if own else ""
        here = self.holes.variable("PWD")
        if path.startswith(here):
            path = path.removeprefix(here).lstrip("/") or "."
            return "" if path == "." else path
        if self.holes.of(path):
            raise Unsayable("its folder is known only to the run")
        path = posixpath.normpath(posixpath.join(task.folder, path))
        return "" if path == "." else path

    def files(
        self, task: Task, variables: Mapping[str, Any], folder: str
    ) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
        """`sources` and `generates`, from the folder of the first Taskfile on."""
        if not isinstance(task.node, tree.Mapping) or scalar_text(task.node.get("method")) == "none":
            return None, ()
        known = {name: task.node.get(name) for name in ("sources", "generates")}
        paths = {
            name: tuple(escaped(posixpath.join(folder, path)) for path in self.file.texts_of(node, variables))
            for name, node in known.items()
        }
        if any(self.holes.of(path) for one in paths.values() for path in one):
            raise Unsayable("its files are known only to the run")
        return paths["sources"] if paths["sources"] else None, paths["generates"]

    def guards(self, task: Task, variables: Mapping[str, Any]) -> tuple[Line, ...]:
        """`preconditions` and `status` as shell text before the commands."""
        if not isinstance(task.node, tree.Mapping):
            return ()
        lines = []
        for item in items(task.node.get("preconditions")):
            test = scalar_text(item.get("sh") if isinstance(item, tree.Mapping) else item) or "true"
            message = scalar_text(item.get("msg")) if isinstance(item, tree.Mapping) else None
            told = self.text(message or f"`{test}` failed", variables)
            quoted = "'" + told.replace("'", "'\\''") + "'"
            lines.append(Line(f"{_grouped(self.text(test, variables))} || {{ echo {quoted} >&2; exit 1; }}"))
        tests = [scalar_text(item) or "true" for item in items(task.node.get("status"))]
        if tests:
            joined = " && ".join(_grouped(self.text(test, variables)) for test in tests)
            lines.append(Line(f"if {joined}; then exit 0; fi > /dev/null 2>&1"))
        return tuple(lines)

    def has_status(self, task: Task) -> bool:
        return isinstance(task.node, tree.Mapping) and task.node.get("status") is not None

    def notes(self, task: Task) -> Iterator[Note]:
        node = task.node
        if not isinstance(node, tree.Mapping):
            return
        told = {
            "prompt": ("asks before it runs; a step does not", ""),
            "interactive": ("a step has no terminal", "run it by hand"),
            "watch": ("has no equivalent here", "stepwave run --watch"),
            "shopt": ("has no equivalent", "write `shopt -s …` into the step"),
        }
        for key, (what, advice) in told.items():
            if node.get(key) is not None:
                yield Note(node.keys[key].line, f"`{key}`: {what}", advice, task.file)
        for item in items(node.get("sources")):
            if isinstance(item, tree.Mapping) and item.get("exclude") is not None:
                yield Note(
                    tree.beginning(item).line, "`exclude` has no equivalent: those files count, too", "", task.file
                )


def _grouped(text: str) -> str:
    """In a shell of its own; a comment in it must not reach the bracket."""
    return f"({text}\n)" if "#" in text or "\n" in text else f"({text})"


_of_bash = re.compile(
    r"\[\[|<\(|>\(|\$'|<<<|\{[\w]+\.\.\w+\}|\$\{\w+(?:\^|,|//?|:\d|\[)|^\s*\w+=\(|&>|\bfunction\s", re.M
)


def script_work(
    before: Sequence[Line], lines: Sequence[Line], holes: Holes, options: Sequence[str]
) -> Mapping[str, Yaml]:
    """The keys of a step; `before` is in the same shell as what is `deferred` to its end. Raises Unsayable."""
    head = [holes.script(line.text) for line in before]
    traps: list[str] = []
    plain: list[Line] = []
    for line in lines:
        if line.deferred:
            traps.insert(0, holes.script(line.text.strip()))
            quoted = "'" + "; ".join(traps).replace("'", "'\\''") + "'"
            plain.append(Line(f"trap {quoted} EXIT", stays=True))
        else:
            plain.append(line)
    work = work_of(plain, holes, strict=True)
    text = work.get("run")
    everything = "\n".join((*head, text if isinstance(text, str) else ""))
    more = [option for option in options if option not in ("e", "errexit")]
    head = [f"set -o {option}" if len(option) > 1 else f"set -{option}" for option in more] + head
    is_bash = _of_bash.search(everything) is not None or "pipefail" in more
    if is_bash and "pipefail" not in more and "|" in everything:
        head.insert(0, "set +o pipefail")
    script = "\n".join((*head, text if isinstance(text, str) else "true")) if head else text
    if script is None:
        return work
    script = script if not isinstance(script, str) or "\n" not in script else script.rstrip("\n") + "\n"
    return {**({"shell": "bash"} if is_bash else {}), "run": script}
