"""A justfile → its recipes, variables and settings, as they are written."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from stepwave.core.importing.flow import Note, Surroundings, bad_source
from stepwave.core.importing.just_expressions import next_token

MAX_INCLUDED = 200
MAX_LINES = 100
"""Lines that one variable or the head of one recipe may have."""


class Parameter(NamedTuple):
    """`default` is an expression, or None. `many`: `+` and `*` take all that is left; `*` may be nothing."""

    name: str
    default: str | None = None
    many: str = ""
    is_exported: bool = False


class Dependency(NamedTuple):
    """`args` are expressions."""

    name: str
    args: tuple[str, ...] = ()


class Recipe(NamedTuple):
    name: str
    line: int
    parameters: tuple[Parameter, ...]
    before: tuple[Dependency, ...]
    after: tuple[Dependency, ...]
    body: tuple[str, ...]
    attributes: tuple[str, ...]


class Justfile:
    """`settings` by name, as they are written; `variables` are expressions."""

    def __init__(self, path: str, around: Surroundings) -> None:
        self.path = path
        self.around = around
        self.recipes: dict[str, list[Recipe]] = {}
        self.variables: dict[str, str] = {}
        self.exported: list[str] = []
        self.settings: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.notes: list[Note] = []
        self._included: set[str] = set()

    def read(self, text: str, file: str = "") -> None:
        lines = text.replace("\r\n", "\n").split("\n")
        n, attributes = 0, list[str]()
        while n < len(lines):
            line, start = lines[n], n
            n += 1
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if line[0] in " \t":
                raise bad_source(self.path, 0 if file else n, "an indented line belongs to no recipe")
            while n < len(lines) and n - start < MAX_LINES and len(line) < 20_000 and not _is_complete(line):
                line += "\n" + lines[n]
                n += 1
            if line.startswith("["):
                attributes += _attributes(line)
                continue
            if not self._statement(line, file, start + 1):
                end = _end_of_body(lines, n)
                self._recipe(line, lines[n:end], tuple(attributes), file, start + 1)
                n = end
            attributes = []

    def _statement(self, line: str, file: str, number: int) -> bool:
        """Whether it was one: anything but a recipe."""
        if match := _setting.match(line):
            self.settings[match[1]] = (match[2] or "true").strip()
        elif match := re.match(r"alias\s+([\w-]+)\s*:=\s*([\w:-]+)", line):
            self.aliases[match[1]] = match[2]
        elif match := re.match(r"unexport\s+([\w-]+)", line):
            self.notes.append(
                Note(number, f"`unexport {match[1]}` has no equivalent", "`env: {NAME: null}` of a step", file)
            )
        elif match := _import.match(line):
            self._import(match[2], match[1] == "?", number, file)
        elif match := re.match(r"mod\??\s+([\w-]+)", line):
            self.notes.append(
                Note(number, f"module `{match[1]}` is not taken over", "import its justfile on its own", file)
            )
        elif match := re.match(r"(export\s+|eager\s+)?([A-Za-z_][\w-]*)\s*:=", line):
            self.variables[match[2]] = line[match.end() :]
            if (match[1] or "").startswith("export"):
                self.exported.append(match[2])
        else:
            return False
        return True

    def _import(self, path: str, may_be_missing: bool, number: int, file: str) -> None:
        name = path.removeprefix("./")
        text = self.around.read(name) if len(self._included) < MAX_INCLUDED else None
        if name in self._included:
            return
        self._included.add(name)
        if text is not None:
            self.read(text, name)
        elif not may_be_missing:
            self.notes.append(Note(number, f"`import '{path}'`: there is no such file", "", file))

    def _recipe(self, head: str, body: Sequence[str], attributes: tuple[str, ...], file: str, number: int) -> None:
        match = re.match(r"@?([A-Za-z_][\w-]*)", head)
        if match is None:
            raise bad_source(
                self.path, 0 if file else number, "a line is neither a recipe, nor a variable, nor a setting"
            )
        parameters, at = _parameters(head, match.end())
        if parameters is None or next_token(head, at).text != ":":
            raise bad_source(self.path, 0 if file else number, f"recipe `{match[1]}` cannot be read")
        before, after = _dependencies(head[next_token(head, at).end :])
        recipe = Recipe(match[1], number, parameters, before, after, _without_indent(body), attributes)
        self.recipes.setdefault(match[1], []).append(recipe)


_setting = re.compile(r"set\s+([a-z-]+)\s*(?::=\s*(.*))?$", re.DOTALL)
_import = re.compile(r"import(\??)\s+['\"]([^'\"]+)['\"]")


def _is_complete(line: str) -> bool:
    """Whether brackets and long texts are closed; a backslash at the end goes on."""
    if line.endswith("\\"):
        return False
    at, depth = 0, 0
    while (token := next_token(line, at)).kind != "end":
        if token.kind == "odd":
            return token.text not in ("'", '"', "`") or not line[at:].lstrip().startswith(("'''", '"""', "```"))
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(token.text, 0) if token.kind == "sign" else 0
        at = token.end
    return depth <= 0


def _attributes(line: str) -> list[str]:
    """`[private, group('x')]`: each by itself."""
    inner = line.strip().removeprefix("[").partition("]")[0] if "]" in line else ""
    found: list[str] = []
    part, depth = "", 0
    for char in inner:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            found.append(part.strip())
            part = ""
        else:
            part += char
    return [*found, part.strip()]


def _end_of_body(lines: Sequence[str], start: int) -> int:
    end = n = start
    while n < len(lines) and (not lines[n].strip() or lines[n][0] in " \t"):
        n += 1
        if lines[n - 1].strip():
            end = n
    return end


def _without_indent(body: Sequence[str]) -> tuple[str, ...]:
    used = [line for line in body if line.strip()]
    indent = used[0][: len(used[0]) - len(used[0].lstrip(" \t"))] if used else ""
    return tuple(line.removeprefix(indent) if line.startswith(indent) else line.lstrip(" \t") for line in body)


def _parameters(head: str, at: int) -> tuple[tuple[Parameter, ...] | None, int]:
    found: list[Parameter] = []
    while True:
        match = re.compile(r"\s*([+*]?)(\$?)([A-Za-z_][\w-]*)").match(head, at)
        if match is None:
            return tuple(found), at
        at = match.end()
        default = None
        if head[at : at + 1] == "=":
            end = _end_of_value(head, at + 1)
            if end is None:
                return None, at
            default, at = head[at + 1 : end], end
        found.append(Parameter(match[3], default, match[1], match[2] == "$"))


def _end_of_value(head: str, at: int) -> int | None:
    """Behind one value: a text, a name, a call, something in round brackets."""
    token = next_token(head, at)
    if token.kind in ("string", "ticks"):
        return token.end
    if token.kind == "name":
        return _closing(head, token.end) if head[token.end : token.end + 1] == "(" else token.end
    return _closing(head, token.end - 1) if token.text == "(" else None


def _closing(text: str, at: int) -> int | None:
    depth = 0
    while (token := next_token(text, at)).kind not in ("end", "odd"):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "sign" else 0
        at = token.end
        if depth == 0:
            return at
    return None


def _dependencies(text: str) -> tuple[tuple[Dependency, ...], tuple[Dependency, ...]]:
    """Those that run before, and those behind `&&`."""
    found: tuple[list[Dependency], list[Dependency]] = ([], [])
    at, which = 0, 0
    while (token := next_token(text, at)).kind != "end":
        if token.text == "&&":
            which = 1
        elif token.kind == "name":
            found[which].append(Dependency(token.text))
        elif token.text == "(" and (end := _closing(text, token.end - 1)) is not None:
            inside = text[token.end : end - 1]
            name = next_token(inside, 0)
            found[which].append(Dependency(name.text, _values(inside, name.end)))
            at = end
            continue
        at = token.end
    return tuple(found[0]), tuple(found[1])


def _values(text: str, at: int) -> tuple[str, ...]:
    """Expressions beside each other: a sign joins two values, blanks part them."""
    found: list[str] = []
    joins = False
    while (token := next_token(text, at)).kind != "end":
        if token.kind == "sign" and token.text in ("+", "/") and found:
            found[-1] += f" {token.text} "
            joins, at = True, token.end
            continue
        end = _end_of_value(text, at) or token.end
        if joins:
            found[-1] += text[at:end]
        else:
            found.append(text[at:end])
        joins, at = False, end
    return tuple(found)
