"""Do the references in texts lead anywhere? Asked once every step and variable is known."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from stepwave.core.building.cycles import Needs, not_upstream
from stepwave.core.building.fields import Path, Reading, Template, bad_expression, inside_text, quoted
from stepwave.core.language.scope import VARIABLE_ROOTS, WORKFLOW_NAMES, ExpressionError
from stepwave.core.language.scoped import step_in
from stepwave.core.reading.document import Scalar, Span

if TYPE_CHECKING:
    from stepwave.core.building.graph import Graph


Readers = dict[tuple[str, str], tuple[Reading, Template, str]]
"""Who reads what: the ids of both, the text, and the id as it is in the file."""


def check_references(readings: Iterable[Reading], graph: "Graph", variables: Mapping[str, object]) -> None:
    """Each reading has the texts of one file. Only where `graph` is free of cycles does "upstream" mean something."""
    known = {**variables, **dict.fromkeys(_decided(graph))}
    needs: Needs = {**graph.needs, **{family: tuple(ids) for family, ids in graph.families.items()}}
    readers: Readers = {}
    for r in readings:
        for template in r.templates:
            for path in _paths(r, template):
                id = None if path[0] in template.known else _step_of(r, path, needs, known)
                if id is None:
                    _check_name(r, template, path, needs, known)
                elif id not in needs:
                    message = f"there is no step {quoted(id)} to refer to"
                    r.error("unknown-step", message, _place(template, path, 1), r.did_you_mean(id, needs))
                elif template.step:
                    for one in _of_family(graph, id):
                        readers.setdefault((template.step, one), (r, template, id))
    if graph.sound:
        _check_order(readers, graph)


def _of_family(graph: "Graph", id: str) -> Sequence[str]:
    """The steps that an id stands for; of very many the first and the last one, who wait and are waited for alike."""
    members = graph.families.get(id, (id,))
    return members if len(members) <= 100 else (members[0], members[-1])


def _decided(graph: "Graph") -> Iterable[str]:
    """The variables that condition steps set."""
    for id, ties in graph.ties.items():
        if ties.decides:
            yield f"condition_{id}_result"
            yield f"condition_{id}_triggered_steps"


def _paths(r: Reading, template: Template) -> Iterable[Path]:
    if template.paths is not None:
        return template.paths
    from stepwave.core.language.interpolate import check_shell, check_text, text_references

    problems = (check_shell if template.shell else check_text)(template.text, r.dollar)
    for problem in problems:
        bad_expression(r, template.node, problem)
    return () if problems else sorted(text_references(template.text, r.dollar, r.scope.variables))


def _step_of(r: Reading, path: Path, needs: Container[str], variables: Container[str]) -> str | None:
    """The step that a path reads: `steps.x`, or `x.output` where no variable is called x."""
    if path[0] == "steps" and len(path) > 1:
        found = step_in(path, 1, r.prefix, needs)
        return found[0] if found else path[1]
    found = step_in(path, 0, r.prefix, needs) if len(path) > 1 and path[0] not in variables else None
    return found[0] if found and found[1] < len(path) else None


def _check_name(r: Reading, template: Template, path: Path, needs: Needs, variables: Mapping[str, object]) -> None:
    if path[0] in template.known:
        return
    at = 1 if path[0] in VARIABLE_ROOTS and len(path) > 1 else 0
    name = path[at]
    if at == 0 and (name in WORKFLOW_NAMES or (name in _roots and len(path) > 1)):
        return
    if name not in variables and not _is_provided_for(r, template, path):
        near = r.suggestion(name, variables if at else (*variables, *needs))
        help = f"did you mean {quoted(near)}?" if near else "declare it under `variables:`, or give it with `--var`"
        r.warning("unknown-variable", f"there is no variable {quoted(name)}", _place(template, path, at), help)


_roots = ("env", "workflow")


def _is_provided_for(r: Reading, template: Template, path: Path) -> bool:
    """Whether only `default(x, …)`, `coalesce` or `${x:-…}` read it. Asked only where a name is missing."""
    if template.paths is not None:
        return False
    from stepwave.core.language.expressions import compile_expression
    from stepwave.core.language.interpolate import reference_spans
    from stepwave.core.language.tree import references

    for start, end in reference_spans(template.text, r.dollar, r.scope.variables):
        if template.text[start] == "{":
            try:
                expression = compile_expression(template.text[start + 2 : end - 2])
            except ExpressionError:
                return False
            if path in references(expression, guarded=False):
                return False
    return True


def _check_order(readers: Readers, graph: "Graph") -> None:
    astray = not_upstream(graph.needs, readers)
    told: set[tuple[str, str]] = set()
    for (step, one), (r, template, id) in readers.items():
        stages = graph.stages.get(step), graph.stages.get(one)
        if (step, one) in astray and stages[0] is stages[1] and (step, id) not in told:
            told.add((step, id))
            message = f"step {quoted(step)} reads what {quoted(id)} brings, but does not wait for it"
            place = _place(template, ("steps", id.removeprefix(r.prefix)), 1)
            r.warning("not-upstream", message, place, f"add {quoted(id)} to `dependsOn`")


def _place(template: Template, path: Path, at: int) -> Span:
    """The part of a path where it stands in the text, or the whole text where it is written in another way."""
    before = ".".join(path[:at])
    found = template.text.find(f"{before}.{path[at]}" if before else path[at])
    if found < 0 and isinstance(template.node, Scalar):
        found = template.text.find(path[at])
    return (
        inside_text(template.node, found + len(before) + bool(before), len(path[at]))
        if found >= 0
        else template.node.span
    )
