"""A Makefile → a workflow: files that are made become `outputs:` of steps and what they are made of `inputs:`, so that
only what has changed is made again; phony targets become steps that always run.

Rule 1: nothing of the file is executed. What cannot be known without that is left to make itself, as a step that calls
        it.
Rule 2: only what the chosen targets need is taken over.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stepwave.core.importing.flow import (
    MAX_STEPS,
    Asked,
    Flow,
    Ids,
    Note,
    Step,
    Surroundings,
    Yaml,
    too_large,
    unknown_target,
)
from stepwave.core.importing.holes import Unsayable, escaped
from stepwave.core.importing.make_lines import At
from stepwave.core.importing.make_read import Reader, RuleLine, Setting
from stepwave.core.importing.make_rules import Made, Rules
from stepwave.core.importing.recipe import NOTHING, SH, Line, work_of
from stepwave.core.text import plural

MAX_FLAT = 8
"""A target without a recipe that needs more steps than this is a step, for others to wait for; else it is left out."""


class Done(NamedTuple):
    """What became of a target. `steps`: what its dependents wait for; `files`: what they read, None when they always
    run."""

    steps: tuple[str, ...]
    files: tuple[str, ...] | None


def import_makefile(text: str, asked: Asked, around: Surroundings) -> Flow:
    """Raises `flow.Refused`."""
    reader = Reader(asked, around)
    reader.read(text)
    rules = Rules(reader)
    goals = asked.wanted or _default_goal(reader, rules)
    maker = _Maker(asked, reader, rules)
    for goal in goals:
        if goal not in rules.explicit and rules.of(goal) is None:
            known = [reader.holes.shown(name) for name in rules.goals()]
            raise unknown_target("target", reader.holes.shown(goal), known)
        maker.make(goal)
    steps = maker.steps or {"": Step(maker.ids.make(goals[0] if goals else "nothing"), NOTHING)}
    others = tuple(reader.holes.shown(name) for name in _entries(rules) if name not in maker.done)
    taken = f"{', '.join(goals) or 'nothing'} with {plural(len(steps), 'step')}"
    name = " ".join(goals) or "Makefile"
    keys = _keys(reader, rules, maker)
    return Flow(escaped(name), tuple(steps.values()), keys, (), tuple(reader.notes), taken, others)


def _default_goal(reader: Reader, rules: Rules) -> tuple[str, ...]:
    said = reader.expander.variables.get(".DEFAULT_GOAL")
    if said and (goal := reader.expander.expand("$(.DEFAULT_GOAL)").strip()):
        return (goal,)
    return tuple(name for name in rules.goals() if "%" not in name)[:1]


def _entries(rules: Rules) -> Iterator[str]:
    """Targets that people ask for: phony ones, and those that nothing else needs."""
    all_rules = (*(rule for ones in rules.explicit.values() for rule in ones), *rules.patterns)
    needed = {need for rule in all_rules for need in (*rule.needs, *rule.order)}
    return (name for name in rules.goals() if name in rules.phony or name not in needed)


def _keys(reader: Reader, rules: Rules, maker: "_Maker") -> Mapping[str, Yaml]:
    keys: dict[str, Yaml] = {}
    if maker.env:
        keys["env"] = maker.env
    if ".NOTPARALLEL" in rules.special and not rules.special[".NOTPARALLEL"]:
        keys["parallel"] = False
    for name, what in ((".DEFAULT", "a recipe for targets without a rule"), (".POSIX", "")):
        if name in rules.special and what:
            reader.note(reader.rules[0].at, f"`{name}` ({what}) has no equivalent")
    return keys


class _Maker:
    """Goes from the goals down to what they need; each target becomes a step at most once."""

    def __init__(self, asked: Asked, reader: Reader, rules: Rules) -> None:
        self.asked = asked
        self.reader = reader
        self.rules = rules
        self.ids = Ids()
        self.steps: dict[str, Step] = {}
        self.done: dict[str, Done] = {}
        self.prelude: list[Line] = []
        self.env = dict(self._exported())
        self.shell = self._shell()

    # --- what holds for all -------------------------------------------------------------------------------------------

    def _shell(self) -> tuple[str, ...]:
        variables = self.reader.expander.variables
        try:
            shell = self.reader.expander.expand("$(SHELL)").split()
            flags = self.reader.expander.expand("$(.SHELLFLAGS)").split() if ".SHELLFLAGS" in variables else ["-c"]
            if any(map(self.reader.holes.of, (*shell, *flags))):
                raise Unsayable("it hangs on the environment")
        except Unsayable as problem:
            self.reader.note(_top, f"`SHELL` cannot be worked out: {problem}", "it is /bin/sh here")
            return SH
        usual = flags == ["-c"] and shell in (["/bin/sh"], ["sh"], [])
        return SH if usual else (*shell, *flags)

    def _exported(self) -> Iterator[tuple[str, str]]:
        reader = self.reader
        names = [name for name, does in reader.exported.items() if does]
        if reader.exports_all:
            names += [n for n, v in reader.expander.variables.items() if v.origin == "file" and n.isidentifier()]
        for name in dict.fromkeys(names):
            if name in reader.expander.variables and reader.exported.get(name, True) and _is_name(name):
                try:
                    text = reader.expander.expand(f"$({name})")
                    if reader.holes.commands_in(text):
                        self.prelude.append(Line(f'export {name}="{_in_quotes(text)}"'))
                    else:
                        yield name, reader.holes.plain(text)
                except Unsayable as problem:
                    reader.note(_top, f"`export {name}`: {problem}")

    # --- from the goals down ------------------------------------------------------------------------------------------

    def make(self, goal: str) -> None:
        """Without recursion: chains of targets may be as long as a file is."""
        waiting: list[tuple[str, tuple[Setting, ...], Made | None]] = [(goal, (), None)]
        on_way: set[str] = set()
        while waiting:
            target, settings, made = waiting.pop()
            if made is not None:
                on_way.discard(target)
                self._settle(made, settings)
                continue
            if target in self.done or target in on_way:
                continue
            made = self.rules.of(target)
            if made is None or made.problem or self._has_lost(made):
                self._take_as_it_is(target, made)
                continue
            on_way.add(target)
            settings = (*settings, *self.reader.settings.get(target, ()))
            waiting.append((target, settings, made))
            waiting += [(need, settings, None) for need in reversed((*made.needs, *made.order))]

    def _has_lost(self, made: Made) -> bool:
        """With a search path, what is not there may be found elsewhere: only make knows."""
        return self.reader.has_search_path and any(
            not self.rules.exists(need) and self.rules.of(need) is None for need in made.needs
        )

    def _take_as_it_is(self, target: str, made: Made | None) -> None:
        if made is not None:
            problem = made.problem or "a file that it needs has to be looked for along the search path"
            self._leave_to_make(made, problem)
        else:
            self.done[target] = Done((), (target,))

    def _settle(self, made: Made, settings: tuple[Setting, ...]) -> None:
        if made.target in self.done:
            return
        if made.lines is None:
            self._pass_on(made)
            return
        try:
            work, notes = self._work(made, settings)
        except Unsayable as problem:
            self._leave_to_make(made, str(problem))
            return
        self._add(made, work, notes)

    def _waited_for(self, made: Made) -> tuple[tuple[str, ...], list[Note]]:
        steps: dict[str, None] = {}
        notes = []
        for need in (*made.needs, *made.order):
            if need not in self.done:
                notes.append(
                    self._note(made, f"`{need}` needs `{made.target}` itself; make leaves such a circle out, too")
                )
                continue
            steps.update(dict.fromkeys(self.done[need].steps))
        return tuple(steps), notes

    def _note(self, made: Made, what: str, advice: str = "") -> Note:
        return Note(made.at.line, what, advice, made.at.file)

    def _files(self, made: Made) -> tuple[str, ...] | None:
        """What a change of makes it necessary to make the target; None when it is made every time."""
        found: dict[str, None] = {}
        for need in made.needs:
            files = self.done[need].files if need in self.done else ()
            if files is None:
                return None
            found.update(dict.fromkeys(files))
        return tuple(found)

    def _pass_on(self, made: Made) -> None:
        """A target without a recipe: others wait for what it needs."""
        steps, _ = self._waited_for(made)
        files = self._files(made)
        is_file = made.target not in self.rules.phony and self.rules.exists(made.target)
        if len(steps) > MAX_FLAT and made.target not in self.asked.wanted and self.done:
            steps = (self._put(made.target, Step(self.ids.make(made.target), NOTHING, steps)),)
        self.done[made.target] = Done(steps, (made.target, *files) if is_file and files is not None else None)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _put(self, target: str, step: Step) -> str:
        if len(self.steps) >= MAX_STEPS:
            raise too_large(self.asked.path, f"it would become more than {MAX_STEPS:,} steps")
        name = escaped(self.reader.holes.shown(target))
        self.steps[target] = step._replace(name="" if name == step.id else name)
        return step.id

    def _leave_to_make(self, made: Made, problem: str) -> None:
        words = ["make", made.target, *(f"{name}={value}" for name, value in self.asked.values.items())]
        file = self.asked.path.rpartition("/")[2]
        if file not in ("Makefile", "makefile", "GNUmakefile"):
            words[1:1] = ["-f", file]
        try:
            run = self.reader.holes.script(" ".join(map(shlex.quote, words)))
        except Unsayable:
            run = escaped(" ".join(map(shlex.quote, words[:1])))
        note = self._note(made, f"target `{self.reader.holes.shown(made.target)}` is left to make: {problem}")
        step = Step(self.ids.make(made.target), {"run": run}, notes=(note,))
        self.done[made.target] = Done((self._put(made.target, step),), None)

    def _add(self, made: Made, work: Mapping[str, Yaml], notes: list[Note]) -> None:
        needs, more = self._waited_for(made)
        files = self._files(made)
        step = Step(self.ids.make(made.target), work, needs, notes=(*notes, *more, *self._missing(made)))
        if not self._is_file(made):
            self._remember((made.target,), Done((self._put(made.target, step),), None))
            return
        made_files = tuple(map(_pattern, made.siblings))
        inputs = tuple(map(_pattern, files)) if files is not None else None
        asks = inputs == () and _can_ask_for(made.target)
        step = step._replace(inputs=None if asks else inputs, outputs=made_files, once=made.target if asks else "")
        id = self._put(made.target, step)
        for name in made.siblings:
            self._remember((name,), Done((id,), (name,)))

    def _remember(self, names: tuple[str, ...], done: Done) -> None:
        for name in names:
            self.done.setdefault(name, done)

    def _missing(self, made: Made) -> list[Note]:
        lost = [
            need
            for need in dict.fromkeys(made.needs)
            if self.done.get(need) == Done((), (need,)) and not self.rules.exists(need) and need not in self.rules.phony
        ]
        if not lost:
            return []
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        what = f"{', '.join(f'`{name}`' for name in lost[:3])}{more}: not there, and no rule makes it"
        return [self._note(made, what, "as long as it is missing the step runs every time")]

    def _is_file(self, made: Made) -> bool:
        """Whether a recipe makes a file. One that never speaks of its target, by a name like `test`, hardly does."""
        if made.target in self.rules.phony:
            return False
        if re.search(r"[./]", made.target) or self.rules.exists(made.target):
            return True
        text = "\n".join(line.text for line in made.lines or ())
        return bool(re.search(r"\$@|\$[({]@", text) or re.search(rf"(?<![\w-]){re.escape(made.target)}(?![\w-])", text))

    # --- recipes ------------------------------------------------------------------------------------------------------

    def _work(self, made: Made, settings: tuple[Setting, ...]) -> tuple[Mapping[str, Yaml], list[Note]]:
        variables = self.reader.expander.variables
        before = {setting.name: variables.get(setting.name) for setting in settings}
        try:
            for setting in settings:
                self.reader.expander.assign(setting.name, setting.sign, setting.text)
            return self._lines(made)
        finally:
            for name, known in before.items():
                if known is None:
                    variables.pop(name, None)
                else:
                    variables[name] = known

    def _lines(self, made: Made) -> tuple[Mapping[str, Yaml], list[Note]]:
        local = self._automatic(made)
        notes = []
        if any(re.search(r"\$(\?|[({]\?[DF]?[)}])", line.text) for line in made.lines or ()):
            notes.append(self._note(made, "`$?` is what has changed; here it is all prerequisites, as `$^`"))
        all_ignored = ".IGNORE" in self.rules.special and (
            not self.rules.special[".IGNORE"] or made.target in self.rules.special[".IGNORE"]
        )
        lines = [line for one in made.lines or () for line in self._expanded(one, local)]
        if all_ignored:
            lines = [line._replace(ignored=True) for line in lines]
        if ".ONESHELL" in self.rules.special and lines:
            return self._one_shell(lines), notes
        if self.prelude and self.shell == SH:
            text = self.reader.holes.script("\n".join(line.text for line in self.prelude)) + "\n"
            work = work_of([*lines, Line("true")], self.reader.holes)
            return {"run": text + str(work["run"]).removesuffix("true\n")}, notes
        return work_of(lines, self.reader.holes, self.shell), notes

    def _one_shell(self, lines: list[Line]) -> Mapping[str, Yaml]:
        script = self.reader.holes.script("\n".join(line.text for line in lines))
        if lines[0].ignored:
            script += "\ntrue"
        return {"command": (*self.shell, script)} if self.shell != SH else {"shell": True, "command": script}

    def _automatic(self, made: Made) -> Mapping[str, str]:
        unique = " ".join(dict.fromkeys(made.needs))
        first = made.needs[0] if made.needs else ""
        return {
            "@": made.target, "<": first, "^": unique, "+": " ".join(made.needs), "?": unique,
            "|": " ".join(made.order), "*": made.stem or _known_stem(made.target), "%": "",
        }  # fmt: skip

    def _expanded(self, line: RuleLine, local: Mapping[str, str]) -> Iterator[Line]:
        """A line may become several: the variable that it names can be made with `define`."""
        outer = _prefix(line.text)[0]
        for text in _split_lines(self.reader.expander.expand(line.text, local)):
            signs, rest = _prefix(text)
            yield Line(rest, "-" in signs + outer)


_top = At("", 0)


def _prefix(text: str) -> tuple[str, str]:
    match = re.match(r"[@+\-\s]*", text)
    return (match[0], text[match.end() :]) if match else ("", text)


def _split_lines(text: str) -> list[str]:
    return re.split(r"(?<!\\)\n", text)


def _known_stem(target: str) -> str:
    head, dot, suffix = target.rpartition(".")
    return head if dot and "/" not in suffix else ""


def _pattern(path: str) -> str:
    """A file by its name, whatever signs are in it."""
    return escaped(re.sub(r"([*?\[])", r"[\1]", path))


def _can_ask_for(path: str) -> bool:
    """Whether a condition can ask for the file: only those of the workflow's folder."""
    return re.fullmatch(r"[\w.+@%,=~ -][\w.+@%,=~/ -]*", path) is not None and ".." not in path.split("/")


def _in_quotes(text: str) -> str:
    return re.sub(r'(["\\`])', r"\\\1", text)


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z_]\w*", text) is not None
