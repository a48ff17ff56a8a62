"""The path as functions: load, validate, plan, run. The only place where edges are chosen.

    path → text → Document → Workflow → Plan → Schedule → events → Summary → exit code

`validate` is its first stops, `graph` stops at the plan and draws it, `run` goes to the end. No command has a path of
its own.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwave.core.diagnostics import Diagnostic, Severity, has_errors
from stepwave.core.model import Workflow
from stepwave.listeners import Factory, board, event_file, ledger, lines
from stepwave.loading import (
    Listed,
    Loaded,
    Variables,
    check_folder,
    list_workflows,
    load,
    locate,
    workflow_files,
)
from stepwave.machine import cpu_count

if TYPE_CHECKING:
    from stepwave.core.events import Measured
    from stepwave.core.language.scope import Files
    from stepwave.core.masked import Masks
    from stepwave.core.plan import Plan
    from stepwave.core.running.memory import Memory
    from stepwave.core.summary import StepResult, Summary
    from stepwave.edge.callables import Calls
    from stepwave.edge.executors.contract import Engine
    from stepwave.edge.jobserver.place import Place
    from stepwave.edge.local.zygote import Zygote
    from stepwave.edge.secrets import Fetched
    from stepwave.elsewhere import Opened
    from stepwave.engine import Listener
    from stepwave.sharing import Shared

__all__ = [
    "Factory",
    "Listed",
    "Loaded",
    "board",
    "check_folder",
    "cpu_count",
    "dry_run",
    "event_file",
    "fetch_secrets",
    "ledger",
    "lines",
    "list_workflows",
    "load",
    "locate",
    "log_end",
    "log_tail",
    "open_executor",
    "plan",
    "result_document",
    "run",
    "run_plan",
    "schema_text",
    "start_early",
    "validate",
    "workflow_files",
]

# --- path → Workflow -----------------------------------------------------------------------------------


def validate(
    path: str | os.PathLike[str],
    *,
    strict: bool = False,
    name: str | None = None,
    tools: str | os.PathLike[str] | None = None,
) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a file, sorted by place. See `load`."""
    return load(path, strict=strict, name=name, tools=tools).diagnostics


# --- Workflow → Plan -----------------------------------------------------------------------------------


def plan(workflow: Workflow, *, max_concurrency: int | None = None) -> "Plan":
    """Work out waves and longest paths. `max_concurrency` overrides the file. Raises ValueError when it is < 1."""
    from stepwave.core.running.graph import make_plan

    return make_plan(workflow, cpus=cpu_count(), max_concurrency=max_concurrency)


# --- Plan → Summary ------------------------------------------------------------------------------------


def start_early(environ: Mapping[str, str] | None = None) -> "Zygote":
    """Start the first helper process while there is still a file to be read. Closing it is up to the caller."""
    from stepwave.edge.environment import caller_environment
    from stepwave.edge.local.zygote import Zygote

    return Zygote(caller_environment() if environ is None else environ)


def run(  # noqa: PLR0913 - a run has as many parameters as options
    source: "str | os.PathLike[str] | Workflow",
    *,
    max_concurrency: int | None = None,
    variables: Variables | None = None,
    deselected: frozenset[str] = frozenset(),
    strict: bool = False,
    lenient: bool = False,
    apart: bool = False,
    tools: str | os.PathLike[str] | None = None,
    skip_agents: bool = False,
    environ: Mapping[str, str] | None = None,
    courtesy: Sequence[Factory] = (),
    required: Sequence[Factory] = (),
    record: bool = True,
    durable: bool = False,
    executor: str | None = None,
) -> "Summary":
    """Run a workflow, or the one in a file, to its end.

    Returns a Summary whatever becomes of the steps; for a file that cannot be run it has exit code 2, no steps and the
    diagnostics. Raises only when the runner itself is broken (OSError: no folder for the logs; ListenerFailed).
    `apart` keeps every step's stdout apart from its stderr, for `result_document`. `courtesy` listeners are muted when
    they fail, `required` ones end the run. `variables` and `tools` are for a file: TypeError beside a workflow that has
    been read. With `skip_agents` steps for which there is no executor are skipped, and the run has not failed.
    `record`: the run is kept in the ledger, with `durable` even through a loss of power. `executor`: what carries the
    steps out, as `--executor` has it; None: this machine.
    """
    file = ""
    if not isinstance(source, Workflow):
        loaded = load(source, variables=variables, environ=environ, strict=strict, tools=tools)
        if loaded.workflow is None:
            return _refused(os.fspath(source), loaded.diagnostics)
        file, source = os.path.realpath(source), loaded.workflow
    elif variables or tools:
        raise TypeError("variables and tools belong to the reading of a file: give them to load()")
    planned = plan(source, max_concurrency=max_concurrency)
    if record:
        from stepwave.core.origin import Origin

        required = (ledger(Origin(file, variables=variables or {}), durable=durable), *required)
    with open_executor(executor, planned, max_concurrency) if executor else nullcontext() as opened:
        if opened is not None and opened.findings:
            return _refused(source.place.path, opened.findings)
        return run_plan(
            opened.plan if opened else planned,
            deselected=deselected,
            strict=strict,
            lenient=lenient,
            apart=apart,
            skip_agents=skip_agents,
            environ=environ,
            courtesy=courtesy,
            required=required,
            engine=opened.engine if opened else None,
        )


def open_executor(name: str | None, plan: "Plan", max_concurrency: int | None = None) -> "Opened":
    """What carries the steps out, if it is not this machine: see `--executor`. It is open while it is entered."""
    from stepwave.elsewhere import open_executor as opened

    return opened(name, plan, max_concurrency)


def run_plan(  # noqa: PLR0913 - see `run`
    plan: "Plan",
    *,
    deselected: frozenset[str] = frozenset(),
    strict: bool = False,
    lenient: bool = False,
    apart: bool = False,
    skip_agents: bool = False,
    environ: Mapping[str, str] | None = None,
    courtesy: Sequence[Factory] = (),
    required: Sequence[Factory] = (),
    memory: "Memory | None" = None,
    zygote: "Zygote | None" = None,
    secrets: "Fetched | None" = None,
    calls: "Calls | None" = None,
    jobserver: "Place | None" = None,
    engine: "Engine | None" = None,
) -> "Summary":
    """The last stops of `run`; see there. `memory` knows the successes of earlier runs. `zygote` is one from
    `start_early`, and closed in the end. `secrets` come from `fetch_secrets`; None: they are fetched here. `calls` are
    the steps that are functions of this program. `jobserver`: steps start on tokens of it; it is closed in the end.
    `engine` carries the steps out, from `open_executor`.
    """
    from stepwave.core.running.prepare import Preparation
    from stepwave.core.running.schedule import Schedule
    from stepwave.core.telling.tally import Tally
    from stepwave.edge.environment import caller_environment
    from stepwave.edge.files import make_run_folder, run_id
    from stepwave.edge.interrupts import Interrupts
    from stepwave.edge.ledger.lock import hold
    from stepwave.edge.orchestrator_log import OrchestratorLog
    from stepwave.engine import Inbox, Spine, drive
    from stepwave.hands import Around, hands

    environ = caller_environment() if environ is None else dict(environ)
    if plan.workflow.secrets:
        zygote = zygote or start_early(environ)
        secrets = secrets or fetch_secrets(plan.workflow, zygote, deselected=deselected, environ=environ)
    masks = secrets.masks if secrets else None
    shared = _shared(plan.workflow, environ)
    findings = (*(secrets.findings if secrets else ()), *(shared.findings if shared else ()))
    if has_errors(findings):
        if zygote is not None:
            zygote.close()
        return _refused(plan.workflow.place.path, findings)
    now = time.time()
    run = run_id(now)
    folder = make_run_folder(Path(plan.workflow.folder), environ, run)
    inbox = Inbox()
    with ExitStack() as closing:
        with suppress(OSError):  # a file system without locks: the ledger refuses it, a run without one goes on
            closing.callback(os.close, hold(folder))
        before_pause: list[Callable[[], None]] = []
        after_pause: list[Callable[[], None]] = []
        interrupts = closing.enter_context(Interrupts(inbox, before_pause, after_pause))
        around = Around(inbox, folder, environ, masks, _complain)
        own = hands(around, closing, zygote, calls=calls, jobserver=jobserver, engine=engine, shared=shared)
        recorders = [make(plan, folder) for make in required]
        plan = _informed(plan, recorders)
        measured = _measured(plan) if engine is None else None
        preparation = Preparation(
            plan,
            environ=environ,
            run=run,
            run_folder=str(folder),
            now=now,
            lenient=lenient,
            apart=apart,
            files=lambda: _files_of(plan.workflow),
            secrets=secrets.values if secrets else {},
        )
        schedule = Schedule(
            plan,
            preparation,
            deselected=deselected,
            strict=strict,
            skip_agents=skip_agents,
            cpus=cpu_count() if plan.workflow.adaptive else 1,
            memory=_discreet(memory, masks),
            measured=measured,
            jobserver=jobserver is not None,
            ahead=calls is None and engine is None,
        )
        tally = Tally(plan)
        needed = [tally, *recorders]
        listeners = [OrchestratorLog(folder), *(make(plan, folder) for make in courtesy)]
        spine = Spine(run, needed, listeners, _complain, masks.event if masks else None)
        closing.callback(spine.close)
        before_pause += [spine.pause, own.launcher.freeze]
        after_pause += [own.launcher.thaw]
        senses = plan.workflow.adaptive or measured is not None
        drive(schedule, own.front(inbox, senses=senses), inbox, spine)
    return tally.summary()._replace(folder=str(folder), last_signal=interrupts.last)


def fetch_secrets(
    workflow: Workflow,
    zygote: "Zygote",
    *,
    deselected: frozenset[str] = frozenset(),
    environ: Mapping[str, str] | None = None,
) -> "Fetched":
    """The values of the secrets that the steps get, from the environment, files and commands, which are run below
    `zygote`; `deselected` steps get none. What is wrong is among the findings, and never raised.
    """
    from stepwave.edge.environment import caller_environment
    from stepwave.keyring import fetched

    return fetched(workflow, caller_environment() if environ is None else environ, zygote, deselected)


def _discreet(memory: "Memory | None", masks: "Masks | None") -> "Memory | None":
    """It is asked in words without secrets."""
    if memory is None or masks is None:
        return memory
    from stepwave.core.running.discreet import Discreet

    return Discreet(memory, masks)


def _informed(plan: "Plan", listeners: Sequence["Listener"]) -> "Plan":
    """With what they know of earlier runs of its steps; of one step alone nothing hangs on that."""
    if len(plan.steps) < 2:
        return plan
    from stepwave.core.running.graph import informed

    for listener in listeners:
        if hasattr(listener, "learned"):
            plan = informed(plan, listener.learned(plan))
    return plan


def _measured(plan: "Plan") -> "Measured | None":
    """What the machine has before the run, where steps may have to wait for memory."""
    limited = any(step.limits.memory_bytes for step in plan.steps.values())
    if not plan.learned and not limited and plan.workflow.min_free_bytes is None:
        return None
    from stepwave.core.running.needs import minds_memory

    if not minds_memory(plan):
        return None
    from stepwave.edge.sensor import measure

    return measure()


def _shared(workflow: Workflow, environ: Mapping[str, str]) -> "Shared | None":
    """What it has in common with other runs on this machine, if anything."""
    if not workflow.host_pools and not workflow.rate_limit_host:
        return None
    from stepwave.sharing import shared

    return shared(workflow, environ, _complain)


def _files_of(workflow: Workflow) -> "Files":
    from stepwave.edge.confined import ConfinedFiles

    return ConfinedFiles(workflow.folder)


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


# --- Summary → document ----------------------------------------------------------------------------------


def result_document(summary: "Summary") -> dict[str, Any]:
    """The result as JSON values: schemas/result.schema.json. Reads at most 64 KiB of each step's output."""
    from stepwave.core.telling.record import result_document as document
    from stepwave.edge.files import head_text

    if any(step.taken_from for step in summary.steps):
        from stepwave.past import with_logs_of_others

        summary = with_logs_of_others(summary)
    outputs: dict[str, str] = {}
    for step in summary.steps:
        if step.argv or step.stdout_log:  # a log is made with its first byte: without one it is an output of nothing
            outputs[step.id] = (step.stdout_log and head_text(Path(summary.folder) / step.stdout_log)) or ""
    return document(summary, summary.folder, outputs)


def log_tail(summary: "Summary", step: "StepResult", lines: int = 20) -> tuple[str, ...]:
    """The last lines of what a step printed; empty when it printed nothing."""
    return log_end(summary, step.stderr_log, lines) if step.stderr_log else ()


def log_end(summary: "Summary", log: str, lines: int = 20) -> tuple[str, ...]:
    """The last lines of a log of the run, that of a test for example; empty when there is no such file."""
    from stepwave.edge.files import tail

    return tail(Path(summary.folder) / log, lines)


def schema_text(name: str) -> str:
    """A published schema: `workflow`, `event`, `result` or `run`. Raises FileNotFoundError for any other name."""
    from stepwave.edge.files import read_schema

    return read_schema(name)


def dry_run(plan: "Plan", deselected: frozenset[str] = frozenset(), *, skip_agents: bool = False) -> str:
    """What `run` would start: waves, commands, folders, environment, limits. Runs nothing."""
    from stepwave.core.events import NO_EXECUTOR, NOT_SELECTED
    from stepwave.core.model import StepType
    from stepwave.core.running.prepare import Preparation
    from stepwave.core.telling.dryrun import dry_run as describe

    secrets: dict[str, str] = {}
    if plan.workflow.secrets:
        from stepwave.core.masked import stand_ins

        secrets = stand_ins(plan.workflow.secrets)
    preparation = Preparation(
        plan,
        environ=os.environ,
        run="dry-run",
        run_folder="<run folder>",
        now=time.time(),
        files=lambda: _files_of(plan.workflow),
        secrets=secrets,
    )
    left_out = dict.fromkeys(deselected, NOT_SELECTED)
    if skip_agents:
        agents = [step.id for step in plan.steps.values() if step.type is StepType.AGENT]
        left_out = {**dict.fromkeys(agents, NO_EXECUTOR), **left_out}
    text = describe(plan, preparation, left_out)
    if secrets:
        from stepwave.keyring import known

        text = known(plan.workflow, os.environ).text(text)
    return text
