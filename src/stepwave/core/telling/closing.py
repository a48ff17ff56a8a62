"""The end of a run as lines of text: the table of steps, the statistics, the failures, the verdict.

The order is that of the eye: what stays on the screen is the end, so the failures come last, just above
the verdict.
Every list is bounded; what is left out is counted.
"""

from collections.abc import Mapping, Sequence

from stepwave.core.events import BY_BRANCH, Outcome, Status
from stepwave.core.model import Stage, Step
from stepwave.core.plan import Plan
from stepwave.core.summary import Statistics, StepResult, Summary
from stepwave.core.telling.endings import decision_words, ending, mark, why_it_ended
from stepwave.core.telling.pasting import at, fed, invocation, path_word
from stepwave.core.telling.style import Role, Span, Style, cells, line_of, pad, pad_left
from stepwave.core.text import duration, harmless, plural

TABLE_LIMIT = 40
"""Up to so many steps all are in the table; of more, the failures and the slowest."""
FULL_FAILURES = 20
"""So many failures are told with command and output; further ones in a line each, up to as many again."""
TAIL_LINES = 20
_SLOWEST = 10
_TESTS_SHOWN = 5
_POOLS_SHOWN = 10
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

    `tails` holds the last lines of `shown_logs(summary)`, under the same keys; `folder` is the run's. `width` is the
    number of columns to keep to; commands, the paths of logs and the verdict are never cut.
    """
    width = max(width, 20)
    lines = [] if brief else _table(summary, style, width)
    if summary.statistics.max_concurrent_steps and not brief:
        lines += ["", *_statistics(summary, plan, style, width)]
    lines += _failures(summary, plan, tails, folder, style, width)
    gain = [] if brief else _gain(summary, plan, style)
    return [*lines, "", *verdict(summary, style), *gain, *_where(summary, folder, style)]


def _gain(summary: Summary, plan: Plan, style: Style) -> list[str]:
    """`took 3m 22s; lower bound 3m 10s (critical path 2m 58s, cpu pool 3m 10s)`, of runs that take a while."""
    from stepwave.core.telling.gain import bound_of, is_worth_telling

    if not is_worth_telling(summary):
        return []
    from stepwave.core.telling.forecast import bound_words

    words = bound_words(bound_of(summary, plan), plan.max_concurrency, style)
    return [style.paint(f"  took {duration(summary.wall_s)}; lower bound {words}", Role.DIM)]


def _where(summary: Summary, folder: str, style: Style) -> list[str]:
    """Where everything lies that the steps printed, of which a successful run has shown nothing."""
    if not folder or not any(step.stderr_log or any(t.log for t in step.tests) for step in summary.steps):
        return []
    return [style.paint(f"  Logs: {style.spell(harmless(folder))}/logs", Role.DIM)]


# --- the verdict -------------------------------------------------------------------------------


def verdict(summary: Summary, style: Style) -> list[str]:
    """`✓ Workflow complete in 3m 01s`, and what running the steps one by one would have taken."""
    wall, parallel = duration(summary.wall_s), summary.statistics
    what = "Workstream" if summary.is_workstream else "Workflow"
    if summary.success:
        tolerated = sum(step.tolerated for step in summary.steps)
        note = f" ({plural(tolerated, 'tolerated failure')})" if tolerated else ""
        ended = style.paint(f"{what} complete", Role.STRONG)
        lines = [f"{style.paint(style.ok, Role.OK)} {ended} in {wall}{note}"]
    else:
        ended = style.paint(f"{what} {_how_badly(summary.status)}", Role.STRONG)
        lines = [f"{style.paint(style.fail, Role.FAIL)} {ended} in {wall}: {_counts(summary)}"]
        # A failed step has been told above; everything else that ended the run is told here.
        if summary.reason and summary.status in (Status.CANCELLED, Status.TIMEOUT):
            lines.append(f"  {style.word(summary.reason)}")
        if undone := [step.id for step in summary.steps if step.outcome is Outcome.ROLLED_BACK]:
            lines.append(f"  Rolled back: {_some(undone, style)}")
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
        *((n, f"{n} {_named(o)}{_by_branch(summary) * (o is Outcome.SKIPPED)}") for o, n in _quiet(summary)),
    )
    return ", ".join(words for count, words in numbers if count) or "no steps"


def _quiet(summary: Summary) -> list[tuple[Outcome, int]]:
    """The ends that need no words of their own, and how many there are of each."""
    ends = (Outcome.CANCELLED, Outcome.SKIPPED, Outcome.ROLLED_BACK, Outcome.COMPLETED)
    return [(outcome, summary.count(outcome)) for outcome in ends]


def _named(outcome: Outcome) -> str:
    return outcome.value.replace("_", " ")


def _by_branch(summary: Summary) -> str:
    """Steps of a branch that was not taken are no trouble, however many they are."""
    count = sum(step.outcome is Outcome.SKIPPED and step.reason == BY_BRANCH for step in summary.steps)
    return f" ({count} not on the branch taken)" if count else ""


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
        ["Outcome", *(_named(step.outcome) for step in steps)],
        ["Time", *(duration(step.duration_s) if step.attempts else "" for step in steps)],
        ["Wave", *(str(step.wave + 1) for step in steps)],
        ["Attempts" * retried, *(str(step.attempts) if step.attempts > 1 else "" for step in steps)],
        ["", *(_remark(step, style) for step in steps)],
    ]


def _remark(step: StepResult, style: Style) -> str:
    why = why_it_ended(step, style)
    if step.tolerated:
        return f"tolerated: {why}".rstrip(": ")
    if not why and step.decision is not None:
        return decision_words(step.decision, style)
    if not why and step.tests:
        return f"{plural(len(step.tests), 'test')} passed"
    return why


def _roles(row: Sequence[str], role: Role | None) -> list[Span]:
    """Colour where it means something: mark and outcome; the rest of the row stays calm."""
    roles = (role, None, role, None, Role.DIM, None, Role.DIM)
    return list(zip(row, roles, strict=True))


def _aligned(row: Sequence[Span], sizes: Sequence[int], numeric: Sequence[bool], style: Style) -> list[Span]:
    spans: list[Span] = []
    last = max(index for index, (text, _) in enumerate(row) if text)  # nothing follows it, not even blanks
    for index, ((text, role), size, right) in enumerate(zip(row[: last + 1], sizes, numeric, strict=False)):
        if size:
            spans.append(("" if not spans else " " if index == 1 else "  ", None))
            cut = text if index == len(sizes) - 1 else style.crop(text, size)
            spans.append((pad_left(cut, size) if right else cut if index == last else pad(cut, size), role))
    return spans


# --- the statistics ----------------------------------------------------------------------------


def _statistics(summary: Summary, plan: Plan, style: Style, width: int) -> list[str]:
    parallel = summary.statistics
    rows = [
        ("total groups", f"{parallel.total_groups} ({parallel.executed_groups} executed)"),
        ("peak concurrency", f"{parallel.max_concurrent_steps} of {plan.max_concurrency}"),
        *_pools(parallel, style),
        ("sequential time", duration(parallel.sequential_s)),
        ("wall time", f"{duration(summary.wall_s)} ({parallel.time_saved_percent}% saved)"),
    ]
    if parallel.critical_path:
        rows.append(("critical path", f"{duration(parallel.critical_path_s)}: {_path(parallel.critical_path, style)}"))
    size = max(cells(label) for label, _ in rows)
    lines = [line_of([("  " + pad(k, size) + "  ", Role.DIM), (v, None)], width, style) for k, v in rows]
    return [style.paint("Parallel statistics", Role.STRONG), *lines]


def _pools(parallel: Statistics, style: Style) -> list[tuple[str, str]]:
    """A row for each pool, or, of many, for those that were waited for longest, in the order of the file."""
    names = list(parallel.utilization)
    longest = {*sorted(names, key=lambda name: -parallel.resource_wait_s.get(name, 0.0))[:_POOLS_SHOWN]}
    chosen = [name for name in names if name in longest]
    rows = [(f"pool {style.word(name, 30)}", _pool(name, parallel)) for name in chosen]
    if len(chosen) < len(names):
        rows.append((style.ellipsis, f"{plural(len(names) - len(chosen), 'more pool')}"))
    return rows


def _pool(name: str, parallel: Statistics) -> str:
    words = [f"{parallel.utilization[name]:.1%} busy"]
    if name in parallel.peak_utilization:
        words.append(f"peak {parallel.peak_utilization[name]:.0%}")
    if parallel.resource_wait_s.get(name, 0.0) >= 0.001:
        words.append(f"waited for {duration(parallel.resource_wait_s[name])}")
    return ", ".join(words)


def _some(ids: Sequence[str], style: Style) -> str:
    more = f", and {len(ids) - 10} more" if len(ids) > 10 else ""
    return ", ".join(style.word(id, 40) for id in ids[:10]) + more


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


def shown_logs(summary: Summary) -> dict[str, str]:
    """The logs whose ends belong into the report, as paths relative to the run's folder: of the tests that failed, by
    the path itself; else of the step, by its id."""
    logs = {}
    for step in shown_in_full(summary):
        failed = [test for test in step.tests if not test.passed]
        logs.update({test.log: test.log for test in failed[:_TESTS_SHOWN] if test.log})
        if not failed and step.stderr_log:
            logs[step.id] = step.stderr_log
    return logs


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
    if others:
        lines.append(style.paint(f"The {len(full)} that came first, with what they printed:", Role.DIM))
    for step in full:
        lines += [""] * (step is not full[0] or bool(others))
        lines += [_heading(step, style), *_command(step, plan, style)]
        lines += [_quoted(line, style, width) for line in tails.get(step.id, ())[-TAIL_LINES:]]
        lines += _logs(step, folder, style)
        lines += _tests(step, plan, tails, folder, style, width)
    return lines


def _tests(
    step: StepResult, plan: Plan, tails: Mapping[str, tuple[str, ...]], folder: str, style: Style, width: int
) -> list[str]:
    """The tests of a step that did not pass: what they are, and the end of what they printed."""
    failed = [test for test in step.tests if not test.passed]
    planned = _planned(step, plan)
    scripts = {test.id: test.script for test in planned.tests} if planned else {}
    lines = []
    for test in failed[:_TESTS_SHOWN]:
        script = f": {style.word(scripts[test.test], 100)}" if test.test in scripts else ""
        name = style.paint(f"test {style.word(test.test, 40)}", Role.STRONG)
        fail = style.paint(style.fail, Role.FAIL)
        lines.append(f"  {fail} {name} ({style.word(test.reason or 'failed')}){script}")
        lines += [f"  {_quoted(line, style, width - 2)}" for line in tails.get(test.log, ())[-TAIL_LINES:]]
        if test.log:
            lines.append(f"    {style.paint('log:', Role.DIM)} {path_word(f'{folder}/{test.log}', style)}")
    if len(failed) > _TESTS_SHOWN:
        lines.append(f"  {style.ellipsis} and {plural(len(failed) - _TESTS_SHOWN, 'more failed test')}")
    return lines


def _heading(step: StepResult, style: Style) -> str:
    name = style.paint(f"[{style.word(step.id, 80)}]", Role.STRONG)
    return f"{style.paint(*mark(step, style))} {name} {ending(step, style)}"


def _quoted(line: str, style: Style, width: int) -> str:
    return f"  {style.paint(style.gutter, Role.DIM)} {style.quote(line, max(width - 4, 16))}".rstrip()


def _logs(step: StepResult, folder: str, style: Style) -> list[str]:
    logs = dict.fromkeys(log for log in (step.stdout_log, step.stderr_log) if log)
    return [f"  {style.paint('log:', Role.DIM)} {path_word(f'{folder}/{log}', style)}" for log in logs]


def _command(step: StepResult, plan: Plan, style: Style) -> list[str]:
    """The command over as many lines as it has; a script's later lines keep their columns, so their sense."""
    if not step.argv:
        return []
    planned = _planned(step, plan)
    own = {**plan.workflow.env, **(planned.env if planned else {})}
    run = invocation(step.argv, step.env, own, style)
    text = at(step.cwd, fed(run, planned, plan.workflow.folder, style), style)
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


def _planned(step: StepResult, plan: Plan) -> Step | None:
    """The step of the file that this is, or that it came from."""
    if step.id in plan.steps:
        return plan.steps[step.id]
    parent = plan.steps.get(step.after)
    return parent.undo if parent and step.stage is Stage.ROLLBACK else parent
