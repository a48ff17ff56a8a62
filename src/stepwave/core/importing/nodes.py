"""The parts of a YAML file of another tool, asked for as that tool means them."""

from collections.abc import Iterator

from stepwave.core.diagnostics import Severity
from stepwave.core.importing.flow import Refused, bad_source
from stepwave.core.reading import document as tree
from stepwave.core.reading.document import Syntax


def parsed(text: str, path: str) -> tree.Mapping:
    """The root of a YAML file. Raises Refused."""
    from stepwave.core.reading.parse import parse

    document, found = parse(text.encode("utf-8", "surrogatepass"), path, Syntax.YAML)
    if document is None:
        raise Refused(next(one for one in found if one.severity is Severity.ERROR))
    if not isinstance(document.root, tree.Mapping):
        raise bad_source(path, 1, "there is no mapping in it")
    return document.root


def items(node: tree.Node | None) -> Iterator[tree.Node]:
    """Those of a list; a value alone is a list of one."""
    if isinstance(node, tree.Sequence):
        yield from node.items
    elif node is not None and not (isinstance(node, tree.Scalar) and node.value is None):
        yield node


def scalar_text(node: tree.Node | None) -> str | None:
    """The text of a scalar, numbers as they are written."""
    if not isinstance(node, tree.Scalar) or node.value is None:
        return None
    return node.value if isinstance(node.value, str) else node.text


def flag(node: tree.Node | None, key: str) -> bool:
    value = node.get(key) if isinstance(node, tree.Mapping) else None
    return isinstance(value, tree.Scalar) and value.value is True


def mapping(node: tree.Node | None, key: str) -> tree.Mapping | None:
    """What stands under a key, where that is a mapping."""
    found = node.get(key) if isinstance(node, tree.Mapping) else None
    return found if isinstance(found, tree.Mapping) else None


def value_text(node: tree.Node | None, key: str) -> str | None:
    """The text that stands under a key, if any."""
    return scalar_text(node.get(key)) if isinstance(node, tree.Mapping) else None
