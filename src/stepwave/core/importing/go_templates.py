"""Go templates as Taskfiles use them: `{{.NAME}}`, pipelines, the usual functions, `if` and `range`.

Rule 1: nothing is executed; a variable that a command gives is a hole. What a hole would decide raises `Unsayable`.
Rule 2: a name that nothing defines is a variable of the environment.
"""

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from stepwave.core.importing.flow import Surroundings
from stepwave.core.importing.holes import Holes, Kind, Unsayable

MAX_TEXT = 1 << 20
MAX_DEPTH = 30
MAX_WORK = 200_000

Any_ = Any
"""A text, a boolean, a number, a list or a mapping of these."""


class World(NamedTuple):
    """What templates may ask for besides their variables."""

    holes: Holes
    around: Surroundings


class Action(NamedTuple):
    """`{{text}}`, or text outside when `text` is None."""

    text: str | None
    literal: str = ""


def fill(text: str, variables: Mapping[str, Any_], world: World) -> str:
    """The text with its templates worked out. Raises Unsayable."""
    if "{{" not in text:
        return text
    actions = _cut(text)
    done, end = _Filling(actions, variables, world).block(0, True)
    if end < len(actions):
        raise Unsayable(f"`{{{{{actions[end].text}}}}}` has no beginning")
    return done


_action = re.compile(r"""\{\{(-\s)?((?:"(?:\\.|[^"\\])*"|`[^`]*`|[^"`}]|\}(?!\}))*?)(\s-)?\}\}""", re.DOTALL)


def _cut(text: str) -> list[Action]:
    actions, at, strips = [], 0, False
    while (start := text.find("{{", at)) >= 0:
        match = _action.match(text, start)
        if match is None:
            raise Unsayable(f"`{text[start : start + 60]}` is not closed")
        literal = text[at:start]
        literal = literal.lstrip() if strips else literal
        actions.append(Action(None, literal.rstrip() if match[1] else literal))
        actions.append(Action(match[2].strip()))
        at, strips = match.end(), match[3] is not None
    actions.append(Action(None, text[at:].lstrip() if strips else text[at:]))
    return actions


class _Filling:
    def __init__(self, actions: Sequence[Action], variables: Mapping[str, Any_], world: World) -> None:
        self.actions = actions
        self.variables = variables
        self.world = world
        self.local: dict[str, Any_] = {}
        self.work = 0
        self.size = 0

    def block(self, at: int, taken: bool, depth: int = 0, dot: Any_ = None) -> tuple[str, int]:
        """The text up to `end` or `else`, which is where it stops; without one, to the last action."""
        parts: list[str] = []
        if depth > MAX_DEPTH:
            raise Unsayable("templates are nested too deep")
        while at < len(self.actions):
            self.work += 1
            action = self.actions[at]
            self.size += len(parts[-1]) if parts else 0
            if self.work > MAX_WORK or self.size > MAX_TEXT:
                raise Unsayable("its templates make more text than anybody could read")
            if action.text is None:
                parts.append(action.literal if taken else "")
                at += 1
                continue
            word = action.text.split(None, 1)[0] if action.text else ""
            if word in ("end", "else"):
                break
            if word in ("if", "range", "with"):
                made, at = self._nested(word, at, taken, depth, dot)
                parts.append(made)
            else:
                if taken and not action.text.startswith("/*"):
                    parts.append(self._action(action.text, dot))
                at += 1
        return "".join(parts), at

    def _action(self, text: str, dot: Any_) -> str:
        assigned = re.match(r"(\$\w+)\s*:?=\s*", text)
        if assigned:
            self.local[assigned[1]] = self._value(text[assigned.end() :], dot)
            return ""
        return as_text(self._value(text, dot))

    def _nested(self, word: str, at: int, taken: bool, depth: int, dot: Any_) -> tuple[str, int]:
        head = (self.actions[at].text or "").removeprefix(word).strip()
        value = self._value(head, dot) if taken and not (word == "range" and "=" in head) else None
        if taken and word == "range":
            return self._range(head, at, depth, dot)
        holds = taken and self._truth(value)
        made, at = self.block(at + 1, holds, depth + 1, value if word == "with" else dot)
        while at < len(self.actions) and (text := self.actions[at].text or "").startswith("else"):
            rest = text.removeprefix("else").strip()
            chosen = taken and not holds and (not rest or self._truth(self._value(rest.removeprefix("if"), dot)))
            more, at = self.block(at + 1, chosen, depth + 1, dot)
            made, holds = made + more, holds or chosen
        return made, self._past_end(at)

    def _past_end(self, at: int) -> int:
        if at >= len(self.actions):
            raise Unsayable("an `end` is missing")
        return at + 1

    def _range(self, head: str, at: int, depth: int, dot: Any_) -> tuple[str, int]:
        named = re.match(r"(?:(\$\w+)\s*,\s*)?(\$\w+)\s*:=\s*", head)
        items = self._value(head[named.end() :] if named else head, dot)
        pairs = (
            list(items.items())
            if isinstance(items, dict)
            else list(enumerate(items if isinstance(items, list) else []))
        )
        parts = []
        _, end = self.block(at + 1, False, depth + 1, dot)
        for key, item in pairs:
            if named:
                self.local[named[2]] = item
                if named[1]:
                    self.local[named[1]] = key
            parts.append(self.block(at + 1, True, depth + 1, item)[0])
        if end < len(self.actions) and (self.actions[end].text or "").startswith("else"):
            raise Unsayable("`range … else` has no equivalent")
        return "".join(parts), self._past_end(end)

    def _truth(self, value: Any_) -> bool:
        return truth(value, self.world.holes)

    def _value(self, text: str, dot: Any_) -> Any_:
        return _Pipeline(text, {**self.variables, **self.local}, dot, self.world).value()


def truth(value: Any_, holes: Holes) -> bool:
    if isinstance(value, str):
        value = holes.without_variables(value)
        if any(hole.kind is Kind.COMMAND for hole in holes.of(value)):
            raise Unsayable("something is decided by what a command prints")
    return bool(value)


def as_text(value: Any_) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{' '.join(map(as_text, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{as_text(one)}' for key, one in sorted(value.items()))}]"
    return "" if value is None else str(value)


_token = re.compile(
    r"""\s+|(?P<string>"(?:\\.|[^"\\])*"|`[^`]*`)|(?P<number>-?[0-9]+(?:\.[0-9]+)?)|(?P<variable>\$\w*)"""
    r"""|(?P<field>(?:\.[A-Za-z_]\w*)+)|(?P<dot>\.)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[|()])"""
)


class _Pipeline:
    """One pipeline, evaluated as it is read."""

    def __init__(self, text: str, variables: Mapping[str, Any_], dot: Any_, world: World) -> None:
        self.text = text
        self.variables = variables
        self.dot = dot
        self.world = world
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            match = _token.match(text, at)
            if match is None or len(self.tokens) > 2000:
                raise Unsayable(f"the template `{text[:60]}` cannot be read")
            if match.lastgroup:
                self.tokens.append((match.lastgroup, match[0]))
            at = match.end()
        self.at = 0
        self.depth = 0

    def value(self) -> Any_:
        value = self._pipe()
        if self.at < len(self.tokens):
            raise Unsayable(f"the template `{self.text[:60]}` cannot be read")
        return value

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def _pipe(self) -> Any_:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unsayable("a template is nested too deep")
        value = self._command(())
        while self._peek() == ("sign", "|"):
            self.at += 1
            value = self._command((value,))
        self.depth -= 1
        return value

    def _command(self, piped: tuple[Any_, ...]) -> Any_:
        kind, text = self._peek()
        if kind == "name" and text not in ("true", "false", "nil"):
            self.at += 1
            args = []
            while self._peek()[0] != "end" and self._peek() not in (("sign", "|"), ("sign", ")")):
                args.append(self._operand())
            return self._call(text, (*args, *piped))
        value = self._operand()
        if piped or self._peek()[0] not in ("end", "sign") or self._peek()[1] == "(":
            raise Unsayable(f"the template `{self.text[:60]}` cannot be read")
        return value

    def _operand(self) -> Any_:  # noqa: PLR0911 - one for each kind
        kind, text = self._peek()
        self.at += 1
        if kind == "string":
            return (
                text[1:-1]
                if text[0] == "`"
                else re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), text[1:-1])
            )
        if kind == "number":
            return int(text) if len(text) < 10 and "." not in text else text
        if kind == "dot":
            return self.dot
        if kind == "name":
            return (
                {"true": True, "false": False, "nil": None}[text]
                if text in ("true", "false", "nil")
                else self._call(text, ())
            )
        if kind == "variable":
            found = self.variables.get(text)
            kind, path = self._peek()
            if kind == "field":
                self.at += 1
                return _lead(found, path[1:].split("."))
            return found
        if kind == "field":
            return self._field(text[1:].split("."))
        if (kind, text) == ("sign", "("):
            value = self._pipe()
            if self._peek() == ("sign", ")"):
                self.at += 1
                return value
        raise Unsayable(f"the template `{self.text[:60]}` cannot be read")

    def _field(self, path: list[str]) -> Any_:
        if isinstance(self.dot, dict):
            return _lead(self.dot, path)
        if path[0] in self.variables:
            value = self.variables[path[0]]
            if isinstance(value, Missing):
                raise Unsayable(value.reason)
            return _lead(value, path[1:])
        return self.world.holes.variable(path[0]) if len(path) == 1 else ""

    def _call(self, name: str, args: tuple[Any_, ...]) -> Any_:
        holes = self.world.holes
        if name in ("default", "coalesce", "and", "or", "not", "ternary", "empty", "if"):
            return self._choose(name, args)
        constant = {
            "OS": {"Linux": "linux", "Darwin": "darwin"}.get(self.world.around.system, ""),
            "ARCH": {"x86_64": "amd64", "aarch64": "arm64"}.get(self.world.around.machine, self.world.around.machine),
            "exeExt": "", "numCPU": holes.command("getconf _NPROCESSORS_ONLN"),
        }  # fmt: skip
        if name in constant:
            return constant[name]
        if name == "env" and args:
            return holes.variable(str(args[0])) if re.fullmatch(r"[A-Za-z_]\w*", str(args[0])) else ""
        function = functions.get(name)
        if function is None:
            raise Unsayable(f"the function `{name[:40]}` of templates has no equivalent")
        known = [holes.without_variables(arg) if isinstance(arg, str) and name in _deciding else arg for arg in args]
        if any(hole.kind is Kind.COMMAND for arg in known if isinstance(arg, str) for hole in holes.of(arg)):
            raise Unsayable(f"the function `{name[:40]}` of templates reads what a command prints")
        try:
            return function(*known)
        except (TypeError, ValueError, AttributeError, IndexError, KeyError):
            raise Unsayable(f"the function `{name[:40]}` of templates is not called as it wants to be") from None

    def _choose(self, name: str, args: tuple[Any_, ...]) -> Any_:
        holes = self.world.holes
        if name == "default" and len(args) == 2:
            fallback, value = args
            variables = (
                [hole for hole in holes.of(value) if hole.kind is Kind.VARIABLE] if isinstance(value, str) else []
            )
            if len(variables) == 1 and len(value) == 1 and isinstance(fallback, str) and not holes.of(fallback):
                text = re.sub(r'(["\\`$}])', r"\\\1", fallback)
                return holes.command(f'printf %s "${{{variables[0].text}:-{text}}}"')
            return value if truth(value, holes) else fallback
        if name in ("coalesce", "or"):
            return next((arg for arg in args if truth(arg, holes)), args[-1] if args else "")
        if name == "and":
            return next((arg for arg in args if not truth(arg, holes)), args[-1] if args else "")
        if name == "ternary" and len(args) == 3:
            return args[0] if truth(args[2], holes) else args[1]
        if name in ("not", "empty") and len(args) == 1:
            return not truth(args[0], holes)
        raise Unsayable(f"the function `{name}` of templates is not called as it wants to be")


class Missing(NamedTuple):
    """In place of a value that cannot be worked out."""

    reason: str


def _lead(value: Any_, path: Sequence[str]) -> Any_:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _replace(old: str, new: str, text: str) -> str:
    if text.count(old) * len(new) > MAX_TEXT:
        raise ValueError("too long")
    return text.replace(old, new)


def _printf(form: str, *args: Any_) -> str:
    left = list(args)
    return re.sub(r"%[svd]", lambda m: as_text(left.pop(0)), form)


def _quoted(text: Any_) -> str:
    return "'" + as_text(text).replace("'", "'\\''") + "'"


def _same(first: Any_, *others: Any_) -> bool:
    return any(as_text(first) == as_text(other) for other in others)


_deciding = frozenset(("eq", "ne", "contains", "hasPrefix", "hasSuffix", "len", "index", "splitList", "split"))
functions: dict[str, Callable[..., Any_]] = {
    "eq": _same,
    "ne": lambda a, b: not _same(a, b),
    "upper": lambda text: as_text(text).upper(),
    "lower": lambda text: as_text(text).lower(),
    "title": lambda text: as_text(text).title(),
    "trim": lambda text: as_text(text).strip(),
    "trimPrefix": lambda part, text: as_text(text).removeprefix(part),
    "trimSuffix": lambda part, text: as_text(text).removesuffix(part),
    "trimAll": lambda part, text: as_text(text).strip(part),
    "replace": _replace,
    "contains": lambda part, text: part in as_text(text),
    "hasPrefix": lambda part, text: as_text(text).startswith(part),
    "hasSuffix": lambda part, text: as_text(text).endswith(part),
    "quote": lambda text: '"' + as_text(text).replace("\\", "\\\\").replace('"', '\\"') + '"',
    "squote": lambda text: f"'{as_text(text)}'",
    "shellQuote": _quoted,
    "q": _quoted,
    "toString": as_text,
    "print": lambda *args: "".join(map(as_text, args)),
    "printf": _printf,
    "join": lambda sep, items: sep.join(map(as_text, items)),
    "splitList": lambda sep, text: text.split(sep),
    "splitLines": lambda text: as_text(text).splitlines(),
    "catLines": lambda text: " ".join(as_text(text).splitlines()),
    "list": lambda *args: list(args),
    "first": lambda items: items[0],
    "last": lambda items: items[-1],
    "len": len,
    "index": lambda items, key: items[key],
    "base": lambda path: posixpath.basename(as_text(path)),
    "osBase": lambda path: posixpath.basename(as_text(path)),
    "dir": lambda path: posixpath.dirname(as_text(path)) or ".",
    "osDir": lambda path: posixpath.dirname(as_text(path)) or ".",
    "ext": lambda path: posixpath.splitext(as_text(path))[1],
    "osExt": lambda path: posixpath.splitext(as_text(path))[1],
    "clean": lambda path: posixpath.normpath(as_text(path)),
    "joinPath": lambda *parts: posixpath.normpath("/".join(map(as_text, parts))),
    "toSlash": as_text,
    "fromSlash": as_text,
}
