"""A folder of workflow files as one graph: every file is a workstream, or several of them."""

from collections.abc import Sequence

from stepwave.core.building.build import dialect
from stepwave.core.building.fields import Reading, one, quoted
from stepwave.core.building.parts import Part, distinct
from stepwave.core.building.shape import sheets_of
from stepwave.core.building.workflow import identity
from stepwave.core.model import Dialect
from stepwave.core.reading.dialects import family_of
from stepwave.core.reading.document import Document, Span


def parts_of(r: Reading, documents: Sequence[Document], name: str | None) -> list[Part]:
    """The workstreams, or the one that is called `name`: what that depends on is taken as done."""
    parts: list[Part] = []
    for document in documents:
        family = family_of(document.root)
        own = r.beside(document, family.unit, dollar=family.dialect is not Dialect.CAMEL, base="")
        for sheet in sheets_of(own, document.root, None):
            if sheet.id:  # one of a list
                of_list = own.beside(document, own.unit, dollar=own.dollar, base="")
                parts.append(Part(of_list, sheet, own_file=False))
            else:
                one(own, sheet.found, "dialect", dialect)
                parts.append(Part(own, sheet._replace(id=identity(own, sheet.found, sheet.key)[0])))
    parts = distinct(parts)
    if name is None or not parts:
        return parts
    picked = [part for part in parts if part.sheet.id == name]
    if not picked:
        help = r.did_you_mean(name, [part.sheet.id for part in parts])
        r.error("which-workflow", f"there is no workstream {quoted(name)} in this folder", Span(1, 1, 1, 1), help)
    return picked
