"""What kind of file a source is, and the workflow that it becomes: the way through this package.

Whatever a source holds, `import_source` returns and never raises.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from stepwave.core.diagnostics import Diagnostic, Place, error
from stepwave.core.importing.flow import Asked, Flow, Refused, Surroundings
from stepwave.core.importing.holes import uses_private_characters
from stepwave.core.importing.placing import placed
from stepwave.core.importing.writer import written
from stepwave.core.text import one_line

MAX_LINE = 1 << 20
"""Characters of one line. Nobody writes such lines."""


class Kind(Enum):
    MAKE = "make"
    TASK = "task"
    JUST = "just"
    NPM = "npm"
    GITHUB = "github"


class Imported(NamedTuple):
    """`text` is None exactly when there is an error among the `findings`. `notes` counts the comments."""

    text: str | None
    kind: Kind | None
    findings: tuple[Diagnostic, ...] = ()
    taken: str = ""
    notes: int = 0
    others: tuple[str, ...] = ()


def kind_of(path: str, text: str) -> Kind | None:
    """By the name of the file, and where that says nothing by what is in it."""
    name = path.replace("\\", "/").rpartition("/")[2].lower()
    if name in ("makefile", "gnumakefile") or name.endswith((".mk", ".mak", ".make")) or name.startswith("makefile."):
        return Kind.MAKE
    if re.fullmatch(r"taskfile(\.dist)?\.ya?ml", name):
        return Kind.TASK
    if name in ("justfile", ".justfile") or name.endswith(".just"):
        return Kind.JUST
    if name == "package.json":
        return Kind.NPM
    return _by_content(name, text[: 1 << 16])


def _by_content(name: str, text: str) -> Kind | None:
    keys = set(re.findall(r"^([A-Za-z_]+)\s*:", text, re.MULTILINE))
    if name.endswith((".yml", ".yaml")):
        if {"on", "jobs"} <= keys or ("jobs" in keys and "runs-on:" in text):
            return Kind.GITHUB
        return Kind.TASK if "tasks" in keys and "version" in keys else None
    if re.search(r'"scripts"\s*:\s*\{', text):
        return Kind.NPM
    if re.search(r"^set [a-z-]+ *:=|^\w+ *:= *|\{\{ *\w+ *\}\}", text, re.MULTILINE) and not re.search(
        "^\t", text, re.M
    ):
        return Kind.JUST
    return Kind.MAKE if re.search(r"^[^\s#:=][^:=]*:(?!=).*\n\t", text, re.MULTILINE) else None


def import_source(data: bytes, kind: Kind | None, asked: Asked, around: Surroundings, base: str = "") -> Imported:
    """The workflow, as text. `base` leads from its folder to that of the source (see `placing`)."""
    try:
        text = _text(data, asked.path)
        kind = kind or kind_of(asked.path, text)
        if kind is None:
            help = "say what it is: --from make, task, just, npm or github"
            message = f"`{one_line(asked.path)}` is no file that is known to describe tasks"
            raise Refused(error("unknown-source", message, Place(asked.path), help))
        flow = placed(_importer(kind)(text, asked, around), base)
    except Refused as refused:
        return Imported(None, kind, (refused.finding,))
    notes = sum(len(step.notes) for step in (*flow.steps, *flow.last)) + len(flow.notes)
    return Imported(written(flow, asked.path.rpartition("/")[2]), kind, (), flow.taken, notes, flow.others)


def _text(data: bytes, path: str) -> str:
    """Raises Refused for what is no text."""
    from stepwave.core.reading.parse import MAX_BYTES

    if len(data) > MAX_BYTES:
        raise Refused(error("file-too-large", f"the file is larger than {MAX_BYTES >> 20} MiB", Place(path)))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        message = f"byte {data[problem.start]:#04x} does not belong into UTF-8 text"
        raise Refused(error("not-utf8", message, Place(path, line, 1, line, 1), "save the file as UTF-8")) from None
    if "\0" in text or uses_private_characters(text):
        at = re.search("[\0\U000f0000-\U000ffffd]", text)
        line = text.count("\n", 0, at.start()) + 1 if at else 1
        message = "a character stands here that has no business in such a file"
        raise Refused(error("control-character", message, Place(path, line, 1, line, 1)))
    if not text.strip():
        raise Refused(error("empty-file", "the file is empty", Place(path)))
    return text


def _importer(kind: Kind) -> Callable[[str, Asked, Surroundings], Flow]:
    if kind is Kind.MAKE:
        from stepwave.core.importing.makefile import import_makefile

        return import_makefile
    if kind is Kind.TASK:
        from stepwave.core.importing.taskfile import import_taskfile

        return import_taskfile
    if kind is Kind.JUST:
        from stepwave.core.importing.justfile import import_justfile

        return import_justfile
    if kind is Kind.NPM:
        from stepwave.core.importing.package_json import import_package

        return import_package
    from stepwave.core.importing.actions import import_actions

    return import_actions
