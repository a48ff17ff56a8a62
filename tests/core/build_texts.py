"""What the tests of `build` share: text in, workflow or findings out."""

import json
from collections.abc import Mapping, Sequence

from stepwave.core.building.build import Inputs, build
from stepwave.core.diagnostics import Diagnostic, Severity, has_errors
from stepwave.core.model import Step, Value, Workflow
from stepwave.core.reading.document import Document
from stepwave.core.reading.parse import parse

Said = str | Mapping[str, object] | Sequence[Mapping[str, object]]
"""YAML text, or what is to be written as JSON."""


def parsed(text: Said, path: str = "ci.yaml") -> Document:
    source = text if isinstance(text, str) else json.dumps(text)
    document, found = parse(source.encode(), path if isinstance(text, str) else "ci.json")
    assert document is not None, found
    return document


def built(
    text: Said,
    *,
    environ: dict[str, str] | None = None,
    variables: dict[str, Value] | None = None,
    name: str | None = None,
    strict: bool = False,
    path: str = "ci.yaml",
) -> tuple[Workflow | None, list[Diagnostic]]:
    inputs = Inputs(environ=environ or {}, variables=variables or {}, folder="/w", name=name)
    workflow, found = build(parsed(text, path), inputs, strict=strict)
    assert (workflow is None) == has_errors(found), found
    return workflow, found


def workflow_of(text: Said, **more: object) -> Workflow:
    """The workflow, which must come without a word of complaint worse than info."""
    workflow, found = built(text, **more)  # type: ignore[arg-type]
    assert workflow is not None, found
    assert not [d for d in found if d.severity is not Severity.INFO]
    return workflow


def step_of(step: Mapping[str, object], **around: object) -> Step:
    """The first step of a workflow that holds this one, `a` by name unless it says otherwise."""
    workflow, found = built({**around, "steps": [{"id": "a", **step}]})
    assert workflow is not None, found
    return workflow.steps[0]


def codes(text: Said, **more: object) -> list[str]:
    return [d.code for d in built(text, **more)[1]]  # type: ignore[arg-type]


def told(text: str, **more: object) -> list[tuple[str, str, int, int]]:
    """Severity, code, line and column of everything found."""
    found = built(text, **more)[1]  # type: ignore[arg-type]
    return [(d.severity.value, d.code, d.place.line, d.place.column) for d in found]
