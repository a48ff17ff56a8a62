"""A Makefile → its rules and variables. Only read: what make would run while it reads becomes a hole or a note.

Rule 1: as make does, lines that declare rules are expanded at once, recipes when they are asked for.
Rule 2: a condition that hangs on what a command prints does not hold, and that is noted.
"""

import re
from typing import NamedTuple

from stepwave.core.importing.flow import MAX_NOTES, Asked, Note, Surroundings, bad_source, too_large
from stepwave.core.importing.holes import Holes, Unsayable
from stepwave.core.importing.make_expand import Budget, Expander, Variable
from stepwave.core.importing.make_lines import At, Logical, find_outside, logical_lines, without_comment

MAX_INCLUDED = 500
MAX_INCLUDE_DEPTH = 20
MAX_EVALS = 20_000
MAX_RULES = 200_000


class RuleLine(NamedTuple):
    """One line of a recipe as it stands in the file."""

    text: str
    at: At


class Setting(NamedTuple):
    """A variable for one target."""

    name: str
    sign: str
    text: str


class Rule:
    """`target` may hold a `%`. `together`: one run of the recipe makes all of `siblings`. `stem` is that of a static
    pattern rule. `problem`: why its prerequisites are not known."""

    def __init__(self, target: str, at: At) -> None:
        self.target = target
        self.at = at
        self.siblings: tuple[str, ...] = (target,)
        self.needs: tuple[str, ...] = ()
        self.order: tuple[str, ...] = ()
        self.lines: list[RuleLine] = []
        self.has_recipe = False
        self.stem = ""
        self.is_double = False
        self.problem = ""


class Condition:
    """`taken`: a branch of it has been; `holds`: this one is; `outer`: what surrounds it holds."""

    def __init__(self, outer: bool, holds: bool) -> None:
        self.outer = outer
        self.holds = holds
        self.taken = holds


class Reader:
    """What has been read so far of a Makefile and those that it includes."""

    def __init__(self, asked: Asked, around: Surroundings) -> None:
        self.path = asked.path
        self.around = around
        self.holes = Holes()
        self.expander = Expander(self.holes, around, Budget(asked.path), asked.values)
        self.expander.variables["MAKECMDGOALS"] = self.expander.variables["MAKELEVEL"]._replace(
            text=" ".join(asked.wanted)
        )
        self.expander.evaluate = self._evaluate
        self.rules: list[Rule] = []
        self.settings: dict[str, list[Setting]] = {}
        self.exported: dict[str, bool] = {}
        self.exports_all = False
        self.notes: list[Note] = []
        self.files: list[str] = []
        self.has_search_path = False
        self._current: list[Rule] = []
        self._conditions: list[Condition] = []
        self._evals = 0
        self._at = At("", 1)

    def note(self, at: At, what: str, advice: str = "") -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(Note(at.line, what, advice, at.file))

    # --- lines --------------------------------------------------------------------------------------------------------

    def read(self, text: str, file: str = "", first: int = 1) -> None:
        if len(self.files) > MAX_INCLUDE_DEPTH:
            return self.note(self._at, "files that include each other are not read any deeper")
        if not self.files or file != self.files[-1]:  # what `eval` reads is no file
            listed = self.expander.variables.get("MAKEFILE_LIST")
            name = file or self.path.rpartition("/")[2]
            self.expander.variables["MAKEFILE_LIST"] = Variable(f"{listed.text if listed else ''} {name}", False)
        self.files.append(file)
        self.expander.budget.spend(len(text))
        open_before, depth = len(self._conditions), 0
        waiting: list[Logical] = []
        prefix = self.expander.variables.get(".RECIPEPREFIX")
        for line in logical_lines(text, file, first, (prefix.text[:1] if prefix else "") or "\t"):
            if waiting:
                waiting, depth = self._define(waiting, depth, line)
            elif not line.is_recipe and _define.match(line.text) and self._is_on():
                waiting, depth = [line], 1
            else:
                self._line(line)
        if waiting:
            raise bad_source(self.path, 0 if file else waiting[0].at.line, "a `define` has no `endef`")
        if len(self._conditions) > open_before:
            raise bad_source(self.path, 0 if file else self._at.line, "a condition has no `endif`")
        self.files.pop()
        return None

    def _is_on(self) -> bool:
        return not self._conditions or (self._conditions[-1].outer and self._conditions[-1].holds)

    def _line(self, line: Logical) -> None:
        self._at = line.at
        if line.is_recipe:
            if not self._is_on():
                return
            if self._current:
                for rule in self._current:
                    rule.lines.append(RuleLine(line.text, line.at))
                    rule.has_recipe = True
                return
        text = without_comment(line.text).strip()
        if not text:
            return
        word, _, rest = text.partition(" ") if " " in text else text.partition("\t")
        if word in ("ifeq", "ifneq", "ifdef", "ifndef", "else", "endif") or _condition.match(text):
            self._conditional(text)
        elif self._is_on():
            self._statement(line, text, word, rest.strip())

    def _statement(self, line: Logical, text: str, word: str, rest: str) -> None:
        if word in ("include", "-include", "sinclude"):
            self._current = []
            self._include(rest, word == "include")
        elif word in ("export", "unexport") and not rest.startswith((":", "=")):
            self._export(word == "export", rest)
        elif word in ("override", "private") and find_outside(rest, "=") >= 0:
            self._assignment(rest, is_override=word == "override")
        elif word == "undefine":
            self.expander.variables.pop(self._expanded(rest).strip(), None)
        elif word == "vpath":
            self.has_search_path = True
            self.note(line.at, "`vpath` has no equivalent", "what is found through it is left to make")
        elif not self._assignment(text):
            self._rule(line, text)

    # --- define, include, eval ----------------------------------------------------------------------------------------

    def _define(self, waiting: list[Logical], depth: int, line: Logical) -> tuple[list[Logical], int]:
        text = line.text.strip()
        if not line.is_recipe and _define.match(line.text):
            depth += 1
        elif not line.is_recipe and re.match(r"endef\s*(#.*)?$", text):
            depth -= 1
        if depth:
            return [*waiting, line] if len(waiting) < 2 else _appended(waiting, line), depth
        head = _define.match(waiting[0].text)
        assert head
        body = "\n".join(("\t" if one.is_recipe else "") + one.text for one in waiting[1:])
        self.expander.assign(self._expanded(head["name"]).strip(), head["sign"] or "=", body)
        return [], 0

    def _include(self, text: str, must_be_there: bool) -> None:
        for pattern in self.names(self._expanded(text)):
            for name in self.around.matches(pattern) if re.search(r"[*?\[]", pattern) else (pattern,):
                found = self.around.read(name)
                if found is None:
                    if must_be_there:
                        advice = "if a rule makes it, import again once it has been made"
                        self.note(self._at, f"`include {name}`: there is no such file", advice)
                    continue
                self._included(name, found)

    def _included(self, name: str, text: str) -> None:
        self._evals += 20
        if self._evals > MAX_EVALS:
            raise too_large(self.path, "it includes too many files")
        if name in self.files:
            return self.note(self._at, f"`include {name}`: it includes itself, and is not read again")
        at, self._at = self._at, At(name, 1)
        self.read(text, name)
        self._at, self._current = at, []
        return None

    def _evaluate(self, text: str) -> None:
        """`$(eval …)`: the text is read as a part of the file."""
        self._evals += 1
        if self._evals > MAX_EVALS:
            raise too_large(self.path, f"it has more than {MAX_EVALS:,} `eval`s")
        if text.strip():
            at, current = self._at, self._current
            self._current = []
            self.read(text, at.file, at.line)
            self._at, self._current = at, current

    # --- conditions ---------------------------------------------------------------------------------------------------

    def _conditional(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        match = _condition.match(text)
        if match:
            word, rest = match[1], text[match.end(1) :]
        if word == "endif":
            if not self._conditions:
                raise bad_source(self.path, 0 if self._at.file else self._at.line, "an `endif` has no beginning")
            self._conditions.pop()
        elif word == "else":
            self._else(rest.strip())
        else:
            self._conditions.append(Condition(self._is_on(), self._is_on() and self._holds(word, rest.strip())))

    def _else(self, rest: str) -> None:
        if not self._conditions:
            raise bad_source(self.path, 0 if self._at.file else self._at.line, "an `else` has no beginning")
        one = self._conditions[-1]
        match = _condition.match(rest)
        if one.taken or not one.outer:
            one.holds = False
        else:
            one.holds = self._holds(match[1], rest[match.end(1) :].strip()) if match else True
        one.taken = one.taken or one.holds

    def _holds(self, word: str, rest: str) -> bool:
        try:
            if word in ("ifdef", "ifndef"):
                known = self.expander.variables.get(self.expander.expand(rest).strip())
                return (known is not None and bool(known.text or known.problem)) == (word == "ifdef")
            left, right = (self._decided(side) for side in _sides(rest))
            return (left == right) == (word == "ifeq")
        except Unsayable as problem:
            advice = "it was taken not to hold; look at what hangs on it"
            self.note(
                self._at, f"`{word} {rest[:100]}` cannot be decided without running something ({problem})", advice
            )
            return False

    def _decided(self, text: str) -> str:
        text = self.holes.without_variables(self.expander.expand(text))
        if commands := self.holes.commands_in(text):
            raise Unsayable(f"`$(shell {self.holes.shown(commands[0])[:80]})`")
        return text

    # --- variables ----------------------------------------------------------------------------------------------------

    def _export(self, exports: bool, rest: str) -> None:
        if not rest:
            self.exports_all = exports
            return
        at = find_outside(rest, "=")
        if exports and at >= 0:
            self._assignment(rest)
            rest = rest[:at].rstrip(":?+!").strip()
        for name in self._expanded(rest).split():
            self.exported[name] = exports

    def _assignment(self, text: str, *, is_override: bool = False) -> bool:
        """Whether the line is one; then it has been done."""
        found = assignment(text)
        if found is None:
            return False
        try:
            name = self.expander.expand(found.name).strip()
        except Unsayable:
            return True
        if re.search(r"\s", name):
            return False
        self._current = []
        if name in ("VPATH", ".VPATH"):
            self.has_search_path = True
            self.note(self._at, "`VPATH` has no equivalent", "what is found through it is left to make")
        self.expander.assign(name, found.sign, found.text, is_override=is_override)
        known = self.expander.variables.get(name)
        if known and known.problem:
            self.note(self._at, f"`{name}` cannot be worked out: {known.problem}")
        return True

    def _expanded(self, text: str) -> str:
        try:
            return self.expander.expand(text)
        except Unsayable as problem:
            self.note(self._at, f"`{text[:100]}` cannot be worked out: {problem}")
            return ""

    # --- rules --------------------------------------------------------------------------------------------------------

    def names(self, text: str) -> list[str]:
        """Names of files and targets, as they are from the folder of the Makefile on. Raises Unsayable."""
        text = self.expander.relative(text)
        return [re.sub(r"^(?:\./)+(?=.)", "", word) for word in self.holes.without_variables(text).split()]

    def _rule(self, line: Logical, text: str) -> None:
        self._current = []
        recipe_at = find_outside(line.text, ";")
        if (
            recipe_at >= 0
            and "#" in line.text[:recipe_at]
            and without_comment(line.text) == without_comment(line.text[:recipe_at])
        ):
            recipe_at = -1  # it stands in a comment
        head = without_comment(line.text[:recipe_at]) if recipe_at >= 0 else text
        colon = find_outside(head, ":")
        if colon < 0:
            return self._expanded_rule(line, text)
        inline = line.text[recipe_at + 1 :].strip() if recipe_at >= 0 else None
        setting = assignment(head[colon + 1 :].lstrip(":").strip())
        try:
            targets = self.names(self.expander.expand(head[:colon].rstrip("&")))
            if setting and not re.search(r"\s", setting.name.removeprefix("override ").removeprefix("export ").strip()):
                return self._target_setting(targets, setting, line, recipe_at)
            needs = self.expander.expand(head[colon + 1 :])
        except Unsayable as problem:
            return self.note(line.at, f"the rule `{text[:80]}` cannot be worked out: {problem}")
        kind = "&" if head[:colon].rstrip().endswith("&") else ":" if head[colon + 1 : colon + 2] == ":" else ""
        return self._add(targets, needs.removeprefix(":") if kind == ":" else needs, kind, inline, line.at)

    def _expanded_rule(self, line: Logical, text: str) -> None:
        """A line without a colon: rules may come out of its variables, or nothing."""
        made = self._expanded(text)
        if not made.strip():
            return None
        colon = made.find(":")
        if colon < 0:
            if "$" not in text:
                raise bad_source(
                    self.path, 0 if line.at.file else line.at.line, "a line is neither a rule nor a variable"
                )
            return self.note(line.at, f"`{text[:80]}` makes nothing that could be read")
        head, _, recipe = made.partition(";")
        inline = recipe.strip().replace("$", "$$") if recipe else None
        return self._add(self.names(head[:colon]), head[colon + 1 :], "", inline, line.at)

    def _target_setting(self, targets: list[str], setting: Setting, line: Logical, recipe_at: int) -> None:
        name = setting.name.split()[-1] if setting.name.split() else ""
        text = setting.text
        if recipe_at >= 0:  # to a variable, a `;` is text
            text = without_comment(line.text)[find_outside(without_comment(line.text), "=") + 1 :].strip()
        if ":" in setting.sign:
            text = self.expander.expand(text).replace("$", "$$")
        for target in targets:
            self.settings.setdefault(target, []).append(Setting(name, setting.sign, text))

    def _add(self, targets: list[str], needs: str, kind: str, inline: str | None, at: At) -> None:
        problem = ""
        if commands := self.holes.commands_in(needs):
            problem = f"its prerequisites hang on what `$(shell {self.holes.shown(commands[0])[:80]})` prints"
        elif "$" in needs:
            problem = "its prerequisites are expanded a second time (`.SECONDEXPANSION`)"
        pattern, _, static = needs.partition(":") if ":" in needs else ("", "", needs)
        usual, _, order = static.partition("|")
        made = []
        for target in targets:
            rule = Rule(target, at)
            rule.problem = problem or ("its name hangs on what a command prints" if self.holes.of(target) else "")
            rule.is_double = kind == ":"
            rule.needs, rule.order = tuple(self.names(usual)), tuple(self.names(order))
            if pattern.strip():
                self._make_static(rule, self.names(pattern))
            if kind == "&" or "%" in target:
                rule.siblings = tuple(targets)
            if inline is not None:
                rule.lines, rule.has_recipe = [RuleLine(inline, at)], True
            made.append(rule)
        self._remember(made)

    def _remember(self, made: list[Rule]) -> None:
        self.expander.budget.spend(sum(20 + len(rule.needs) for rule in made))
        if len(self.rules) + len(made) > MAX_RULES:
            raise too_large(self.path, f"it has more than {MAX_RULES:,} rules")
        self.rules += made
        self._current = made

    def _make_static(self, rule: Rule, patterns: list[str]) -> None:
        from stepwave.core.importing.make_functions import stem_of

        for pattern in patterns:
            stem = stem_of(pattern, rule.target)
            if stem is not None:
                rule.stem = stem
                rule.needs = tuple(name.replace("%", stem, 1) for name in rule.needs)
                rule.order = tuple(name.replace("%", stem, 1) for name in rule.order)
                return
        self.note(rule.at, f"target `{rule.target}` does not fit the pattern of its rule")
        rule.needs = rule.order = ()


_define = re.compile(
    r"\s*(?:override\s+|export\s+)*define\s+(?P<name>.*?)\s*(?P<sign>:{1,3}=|\+=|\?=|!=|=)?\s*(?:#.*)?$"
)
_condition = re.compile(r"(ifn?eq|ifn?def)\b")


def _appended(waiting: list[Logical], line: Logical) -> list[Logical]:
    waiting.append(line)
    return waiting


def assignment(text: str) -> Setting | None:
    """`NAME = text`, with any of the signs; None when the line is something else."""
    at = find_outside(text, "=:")
    if at < 0:
        return None
    if text[at] == "=":
        sign = text[at - 1 : at + 1] if at and text[at - 1] in "?+!" else "="
        return Setting(text[: at + 1 - len(sign)].strip(), sign, text[at + 1 :].lstrip()) if at else None
    colons = re.compile(r":{1,3}=").match(text, at)
    return Setting(text[:at].strip(), ":=", text[colons.end() :].lstrip()) if colons else None


def _sides(text: str) -> tuple[str, str]:
    """What `ifeq` compares: `(a,b)`, `"a" "b"`. Raises Unsayable."""
    if text.startswith("(") and text.rstrip().endswith(")"):
        from stepwave.core.importing.make_functions import arguments

        inner = arguments(text.rstrip()[1:-1], "(", 2)
        if len(inner) == 2:
            return inner[0].strip(), inner[1].strip()
    match = re.fullmatch(r"""("[^"]*"|'[^']*')\s*("[^"]*"|'[^']*')\s*""", text)
    if match is None:
        raise Unsayable("it is not written as a condition")
    return match[1][1:-1], match[2][1:-1]
