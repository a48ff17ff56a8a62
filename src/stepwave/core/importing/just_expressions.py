"""Expressions of just. What a backtick prints and what the environment holds become holes; all else is worked out.

Rule 1: nothing is executed. Rule 2: what would need it where no hole can stand raises `Unsayable`.
"""

import posixpath
import re
import shlex
from collections.abc import Callable, Mapping
from typing import NamedTuple

from stepwave.core.importing.flow import Surroundings
from stepwave.core.importing.holes import Holes, Kind, Unsayable

MAX_DEPTH = 40
MAX_TEXT = 1 << 20


class Token(NamedTuple):
    kind: str
    text: str
    end: int


_token = re.compile(
    r"""(?P<space>(?:[ \t\r\n]|\\\n|\#[^\n]*)+)|(?P<ticks>```.*?```|`[^`]*`)"""
    r'''|(?P<string>[xf]?(?:"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\])*"|'[^']*'))'''
    r"""|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>==|!=|=~|!~|&&|\|\||[-+/(){},:=])""",
    re.DOTALL,
)


def next_token(text: str, at: int) -> Token:
    """The token at an offset, behind blanks; of kind `end` where there is none, `odd` for what is no token."""
    match = _token.match(text, at)
    while match and match.lastgroup == "space":
        at = match.end()
        match = _token.match(text, at)
    if match:
        return Token(str(match.lastgroup), match[0], match.end())
    return Token("end", "", at) if at >= len(text) else Token("odd", text[at], at + 1)


class Scope:
    """What names stand for: variables of the file, worked out when they are asked for, and parameters of a recipe."""

    def __init__(self, holes: Holes, around: Surroundings, given: Mapping[str, str]) -> None:
        self.holes = holes
        self.around = around
        self.written: dict[str, str] = {}
        self.values: dict[str, str] = dict(given)
        self.given = frozenset(given)
        self._open: set[str] = set()
        self.left = 5_000_000

    def value(self, name: str, local: Mapping[str, str]) -> str:
        if name in local:
            return local[name]
        if name in self.values:
            return self.values[name]
        if name not in self.written:
            raise Unsayable(f"there is no variable `{name[:60]}`")
        if name in self._open or len(self._open) > MAX_DEPTH:
            raise Unsayable(f"the variable `{name[:60]}` refers to itself")
        self._open.add(name)
        try:
            self.values[name] = evaluate(self.written[name], self, {})
        finally:
            self._open.discard(name)
        return self.values[name]

    def spend(self, text: str) -> str:
        self.left -= len(text) + 1
        if len(text) > MAX_TEXT or self.left < 0:
            raise Unsayable("its expressions make more text than anybody could read")
        return text


def evaluate(text: str, scope: Scope, local: Mapping[str, str]) -> str:
    """The value of an expression. Raises Unsayable."""
    value, end = evaluate_part(text, 0, scope, local)
    if next_token(text, end).kind != "end":
        raise Unsayable(f"`{text.strip()[:80]}` is no expression")
    return value


def evaluate_part(text: str, at: int, scope: Scope, local: Mapping[str, str]) -> tuple[str, int]:
    """The expression at an offset, as far as it goes, and where it ends. Raises Unsayable."""
    parser = _Parser(text, at, scope, local)
    return parser.expression(), parser.at


class _Parser:
    """Reads and evaluates in one go; a branch that is not taken is read without being evaluated (`quiet`)."""

    def __init__(self, text: str, at: int, scope: Scope, local: Mapping[str, str]) -> None:
        self.text = text
        self.at = at
        self.scope = scope
        self.local = local
        self.depth = 0
        self.quiet = 0

    def _peek(self) -> Token:
        return next_token(self.text, self.at)

    def _take(self, *signs: str) -> bool:
        token = self._peek()
        if token.text in signs and token.kind in ("sign", "name"):
            self.at = token.end
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise Unsayable(f"`{sign}` is missing in `{self.text.strip()[:80]}`")

    def expression(self) -> str:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unsayable(f"an expression is nested more than {MAX_DEPTH} levels deep")
        try:
            value = self._sum()
            while (token := self._peek()).text in ("&&", "||") and token.kind == "sign":
                self.at = token.end
                other = self._sum()
                chosen = other if bool(self._known(value)) == (token.text == "&&") else value
                value = chosen if token.text == "||" or self._known(value) else ""
            return value
        finally:
            self.depth -= 1

    def _sum(self) -> str:
        if self._take("/"):
            return "/" + self._sum()
        value = self._primary()
        while (token := self._peek()).kind == "sign" and token.text in "+/":
            self.at = token.end
            other = self._primary()
            value = self.scope.spend(value + other if token.text == "+" else f"{value.rstrip('/')}/{other}")
        return value

    def _primary(self) -> str:
        token = self._peek()
        self.at = token.end
        if token.kind == "string":
            return self._string(token.text)
        if token.kind == "ticks":
            command = token.text.strip("`").strip()
            return self.scope.holes.command(command) if not self.quiet else ""
        if token.text == "(":
            value = self.expression()
            self._expect(")")
            return value
        if token.kind != "name":
            raise Unsayable(f"`{self.text.strip()[:80]}` cannot be read")
        if token.text == "if":
            return self._choice()
        if self._take("("):
            return self._call(token.text)
        return "" if self.quiet else self.scope.spend(self.scope.value(token.text, self.local))

    def _string(self, text: str) -> str:
        if text[0] in "xf":
            raise Unsayable(f"the text `{text[:60]}` is filled in by just itself")
        if text.startswith(("'''", '"""')):
            body, is_raw = text[3:-3], text[0] == "'"
            lines = body.removeprefix("\n").split("\n") if body.startswith("\n") else body.split("\n")
            used = [line for line in lines if line.strip()]
            indent = min((len(line) - len(line.lstrip()) for line in used), default=0) if body.startswith("\n") else 0
            body = "\n".join(line[indent:] if line.strip() else "" for line in lines)
        else:
            body, is_raw = text[1:-1], text[0] == "'"
        return body if is_raw else re.sub(r"\\(u\{[0-9A-Fa-f]{1,6}\}|.)", _unescape, body, flags=re.DOTALL)

    def _choice(self) -> str:
        left = self.expression()
        token = self._peek()
        if token.text not in ("==", "!=", "=~", "!~"):
            raise Unsayable(f"`{self.text.strip()[:80]}` cannot be read")
        self.at = token.end
        right = self.expression()
        holds = not self.quiet and self._compare(left, token.text, right)
        self._expect("{")
        first = self._branch(holds)
        self._expect("}")
        self._expect("else")
        if self._take("if"):
            self.quiet += holds
            second = self._choice()
            self.quiet -= holds
        else:
            self._expect("{")
            second = self._branch(not holds)
            self._expect("}")
        return first if holds else second

    def _branch(self, taken: bool) -> str:
        self.quiet += not taken
        value = self.expression()
        self.quiet -= not taken
        return value

    def _known(self, text: str) -> str:
        """A value that something is decided by: of the environment nothing is known."""
        if self.quiet:
            return ""
        text = self.scope.holes.without_variables(text)
        if any(hole.kind is Kind.COMMAND for hole in self.scope.holes.of(text)):
            raise Unsayable("something is decided by what a command prints")
        return text

    def _compare(self, left: str, sign: str, right: str) -> bool:
        left, right = self._known(left), self._known(right)
        if sign in ("==", "!="):
            return (left == right) == (sign == "==")
        from stepwave.core.language.regexes import search

        try:
            return bool(search(right, left)) == (sign == "=~")
        except Exception:
            raise Unsayable(f"the pattern `{right[:60]}` cannot be searched for") from None

    def _call(self, name: str) -> str:
        args: list[str] = []
        while not self._take(")"):
            args.append(self.expression())
            if not self._take(","):
                if self._peek().text in ("==", "!=", "=~") and name == "assert":
                    raise Unsayable("`assert` has no equivalent")
                self._expect(")")
                break
        return "" if self.quiet else self.scope.spend(self._answer(name, args))

    def _answer(self, name: str, args: list[str]) -> str:  # noqa: PLR0911 - one for each kind
        holes = self.scope.holes
        if name in ("env", "env_var", "env_var_or_default") and args and re.fullmatch(r"[A-Za-z_]\w*", args[0]):
            if len(args) == 1:
                return holes.variable(args[0])
            return holes.command(f'printf %s "${{{args[0]}-{_in_quotes(args[1])}}}"')
        if name in ("quote",) and args and not holes.of(args[0]):
            return "'" + args[0].replace("'", "'\\''") + "'"
        if name == "shell" and args:
            return holes.command(" ".join(("sh", "-cu", *map(shlex.quote, args))) if len(args) > 1 else args[0])
        constant = self._constant(name)
        if constant is not None:
            return constant
        if name == "path_exists" and args:
            return "true" if self.scope.around.exists(self._known(args[0])) else "false"
        function = functions.get(name)
        if function is None:
            raise Unsayable(f"the function `{name[:40]}` has no equivalent")
        if any(hole.kind is Kind.COMMAND for arg in args for hole in holes.of(arg)):
            raise Unsayable(f"the function `{name[:40]}` reads what a command prints")
        try:
            return function(*args)
        except TypeError:
            raise Unsayable(f"the function `{name[:40]}` is not called as it wants to be") from None

    def _constant(self, name: str) -> str | None:
        around, holes = self.scope.around, self.scope.holes
        if name in ("justfile_directory", "justfile_dir", "invocation_directory", "invocation_dir", "source_directory"):
            return holes.variable("PWD")
        if name in ("which", "require"):
            return None
        known = {
            "os": {"Linux": "linux", "Darwin": "macos"}.get(around.system, around.system.lower()),
            "os_family": "unix", "just_executable": "just", "just_pid": None,
            "arch": {"arm64": "aarch64"}.get(around.machine, around.machine),
            "num_cpus": holes.command("getconf _NPROCESSORS_ONLN"),
            "home_directory": holes.variable("HOME"),
        }  # fmt: skip
        return known.get(name)


def _in_quotes(text: str) -> str:
    return re.sub(r'(["\\`$}])', r"\\\1", text)


_escapes = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "\n": ""}


def _unescape(match: re.Match[str]) -> str:
    text = match[1]
    if text.startswith("u{"):
        code = int(text[2:-1], 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000 or code == 0 or 0xF0000 <= code <= 0xFFFFD:
            raise Unsayable(f"`\\{text}` is no character")
        return chr(code)
    if text not in _escapes:
        raise Unsayable(f"`\\{text}` is no escape")
    return _escapes[text]


def _replace(text: str, old: str, new: str) -> str:
    if text.count(old) * len(new) > MAX_TEXT:
        raise Unsayable("`replace` makes too much text")
    return text.replace(old, new)


def _without_extension(path: str) -> str:
    return posixpath.splitext(path)[0]


functions: dict[str, Callable[..., str]] = {
    "uppercase": str.upper,
    "lowercase": str.lower,
    "capitalize": str.capitalize,
    "trim": lambda text: text.strip(),
    "trim_start": lambda text: text.lstrip(),
    "trim_end": lambda text: text.rstrip(),
    "trim_start_match": lambda text, part: text.removeprefix(part),
    "trim_end_match": lambda text, part: text.removesuffix(part),
    "replace": _replace,
    "append": lambda suffix, text: " ".join(word + suffix for word in text.split()),
    "prepend": lambda prefix, text: " ".join(prefix + word for word in text.split()),
    "join": posixpath.join,
    "parent_directory": posixpath.dirname,
    "parent_dir": posixpath.dirname,
    "file_name": posixpath.basename,
    "file_stem": lambda path: posixpath.basename(_without_extension(path)),
    "extension": lambda path: posixpath.splitext(path)[1].removeprefix("."),
    "without_extension": _without_extension,
    "clean": posixpath.normpath,
    "snakecase": lambda text: re.sub(r"[\s-]+", "_", text).lower(),
    "kebabcase": lambda text: re.sub(r"[\s_]+", "-", text).lower(),
}
