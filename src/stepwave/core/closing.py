"""The end of a run as lines of text: the table of steps, the statistics, the failures, the verdict.

The order is that of the eye: what stays on the screen is the end, so the failures come last, just above
the verdict.
Every list is bounded; what is left out is counted.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

from stepwave.core.endings import ending, mark, why_it_ended
from stepwave.core.events import Outcome, Status
from stepwave.core.model import Step
from stepwave.core.plan import Plan
from stepwave.core.style import Role, Span, Style, cells, line_of, pad, pad_left
from stepwave.core.summary import Statistics, StepResult, Summary
from stepwave.core.text import duration, harmless, plural

TABLE_LIMIT = 40
"""Up to so many steps all are in the table; of more, the failures and the slowest."""
FULL_FAILURES = 20
"""So many failures are told with command and output; further ones in a line each, up to as many again."""
TAIL_LINES = 20
_SLOWEST = 10
_COMMAND_LINES = 60
_COMMAND_CHARS = 8_000


def closing(
    summary: Summary,
    plan: Plan,
    tails: Mapping[str, tuple[str, ...]],
    folder: str,
    style: Style,
    width: int,
    *,
    brief: bool = False,
) -> list[str]:
    """The whole report, painted as `style` says, one item a line; `brief`: only failures and the verdict.

    `tails` holds the last lines of the logs of `shown_in_full(summary)`; `folder` is the run's. `width` is
    the number of columns to keep to; commands, the paths of logs and the verdict are never cut.
    """
    width = max(width, 20)
    lines = [] if brief else _table(summary, style, width)
    if summary.statistics.max_concurrent_steps and not brief:
        lines += ["", *_statistics(summary, plan, style, width)]
    lines += _failures(summary, plan, tails, folder, style, width)
    return [*lines, "", *verdict(summary, style), *_where(summary, folder, style)]


def _where(summary: Summary, folder: str, style: Style) -> list[str]:
    """Where everything lies that the steps printed, of which a successful run has shown nothing."""
    if not folder or not any(step.stderr_log for step in summary.steps):
        return []
    return [style.paint(f"  Logs: {style.spell(harmless(folder))}/logs", Role.DIM)]


# --- the verdict -------------------------------------------------------------------------------


def verdict(summary: Summary, style: Style) -> list[str]:
    """`✓ Workflow complete in 3m 01s`, and what running the steps one by one would have taken."""
    wall, parallel = duration(summary.wall_s), summary.statistics
    if summary.success:
        tolerated = sum(step.tolerated for step in summary.steps)
        note = f" ({plural(tolerated, 'tolerated failure')})" if tolerated else ""
        ended = style.paint("Workflow complete", Role.STRONG)
        lines = [f"{style.paint(style.ok, Role.OK)} {ended} in {wall}{note}"]
    else:
        ended = style.paint(f"Workflow {_how_badly(summary.status)}", Role.STRONG)
        lines = [f"{style.paint(style.fail, Role.FAIL)} {ended} in {wall}: {_counts(summary)}"]
        # A failed step has been told above; everything else that ended the run is told here.
        if summary.reason and summary.status in (Status.CANCELLED, Status.TIMEOUT):
            lines.append(f"  {style.word(summary.reason)}")
    if parallel.time_saved_percent > 0:
        sequential = f"~{duration(parallel.sequential_s)} - {parallel.time_saved_percent}% time saved"
        lines.append(style.paint(f"  (Sequential would have taken {sequential})", Role.DIM))
    return lines


def _how_badly(status: Status) -> str:
    return {Status.TIMEOUT: "timed out", Status.CANCELLED: "cancelled"}.get(status, "failed")


def _counts(summary: Summary) -> str:
    """`2 failed, 1 skipped, 12 completed`; `1 tolerated failure` where there is one."""
    tolerated = sum(step.tolerated for step in summary.steps)
    timed_out = sum(step.outcome is Outcome.TIMEOUT and not step.tolerated for step in summary.steps)
    failed = len(summary.failures) - timed_out - tolerated
    numbers = (
        (failed, f"{failed} failed"),
        (timed_out, f"{timed_out} timed out"),
        (tolerated, plural(tolerated, "tolerated failure")),
        *((n, f"{n} {o.value}") for o in _quiet_ends if (n := summary.count(o))),
    )
    return ", ".join(words for count, words in numbers if count) or "no steps"


_quiet_ends = (Outcome.CANCELLED, Outcome.SKIPPED, Outcome.COMPLETED)


# --- the table of steps ------------------------------------------------------------------------


def _table(summary: Summary, style: Style, width: int) -> list[str]:
    chosen = _worth_a_row(summary.steps)
    if not chosen:
        return []
    columns = _columns(chosen, style)
    widest = max(12, width // 3)
    sizes = [min(max(map(cells, column)), widest) for column in columns]
    numeric = (False, False, False, True, True, True, False)
    heads = [[(column[0], Role.STRONG) for column in columns]]
    rows = [_roles([column[n] for column in columns], mark(step, style)[1]) for n, step in enumerate(chosen, 1)]
    lines = [line_of(_aligned(row, sizes, numeric, style), width, style) for row in heads + rows]
    rest = len(summary.steps) - len(chosen)
    if rest:
        left_out = f"{plural(rest, 'more step')} not shown (in all: {_counts(summary)})"
        lines.append(style.paint(f"{style.ellipsis} {left_out}", Role.DIM))
    return lines


def _worth_a_row(steps: Sequence[StepResult]) -> list[StepResult]:
    """Every step, or of many the failures and the slowest, in file order."""
    if len(steps) <= TABLE_LIMIT:
        return list(steps)
    failed = [step.id for step in steps if step.is_failure or step.outcome is Outcome.CANCELLED]
    ran = sorted((step for step in steps if step.attempts), key=lambda step: -step.duration_s)
    chosen = {*failed[: TABLE_LIMIT - _SLOWEST], *(step.id for step in ran[:_SLOWEST])}
    return [step for step in steps if step.id in chosen]


def _columns(steps: Sequence[StepResult], style: Style) -> list[list[str]]:
    """Head and cells of every column; a column that would say nothing is left empty."""
    retried = any(step.attempts > 1 for step in steps)
    return [
        ["", *(mark(step, style)[0] for step in steps)],
        ["Step", *(style.word(step.id, 80) for step in steps)],
        ["Outcome", *(step.outcome.value for step in steps)],
        ["Time", *(duration(step.duration_s) if step.attempts else "" for step in steps)],
        ["Wave", *(str(step.wave + 1) for step in steps)],
        ["Attempts" * retried, *(str(step.attempts) if step.attempts > 1 else "" for step in steps)],
        ["", *(_remark(step, style) for step in steps)],
    ]


def _remark(step: StepResult, style: Style) -> str:
    why = why_it_ended(step, style)
    return f"tolerated: {why}".rstrip(": ") if step.tolerated else why


def _roles(row: Sequence[str], role: Role | None) -> list[Span]:
    """Colour where it means something: mark and outcome; the rest of the row stays calm."""
    roles = (role, None, role, None, Role.DIM, None, Role.DIM)
    return list(zip(row, roles, strict=True))


def _aligned(row: Sequence[Span], sizes: Sequence[int], numeric: Sequence[bool], style: Style) -> list[Span]:
    spans: list[Span] = []
    for index, ((text, role), size, right) in enumerate(zip(row, sizes, numeric, strict=True)):
        last = index == len(sizes) - 1
        if size:
            spans.append(("" if not spans else " " if index == 1 else "  ", None))
            cut = text if last else style.crop(text, size)
            spans.append((pad_left(cut, size) if right else pad(cut, size), role))
    return spans


# --- the statistics ----------------------------------------------------------------------------


def _statistics(summary: Summary, plan: Plan, style: Style, width: int) -> list[str]:
    parallel = summary.statistics
    rows = [
        ("total groups", f"{parallel.total_groups} ({parallel.executed_groups} executed)"),
        ("peak concurrency", f"{parallel.max_concurrent_steps} of {plan.max_concurrency}"),
        *((f"pool {style.word(name, 30)}", _pool(name, parallel)) for name in parallel.utilization),
        ("sequential time", duration(parallel.sequential_s)),
        ("wall time", f"{duration(summary.wall_s)} ({parallel.time_saved_percent}% saved)"),
    ]
    if parallel.critical_path:
        rows.append(("critical path", f"{duration(parallel.critical_path_s)}: {_path(parallel.critical_path, style)}"))
    size = max(cells(label) for label, _ in rows)
    lines = [line_of([("  " + pad(k, size) + "  ", Role.DIM), (v, None)], width, style) for k, v in rows]
    return [style.paint("Parallel statistics", Role.STRONG), *lines]


def _pool(name: str, parallel: Statistics) -> str:
    words = [f"{parallel.utilization[name]:.1%} busy"]
    if name in parallel.peak_utilization:
        words.append(f"peak {parallel.peak_utilization[name]:.0%}")
    if parallel.resource_wait_s.get(name, 0.0) >= 0.001:
        words.append(f"waited for {duration(parallel.resource_wait_s[name])}")
    return ", ".join(words)


def _path(ids: Sequence[str], style: Style) -> str:
    names = [style.word(id, 40) for id in ids[:4]]
    if len(ids) > 6:
        names.append(f"{style.ellipsis} {len(ids) - 6} more {style.ellipsis}")
    names += [style.word(id, 40) for id in ids[4:][-2:]]
    return f" {style.arrow} ".join(names)


# --- the failures ------------------------------------------------------------------------------


def shown_in_full(summary: Summary) -> tuple[StepResult, ...]:
    """The failures that are told with command and output, tolerated ones first."""
    by_end = sorted(summary.failures, key=lambda step: step.ended_s or 0.0)
    grave = [step for step in by_end if not step.tolerated][:FULL_FAILURES]
    mild = [step for step in by_end if step.tolerated][: FULL_FAILURES - len(grave)]
    return (*mild, *grave)


def _failures(
    summary: Summary,
    plan: Plan,
    tails: Mapping[str, tuple[str, ...]],
    folder: str,
    style: Style,
    width: int,
) -> list[str]:
    full = shown_in_full(summary)
    if not full:
        return []
    lines = ["", style.paint("Failures", Role.STRONG)]
    ids = {step.id for step in full}
    others = [step for step in summary.failures if step.id not in ids]
    lines += [_heading(step, style) for step in others[:FULL_FAILURES]]
    if len(others) > FULL_FAILURES:
        lines.append(f"{style.ellipsis} and {plural(len(others) - FULL_FAILURES, 'more failure')}")
    for step in full:
        lines += [""] * (step is not full[0] or bool(others))
        lines += [_heading(step, style), *_command(step, plan, style)]
        lines += [_quoted(line, style, width) for line in tails.get(step.id, ())[-TAIL_LINES:]]
        lines += _logs(step, folder, style)
    return lines


def _heading(step: StepResult, style: Style) -> str:
    name = style.paint(f"[{style.word(step.id, 80)}]", Role.STRONG)
    return f"{style.paint(*mark(step, style))} {name} {ending(step, style)}"


def _quoted(line: str, style: Style, width: int) -> str:
    return f"  {style.paint(style.gutter, Role.DIM)} {style.quote(line, max(width - 4, 16))}".rstrip()


def _logs(step: StepResult, folder: str, style: Style) -> list[str]:
    logs = dict.fromkeys(log for log in (step.stdout_log, step.stderr_log) if log)
    return [f"  {style.paint('log:', Role.DIM)} {_path_word(f'{folder}/{log}', style)}" for log in logs]


# --- the command to paste ----------------------------------------------------------------------


def _command(step: StepResult, plan: Plan, style: Style) -> list[str]:
    """The command over as many lines as it has; a script's later lines keep their columns, so their sense."""
    if not step.argv:
        return []
    planned = plan.steps.get(step.id)
    own = {**plan.workflow.env, **(planned.env if planned else {})}
    run = _invocation(step.argv, step.env, own, style)
    text = _at(step.cwd, _fed(run, planned, plan.workflow.folder, style), style)
    lines = text.split("\n")
    if len(lines) > _COMMAND_LINES or len(text) > _COMMAND_CHARS:
        where = f"; {style.word(planned.place.path)}:{planned.place.line}" if planned else ""
        size = f"{plural(len(lines), 'line')}, {plural(len(text), 'character')}"
        note = f"(the beginning of a command of {size}{where})"
        return [f"  {style.paint(note, Role.DIM)}", *(_quoted(line, style, 100) for line in lines[:10])]
    return [
        "  " + style.paint(lines[0], Role.ACCENT),
        *(style.paint(line, Role.ACCENT) for line in lines[1:]),
    ]


def paste(
    argv: Sequence[str],
    cwd: str,
    env: Mapping[str, str | None],
    own: Mapping[str, str | None],
    style: Style,
) -> str:
    """One command for a POSIX shell that does what the step did: `cd … && NAME=value … argv`.

    `own` holds the names that the workflow itself sets; of stepwave's (WORKFLOW_*, STEPWAVE_*) only those
    are laid over that `argv` speaks of. What a terminal would obey or cannot show is written as `$'\\033'`,
    which bash, zsh and ksh read.
    """
    return _at(cwd, _invocation(argv, env, own, style), style)


def _at(cwd: str, command: str, style: Style) -> str:
    return f"cd {_shell_word(cwd, style)} && {command}" if cwd else command


def _invocation(argv: Sequence[str], env: Mapping[str, str | None], own: Mapping[str, str | None], style: Style) -> str:
    laid = {name: value for name, value in env.items() if name in own or _is_needed(name, argv)}
    words = [f"{name}={_shell_word(value, style)}" for name, value in laid.items() if value is not None]
    if any(value is None for value in laid.values()) or not all(map(_name.fullmatch, laid)):
        # Only env(1) takes names away, and takes names that no shell would.
        taken = [f"-u {_shell_word(name, style)}" for name, value in laid.items() if value is None]
        given = [_shell_word(f"{name}={value}", style) for name, value in laid.items() if value is not None]
        words = ["env", *taken, *given]
    first = _shell_word(argv[0], style)
    if first in _keywords or (first == argv[0] and "=" in first):
        first = f"'{first}'"
    return " ".join([*words, first, *(_shell_word(word, style) for word in argv[1:])])


_name = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ours = re.compile(r"(?:WORKFLOW|STEPWAVE)_\w+")
_keywords = frozenset(
    re.findall(r"\w+", "case coproc do done elif else esac fi for function if in select then time until while")
)


def _is_needed(name: str, argv: Sequence[str]) -> bool:
    return not _ours.fullmatch(name) or any(name in _ours.findall(word) for word in argv)


def _fed(command: str, step: Step | None, folder: str, style: Style) -> str:
    """With what the step reads, where that is known without filling in references."""
    stdin = step.stdin if step else None
    if stdin is None or "{{" in (stdin.text or stdin.path or ""):
        return command
    if stdin.path is not None:
        path = stdin.path if stdin.path.startswith("/") else f"{folder}/{stdin.path}"
        return f"{command} < {_shell_word(path, style)}"
    return f"printf %s {_shell_word(stdin.text or '', style)} | {command}"


_unshowable = re.compile("[\x00-\x09\x0b-\x1f\x7f-\xa0\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


_ci_command = re.compile(r"\n\s*(?:::|##\[)")  # a line that a CI system would obey


def _shell_word(text: str, style: Style) -> str:
    if not _unshowable.search(text) and not _ci_command.search(text) and (style.unicode or text.isascii()):
        return shlex.quote(text)
    return "$'" + "".join(_escaped(char, style) for char in text) + "'"


def _path_word(path: str, style: Style) -> str:
    """On one line, whatever it is called."""
    return "\\n".join(_shell_word(part, style) for part in path.split("\n"))


def _escaped(char: str, style: Style) -> str:
    if char in "\\'":
        return "\\" + char
    if char != "\n" and not _unshowable.match(char) and (style.unicode or char.isascii()):
        return char
    raw = char.encode("utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass")
    return "\\n" if char == "\n" else "".join(f"\\{byte:03o}" for byte in raw)
