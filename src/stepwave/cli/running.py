"""`stepwave run`: from what was typed to the exit code."""

import gc
import json
import os
from collections.abc import Mapping
from contextlib import nullcontext
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stepwave import api, past
from stepwave.cli import terminal
from stepwave.core import adjust
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, Severity, error, has_errors
from stepwave.core.model import FailurePolicy, Value, Workflow
from stepwave.core.origin import Origin
from stepwave.core.plan import Plan
from stepwave.core.reading.units import bytes_of, is_bare_number, seconds_of
from stepwave.core.running.weights import CRITICAL_PATH, ORDERS, in_order, is_order
from stepwave.core.summary import Summary
from stepwave.core.text import one_line
from stepwave.core.variables import read_variables

if TYPE_CHECKING:
    from stepwave.cli.ci import System
    from stepwave.cli.watching import Turn
    from stepwave.core.telling.witness import Witness
    from stepwave.edge.ledger.memory import LedgerMemory
    from stepwave.edge.local.zygote import Zygote
    from stepwave.edge.secrets import Fetched
    from stepwave.elsewhere import Opened


class Asked(NamedTuple):
    """The command line of `run`, as it was typed. It goes no further than this module."""

    file: str
    max_concurrency: str | None = None
    parallel: bool | None = None
    barrier: bool = False
    order: str = CRITICAL_PATH
    jobserver: str = "auto"
    timeout: str | None = None
    min_free_memory: str | None = None
    continue_on_error: bool = False
    keep_going: bool = False
    fail_fast: bool = False
    var: tuple[str, ...] = ()
    vars: str | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    name: str | None = None
    tools: str | None = None
    skip_agents: bool = False
    dry_run: bool = False
    watch: bool = False
    strict: bool = False
    lenient: bool = False
    json: bool = False
    output: str | None = None
    events: str | None = None
    resume: str | None = None
    force: bool = False
    no_ledger: bool = False
    durable: bool = False
    quiet: bool = False
    verbose: bool = False
    executor: str | None = None
    board: str = "full"
    junit: str | None = None
    trace: str | None = None
    report: str | None = None
    ci: str = "auto"
    color: str = "auto"


def run(asked: Asked, again: tuple[str, ...] = (), turn: "Turn | None" = None) -> int:
    """The exit code. Everything that can be wrong is found, and told together, before anything is started.

    `again` are steps of a run that is taken up again, which are to run whatever they did then. `turn`: it is one of the
    runs of `--watch`.
    """
    if "MAKEFLAGS" in os.environ:
        from stepwave.cli import slots

        asked = slots.heeded(asked)
    if asked.executor is None and "STEPWAVE_EXECUTOR" in os.environ:
        asked = asked._replace(executor=os.environ["STEPWAVE_EXECUTOR"] or None)
    if asked.watch and turn is None:
        from stepwave.cli import watching

        return watching.watch(asked)
    if asked.dry_run:
        return _run(asked, again, None)
    with api.start_early() as zygote:
        return _run(asked, again, zygote, turn)


def _run(asked: Asked, again: tuple[str, ...], zygote: "Zygote | None", turn: "Turn | None" = None) -> int:
    variables, findings = _variables(asked)
    findings += _check_options(asked)
    path, earlier = api.locate(asked.file), None
    if asked.resume is not None and not findings:
        from stepwave.cli import resuming

        asked, variables, earlier, findings = resuming.go_back(asked, path, variables)
    loaded = api.load(path, variables=variables, name=asked.name, strict=asked.strict, tools=asked.tools)
    findings += [found for found in loaded.diagnostics if not (asked.skip_agents and found.code == "no-executor")]
    texts = {loaded.path: loaded.text, **loaded.texts}
    if loaded.workflow is not None:
        findings += _check_steps(asked, loaded.workflow)
        findings += adjust.check_names(loaded.workflow, "--step", again)
    if loaded.workflow is None or has_errors(findings):
        terminal.tell_findings(findings, texts, asked.color)
        return 2
    if not asked.quiet:
        terminal.tell_findings([f for f in findings if f.severity is Severity.WARNING], texts, asked.color)
    plan = api.plan(_adjusted(asked, loaded.workflow), max_concurrency=_width(asked.max_concurrency))
    plan = in_order(plan, asked.order)
    left_out = adjust.deselected(loaded.workflow, asked.only, asked.skip, asked.start)
    taken_up = resuming.take_up(asked, path, earlier, plan, again) if earlier else None
    if turn is not None and taken_up is None:
        taken_up = turn.take_up(path, plan)
    left_out |= taken_up.left_out if taken_up else frozenset()
    if asked.dry_run:
        return terminal.write(api.dry_run(plan, left_out, skip_agents=asked.skip_agents))
    secrets = _secrets(asked, loaded, left_out, zygote)
    if secrets and has_errors(secrets.findings):
        return 2
    if asked.no_ledger:
        return _run_plan(asked, plan, left_out, zygote, secrets)
    origin = _origin(asked, loaded.path, variables, taken_up.earlier.run.id if taken_up else None)
    memory = past.memory(plan, origin.file, taken_up, force=asked.force)
    recorded = api.ledger(origin, memory=memory, durable=asked.durable, last=turn is None)
    return _run_plan(asked, plan, left_out, zygote, secrets, recorded, memory, turn)


def _secrets(asked: Asked, loaded: api.Loaded, left_out: frozenset[str], zygote: "Zygote | None") -> "Fetched | None":
    """The values of the secrets, if there are any; what is wrong with them is told."""
    if loaded.workflow is None or not loaded.workflow.secrets or zygote is None:
        return None
    secrets = api.fetch_secrets(loaded.workflow, zygote, deselected=left_out)
    if has_errors(secrets.findings) or not asked.quiet:
        terminal.tell_findings(secrets.findings, {loaded.path: loaded.text, **loaded.texts}, asked.color)
    return secrets


def _run_plan(
    asked: Asked,
    plan: Plan,
    left_out: frozenset[str],
    zygote: "Zygote | None",
    secrets: "Fetched | None",
    recorded: api.Factory | None = None,
    memory: "LedgerMemory | None" = None,
    turn: "Turn | None" = None,
) -> int:
    _settle_down()
    required = [recorded] if recorded else []
    if asked.events is not None:
        try:
            required.append(api.event_file("/dev/stdout" if asked.events == "-" else asked.events))
        except OSError as problem:
            finding = error(
                "cannot-write", f"`{asked.events}`: {(problem.strerror or '').lower()}", Place(COMMAND_LINE)
            )
            terminal.tell_findings([finding], {}, asked.color)
            return 2
    jobserver = None
    if asked.jobserver != "auto" or "MAKEFLAGS" in os.environ:
        from stepwave.cli import slots

        try:
            jobserver, plan = slots.opened(asked, plan)
        except OSError as problem:
            terminal.talk([f"stepwave: no job server can be made: {(problem.strerror or str(problem)).lower()}"])
            return 3
    system, witness = _system(asked.ci), None
    if recorded is None and (system or any(_at_the_end(asked))):
        from stepwave.core.telling.witness import Witness

        witness = Witness(plan)
    with jobserver or nullcontext(), _opened(asked, plan) as opened:
        if opened is not None and opened.findings:
            terminal.tell_findings(opened.findings, {}, asked.color)
            return 2
        plan = opened.plan if opened is not None else plan
        summary = api.run_plan(
            plan,
            deselected=left_out,
            strict=asked.strict,
            lenient=asked.lenient,
            apart=asked.json or asked.output is not None,
            skip_agents=asked.skip_agents,
            courtesy=[_display(asked, system), *([lambda plan, folder: witness] if witness else [])],
            required=required,
            memory=memory,
            zygote=zygote,
            secrets=secrets,
            jobserver=jobserver,
            engine=opened.engine if opened is not None else None,
        )
    if has_errors(summary.diagnostics):  # nothing has run: what it shares with other runs is not to be had
        terminal.tell_findings(summary.diagnostics, {}, asked.color)
        return summary.exit_code
    if turn is not None:
        turn.summary = summary
    return _close(asked, plan, summary, system, witness)


def _opened(asked: Asked, plan: Plan) -> "Opened | nullcontext[None]":
    """What carries the steps out, where that is not this machine."""
    if asked.executor in (None, "local"):
        return nullcontext()
    return api.open_executor(asked.executor, plan, _width(asked.max_concurrency))


def _system(choice: str) -> "System | None":
    """The CI system that is to be told, if any: on other machines nothing of it is imported."""
    is_named = choice != "auto" or {"STEPWAVE_CI", "GITHUB_ACTIONS", "GITLAB_CI"} & os.environ.keys()
    if choice == "none" or not is_named:
        return None
    from stepwave.cli import ci

    return ci.system(choice, os.environ)


def _settle_down() -> None:
    """The collector looks for cycles from here on, but never at what has been read and planned."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    gc.enable()


_in_record = (
    *("max_concurrency", "parallel", "timeout", "continue_on_error", "keep_going", "fail_fast", "skip_agents"),
    *("strict", "lenient", "barrier", "order", "min_free_memory", "jobserver", "executor"),
)


def _origin(asked: Asked, path: str, variables: Mapping[str, Value], resumed_from: str | None = None) -> Origin:
    """What it takes to ask for the same run again."""
    usual = Asked._field_defaults
    return Origin(
        file=past.file_of(path),
        name=asked.name,
        variables=variables,
        only=asked.only,
        skip=asked.skip,
        start=asked.start,
        options={name: given for name in _in_record if (given := getattr(asked, name)) != usual[name]},
        tools=asked.tools and os.path.abspath(asked.tools),  # noqa: PTH100
        resumed_from=resumed_from,
    )


def _display(asked: Asked, system: "System | None") -> api.Factory:
    style = terminal.talk_style(asked.color)
    if terminal.is_terminal() and asked.board != "none" and not asked.verbose and not asked.quiet:
        return api.board(color=style.color, unicode=style.unicode, view=asked.board)
    return api.lines(color=style.color, unicode=style.unicode, verbose=asked.verbose, quiet=asked.quiet, fold=system)


def _close(asked: Asked, plan: Plan, summary: Summary, system: "System | None", witness: "Witness | None") -> int:
    report = _report(asked, plan, summary)
    # What steps have printed is quoted only where one of them has failed.
    terminal.talk(system.guarded(report) if system and summary.failures else report)
    written = 0
    if system or any(_at_the_end(asked)):
        from stepwave.cli import exporting

        written = exporting.after(exporting.story_of(plan, summary, witness), system, *_at_the_end(asked))
    if asked.json or asked.output is not None:
        text = json.dumps(api.result_document(summary), indent=2, ensure_ascii=False) + "\n"
        text = text.replace("##[", "\\u0023#[")  # the same text, but no command of a CI system that prints it
        if asked.output is not None:
            written = max(written, terminal.write(text, asked.output))
        if asked.json and asked.output != "-":
            written = max(written, terminal.write(text))
    return summary.exit_code or written


def _report(asked: Asked, plan: Plan, summary: Summary) -> list[str]:
    from stepwave.core.telling.closing import closing, shown_logs, verdict

    style = terminal.talk_style(asked.color)
    if asked.quiet and summary.success:
        return verdict(summary, style)
    tails = {key: api.log_end(summary, log) for key, log in shown_logs(summary).items()}
    report = closing(summary, plan, tails, summary.folder, style, terminal.width(), brief=asked.quiet)
    return report if asked.quiet else ["", *report]


# --- what was typed ------------------------------------------------------------------------------------


def faults(asked: Asked) -> list[Diagnostic]:
    """What is wrong with the command line alone, whatever the workflow."""
    return [*_variables(asked)[1], *_check_options(asked)]


def variables_of(asked: Asked) -> Mapping[str, Value]:
    """Those that are given on the command line."""
    return _variables(asked)[0]


def files_of(asked: Asked) -> list[str]:
    """The files that a run writes because the command line asks for them."""
    return [path for name in _files if (path := getattr(asked, name)) not in (None, "-")]


def _variables(asked: Asked) -> tuple[Mapping[str, Value], list[Diagnostic]]:
    text = asked.vars
    if text is not None and text.startswith("@"):
        try:
            text = Path(text[1:]).read_text("utf-8")
        except (OSError, ValueError) as problem:
            reason = (isinstance(problem, OSError) and problem.strerror) or str(problem)
            return {}, [error("cannot-read", f"`--vars {asked.vars}`: {reason.lower()}", Place(COMMAND_LINE))]
    return read_variables(asked.var, text)


def _check_options(asked: Asked) -> list[Diagnostic]:
    here = Place(COMMAND_LINE)
    found = []
    wanted = asked.max_concurrency
    if wanted not in (None, "auto") and not (wanted.isdecimal() and 1 <= int(wanted[:9]) <= 100_000):
        found.append(error("bad-option", f"`-j {wanted}` is neither a number from 1 nor `auto`", here))
    if not is_order(asked.order):
        sentence = f"`--order {one_line(asked.order, 40)}` is no order of steps"
        found.append(error("bad-option", sentence, here, f"it is one of {', '.join(ORDERS)}"))
    if asked.timeout is not None and _seconds(asked.timeout) is None:
        found.append(
            error("bad-option", f"`--timeout {asked.timeout}` is no duration", here, "for example 90, 30s, 5m or 1h30m")
        )
    if asked.min_free_memory is not None and bytes_of(asked.min_free_memory) is None:
        sentence = f"`--min-free-memory {one_line(asked.min_free_memory, 40)}` is no size"
        found.append(error("bad-option", sentence, here, "for example 512MB, 2GB or a number of bytes"))
    if asked.keep_going and asked.fail_fast:
        found.append(error("conflicting-options", "`--keep-going` and `--fail-fast` exclude each other", here))
    found += _check_record(asked)
    if asked.executor is not None:
        found += _check_executor(asked.executor, asked.jobserver)
    if asked.no_ledger and asked.durable:
        found.append(error("conflicting-options", "`--no-ledger` and `--durable` exclude each other", here))
    if asked.ci == "auto" and os.environ.get("STEPWAVE_CI"):
        from stepwave.cli import ci

        found += ci.check(os.environ)
    return found + _check_files(asked)


def _check_executor(executor: str, jobserver: str) -> list[Diagnostic]:
    from stepwave import elsewhere

    if executor != elsewhere.LOCAL and jobserver not in ("auto", "none"):
        message = "`--jobserver` shares the slots of this machine, and `--executor` runs steps elsewhere"
        return [error("conflicting-options", message, Place(COMMAND_LINE))]
    return elsewhere.check(executor)


_of_the_end = ("junit", "trace", "report")
"""What is made of a run that has ended."""
_files = ("output", "events", *_of_the_end)


def _at_the_end(asked: Asked) -> tuple[str | None, str | None, str | None]:
    return asked.junit, asked.trace, asked.report


def _check_files(asked: Asked) -> list[Diagnostic]:
    """What is to be written, and where it cannot be."""
    here = Place(COMMAND_LINE)
    files = [(f"--{name}", path) for name in _files if (path := getattr(asked, name)) is not None]
    found = []
    for option, path in files:
        if path != "-" and option != "--events" and (problem := terminal.can_write(path)):
            found.append(error("cannot-write", f"`{option}`: {problem}", here))
        if _is_same_file(path, asked.file):
            found.append(error("cannot-write", f"`{option}`: `{path}` is the workflow itself", here))
    for (one, path), (other, its) in combinations(files, 2):
        if path != "-" and _is_same_file(path, its):
            found.append(error("conflicting-options", f"`{one}` and `{other}` name the same file", here))
    if asked.dry_run and (idle := [f"`--{name}`" for name in _of_the_end if getattr(asked, name) is not None]):
        message = f"`--dry-run` runs nothing that {' and '.join(idle)} could tell of"
        found.append(error("conflicting-options", message, here))
    return found + _check_stdout(asked, [option for option, path in files if path == "-"])


def _check_stdout(asked: Asked, options: list[str]) -> list[Diagnostic]:
    """`options` write to standard output, and `--json` does."""
    takers = ["--json", *options] if asked.json and asked.output != "-" else options
    if len(takers) < 2:
        return []
    what = "the events or the result, not both"
    if not {*takers} <= {"--events", "--json", "--output"}:
        what = f"only one of {', '.join(f'`{option}`' for option in takers)}"
    return [error("conflicting-options", f"standard output can take {what}", Place(COMMAND_LINE))]


def _check_record(asked: Asked) -> list[Diagnostic]:
    """What asks for an earlier run, and for none."""
    here = Place(COMMAND_LINE)
    pairs = (("--force", asked.force), ("--no-ledger", asked.no_ledger))
    return [
        error("conflicting-options", f"`--resume` and `{option}` exclude each other", here)
        for option, given in pairs
        if given and asked.resume is not None
    ]


def _is_same_file(one: str, other: str) -> bool:
    """Whether writing the one would change the other; devices may be shared."""
    if os.path.realpath(one) != os.path.realpath(other):
        return False
    return not os.path.exists(one) or os.path.isfile(one)  # noqa: PTH110, PTH113


def _check_steps(asked: Asked, workflow: Workflow) -> list[Diagnostic]:
    return [
        *adjust.check_names(workflow, "--only", asked.only),
        *adjust.check_names(workflow, "--skip", asked.skip),
        *adjust.check_names(workflow, "--from", asked.start),
    ]


def _seconds(text: str) -> float | None:
    """A bare number is seconds here; 0 means none."""
    if is_bare_number(text):
        return float(text) if float(text) >= 0 else None
    return seconds_of(text)


def _width(text: str | None) -> int | None:
    if text is None:
        return None
    return max(4, api.cpu_count()) if text == "auto" else int(text)


def _adjusted(asked: Asked, workflow: Workflow) -> Workflow:
    if asked.timeout is not None:
        workflow = adjust.with_timeout(workflow, _seconds(asked.timeout))
    if asked.min_free_memory is not None:
        workflow = adjust.with_min_free(workflow, bytes_of(asked.min_free_memory) or 0)
    if asked.parallel is not None:
        workflow = adjust.with_parallel(workflow, asked.parallel)
    if asked.barrier:
        workflow = adjust.with_barrier(workflow)
    if asked.keep_going or asked.fail_fast:
        policy = FailurePolicy.SKIP_DEPENDENTS if asked.keep_going else FailurePolicy.ABORT
        workflow = adjust.with_policy(workflow, policy)
    if asked.continue_on_error:
        workflow = adjust.tolerating(workflow)
    return workflow
