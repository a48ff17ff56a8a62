"""What `runs`, `status`, `logs`, `cancel` and `prune` print, and the exit code of each."""

import codecs
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stepwave import records
from stepwave.cli import terminal
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error
from stepwave.core.reading.units import seconds_of
from stepwave.core.telling.record import iso_time
from stepwave.core.telling.style import Role, Style, can_show_unicode, cells, make_style, pad, wants_color
from stepwave.core.text import duration, harmless, one_line, plural, size_of

if TYPE_CHECKING:
    from stepwave.edge.ledger.logs import Log
    from stepwave.edge.ledger.view import RunView, StepView

_roles = {
    "completed": Role.OK,
    "running": Role.ACCENT,
    "stopping": Role.WARN,
    "retrying": Role.WARN,
    "failed": Role.FAIL,
    "timeout": Role.FAIL,
    "died": Role.FAIL,
    "lost": Role.FAIL,
    "cancelled": Role.WARN,
}


def _refuse(found: Diagnostic, code: int = 2) -> int:
    terminal.tell_findings([found], {}, "auto")
    return code


def _style() -> Style:
    """How things look on stdout."""
    color = wants_color("auto", os.environ, sys.stdout.isatty())
    return make_style(color=color, unicode=can_show_unicode(sys.stdout.encoding, os.environ))


def _document(document: object) -> int:
    return terminal.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


# --- runs --------------------------------------------------------------------------------------------------


def runs(file: str | None, *, limit: int, workflow: str | None, json: bool) -> int:
    found = records.runs(file, limit=limit or -1, workflow=workflow)
    if json:
        return _document({"runs": [_run_document(one) for one in found]})
    if not found:
        of = f" of `{workflow}`" if workflow else ""
        terminal.talk([f"stepwave: no runs{of} are recorded in {records.states(file)[0]}"])
        return 0
    return terminal.write("".join(line + "\n" for line in _table(_run_rows(found), 2, _style())))


def _run_rows(found: Sequence["RunView"]) -> list[tuple[str, ...]]:
    style = _style()
    rows: list[tuple[str, ...]] = [("RUN", "WORKFLOW", "STATE", "STEPS", "STARTED", "TIME")]
    for one in found:
        run = one.run
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started_at))
        steps = f"{one.completed}/{run.steps}"
        rows.append((run.id, style.word(run.name, 40), one.standing.value, steps, started, _time(one)))
    return rows


def _time(one: "RunView") -> str:
    seconds = _seconds(one)
    return "-" if seconds is None else duration(seconds)


def _seconds(one: "RunView") -> float | None:
    """How long it took, or takes so far; None when nobody knows."""
    if one.standing.value == "running":
        return max(0.0, time.time() - one.run.started_at)
    return one.run.ended_s


def _table(rows: Sequence[tuple[str, ...]], state: int, style: Style) -> list[str]:
    """Columns, the last one as long as it is; `state` is the one that says how it stands."""
    widths = [max(cells(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = []
    for row in rows:
        padded = [pad(cell, width) for cell, width in zip(row, widths, strict=True)]
        padded[state] = style.paint(padded[state], _roles.get(row[state]))
        lines.append("  ".join(padded).rstrip())
    return lines


def _run_document(one: "RunView") -> dict[str, Any]:
    run = one.run
    seconds = _seconds(one)
    return {
        "runId": run.id,
        "workflowId": run.workflow,
        "name": run.name,
        "file": run.file or None,
        "state": one.standing.value,
        "exitCode": run.exit_code,
        "reason": run.reason,
        "startedAt": iso_time(run.started_at),
        "endedAt": None if run.ended_s is None else iso_time(run.started_at + run.ended_s),
        "executionTime": None if seconds is None else round(seconds * 1000),
        "steps": run.steps,
        "completed": one.completed,
        "resumedFrom": run.resumed_from,
        "pid": run.pid,
        "folder": str(one.folder),
    }


# --- status ------------------------------------------------------------------------------------------------


def status(run: str | None, file: str | None, *, json: bool) -> int:
    found = records.status(run, file)
    if isinstance(found, Diagnostic):
        return _refuse(found)
    seen, steps = found
    if json:
        rows = [_step_document(step, seen) for step in steps]
        return _document(
            {**_run_document(seen), "stepResults": {step.id: row for step, row in zip(steps, rows, strict=True)}}
        )
    return terminal.write("".join(line + "\n" for line in _status_lines(seen, steps)))


def _status_lines(seen: "RunView", steps: Sequence["StepView"]) -> Iterator[str]:
    style = _style()
    run = seen.run
    standing = style.paint(seen.standing.value, _roles.get(seen.standing.value))
    code = "" if run.exit_code is None else f", exit code {run.exit_code}"
    seconds = _seconds(seen)
    took = "" if seconds is None else f" ({duration(seconds)})"
    yield f"run {run.id} of {style.word(run.name)}: {standing}{took}{code}"
    if run.reason:
        yield f"  {style.word(run.reason)}"
    if run.resumed_from:
        yield f"  continues run {run.resumed_from}"
    if run.file:
        yield f"  file: {style.word(run.file)}"
    yield f"  logs: {style.word(str(seen.folder))}"
    yield ""
    rows = [("STEP", "STATE", "TIME", "NOTE"), *(_step_row(step, seen, style) for step in steps)]
    yield from _table(rows, 1, style)


def _step_row(step: "StepView", seen: "RunView", style: Style) -> tuple[str, ...]:
    indent = "  " if step.after else ""
    seconds = _step_seconds(step, seen)
    took = "" if seconds is None else duration(seconds)
    return indent + style.word(step.id, 60), step.state.value, took, _note(step, style)


def _step_seconds(step: "StepView", seen: "RunView") -> float | None:
    """Of the last attempt; of a running one so far."""
    if step.ended_s is not None:
        return step.duration_s if step.attempts else None
    if step.started_s is None or step.state.value not in ("running", "stopping"):
        return None
    return max(0.0, time.time() - seen.run.started_at - step.started_s)


def _note(step: "StepView", style: Style) -> str:
    if step.taken_from is not None:
        return f"reused from run {step.taken_from}"
    reason = style.word(step.reason, 100) if step.reason else ""
    if not reason and step.exit_code:
        reason = f"exit code {step.exit_code}"
    tries = f"attempt {step.attempts}" if step.attempts > 1 else ""
    return ", ".join(filter(None, (tries, reason, "tolerated" if step.tolerated else "")))


def _step_document(step: "StepView", seen: "RunView") -> dict[str, Any]:
    began = seen.run.started_at
    seconds = _step_seconds(step, seen)
    return {
        "state": step.state.value,
        "attempts": step.attempts,
        "exitCode": step.exit_code,
        "signal": step.signal,
        "reason": step.reason,
        "tolerated": step.tolerated,
        "startedAt": None if step.started_s is None else iso_time(began + step.started_s),
        "endedAt": None if step.ended_s is None else iso_time(began + step.ended_s),
        "executionTime": None if seconds is None else round(seconds * 1000),
        "parallelGroup": step.wave or None,
        "after": step.after or None,
        "takenFrom": step.taken_from,
        "logPath": str(seen.folder / step.log) if step.log else None,
        "logBytes": step.log_bytes,
        "usage": step.usage and {"userS": step.usage[0], "systemS": step.usage[1], "peakRssBytes": step.usage[2]},
    }


# --- logs --------------------------------------------------------------------------------------------------


def logs(
    step: str, run: str | None, file: str | None, *, follow: bool, attempt: int | None, stream: str, json: bool
) -> int:
    found = records.log(step, run, file, attempt=attempt, stream=stream)
    if isinstance(found, Diagnostic):
        return _refuse(found)
    if json:
        *older, path = (*map(str, found.parts),) or (None,)
        document = {"runId": found.run, "step": found.step, "attempt": found.attempt, "ended": found.ended}
        lies = {"path": path, "olderPath": older[0] if older else None, "bytes": found.kept_bytes}
        return _document({**document, **lies, "standsFor": found.stands_for or None})
    terminal.talk(_beside(found))
    chunks = records.printed(found, file, follow=follow, only=attempt, stream=stream)
    return _pour(_shown(chunks) if sys.stdout.isatty() else chunks)


def _beside(log: "Log") -> Iterator[str]:
    """What the log itself does not say."""
    if log.stands_for:
        yield f"stepwave: `{one_line(log.step, 60)}` was not run in {log.stands_for}: run {log.run} stands for it"
    if log.dropped_bytes:
        yield f"stepwave: the first {size_of(log.dropped_bytes)} are not kept (limits.outputSize)"


def _shown(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """For a terminal: it obeys nothing of what a step has printed."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    for chunk in chunks:
        yield harmless(decode(chunk).replace("\r\n", "\n")).encode(sys.stdout.encoding, "backslashreplace")


def _pour(chunks: Iterable[bytes]) -> int:
    out = sys.stdout.buffer
    try:
        for chunk in chunks:
            out.write(chunk)
            if not chunk:
                out.flush()
        out.flush()
    except OSError as problem:
        return terminal.gave_up(problem)
    return 0


# --- cancel ------------------------------------------------------------------------------------------------


def cancel(run: str | None, file: str | None, *, force: bool, json: bool) -> int:
    """0 when the run has ended, 1 when it had before, 2 when there is no such run."""
    found = records.cancel(run, file, force=force)
    if isinstance(found, Diagnostic):
        return _refuse(found, 1 if found.code == "not-running" else 2)
    terminal.talk([f"stepwave: run {found.seen.run.id} is told to end"])
    after = found.wait()
    if json:
        return _document(_run_document(after))
    code = "" if after.run.exit_code is None else f", exit code {after.run.exit_code}"
    return terminal.write(f"run {after.run.id} has ended: {after.standing.value}{code}\n")


# --- prune -------------------------------------------------------------------------------------------------


def prune(file: str | None, *, keep: int | None, older: str | None, damaged: bool, dry_run: bool, json: bool) -> int:
    if (problem := _bad_choice(keep, older, damaged)) is not None:
        return _refuse(problem)
    if damaged:
        return _move_aside(file, json=json)
    pruned = records.prune(file, keep=keep, older_s=seconds_of(older) if older else None, dry_run=dry_run)
    if json:
        return _document({"deleted": [old.id for old in pruned.deleted], "dryRun": dry_run, "state": str(pruned.state)})
    verb = "would delete" if dry_run else "deleted"
    lines = [f"{verb} {old.id}\n" for old in pruned.deleted] if dry_run else []
    return terminal.write("".join([*lines, f"{verb} {plural(len(pruned.deleted), 'run')} in {pruned.state}\n"]))


def _bad_choice(keep: int | None, older: str | None, damaged: bool) -> Diagnostic | None:
    here = Place(COMMAND_LINE)
    if older is not None and seconds_of(older) is None:
        return error("bad-option", f"`--older {harmless(older)}` is no duration", here, "for example 30d, 12h or 90m")
    if damaged and (keep is not None or older is not None):
        return error("conflicting-options", "`--damaged` goes alone: a damaged ledger knows no runs", here)
    if keep is None and older is None and not damaged:
        return error(
            "bad-option", "which runs are to go?", here, "`--keep N` keeps the latest, `--older 30d` those since then"
        )
    return None


def _move_aside(file: str | None, *, json: bool) -> int:
    aside = records.move_damaged_aside(file)
    if json:
        return _document({"movedTo": aside and str(aside)})
    if aside is None:
        terminal.talk(["stepwave: the ledger is not damaged, or there is none"])
        return 0
    return terminal.write(f"moved the damaged ledger to {aside}\n")
