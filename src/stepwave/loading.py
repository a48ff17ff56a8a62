"""From a path to a workflow: one file and what it includes, or a folder of workstreams; and where workflows are.

The first stops of `stepwave.api`, which hands all of it on.
"""

import os
import time
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stepwave.core.diagnostics import Diagnostic, Place, Severity, did_you_mean, error, has_errors, in_order
from stepwave.core.model import Value, Workflow, nothing
from stepwave.outfit import equipped

if TYPE_CHECKING:
    from stepwave.core.reading.document import Document
    from stepwave.core.reading.sources import Gathered

Variables = Mapping[str, Value]


class Loaded(NamedTuple):
    """What came of a file. `workflow` is None exactly when `diagnostics` holds an error; `text` is for excerpts, and so
    are `texts`, those of other files by path. `files` are all that it is made of, and those that it asks for in vain.
    """

    path: str
    text: str
    workflow: Workflow | None
    diagnostics: tuple[Diagnostic, ...]
    texts: Mapping[str, str] = nothing
    files: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.workflow is not None


def load(
    path: str | os.PathLike[str],
    *,
    variables: Variables | None = None,
    environ: Mapping[str, str] | None = None,
    name: str | None = None,
    strict: bool = False,
    tools: str | os.PathLike[str] | None = None,
) -> Loaded:
    """Read a workflow file; `-` is standard input. Of a folder every workflow file directly in it is a workstream.

    `variables` override the file's, `environ` (default: this process's) answers `env.X`, `name` picks one of several
    workflows or workstreams, `strict` turns unknown keys into errors, `tools` is a file of profiles of agents and
    tools. Never raises for a bad file: see `Loaded.diagnostics`.
    """
    from stepwave.core.reading.parse import parse
    from stepwave.edge.files import CannotRead, folder_of, read_bytes

    path = os.fspath(path)
    asked = _Asked(variables or {}, os.environ if environ is None else environ, name, strict, tools)
    try:
        data = read_bytes(path)
        folder = str(folder_of(path))
    except CannotRead as problem:
        if os.path.isdir(path):  # noqa: PTH112
            return _load_folder(path, asked)
        return Loaded(path, "", None, (_unreadable(path, str(problem)),))
    document, found = parse(data, path)
    if document is None:
        return Loaded(path, data.decode("utf-8", "replace"), None, tuple(in_order(found)))
    return _load(path, [document], found, folder, asked)


class _Asked(NamedTuple):
    """What `load` was asked for besides the path."""

    variables: Variables
    environ: Mapping[str, str]
    name: str | None
    strict: bool
    tools: str | os.PathLike[str] | None


def _load(path: str, documents: "list[Document]", found: list[Diagnostic], folder: str, asked: _Asked) -> Loaded:
    """From parsed documents to a workflow: one file, or the files of a folder, which `path` then is."""
    from stepwave.core.building.build import Inputs, build, build_folder
    from stepwave.edge.confined import ConfinedFiles

    around = os.path.dirname(documents[0].path)  # noqa: PTH120
    if os.path.realpath(around) != folder:  # the file is a link
        around = folder
    gathered = _gather(documents, folder, around)
    inputs = Inputs(
        environ=asked.environ,
        variables=asked.variables,
        folder=folder,
        around=around,
        name=asked.name,
        documents=gathered.documents,
        files=gathered.files,
        now=time.time(),
        readable=ConfinedFiles(folder),
        is_program=partial(_is_program, asked.environ.get("PATH", "")),
    )
    whole = len(documents) == 1 and documents[0].path == path
    make = partial(build, documents[0]) if whole else partial(build_folder, path, documents)
    workflow, built, texts = equipped(partial(make, strict=asked.strict), inputs, path=path, tools=asked.tools)
    read = [*documents, *(one for one in gathered.documents.values() if one is not None and not isinstance(one, str))]
    found = in_order([*found, *gathered.findings, *built, *_schema_findings(read, built)])
    text = documents[0].text if whole else ""
    others = {} if whole else {document.path: document.text for document in documents}
    texts = {**texts, **gathered.texts, **others}
    asked_for = (os.path.join(around, name) for name in (*gathered.documents, *gathered.files))  # noqa: PTH118
    files = tuple(dict.fromkeys((*(document.path for document in documents), *texts, *asked_for)))
    if workflow is None or has_errors(found):
        return Loaded(path, text, None, tuple(found), texts, files)
    return Loaded(path, text, workflow, tuple(found), texts, files)


def _is_program(search_path: str, word: str) -> bool:
    from stepwave.edge.local.job import find_program

    try:
        find_program(word, search_path)
    except OSError:
        return False
    return True


def _gather(documents: "Sequence[Document]", folder: str, around: str) -> "Gathered":
    """What the documents, all of one folder, ask for. Nothing is imported for those that ask for nothing."""
    from stepwave.core.reading.sources import Gathered, asks

    gathered: Gathered | None = None
    for document in documents:
        if asks(document):
            from stepwave.gather import gather

            gathered = gather(document, folder, around, gathered)
    return gathered or Gathered({}, {}, [], {})


def _load_folder(path: str, asked: _Asked) -> Loaded:
    """The workflow files directly in a folder, each of them a workstream."""
    from stepwave.core.reading.parse import parse
    from stepwave.core.reading.sources import not_included
    from stepwave.edge.files import CannotRead, read_bytes
    from stepwave.edge.find import workflows_in

    found: list[Diagnostic] = []
    documents: list[Document] = []
    texts: dict[str, str] = {}
    for file in workflows_in(path):
        try:
            data = read_bytes(file)
        except CannotRead as problem:
            found.append(error("cannot-read", str(problem), Place(file)))
            continue
        document, wrong = parse(data, file)
        found += wrong
        texts[file] = data.decode("utf-8", "replace")
        if document is not None:
            documents.append(document)
    folder = os.path.realpath(path)
    if not documents:
        if not found:
            message = f"`{path}` holds no workflow files"
            found.append(error("no-workflow-files", message, Place(path), _how_to_list(path)))
        return Loaded(path, "", None, tuple(in_order(found)), texts)
    loaded = _load(path, not_included(documents, folder), found, folder, asked)
    return loaded._replace(texts={**texts, **loaded.texts})


_worth_a_hint = 5000
"""So many files and folders are looked at for the help of an error."""


def _how_to_list(path: str) -> str | None:
    from stepwave.edge.find import candidates, looks_like_workflow

    likely = (_listed(load(file)) for file in candidates(path, _worth_a_hint) if looks_like_workflow(file))
    below = next((one.path for one in likely if one.problem is None), None)
    return f"name one of those below it, for example `{below}`" if below else None


def _unreadable(path: str, problem: str) -> Diagnostic:
    if not _is_name(path):
        return error("cannot-read", problem, Place(path))
    names = [one.name for one in list_workflows(".") if one.problem is None]
    available = ", ".join(names[:20]) or "none below this folder"
    sentence = f'Workflow "{path}" not found. Available workflows: {available}'
    return error("workflow-not-found", sentence, Place(path), did_you_mean(path, names))


def _is_name(name_or_path: str) -> bool:
    """Whether it can only be the name of a workflow: nothing lies there, and nobody would call a file so."""
    path = Path(name_or_path)
    return not (name_or_path == "-" or "/" in name_or_path or path.suffix or os.path.lexists(path))


def _schema_findings(documents: "Sequence[Document]", built: Sequence[Diagnostic]) -> list[Diagnostic]:
    """What jsonschema says, where `build` has not already said something better about the same place."""
    from stepwave.core.reading.schema import check_schema

    told = {(one.place.path, one.place.line) for one in built if one.severity is Severity.ERROR}
    findings = (one for document in documents for one in check_schema(document, _workflow_schema()))
    return [one for one in findings if (one.place.path, one.place.line) not in told]


@cache
def _workflow_schema() -> dict[str, Any]:
    import json

    from stepwave.edge.files import read_schema

    schema: dict[str, Any] = json.loads(read_schema("workflow"))
    return schema


# --- folders -----------------------------------------------------------------------------------------------


class Listed(NamedTuple):
    """A workflow file found below a folder. `problem` is set, and `steps` None, for one that cannot be read."""

    path: str
    name: str
    version: str
    steps: int | None
    description: str
    problem: str | None = None


def workflow_files(path: str) -> list[str]:
    """The file itself, or every workflow file below a folder, sorted."""
    from stepwave.edge.find import candidates, looks_like_workflow

    if path != "-" and Path(path).is_dir():
        return [file for file in candidates(path) if looks_like_workflow(file)]
    return [locate(path)]


def check_folder(
    path: str, *, strict: bool = False, tools: str | os.PathLike[str] | None = None
) -> tuple[Diagnostic, ...]:
    """What is wrong with the workflow files directly in a folder when they are taken together: asked only where they
    are workstreams that depend on each other, or have the same id."""
    from stepwave.core.reading.parse import parse
    from stepwave.core.reading.sources import are_workstreams
    from stepwave.edge.files import CannotRead, read_bytes
    from stepwave.edge.find import workflows_in

    documents = []
    for file in workflows_in(path):
        try:
            documents.append(parse(read_bytes(file), file)[0])
        except CannotRead:
            continue  # told of the file itself
    if None in documents or not are_workstreams([one for one in documents if one is not None]):
        return ()
    return load(path, strict=strict, tools=tools).diagnostics


def list_workflows(folder: str) -> list[Listed]:
    """Every workflow below a folder; those with errors are reported, not fatal."""
    return [_listed(load(file)) for file in workflow_files(folder)]


def _listed(loaded: Loaded) -> Listed:
    workflow = loaded.workflow
    if workflow is None:
        first = next(finding for finding in loaded.diagnostics if finding.severity is Severity.ERROR)
        problem = f"{first.message} (line {first.place.line})"
        return Listed(loaded.path, Path(loaded.path).stem, "", None, "", problem)
    return Listed(
        loaded.path, workflow.name or workflow.id, workflow.version, len(workflow.steps), workflow.description
    )


def locate(name_or_path: str) -> str:
    """A path as it is; a name that is no path but belongs to a workflow below this folder as that file's path."""
    if not _is_name(name_or_path):
        return name_or_path
    for file in workflow_files("."):
        loaded = load(file)
        if loaded.workflow is not None and name_or_path in (loaded.workflow.id, loaded.workflow.name, Path(file).stem):
            return file
    return name_or_path
