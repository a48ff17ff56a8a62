"""Variables and functions of make. Nothing is executed: what only a run can know becomes a hole (see `holes`).

Rule 1: what an expansion costs is counted (`Budget`), and so is how deep it goes.
Rule 2: the caller's environment is not looked at. What the file does not define stays a variable of the environment.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from stepwave.core.importing import make_functions as functions
from stepwave.core.importing.flow import Surroundings, too_large
from stepwave.core.importing.holes import Holes, Unsayable
from stepwave.core.importing.make_lines import closing

MAX_COST = 20_000_000
"""Characters that are looked at for all expansions of a file together."""
MAX_DEPTH = 60

default_variables = {
    "AR": "ar", "ARFLAGS": "-rv", "AS": "as", "CC": "cc", "CXX": "g++", "CPP": "$(CC) -E", "FC": "f77", "LD": "ld",
    "LEX": "lex", "YACC": "yacc", "RM": "rm -f", "MAKE": "make", "SHELL": "/bin/sh", "MAKE_COMMAND": "make",
    "MAKEFLAGS": "", "MFLAGS": "", "MAKEOVERRIDES": "", "MAKELEVEL": "0", "MAKE_VERSION": "4.4",
    "TEXI2DVI": "texi2dvi", "MAKEINFO": "makeinfo", "TANGLE": "tangle", "WEAVE": "weave", "GET": "get", "CO": "co",
    "OUTPUT_OPTION": "-o $@", "COMPILE.c": "$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c",
    "COMPILE.cc": "$(CXX) $(CXXFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c",
    "LINK.o": "$(CC) $(LDFLAGS) $(TARGET_ARCH)", "LINK.c": "$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $(TARGET_ARCH)",
    "LINK.cc": "$(CXX) $(CXXFLAGS) $(CPPFLAGS) $(LDFLAGS) $(TARGET_ARCH)", "MAKE_HOST": "", "MAKE_TERMOUT": "",
    "MAKE_TERMERR": "", "MAKE_RESTARTS": "", ".FEATURES": "", ".INCLUDE_DIRS": "", "MAKEFILES": "", "VPATH": "",
}  # fmt: skip


class Variable(NamedTuple):
    """`problem`: it cannot be worked out; whoever asks for it gets to know why."""

    text: str
    is_recursive: bool = True
    origin: str = "file"
    problem: str = ""


class Budget:
    """How much work a file may still make."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._left = MAX_COST

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise too_large(self._path, "its variables and functions expand to more text than anybody could read")


class Expander:
    """The variables of a Makefile, and the text that they make of a text."""

    def __init__(self, holes: Holes, around: Surroundings, budget: Budget, values: Mapping[str, str]) -> None:
        self.holes = holes
        self.around = around
        self.budget = budget
        self.variables = {name: Variable(text, origin="default") for name, text in default_variables.items()}
        self.variables["CURDIR"] = Variable(holes.variable("PWD"), False)
        self.variables |= {name: Variable(text, origin="command line") for name, text in values.items()}
        self.evaluate: Callable[[str], None] = lambda text: None
        self._open: list[str] = []

    # --- variables ----------------------------------------------------------------------------------------------------

    def assign(self, name: str, sign: str, text: str, *, is_override: bool = False) -> None:
        """`sign`: `=`, `:=` (also `::=`, `:::=`), `?=`, `+=`, `!=`. The command line wins, as it does with make."""
        known = self.variables.get(name)
        if known and known.origin == "command line" and not is_override:
            return
        if sign == "?=" and known:
            return
        if sign == "+=" and known:
            self._append(name, known, text)
        elif sign == "!=":
            self.variables[name] = self._settled(f"$(shell {text})")
        elif ":" in sign:
            self.variables[name] = self._settled(text)
        else:
            self.variables[name] = Variable(text)

    def _append(self, name: str, known: Variable, text: str) -> None:
        if not known.is_recursive:
            more = self._settled(text)
            known = known._replace(problem=known.problem or more.problem)
            text = more.text
        self.budget.spend(len(text) + len(known.text) // 64)
        joined = f"{known.text} {text}" if known.text else text
        self.variables[name] = known._replace(text=joined, origin="file")

    def _settled(self, text: str) -> Variable:
        try:
            return Variable(self.expand(text), is_recursive=False)
        except Unsayable as problem:
            return Variable("", is_recursive=False, problem=str(problem))

    def _lookup(self, name: str, local: Mapping[str, str], depth: int) -> str:
        if name in local:
            return local[name]
        if len(name) == 2 and name[0] in local and name[1] in "DF":
            return functions.part_of_names(local[name[0]], name[1])
        known = self.variables.get(name)
        if known is None:
            return self.holes.variable(name) if re.fullmatch(r"[A-Za-z_]\w{0,100}", name) else ""
        if known.problem:
            raise Unsayable(known.problem)
        if not known.is_recursive:
            self.budget.spend(len(known.text))
            return known.text
        if name in self._open:
            raise Unsayable(f"the variable `{name[:60]}` refers to itself")
        self._open.append(name)
        try:
            return self.expand(known.text, local, depth + 1)
        finally:
            self._open.pop()

    # --- texts --------------------------------------------------------------------------------------------------------

    def expand(self, text: str, local: Mapping[str, str] = {}, depth: int = 0) -> str:
        """The text with everything filled in. Raises Unsayable."""
        if depth > MAX_DEPTH:
            raise Unsayable(f"variables are nested more than {MAX_DEPTH} levels deep")
        self.budget.spend(len(text) + 8)
        if "$" not in text:
            return text
        parts, at = [], 0
        while (sign := text.find("$", at)) >= 0:
            parts.append(text[at:sign])
            following = text[sign + 1 : sign + 2]
            if following in ("(", "{") and following:
                end = closing(text, sign + 1)
                if end < 0:
                    raise Unsayable("a reference to a variable is not closed")
                parts.append(self._reference(text[sign + 2 : end], following, local, depth))
                at = end + 1
            else:
                parts.append("$" if following in ("$", "") else self._lookup(following, local, depth))
                at = sign + 2
        whole = "".join((*parts, text[at:]))
        self.budget.spend(len(whole))
        return whole

    def _reference(self, body: str, opener: str, local: Mapping[str, str], depth: int) -> str:
        called = _call.match(body)
        if called:
            return self._function(called[1], body[called.end() :], opener, local, depth)
        name = self.expand(body, local, depth + 1)
        head, colon, change = name.partition(":")
        if colon and "=" in change:
            old, _, new = change.partition("=")
            pattern = (old, new) if "%" in old else (f"%{old}", f"%{new}")
            text = self.words(self._lookup(head, local, depth))
            self.budget.spend(functions.growth("patsubst", [*pattern, text]))
            return functions.patsubst(*pattern, text)
        return self._lookup(name, local, depth)

    def words(self, text: str) -> str:
        """A text that a function reads word by word: of the environment nothing is known, of commands even less."""
        text = self.holes.without_variables(text) if self._has_more_than_folder(text) else text
        if commands := self.holes.commands_in(text):
            raise Unsayable(f"a function reads what `$(shell {self.holes.shown(commands[0])[:80]})` prints")
        return text

    def _has_more_than_folder(self, text: str) -> bool:
        return any(hole.text != "PWD" for hole in self.holes.of(text))

    # --- functions ----------------------------------------------------------------------------------------------------

    def _function(self, name: str, rest: str, opener: str, local: Mapping[str, str], depth: int) -> str:
        count, _ = functions.known[name]
        args = functions.arguments(rest.lstrip(" \t"), opener, count)
        if name in _lazy:
            found: str = getattr(self, f"_{name}")(args, local, depth + 1)
            return found
        values = [self.expand(arg, local, depth + 1) for arg in args]
        if name in _own:
            own: str = getattr(self, f"_{name}")(values)
            return own
        function = functions.known[name][1]
        if function is None:
            raise Unsayable(f"`$({name} …)` has no equivalent")
        if name != "strip":
            values = [self.words(value) for value in values]
        values += [""] * (functions.least.get(name, 1) - len(values))
        self.budget.spend(sum(map(len, values)) + functions.growth(name, values))
        return function(*values)

    def _if(self, args: list[str], local: Mapping[str, str], depth: int) -> str:
        holds = self.words(self.expand(args[0].strip(), local, depth)).strip()
        chosen = args[1:2] if holds else args[2:3]
        return self.expand(chosen[0], local, depth) if chosen else ""

    def _or(self, args: list[str], local: Mapping[str, str], depth: int) -> str:
        for arg in args:
            if value := self.words(self.expand(arg.strip(), local, depth)):
                return value
        return ""

    def _and(self, args: list[str], local: Mapping[str, str], depth: int) -> str:
        value = ""
        for arg in args:
            value = self.words(self.expand(arg.strip(), local, depth))
            if not value:
                return ""
        return value

    def _foreach(self, args: list[str], local: Mapping[str, str], depth: int) -> str:
        if len(args) < 3:
            return ""
        name = self.expand(args[0], local, depth).strip()
        items = self.words(self.expand(args[1], local, depth)).split()
        return " ".join(self.expand(args[2], {**local, name: item}, depth) for item in items)

    def _call(self, args: list[str], local: Mapping[str, str], depth: int) -> str:
        name, *values = (self.expand(arg, local, depth) for arg in args)
        name = name.strip()
        if name in functions.known:
            return self._function(name, ",".join(value.replace("$", "$$") for value in values), "(", local, depth)
        known = self.variables.get(name)
        if known is None or known.problem:
            return self._lookup(name, local, depth) if known else ""
        numbered = {str(n): value for n, value in enumerate(values, 1)}
        empty = {str(n): "" for n in range(len(values) + 1, 10)}
        return self.expand(known.text, {**local, **empty, **numbered, "0": name}, depth)

    def _eval(self, args: list[str], local: Mapping[str, str], depth: int) -> str:
        self.evaluate(self.expand(",".join(args), local, depth))
        return ""

    def _value(self, values: list[str]) -> str:
        known = self.variables.get(values[0].strip())
        return known.text if known else ""

    def _origin(self, values: list[str]) -> str:
        known = self.variables.get(values[0].strip())
        return known.origin if known else "undefined"

    def _flavor(self, values: list[str]) -> str:
        known = self.variables.get(values[0].strip())
        return "undefined" if known is None else "recursive" if known.is_recursive else "simple"

    def _wildcard(self, values: list[str]) -> str:
        found: list[str] = []
        for pattern in self.relative(self.words(values[0])).split():
            found += self.around.matches(pattern)
            self.budget.spend(100 + 20 * len(found))
        return " ".join(found)

    def _shell(self, values: list[str]) -> str:
        command = ",".join(values).strip()
        known = {
            "pwd": self.holes.variable("PWD"), "uname": self.around.system, "uname -s": self.around.system,
            "uname -m": self.around.machine,
        }  # fmt: skip
        return known.get(" ".join(command.split())) or (self.holes.command(command) if command else "")

    def _abspath(self, values: list[str]) -> str:
        here = self.holes.variable("PWD")
        relative = self.relative(self.words(values[0])).split()
        return " ".join(functions.absolute(here, name) for name in relative)

    def _realpath(self, values: list[str]) -> str:
        there = [name for name in self.relative(self.words(values[0])).split() if self.around.exists(name)]
        return " ".join(functions.absolute(self.holes.variable("PWD"), name) for name in there)

    def _error(self, values: list[str]) -> str:
        raise Unsayable(f"it ends with an error of its own: {','.join(values)[:100]}")

    def relative(self, text: str) -> str:
        """Paths as they are from the folder of the Makefile on."""
        here = self.holes.variable("PWD")
        return text.replace(f"{here}/", "").replace(here, ".")


_lazy = frozenset(("if", "or", "and", "foreach", "call", "eval"))
_own = frozenset(("value", "origin", "flavor", "wildcard", "shell", "abspath", "realpath", "error"))
_call = re.compile(rf"({'|'.join(sorted(functions.known, key=len, reverse=True))})(?:[ \t]|$(?!\n))")
