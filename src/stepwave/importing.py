"""From a file of another tool to a workflow: it is read, and what lies around it is asked for."""

import os
from collections.abc import Mapping
from pathlib import Path

from stepwave.core.diagnostics import Place, error
from stepwave.core.importing.flow import Asked
from stepwave.core.importing.kinds import Imported, Kind, import_source, kind_of
from stepwave.edge.files import STDIN, CannotRead, folder_of, read_bytes
from stepwave.edge.source_tree import SourceTree


def import_workflow(
    path: str, *, source: str | None, wanted: tuple[str, ...], values: Mapping[str, str], output: str | None
) -> tuple[Imported, str]:
    """The workflow that a file becomes, and the file's text for excerpts.

    `source` is one of make, task, just, npm, github, or None: told by name and content. `output` is where the workflow
    is going to be; None and `-`: in the folder in which the commands of the source run. Raises ValueError for another
    `source`.
    """
    kind = Kind(source) if source else None
    try:
        data = read_bytes(path)
        text = data.decode("utf-8", "replace")
        folder = _root(folder_of(path), kind or kind_of(path, text))
    except CannotRead as problem:
        return Imported(None, kind, (error("cannot-read", str(problem), Place(path)),)), ""
    base = "" if output in (None, STDIN) else os.path.relpath(folder, folder_of(str(output)))
    asked = Asked(path, wanted, values)
    return import_source(data, kind, asked, SourceTree(folder), "" if base == "." else base), text


def _root(folder: Path, kind: Kind | None) -> Path:
    """Where the commands of the source run: those of `.github/workflows` in the repository."""
    if kind is Kind.GITHUB and folder.name == "workflows" and folder.parent.name == ".github":
        return folder.parent.parent
    return folder
