"""What an expression may be, written down without its tree: terms that can be sent, kept, and worked out elsewhere.

A term is a tuple whose first item says what it is:

    ("g", name)               a name of this module, or a builtin
    ("i", module, level, n)   what `from module import n` brings in; n is None for the module itself
    ("def", q), ("class", q)  a function or class of this module, by its qualified name
    ("local", q)              a variable or parameter of a function, of which nothing more is known
    (".", t, name)            an attribute        ("()", t, a)   a call, with the term of its first argument or None
    ("[]", t, i)              an item             ("it", t)      what iteration gives
    ("with", t), ("aw", t)    what `with` and `await` give
    ("inst", t)               an instance of a type             ("sub", t, (t, …))  a type with arguments
    ("|", (t, …))             one of these       ("seq", kind, (t, …))  a list, tuple, set or dict of these
    ("inherited", c, f, a)    the parameter of a method, of which a base class may say the type
    ("bound", t)              a type variable of a bound
    ("super", t)              what super() means in a class      ("type", t)  the class of something
    ("cmp", t, name)          what comparing gives, by `__eq__` or its kind; as a rule, a truth value
    ("lit", name)             a value of a builtin type          ("?",)  nobody knows
"""

import ast
from collections.abc import Iterator
from typing import Any

from stepwave.discovery.scopes import COMPREHENSIONS, FUNCTIONS, Binding, Scope

Term = tuple[Any, ...]
UNKNOWN: Term = ("?",)
_DEEP = 24
_STEPS = 100
_class_makers = {"__new__", "__init_subclass__", "__class_getitem__"}
_sequences = {ast.List: "list", ast.Tuple: "tuple", ast.Set: "set"}
_comparing = {
    ast.Eq: "__eq__", ast.NotEq: "__ne__", ast.Lt: "__lt__", ast.LtE: "__le__", ast.Gt: "__gt__", ast.GtE: "__ge__",
}  # fmt: skip
_comprehended = {ast.ListComp: "list", ast.SetComp: "set", ast.GeneratorExp: "generator", ast.DictComp: "dict"}


def lower(node: ast.AST | None, scope: Scope, depth: int = 0) -> Term:  # noqa: C901, PLR0911, PLR0912 - one case for each kind
    """The term of an expression that stands in a scope."""
    if depth > _DEEP or node is None:
        return UNKNOWN
    deeper = depth + 1
    match node:
        case ast.Name():
            return lower_name(node.id, scope, (node.lineno, node.col_offset), deeper)
        case ast.Attribute(attr="__class__"):
            return ("type", lower(node.value, scope, deeper))
        case ast.Attribute():
            return (".", lower(node.value, scope, deeper), node.attr)
        case ast.Call():
            return _call(node, scope, deeper)
        case ast.Constant():
            return ("none",) if node.value is None else ("lit", type(node.value).__name__)
        case ast.JoinedStr():
            return ("lit", "str")
        case ast.Subscript():
            index = node.slice.value if isinstance(node.slice, ast.Constant) else None
            return ("[]", lower(node.value, scope, deeper), index if isinstance(index, int) else None)
        case ast.Await():
            return ("aw", lower(node.value, scope, deeper))
        case ast.IfExp():
            return union([lower(node.body, scope, deeper), lower(node.orelse, scope, deeper)])
        case ast.BoolOp():
            return union([lower(value, scope, deeper) for value in node.values])
        case ast.NamedExpr() | ast.Starred():
            return lower(node.value, scope, deeper)
        case ast.BinOp(op=ast.Div() | ast.Add() | ast.Mod()):
            return lower(node.left, scope, deeper)
        case ast.Compare(ops=[operator]) if type(operator) in _comparing:
            return ("cmp", lower(node.left, scope, deeper), _comparing[type(operator)])
        case ast.Compare():
            return ("lit", "bool")
    return _display(node, scope, deeper)


def _display(node: ast.AST, scope: Scope, deeper: int) -> Term:
    """The term of a list, tuple, set or dict that is written out, or of a comprehension."""
    match node:
        case ast.List() | ast.Tuple() | ast.Set():
            items = tuple(lower(item, scope, deeper) for item in node.elts[:8])
            return ("seq", _sequences[type(node)], items)
        case ast.Dict():
            keys = [lower(key, scope, deeper) for key in node.keys[:8] if key]
            return ("seq", "dict", (union(keys), union([lower(value, scope, deeper) for value in node.values[:8]])))
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
            inner = comprehension_scope(node, scope)
            return ("seq", _comprehended[type(node)], (lower(node.elt, inner, deeper),))
        case ast.DictComp():
            inner = comprehension_scope(node, scope)
            return ("seq", "dict", (lower(node.key, inner, deeper), lower(node.value, inner, deeper)))
    return UNKNOWN


def union(terms: list[Term]) -> Term:
    flat: list[Term] = []
    for term in terms:
        flat += term[1] if term[0] == "|" else [term]
    kept = list(dict.fromkeys(flat))
    return kept[0] if len(kept) == 1 else ("|", tuple(kept[:8])) if kept else UNKNOWN


def comprehension_scope(node: ast.AST, scope: Scope) -> Scope:
    return scope.inner(node)


def lower_name(name: str, scope: Scope, at: tuple[int, int] | None = None, depth: int = 0) -> Term:
    """The term of a name that stands in a scope."""
    owner = scope.owner(name, at)
    if owner is None or owner.kind == "module":
        return ("g", name)
    if owner.kind == "class":
        return (".", ("class", owner.qualname), name)
    known = [term for term in _bound_terms(name, owner, depth + 1) if term != UNKNOWN]
    return union(known) if known else ("local", f"{owner.qualname}.{name}")


def _bound_terms(name: str, owner: Scope, depth: int) -> Iterator[Term]:
    """The terms of all that a name is bound to. What `x = x.y` speaks of on its right are the other bindings of x; and
    as such lines may multiply, one does not follow more than some of them from where one began."""
    way = owner.way
    if not way.busy:
        way.steps = 0
    for binding in owner.table[name]:
        way.steps += 1
        if id(binding) in way.busy or way.steps > _STEPS:
            continue
        way.busy.add(id(binding))
        try:
            yield lower_binding(binding, owner, depth)
        finally:
            way.busy.discard(id(binding))


def lower_binding(binding: Binding, scope: Scope, depth: int = 0) -> Term:  # noqa: C901, PLR0911
    """The term of what a name is bound to, in the scope that binds it."""
    node, value = binding.node, binding.value
    if depth > _DEEP:
        return UNKNOWN
    match binding.kind:
        case "typeparam":
            return ("bound", lower_type(getattr(node, "bound", None), scope, depth))
        case "import":
            return import_term(node, binding.statement)
        case "def" | "class":
            return (binding.kind, _joined(scope.qualname, node.name))  # type: ignore[attr-defined]
        case "annotated":
            return _annotated(binding, scope, depth)
        case "assign":
            return _taken(lower(value, scope, depth), value, binding.steps, scope, depth)
        case "for":
            outer = scope.parent if scope.kind == "comprehension" and _is_first(scope, value) else None
            return _steps(("it", lower(value, outer or scope, depth)), binding.steps)
        case "with":
            return _steps(("with", lower(value, scope, depth)), binding.steps)
        case "except" if value is not None:
            types = value.elts if isinstance(value, ast.Tuple) else [value]
            return union([("inst", lower(each, scope, depth)) for each in types])
        case "param":
            return _parameter(binding, scope, depth)
        case "match" if isinstance(node, ast.MatchAs) and isinstance(node.pattern, ast.MatchClass):
            return ("inst", lower(node.pattern.cls, scope, depth))
    return UNKNOWN


def import_term(alias: ast.AST, statement: ast.AST | None) -> Term:
    """What an import binds."""
    assert isinstance(alias, ast.alias)
    if isinstance(statement, ast.ImportFrom):
        return ("i", statement.module or "", statement.level, alias.name)
    return ("i", alias.name if alias.asname else alias.name.partition(".")[0], 0, None)


def lower_type(node: ast.AST | None, scope: Scope, depth: int = 0) -> Term:  # noqa: PLR0911 - one for each case
    """The term of an annotation: of the type itself, not of an instance of it."""
    if depth > _DEEP:
        return UNKNOWN
    match node:
        case ast.Constant(value=str(text)):
            try:
                inner = ast.parse(text.strip(), mode="eval").body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return UNKNOWN
            return lower_type(_unplaced(inner), scope, depth + 1)
        case ast.Constant(value=None):
            return ("none",)
        case ast.BinOp(op=ast.BitOr()):
            return union([lower_type(node.left, scope, depth + 1), lower_type(node.right, scope, depth + 1)])
        case ast.Subscript():
            inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            arguments = tuple(lower_type(each, scope, depth + 1) for each in inside[:4])
            return ("sub", lower(node.value, scope, depth + 1), arguments)
        case ast.Name() | ast.Attribute():
            return lower(node, scope, depth + 1)
    return UNKNOWN


def _unplaced(node: ast.expr) -> ast.expr:
    """Names in a string are looked up when everything is bound: they stand at the end of the file, so to say."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            each.lineno = 1 << 30
    return node


def _joined(qualname: str, name: str) -> str:
    return f"{qualname}.{name}" if qualname else name


def _annotated(binding: Binding, scope: Scope, depth: int) -> Term:
    declared = lower_type(binding.value, scope, depth)
    value = binding.statement.value if isinstance(binding.statement, ast.AnnAssign) else None
    if declared == UNKNOWN or declared[:1] == ("local",):
        return lower(value, scope, depth)
    return ("inst", declared)


def _taken(term: Term, value: ast.AST | None, steps: tuple[int, ...], scope: Scope, depth: int) -> Term:
    """`a, b = x, y` is taken apart here; what is only known as a whole, when it is worked out."""
    while steps and isinstance(value, ast.Tuple | ast.List) and 0 <= steps[0] < len(value.elts):
        if any(isinstance(each, ast.Starred) for each in value.elts[: steps[0] + 1]):
            break
        value, steps = value.elts[steps[0]], steps[1:]
        term = lower(value, scope, depth)
    return _steps(term, steps)


def _steps(term: Term, steps: tuple[int, ...]) -> Term:
    for step in steps:
        term = UNKNOWN if step < 0 else ("[]", term, step)
    return term


def _is_first(scope: Scope, value: ast.AST | None) -> bool:
    return isinstance(scope.node, COMPREHENSIONS) and scope.node.generators[0].iter is value


def _parameter(binding: Binding, scope: Scope, depth: int) -> Term:
    function, arg = binding.statement, binding.node
    outer = scope.parent
    if not isinstance(function, FUNCTIONS) or outer is None:
        return UNKNOWN
    if binding.steps:
        return ("lit", "tuple" if binding.steps == (-1,) else "dict")
    first = [*function.args.posonlyargs, *function.args.args][:1] == [arg]
    if first and outer.kind == "class" and not isinstance(function, ast.Lambda):
        kind = method_kind(function)
        if kind != "static":
            return ("class", outer.qualname) if kind == "class" else ("inst", ("class", outer.qualname))
    if binding.value is not None:
        return ("inst", lower_type(binding.value, outer, depth))
    default = _default(function, arg)
    if outer.kind == "class" and isinstance(arg, ast.arg) and not isinstance(function, ast.Lambda):
        declared = ("inherited", outer.qualname, function.name, arg.arg)  # an overridden method may say the type
        return union([declared, lower(default, outer, depth)]) if default and not _is_none(default) else declared
    return lower(default, outer, depth) if default is not None and not _is_none(default) else UNKNOWN


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _default(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, arg: ast.AST) -> ast.expr | None:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    if arg in positional:
        index = positional.index(arg) - len(positional) + len(arguments.defaults)
        return arguments.defaults[index] if index >= 0 else None
    return arguments.kw_defaults[arguments.kwonlyargs.index(arg)] if arg in arguments.kwonlyargs else None


def decorator_names(node: ast.AST) -> list[str]:
    """The last names of a function's decorators: `cached_property` of `@functools.cached_property`."""
    found = []
    for decorator in getattr(node, "decorator_list", ()):
        inner = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(inner, ast.Attribute):
            found.append(inner.attr)
        elif isinstance(inner, ast.Name):
            found.append(inner.id)
    return found


def method_kind(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """What the first parameter of a method is given: an instance, the class, or (`static`) anything."""
    names = decorator_names(function)
    if "staticmethod" in names:
        return "static"
    return "class" if "classmethod" in names or function.name in _class_makers else "instance"


def _call(node: ast.Call, scope: Scope, depth: int) -> Term:
    func = node.func
    if isinstance(func, ast.Name) and scope.owner(func.id) is None:
        if func.id == "super":
            return _super(node, scope, depth)
        if func.id == "type" and len(node.args) == 1:
            return ("type", lower(node.args[0], scope, depth))
        if func.id == "getattr" and len(node.args) >= 2 and isinstance(node.args[1], ast.Constant):
            name = node.args[1].value
            return (".", lower(node.args[0], scope, depth), name) if isinstance(name, str) else UNKNOWN
    name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
    if name == "cast" and len(node.args) == 2:
        return ("inst", lower_type(node.args[0], scope, depth))
    if name == "TypeVar":
        limits = [lower_type(k.value, scope, depth) for k in node.keywords if k.arg == "bound"]
        return ("bound", union(limits or [lower_type(each, scope, depth) for each in node.args[1:]]))
    first = lower(node.args[0], scope, depth) if node.args and depth < 6 else None
    return ("()", lower(func, scope, depth), first)


def _super(node: ast.Call, scope: Scope, depth: int) -> Term:
    if node.args:
        return ("super", lower(node.args[0], scope, depth))
    around: Scope | None = scope
    while around is not None and around.kind != "class":
        around = around.parent
    return ("super", ("class", around.qualname)) if around is not None else UNKNOWN


def export_terms(scope: Scope, name: str) -> list[Term]:
    """What a module binds a name to: imports, itself (("entity", name)), else its star imports."""
    terms: list[Term] = []
    for binding in scope.table.get(name, ()):
        if binding.kind == "import":
            terms.append(import_term(binding.node, binding.statement))
        elif binding.kind not in ("del", "augmented"):
            terms.append(("entity", name))
    if not terms:
        statements = [b.statement for b in scope.table.get("*", ())]
        terms = [("star", s.module, s.level) for s in statements if isinstance(s, ast.ImportFrom)]
    return list(dict.fromkeys(terms))
