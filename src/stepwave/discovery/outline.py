"""What a file says of the names that it binds, in terms: asked for one question at a time, each about this file alone.

So what has been answered once holds for as long as the file does not change, and can be kept; the file is parsed only
when something is asked that has not been asked before.
"""

import ast
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from stepwave.discovery.scopes import Binding, Scope, module_scope, statements_of, targets_of
from stepwave.discovery.terms import (
    UNKNOWN,
    Term,
    decorator_names,
    export_terms,
    lower,
    lower_binding,
    lower_type,
    method_kind,
)

Question = tuple[str, ...]
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Named(NamedTuple):
    """What a dotted name is bound to. With `declared` the terms are of its annotations, and nothing else counts.

    `is_code`: a function or class. `alias`: the term of `a` where `name = a` is all that happens to the name.
    """

    terms: Sequence[Term]
    declared: bool
    is_code: bool
    alias: Term | None


class Returned(NamedTuple):
    """What a body gives back: by `return`, and by `yield`, which makes a generator of it."""

    returns: Sequence[Term]
    yields: Sequence[Term]
    generates: bool


class Module:
    """A parsed file of the tree."""

    def __init__(self, tree: ast.Module, data: bytes) -> None:
        self.size = len(data)
        self.scope = module_scope(tree, data)

    def locate(self, qualname: str) -> tuple[Scope, list[Binding]] | None:
        """The scope that binds the last part of a dotted name, and how it does."""
        scope = self.scope
        parts = qualname.split(".")
        for part in parts[:-1]:
            opened = [b.node for b in scope.table.get(part, ()) if b.kind in ("def", "class")]
            if not opened:
                return None
            classes = [node for node in opened if isinstance(node, ast.ClassDef)]
            scope = scope.inner((classes or opened)[-1])
        found = scope.table.get(parts[-1])
        return (scope, found) if found else None

    def function(self, qualname: str) -> tuple[Scope, _Function] | None:
        located = self.locate(qualname)
        nodes = [b.node for b in located[1] if isinstance(b.node, _FUNCTIONS)] if located else []
        return (located[0], nodes[0]) if located and nodes else None

    def class_scope(self, qualname: str) -> Scope | None:
        located = self.locate(qualname)
        nodes = [b.node for b in located[1] if isinstance(b.node, ast.ClassDef)] if located else []
        return located[0].inner(nodes[-1]) if located and nodes else None


class Outline:
    """The questions about one file. `known` are answers from before; `load` makes the tree, or gives None."""

    def __init__(self, known: dict[Question, Any], load: Callable[[], Module | None]) -> None:
        self.known = known
        self.is_new = False
        self._load = load

    def _ask(self, *question: str) -> Any:
        if question in self.known:
            return self.known[question]
        module = self._load()
        found = self.known[question] = _answers[question[0]](module, *question[1:]) if module is not None else None
        self.is_new = True
        return found

    def exports(self, name: str) -> Sequence[Term]:
        """What the module binds a name to: see `export_terms`."""
        return self._ask("exports", name) or ()

    def gives(self, name: str) -> bool:
        """Whether a star import brings a name along."""
        names = self._ask("all")
        return name in names if names is not None else not name.startswith("_")

    def named(self, qualname: str) -> Named | None:
        found = self._ask("named", qualname)
        return Named(*found) if found is not None else None

    def names_in_class(self, qualname: str) -> frozenset[str] | None:
        """The names that the body of a class binds; None for what is no class."""
        found: frozenset[str] | None = self._ask("names", qualname)
        return found

    def bases(self, qualname: str) -> Sequence[Term] | None:
        """The terms of a class's bases; None for what is no class."""
        found: Sequence[Term] | None = self._ask("bases", qualname)
        return found

    def attributes(self, qualname: str) -> dict[str, list[Term]]:
        """What the methods of a class assign to attributes of their first parameter, by name; ("declared", t) where a
        type is declared."""
        return self._ask("attributes", qualname) or {}

    def decorators(self, qualname: str) -> Sequence[str] | None:
        """The last names of a function's decorators; None for what is no function."""
        found: Sequence[str] | None = self._ask("decorators", qualname)
        return found

    def parameter(self, qualname: str, name: str) -> Term | None:
        """The term of what a function declares a parameter to be."""
        found: Term | None = self._ask("parameter", qualname, name)
        return found

    def result(self, qualname: str) -> Term | None:
        """The term of what a function declares to give back; ("own", class) where that is the type of `self`."""
        found: Term | None = self._ask("result", qualname)
        return found

    def returned(self, qualname: str) -> Returned:
        found = self._ask("returned", qualname)
        return Returned(*found) if found is not None else Returned((), (), False)


# --- the answers: plain tuples, texts and numbers, as they are kept ------------------------------------------------


def names_of_all(bound: Sequence[Binding]) -> tuple[str, ...] | None:
    """What is bound to `__all__`, where it stands in the file as strings; None where it does not."""
    found = [_strings(b.value) for b in bound if b.kind in ("assign", "augmented")]
    if not found or len(found) != len(bound) or None in found:
        return None
    return tuple(name for names in found if names for name in names)


def _strings(node: ast.AST | None) -> list[str] | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _strings(node.left), _strings(node.right)
        return left + right if left is not None and right is not None else None
    if not isinstance(node, ast.List | ast.Tuple):
        return None
    names = [item.value for item in node.elts if isinstance(item, ast.Constant)]
    texts = [name for name in names if isinstance(name, str)]
    return texts if len(texts) == len(node.elts) else None


def _named(module: Module, qualname: str) -> tuple[Any, ...] | None:
    located = module.locate(qualname)
    if located is None:
        return None
    scope, bound = located
    declared = [b for b in bound if b.kind == "annotated"]
    terms = tuple([lower_binding(binding, scope) for binding in declared or bound])
    return terms, bool(declared), any(b.kind in ("def", "class") for b in bound), _alias(scope, bound)


def _alias(scope: Scope, bound: Sequence[Binding]) -> Term | None:
    plain = len(bound) == 1 and bound[0].kind == "assign" and not bound[0].steps
    value = bound[0].value
    is_other_name = plain and scope.kind in ("module", "class") and isinstance(value, ast.Name | ast.Attribute)
    return lower(value, scope) if is_other_name else None


def _names(module: Module, qualname: str) -> frozenset[str] | None:
    scope = module.class_scope(qualname)
    return frozenset(scope.table) if scope is not None else None


def _bases(module: Module, qualname: str) -> tuple[Term, ...] | None:
    scope = module.class_scope(qualname)
    if scope is None or scope.parent is None or not isinstance(scope.node, ast.ClassDef):
        return None
    return tuple([lower(base, scope.parent) for base in scope.node.bases])


def _attributes(module: Module, qualname: str) -> dict[str, list[Term]]:
    found: dict[str, list[Term]] = {}
    scope = module.class_scope(qualname)
    for bound in list(scope.table.values()) if scope else ():
        for binding in bound:
            if isinstance(binding.node, _FUNCTIONS) and scope is not None:
                _add_assigned(binding.node, scope.inner(binding.node), found)
    return found


def _add_assigned(function: _Function, scope: Scope, found: dict[str, list[Term]]) -> None:
    """Attributes that a method assigns to its first parameter."""
    first = [*function.args.posonlyargs, *function.args.args][:1]
    if not first or method_kind(function) == "static":
        return
    own = first[0].arg
    for node in statements_of(function.body):
        if isinstance(node, ast.AnnAssign) and (name := _attribute_of(node.target, own)):
            found.setdefault(name, []).append(("declared", ("inst", lower_type(node.annotation, scope))))
        for target, value, steps in targets_of(node):
            if name := _attribute_of(target, own):
                found.setdefault(name, []).append(_assigned(node, value, steps, scope))


def _assigned(statement: ast.AST, value: ast.AST | None, steps: Sequence[int], scope: Scope) -> Term:
    term = lower(value, scope) if value is not None else UNKNOWN
    for step in steps:
        term = ("[]", term, step) if step >= 0 else UNKNOWN
    kind = type(statement).__name__
    return ("it", term) if "For" in kind else ("with", term) if "With" in kind else term


def _attribute_of(node: ast.AST, name: str) -> str:
    """`x` of `self.x`; else nothing."""
    is_one = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    return node.attr if is_one else ""  # type: ignore[attr-defined]


def _decorators(module: Module, qualname: str) -> tuple[str, ...] | None:
    found = module.function(qualname)
    return tuple(decorator_names(found[1])) if found is not None else None


def _parameter(module: Module, qualname: str, name: str) -> Term | None:
    found = module.function(qualname)
    if found is None:
        return None
    scope, function = found
    arguments = function.args
    for arg in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if arg.arg == name and arg.annotation is not None:
            return ("inst", lower_type(arg.annotation, scope))
    return None


def _result(module: Module, qualname: str) -> Term | None:
    found = module.function(qualname)
    if found is None or found[1].returns is None:
        return None
    scope, node = found
    written = ast.unparse(found[1].returns).strip("'\"")
    first = [*node.args.posonlyargs, *node.args.args][:1]
    own_type = ast.unparse(first[0].annotation).strip("'\"") if first and first[0].annotation else None
    if scope.kind == "class" and (written.rpartition(".")[2] == "Self" or written == own_type):
        return ("own", scope.qualname)
    return ("inst", lower_type(node.returns, scope))


def _returned(module: Module, qualname: str) -> tuple[Any, ...] | None:
    found = module.function(qualname)
    if found is None:
        return None
    scope, node = found
    inner = scope.inner(node)
    returns: list[Term] = []
    yields: list[Term] = []
    generates = False
    for each in statements_of(node.body):
        if isinstance(each, ast.Return) and each.value is not None:
            returns.append(lower(each.value, inner))
        elif isinstance(each, ast.Yield | ast.YieldFrom):
            generates = True
            term = lower(each.value, inner) if each.value is not None else None
            if term is not None:
                yields.append(("it", term) if isinstance(each, ast.YieldFrom) else term)
    return tuple(returns), tuple(yields), generates


_answers: dict[str, Callable[..., Any]] = {
    "exports": lambda module, name: export_terms(module.scope, name),
    "all": lambda module: names_of_all(module.scope.table.get("__all__", ())),
    "named": _named,
    "names": _names,
    "bases": _bases,
    "attributes": _attributes,
    "decorators": _decorators,
    "parameter": _parameter,
    "result": _result,
    "returned": _returned,
}
