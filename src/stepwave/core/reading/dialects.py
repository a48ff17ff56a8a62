"""Which family a file belongs to, told by the keys it uses. It decides units of bare numbers and whose `${…}` is."""

from collections.abc import Iterator
from typing import NamedTuple

from stepwave.core.model import Dialect
from stepwave.core.reading.document import Mapping, Node, Scalar, Sequence
from stepwave.core.reading.keys import camel_marks, plan_marks, snake_marks, step_lists
from stepwave.core.reading.units import Unit


class Family(NamedTuple):
    """`unit` is that of a bare `timeout`; None where the file has marks of two families, so that nobody can know.

    `plan`: the whole file is a plan, not just one with a `timeout_sec` in it: it runs one step at a time.
    """

    dialect: Dialect
    unit: Unit | None
    plan: bool = False


_units = {
    Dialect.CAMEL: Unit.MILLISECONDS,
    Dialect.SNAKE: Unit.SECONDS,
    Dialect.PLAN: Unit.SECONDS,
}
_named = {dialect.value: dialect for dialect in Dialect}


def detect_dialect(root: Node) -> Dialect:
    """The dialect that a file says it has, or that its keys speak."""
    return family_of(root).dialect


def family_of(root: Node) -> Family:
    """Dialect and units; `dialect:` at the top settles both."""
    said = root.get("dialect") if isinstance(root, Mapping) else None
    plan = isinstance(root, Mapping) and ("plan_id" in root.entries or "globals" in root.entries)
    if isinstance(said, Scalar) and said.value in _named:
        dialect = _named[str(said.value)]
        return Family(dialect, _units[dialect], plan or dialect is Dialect.PLAN)
    camel = snake = False
    marked = plan
    for mapping in speaking(root):
        names = mapping.entries.keys()
        camel = camel or not names.isdisjoint(camel_marks) or isinstance(mapping.get("parallel"), Mapping)
        snake = snake or not names.isdisjoint(snake_marks)
        marked = marked or not names.isdisjoint(plan_marks)
    dialect = Dialect.PLAN if marked else Dialect.SNAKE if snake else Dialect.CAMEL
    return Family(dialect, None if camel and dialect is not Dialect.CAMEL else _units[dialect], plan)


def speaking(root: Node) -> Iterator[Mapping]:
    """The mappings whose keys tell: of the workflow, of each step and of its `config`."""
    for mapping in _workflows(root):
        yield mapping
        for holder in (mapping, *mappings_in(mapping.get("phases"))):
            for key in (*step_lists, "finally"):
                for step in mappings_in(holder.get(key)):
                    yield step
                    config = step.get("config")
                    if isinstance(config, Mapping):
                        yield config


def _workflows(root: Node) -> Iterator[Mapping]:
    if isinstance(root, Mapping):
        yield root
        yield from mappings_in(root.get("workflows"))
    elif isinstance(root, Sequence):
        for item in mappings_in(root):
            yield item
            config = item.get("config")
            if isinstance(config, Mapping):
                yield config


def mappings_in(node: Node | None) -> Iterator[Mapping]:
    """The mappings among the items of a list, or the values of a mapping."""
    items = node.items if isinstance(node, Sequence) else node.entries.values() if isinstance(node, Mapping) else ()
    for item in items:
        if isinstance(item, Mapping):
            yield item
