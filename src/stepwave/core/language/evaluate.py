"""What an expression comes to, in a scope that knows the names.

Rule 1: strict. A name without a value is `Unresolved`, never empty text, unless the caller asks for `lenient`.
Rule 2: `and`, `or`, `if`, `default` and `coalesce` evaluate only what they need.
Rule 3: bounded. All texts and lists that one evaluation makes weigh at most `BUDGET`; see `values.weight`.
"""

from collections.abc import Iterable, Sequence

from stepwave.core.language.functions import call
from stepwave.core.language.scope import ExpressionError, Scope, Unresolved, walk
from stepwave.core.language.tree import (
    STATUSES,
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
from stepwave.core.language.values import MAX_TEXT, BadArgument, in_order, includes, same, text_of, truth, weight
from stepwave.core.model import Value

BUDGET = 16 * MAX_TEXT


def evaluate(expression: Expression, scope: Scope, *, lenient: bool = False) -> Value:
    """The value of an expression. With `lenient` a name without a value is empty text.

    Raises Unresolved, and ExpressionError for what cannot be worked out (`divide(1, 0)`, text < list).
    """
    try:
        return _Evaluation(scope, lenient).value(expression.root)
    except RecursionError:
        raise ExpressionError("a value is nested too deeply") from None


# --- the evaluator ---------------------------------------------------------------------------------------


class _Evaluation:
    """One evaluation; `left` is what remains of its budget."""

    def __init__(self, scope: Scope, lenient: bool) -> None:
        self.scope = scope
        self.lenient = lenient
        self.left = BUDGET

    def value(self, node: Node) -> Value:
        result: Value
        match node:
            case Constant(constant):
                result = constant
            case Text(parts, at):
                result = self._text(parts, at)
            case Items(nodes):
                result = [self.value(item) for item in nodes]
            case Reference(path, at):
                result = self._reference(path, at)
            case Chain():
                result = self._chain(node)
            case Call():
                result = self._call(node)
            case Not(of):
                result = not truth(self.value(of))
            case Logic(word, operands):
                result = self._logic(word, operands)
            case Compare():
                result = self._compare(node)
        return result

    def _spend(self, amount: int, at: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise ExpressionError("the expression makes too much text", at)

    def _pay_for_reading(self, values: Iterable[Value], at: int) -> None:
        """Going through a large list costs time, even when nothing is made of it."""
        self._spend(sum(weight(value) for value in values if isinstance(value, list | dict)), at)

    def _text(self, parts: Sequence[str | Node], at: int) -> str:
        texts: list[str] = []
        length = 0
        for part in parts:
            texts.append(part if isinstance(part, str) else self._shown(part, at))
            length += len(texts[-1])
            if length > MAX_TEXT:
                raise ExpressionError("the text would be longer than 1 MiB", at)
        self._spend(length, at)
        return "".join(texts)

    def _shown(self, node: Node, at: int) -> str:
        try:
            return text_of(self.value(node))
        except BadArgument as problem:
            raise ExpressionError(str(problem), at) from None

    def _reference(self, parts: Sequence[str | int | Node], at: int) -> Value:
        path = tuple(self._key(part, at) for part in parts)
        try:
            return self.scope.lookup(path)
        except Unresolved as problem:
            return self._missing(problem, at)

    def _missing(self, problem: Unresolved, at: int) -> Value:
        if self.lenient:
            return ""
        problem.offset = at
        raise problem

    def _key(self, part: str | int | Node, at: int) -> str | int:
        key = part if isinstance(part, str | int) else self.value(part)
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise ExpressionError("an index must be a whole number or text", at)
        return key

    def _chain(self, chain: Chain) -> Value:
        value = self.value(chain.of)
        for link in chain.links:
            if isinstance(link, Method):
                arguments = [value, *(self.value(argument) for argument in link.arguments)]
                value = self._function(link.name, arguments, chain.at)
            else:
                value = self._property(value, link, chain.at)
        return value

    def _property(self, value: Value, link: Key, at: int) -> Value:
        key = self._key(link.key, at)
        try:
            return walk(value, (key,))
        except Unresolved as problem:
            return self._missing(problem, at)

    def _logic(self, word: str, operands: Sequence[Node]) -> Value:
        """The first operand that decides, or the last: `x || 'main'` is a value, as in JavaScript and Python."""
        for operand in operands[:-1]:
            value = self.value(operand)
            if truth(value) == (word == "or"):
                return value
        return self.value(operands[-1])

    def _compare(self, node: Compare) -> bool:
        left, right = self.value(node.left), self.value(node.right)
        self._pay_for_reading((left, right), node.at)
        try:
            if node.sign == "==":
                return same(left, right)
            return includes(right, left) if node.sign == "in" else in_order(node.sign, left, right)
        except BadArgument as problem:
            raise ExpressionError(str(problem), node.at) from None

    def _call(self, node: Call) -> Value:
        name, arguments = node.name, node.arguments
        if name in STATUSES:
            return self.scope.status(name)
        if name == "if":
            chosen = arguments[1:2] if truth(self.value(arguments[0])) else arguments[2:]
            return self.value(chosen[0]) if chosen else None
        if name in ("default", "coalesce"):
            return self._first(arguments, last=name == "default")
        if name in ("env", "envDefault", "hasEnv"):
            return self._env(name, arguments, node.at)
        return self._function(name, [self.value(argument) for argument in arguments], node.at)

    def _first(self, arguments: Sequence[Node], *, last: bool) -> Value:
        """The first that has a value other than null and empty text; the last one as it is, or else null."""
        for argument in arguments[:-1] if last else arguments:
            try:
                value = self.value(argument)
            except Unresolved:
                continue
            if value not in (None, ""):
                return value
        return self.value(arguments[-1]) if last else None

    def _env(self, name: str, arguments: Sequence[Node], at: int) -> Value:
        """Of an empty value `env` gives empty text, `envDefault` its default."""
        try:
            value = self.scope.lookup(("env", self._shown(arguments[0], at)))
        except Unresolved as problem:
            if name == "hasEnv":
                return False
            return self.value(arguments[1]) if len(arguments) > 1 else self._missing(problem, at)
        if name == "hasEnv":
            return True
        return self.value(arguments[1]) if name == "envDefault" and value == "" else value

    def _function(self, name: str, arguments: list[Value], at: int) -> Value:
        self._pay_for_reading(arguments, at)
        try:
            result = call(name, arguments, self.scope.now, self.scope.files)
        except BadArgument as problem:
            raise ExpressionError(f"`{name}`: {problem}", at) from None
        self._spend(weight(result), at)
        return result
