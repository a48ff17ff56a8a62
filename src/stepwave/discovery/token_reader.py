"""What each occurrence of a word is: a method for each kind of node in which a name can stand."""

import ast
from collections.abc import Sequence
from typing import Any

from stepwave.discovery.occurrences import Occurrences, Place
from stepwave.discovery.scopes import FUNCTIONS, Scope
from stepwave.discovery.terms import Term, lower, union
from stepwave.discovery.token_walk import Bound, Walk

_generic = frozenset(
    ["Union", "Optional", "Type", "List", "Dict", "Set", "FrozenSet", "Tuple", "Callable", "Iterable", "Iterator",
     "Sequence", "Mapping", "Annotated", "ClassVar", "Final", "Awaitable", "Coroutine", "Generator", "Generic"]
)  # fmt: skip
"""Types whose arguments are types wherever they stand: a string in the brackets is one."""
_typing_calls = {"TypeVar", "NewType", "ParamSpec", "TypeVarTuple"}


class Reader(Walk):
    """A walk that knows every kind of node."""

    # --- names -----------------------------------------------------------------------------------------------

    def name(self, node: ast.Name, scope: Scope, kind: str) -> None:
        if node.id not in self.words:
            return
        place = (node.lineno, node.col_offset)
        if isinstance(node.ctx, ast.Load):
            self.note(place, kind, node.id, self.denoted(node.id, scope, place))
        elif isinstance(node.ctx, ast.Del):
            self.note(place, "del", node.id, self.denoted(node.id, scope, place))
        else:
            self._store(node, scope, kind)

    def _store(self, node: ast.Name, scope: Scope, kind: str) -> None:
        owner = _binding_scope(scope, node.id)
        what = {"module": "variable", "class": "attribute"}.get(owner.kind, "local")
        place = (node.lineno, node.col_offset)
        if kind == "alias" or any(b.kind == "import" for b in owner.table.get(node.id, ())):
            self.note(place, "alias" if kind == "alias" else "write", node.id, self.denoted(node.id, scope, place))
            if kind == "alias":
                self.bound.append(Bound(f"{owner.qualname}.{node.id}".lstrip("."), what, place[0]))
            return
        self.bind(place, node.id, owner, what, "write" if kind == "augmented" else "")

    def attribute(self, node: ast.Attribute, scope: Scope, kind: str) -> None:
        self.visit(node.value, scope, kind if kind == "annotation" else "read")
        if node.attr not in self.words:
            return
        place = (node.end_lineno or 0, (node.end_col_offset or 0) - len(node.attr.encode()))
        receiver = self._receiver(node.value, scope)
        if isinstance(node.ctx, ast.Store):
            around = _own_class(node.value, scope)
            if around is not None and node.attr not in around.table:
                self.bind(place, node.attr, around, "attribute", "write" if kind == "augmented" else "")
                return
            kind = "write"
        elif isinstance(node.ctx, ast.Del):
            kind = "del"
        self.note(place, kind, node.attr, (".", receiver, node.attr))

    def _receiver(self, node: ast.expr, scope: Scope) -> Term:
        """The term of what an attribute is taken of, as `isinstance` around it has narrowed it."""
        if isinstance(node, ast.Name):
            for name, term in reversed(self.narrowed):
                if name == node.id:
                    return term
        return lower(node, scope)

    # --- definitions -----------------------------------------------------------------------------------------

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope, kind: str) -> None:
        self.visit_all(node.decorator_list, scope, "decorator")
        if node.name in self.words:
            owner = _binding_scope(scope, node.name)
            what = "method" if owner.kind == "class" else "function"
            again = "definition" if f"{owner.qualname}.{node.name}".lstrip(".") in self.defined else ""
            place = self.at.next(node.name, (node.lineno, node.col_offset + 4))
            self.bind(place, node.name, owner, what, again)
        inner = scope.inner(node)
        self._arguments(node.args, scope, inner)
        self.visit_all(getattr(node, "type_params", ()), inner, "annotation")
        self.visit(node.returns, inner if getattr(node, "type_params", ()) else scope, "annotation")
        self._body(node.body, inner)

    def _arguments(self, arguments: ast.arguments, scope: Scope, inner: Scope) -> None:
        around = inner if getattr(inner.node, "type_params", ()) else scope
        every = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
        for arg in every:
            if arg is not None:
                self.visit(arg.annotation, around, "annotation")
                if arg.arg in self.words:
                    self.bind((arg.lineno, arg.col_offset), arg.arg, inner, "parameter")
        self.visit_all([*arguments.defaults, *(d for d in arguments.kw_defaults if d)], scope)

    def lambda_(self, node: ast.Lambda, scope: Scope, kind: str) -> None:
        inner = scope.inner(node)
        self._arguments(node.args, scope, inner)
        self.visit(node.body, inner)

    def class_(self, node: ast.ClassDef, scope: Scope, kind: str) -> None:
        self.visit_all(node.decorator_list, scope, "decorator")
        inner = scope.inner(node)
        around = inner if getattr(node, "type_params", ()) else scope
        if node.name in self.words:
            owner = _binding_scope(scope, node.name)
            again = "definition" if f"{owner.qualname}.{node.name}".lstrip(".") in self.defined else ""
            self.bind(self.at.next(node.name, (node.lineno, node.col_offset + 5)), node.name, owner, "class", again)
        self.visit_all(node.bases, around, "base_class")
        self.visit_all([keyword.value for keyword in node.keywords], around)
        self.visit_all(getattr(node, "type_params", ()), inner, "annotation")
        self._body(node.body, inner)

    def _body(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        narrowed, self.narrowed = self.narrowed, [n for n in self.narrowed if scope.kind == "function"]
        self.visit_all(body, scope)
        self.narrowed = narrowed

    def comprehension(self, node: Any, scope: Scope, kind: str) -> None:
        inner = scope.inner(node)
        for index, part in enumerate(node.generators):
            self.visit(part.iter, inner if index else scope)
            self.visit(part.target, inner)
            self.visit_all(part.ifs, inner)
        for field in ("elt", "key", "value"):
            self.visit(getattr(node, field, None), inner)

    def type_alias(self, node: Any, scope: Scope, kind: str) -> None:
        """`type name[T] = …`, of Python 3.12."""
        inner = scope.inner(node)
        self.visit(node.name, scope)
        self.visit_all(node.type_params, inner, "annotation")
        self.visit(node.value, inner, "annotation")

    # --- imports ---------------------------------------------------------------------------------------------

    def import_(self, node: ast.Import, scope: Scope, kind: str) -> None:
        for alias in node.names:
            start, end = (alias.lineno, alias.col_offset), (alias.end_lineno or 0, alias.end_col_offset or 0)
            parts = alias.name.split(".")
            for index, part in enumerate(parts):
                if part in self.words:
                    offset = start[1] + sum(len(p.encode()) + 1 for p in parts[:index])
                    term = ("i", ".".join(parts[: index + 1]), 0, None)
                    place = (start[0], offset)
                    self.note(place if place in self.at.places else self.at.next(part, start), "import", part, term)
            if alias.asname:
                self._renamed(alias.asname, parts[-1], end, ("i", alias.name, 0, None))

    def import_from(self, node: ast.ImportFrom, scope: Scope, kind: str) -> None:
        start = (node.lineno, node.col_offset)
        parts = node.module.split(".") if node.module else []
        for index, part in enumerate(parts):
            if part in self.words:
                of_module: Term = ("i", ".".join(parts[: index + 1]), node.level, None)
                self.note(self.at.next(part, start), "import", part, of_module)
        for alias in node.names:
            term = ("i", node.module or "", node.level, alias.name)
            if alias.name in self.words:
                self.note((alias.lineno, alias.col_offset), "import", alias.name, term)
            if alias.asname:
                self._renamed(alias.asname, alias.name, (alias.end_lineno or 0, alias.end_col_offset or 0), term)

    def _renamed(self, asname: str, name: str, end: Place, term: Term) -> None:
        if asname in self.words:
            self.note((end[0], end[1] - len(asname.encode())), "import_alias", asname, term)
        if name in self.words and asname != name:
            self.renames.append(asname)

    # --- statements ------------------------------------------------------------------------------------------

    def assign(self, node: ast.Assign, scope: Scope, kind: str) -> None:
        target = node.targets[0] if len(node.targets) == 1 else None
        names_all = isinstance(target, ast.Name) and target.id == "__all__"
        if names_all:
            self._dunder_all(node.value)
        value = node.value
        last = value.id if isinstance(value, ast.Name) else value.attr if isinstance(value, ast.Attribute) else ""
        is_alias = last in self.words and isinstance(target, ast.Name) and scope.kind == "module" and target.id != last
        if is_alias and isinstance(target, ast.Name):
            self.renames.append(target.id)
        self.visit_all(node.targets, scope, "alias" if is_alias else "read")
        self.visit(value, scope)

    def augment(self, node: ast.AugAssign, scope: Scope, kind: str) -> None:
        if isinstance(node.target, ast.Name) and node.target.id == "__all__":
            self._dunder_all(node.value)
        self.visit(node.target, scope, "augmented")
        self.visit(node.value, scope)

    def annotated(self, node: ast.AnnAssign, scope: Scope, kind: str) -> None:
        if isinstance(node.target, ast.Name) and node.target.id == "__all__":
            self._dunder_all(node.value)
        self.visit(node.annotation, scope, "annotation")
        self.visit(node.target, scope)
        in_type = isinstance(node.annotation, ast.Name | ast.Attribute) and _last(node.annotation) == "TypeAlias"
        self.visit(node.value, scope, "annotation" if in_type else "read")

    def declared(self, node: ast.Global | ast.Nonlocal, scope: Scope, kind: str) -> None:
        for name in node.names:
            if name in self.words:
                place = self.at.next(name, (node.lineno, node.col_offset))
                self.note(place, "write", name, self.denoted(name, scope, (node.lineno, node.col_offset)))

    def handler(self, node: ast.ExceptHandler, scope: Scope, kind: str) -> None:
        self.visit(node.type, scope)
        if node.name and node.name in self.words:
            start = (node.type.end_lineno or 0, node.type.end_col_offset or 0) if node.type else (node.lineno, 0)
            self.bind(self.at.next(node.name, start), node.name, _binding_scope(scope, node.name), _local(scope))
        self.visit_all(node.body, scope)

    def capture(self, node: Any, scope: Scope, kind: str) -> None:
        self.children(node, scope, kind)
        name = getattr(node, "name", None) or getattr(node, "rest", None)
        if name in self.words:
            end = (node.end_lineno, node.end_col_offset + 1)
            places = [p for p in self.at.within((node.lineno, node.col_offset), end) if self.at.places[p] == name]
            self.bind(places[-1] if places else None, name, _binding_scope(scope, name), _local(scope))

    def match_class(self, node: ast.MatchClass, scope: Scope, kind: str) -> None:
        self.children(node, scope, kind)
        for name, pattern in zip(node.kwd_attrs, node.kwd_patterns, strict=True):
            if name in self.words:
                places = self.at.within((node.lineno, node.col_offset), (pattern.lineno, pattern.col_offset))
                fitting = [place for place in places if self.at.places[place] == name]
                term = (".", ("inst", lower(node.cls, scope)), name)
                self.note(fitting[-1] if fitting else None, "keyword", name, term)

    def branch(self, node: ast.If | ast.IfExp, scope: Scope, kind: str) -> None:
        self.visit(node.test, scope)
        narrowed = len(self.narrowed)
        self.narrowed += _tested(node.test, scope)
        for part in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(part, scope)
        del self.narrowed[narrowed:]
        for part in node.orelse if isinstance(node.orelse, list) else [node.orelse]:
            self.visit(part, scope)

    def both(self, node: ast.BoolOp, scope: Scope, kind: str) -> None:
        narrowed = len(self.narrowed)
        for value in node.values:
            self.visit(value, scope)
            if isinstance(node.op, ast.And):
                self.narrowed += _tested(value, scope)
        del self.narrowed[narrowed:]

    # --- expressions -----------------------------------------------------------------------------------------

    def call(self, node: ast.Call, scope: Scope, kind: str) -> None:
        self.visit(node.func, scope, "decorator" if kind == "decorator" else "call")
        name = _last(node.func)
        in_type = name in _typing_calls
        for index, argument in enumerate(node.args):
            self.visit(argument, scope, "annotation" if in_type or (name == "cast" and not index) else "read")
        for keyword in node.keywords:
            if keyword.arg in self.words:
                place = (keyword.lineno, keyword.col_offset)
                self.note(place, "keyword", keyword.arg or "", ("kw", lower(node.func, scope), keyword.arg))
            self.visit(keyword.value, scope, "annotation" if in_type else "read")
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="__all__")), args=[names, *_]):
                self._dunder_all(names)

    def subscript(self, node: ast.Subscript, scope: Scope, kind: str) -> None:
        self.visit(node.value, scope, kind if kind in ("annotation", "base_class") else "read")
        base = _last(node.value)
        in_type = kind in ("annotation", "base_class") and base != "Literal"
        for part in node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]:
            is_type = in_type or (base in _generic and isinstance(part, ast.Constant))
            self.visit(part, scope, "annotation" if is_type else "read")

    def constant(self, node: ast.Constant, scope: Scope, kind: str) -> None:
        if not isinstance(node.value, str | bytes):
            return
        start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
        self.strings.append((start, end))
        if kind == "annotation" and isinstance(node.value, str):
            self._string_annotation(node.value, start, end, scope)

    def _string_annotation(self, text: str, start: Place, end: Place, scope: Scope) -> None:
        """Names in a string that is a type: the first of the tree is the first of the text, and so on."""
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        inner = Reader(Occurrences(text.strip().encode("utf-8", "surrogatepass"), self.words), (), self.module)
        inner.words = self.words
        inner.visit(tree, scope, "annotation")
        places = self.at.within(start, end)
        if len(places) != len(inner.at.order):
            return
        where = dict(zip(inner.at.order, places, strict=True))
        for token in inner.found:
            if (place := where.get((token.line, token.offset))) is not None:
                self.note(place, "string_annotation", token.word, token.term)

    def _dunder_all(self, node: ast.AST | None) -> None:
        """The strings of `__all__`, which name what the module gives."""
        for each in ast.walk(node) if node is not None else ():
            if isinstance(each, ast.Constant) and each.value in self.words:
                start, end = (each.lineno, each.col_offset), (each.end_lineno or 0, each.end_col_offset or 0)
                for place in self.at.within(start, end)[:1]:
                    self.note(place, "dunder_all", str(each.value), ("g", each.value))

    def f_string(self, node: ast.JoinedStr, scope: Scope, kind: str) -> None:
        """Before Python 3.12 what stands in an f-string has places that may be wrong: they are put right here."""
        start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
        self.strings.append((start, end))
        before, pruned = len(self.found), self.prune
        self.prune = False
        self.children(node, scope, "read")
        self.prune = pruned
        fresh = self.found[before:]
        places = self.at.within(start, end)
        right = {(t.line, t.offset) for t in fresh if self.at.places.get((t.line, t.offset)) == t.word}
        free = [p for p in places if p not in right and _in_braces(self.at.slice(start, p))]
        for index, token in enumerate(fresh, before):
            place = (token.line, token.offset)
            if place not in right:
                place = next((p for p in free if self.at.places[p] == token.word), (0, 0))
                free = [p for p in free if p != place]
            self.found[index] = token._replace(line=place[0], offset=place[1])
        self.found[before:] = [token for token in self.found[before:] if token.line]

    handlers = {  # noqa: RUF012 - declared in Walk
        ast.Name: name, ast.Attribute: attribute, ast.FunctionDef: function, ast.AsyncFunctionDef: function,
        ast.Lambda: lambda_, ast.ClassDef: class_, ast.ListComp: comprehension, ast.SetComp: comprehension,
        ast.DictComp: comprehension, ast.GeneratorExp: comprehension, ast.Import: import_,
        ast.ImportFrom: import_from, ast.Assign: assign, ast.AugAssign: augment, ast.AnnAssign: annotated,
        ast.Global: declared, ast.Nonlocal: declared, ast.ExceptHandler: handler, ast.MatchAs: capture,
        ast.MatchStar: capture, ast.MatchMapping: capture, ast.MatchClass: match_class, ast.If: branch,
        ast.IfExp: branch, ast.BoolOp: both, ast.Call: call, ast.Subscript: subscript, ast.Constant: constant,
        ast.JoinedStr: f_string,
    }  # fmt: skip
    if hasattr(ast, "TypeAlias"):
        handlers[ast.TypeAlias] = type_alias


def _binding_scope(scope: Scope, name: str) -> Scope:
    """Where a statement in a scope binds a name: `global` and `nonlocal` lead out, as does `:=` in a comprehension."""
    while scope.kind == "comprehension" and scope.parent is not None and name not in scope.table:
        scope = scope.parent
    table = scope.table
    if name in scope.globals:
        return scope.module
    if name in scope.nonlocals and scope.parent is not None and table is not None:
        return scope.parent.owner(name) or scope
    return scope


def _local(scope: Scope) -> str:
    return {"module": "variable", "class": "attribute"}.get(scope.kind, "local")


def _own_class(node: ast.expr, scope: Scope) -> Scope | None:
    """The class whose instance `self` is, when an expression is the first parameter of a method."""
    if not isinstance(node, ast.Name):
        return None
    owner = scope.owner(node.id)
    if owner is None or owner.kind != "function" or owner.parent is None or owner.parent.kind != "class":
        return None
    function = owner.node
    if not isinstance(function, FUNCTIONS) or isinstance(function, ast.Lambda):
        return None
    first = [*function.args.posonlyargs, *function.args.args][:1]
    is_first = bool(first) and first[0].arg == node.id
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
    return owner.parent if is_first and not static else None


def _tested(test: ast.expr, scope: Scope) -> list[tuple[str, Term]]:
    """The names that an `isinstance` in a condition narrows, and to what."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return [each for value in test.values for each in _tested(value, scope)]
    match test:
        case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=name), types]):
            every = types.elts if isinstance(types, ast.Tuple) else [types]
            return [(name, union([("inst", lower(each, scope)) for each in every]))]
    return []


def _last(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _in_braces(before: bytes) -> bool:
    bare = before.replace(b"{{", b"").replace(b"}}", b"")
    return bare.count(b"{") > bare.count(b"}")
