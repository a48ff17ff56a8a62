"""What can carry out steps besides commands, found around a workflow: files of tools, plugins, functions.

Most workflows need none of it, so nothing is looked for in advance: a workflow is built, and built again with what
turned out to be missing.
"""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stepwave.core.building.means import Lack, Means, Shelf
from stepwave.core.diagnostics import Diagnostic, Place, error, has_errors

if TYPE_CHECKING:
    from stepwave.core.building.build import Inputs
    from stepwave.core.model import Workflow

BESIDE = ("tools.yaml", "tools.yml", "tools.json")
"""Names of a file of tools that counts for the workflows in its folder."""

Built = tuple["Workflow | None", list[Diagnostic]]


class Equipped(NamedTuple):
    """A workflow with all that was found for it. `texts` are those of files of tools, by path, for excerpts."""

    workflow: "Workflow | None"
    findings: list[Diagnostic]
    texts: Mapping[str, str]


def equipped(
    make: Callable[["Inputs"], Built], inputs: "Inputs", *, path: str, tools: str | os.PathLike[str] | None = None
) -> Equipped:
    """Build with `make`, again with what is missing. `path` is the workflow's, `tools` that of a file of tools."""
    outfit = _Outfit(path, inputs.folder, inputs.environ.get("PATH", ""))
    caller = (sys.executable or "python3", "-P", str(Path(__file__).with_name("call.py")))
    means = Means(caller=caller, lack=cache(_lack))
    if tools is not None:
        means = outfit.given(means, os.fspath(tools))
    workflow, built = make(inputs._replace(means=means))
    for code, find in (
        ("unknown-step-type", outfit.plugins),
        ("no-executor", outfit.beside),
        ("no-executor", outfit.packaged),
    ):
        if any(finding.code == code for finding in built):
            more = find(means)
            if more != means:
                means = more
                workflow, built = make(inputs._replace(means=means))
    if has_errors(outfit.findings):  # who is missing may stand in the file that cannot be read
        built = [finding for finding in built if finding.code != "no-executor"]
    return Equipped(workflow, [*outfit.findings, *built], outfit.texts)


def _lack(target: str, folder: str) -> Lack | None:
    from stepwave.edge.modules import find_lack

    return find_lack(target, folder)


class _Outfit:
    """What is looked for, and what was found wrong on the way."""

    def __init__(self, path: str, folder: str, search_path: str) -> None:
        self._path = path
        self._folder = folder
        self._search_path = search_path
        self.findings: list[Diagnostic] = []
        self.texts: dict[str, str] = {}

    def given(self, means: Means, tools: str) -> Means:
        """With the file of `--tools`, which goes before all others."""
        shelf = self._shelf(tools, tools)
        return means._replace(shelves=(shelf._replace(above=True), *means.shelves)) if shelf else means

    def plugins(self, means: Means) -> Means:
        """With the step types of installed packages."""
        from stepwave.edge.plugins import Plugins

        found = Plugins()
        return means._replace(kinds=found) if found.names else means

    def beside(self, means: Means) -> Means:
        """With the first file of tools in the workflow's folder."""
        for name in BESIDE:
            file = Path(self._folder) / name
            if file.is_file():
                around = self._path if os.path.isdir(self._path) else os.path.dirname(self._path)  # noqa: PTH112, PTH120
                shown = os.path.join(around, name)  # noqa: PTH118 - as the path is written
                shelf = self._shelf(str(file), shown if os.path.exists(shown) else str(file))  # noqa: PTH110
                return means._replace(shelves=(*means.shelves, shelf)) if shelf else means
        return means

    def packaged(self, means: Means) -> Means:
        """With the profiles that come with stepwave, and a note which of their programs are not installed."""
        from stepwave.core.building.profiles import programs_of
        from stepwave.edge.local.job import find_program

        file = str(Path(__file__).with_name("tools.yaml"))
        shelf = self._shelf(file, file)
        if shelf is None:
            return means
        absent = set(programs_of(shelf))
        for program in tuple(absent):
            with suppress(OSError):
                find_program(program, self._search_path)
                absent.discard(program)
        return means._replace(shelves=(*means.shelves, shelf._replace(absent=frozenset(absent))))

    def _shelf(self, path: str, shown: str) -> Shelf | None:
        """A file of tools, read and parsed. `shown` is its path in messages."""
        from stepwave.core.building.profiles import check_shelf
        from stepwave.core.reading.parse import parse
        from stepwave.edge.files import CannotRead, read_bytes

        try:
            data = read_bytes(path)
        except CannotRead as problem:
            self.findings.append(error("cannot-read", str(problem), Place(shown)))
            return None
        document, found = parse(data, shown)
        self.findings += found
        self.texts[shown] = document.text if document else data.decode("utf-8", "replace")
        if document is None:
            return None
        shelf = Shelf(document)
        wrong = check_shelf(shelf)
        if wrong is None:
            return shelf
        place = document.place(document.root.span)
        self.findings.append(error("wrong-type", f"this file {wrong}", place, "write `NAME: {command: …}`"))
        return None
