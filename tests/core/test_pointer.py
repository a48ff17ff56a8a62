"""JSON pointers: what stands where."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.reading.document import Document, Mapping, Node, Scalar
from stepwave.core.reading.parse import parse
from stepwave.core.reading.pointer import Part, locate, path_at, pointer

Path = tuple[Part, ...]

values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text("ab~/ ", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/ ", max_size=3), inner, max_size=3),
    max_leaves=12,
)


def parsed(text: str, path: str = "x.yaml") -> Document:
    document, found = parse(text.encode(), path)
    assert document is not None, found
    return document


def nodes(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    yield path, node
    if not isinstance(node, Scalar):
        inner = node.entries.items() if isinstance(node, Mapping) else enumerate(node.items)
        for part, child in inner:
            yield from nodes(child, (*path, part))


@pytest.mark.parametrize("indent", [None, 2])
@given(value=values)
def test_every_scalar_and_every_key_is_found_where_it_stands(indent: int | None, value: object) -> None:
    document = parsed(json.dumps(value, indent=indent), "x.json")
    for path, node in nodes(document.root):
        assert locate(document.root, path)[0] is node
        if isinstance(node, Scalar):
            assert path_at(document, node.span.line, node.span.column) == path
        if isinstance(node, Mapping):
            for key, span in node.keys.items():
                assert path_at(document, span.line, span.column) == (*path, key)


def test_in_yaml_as_people_write_it() -> None:
    document = parsed("steps:\n  - id: a\n    needs:\n  - id: b\n    env: {A/B: 1}\n")
    spots = {
        (1, 1): ("steps",),
        (2, 5): ("steps", 0, "id"),
        (2, 9): ("steps", 0, "id"),
        (3, 5): ("steps", 0, "needs"),
        (5, 11): ("steps", 1, "env", "A/B"),
        (9, 1): (),
    }
    assert {spot: path_at(document, *spot) for spot in spots} == spots


def test_a_pointer_is_escaped() -> None:
    assert pointer(()) == ""
    assert pointer(("steps", 0, "a/b", "~1", "")) == "/steps/0/a~1b/~01/"


def test_a_path_that_leads_nowhere_ends_where_it_does() -> None:
    document = parsed("steps: [{id: a}]")
    assert locate(document.root, ("steps", 0, "run"))[0] is locate(document.root, ("steps", 0))[0]
    assert locate(document.root, ("steps", 7))[0] is locate(document.root, ("steps",))[0]
