"""A Taskfile (version 3) → a workflow. A task becomes a step, or several where it calls others between its commands;
`deps` run side by side before it, `sources` and `generates` are the `inputs` and `outputs` of its step.

Rule 1: nothing is executed; `sh:` variables are left to the step. A task that cannot be known without that is left to
        task itself, as a step that calls it.
Rule 2: a task that several others need by `deps` runs once; called among commands it runs each time, as with task.
"""

import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from stepwave.core.importing.flow import (
    MAX_STEPS,
    Asked,
    Flow,
    Ids,
    Note,
    Step,
    Surroundings,
    Yaml,
    bad_source,
    missing_argument,
    too_large,
    unknown_target,
)
from stepwave.core.importing.go_templates import Missing, as_text
from stepwave.core.importing.holes import Unsayable, escaped
from stepwave.core.importing.nodes import flag, items, scalar_text
from stepwave.core.importing.recipe import NOTHING, Line
from stepwave.core.importing.task_commands import Call, Command, Reader, script_work
from stepwave.core.importing.task_read import Task, Taskfile, options
from stepwave.core.reading import document as tree
from stepwave.core.text import plural

MAX_CALLS = 20_000
MAX_DEPTH = 60


def import_taskfile(text: str, asked: Asked, around: Surroundings) -> Flow:
    """Raises `flow.Refused`."""
    file = Taskfile(asked, around)
    file.read(text)
    maker = _Maker(asked, file)
    wanted = asked.wanted or (_default(file, asked.path),)
    ends: tuple[str, ...] = ()
    for name in wanted:
        task = file.tasks.get(file.aliases.get(name, name))
        if task is None:
            raise unknown_target("task", name, [n for n, t in file.tasks.items() if not t.is_internal])
        ends = maker.call(task, {}, ends, ())
    others = tuple(n for n, t in file.tasks.items() if n not in maker.called and not t.is_internal)
    taken = f"{', '.join(wanted)} with {plural(len(maker.steps), 'step')}"
    steps = tuple(maker.steps) or (Step(maker.ids.make(wanted[0]), NOTHING),)
    return Flow(escaped(" ".join(wanted)), steps, maker.keys, (), tuple(file.notes), taken, others)


def _default(file: Taskfile, path: str) -> str:
    if not file.tasks:
        raise bad_source(path, 1, "there are no `tasks` in it")
    open_ones = [name for name, task in file.tasks.items() if not task.is_internal]
    return "default" if "default" in file.tasks else (open_ones or list(file.tasks))[0]


class _Maker:
    """Calls tasks as task does. What it returns are the ids that whoever comes next waits for."""

    def __init__(self, asked: Asked, file: Taskfile) -> None:
        self.asked = asked
        self.file = file
        self.reader = Reader(file)
        self.ids = Ids()
        self.steps: list[Step] = []
        self.keys: dict[str, Yaml] = {}
        self.prelude: list[Line] = []
        self.called: set[str] = set()
        self._needed: dict[tuple[str, str], tuple[str, ...]] = {}
        self._calls = 0
        env = self._env(file.env, self.prelude, 0, file.notes)
        if env:
            self.keys["env"] = env
        if dotenv := self._dotenv(file.dotenv, 0, file.notes):
            self.keys["dotenv"] = dotenv

    def _dotenv(self, paths: Sequence[str], line: int, notes: list[Note]) -> list[str]:
        """A path with something in it that only the run knows cannot be said: the file is read before."""
        known = [path for path in paths if not self.file.holes.of(path)]
        lost = (self.file.holes.shown(path) for path in paths if path not in known)
        notes += [Note(line, f"`dotenv: {path[:100]}`: only the run knows it", "write its path") for path in lost]
        return [escaped(path) + "?" for path in known]

    def _env(self, values: Mapping[str, Any], prelude: list[Line], line: int, notes: list[Note]) -> dict[str, str]:
        """What can be said beforehand; the rest is exported by the first lines of the step."""
        env = {}
        for name, value in values.items():
            if isinstance(value, Missing):
                notes.append(Note(line, f"`{name}` of `env` cannot be worked out: {value.reason}"))
                continue
            text = as_text(value)
            if self.file.holes.commands_in(text) and re.fullmatch(r"[A-Za-z_]\w*", name):
                prelude.append(Line(f'export {name}="' + re.sub(r'(["\\`$])', r"\\\1", text) + '"'))
            else:
                try:
                    env[name] = self.file.holes.plain(text)
                except Unsayable as problem:
                    notes.append(Note(line, f"`{name}` of `env` cannot be worked out: {problem}"))
        return env

    # --- calls --------------------------------------------------------------------------------------------------------

    def find(self, name: str, caller: Task, line: int) -> Task:
        full = name.removeprefix(":") if name.startswith(":") else caller.space + name
        found = self.file.tasks.get(self.file.aliases.get(full, full)) or self.file.tasks.get(name)
        if found is None:
            raise bad_source(self.asked.path, 0 if caller.file else line, f"there is no task `{full[:80]}`")
        return found

    def need(
        self, task: Task, given: Mapping[str, Any], after: tuple[str, ...], within: tuple[str, ...]
    ) -> tuple[str, ...]:
        """As a dependency: what has been called like this is not called again."""
        key = (task.name, repr(sorted(given.items())))
        if key in self._needed:
            return tuple(dict.fromkeys((*self._needed[key], *after)))
        self._needed[key] = self.call(task, given, after, within)
        return self._needed[key]

    def call(
        self, task: Task, given: Mapping[str, Any], after: tuple[str, ...], within: tuple[str, ...]
    ) -> tuple[str, ...]:
        self._calls += 1
        if task.name in within or len(within) > MAX_DEPTH or self._calls > MAX_CALLS:
            problem = "calls itself" if task.name in within else "leads too far"
            raise bad_source(self.asked.path, 0 if task.file else task.line, f"task `{task.name[:80]}` {problem}")
        run = scalar_text(task.node.get("run")) if isinstance(task.node, tree.Mapping) else None
        key = (task.name, "" if (run or self.file.run) == "once" else repr(sorted(given.items())))
        if (run or self.file.run) != "always" and key in self._needed:
            return tuple(dict.fromkeys((*self._needed[key], *after)))
        variables = self.reader.variables(task, given)
        if not self.reader.is_for_here(task.node):
            return after
        self.called.add(task.name)
        self._require(task, variables)
        ends = self._body(task, variables, after, (*within, task.name))
        self._needed.setdefault(key, ends)
        return ends

    def _require(self, task: Task, variables: Mapping[str, Any]) -> None:
        requires = task.node.get("requires") if isinstance(task.node, tree.Mapping) else None
        for item in items(requires.get("vars") if isinstance(requires, tree.Mapping) else None):
            name = scalar_text(item.get("name") if isinstance(item, tree.Mapping) else item) or ""
            if name not in variables:
                message = f"task `{task.name[:80]}` needs a value for `{name[:80]}`"
                line = 0 if task.file else task.line
                raise missing_argument(self.asked.path, line, message, f"--var {name[:80]}=VALUE")

    def _body(
        self, task: Task, variables: Mapping[str, Any], after: tuple[str, ...], within: tuple[str, ...]
    ) -> tuple[str, ...]:
        before = len(self.steps)
        try:
            deps = self.reader.dependencies(task, variables)
            commands = self.reader.commands(task, variables)
            ends = [self.need(self.find(one.name, task, one.line), one.given, after, within) for one in deps]
            start = tuple(dict.fromkeys(id for one in ends for id in one)) or after
            return self._commands(task, variables, commands, start, within)
        except Unsayable as problem:
            if len(self.steps) > before:
                del self.steps[before:]
            note = Note(task.line, f"task `{task.name}` is left to task itself: {problem}", "", task.file)
            assigned = [f"{name}={value}" for name, value in self.asked.values.items()]
            words = ["task", task.name, *assigned]
            step = Step(self.ids.make(task.name), {"run": escaped(shlex.join(words))}, after, notes=(note,))
            return self._put(step)

    def _put(self, step: Step) -> tuple[str, ...]:
        if len(self.steps) >= MAX_STEPS:
            raise too_large(self.asked.path, f"it would become more than {MAX_STEPS:,} steps")
        self.steps.append(step)
        return (step.id,)

    # --- the commands of a task ---------------------------------------------------------------------------------------

    def _commands(
        self, task: Task, variables: Mapping[str, Any], commands: Sequence[Command | Call], start: tuple[str, ...],
        within: tuple[str, ...],
    ) -> tuple[str, ...]:  # fmt: skip
        parts = _parts(commands)
        is_one = len(parts) <= 1 and not any(isinstance(part, Call) for part in parts)
        ends, deferred = start, list[Command]()
        for part in parts:
            if isinstance(part, Call):
                ends = self.call(self.find(part.name, task, part.line), part.given, ends, within)
            else:
                later = [] if is_one else [command for command in part if command.is_deferred]
                deferred += later
                now = [command for command in part if command not in later]
                if now:
                    ends = self._step(task, variables, now, ends, is_one, part is parts[0])
        for command in reversed(deferred):
            plain = command._replace(is_deferred=False)
            ends = self._step(task, variables, [plain], ends, False, False, condition="always()")
        return ends

    def _step(
        self, task: Task, variables: Mapping[str, Any], commands: Sequence[Command], needs: tuple[str, ...],
        is_one: bool, is_first: bool, condition: str = "",
    ) -> tuple[str, ...]:  # fmt: skip
        node = task.node
        notes = list(self.reader.notes(task)) if is_first else []
        folder = self.reader.folder(task, variables)
        exports: list[Line] = list(self.prelude)
        own = self.file.mapping_of(node.get("env"), variables) if isinstance(node, tree.Mapping) else {}
        env = self._env(own, exports, task.line, notes)
        lines = [Line(as_text(one.text), one.is_ignored, one.is_deferred) for one in commands]
        guards = self.reader.guards(task, variables) if is_first else ()
        if guards and not is_one and self.reader.has_status(task):
            notes.append(Note(task.line, "`status` holds back only what comes before the first call of another task"))
        work = script_work((*exports, *guards), lines, self.file.holes, self._options(node))
        files = self.reader.files(task, variables, folder) if is_one else (None, ())
        if not is_one and is_first and isinstance(node, tree.Mapping) and node.get("sources"):
            notes.append(Note(task.line, "`sources` of a task that calls others has no equivalent: it runs every time"))
        more: dict[str, Yaml] = {"continueOnError": True} if flag(node, "ignore_error") else {}
        paths = self.file.texts_of(node.get("dotenv"), variables) if isinstance(node, tree.Mapping) else []
        if dotenv := self._dotenv([posixpath.join(folder, path) for path in paths], task.line, notes):
            more["dotenv"] = dotenv
        step = Step(
            self.ids.make(task.name.replace(":", ".")), work, needs, escaped(task.name), escaped(folder), env,
            files[0], files[1], "", condition, more, tuple(notes),
        )  # fmt: skip
        return self._put(step)

    def _options(self, node: tree.Node) -> list[str]:
        return [*self.file.shell_options, *(options(node) if isinstance(node, tree.Mapping) else [])]


def _parts(commands: Sequence[Command | Call]) -> list[list[Command] | Call]:
    """Commands that follow each other are one step; a call of another task stands between them."""
    parts: list[list[Command] | Call] = []
    for command in commands:
        if isinstance(command, Call):
            parts.append(command)
        elif parts and isinstance(parts[-1], list):
            parts[-1].append(command)
        else:
            parts.append([command])
    return parts
