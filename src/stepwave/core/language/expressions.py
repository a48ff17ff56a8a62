"""The expression language: text to a frozen tree. Nothing is evaluated here.

    or / ||     and / &&     not     == === != !== < <= > >= in, not in     !     .name  [index]  .includes(x)

Rule 1: a name may hold `-` (`steps.run-tests.output`), because there is no arithmetic: `subtract(a, b)` is.
Rule 2: `{{…}}` where a value may stand is that value in brackets; within quotes it is substituted.
Rule 3: whatever the text, parsing ends in a tree of bounded depth or in an ExpressionError.
"""

import re
from typing import NamedTuple

from stepwave.core.diagnostics import did_you_mean
from stepwave.core.language.functions import absent, arity_problem, table
from stepwave.core.language.regexes import BadPattern, check_pattern
from stepwave.core.language.scope import ExpressionError
from stepwave.core.language.tree import (
    Call,
    Chain,
    Compare,
    Constant,
    Expression,
    Items,
    Key,
    Logic,
    Method,
    Node,
    Not,
    Reference,
    Text,
)
from stepwave.core.text import one_line

MAX_LENGTH = 10_000
MAX_DEPTH = 25
MAX_BRACES = 10
METHODS = ("includes", "startsWith", "endsWith")


def compile_expression(text: str) -> Expression:
    """The whole text as one expression. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise _too_long(0)
    parser = _Parser(text, 0)
    root = parser.parse()
    if parser.token.kind:
        raise parser.unexpected("an operator or the end")
    return Expression(root)


def compile_part(text: str, start: int, closer: str) -> tuple[Expression, int]:
    """The expression that begins at `start` and ends before `closer` (`}}` or `}`), and where the closer ends.

    Offsets count from the start of `text`. Raises ExpressionError.
    """
    parser = _Parser(text, start, braces=1)
    root = parser.parse()
    if not text.startswith(closer, parser.token.start):
        raise parser.unexpected(f"`{closer}`")
    return Expression(root), parser.token.start + len(closer)


class _Token(NamedTuple):
    kind: str
    """`number`, `name`, `quote`, `sign`, or empty at the end."""
    text: str
    start: int
    end: int


_token = re.compile(
    r"""(?P<number>-?[0-9]++(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+)(?!\w)
      | (?P<name>[^\W\d][\w-]*+)
      | (?P<quote>['"])
      | (?P<sign>===|!==|==|!=|<=|>=|&&|\|\||\{\{|\}\}|[!<>()\[\],.}])""",
    re.VERBOSE,
)
_space = re.compile(r"\s*+")
_segment = re.compile(r"\s*+([\w-]++)")
_text_mark = re.compile(r"""\\\{\{|\\.|\{\{|["']""", re.DOTALL)
_escapes = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_words = {"true": True, "false": False, "null": None}
_signs = {"===": "==", "!==": "!=", "&&": "and", "||": "or"}
_advice = {
    "=": "write `==` to compare",
    "&": "write `&&` or `and`",
    "|": "write `||` or `or`",
    "?": "write `if(condition, a, b)`",
    "+": "there is no arithmetic sign: write `add(a, b)`",
    "-": "there is no arithmetic sign: write `subtract(a, b)`",
    "*": "there is no arithmetic sign: write `multiply(a, b)`",
    "/": "there is no arithmetic sign: write `divide(a, b)`",
    "%": "there is no arithmetic sign: write `modulo(a, b)`",
    "$": "write the name alone, or `{{…}}`",
    "`": "quote text with ' or \"",
}


class _Parser:
    """One token ahead, never more: what follows the closing braces may be any text."""

    def __init__(self, text: str, start: int, *, braces: int = 0, depth: int = 0, begin: int | None = None) -> None:
        if braces > MAX_BRACES:
            raise ExpressionError(f"maximum interpolation depth ({MAX_BRACES}) exceeded", start)
        self.text = text
        self.begin = start if begin is None else begin
        self.braces = braces
        self.depth = depth
        self.token = self._lex(start)

    def _lex(self, start: int) -> _Token:
        space = _space.match(self.text, start)
        at = space.end() if space else start
        if at - self.begin > MAX_LENGTH:
            raise _too_long(self.begin)
        if at >= len(self.text):
            return _Token("", "", at, at)
        found = _token.match(self.text, at)
        if not found:
            mark = self.text[at]
            raise ExpressionError(f"`{one_line(mark) or ' '}` is not part of an expression", at, _advice.get(mark))
        kind, word = str(found.lastgroup), found[0]
        return _Token("sign" if word in _signs else kind, _signs.get(word, word), at, found.end())

    def _advance(self) -> _Token:
        token = self.token
        self.token = self._lex(token.end)
        return token

    def _at(self, *words: str) -> bool:
        return self.token.kind in ("sign", "name") and self.token.text in words

    def _expect(self, text: str) -> _Token:
        if not self._at(text):
            raise self.unexpected(f"`{text}`")
        return self._advance()

    def unexpected(self, wanted: str) -> ExpressionError:
        start, end = self.token.start, self.token.end
        found = f"`{one_line(self.text[start:end], 40)}`" if self.token.kind else "the end"
        advice = _advice.get(self.text[start : start + 1])
        return ExpressionError(f"expected {wanted}, found {found}", start, advice)

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(f"the expression is nested deeper than {MAX_DEPTH} levels", self.token.start)

    # From here on one method for each level, the loosest first.

    def parse(self) -> Node:
        return self._logic("or")

    def _logic(self, word: str) -> Node:
        operands = [self._logic("and") if word == "or" else self._negation()]
        while self._at(word):
            self._advance()
            operands.append(self._logic("and") if word == "or" else self._negation())
        return operands[0] if len(operands) == 1 else Logic(word, tuple(operands))

    def _negation(self) -> Node:
        negate = self._count("not")
        node = self._comparison()
        return _negated(node, negate)

    def _count(self, sign: str) -> int:
        """How many of the same prefix stand here; only whether there are none, one or two matters."""
        count = 0
        while self._at(sign):
            self._advance()
            count = 1 if count == 2 else count + 1
        return count

    def _comparison(self) -> Node:
        left = self._prefixed()
        if not self._at("==", "!=", "<", "<=", ">", ">=", "in", "not"):
            return left
        token = self._advance()
        sign = self._expect("in").text if token.text == "not" else token.text
        right = self._prefixed()
        if self._at("==", "!=", "<", "<=", ">", ">=", "in", "not"):
            raise ExpressionError("comparisons cannot be chained", self.token.start, "join them with `&&`")
        node = Compare("==" if sign == "!=" else sign, left, right, token.start)
        return _negated(node, int(token.text in ("!=", "not")))

    def _prefixed(self) -> Node:
        negate = self._count("!")
        return _negated(self._postfixed(), negate)

    def _postfixed(self) -> Node:
        at = self.token.start
        node = self._primary()
        links: list[Key | Method] = []
        while self._at(".", "["):
            link = self._link()
            if isinstance(node, Reference) and isinstance(link, Key) and not links:
                node = Reference((*node.path, link.key), node.at)
            else:
                links.append(link)
        return Chain(node, tuple(links), at) if links else node

    def _link(self) -> Key | Method:
        if self._at("["):
            inner = self._bracketed("]")
            value = inner.value if isinstance(inner, Constant) else None
            return Key(value if isinstance(value, str | int) and not isinstance(value, bool) else inner)
        found = _segment.match(self.text, self.token.end)
        if not found:
            raise ExpressionError("expected a name after `.`", self.token.end, 'write `["…"]` for other names')
        name, at = found[1], found.start(1)
        self.token = self._lex(found.end())
        if not self._at("("):
            return Key(name)
        if name not in METHODS:
            raise ExpressionError(f"there is no method `.{one_line(name, 40)}()`", at, did_you_mean(name, METHODS))
        arguments = self._list(")")
        if len(arguments) != 1:
            raise ExpressionError(f"`.{name}()` takes 1 argument, not {len(arguments)}", at)
        return Method(name, arguments)

    def _primary(self) -> Node:
        token = self.token
        if token.kind == "quote":
            return self._quoted()
        if token.kind == "number":
            return self._number()
        if token.kind == "name" and token.text not in ("and", "or", "not", "in"):
            return self._named()
        if self._at("["):
            return Items(self._list("]"))
        if self._at("("):
            return self._bracketed(")")
        if self._at("{{"):
            self.braces += 1
            if self.braces > MAX_BRACES:
                raise ExpressionError(f"maximum interpolation depth ({MAX_BRACES}) exceeded", token.start)
            node = self._bracketed("}}")
            self.braces -= 1
            return node
        raise self.unexpected("a value")

    def _number(self) -> Constant:
        token = self._advance()
        if len(token.text) > 60:
            raise ExpressionError("the number is too long", token.start)
        if not re.search("[.eE]", token.text):
            return Constant(int(token.text))
        number = float(token.text)
        if number in (float("inf"), float("-inf")):
            raise ExpressionError("the number is too large", token.start)
        return Constant(number)

    def _named(self) -> Node:
        token = self._advance()
        if token.text in _words:
            return Constant(_words[token.text])
        if not self._at("("):
            return Reference((token.text,), token.start)
        if token.text not in table:
            name = one_line(token.text, 40)
            help = absent.get(token.text) or did_you_mean(token.text, table)
            raise ExpressionError(f"there is no function `{name}`", token.start, help)
        arguments = self._list(")")
        if problem := arity_problem(token.text, len(arguments)):
            raise ExpressionError(problem, token.start)
        if token.text == "matches":
            _check_pattern(arguments[1], token.start)
        return Call(token.text, arguments, token.start)

    def _bracketed(self, closer: str) -> Node:
        self._enter()
        self._advance()
        node = self.parse()
        self._expect(closer)
        self.depth -= 1
        return node

    def _list(self, closer: str) -> tuple[Node, ...]:
        self._enter()
        self._advance()
        nodes: list[Node] = []
        while not self._at(closer):
            nodes.append(self.parse())
            if not self._at(closer):
                self._expect(",")
        self._advance()
        self.depth -= 1
        return tuple(nodes)

    def _quoted(self) -> Node:
        quote, at = self.token.text, self.token.end
        parts: list[str | Node] = []
        while True:
            mark = _text_mark.search(self.text, at)
            if not mark:
                raise ExpressionError("the quoted text has no end", self.token.start)
            if mark.end() - self.begin > MAX_LENGTH:
                raise _too_long(self.begin)
            parts.append(self.text[at : mark.start()])
            at = mark.end()
            if mark[0] == quote:
                break
            if mark[0] == "{{" and self.text.find("}}", at) >= 0:
                node, at = self._substitution(at)
                parts.append(node)
            else:
                parts.append(_plain(mark[0]))
        start = self.token.start
        self.token = self._lex(at)
        return _text_node(parts, start)

    def _substitution(self, at: int) -> tuple[Node, int]:
        self._enter()
        inner = _Parser(self.text, at, braces=self.braces + 1, depth=self.depth, begin=self.begin)
        node = inner.parse()
        if not inner._at("}}"):
            raise inner.unexpected("`}}`")
        self.depth -= 1
        return node, inner.token.end


def _check_pattern(node: Node, at: int) -> None:
    """A pattern that stands in the expression is checked with it."""
    if isinstance(node, Constant) and isinstance(node.value, str):
        try:
            check_pattern(node.value)
        except BadPattern as problem:
            raise ExpressionError(str(problem), at) from None


def _too_long(start: int) -> ExpressionError:
    return ExpressionError(f"an expression may have at most {MAX_LENGTH} characters", start)


def _negated(node: Node, times: int) -> Node:
    for _ in range(times):
        node = Not(node)
    return node


def _plain(mark: str) -> str:
    r"""What an escape stands for; one that is not known stays as it is, so that `\d` and `C:\dir` survive."""
    if mark == "\\{{":
        return "{{"
    return _escapes.get(mark[1], mark) if mark[0] == "\\" else mark


def _text_node(parts: list[str | Node], at: int) -> Node:
    if all(isinstance(part, str) for part in parts):
        return Constant("".join(part for part in parts if isinstance(part, str)))
    return Text(tuple(part for part in parts if part != ""), at)
