"""JUnit XML, as CI systems read it: a suite for each part of the run, a case for each step.

There is no standard. Written down are the elements and attributes that Jenkins, GitLab, GitHub's reporters and others
agree on (https://github.com/testmoapp/junitxml), in the order that the strictest of the published schemas asks for.
"""

from collections.abc import Iterator, Sequence

from stepwave.core.events import Outcome
from stepwave.core.model import STAGES, Stage
from stepwave.core.telling.exporting.reading import Reading, exit_status, is_failure, why
from stepwave.core.telling.exporting.texts import xml_attribute, xml_text
from stepwave.core.telling.record import iso_time
from stepwave.core.telling.story import StepStory
from stepwave.core.telling.wording import STAGE_NAMES
from stepwave.core.text import plural

Fields = Sequence[tuple[str, str | None]]


def as_junit(reading: Reading) -> Iterator[str]:
    story = reading.story
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f"<testsuites{_fields(_sums(reading, story.name, story.steps, story.wall_s))}>\n"
    for stage in STAGES:
        steps = [step for step in story.steps if step.drawn.stage is stage]
        if steps or (stage is Stage.MAIN and not story.steps):
            yield from _suite(reading, stage, steps)
    yield "</testsuites>\n"


def _sums(reading: Reading, name: str, steps: Sequence[StepStory], seconds: float) -> Fields:
    kinds = [_kind(reading, step) for step in steps]
    counted = [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]
    return [
        ("name", name),
        ("tests", str(len(steps))),
        *((sums, str(kinds.count(kind))) for sums, kind in counted),
        ("time", _seconds(seconds)),
        ("timestamp", iso_time(reading.story.started_at)[:19]),
    ]


def _suite(reading: Reading, stage: Stage, steps: Sequence[StepStory]) -> Iterator[str]:
    story = reading.story
    name = story.name if stage is Stage.MAIN else f"{story.name}: {STAGE_NAMES[stage]}"
    yield f"  <testsuite{_fields(_sums(reading, name, steps, sum(map(reading.ran_s, steps))))}>\n"
    if stage is Stage.MAIN:
        yield from _properties(_of_run(reading), "    ")
    for step in steps:
        yield from _case(reading, step)
    yield "  </testsuite>\n"


def _of_run(reading: Reading) -> Fields:
    story = reading.story
    return [
        ("run", story.run),
        ("status", reading.status()),
        ("reason", story.reason),
        ("exit code", None if story.exit_code is None else str(story.exit_code)),
        ("continues run", story.resumed_from),
        ("stepwave", story.stepwave or None),
    ]


# --- a step ------------------------------------------------------------------------------------------------


def _case(reading: Reading, step: StepStory) -> Iterator[str]:
    drawn = step.drawn
    part = "" if drawn.stage is Stage.MAIN else f".{drawn.stage.value}"
    known: Fields = [
        ("name", drawn.id),
        ("classname", f"{reading.story.workflow}{part}"),
        ("time", _seconds(reading.ran_s(step))),
        ("file", reading.path(drawn.file) or None),
        ("line", str(drawn.line) if drawn.file and drawn.line else None),
    ]
    yield f"    <testcase{_fields(known)}>\n"
    yield from _properties(_of_step(step), "      ")
    yield from _result(reading, step)
    yield from _output(reading, step)
    yield "    </testcase>\n"


def _kind(reading: Reading, step: StepStory) -> str:
    """What becomes of it here. A failure that the workflow tolerates must not fail the pipeline that reads this."""
    if is_failure(step):
        return "skipped" if step.tolerated else "failure"
    if step.outcome is Outcome.COMPLETED:
        return "passed"
    begun = bool(step.attempts) and step.outcome in (None, Outcome.CANCELLED)
    return "error" if begun and not reading.story.alive else "skipped"


def _result(reading: Reading, step: StepStory) -> Iterator[str]:
    kind = _kind(reading, step)
    if kind == "passed":
        return
    state, reason = reading.state(step), why(step)
    message = f"{state}, and tolerated" if step.tolerated else state.replace("_", " ")
    message = f"{message}: {reason}" if reason and reason != message else message
    if kind == "skipped":
        yield f"      <skipped{_fields([('message', message)])}/>\n"
        return
    told = [f"test {test.test}: {test.reason or 'failed'}" for test in step.tests if not test.passed]
    text = xml_text("\n".join([message, *told, *_where(reading, step)]))
    yield f"      <{kind}{_fields([('message', message), ('type', state)])}>{text}</{kind}>\n"


def _where(reading: Reading, step: StepStory) -> Iterator[str]:
    drawn = step.drawn
    if drawn.file and drawn.line:
        yield f"at {reading.path(drawn.file)}:{drawn.line}"
    for attempt in step.attempts:
        if path := reading.log_path(attempt):
            yield f"log: {path}"


def _of_step(step: StepStory) -> Fields:
    code, signal = exit_status(step)
    drawn = step.drawn
    again = [(f"attempt {one.number}", one.reason or "failed") for one in step.attempts[:-1]]
    tests = [(f"test {t.test}", "passed" if t.passed else t.reason or "failed") for t in step.tests]
    return [
        ("name", drawn.name if drawn.name != drawn.id else None),
        ("needs", ", ".join(drawn.needs) or None),
        ("resources", ", ".join(f"{pool} {units}" for pool, units in drawn.resources) or None),
        ("attempts", str(len(step.attempts)) if len(step.attempts) > 1 else None),
        ("exit code", None if code is None else str(code)),
        ("signal", None if signal is None else str(signal)),
        ("tolerated", "true" if step.tolerated else None),
        ("taken from", step.taken_from),
        *again,
        *tests,
    ]


def _output(reading: Reading, step: StepStory) -> Iterator[str]:
    """The end of what its last attempt printed."""
    tail = reading.tail(step.attempts[-1]) if step.attempts else None
    if tail and tail.lines:
        beginning = "" if tail.whole else f"(the last {plural(len(tail.lines), 'line')})\n"
        yield f"      <system-out>{xml_text(beginning + chr(10).join(tail.lines))}\n</system-out>\n"


# --- elements ----------------------------------------------------------------------------------------------


def _properties(known: Fields, indent: str) -> Iterator[str]:
    given = [(name, value) for name, value in known if value is not None]
    if given:
        yield f"{indent}<properties>\n"
        for name, value in given:
            yield f"{indent}  <property{_fields([('name', name), ('value', value)])}/>\n"
        yield f"{indent}</properties>\n"


def _fields(known: Fields) -> str:
    return "".join(f' {name}="{xml_attribute(value)}"' for name, value in known if value is not None)


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
