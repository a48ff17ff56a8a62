"""Expressions of GitHub Actions (`${{ … }}`) → expressions of stepwave.

What has no equivalent raises `Unsayable`. Equality of texts minds upper and lower case here, and does not there.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from stepwave.core.importing.holes import Unsayable

MAX_DEPTH = 40
MAX_LENGTH = 5_000

github_variables = {
    "ref": "GITHUB_REF", "ref_name": "GITHUB_REF_NAME", "ref_type": "GITHUB_REF_TYPE", "sha": "GITHUB_SHA",
    "event_name": "GITHUB_EVENT_NAME", "actor": "GITHUB_ACTOR", "repository": "GITHUB_REPOSITORY",
    "repository_owner": "GITHUB_REPOSITORY_OWNER", "run_id": "GITHUB_RUN_ID", "run_number": "GITHUB_RUN_NUMBER",
    "run_attempt": "GITHUB_RUN_ATTEMPT", "workflow": "GITHUB_WORKFLOW", "head_ref": "GITHUB_HEAD_REF",
    "base_ref": "GITHUB_BASE_REF", "server_url": "GITHUB_SERVER_URL", "api_url": "GITHUB_API_URL", "job": "GITHUB_JOB",
}  # fmt: skip
_functions = {
    "contains": ("contains", 2), "startswith": ("startsWith", 2), "endswith": ("endsWith", 2), "join": ("join", 2),
    "tojson": ("toJson", 1), "fromjson": ("fromJson", 1), "success": ("success", 0), "failure": ("failure", 0),
    "always": ("always", 0),
}  # fmt: skip


class Names(NamedTuple):
    """What names lead to. `env` has values that are known; `results` the step that tells how a job or step went."""

    env: Mapping[str, str]
    matrix: Mapping[str, bool]
    inputs: frozenset[str]
    results: Mapping[tuple[str, str], str]
    system: str
    machine: str
    secret: Callable[[str], None]


class Translated(NamedTuple):
    """`path` is what a lone reference led to, as GitHub has it: ("matrix", "os"). `asks_status`: it minds itself how
    what was before has ended."""

    text: str
    path: tuple[str, ...] = ()
    asks_status: bool = False


_token = re.compile(
    r"\s+|(?P<text>'(?:[^']|'')*')|(?P<number>-?(?:0x[0-9A-Fa-f]+|[0-9]+(?:\.[0-9]+)?))|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!()\[\].,*])"
)


def translate(text: str, names: Names) -> Translated:
    """Raises Unsayable."""
    parser = _Parser(text, names)
    made = parser.whole()
    return Translated(made, parser.lone, parser.asks_status)


class _Parser:
    def __init__(self, text: str, names: Names) -> None:
        if len(text) > MAX_LENGTH:
            raise Unsayable("the expression is too long")
        self.names = names
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        self.at = 0
        self.depth = 0
        self.lone: tuple[str, ...] = ()
        self.asks_status = False
        end = 0
        while end < len(text):
            match = _token.match(text, end)
            if match is None:
                raise Unsayable("the expression cannot be read")
            if match.lastgroup:
                self.tokens.append((match.lastgroup, match[0]))
            end = match.end()

    def whole(self) -> str:
        made = self._or()
        if self.at < len(self.tokens):
            raise Unsayable("the expression cannot be read")
        if not re.fullmatch(r"\s*[\w.-]+\s*", self.text):
            self.lone = ()
        return made

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def _take(self, sign: str) -> bool:
        if self._peek() == ("sign", sign):
            self.at += 1
            return True
        return False

    def _or(self) -> str:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unsayable("the expression is nested too deep")
        made = self._and()
        while self._take("||"):
            made = f"{made} || {self._and()}"
        self.depth -= 1
        return made

    def _and(self) -> str:
        made = self._compare()
        while self._take("&&"):
            made = f"{made} && {self._compare()}"
        return made

    def _compare(self) -> str:
        made = self._not()
        kind, sign = self._peek()
        if kind == "sign" and sign in ("==", "!=", "<", "<=", ">", ">="):
            self.at += 1
            made = f"{made} {sign} {self._not()}"
        return made

    def _not(self) -> str:
        signs = ""
        while self._take("!"):
            signs += "!"
        return signs[: len(signs) % 2 or min(len(signs), 2)] + self._primary() if signs else self._primary()

    def _primary(self) -> str:
        kind, text = self._peek()
        self.at += 1
        if kind == "text":
            return _literal(text[1:-1].replace("''", "'"))
        if kind == "number":
            if text.lower().startswith(("0x", "-0x")):
                return str(int(text, 16))
            return text
        if (kind, text) == ("sign", "("):
            made = self._or()
            if not self._take(")"):
                raise Unsayable("a bracket is not closed")
            return f"({made})"
        if kind != "name":
            raise Unsayable("the expression cannot be read")
        if text in ("true", "false", "null"):
            return text
        return self._call(text) if self._take("(") else self._reference(text)

    def _call(self, name: str) -> str:
        args: list[str] = []
        while not self._take(")"):
            args.append(self._or())
            if not self._take(",") and self._peek() != ("sign", ")"):
                raise Unsayable("a call is not closed")
        if name.lower() == "cancelled" and not args:
            self.asks_status = True
            return "!always()"
        known = _functions.get(name.lower())
        if known is None or len(args) != known[1]:
            raise Unsayable(f"`{name[:40]}()` has no equivalent")
        self.asks_status = self.asks_status or known[1] == 0
        return f"{known[0]}({', '.join(args)})"

    def _reference(self, root: str) -> str:
        path = [root]
        while True:
            if self._take("."):
                kind, text = self._peek()
                if kind not in ("name", "number"):
                    raise Unsayable("a reference goes through all of a list")
                path.append(text)
                self.at += 1
            elif self._take("["):
                kind, text = self._peek()
                self.at += 1
                if kind not in ("text", "number") or not self._take("]"):
                    raise Unsayable("an index is not written out")
                path.append(text.strip("'"))
            else:
                break
        self.lone = tuple(path)
        return self._meaning(tuple(path))

    def _meaning(self, path: tuple[str, ...]) -> str:  # noqa: PLR0911 - one for each kind
        root, *rest = path
        names, shown = self.names, ".".join(path)
        if root == "github" and len(rest) == 1 and rest[0] in github_variables:
            return f"env('{github_variables[rest[0]]}', '')"
        if root == "env" and len(rest) == 1:
            known = names.env.get(rest[0])
            return _literal(known) if known is not None else _of_environment(rest[0], shown)
        if root == "vars" and len(rest) == 1:
            return _of_environment(rest[0], shown)
        if root == "matrix" and len(rest) == 1 and rest[0] in names.matrix:
            return f"matrix.{rest[0]}" if names.matrix[rest[0]] else f"default(matrix.{rest[0]}, '')"
        if root == "inputs" and len(rest) == 1 and rest[0] in names.inputs:
            return f"variables.{rest[0]}"
        if root == "secrets" and len(rest) == 1 and re.fullmatch(r"[A-Za-z_]\w*", rest[0]):
            names.secret(rest[0])
            return f"secrets.{rest[0]}"
        if root == "runner" and rest == ["os"]:
            return _literal({"Darwin": "macOS"}.get(names.system, names.system))
        if root == "runner" and rest == ["arch"]:
            return _literal({"x86_64": "X64", "aarch64": "ARM64", "arm64": "ARM64"}.get(names.machine, names.machine))
        if len(rest) == 2 and rest[1] in ("result", "outcome", "conclusion") and (root, rest[0]) in names.results:
            return f"steps['{names.results[root, rest[0]]}'].result"
        raise Unsayable(f"only GitHub knows `{shown[:80]}`")


def _of_environment(name: str, shown: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise Unsayable(f"`{shown[:80]}` is no name of a variable")
    return f"env('{name}', '')"


def _literal(text: str) -> str:
    if "\\" in text or "\n" in text or ("'" in text and '"' in text) or "{{" in text or "}}" in text:
        raise Unsayable("a text in it cannot be written in an expression")
    return f'"{text}"' if "'" in text else f"'{text}'"
