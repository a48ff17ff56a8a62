"""Phase A: lowers the tree of one file to facts, which a cache can keep and phase B interprets; the tree is dropped.

A scope is `("scope", kind, name, line, column, parameters, body, flags, globals, nonlocals)`; kind is module, def,
lambda or class. Parameters are `(positional, count of positional-only, *name, keyword-only, **name, annotations)`.
"""

import ast
from collections.abc import Callable, Sequence
from typing import Any

from stepwave.discovery.calls.lower_expressions import NOTHING, OPERATORS, Expressions, Fact, Place

FORMAT = 1
"""The number of this form of facts: whoever keeps facts keeps it beside them."""

NO_PARAMETERS: Fact = ((), 0, None, (), None, ())


def lower(tree: ast.Module, lines: list[str] | None = None) -> Fact:
    """The facts of a module. `lines` only where the text is not ASCII: then columns are counted in characters.

    Raises RecursionError for code that is nested deeper than the interpreter's stack.
    """
    return Statements(lines).module(tree)


class Statements(Expressions):
    """Lowers statements and the scopes that they make."""

    def __init__(self, lines: list[str] | None) -> None:
        super().__init__(lines)
        self.owner = ""  # the class whose body we are in, for names that begin with two underscores
        self.statements: dict[type, Callable[[Any], Fact | None]] = {
            ast.Expr: self.expression, ast.Assign: self.assign, ast.AnnAssign: self.annotated,
            ast.AugAssign: self.augment, ast.If: self.branch, ast.While: self.loop, ast.For: self.each,
            ast.AsyncFor: self.each, ast.Try: self.attempt, ast.TryStar: self.attempt, ast.With: self.within,
            ast.AsyncWith: self.within, ast.Return: self.result,
            ast.Raise: self.throw, ast.FunctionDef: self.function, ast.AsyncFunctionDef: self.function,
            ast.ClassDef: self.class_, ast.Import: self.import_, ast.ImportFrom: self.import_from,
            ast.Delete: self.delete, ast.Assert: self.assert_, ast.Match: self.match, ast.Global: self.outer_name,
            ast.Nonlocal: self.outer_name, ast.Pass: lambda _: None, ast.Break: lambda _: ("break",),
            ast.Continue: lambda _: ("continue",),
        }  # fmt: skip
        if hasattr(ast, "TypeAlias"):
            self.statements[ast.TypeAlias] = lambda _: None

    def module(self, tree: ast.Module) -> Fact:
        body = self.block(tree.body)
        return ("scope", "module", "", 1, 1, NO_PARAMETERS, body, self.flags(False), (), ())

    def block(self, nodes: Sequence[ast.stmt]) -> Fact:
        facts = []
        for node in nodes:
            fact = self.statements[type(node)](node)
            if fact is not None:
                facts.append(fact)
        return tuple(facts)

    def flags(self, is_async: bool) -> str:
        """`a` async, `y` has a yield, `n` holds scopes of its own, so that its names outlive it."""
        return ("a" if is_async else "") + ("y" if self.place.yields else "") + ("n" if self.place.nested else "")

    def mangled(self, name: str) -> str:
        if self.owner and name.startswith("__") and not name.endswith("__"):
            return f"_{self.owner.lstrip('_')}{name}"
        return name

    def expression(self, node: ast.Expr) -> Fact | None:
        return None if isinstance(node.value, ast.Constant) else ("e", self.one(node.value))

    def assign(self, node: ast.Assign) -> Fact:
        return ("=", tuple([self.target(target) for target in node.targets]), self.one(node.value), ())

    def annotated(self, node: ast.AnnAssign) -> Fact | None:
        hint = self.hint(node.annotation)
        if node.value is None:
            return ("declare", node.target.id, hint) if isinstance(node.target, ast.Name) else None
        return ("=", (self.target(node.target),), self.one(node.value), hint)

    def augment(self, node: ast.AugAssign) -> Fact:
        return ("+=", self.target(node.target), OPERATORS[type(node.op)], self.one(node.value), *self.at(node))

    def branch(self, node: ast.If) -> Fact:
        return ("if", self.one(node.test), self.block(node.body), self.block(node.orelse), *self.at(node))

    def loop(self, node: ast.While) -> Fact:
        return ("while", self.one(node.test), self.block(node.body), self.block(node.orelse), *self.at(node))

    def each(self, node: ast.For | ast.AsyncFor) -> Fact:
        source, target = self.one(node.iter), self.target(node.target)
        kind = "async" if isinstance(node, ast.AsyncFor) else ""
        line, column = self.at(node.iter)
        return ("for", target, source, self.block(node.body), self.block(node.orelse), kind, line, column)

    def attempt(self, node: ast.Try | ast.TryStar) -> Fact:
        handlers = tuple([(self.one(h.type), h.name, self.block(h.body)) for h in node.handlers])
        body = self.block(node.body)
        return ("try", body, handlers, self.block(node.orelse), self.block(node.finalbody))

    def within(self, node: ast.With | ast.AsyncWith) -> Fact:
        items = []
        for item in node.items:
            target = None if item.optional_vars is None else self.target(item.optional_vars)
            items.append((self.one(item.context_expr), target, *self.at(item.context_expr)))
        kind = "async" if isinstance(node, ast.AsyncWith) else ""
        return ("with", tuple(items), self.block(node.body), kind)

    def result(self, node: ast.Return) -> Fact:
        return ("return", self.one(node.value))

    def throw(self, node: ast.Raise) -> Fact:
        return ("raise", self.one(node.exc), self.one(node.cause), *self.at(node))

    def delete(self, node: ast.Delete) -> Fact:
        return ("del", tuple([self.target(target) for target in node.targets]))

    def assert_(self, node: ast.Assert) -> Fact:
        return ("assert", self.one(node.test), self.one(node.msg), *self.at(node))

    def outer_name(self, node: ast.Global | ast.Nonlocal) -> None:
        names = self.place.globals if isinstance(node, ast.Global) else self.place.nonlocals
        names += node.names

    def import_(self, node: ast.Import) -> Fact:
        return ("import", tuple([(alias.name, alias.asname) for alias in node.names]), *self.at(node))

    def import_from(self, node: ast.ImportFrom) -> Fact:
        names = tuple([(alias.name, alias.asname) for alias in node.names])
        return ("from", node.module, node.level, names, *self.at(node))

    # scopes

    def parameters(self, node: ast.arguments) -> Fact:
        words = [*node.posonlyargs, *node.args]
        every = [*words, *node.kwonlyargs]
        hints = tuple([(a.arg, self.hint(a.annotation)) for a in every if a.annotation is not None])
        return (
            tuple([a.arg for a in words]),
            len(node.posonlyargs),
            node.vararg.arg if node.vararg else None,
            tuple([a.arg for a in node.kwonlyargs]),
            node.kwarg.arg if node.kwarg else None,
            tuple([hint for hint in hints if hint[1]]),
        )

    def hint(self, node: ast.expr | None) -> Fact:
        """An annotation, as names only: `("Node",)` for `Node`, `"Node"`, `Optional[Node]`, `Node | None`."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            dotted = node.value.strip().removesuffix("| None").strip()
            return (dotted,) if all(part.isidentifier() for part in dotted.split(".")) else ()
        if isinstance(node, ast.Name):
            return (node.id,)
        if isinstance(node, ast.Attribute):
            inner = self.hint(node.value)
            return (f"{inner[0]}.{node.attr}",) if len(inner) == 1 else ()
        if isinstance(node, ast.BinOp):
            return (*self.hint(node.left), *self.hint(node.right))
        if isinstance(node, ast.Subscript) and self.hint(node.value)[-1:] in (
            ("Optional",),
            ("Union",),
            ("Annotated",),
        ):
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return tuple([name for part in parts for name in self.hint(part)])
        return ()

    def function_value(self, node: ast.Lambda) -> Fact:
        defaults = self.defaults(node.args)
        scope = self.scope("lambda", "<lambda>", node, node.args, lambda: (("return", self.one(node.body)),), False)
        return ("lambda", scope, *defaults)

    def defaults(self, node: ast.arguments) -> tuple[Fact, Fact]:
        return self.all(node.defaults), tuple([None if e is None else self.one(e) for e in node.kw_defaults])

    def scope(
        self, kind: str, name: str, node: Any, parameters: ast.arguments, body: Callable[[], Fact], is_async: bool
    ) -> Fact:
        outer, renamed = self.place, self.renamed
        outer.nested = True
        self.place = Place(kind)
        names = {a.arg for a in ast.walk(parameters) if isinstance(a, ast.arg)}
        self.renamed = {k: v for k, v in renamed.items() if k not in names} if renamed else renamed
        facts, place = body(), self.place
        flags = self.flags(is_async)
        self.place, self.renamed = outer, renamed
        more = (tuple(place.globals), tuple(place.nonlocals))
        return ("scope", kind, name, *self.at(node), self.parameters(parameters), facts, flags, *more)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Fact:
        decorators = tuple([(self.one(d), *self.at(d)) for d in node.decorator_list])
        is_async = isinstance(node, ast.AsyncFunctionDef)
        scope = self.scope("def", node.name, node, node.args, lambda: self.block(node.body), is_async)
        returns, name = self.hint(node.returns), self.mangled(node.name)
        return ("def", scope, decorators, *self.defaults(node.args), returns, name)

    def class_(self, node: ast.ClassDef) -> Fact:
        decorators = tuple([(self.one(d), *self.at(d)) for d in node.decorator_list])
        bases = self.all(node.bases)
        words = tuple([(word.arg, self.one(word.value)) for word in node.keywords])
        outer, self.owner = self.owner, node.name
        nothing = ast.arguments([], [], None, [], [], None, [])
        scope = self.scope("class", node.name, node, nothing, lambda: self.block(node.body), False)
        self.owner = outer
        return ("class", scope, decorators, bases, words)

    # match

    def match(self, node: ast.Match) -> Fact:
        cases = tuple([
            (self.pattern(case.pattern), self.one(case.guard) if case.guard else None, self.block(case.body))
            for case in node.cases
        ])  # fmt: skip
        return ("match", self.one(node.subject), cases, *self.at(node))

    def pattern(self, node: ast.pattern) -> Fact:  # noqa: PLR0911 - a line for each kind
        match node:
            case ast.MatchValue():
                return ("value", self.one(node.value), *self.at(node))
            case ast.MatchSingleton():
                return ("value", ("k", node.value), *self.at(node))
            case ast.MatchStar():
                return ("rest", node.name)
            case ast.MatchAs():
                inner = self.pattern(node.pattern) if node.pattern else None
                return ("as", inner, node.name)
            case ast.MatchOr():
                return ("or", tuple([self.pattern(part) for part in node.patterns]))
            case ast.MatchSequence():
                return ("seq", tuple([self.pattern(part) for part in node.patterns]), *self.at(node))
            case ast.MatchMapping():
                pairs = zip(node.keys, node.patterns, strict=True)
                return ("map", tuple([(self.one(k), self.pattern(p)) for k, p in pairs]), node.rest, *self.at(node))
            case ast.MatchClass():
                named = tuple([(n, self.pattern(p)) for n, p in zip(node.kwd_attrs, node.kwd_patterns, strict=True)])
                positional = tuple([self.pattern(part) for part in node.patterns])
                return ("class", self.one(node.cls), positional, named, *self.at(node))
        return ("as", None, None)


__all__ = ["FORMAT", "NOTHING", "Fact", "lower"]
