"""Expressions against another evaluator, which was written from docs/expressions.md and shares no code with ours.

A tree is a tuple: its kind, then its parts. `written` makes an expression of it, `meaning` says what it comes to.
"""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.language.evaluate import evaluate
from stepwave.core.language.expressions import compile_expression
from stepwave.core.language.interpolate import fill, value_of
from stepwave.core.language.scope import ExpressionError, Unresolved, Values
from stepwave.core.model import Value

Tree = tuple[Any, ...]

VARIABLES: dict[str, Value] = {
    "one": 1,
    "half": 0.5,
    "word": "main",
    "digits": "12",
    "blank": " ",
    "braces": "{{one}} ${one}",
    "yes": True,
    "nothing": None,
    "names": ["ada", "12", 3],
    "empty": [],
    "deep": {"list": [[1, 2], "x"], "k": False},
}


class MissingError(Exception):
    """A name that nothing has."""


class WrongError(Exception):
    """What cannot be worked out."""


# --- writing ---------------------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("{{", "\\{{") + "'"


BETWEEN = ("and", "or", "&&", "||", "==", "!=", "<", ">=", "in", "not in")


def written(tree: Tree) -> str:
    kind, *parts = tree
    if kind == "name":
        shown = str(parts[0])
    elif kind == "constant":
        shown = quoted(parts[0]) if isinstance(parts[0], str) else json.dumps(parts[0])
    elif kind == "text":
        shown = "".join(quoted(part)[1:-1] if isinstance(part, str) else f"{{{{{written(part)}}}}}" for part in parts)
        shown = f"'{shown}'"
    elif kind in BETWEEN:
        shown = f"({written(parts[0])} {kind} {written(parts[1])})"
    elif kind == "at":
        shown = f"{written(parts[0])}[{written(parts[1])}]"
    else:
        between = ", ".join(map(written, parts))
        shown = f"[{between}]" if kind == "list" else f"(not {between})" if kind == "not" else f"{kind}({between})"
    return shown


# --- meaning ---------------------------------------------------------------------------------------------------------


def true(value: Value) -> bool:
    if isinstance(value, str):
        return value.strip() not in ("", "false")
    return bool(value)


def number(value: Value) -> float | int | None:
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return None
    if isinstance(value, str):
        text = value.strip().lstrip("+-")
        if not text.replace(".", "", 1).isdigit() or text.startswith(".") or text.endswith("."):
            return None
        return float(value) if "." in value else int(value)
    return value


def text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def equal(a: Value, b: Value) -> bool:
    for x, y in ((a, b), (b, a)):
        if isinstance(x, bool):
            return y.strip() == text(x) if isinstance(y, str) else y is x
    for x, y in ((a, b), (b, a)):
        if isinstance(x, int | float):
            return number(y) == x
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return sorted(a) == sorted(b) and all(equal(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def less(a: Value, b: Value) -> bool:
    if isinstance(a, str) and isinstance(b, str):
        return a < b
    x, y = number(a), number(b)
    if x is None or y is None:
        raise WrongError
    return x < y


def within(part: Value, whole: Value) -> bool:
    if isinstance(whole, list):
        return any(equal(item, part) for item in whole)
    if isinstance(whole, dict):
        return text(part) in whole
    if whole is None or isinstance(part, list | dict):
        raise WrongError
    return text(part) in text(whole)


def at(items: Value, index: Value) -> Value:
    assert isinstance(items, list)
    assert isinstance(index, int)
    if not -len(items) <= index < len(items):
        raise MissingError
    return items[index]


def of_list(items: Value) -> list[Value]:
    if not isinstance(items, list):
        raise WrongError
    return items


def of_text(value: Value) -> str:
    if value is None or isinstance(value, list | dict):
        raise WrongError
    return text(value)


def at_least(a: Value, b: Value) -> bool:
    return not less(a, b)


strict: dict[str, Callable[..., Value]] = {
    "==": equal,
    "equals": equal,
    "!=": lambda a, b: not equal(a, b),
    "<": less,
    ">=": at_least,
    "in": within,
    "not in": lambda part, whole: not within(part, whole),
    "not": lambda a: not true(a),
    "toString": text,
    "empty": lambda a: a is None or (not a and isinstance(a, str | list | dict)),
    "first": lambda a: of_list(a)[0] if of_list(a) else None,
    "reverse": lambda a: a[::-1] if isinstance(a, list) else of_text(a)[::-1],
    "upper": lambda a: of_text(a).upper(),
    "join": lambda items, sign: sign.join(map(text, of_list(items))),
    "at": at,
    "list": lambda *items: [*items],
    "text": lambda *parts: "".join(map(text, parts)),
}


def meaning(tree: Tree) -> Value:
    kind, *parts = tree
    if kind == "constant":
        return parts[0]  # type: ignore[no-any-return]
    if kind == "name":
        if parts[0] not in VARIABLES:
            raise MissingError
        return VARIABLES[parts[0]]
    if kind in strict:
        return strict[kind](*(part if isinstance(part, str) else meaning(part) for part in parts))
    return lazy(kind, parts)


def lazy(kind: str, parts: list[Tree]) -> Value:
    """What looks only at the parts that it needs."""
    if kind == "if":
        return meaning(parts[1] if true(meaning(parts[0])) else parts[2])
    if kind in ("default", "coalesce"):
        return given_first(parts, last=kind == "default")
    left = meaning(parts[0])
    return left if true(left) == (kind in ("or", "||")) else meaning(parts[1])


def given_first(trees: list[Tree], *, last: bool) -> Value:
    for tree in trees[:-1] if last else trees:
        try:
            value = meaning(tree)
        except MissingError:
            continue
        if value is not None and value != "":
            return value
    return meaning(trees[-1]) if last else None


# --- trees -----------------------------------------------------------------------------------------------------------

leaves = st.one_of(
    st.sampled_from([*VARIABLES, "nope"]).map(lambda name: ("name", name)),
    st.sampled_from([None, True, False, 0, 1, 12, -3, 2.5, "", "a", "ada", "12", "true", "{{one}}", "it's", "\\"]).map(
        lambda value: ("constant", value)
    ),
)


def larger(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    two = ("and", "or", "&&", "||", "==", "!=", "in", "not in", "<", ">=", "equals", "default", "coalesce")
    return st.one_of(
        st.tuples(st.sampled_from(two), inner, inner),
        st.tuples(st.sampled_from(["not", "toString", "empty", "first", "reverse", "upper"]), inner),
        st.tuples(st.just("if"), inner, inner, inner),
        st.lists(inner, max_size=3).map(lambda parts: ("list", *parts)),
        st.lists(inner | st.sampled_from(["", "x ", "it's", "{{", "\n"]), max_size=3).map(
            lambda parts: ("text", *parts)
        ),
        st.tuples(st.just("join"), inner, st.just(("constant", "+"))),
        st.tuples(
            st.just("at"),
            inner.map(lambda part: ("list", part, part)),
            st.integers(-3, 3).map(lambda n: ("constant", n)),
        ),
    )


trees = st.recursive(leaves, larger, max_leaves=8)
scope = Values(variables=VARIABLES)


def outcome(tree: Tree) -> tuple[str, Value]:
    try:
        return "value", meaning(tree)
    except MissingError:
        return "missing", None
    except WrongError:
        return "wrong", None


@settings(max_examples=1500, deadline=None)
@given(trees)
def test_every_expression_means_what_the_document_says(tree: Tree) -> None:
    kind, expected = outcome(tree)
    try:
        found: tuple[str, Value] = "value", evaluate(compile_expression(written(tree)), scope)
    except Unresolved:
        found = "missing", None
    except ExpressionError:
        found = "wrong", None
    assert found[0] == kind, written(tree)
    assert json.dumps(found[1]) == json.dumps(expected), written(tree)


@settings(max_examples=300, deadline=None)
@given(trees, trees)
def test_in_a_text_it_is_the_same_value(one: Tree, other: Tree) -> None:
    """Whole, it keeps its type; in more text it is its text; and what it brings is not read again."""
    if outcome(one)[0] == "value":
        assert json.dumps(value_of(f"{{{{ {written(one)} }}}}", scope)) == json.dumps(outcome(one)[1])
    if outcome(one)[0] == outcome(other)[0] == "value":
        whole = fill(f"<{{{{{written(one)}}}}}> {{{{{written(other)}}}}}", scope)
        assert whole == f"<{text(outcome(one)[1])}> {text(outcome(other)[1])}"
