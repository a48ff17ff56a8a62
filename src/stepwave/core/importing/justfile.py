"""A justfile → a workflow. Recipes become steps, one after the other as just runs them; those of `[parallel]` side by
side. Variables, parameters and functions are worked out here, backticks are left to the step.

Rule 1: nothing is executed. A recipe that cannot be known without that is left to just itself, as a step that calls it.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

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
from stepwave.core.importing.holes import Holes, Unsayable, escaped
from stepwave.core.importing.just_expressions import Scope, evaluate, evaluate_part, next_token
from stepwave.core.importing.just_read import Dependency, Justfile, Parameter, Recipe
from stepwave.core.importing.recipe import NOTHING, SH, Line, work_of
from stepwave.core.importing.shebang import program_work
from stepwave.core.text import plural

MAX_CALLS = 20_000
MAX_DEPTH = 60

Call = tuple[str, tuple[str, ...]]
"""Of a recipe, by its name, with arguments."""

Ran = dict[Call, None]


def import_justfile(text: str, asked: Asked, around: Surroundings) -> Flow:
    """Raises `flow.Refused`."""
    file = Justfile(asked.path, around)
    file.read(text)
    maker = _Maker(asked, file, around)
    wanted = [_words(text, asked.path) for text in asked.wanted] or [[_default(maker, asked.path)]]
    ran: Ran = {}
    for said, *args in wanted:
        name = file.aliases.get(said, said)
        if maker.recipe(name) is None:
            raise unknown_target("recipe", name, list(file.recipes))
        maker.call(name, tuple(args), ran, ())
    names = [words[0] for words in wanted]
    others = tuple(n for n, r in file.recipes.items() if n not in maker.called and not _is_private(n, r[-1].attributes))
    taken = f"{', '.join(names)} with {plural(len(maker.steps), 'step')}"
    steps = tuple(maker.steps) or (Step(maker.ids.make(names[0]), NOTHING),)
    return Flow(escaped(" ".join(names)), steps, maker.keys(), (), tuple(file.notes), taken, others)


def _words(text: str, path: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    if not words:
        raise unknown_target("recipe", text, [])
    return words


def _default(maker: "_Maker", path: str) -> str:
    known = [name for name in maker.file.recipes if maker.recipe(name) is not None]
    if not known:
        raise bad_source(path, 1, "there is no recipe in it")
    marked = (name for name in known if "default" in maker.file.recipes[name][-1].attributes)
    return next(marked, known[0])


def _is_private(name: str, attributes: Sequence[str]) -> bool:
    return name.startswith("_") or "private" in attributes


class _Maker:
    """Calls recipes as just does; `after` is what has just been done, for the next step to wait for."""

    def __init__(self, asked: Asked, file: Justfile, around: Surroundings) -> None:
        self.asked = asked
        self.file = file
        self.around = around
        self.holes = Holes()
        self.scope = Scope(self.holes, around, asked.values)
        self.scope.written = dict(file.variables)
        self.ids = Ids()
        self.steps: list[Step] = []
        self.after: tuple[str, ...] = ()
        self.called: set[str] = set()
        self._calls = 0
        self.shell = self._shell()

    def keys(self) -> Mapping[str, Yaml]:
        env = {"env": self._exported()} if self.file.exported or self._exports_all else {}
        return {**env, **self._dotenv()}

    @property
    def _exports_all(self) -> bool:
        return self.file.settings.get("export") == "true"

    def _exported(self) -> Mapping[str, str]:
        found = {}
        for name in self.scope.written if self._exports_all else self.file.exported:
            try:
                found[name] = self.holes.plain(self.scope.value(name, {}))
            except Unsayable as problem:
                self.file.notes.append(Note(0, f"`{name}` is exported, but cannot be said beforehand: {problem}"))
        return found

    def _dotenv(self) -> Mapping[str, Yaml]:
        settings = self.file.settings
        name = self._text("dotenv-path") or self._text("dotenv-filename")
        if self.holes.of(name):
            self.file.notes.append(Note(0, f"the file `{self.holes.shown(name)}` of variables: only the run knows it"))
            return {}
        if not name and settings.get("dotenv-load") != "true" and settings.get("dotenv-required") != "true":
            return {}
        must = settings.get("dotenv-required") == "true" or "dotenv-path" in settings
        return {"dotenv": [escaped(name or ".env") + ("" if must else "?")]}

    def _text(self, setting: str) -> str:
        """A setting that is a text, or ""."""
        try:
            return evaluate(self.file.settings[setting], self.scope, {}) if setting in self.file.settings else ""
        except Unsayable:
            return ""

    def _shell(self) -> tuple[str, ...]:
        written = self.file.settings.get("shell")
        if written is None:
            return SH
        try:
            words = [evaluate(part, self.scope, {}) for part in _items(written)]
        except Unsayable:
            words = []
        if not words or any(map(self.holes.of, words)):
            self.file.notes.append(Note(0, f"`set shell := {written[:80]}` cannot be read", "it is /bin/sh here"))
            return SH
        return tuple(words)

    def recipe(self, name: str) -> Recipe | None:
        """The one that is for this system."""
        here = {"Linux": "linux", "Darwin": "macos"}.get(self.around.system, self.around.system.lower())
        fitting = []
        for one in self.file.recipes.get(name, ()):
            systems = {a for a in one.attributes if a in ("linux", "macos", "unix", "windows", "openbsd", "freebsd")}
            if not systems or here in systems or ("unix" in systems and here != "windows"):
                fitting.append(one)
        return fitting[-1] if fitting else None

    # --- calls --------------------------------------------------------------------------------------------------------

    def call(self, name: str, args: tuple[str, ...], ran: Ran, within: tuple[str, ...]) -> None:
        name = self.file.aliases.get(name, name)
        self._calls += 1
        recipe = self.recipe(name)
        if recipe is None:
            raise bad_source(self.asked.path, 0, f"a recipe needs `{name[:60]}`, and there is none")
        if name in within or len(within) > MAX_DEPTH or self._calls > MAX_CALLS:
            problem = "needs itself" if name in within else "leads too far"
            raise bad_source(self.asked.path, recipe.line, f"recipe `{name[:60]}` {problem}")
        if (name, args) in ran:
            return
        ran[name, args] = None
        self.called.add(name)
        try:
            local = self._bound(recipe, args)
            before, after = self._calls_of(recipe.before, local), self._calls_of(recipe.after, local)
        except Unsayable as problem:
            notes = [*self._notes(recipe), _left(recipe, f"{problem}; with all that it needs")]
            self._put(recipe, args, self._left_to_just(recipe, args), notes)
            return
        self._dependencies(recipe, before, ran, (*within, name))
        self._step(recipe, args, local)
        for one, values in after:
            self.call(one, values, {}, (*within, name))

    def _calls_of(self, dependencies: Sequence[Dependency], local: Mapping[str, str]) -> list[Call]:
        """With the values that they are given. Raises Unsayable."""
        return [(one.name, tuple(evaluate(arg, self.scope, local) for arg in one.args)) for one in dependencies]

    def _dependencies(self, recipe: Recipe, calls: Sequence[Call], ran: Ran, within: tuple[str, ...]) -> None:
        start, ends = self.after, list[str]()
        for name, values in calls:
            if "parallel" in recipe.attributes:
                self.after = start
            self.call(name, values, ran, within)
            ends += self.after
        if "parallel" in recipe.attributes and ends:
            self.after = tuple(dict.fromkeys(ends))

    def _bound(self, recipe: Recipe, args: tuple[str, ...]) -> dict[str, str]:
        """Parameters and their values. Raises Unsayable."""
        local: dict[str, str] = {}
        left = list(args)
        for parameter in recipe.parameters:
            if parameter.many and left:
                local[parameter.name], left = " ".join(left), []
            elif left:
                local[parameter.name] = left.pop(0)
            else:
                local[parameter.name] = self._default(recipe, parameter, local)
        if left:
            raise bad_source(self.asked.path, recipe.line, f"recipe `{recipe.name}` does not take so many arguments")
        return local

    def _default(self, recipe: Recipe, parameter: Parameter, local: Mapping[str, str]) -> str:
        if parameter.default is not None:
            return evaluate(parameter.default, self.scope, local)
        if parameter.many == "*":
            return ""
        message = f"recipe `{recipe.name}` needs a value for `{parameter.name}`"
        raise missing_argument(self.asked.path, recipe.line, message, f"--target '{recipe.name} VALUE'")

    # --- steps --------------------------------------------------------------------------------------------------------

    def _step(self, recipe: Recipe, args: tuple[str, ...], local: Mapping[str, str]) -> None:
        if not recipe.body:
            return
        notes = list(self._notes(recipe))
        try:
            work, env, folder = self._work(recipe, local), self._env(recipe, local), self._folder(recipe)
        except Unsayable as problem:
            work, env, folder = self._left_to_just(recipe, args, "--no-deps"), {}, ""
            notes.append(_left(recipe, str(problem)))
        if work != NOTHING:
            self._put(recipe, args, work, notes, env, folder)

    def _put(
        self, recipe: Recipe, args: tuple[str, ...], work: Mapping[str, Yaml], notes: Sequence[Note],
        env: Mapping[str, str] = {}, folder: str = "",
    ) -> None:  # fmt: skip
        if len(self.steps) >= MAX_STEPS:
            raise too_large(self.asked.path, f"it would become more than {MAX_STEPS:,} steps")
        id = self.ids.make("-".join((recipe.name, *args))[:60])
        self.steps.append(Step(id, work, self.after, folder=folder, env=env, notes=tuple(notes)))
        self.after = (id,)

    def _left_to_just(self, recipe: Recipe, args: tuple[str, ...], *options: str) -> Mapping[str, Yaml]:
        values = (f"{name}={value}" for name, value in self.asked.values.items())
        words = ["just", *options, *values, recipe.name, *args]
        try:
            return {"run": self.holes.script(" ".join(map(shlex.quote, words)))}
        except Unsayable:
            return {"run": escaped(" ".join(map(shlex.quote, words[:-1])))}

    def _notes(self, recipe: Recipe) -> list[Note]:
        found = []
        for attribute in recipe.attributes:
            if attribute.startswith("confirm"):
                found.append(Note(recipe.line, "`[confirm]` asks before it runs; a step does not"))
            if attribute == "no-cd":
                found.append(
                    Note(recipe.line, "`[no-cd]`: it runs in the folder of the workflow", "set `workingDirectory`")
                )
        if "positional-arguments" in (*recipe.attributes, *self.file.settings):
            found.append(
                Note(recipe.line, "positional arguments (`$1`, `$@`) have no equivalent", "write their values")
            )
        return found

    def _env(self, recipe: Recipe, local: Mapping[str, str]) -> Mapping[str, str]:
        exported = [one.name for one in recipe.parameters if self._exports_all or one.is_exported]
        return {name: self.holes.plain(local[name]) for name in exported}

    def _folder(self, recipe: Recipe) -> str:
        for attribute in recipe.attributes:
            if attribute.startswith("working-directory"):
                text = attribute.removeprefix("working-directory").strip(" :")
                text = text[1:-1] if text.startswith("(") else text
                return self.holes.plain(evaluate(text, self.scope, {}))
        return self.holes.plain(self._text("working-directory"))

    def _work(self, recipe: Recipe, local: Mapping[str, str]) -> Mapping[str, Yaml]:
        scripted = next((a for a in recipe.attributes if a == "script" or a.startswith("script(")), None)
        if recipe.body[0].startswith("#!") or scripted:
            body = "\n".join(self._filled(line, local) for line in recipe.body)
            if scripted:
                words = [evaluate(part, self.scope, local) for part in _items(scripted.removeprefix("script"))]
                body = f"#!/usr/bin/env -S {shlex.join(words) if words else 'sh -eu'}\n{body}"
            return program_work(body, self.holes)
        lines = []
        for text in _logical(recipe.body):
            signs = re.match(r"[@\-\s]{0,3}", text)
            rest = text[signs.end() :] if signs else text
            if rest.strip() and not (rest.startswith("#") and "ignore-comments" in self.file.settings):
                lines.append(Line(self._filled(rest, local), "-" in (signs[0] if signs else "")))
        return _minding_unset(work_of(lines, self.holes, self.shell), self.shell)

    def _filled(self, line: str, local: Mapping[str, str]) -> str:
        """A line of a recipe with its `{{…}}` worked out; `{{{{` is `{{`."""
        parts, at = [], 0
        while (start := line.find("{{", at)) >= 0:
            parts.append(line[at:start])
            if line.startswith("{{{{", start):
                parts.append("{{")
                at = start + 4
                continue
            value, end = evaluate_part(line, start + 2, self.scope, local)
            if not line[end:].lstrip().startswith("}}"):
                raise Unsayable(f"`{line[start : start + 60]}` is not closed")
            parts.append(value)
            at = line.index("}}", end) + 2
        return self.scope.spend("".join((*parts, line[at:])))


def _left(recipe: Recipe, why: str) -> Note:
    return Note(recipe.line, f"recipe `{recipe.name}` is left to just: {why}")


def _logical(body: Sequence[str]) -> list[str]:
    """Lines that end in a backslash go on in the next one."""
    lines: list[str] = []
    goes_on = False
    for line in body:
        if goes_on:
            lines[-1] = lines[-1][:-1] + line.lstrip()
        else:
            lines.append(line)
        goes_on = lines[-1].endswith("\\") and not lines[-1].endswith("\\\\")
    return lines


def _minding_unset(work: Mapping[str, Yaml], shell: tuple[str, ...]) -> Mapping[str, Yaml]:
    """just says `sh -cu`: a variable that is not set is an error."""
    key = "run" if "run" in work else "command"
    script = work.get(key)
    if shell != SH or not isinstance(script, str) or "$" not in script:
        return work
    return {**work, key: f"set -u\n{script.removesuffix(chr(10))}\n"}


def _items(text: str) -> list[str]:
    """The expressions of `["bash", "-c"]` or `('python3')`."""
    text = text.strip()
    inner = text[1:-1] if text[:1] in ("[", "(") else ""
    found, start, at = [], 0, 0
    while (token := next_token(inner, at)).kind != "end":
        if token.text == ",":
            found.append(inner[start:at])
            start = token.end
        at = token.end
    return [part for part in (*found, inner[start:]) if part.strip()]
