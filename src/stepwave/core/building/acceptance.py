"""What must hold: tests of a step, tests of the whole at its end, and checks before anything starts.

Rule 1  A test is shell text, given to `/bin/sh -c`; it passes when that exits with 0.
Rule 2  A sentence where a command should be is told and not run; written as `{command: …}` it is run all the same.
"""

import re
from collections.abc import Container, Iterator
from functools import partial
from typing import NamedTuple

from stepwave.core.building.commands import SH
from stepwave.core.building.fields import (
    Found,
    Given,
    Reading,
    clean,
    every,
    gather,
    inside_text,
    is_missed,
    one,
    quoted,
    text,
    wrong_type,
)
from stepwave.core.building.fields_many import template
from stepwave.core.building.fields_units import duration
from stepwave.core.building.prose import reads_as_prose
from stepwave.core.building.step import MAX_ID, Defaults
from stepwave.core.model import AcceptanceTest, FailurePolicy, Stage, Step
from stepwave.core.reading.document import Mapping, Node, Scalar, Sequence, Span, beginning
from stepwave.core.reading.keys import Keys

_entry = Keys("a test", {name: name for name in ("id", "command", "description", "timeout")})
_id = re.compile(r"[A-Za-z0-9_.-]+\Z")
_stages = {Stage.CHECK: ("checks", "check"), Stage.ACCEPT: ("tests", "test")}


class Entry(NamedTuple):
    """One test as it stands in the file. `timeout_s` None: it does not say; 0: it has none."""

    id: str
    script: str
    node: Node
    span: Span
    timeout_s: float | None = None
    description: str = ""


def tests_of(r: Reading, found: Found) -> tuple[AcceptanceTest, ...]:
    """The tests of a step."""
    made = []
    for entry in _entries(r, found, "tests"):
        _refers(r, entry)
        made.append(AcceptanceTest(entry.id, entry.script, entry.timeout_s, entry.description))
    return tuple(made)


def workflow_tests(
    r: Reading,
    found: Found,
    stage: Stage,
    defaults: Defaults,
    *,
    scope: str = "",
    taken: Container[str] = (),
) -> list[Step]:
    """The tests of a workflow or workstream as steps: `test.1`, `check.1`. None of them needs another.

    `scope` is the prefix of the ids, `taken` are ids that other steps have. A check that fails ends the run; tests are
    all run, so that all that fails is told.
    """
    name, kind = _stages[stage]
    steps = []
    for entry in _entries(r, found, name):
        if stage is Stage.CHECK:
            _refuse_steps(r, entry)
        _refers(r, entry)
        limit = defaults.timeout_s if entry.timeout_s is None else entry.timeout_s
        steps.append(
            Step(
                id=_free(f"{scope}{kind}.{entry.id}", taken),
                place=r.document.place(entry.span),
                name=entry.description.strip().partition("\n")[0] or entry.id,
                argv=SH,
                script=entry.script,
                env=defaults.env,
                secrets=defaults.secrets,
                timeout_s=limit or None,
                on_failure=FailurePolicy.ABORT if stage is Stage.CHECK else FailurePolicy.SKIP_DEPENDENTS,
                stage=stage,
                base=r.base,
                scope=r.prefix,
                dollar=r.dollar,
                description=entry.description,
            )
        )
    return steps


def _free(id: str, taken: Container[str]) -> str:
    made, n = id, 1
    while made in taken:
        n += 1
        made = f"{id}-{n}"
    return made


# --- one entry -------------------------------------------------------------------------------------------------------


def _entries(r: Reading, found: Found, name: str) -> Iterator[Entry]:
    """The entries under a key and its other spellings, numbered through, each id once."""
    seen: dict[str, Span] = {}
    number = 0
    for given in every(found, name):
        if not isinstance(given.node, Sequence):
            wrong_type(r, given, "a list")
            continue
        for node in given.node.items:
            number += 1
            entry = _entry_of(r, given.key, node, str(number))
            if entry is None:
                continue
            first = seen.setdefault(entry.id, entry.span)
            if first is entry.span:
                yield entry
            else:
                message = f"there are two tests with the id {quoted(entry.id)}"
                r.error("duplicate-id", message, entry.span, f"the first one is in line {first.line}")


def _entry_of(r: Reading, key: str, node: Node, number: str) -> Entry | None:
    if isinstance(node, Mapping):
        return _of_mapping(r, key, node, number)
    given = Given(key, node, node.span)
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        wrong_type(r, given, "a list of commands")
        return None
    script = clean(r, key, node.value, node.span)
    if script is None or _is_blank(r, given, script):
        return None
    if reads_as_prose(script) and not r.is_program(script.split()[0]):
        message = f"{quoted(script)} reads as a sentence, not as a command, and is not run"
        help = "write a command, or `{command: …}` to have it run as it stands"
        r.warning("acceptance-not-command", message, node.span, help)
        return None
    return Entry(number, script, node, node.span)


def _of_mapping(r: Reading, key: str, node: Mapping, number: str) -> Entry | None:
    found: Found = {}
    gather(r, node, _entry, found, f"{key}.")
    start = beginning(node)
    id = one(r, found, "id", partial(_test_id))
    script = one(r, found, "command", text)
    timeout_s = one(r, found, "timeout", duration)
    description = one(r, found, "description", text) or ""
    if is_missed(found, "command"):
        r.error("missing-key", "a test needs a `command`", start)
    if script is None or _is_blank(r, found["command"], script):
        return None
    return Entry(id or number, script, found["command"].node, start, timeout_s, description)


def _test_id(r: Reading, given: Given) -> str | None:
    id = text(r, given)
    if id is not None and (not _id.match(id) or len(id) > MAX_ID):
        message = f"test id {quoted(id)} may hold only letters, digits, `_`, `.` and `-`, at most {MAX_ID}"
        r.error("bad-id", message, given.node.span)
        return None
    return id


def _is_blank(r: Reading, given: Given, script: str) -> bool:
    if not script.strip():
        r.error("too-short", f"`{given.key}` must not hold an empty command", given.node.span)
    return not script.strip()


# --- what it refers to -----------------------------------------------------------------------------------------------


def _refers(r: Reading, entry: Entry) -> None:
    """Under no step: what it refers to has run by then, and the order of steps says nothing about it."""
    template(r, "", entry.script, entry.node, shell=True)


def _refuse_steps(r: Reading, entry: Entry) -> None:
    """A check runs before every step, so there is nothing of one that it could read."""
    if "{{" not in entry.script and not (r.dollar and "${" in entry.script):
        return
    from stepwave.core.language.interpolate import text_references

    for path in sorted(text_references(entry.script, r.dollar)):
        if path[0] == "steps" and len(path) > 1:
            at = max(entry.script.find("steps." + path[1]), 0)
            message = f"a check before the start cannot read what step {quoted(path[1])} will bring"
            r.error("known-too-late", message, inside_text(r, entry.node, at), "make it a step, or an acceptance test")
            return
