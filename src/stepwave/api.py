"""The path as functions: load, validate, plan, run. The only place where edges are chosen.

    path → text → Document → Workflow → Plan → Schedule → events → Summary → exit code

`validate` is its first stops, `graph` stops at the plan and draws it, `run` goes to the end. No command has a path of
its own.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stepwave.core.diagnostics import Diagnostic, Place, Severity, did_you_mean, error, has_errors, in_order
from stepwave.core.model import Value, Workflow

if TYPE_CHECKING:
    from stepwave.core.document import Document
    from stepwave.core.plan import Plan
    from stepwave.core.summary import StepResult, Summary
    from stepwave.edge.local.zygote import Zygote
    from stepwave.engine import Listener

Variables = Mapping[str, Value]


class Loaded(NamedTuple):
    """What came of a file. `workflow` is None exactly when `diagnostics` holds an error; `text` is for excerpts."""

    path: str
    text: str
    workflow: Workflow | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        return self.workflow is not None


# --- path → Workflow -----------------------------------------------------------------------------------


def load(
    path: str | os.PathLike[str],
    *,
    variables: Variables | None = None,
    environ: Mapping[str, str] | None = None,
    name: str | None = None,
    strict: bool = False,
) -> Loaded:
    """Read a workflow file; `-` is standard input.

    `variables` override the file's, `environ` (default: this process's) answers `env.X`, `name` picks one of a file
    with `workflows:`, `strict` turns unknown keys into errors. Never raises for a bad file: see `Loaded.diagnostics`.
    """
    from stepwave.core.build import Inputs, build
    from stepwave.core.parse import parse
    from stepwave.edge.files import CannotRead, folder_of, read_bytes

    path = os.fspath(path)
    try:
        data = read_bytes(path)
        folder = str(folder_of(path))
    except CannotRead as problem:
        return Loaded(path, "", None, (_unreadable(path, str(problem)),))
    document, found = parse(data, path)
    if document is None:
        return Loaded(path, data.decode("utf-8", "replace"), None, tuple(in_order(found)))
    inputs = Inputs(
        environ=os.environ if environ is None else environ, variables=variables or {}, folder=folder, name=name
    )
    workflow, built = build(document, inputs, strict=strict)
    found = in_order([*found, *built, *_schema_findings(document, built)])
    if workflow is None or has_errors(found):
        return Loaded(path, document.text, None, tuple(found))
    unbuilt = tuple(finding for finding in found if finding.code == "not-built-yet")
    return Loaded(path, document.text, workflow._replace(unbuilt=unbuilt), tuple(found))


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


def _schema_findings(document: "Document", built: Sequence[Diagnostic]) -> list[Diagnostic]:
    """What jsonschema says, where `build` has not already said something better about the same place."""
    from stepwave.core.schema import check_schema

    told = {finding.place.line for finding in built if finding.severity is Severity.ERROR}
    findings = check_schema(document, _workflow_schema())
    return [finding for finding in findings if finding.place.line not in told]


@cache
def _workflow_schema() -> dict[str, Any]:
    import json

    from stepwave.edge.files import read_schema

    schema: dict[str, Any] = json.loads(read_schema("workflow"))
    return schema


def validate(path: str | os.PathLike[str], *, strict: bool = False, name: str | None = None) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a file, sorted by place. `strict`: unknown keys are errors."""
    return load(path, strict=strict, name=name).diagnostics


def refusals(loaded: Loaded) -> tuple[Diagnostic, ...]:
    """The findings with what `run` cannot do turned into errors: nothing that is asked for is silently left out."""
    return tuple(
        finding._replace(severity=Severity.ERROR) if finding.code == "not-built-yet" else finding
        for finding in loaded.diagnostics
    )


# --- Workflow → Plan -----------------------------------------------------------------------------------


def plan(workflow: Workflow, *, max_concurrency: int | None = None) -> "Plan":
    """Work out waves and longest paths. `max_concurrency` overrides the file. Raises ValueError when it is < 1."""
    from stepwave.core.graph import make_plan

    return make_plan(workflow, cpus=cpu_count(), max_concurrency=max_concurrency)


def cpu_count() -> int:
    """The CPUs this process may use: affinity, and the cgroup's quota rounded up. At least 1."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            available = min(available, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return max(1, available)


# --- Plan → Summary ------------------------------------------------------------------------------------


def start_early(environ: Mapping[str, str] | None = None) -> "Zygote":
    """Start the first helper process while there is still a file to be read. Closing it is up to the caller."""
    from stepwave.edge.environment import caller_environment
    from stepwave.edge.local.zygote import Zygote

    return Zygote(caller_environment() if environ is None else environ)


Factory = Callable[["Plan", Path], "Listener"]
"""Makes a listener for a run, once its plan and its folder are known."""


def run(
    source: "str | os.PathLike[str] | Workflow",
    *,
    max_concurrency: int | None = None,
    variables: Variables | None = None,
    deselected: frozenset[str] = frozenset(),
    strict: bool = False,
    lenient: bool = False,
    apart: bool = False,
    environ: Mapping[str, str] | None = None,
    courtesy: Sequence[Factory] = (),
    required: Sequence[Factory] = (),
) -> "Summary":
    """Run a workflow, or the one in a file, to its end.

    Returns a Summary whatever becomes of the steps; for a file that cannot be run it has exit code 2, no steps and the
    diagnostics. Raises only when the runner itself is broken (OSError: no folder for the logs; ListenerFailed).
    `apart` keeps every step's stdout apart from its stderr, for `result_document`. `courtesy` listeners are muted when
    they fail, `required` ones end the run. `variables` are for a file: TypeError beside a workflow that has been read.
    """
    if not isinstance(source, Workflow):
        loaded = load(source, variables=variables, environ=environ, strict=strict)
        findings = refusals(loaded)
        if loaded.workflow is None or has_errors(findings):
            return _refused(os.fspath(source), findings)
        source = loaded.workflow
    elif variables:
        raise TypeError("variables belong to the reading of a file: give them to load()")
    planned = plan(source, max_concurrency=max_concurrency)
    return run_plan(
        planned,
        deselected=deselected,
        strict=strict,
        lenient=lenient,
        apart=apart,
        environ=environ,
        courtesy=courtesy,
        required=required,
    )


def run_plan(
    plan: "Plan",
    *,
    deselected: frozenset[str] = frozenset(),
    strict: bool = False,
    lenient: bool = False,
    apart: bool = False,
    environ: Mapping[str, str] | None = None,
    courtesy: Sequence[Factory] = (),
    required: Sequence[Factory] = (),
    zygote: "Zygote | None" = None,
) -> "Summary":
    """The last stops of `run`; see there. `zygote` is one from `start_early`, and closed in the end."""
    from stepwave.core.prepare import Preparation
    from stepwave.core.schedule import Schedule
    from stepwave.core.tally import Tally
    from stepwave.edge.environment import caller_environment
    from stepwave.edge.files import make_run_folder, run_id
    from stepwave.edge.interrupts import Interrupts
    from stepwave.edge.local.launcher import LocalLauncher
    from stepwave.engine import Inbox, Spine, drive

    if plan.workflow.unbuilt:
        errors = tuple(finding._replace(severity=Severity.ERROR) for finding in plan.workflow.unbuilt)
        return _refused(plan.workflow.place.path, errors)
    environ = caller_environment() if environ is None else dict(environ)
    now = time.time()
    run = run_id(now)
    folder = make_run_folder(Path(plan.workflow.folder), environ, run)
    inbox = Inbox()
    with ExitStack() as closing:
        launcher = LocalLauncher(inbox, folder, zygote or start_early(environ))
        closing.callback(launcher.close)
        preparation = Preparation(
            plan, environ=environ, run=run, run_folder=str(folder), now=now, lenient=lenient, apart=apart
        )
        schedule = Schedule(plan, preparation, deselected=deselected, strict=strict)
        tally = Tally(plan)
        needed = [tally, *(make(plan, folder) for make in required)]
        spine = Spine(run, needed, [make(plan, folder) for make in courtesy], _complain)
        closing.callback(spine.close)
        closing.enter_context(Interrupts(inbox, [spine.pause, launcher.freeze], [launcher.thaw]))
        drive(schedule, launcher, inbox, spine)
    return tally.summary()._replace(folder=str(folder))


def _refused(path: str, findings: tuple[Diagnostic, ...]) -> "Summary":
    from stepwave.core.events import Status
    from stepwave.core.summary import Summary

    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    return Summary(
        workflow=path,
        name=path,
        run="",
        status=Status.FAILED,
        exit_code=2,
        reason=f"{errors} error(s) in {path}",
        started_at=time.time(),
        wall_s=0.0,
        steps=(),
        diagnostics=findings,
    )


def _complain(sentence: str) -> None:
    print(f"stepwave: {sentence}", file=sys.stderr)  # noqa: T201


# --- listeners -----------------------------------------------------------------------------------------


def board(*, color: bool, unicode: bool) -> Factory:
    """The live board, on standard error, which must be a terminal."""

    def make(plan: "Plan", folder: Path) -> "Listener":
        from rich.console import Console

        from stepwave.core.style import make_style
        from stepwave.edge.screen.board import Board

        console = Console(stderr=True, no_color=not color, highlight=False, emoji=False, markup=False)
        return Board(plan, folder, console, make_style(color=color, unicode=unicode))

    return make


def lines(*, color: bool, unicode: bool, verbose: bool = False, quiet: bool = False) -> Factory:
    """Plain lines on standard error, in the order in which things happen."""

    def make(plan: "Plan", folder: Path) -> "Listener":
        from stepwave.core.style import make_style
        from stepwave.edge.screen.lines import Lines

        return Lines(plan, folder, sys.stderr, make_style(color=color, unicode=unicode), verbose=verbose, quiet=quiet)

    return make


def event_file(path: str) -> Factory:
    """Every event as one line of JSON: schemas/event.schema.json. Raises OSError at once when it cannot be opened.

    A required listener: a full disk ends the run, so that what was asked for is complete or refused.
    """
    from stepwave.edge.event_file import EventFile

    listener = EventFile(Path(path))
    return lambda plan, folder: listener


# --- Summary → document ----------------------------------------------------------------------------------


def result_document(summary: "Summary") -> dict[str, Any]:
    """The result as JSON values: schemas/result.schema.json. Reads at most 64 KiB of each step's output."""
    from stepwave.core.record import result_document as document
    from stepwave.edge.files import head_text

    outputs: dict[str, str] = {}
    for step in summary.steps:
        if step.argv:  # a log is made with its first byte: one that is not there is an output of nothing
            outputs[step.id] = (step.stdout_log and head_text(Path(summary.folder) / step.stdout_log)) or ""
    return document(summary, summary.folder, outputs)


def log_tail(summary: "Summary", step: "StepResult", lines: int = 20) -> tuple[str, ...]:
    """The last lines of what a step printed; empty when it printed nothing."""
    from stepwave.edge.files import tail

    return tail(Path(summary.folder) / step.stderr_log, lines) if step.stderr_log else ()


def schema_text(name: str) -> str:
    """A published schema: `workflow`, `event` or `result`. Raises FileNotFoundError for any other name."""
    from stepwave.edge.files import read_schema

    return read_schema(name)


def dry_run(plan: "Plan", deselected: frozenset[str] = frozenset()) -> str:
    """What `run` would start: waves, commands, folders, environment, limits. Runs nothing."""
    from stepwave.core.dryrun import dry_run as describe
    from stepwave.core.prepare import Preparation

    preparation = Preparation(plan, environ=os.environ, run="dry-run", run_folder="<run folder>", now=time.time())
    return describe(plan, preparation, deselected)


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
