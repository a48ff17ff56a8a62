"""The summary of a run in GitHub's Markdown, for the page of a job ($GITHUB_STEP_SUMMARY) or a comment.

Rule 1  Foreign text stands in `<code>` or `<pre>`, and every character of it that could mean something is a numeric
        reference: those begin nothing, neither in Markdown (CommonMark 0.31, 2.5) nor in HTML. In `<code>` nobody is
        mentioned.
Rule 2  The text keeps to `Reading.room`: GitHub shows nothing of a summary that is larger than 1 MiB. What has no room
        is counted.
"""

import re
from collections.abc import Iterator, Sequence

from stepwave.core.telling.exporting.mermaid import as_mermaid, is_drawable
from stepwave.core.telling.exporting.reading import Reading, failures, has_failed, is_failure, why
from stepwave.core.telling.exporting.texts import shown
from stepwave.core.telling.story import StepStory, Story
from stepwave.core.text import duration, one_line, plural

TABLE_ROWS = 200
FAILURES = 20
TAIL_LINES = 50
_LINE_LIMIT = 500

_marks = {"completed": "✅", "failed": "❌", "timeout": "⏱️", "skipped": "⏭️", "cancelled": "🚫", "reused": "♻️"}


def as_markdown(reading: Reading) -> Iterator[str]:
    """In pieces; those that have no room any more are left out."""
    left = reading.room - 200
    dropped = 0
    for part in _parts(reading):
        size = len(part.encode())
        if size <= left:
            left -= size
            yield part
        else:
            dropped += 1
    if dropped:
        yield f"\n({plural(dropped, 'part')} of this summary left out for its size.)\n"


def _parts(reading: Reading) -> Iterator[str]:
    yield _head(reading)
    for step in _shown_failures(reading.story):
        yield _failure(reading, step)
    yield _table(reading)
    if is_drawable(reading) and reading.story.steps:
        drawn = "\n".join(as_mermaid(reading))
        yield f"\n<details><summary>Graph</summary>\n\n```mermaid\n{drawn}\n```\n\n</details>\n"


# --- foreign text ------------------------------------------------------------------------------------------

_letters = r"A-Za-z0-9\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff\u3040-\u30ff\u4e00-\u9fff"
_odd_in_code = re.compile(rf"[^{_letters} ,/()=+-]")
_odd_in_pre = re.compile(rf"[^{_letters} .,:;/()=+'-]")


def _code(text: str, limit: int = 200) -> str:
    flat = shown(one_line(text, limit))
    return f"<code>{_odd_in_code.sub(_reference, flat)}</code>" if flat else ""


def _pre(lines: Sequence[str]) -> str:
    """One line of HTML and Markdown; the line ends of the text are references, too."""
    text = "\n".join(shown(line)[:_LINE_LIMIT] for line in lines)
    return f"<pre>{_odd_in_pre.sub(_reference, text)}</pre>"


def _reference(found: re.Match[str]) -> str:
    # GitHub looks for addresses when the references have been read: they must not be in one piece.
    return "<span>&#64;</span>" if found[0] == "@" else f"&#{ord(found[0])};"


# --- the parts ---------------------------------------------------------------------------------------------


def _head(reading: Reading) -> str:
    story = reading.story
    mark = "❌" if has_failed(story) else "✅" if story.status else "⏳"
    states = [reading.state(step) for step in story.steps]
    counts = ", ".join(f"{states.count(state)} {state.replace('_', ' ')}" for state in sorted(set(states)))
    lines = [
        f"### {mark} {_code(story.name or story.workflow)} {reading.status()} in {duration(story.wall_s)}",
        "",
        f"{counts or 'no steps'}. Run {_code(story.run)}.",
    ]
    if story.reason:
        lines += ["", f"Reason: {_code(story.reason, 500)}"]
    if len(story.critical_path) > 1:
        lines += ["", f"Critical path: {_path(story.critical_path)}"]
    return "\n".join(lines) + "\n"


def _path(ids: Sequence[str]) -> str:
    names = [_code(id, 60) for id in ids]
    if len(names) > 12:
        names[6:-6] = [f"({len(names) - 12} more)"]
    return " → ".join(names)


def _shown_failures(story: Story) -> list[StepStory]:
    return sorted(failures(story), key=lambda step: step.tolerated)[:FAILURES]


def _failure(reading: Reading, step: StepStory) -> str:
    drawn = step.drawn
    tolerated = ", tolerated" if step.tolerated else ""
    lines = ["", f"#### {_mark(reading, step)} {_code(drawn.id)}: {_code(why(step) or 'failed', 500)}{tolerated}", ""]
    if drawn.file and drawn.line:
        lines += [f"{_code(f'{reading.path(drawn.file)}:{drawn.line}', 500)}", ""]
    last = step.attempts[-1] if step.attempts else None
    tail = reading.tail(last).lines[-TAIL_LINES:] if last else ()
    if tail:
        whole = reading.tail(last).whole and len(reading.tail(last).lines) <= TAIL_LINES if last else True
        title = "Output" if whole else f"The last {plural(len(tail), 'line')} of its output"
        lines += [f"<details open><summary>{title}</summary>", "", _pre(tail), "", "</details>"]
    return "\n".join(lines) + "\n"


def _table(reading: Reading) -> str:
    """Of many steps those with trouble first, then the longest."""
    steps = reading.story.steps
    some = steps
    if len(steps) > TABLE_ROWS:
        ranked = sorted(steps, key=lambda step: (not is_failure(step), -reading.ran_s(step)))
        chosen = {step.drawn.id for step in ranked[:TABLE_ROWS]}
        some = tuple(step for step in steps if step.drawn.id in chosen)
    rows = ["", "| Step | | Time | Waited | Note |", "|:--|:--|--:|--:|:--|", *(_row(reading, step) for step in some)]
    if len(some) < len(steps):
        rows += ["", f"and {plural(len(steps) - len(some), 'more step')}"]
    return "\n".join(rows) + "\n"


def _row(reading: Reading, step: StepStory) -> str:
    waited = sum(wait.end_s - wait.begin_s for wait in step.waits if wait.cause.value != "need")
    cells = (
        _code(step.drawn.id, 80),
        f"{_mark(reading, step)} {reading.state(step).replace('_', ' ')}",
        duration(reading.ran_s(step)) if step.attempts else "",
        duration(waited) if waited >= 0.001 else "",
        _note(step),
    )
    return f"| {' | '.join(cells)} |"


def _note(step: StepStory) -> str:
    tries = plural(len(step.attempts), "attempt") if len(step.attempts) > 1 else ""
    return ", ".join(filter(None, (_code(why(step), 120), tries, "tolerated" if step.tolerated else "")))


def _mark(reading: Reading, step: StepStory) -> str:
    return "⚠️" if step.tolerated else _marks.get(reading.state(step), "▫️")
