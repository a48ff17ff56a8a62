"""Workflow files by three functions: is it valid, what does one look like, run it."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwave import api
from stepwave.core.diagnostics import Diagnostic, Severity, has_errors
from stepwave.core.reading.pointer import locate, path_at, pointer
from stepwave.core.summary import StepResult, Summary
from stepwave.core.text import one_line
from stepwave.engine import ListenerFailed
from stepwave.workflow.brought import Brought
from stepwave.workflow.running import pass_on

if TYPE_CHECKING:
    from stepwave.core.reading.document import Document

Text = str | os.PathLike[str]

MAX_TOLD = 100
"""So many errors are listed; one more line says how many there were besides."""

_unloadable = "Configuration loading failed"
_not_to_schema = "Schema validation failed"
_synonyms = {"scientific": "data", "advanced": "ci"}


# --- is it valid? ----------------------------------------------------------------------------------------------------


def validate_config_file(config_path: Text, schema_path: Text | None = None) -> tuple[bool, list[str]]:
    """Whether the file is a workflow that can be run, and what is wrong with it, as lines of text. Never raises.

    A line is `path:line:column: /pointer: sentence (help)`, with a JSON pointer (RFC 6901) to what stands there; it has
    no pointer where the whole file is meant. Warnings are not told.

    `schema_path` is a JSON Schema, written in JSON or YAML, and takes the place of the published one: then the file is
    measured by it alone, and what it would mean to a run is not asked.
    """
    try:
        if schema_path is not None:
            found = _measured(os.fspath(config_path), os.fspath(schema_path))
        else:
            loaded = api.load(config_path)
            found = _lines(loaded.diagnostics, {**loaded.texts, loaded.path: loaded.text})
    except Exception as problem:  # whatever is given, the answer is a list
        found = [f"{_unloadable}: {one_line(str(problem) or type(problem).__name__, 500)}"]
    return not found, _bounded(found)


def _bounded(found: list[str]) -> list[str]:
    left = len(found) - MAX_TOLD
    return found if left <= 0 else [*found[:MAX_TOLD], f"{left} further errors are not shown"]


def _lines(diagnostics: Iterable[Diagnostic], texts: Mapping[str, str]) -> list[str]:
    """The errors among them. `texts` are those of the files, by path."""
    documents: dict[str, Document | None] = {}
    found = []
    for error in diagnostics:
        if error.severity is not Severity.ERROR:
            continue
        path = error.place.path
        if path not in documents:
            documents[path] = _document(texts[path], path) if path in texts else None
        unread = error.code in ("cannot-read", "workflow-not-found")
        found.append(f"{_unloadable}: {_unread(error)}" if unread else _line(error, documents[path]))
    return found


def _unread(error: Diagnostic) -> str:
    path = error.place.path
    return error.message if os.path.lexists(path) else f"{one_line(path)} not found"


def _document(text: str, path: str) -> "Document | None":
    from stepwave.core.reading.parse import parse

    return parse(text.encode("utf-8", "surrogatepass"), path)[0]


def _line(error: Diagnostic, document: "Document | None") -> str:
    place = error.place
    path = () if document is None else path_at(document, place.line, place.column)
    if document is not None and error.code == "missing-key" and not hasattr(locate(document.root, path)[0], "entries"):
        path = path[:-1]  # it is told where the mapping begins in which it is missing
    help = f" ({error.help})" if error.help else ""
    return f"{one_line(place.path)}:{place.line}:{place.column}: {_shown(pointer(path))}{error.message}{help}"


def _shown(pointer: str) -> str:
    return f"{one_line(pointer)}: " if pointer else ""


def _measured(path: str, schema_path: str) -> list[str]:
    """What is wrong with the file by a schema that somebody else has written. May raise whatever jsonschema raises."""
    from stepwave.core.reading.document import plain

    document, wrong = _read(path)
    if document is None:
        return wrong
    schema, wrong = _read(schema_path)
    if schema is None:
        return [f"{_not_to_schema}: {one}" for one in wrong]
    try:
        return [f"{_not_to_schema}: {one}" for one in _faults(document, plain(schema.root))]
    except Exception as problem:  # a schema may be wrong in many ways, and ask for others that are not there
        return [f"{_not_to_schema}: {one_line(schema_path)}: {one_line(str(problem), 500)}"]


def _read(path: str) -> "tuple[Document | None, list[str]]":
    from stepwave.core.reading.parse import parse
    from stepwave.edge.files import CannotRead, read_bytes

    try:
        document, found = parse(read_bytes(path), path)
    except CannotRead as problem:
        missing = f"{one_line(path)} not found"
        return None, [f"{_unloadable}: {problem if os.path.lexists(path) else missing}"]
    return document, [_line(one, None) for one in found if one.severity is Severity.ERROR]


def _faults(document: "Document", schema: Any) -> Iterator[str]:
    """Nothing is fetched: a reference to another schema is an error."""
    import jsonschema.validators
    from referencing import Registry

    from stepwave.core.reading.document import plain

    make = jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
    make.check_schema(schema)
    instance: Any = plain(document.root)
    found = make(schema, registry=Registry()).iter_errors(instance)
    for fault in sorted(found, key=lambda one: [str(part) for part in one.absolute_path]):
        path = tuple(fault.absolute_path)
        _, span = locate(document.root, path)
        where = f"{one_line(document.path)}:{span.line}:{span.column}"
        yield f"{where}: {_shown(pointer(path))}{one_line(fault.message)}"


# --- what does one look like? ----------------------------------------------------------------------------------------


def create_sample_config(output_path: Text, sample_type: str = "basic", *, overwrite: bool = False) -> None:
    """Write a small workflow that is valid and runs as it is: JSON where the name ends so, else YAML with comments.

    `sample_type`: `basic`, `parallel`, `workstream`, `ci` or `data`; `scientific` is another name for `data`,
    `advanced` for `ci`. Folders above it are made. Raises ValueError for any other type, FileExistsError where there is
    something already and `overwrite` is not given, OSError where it cannot be written.
    """
    from stepwave.core.scaffold import KINDS, scaffold

    path = Path(output_path)
    kind = next((one for one in KINDS if one == _synonyms.get(sample_type, sample_type)), None)
    if kind is None:
        raise ValueError(f"sample_type is one of {', '.join((*KINDS, *_synonyms))}: not {sample_type!r:.100}")
    text = scaffold(kind, "json" if path.suffix.lower() == ".json" else "yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w" if overwrite else "x", encoding="utf-8") as file:
        file.write(text)


# --- run it ----------------------------------------------------------------------------------------------------------


def run_config_based_workflow(config_path: Text, verbose: bool = False, **options: Any) -> dict[str, Any]:
    """Run the workflow of a file, as `stepwave run` would, and tell how it went.

    `success`; `results`, what each completed step brought, by its id: the value that it printed to stdout, where that
    is JSON (as a step of type `function` does), else the text (its path, where it is more than 1 MiB); `errors`, a
    sentence for everything that is wrong with the file, or for each step that failed, was cancelled or skipped for it;
    `execution_order`, the ids of all steps, each after what it needs and else as in the file; `total_duration`,
    seconds; `config_path`. A file that cannot be run also has `error`: all of it in one text.

    `verbose`: every line of the run on standard error. `options` are those of `stepwave.run`: `variables`,
    `max_concurrency`, `environ`, `record` and so on; TypeError for any other. A workflow that cannot be run is an
    answer, and never raised; Ctrl-C is a KeyboardInterrupt, when everything has been stopped.
    """
    brought = Brought()
    options["required"] = (brought.listen, *options.get("required", ()))
    if verbose:
        options["courtesy"] = (_lines_of_run(), *options.get("courtesy", ()))
    try:
        summary = api.run(config_path, apart=True, **options)
    except (OSError, ListenerFailed) as problem:
        return _refused(config_path, [f"the run could not be kept: {one_line(str(problem), 500)}"])
    if has_errors(summary.diagnostics):
        loaded = api.load(config_path)  # for its text alone
        texts = {**loaded.texts, loaded.path: loaded.text}
        return _refused(config_path, _bounded(_lines(summary.diagnostics, texts)))
    pass_on(summary)
    return _told(config_path, summary, brought)


def _lines_of_run() -> api.Factory:
    import sys

    from stepwave.core.telling.style import can_show_unicode, wants_color

    color = wants_color("auto", os.environ, sys.stderr.isatty())
    return api.lines(color=color, unicode=can_show_unicode(sys.stderr.encoding, os.environ), verbose=True)


def _told(config_path: Text, summary: Summary, brought: Brought) -> dict[str, Any]:
    order = sorted(summary.steps, key=lambda step: step.wave)
    return {
        "success": summary.success,
        "results": brought.of(step.id for step in order),
        "errors": [sentence for step in order if (sentence := _sentence(step))],
        "execution_order": [step.id for step in order],
        "total_duration": summary.wall_s,
        "config_path": os.fspath(config_path),
    }


def _sentence(step: StepResult) -> str | None:
    if step.success:
        return None
    tolerated = ", which was tolerated" if step.tolerated else ""
    outcome = step.outcome.value.replace("_", " ")
    return f"Step {step.id!r} {outcome}: {step.reason or 'it was undone'}{tolerated}"


def _refused(config_path: Text, errors: Sequence[str]) -> dict[str, Any]:
    return {
        "success": False,
        "error": f"Invalid config: {'; '.join(errors)}",
        "results": {},
        "errors": list(errors),
        "execution_order": [],
        "total_duration": 0.0,
        "config_path": str(config_path),
    }
