"""A plan as a drawing: text for the terminal, Mermaid and Graphviz for documents, JSON for programs.

Rule 1: only real edges are drawn, each once, in file order: the same plan gives the same bytes. That a part of the run
        comes after another one is a frame, not an edge.
Rule 2: nodes are n0, n1 … in Mermaid and Graphviz, and everything foreign is an escaped label: no id or name
        can end a string, become a link or start a statement.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from stepwave.core.model import STAGES, Stage, Step, StepType
from stepwave.core.plan import Plan
from stepwave.core.telling.wording import STAGE_NAMES, rule_words
from stepwave.core.text import duration, one_line, plural

Format = Literal["text", "mermaid", "dot", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

_NEEDS_SHOWN = 8
_ID_COLUMN = 32
_WORD_LIMIT = 80
_RULE_LIMIT = 60
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


def _edges(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """From, to, and the answer of the condition step that the edge begins at: `true`, `false`, or nothing."""
    for step in plan.steps.values():
        for need in step.needs:
            yield need, step.id, _answer(plan.steps.get(need), step.id)


def _answer(condition: Step | None, id: str) -> str:
    branch = condition.branch if condition else None
    if branch is None:
        return ""
    answers = [word for word, ids in (("true", branch.on_true), ("false", branch.on_false)) if id in ids]
    return " or ".join(answers)


def _stages(plan: Plan) -> Iterator[tuple[Stage, list[Step]]]:
    """The parts of the run that have steps, in their order."""
    for stage in STAGES:
        steps = [step for step in plan.steps.values() if step.stage is stage]
        if steps:
            yield stage, steps


def _title(plan: Plan) -> str:
    return plan.workflow.name or plan.workflow.id


def _label(step: Step) -> tuple[str, ...]:
    """One line, or two when the step has a name of its own. A check or test without one goes by its command."""
    name = step.name
    if step.stage in (Stage.CHECK, Stage.ACCEPT) and step.id.endswith(f".{name}"):
        name = (step.script or "").strip().partition("\n")[0]
    return (_word(step.id),) if name in ("", step.id) else (_word(step.id), _word(name))


def _caption(step: Step) -> tuple[str, ...]:
    """The label, and below it what a condition asks, or what a fan-out goes over."""
    if step.branch is not None:
        return (*_label(step), rule_words(step.branch.rule, _RULE_LIMIT))
    if step.for_each is not None:
        return (*_label(step), f"for each of {one_line(step.for_each, _RULE_LIMIT)}")
    return _label(step)


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
        stage = plan.steps[ids[0]].stage
        part = "" if stage is Stage.MAIN else f": {STAGE_NAMES[stage]}"
        yield f"Wave {number}/{len(plan.waves)} ({plural(len(ids), 'step')}){part}"
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
    yield from _kind(step)
    named = {
        f"if {one_line(step.condition or '', 60)}": step.condition is not None,
        "runs alone": step.exclusive,
        f"at most {step.max_concurrency} of its wave at once": step.max_concurrency is not None,
        f"timeout {duration(step.timeout_s or 0.0)}": step.timeout_s,
        f"up to {step.retry.attempts} attempts": step.retry.attempts > 1,
        "may fail": step.continue_on_error,
        "failure stops its wave": not step.isolate_errors,
        plural(len(step.tests), "test"): step.tests,
        "can be undone": step.undo is not None,
    }
    yield from (words for words, holds in named.items() if holds)


def _kind(step: Step) -> Iterator[str]:
    """What it is, where it is no plain command."""
    if step.branch is not None:
        yield f"condition: {rule_words(step.branch.rule, _RULE_LIMIT)}"
        for answer, ids in (("true", step.branch.on_true), ("false", step.branch.on_false)):
            if ids:
                yield f"{answer} → {_some(ids)}"
    elif step.for_each is not None:
        yield f"for each of {one_line(step.for_each, _RULE_LIMIT)}"
    elif step.type is not StepType.SCRIPT:
        yield step.type.value


# --- Mermaid ------------------------------------------------------------------------------------------

# `-`, `_` and `.` stay where they stand inside a word; at its edge they could begin Markdown (`1. a`, `_a_`).
# Nearly all else becomes a numeric entity: quotes, brackets, `#`, `&`, `<`, backticks, `:` (icons), `%`.
_mermaid_odd = re.compile(r"[^\w\s(),/]|_")


def _mermaid(plan: Plan) -> Iterator[str]:
    node = {id: f"n{number}" for number, id in enumerate(plan.steps)}
    yield "flowchart LR"
    if plan.dependencies > _MERMAID_EDGES:
        yield f"    %% {plan.dependencies} edges: above {_MERMAID_EDGES}, Mermaid wants its maxEdges raised"
    for stage, steps in _stages(plan):
        frame = stage is not Stage.MAIN
        if frame:
            yield f'    subgraph {stage.value}_steps["{mermaid_text(STAGE_NAMES[stage])}"]'
        for step in steps:
            yield "    " * (1 + frame) + _mermaid_node(step, node[step.id])
        if frame:
            yield "    end"
    for need, id, answer in _edges(plan):
        arrow = f"-->|{answer}|" if answer else "-->"
        yield f"    {node[need]} {arrow} {node[id]}"


def _mermaid_node(step: Step, node: str) -> str:
    """A box; a diamond for a condition, a box with double sides for what becomes several steps."""
    label = "<br/>".join(mermaid_text(line) for line in _caption(step))
    if step.branch is not None:
        return f'{node}{{"{label}"}}'
    return f'{node}[["{label}"]]' if step.for_each is not None else f'{node}["{label}"]'


def mermaid_text(text: str) -> str:
    """Foreign text for one line of a quoted label."""
    return _mermaid_odd.sub(lambda m: m[0] if _is_inside_word(m) else f"#{ord(m[0])};", text)


def _is_inside_word(mark: re.Match[str]) -> bool:
    before, after = mark.string[: mark.start()][-1:], mark.string[mark.end() :][:1]
    return mark[0] in "-_." and before.isalnum() and after.isalnum()


# --- Graphviz -----------------------------------------------------------------------------------------


def _dot(plan: Plan) -> Iterator[str]:
    node = {id: f"n{number}" for number, id in enumerate(plan.steps)}
    yield f"digraph {quoted(_word(_title(plan)))} {{"
    yield "    rankdir=LR;"
    yield '    node [shape=box, style=rounded, fontname="sans-serif"];'
    for stage, steps in _stages(plan):
        if stage is Stage.MAIN:
            yield from _dot_steps(plan, steps, node, "    ")
            continue
        yield f"    subgraph cluster_{stage.value} {{"
        yield f"        label={quoted(STAGE_NAMES[stage])};"
        yield from _dot_steps(plan, steps, node, "        ")
        yield "    }"
    for need, id, answer in _edges(plan):
        label = f" [label={quoted(answer)}]" if answer else ""
        yield f"    {node[need]} -> {node[id]}{label};"
    yield "}"


def _dot_steps(plan: Plan, steps: list[Step], node: Mapping[str, str], indent: str) -> Iterator[str]:
    """The nodes of one part of the run, and the waves that they stand in."""
    for step in steps:
        shape = (
            ", shape=diamond, style=solid" if step.branch else ", peripheries=2" if step.for_each is not None else ""
        )
        yield f"{indent}{node[step.id]} [label={quoted(*_caption(step))}{shape}];"
    ranks: dict[int, list[str]] = {}
    for step in steps:
        ranks.setdefault(plan.wave_of[step.id], []).append(f"{node[step.id]};")
    for wave in sorted(ranks):
        yield f"{indent}{{ rank=same; {' '.join(ranks[wave])} }}"


def quoted(*lines: str) -> str:
    # `&` too: Graphviz reads HTML entities in plain labels. It passes on what may stand in no XML.
    whole = (line.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd") for line in lines)
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in whole)
    return '"' + "\\n".join(escaped) + '"'


# --- JSON ---------------------------------------------------------------------------------------------


def _json(plan: Plan) -> str:
    import json

    document = {
        "nodes": [_node(step, plan.wave_of[step.id]) for step in plan.steps.values()],
        "edges": [
            {"from": need, "to": id, "when": answer} if answer else {"from": need, "to": id}
            for need, id, answer in _edges(plan)
        ],
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
        **_particulars(step),
    }


def _particulars(step: Step) -> Mapping[str, object]:
    """What most steps have nothing of, and then do not mention."""
    branch = step.branch
    known = {
        "stage": None if step.stage is Stage.MAIN else step.stage.value,
        "family": step.family or None,
        "bindings": dict(step.bindings) or None,
        "forEach": step.for_each,
        "rule": rule_words(branch.rule, 1000) if branch else None,
        "onTrue": list(branch.on_true) if branch else None,
        "onFalse": list(branch.on_false) if branch else None,
        "agent": step.agent.name if step.agent else None,
        "function": step.function.target if step.function else None,
        "tests": [test.id for test in step.tests] or None,
        "compensation": step.undo.id if step.undo else None,
    }
    return {name: value for name, value in known.items() if value is not None}


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
        **({"hostResources": sorted(flow.host_pools)} if flow.host_pools else {}),
    }
