"""Phase A, expressions: from a tree to facts, which are nested tuples of texts and numbers that JSON could hold.

A fact begins with its kind; what can start a call ends with line and column, columns from 1. What can never matter to
a call (the value of a number, an annotation in a body) is dropped here. Names are left as they stand: which binding a
name means is looked up when the fact is interpreted, for then the bindings are known. Only the targets of
comprehensions, which have a scope of their own but no frame, are renamed: `x` to `x#3`.
"""

import ast
from collections.abc import Callable, Sequence
from typing import Any

Fact = tuple[Any, ...]

NOTHING: Fact = ("k", None)
LONG_TEXT = 200
"""Texts above this are no names and no keys: only that they are texts is kept."""

OPERATORS = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.MatMult: "matmul", ast.Div: "truediv", ast.Mod: "mod",
    ast.Pow: "pow", ast.LShift: "lshift", ast.RShift: "rshift", ast.BitOr: "or", ast.BitXor: "xor",
    ast.BitAnd: "and", ast.FloorDiv: "floordiv", ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "invert",
    ast.Not: "not", ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip


class Place:
    """What is known of the scope that is being lowered: whether it yields, and which names it renames or declares."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.yields = False
        self.nested = False
        self.globals: list[str] = []
        self.nonlocals: list[str] = []


class Expressions:
    """Lowers expressions. A subclass lowers statements; the two meet in `lambda` only."""

    def __init__(self, lines: list[str] | None) -> None:
        self.lines = lines
        self.place = Place("module")
        self.renamed: dict[str, str] = {}
        self.count = 0
        self.table: dict[type, Callable[[Any], Fact]] = {
            ast.Constant: self.constant, ast.Name: self.name, ast.Attribute: self.attribute, ast.Call: self.call,
            ast.BinOp: self.binary, ast.UnaryOp: self.unary, ast.Compare: self.compare, ast.BoolOp: self.boolean,
            ast.IfExp: self.conditional, ast.Subscript: self.subscript, ast.Slice: self.slice, ast.List: self.many,
            ast.Tuple: self.many, ast.Set: self.many, ast.Dict: self.dictionary, ast.ListComp: self.comprehension,
            ast.SetComp: self.comprehension, ast.GeneratorExp: self.comprehension, ast.DictComp: self.comprehension,
            ast.Lambda: self.function_value, ast.JoinedStr: self.text, ast.FormattedValue: self.formatted,
            ast.Await: self.wait, ast.Yield: self.give, ast.YieldFrom: self.give_from, ast.NamedExpr: self.walrus,
            ast.Starred: self.starred,
        }  # fmt: skip

    def one(self, node: ast.expr | None) -> Fact:
        return NOTHING if node is None else self.table[type(node)](node)

    def all(self, nodes: Sequence[ast.expr]) -> Fact:
        return tuple([self.table[type(node)](node) for node in nodes])

    def column(self, line: int, offset: int) -> int:
        if self.lines is None:
            return offset + 1
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace")) + 1

    def at(self, node: Any) -> tuple[int, int]:
        return node.lineno, self.column(node.lineno, node.col_offset)

    def constant(self, node: ast.Constant) -> Fact:
        value = node.value
        if value is None or value.__class__ in (int, bool):
            return ("k", value) if not isinstance(value, int) or abs(value) < 1 << 31 else ("t", "int")
        if isinstance(value, str) and len(value) <= LONG_TEXT:
            return ("k", value)
        return ("t", type(value).__name__)

    def name(self, node: ast.Name) -> Fact:
        return ("n", self.renamed.get(node.id) or self.mangled(node.id))

    def attribute(self, node: ast.Attribute) -> Fact:
        line = node.end_lineno or node.lineno
        offset = (node.end_col_offset or 0) - len(node.attr.encode())
        return (".", self.one(node.value), self.mangled(node.attr), line, self.column(line, offset))

    def mangled(self, name: str) -> str:
        return name

    def call(self, node: ast.Call) -> Fact:
        function = self.one(node.func)
        line, column = (function[3], function[4]) if function[0] == "." else self.at(node)
        named = tuple([(word.arg, self.one(word.value)) for word in node.keywords])
        return ("()", function, self.all(node.args), named, line, column)

    def binary(self, node: ast.BinOp) -> Fact:
        return ("op", OPERATORS[type(node.op)], self.one(node.left), self.one(node.right), *self.at(node))

    def unary(self, node: ast.UnaryOp) -> Fact:
        operand = self.one(node.operand)
        if operand[0] == "k" and isinstance(node.op, ast.USub) and operand[1].__class__ is int:
            return ("k", -operand[1])
        return ("un", OPERATORS[type(node.op)], operand, *self.at(node))

    def compare(self, node: ast.Compare) -> Fact:
        rest = tuple([(OPERATORS[type(op)], self.one(e)) for op, e in zip(node.ops, node.comparators, strict=True)])
        return ("cmp", self.one(node.left), rest, *self.at(node))

    def boolean(self, node: ast.BoolOp) -> Fact:
        return ("and" if isinstance(node.op, ast.And) else "or", self.all(node.values), *self.at(node))

    def conditional(self, node: ast.IfExp) -> Fact:
        return ("?", self.one(node.test), self.one(node.body), self.one(node.orelse), *self.at(node))

    def subscript(self, node: ast.Subscript) -> Fact:
        return ("[]", self.one(node.value), self.one(node.slice), *self.at(node))

    def slice(self, node: ast.Slice) -> Fact:
        return ("slice", self.one(node.lower), self.one(node.upper), self.one(node.step))

    def many(self, node: ast.List | ast.Tuple | ast.Set) -> Fact:
        return ({ast.List: "list", ast.Tuple: "tuple", ast.Set: "set"}[type(node)], self.all(node.elts), *self.at(node))

    def dictionary(self, node: ast.Dict) -> Fact:
        pairs = zip(node.keys, node.values, strict=True)
        lowered = tuple([(None if key is None else self.one(key), self.one(value)) for key, value in pairs])
        return ("dict", lowered, *self.at(node))

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Fact:
        outer = self.renamed
        parts = []
        for part in node.generators:
            source = self.one(part.iter)
            self.renamed = {**self.renamed, **self.fresh(part.target)}
            target, tests = self.target(part.target), self.all(part.ifs)
            parts.append((target, source, tests, part.iter.lineno, self.column(part.iter.lineno, part.iter.col_offset)))
        if isinstance(node, ast.DictComp):
            made: Fact = ("pair", self.one(node.key), self.one(node.value))
        else:
            made = self.one(node.elt)
        self.renamed = outer
        kind = {ast.ListComp: "list", ast.SetComp: "set", ast.GeneratorExp: "iterator", ast.DictComp: "dict"}
        return ("comp", kind[type(node)], tuple(parts), made, *self.at(node))

    def fresh(self, target: ast.expr) -> dict[str, str]:
        self.count += 1
        return {name.id: f"{name.id}#{self.count}" for name in ast.walk(target) if isinstance(name, ast.Name)}

    def text(self, node: ast.JoinedStr) -> Fact:
        return ("text", self.all(node.values))

    def formatted(self, node: ast.FormattedValue) -> Fact:
        spec = self.one(node.format_spec) if node.format_spec else NOTHING
        return ("fmt", self.one(node.value), chr(node.conversion) if node.conversion > 0 else "", spec, *self.at(node))

    def wait(self, node: ast.Await) -> Fact:
        return ("await", self.one(node.value), *self.at(node))

    def give(self, node: ast.Yield) -> Fact:
        self.place.yields = True
        return ("yield", self.one(node.value))

    def give_from(self, node: ast.YieldFrom) -> Fact:
        self.place.yields = True
        return ("yield from", self.one(node.value), *self.at(node))

    def walrus(self, node: ast.NamedExpr) -> Fact:
        return (":=", self.target(node.target), self.one(node.value))

    def starred(self, node: ast.Starred) -> Fact:
        return ("*", self.one(node.value), *self.at(node))

    def target(self, node: ast.expr) -> Fact:
        """What is assigned to: a name, an attribute, a subscript, or several of these."""
        if isinstance(node, ast.Tuple | ast.List):
            return ("seq", tuple([self.target(part) for part in node.elts]), *self.at(node))
        if isinstance(node, ast.Starred):
            return ("*", self.target(node.value))
        return self.one(node)

    def function_value(self, node: ast.Lambda) -> Fact:
        raise NotImplementedError
