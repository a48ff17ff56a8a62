"""Scopes by the rules of the language: which names a body binds, and what they are bound to.

Nothing is decided by the order in which lines run: two bindings of a name in one scope, say on both sides of a `try`,
are both kept. The rules: https://docs.python.org/3/reference/executionmodel.html
"""

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (*FUNCTIONS, ast.ClassDef)
_compound = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.Match, ast.match_case,
    ast.ExceptHandler, ast.pattern,
)  # fmt: skip
_constants = (ast.Constant, ast.Name, ast.Pass, ast.Break, ast.Continue, ast.expr_context, ast.operator)


class Binding(NamedTuple):
    """How a name comes to mean something.

    `kind` is import, star, def, class, assign, annotated, augmented, for, with, except, param, match or typeparam;
    `node` carries the name; `value` is the expression that it comes from, if any; `steps` the way into it when it is
    taken apart (`(0, 1)` for b in `(a, b), c = …`: first item, then second).
    """

    kind: str
    node: ast.AST
    value: ast.AST | None = None
    steps: tuple[int, ...] = ()
    statement: ast.AST | None = None


class Way:
    """On the way from name to name in a module: the bindings that one is in the middle of, and the steps taken."""

    def __init__(self) -> None:
        self.busy: set[int] = set()
        self.steps = 0


class Scope:
    """A module, class, function or comprehension, with its table of names made when it is first asked for.

    `qualname` is dotted and empty for a module. `kind` is module, class, function or comprehension.
    """

    def __init__(self, kind: str, node: ast.AST, parent: "Scope | None", qualname: str) -> None:
        self.kind = kind
        self.node = node
        self.parent = parent
        self.qualname = qualname
        self._table: dict[str, list[Binding]] | None = None
        self._inner: dict[int, Scope] = {}
        self.has_walrus: bool = parent.has_walrus if parent is not None else True
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.way: Way = parent.way if parent is not None else Way()

    @property
    def table(self) -> dict[str, list[Binding]]:
        if self._table is None:
            self._table = {}
            for name, binding in _bindings(self):
                self._table.setdefault(name, []).append(binding)
        return self._table

    def inner(self, node: ast.AST) -> "Scope":
        """The scope that a node opens in this one; the same one whenever it is asked for."""
        if (known := self._inner.get(id(node))) is not None:
            return known
        kind = "class" if isinstance(node, ast.ClassDef) else "function" if isinstance(node, FUNCTIONS) else ""
        name = getattr(node, "name", "<lambda>") if kind else ""
        qualname = f"{self.qualname}.{name}" if self.qualname and name else name or self.qualname
        scope = self._inner[id(node)] = Scope(kind or "comprehension", node, self, qualname)
        return scope

    @property
    def module(self) -> "Scope":
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def owner(self, name: str, at: tuple[int, int] | None = None) -> "Scope | None":
        """The scope whose binding a name in this one means; None for a builtin or what nobody binds.

        `at` is where the name stands: in the body of a class, a name that is bound only further down means that of
        the scopes outside. What a class binds is not seen by the functions in it.
        """
        scope: Scope | None = self
        while scope is not None:
            bound = scope.table.get(name)
            if bound and scope.kind == "class" and scope is not self:
                bound = [b for b in bound if b.kind == "typeparam"]  # all that the functions in a class see of it
            if name in scope.globals:
                return scope.module
            if bound and name not in scope.nonlocals and not _too_early(scope, bound, at):
                return scope
            scope = scope.parent
        return None


def _too_early(scope: Scope, bound: Sequence[Binding], at: tuple[int, int] | None) -> bool:
    if scope.kind != "class" or at is None:
        return False
    return all(_position(b.statement or b.node) >= at or _holds(b.statement, at) for b in bound)


def _position(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _holds(node: ast.AST | None, at: tuple[int, int]) -> bool:
    """Whether a place lies in a statement that binds its names when it has been carried out."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):  # what stands in its head
        return _position(node) <= at <= (node.end_lineno or 0, node.end_col_offset or 0)
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return False
    return _position(node) <= at <= (node.end_lineno or 0, node.end_col_offset or 0) and not any(
        _position(target) <= at <= (target.end_lineno or 0, target.end_col_offset or 0)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    )


def module_scope(tree: ast.Module, data: bytes | None = None) -> Scope:
    """The scope of a module. With its bytes, what cannot be in it (`:=`, `global`) is not looked for."""
    scope = Scope("module", tree, None, "")
    scope.has_walrus = data is None or b":=" in data
    if data is None or b"global" in data:
        lines = _lines_with_global(data)
        table = scope.table
        for function in _functions_at(tree.body, lines):
            names = {n for each in statements_of(function.body) if isinstance(each, ast.Global) for n in each.names}
            for each in statements_of(function.body) if names else ():
                for name, binding in _bound_by(each):
                    if name in names:
                        table.setdefault(name, []).append(binding)
    return scope


def _lines_with_global(data: bytes | None) -> list[int] | None:
    if data is None:
        return None
    plain = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines, line, at = [], 1, 0
    while (found := plain.find(b"global ", at)) >= 0 or (found := plain.find(b"global\t", at)) >= 0:
        line += plain.count(b"\n", at, found)
        at = found + 6
        lines.append(line)
        line += plain.count(b"\n", found, at)
    return lines


def _functions_at(body: Sequence[ast.AST], lines: list[int] | None) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions that hold one of the lines; all functions where the lines are not known."""
    stack = list(body)
    while stack:
        node = stack.pop()
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", None) or 1 << 30
        if lines is not None and not any(first <= line <= last for line in lines):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        stack += [child for child in children_of(node) if not isinstance(child, ast.expr)]


def _bindings(scope: Scope) -> Iterator[tuple[str, Binding]]:
    node = scope.node
    if isinstance(node, FUNCTIONS):
        yield from _parameters(node)
    for parameter in getattr(node, "type_params", ()):
        yield parameter.name, Binding("typeparam", parameter)
    if isinstance(node, COMPREHENSIONS):
        for part in node.generators:
            yield from _targets(part.target, "for", part.iter, node)
        return
    body = node.body if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else []
    if isinstance(node, ast.Lambda):
        body = [ast.Expr(node.body)]
    for each in statements_of(body) if scope.has_walrus else _plain_statements(body):
        if isinstance(each, ast.Global):
            scope.globals.update(each.names)
        elif isinstance(each, ast.Nonlocal):
            scope.nonlocals.update(each.names)
        else:
            yield from _bound_by(each)


def _parameters(node: Function) -> Iterator[tuple[str, Binding]]:
    arguments = node.args
    for arg in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield arg.arg, Binding("param", arg, arg.annotation, (), node)
    if arguments.vararg:
        yield arguments.vararg.arg, Binding("param", arguments.vararg, None, (-1,), node)
    if arguments.kwarg:
        yield arguments.kwarg.arg, Binding("param", arguments.kwarg, None, (-2,), node)


def statements_of(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a body that may bind a name in it: not into functions and classes; into comprehensions for `:=`."""
    stack = list(reversed(body))
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, _SCOPES):
            stack += _outside(node)
        elif isinstance(node, _constants):
            continue
        else:
            stack += reversed(children_of(node))


def _plain_statements(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """The statements of a body, without the expressions in them: those bind nothing where there is no `:=`."""
    stack = list(reversed(body))
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, _compound):
            stack += reversed([child for child in children_of(node) if not isinstance(child, ast.expr)])


def _outside(node: ast.AST) -> list[ast.AST]:
    """What belongs to a function or class but stands in the scope around it."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *(k.value for k in node.keywords)]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)]
    return []


def children_of(node: ast.AST) -> list[ast.AST]:
    """The nodes directly below a node, in the order of its fields."""
    found: list[ast.AST] = []
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
    return found


def _bound_by(node: ast.AST) -> Iterator[tuple[str, Binding]]:  # noqa: C901, PLR0912 - one case for each kind of statement
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield node.name, Binding("def", node, None, (), node)
        case ast.ClassDef():
            yield node.name, Binding("class", node, None, (), node)
        case ast.Import() | ast.ImportFrom():
            yield from _imported(node)
        case ast.Assign():
            for target in node.targets:
                yield from _targets(target, "assign", node.value, node)
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name, Binding("annotated", node.target, node.annotation, (), node)
        case ast.AugAssign(target=ast.Name(id=name)):
            yield name, Binding("augmented", node.target, node.value, (), node)
        case ast.For() | ast.AsyncFor():
            yield from _targets(node.target, "for", node.iter, node)
        case ast.With() | ast.AsyncWith():
            for item in node.items:
                if item.optional_vars is not None:
                    yield from _targets(item.optional_vars, "with", item.context_expr, node)
        case ast.NamedExpr(target=ast.Name(id=name)):
            yield name, Binding("assign", node.target, node.value, (), node)
        case ast.ExceptHandler(name=str(name)):
            yield name, Binding("except", node, node.type, (), node)
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name, Binding("match", node, None, (), node)
        case ast.Delete():
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, Binding("del", target, None, (), node)
        case _ if type(node).__name__ == "TypeAlias":
            yield node.name.id, Binding("assign", node.name, node.value, (), node)  # type: ignore[attr-defined]


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Binding]]:
    for alias in node.names:
        if alias.name == "*":
            yield "*", Binding("star", alias, None, (), node)
        elif isinstance(node, ast.Import) and not alias.asname:
            yield alias.name.partition(".")[0], Binding("import", alias, None, (), node)
        else:
            yield alias.asname or alias.name, Binding("import", alias, None, (), node)


def targets_of(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST | None, tuple[int, ...]]]:
    """The targets of a statement that are no plain names, such as attributes, with the value and the way into it."""
    match node:
        case ast.Assign():
            pairs = [(target, node.value) for target in node.targets]
        case ast.For() | ast.AsyncFor():
            pairs = [(node.target, node.iter)]
        case ast.With() | ast.AsyncWith():
            pairs = [(item.optional_vars, item.context_expr) for item in node.items if item.optional_vars]
        case ast.AugAssign():
            pairs = [(node.target, node.value)]
        case _:
            return
    for target, value in pairs:
        yield from _leaves(target, value, ())


def _leaves(
    target: ast.AST, value: ast.AST, steps: tuple[int, ...]
) -> Iterator[tuple[ast.AST, ast.AST | None, tuple[int, ...]]]:
    if not isinstance(target, ast.Tuple | ast.List):
        yield target, value, steps
        return
    for index, item in enumerate(target.elts):
        if isinstance(value, ast.Tuple) and not steps and index < len(value.elts):
            yield from _leaves(item, value.elts[index], ())
        else:
            yield from _leaves(item, value, (*steps, index))


def _targets(
    target: ast.AST, kind: str, value: ast.AST, statement: ast.AST, steps: tuple[int, ...] = ()
) -> Iterator[tuple[str, Binding]]:
    if isinstance(target, ast.Name):
        yield target.id, Binding(kind, target, value, steps, statement)
    elif isinstance(target, ast.Tuple | ast.List):
        for index, item in enumerate(target.elts):
            if isinstance(item, ast.Starred):
                yield from _targets(item.value, kind, value, statement, (*steps, -1))
            else:
                yield from _targets(item, kind, value, statement, (*steps, index))
