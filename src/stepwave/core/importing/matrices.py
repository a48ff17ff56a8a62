"""The `matrix` of a job of GitHub Actions, as that of a step."""

import re
from collections.abc import Mapping
from math import prod
from typing import NamedTuple

from stepwave.core.importing.flow import Yaml
from stepwave.core.importing.holes import Unsayable, escaped
from stepwave.core.importing.nodes import items
from stepwave.core.reading import document as tree

MAX_COMBINATIONS = 256
"""As many as GitHub allows."""


class Key(NamedTuple):
    """`is_everywhere`: every combination has it. `is_word`: its values mean the same to a shell with and without
    quotes."""

    is_everywhere: bool
    is_word: bool


class Matrix(NamedTuple):
    keys: Mapping[str, Key]
    keys_of_step: Mapping[str, Yaml]


def matrix_of(strategy: tree.Mapping) -> Matrix | None:
    """Raises Unsayable."""
    node = strategy.get("matrix")
    if node is None:
        return None
    if not isinstance(node, tree.Mapping):
        raise Unsayable("its values are known only to GitHub")
    written: dict[str, Yaml] = {}
    texts: dict[str, list[str]] = {}
    for name, values in node.items():
        if name not in ("include", "exclude"):
            if not isinstance(values, tree.Sequence) or not values.items:
                raise Unsayable(f"the values of `{name[:60]}` are not written out")
            written[name] = [_simple(name, one) for one in values.items]
            texts[name] = [one.text for one in values.items if isinstance(one, tree.Scalar)]
    if prod(map(len, texts.values())) > MAX_COMBINATIONS:
        raise Unsayable(f"it has more than {MAX_COMBINATIONS} combinations")
    return _with_more(node, written, texts)


def _with_more(node: tree.Mapping, written: dict[str, Yaml], texts: dict[str, list[str]]) -> Matrix:
    """With what `include` and `exclude` say."""
    everywhere = set(texts)
    included = [_entry(one) for one in items(node.get("include"))]
    excluded = [_entry(one) for one in items(node.get("exclude"))]
    excluded = [one for one in excluded if all(str(value) in texts.get(key, ()) for key, value in one.items())]
    for one in included:
        for name, value in one.items():
            texts.setdefault(name, []).append(str(value))
    if not everywhere and included:
        everywhere = set.intersection(*(set(one) for one in included))
    more = {name: rows for name, rows in (("exclude", excluded), ("include", included)) if rows}
    if not texts or len(included) + len(excluded) > MAX_COMBINATIONS:
        raise Unsayable("it has no values, or too many")
    is_word = re.compile(r"[\w./:=@%+,-]+").fullmatch
    keys = {name: Key(name in everywhere, all(is_word(text) for text in values)) for name, values in texts.items()}
    return Matrix(keys, {**written, **more})


def _entry(node: tree.Node) -> dict[str, Yaml]:
    if not isinstance(node, tree.Mapping):
        raise Unsayable("its values are known only to GitHub")
    return {name: _simple(name, value) for name, value in node.items()}


def _simple(name: str, node: tree.Node) -> Yaml:
    """A value that a matrix can hold. A number keeps the way in which it is written: 3.10 is not 3.1."""
    if not isinstance(node, tree.Scalar) or node.value is None or not re.fullmatch(r"[A-Za-z_][\w-]*", name):
        raise Unsayable(f"`{name[:60]}` holds more than texts, numbers and booleans")
    if "${{" in node.text:
        raise Unsayable(f"the values of `{name[:60]}` are known only to GitHub")
    return (
        node.value
        if isinstance(node.value, bool)
        else escaped(node.value if isinstance(node.value, str) else node.text)
    )
