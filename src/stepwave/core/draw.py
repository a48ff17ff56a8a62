"""A plan as a drawing: text for the terminal, Mermaid and Graphviz for documents, JSON for programs.

Rule 1: only real edges are drawn, each once, in file order: the same plan gives the same bytes.
Rule 2: nodes are n0, n1 … in Mermaid and Graphviz, and everything foreign is an escaped label: no id or name
        can end a string, become a link or start a statement.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from stepwave.core.model import Step, StepType
from stepwave.core.plan import Plan
from stepwave.core.text import duration, one_line, plural

Format = Literal["text", "mermaid", "dot", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

_NEEDS_SHOWN = 8
_ID_COLUMN = 32
_WORD_LIMIT = 80
_MERMAID_EDGES = 500
_AND_MORE = "… and {} more"


def draw(plan: Plan, format: Format) -> str:
    """The plan in one of FORMATS, without a newline at the end. Raises ValueError for any other format."""
    if format == "text":
        return "\n".join(_text(plan))
    if format == "mermaid":
        return "\n".join(_mermaid(plan))
    if format == "dot":
        return "\n".join(_dot(plan))
    if format == "json":
        return _json(plan)
    raise ValueError(f"unknown format {format!r}: one of {', '.join(FORMATS)}")


def _edges(plan: Plan) -> Iterator[tuple[str, str]]:
    for step in plan.steps.values():
        for need in step.needs:
            yield need, step.id


def _title(plan: Plan) -> str:
    return plan.workflow.name or plan.workflow.id


def _label(step: Step) -> tuple[str, ...]:
    """One line, or two when the step has a name of its own."""
    return (_word(step.id),) if step.name in ("", step.id) else (_word(step.id), _word(step.name))


def _word(text: str) -> str:
    return one_line(text, _WORD_LIMIT)


# --- text -------------------------------------------------------------------------------------------


def _text(plan: Plan) -> Iterator[str]:
    counts = f"{plural(len(plan.steps), 'step')} in {plural(len(plan.waves), 'wave')}"
    yield f"{_word(_title(plan))}: {counts}, {plural(plan.dependencies, 'dependency')}, {_width(plan)}"
    if plan.workflow.pools:
        pools = ", ".join(f"{_word(pool)} {units}" for pool, units in plan.workflow.pools.items())
        yield f"pools: {pools}"
    for number, ids in enumerate(plan.waves, start=1):
        yield ""
        yield f"Wave {number}/{len(plan.waves)} ({plural(len(ids), 'step')})"
        column = min(max(len(_word(id)) for id in ids), _ID_COLUMN)
        for id in ids:
            yield _line(plan.steps[id], column)


def _width(plan: Plan) -> str:
    return "one at a time" if plan.max_concurrency == 1 else f"at most {plan.max_concurrency} at once"


def _line(step: Step, column: int) -> str:
    parts = [_word(step.id).ljust(column), *_label(step)[1:]]
    if step.needs:
        parts.append(f"← {_some(step.needs)}")
    if step.resources:
        parts.append(f"[{', '.join(_units(pool, units) for pool, units in step.resources)}]")
    if flags := list(_flags(step)):
        parts.append(f"({', '.join(flags)})")
    return f"  {'  '.join(parts)}".rstrip()


def _some(ids: tuple[str, ...]) -> str:
    shown = [_word(id) for id in ids[:_NEEDS_SHOWN]]
    if len(ids) > _NEEDS_SHOWN:
        shown.append(_AND_MORE.format(len(ids) - _NEEDS_SHOWN))
    return ", ".join(shown)


def _units(pool: str, units: int) -> str:
    return _word(pool) if units == 1 else f"{_word(pool)} x{units}"


def _flags(step: Step) -> Iterator[str]:
    if step.type is not StepType.SCRIPT:
        yield step.type.value
    if step.condition is not None:
        yield f"if {one_line(step.condition, 60)}"
    if step.exclusive:
        yield "runs alone"
    if step.max_concurrency is not None:
        yield f"at most {step.max_concurrency} of its wave at once"
    if step.timeout_s:
        yield f"timeout {duration(step.timeout_s)}"
    if step.retry.attempts > 1:
        yield f"up to {step.retry.attempts} attempts"
    if step.continue_on_error:
        yield "may fail"
    if not step.isolate_errors:
        yield "failure stops its wave"


# --- Mermaid ------------------------------------------------------------------------------------------

# `-`, `_` and `.` stay where they stand inside a word; at its edge they could begin Markdown (`1. a`, `_a_`).
# Nearly all else becomes a numeric entity: quotes, brackets, `#`, `&`, `<`, backticks, `:` (icons), `%`.
_mermaid_odd = re.compile(r"[^\w\s(),/]|_")


def _mermaid(plan: Plan) -> Iterator[str]:
    node = {id: f"n{number}" for number, id in enumerate(plan.steps)}
    yield "flowchart LR"
    if plan.dependencies > _MERMAID_EDGES:
        yield f"    %% {plan.dependencies} edges: above {_MERMAID_EDGES}, Mermaid wants its maxEdges raised"
    for step in plan.steps.values():
        label = "<br/>".join(_entities(line) for line in _label(step))
        yield f'    {node[step.id]}["{label}"]'
    for need, id in _edges(plan):
        yield f"    {node[need]} --> {node[id]}"


def _entities(text: str) -> str:
    return _mermaid_odd.sub(lambda m: m[0] if _is_inside_word(m) else f"#{ord(m[0])};", text)


def _is_inside_word(mark: re.Match[str]) -> bool:
    before, after = mark.string[: mark.start()][-1:], mark.string[mark.end() :][:1]
    return mark[0] in "-_." and before.isalnum() and after.isalnum()


# --- Graphviz -----------------------------------------------------------------------------------------


def _dot(plan: Plan) -> Iterator[str]:
    node = {id: f"n{number}" for number, id in enumerate(plan.steps)}
    yield f"digraph {_quoted(_word(_title(plan)))} {{"
    yield "    rankdir=LR;"
    yield '    node [shape=box, style=rounded, fontname="sans-serif"];'
    for step in plan.steps.values():
        yield f"    {node[step.id]} [label={_quoted(*_label(step))}];"
    for ids in plan.waves:
        yield f"    {{ rank=same; {' '.join(f'{node[id]};' for id in ids)} }}"
    for need, id in _edges(plan):
        yield f"    {node[need]} -> {node[id]};"
    yield "}"


def _quoted(*lines: str) -> str:
    # `&` too: Graphviz reads HTML entities in plain labels.
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines)
    return '"' + "\\n".join(escaped) + '"'


# --- JSON ---------------------------------------------------------------------------------------------


def _json(plan: Plan) -> str:
    import json

    document = {
        "nodes": [_node(step, plan.wave_of[step.id]) for step in plan.steps.values()],
        "edges": [{"from": need, "to": id} for need, id in _edges(plan)],
        "metadata": _metadata(plan),
    }
    return json.dumps(document, indent=2)


def _node(step: Step, wave: int) -> Mapping[str, object]:
    return {
        "id": step.id,
        "name": step.name or step.id,
        "type": step.type.value,
        "wave": wave,
        "resources": dict(step.resources),
        "exclusive": step.exclusive,
        "maxConcurrency": step.max_concurrency,
        "condition": step.condition,
        "timeoutMs": None if step.timeout_s is None else round(step.timeout_s * 1000),
        "attempts": step.retry.attempts,
        "priority": step.priority,
        "continueOnError": step.continue_on_error,
        "isolateErrors": step.isolate_errors,
    }


def _metadata(plan: Plan) -> Mapping[str, object]:
    flow = plan.workflow
    return {
        "id": flow.id,
        "name": flow.name or flow.id,
        "version": flow.version,
        "steps": len(plan.steps),
        "dependencies": plan.dependencies,
        "waves": len(plan.waves),
        "maxConcurrency": plan.max_concurrency,
        "resources": dict(flow.pools),
    }
