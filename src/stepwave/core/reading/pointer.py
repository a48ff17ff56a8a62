"""JSON pointers (RFC 6901): which value of a document stands at a place, and where the value of a path stands."""

from collections.abc import Iterable

from stepwave.core.reading.document import Document, Mapping, Node, Scalar, Sequence, Span, beginning

Part = str | int


def pointer(path: Iterable[Part]) -> str:
    """`/steps/0/run`; "" for the whole document."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def path_at(document: Document, line: int, column: int) -> tuple[Part, ...]:
    """The innermost value that stands there; its key counts as a part of it."""
    path: list[Part] = []
    node: Node = document.root
    while not isinstance(node, Scalar):
        step = _step_to(node, (line, column))
        if step is None:
            break
        part, node = step
        path.append(part)
    return tuple(path)


def _step_to(node: Mapping | Sequence, spot: tuple[int, int]) -> tuple[Part, Node] | None:
    if isinstance(node, Sequence):
        return next(((n, item) for n, item in enumerate(node.items) if _holds(item.span, spot)), None)
    for key, value in node.entries.items():
        if _holds(node.keys[key], spot) or _holds(value.span, spot):
            return key, value
    return None


def _holds(span: Span, spot: tuple[int, int]) -> bool:
    start, end = (span.line, span.column), (span.end_line, span.end_column)
    return start <= spot < end or spot == start


def locate(root: Node, path: Iterable[Part]) -> tuple[Node, Span]:
    """The node at the path, and its key: where to point when something is missing in it or empty. Of a path that leads
    nowhere, where it leads to at last."""
    node, key = root, beginning(root)
    for part in path:
        child: Node | None = None
        if isinstance(node, Mapping) and isinstance(part, str):
            child = node.entries.get(part)
            key = node.keys.get(part, key)
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            child = node.items[part]
            key = beginning(child)
        if child is None:
            break
        node = child
    return node, key
