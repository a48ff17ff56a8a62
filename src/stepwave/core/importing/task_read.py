"""A Taskfile and those that it includes → tasks by their full names, with the variables that each of them sees."""

import posixpath
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from stepwave.core.importing.flow import Asked, Note, Surroundings, bad_source
from stepwave.core.importing.go_templates import Missing, World, as_text, fill
from stepwave.core.importing.holes import Holes, Unsayable
from stepwave.core.importing.nodes import flag, items, parsed, scalar_text
from stepwave.core.reading import document as tree

MAX_INCLUDED = 200
MAX_TASKS = 20_000


class Task(NamedTuple):
    """`node` is what stands under its name; `space` the namespace with a `:` at its end, or ""; `folder` starts from
    that of the first Taskfile."""

    name: str
    node: tree.Node
    line: int
    file: str
    space: str
    folder: str
    is_internal: bool
    variables: Mapping[str, Any]


class Taskfile:
    def __init__(self, asked: Asked, around: Surroundings) -> None:
        self.asked = asked
        self.holes = Holes()
        self.world = World(self.holes, around)
        self.tasks: dict[str, Task] = {}
        self.aliases: dict[str, str] = {}
        self.notes: list[Note] = []
        self.env: dict[str, Any] = {}
        self.dotenv: list[str] = []
        self.shell_options: list[str] = []
        self.run = "always"
        self._included = 0
        self.values: dict[str, Any] = dict(asked.values)

    def read(self, text: str) -> None:
        root = parsed(text, self.asked.path)
        version = scalar_text(root.get("version"))
        if version and not re.match(r"v?3(\.|$)", version):
            raise bad_source(self.asked.path, 1, f"version {version[:20]} of Taskfiles cannot be read", "version 3 can")
        variables = self._root_variables(root)
        self.env = self.mapping_of(root.get("env"), variables)
        self.dotenv = self.texts_of(root.get("dotenv"), variables)
        self.shell_options = options(root)
        self.run = scalar_text(root.get("run")) or "always"
        if (shown := scalar_text(root.get("output"))) and shown not in ("interleaved", "group", "prefixed"):
            self.notes.append(Note(_line(root, "output"), f"`output: {shown}` has no equivalent"))
        self._take(root, "", "", ".", variables, False, ())

    def _root_variables(self, root: tree.Mapping) -> dict[str, Any]:
        file = self.asked.path.rpartition("/")[2]
        here = self.holes.variable("PWD")
        known: dict[str, Any] = {
            "ROOT_DIR": here, "TASKFILE_DIR": here, "USER_WORKING_DIR": here, "TASK_EXE": "task",
            "TASK_VERSION": "3.0.0",
            "ROOT_TASKFILE": f"{here}/{file}", "TASKFILE": f"{here}/{file}", "CLI_ARGS": "", "CLI_ARGS_LIST": [],
            "CLI_FORCE": False, "CLI_SILENT": False, "CLI_VERBOSE": False, "CLI_OFFLINE": False,
        }  # fmt: skip
        return {**self.layered(root.get("vars"), known), **self.values}

    # --- the files ----------------------------------------------------------------------------------------------------

    def _take(
        self, root: tree.Mapping, file: str, space: str, folder: str, variables: Mapping[str, Any], internal: bool,
        within: tuple[str, ...],
    ) -> None:  # fmt: skip
        self._includes(root, file, space, folder, variables, internal, within)
        tasks = root.get("tasks")
        if not isinstance(tasks, tree.Mapping):
            return
        for name, node in tasks.items():
            if len(self.tasks) >= MAX_TASKS:
                return
            hidden = internal or flag(node, "internal")
            line = tasks.keys[name].line
            self.tasks[space + name] = Task(space + name, node, line, file, space, folder, hidden, variables)
            if isinstance(node, tree.Mapping):
                for alias in self.texts_of(node.get("aliases"), variables):
                    self.aliases[space + alias] = space + name

    def _includes(
        self, root: tree.Mapping, file: str, space: str, folder: str, variables: Mapping[str, Any], internal: bool,
        within: tuple[str, ...],
    ) -> None:  # fmt: skip
        includes = root.get("includes")
        if not isinstance(includes, tree.Mapping):
            return
        for name, node in includes.items():
            path = scalar_text(node.get("taskfile")) if isinstance(node, tree.Mapping) else scalar_text(node)
            line = includes.keys[name].line
            try:
                path = as_text(fill(path or "", variables, self.world))
                found = self._read_include(path, file, within)
            except Unsayable as problem:
                found, path = None, f"{path} ({problem})"
            if found is None:
                if not flag(node, "optional"):
                    shown = self.holes.shown(path)[:200]
                    self.notes.append(Note(line, f"Taskfile `{shown}` of `includes` is not taken over", "", file))
                continue
            other, text = found
            inner = parsed(text, other)
            more = self.layered(inner.get("vars"), variables)
            if isinstance(node, tree.Mapping):
                more = self.layered(node.get("vars"), more)
            where = scalar_text(node.get("dir")) if isinstance(node, tree.Mapping) else None
            below = posixpath.normpath(posixpath.join(folder, where)) if where and "{{" not in where else folder
            self.env = {**self.mapping_of(inner.get("env"), more), **self.env}
            next_space = space if flag(node, "flatten") else f"{space}{name}:"
            hidden = internal or flag(node, "internal")
            self._take(inner, other, next_space, below, {**more, **self.values}, hidden, (*within, other))

    def _read_include(self, path: str, file: str, within: tuple[str, ...]) -> tuple[str, str] | None:
        self._included += 1
        if self._included > MAX_INCLUDED or self.holes.of(path) or "://" in path or not path:
            return None
        base = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
        names = ("Taskfile.yml", "taskfile.yml", "Taskfile.yaml", "taskfile.yaml", "Taskfile.dist.yml")
        for one in (base, *(posixpath.join(base, name) for name in names)):
            if one in within:
                return None
            text = self.world.around.read(one)
            if text is not None:
                return one, text
        return None

    # --- values -------------------------------------------------------------------------------------------------------

    def layered(self, node: tree.Node | None, below: Mapping[str, Any]) -> dict[str, Any]:
        """The variables with those of a `vars` over them, each of which sees the ones before."""
        known = dict(below)
        if isinstance(node, tree.Mapping):
            for name, value in node.items():
                known[name] = self.value_of(value, known)
        return known

    def value_of(self, node: tree.Node, known: Mapping[str, Any]) -> Any:
        """What a variable is: a text, a list, a mapping, a hole for `sh:`; `Missing` where it cannot be said."""
        try:
            return self._value(node, known)
        except Unsayable as problem:
            return Missing(str(problem))

    def _value(self, node: tree.Node, known: Mapping[str, Any]) -> Any:
        if isinstance(node, tree.Sequence):
            return [self._value(item, known) for item in node.items]
        if isinstance(node, tree.Scalar):
            if node.value is None:
                return ""
            return fill(node.value, known, self.world) if isinstance(node.value, str) else _simple(node)
        if (command := scalar_text(node.get("sh"))) is not None:
            return self.holes.command(fill(command, known, self.world).strip())
        if (reference := scalar_text(node.get("ref"))) is not None:
            path = reference.strip().removeprefix(".").split(".")
            value = known.get(path[0], "")
            for name in path[1:]:
                value = value.get(name) if isinstance(value, dict) else None
            return value
        inner = node.get("map")
        chosen = inner if isinstance(inner, tree.Mapping) else node
        return {name: self._value(value, known) for name, value in chosen.items()}

    def mapping_of(self, node: tree.Node | None, known: Mapping[str, Any]) -> dict[str, Any]:
        """`env`: names and values, each on its own."""
        if not isinstance(node, tree.Mapping):
            return {}
        return {name: self.value_of(value, known) for name, value in node.items()}

    def texts_of(self, node: tree.Node | None, known: Mapping[str, Any]) -> list[str]:
        found = []
        for item in items(node):
            text = scalar_text(item)
            if text is not None:
                try:
                    found.append(as_text(fill(text, known, self.world)))
                except Unsayable as problem:
                    self.notes.append(Note(item.span.line, f"`{text[:100]}` cannot be worked out: {problem}"))
        return found


def _simple(node: tree.Scalar) -> Any:
    return node.value if isinstance(node.value, bool | int) else node.text


def _line(node: tree.Mapping, key: str) -> int:
    return node.keys[key].line


def options(node: tree.Mapping) -> list[str]:
    """`set:`: options of the shell."""
    return [text for item in items(node.get("set")) if (text := scalar_text(item)) and re.fullmatch(r"[a-z]+", text)]
