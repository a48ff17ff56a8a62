"""Do the references in texts lead anywhere? Asked once every step and variable is known."""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from stepwave.core.building.cycles import Needs, not_upstream
from stepwave.core.building.fields import Path, Reading, Template, bad_expression, inside_text, quoted
from stepwave.core.language.scope import (
    VARIABLE_ROOTS,
    WORKFLOW_NAMES,
    WORKFLOW_PROPERTIES,
    ExpressionError,
    Unresolved,
    walk,
)
from stepwave.core.language.scoped import step_in
from stepwave.core.model import Value
from stepwave.core.reading.document import Scalar, Span

if TYPE_CHECKING:
    from stepwave.core.building.graph import Graph


Readers = dict[tuple[str, str], tuple[Reading, Template, str]]
"""Who reads what: the ids of both, the text, and the id as it is in the file."""


def check_references(
    readings: Iterable[Reading],
    graph: "Graph",
    variables: Mapping[str, object],
    secrets: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Each reading has the texts of one file. Only where `graph` is free of cycles does "upstream" mean something.
    `secrets` are the names that each step gets, where there are any."""
    known = {**variables, **dict.fromkeys(_decided(graph))}
    needs: Needs = {**graph.needs, **{family: tuple(ids) for family, ids in graph.families.items()}}
    readers: Readers = {}
    for r in readings:
        for template in r.templates:
            for path in _paths(r, template):
                id = None if path[0] in template.known else _step_of(r, path, needs, known)
                if id is None and _is_secret(r, path, known):
                    _check_secret(r, template, path, secrets or {})
                elif id is None:
                    _check_name(r, template, path, needs, known)
                elif id not in needs:
                    _tell_unknown(r, template, path, id, needs)
                elif template.step:
                    for one in _of_family(graph, id):
                        readers.setdefault((template.step, one), (r, template, id))
    if graph.sound:
        _check_order(readers, graph)


def _is_secret(r: Reading, path: Path, variables: Container[str]) -> bool:
    """Whether a path reads a secret: `secrets.X`, or `env.X` where that is one."""
    if len(path) < 2:
        return False
    return path[1] in r.secrets if path[0] == "env" else path[0] == "secrets" and "secrets" not in variables


def _check_secret(r: Reading, template: Template, path: Path, secrets: Mapping[str, Sequence[str]]) -> None:
    name = path[1]
    if name not in r.secrets:
        if not _is_provided_for(r, template, path):
            help = r.did_you_mean(name, r.secrets) or "declare it under `secrets:`"
            r.error("unknown-secret", f"there is no secret {quoted(name)}", _place(r, template, path, 1), help)
    elif name not in secrets.get(template.step, (name,)):
        message = f"step {quoted(template.step)} does not get the secret {quoted(name)}"
        r.error("unknown-secret", message, _place(r, template, path, 1), "name it under `secrets` of the step")


def _tell_unknown(r: Reading, template: Template, path: Path, id: str, needs: Needs) -> None:
    if not r.is_unread(".".join(map(str, path[path[0] == "steps" :])), r.prefix):
        message = f"there is no step {quoted(id)} to refer to"
        r.error("unknown-step", message, _place(r, template, path, 1), r.did_you_mean(id, needs))


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
    if r.is_unread(".".join(map(str, path)), r.prefix):
        return
    missing = _missing(r, template, path, needs, variables)
    if missing and not _is_provided_for(r, template, path):
        message, help, at = missing
        r.warning("unknown-variable", message, _place(r, template, path, at), help)


_roots = ("env", "workflow")
_index = re.compile(r"-?[0-9]{1,9}\Z")
_own_names = {"matrix": "matrix", "item": "forEach", "index": "forEach"}


def _missing(
    r: Reading, template: Template, path: Path, needs: Needs, variables: Mapping[str, object]
) -> tuple[str, str | None, int] | None:
    """What is said of a path that leads nowhere, what to do about it, and the part that is pointed at."""
    root = path[0]
    if root in template.known:
        return _missing_part(r, path, [name[7:] for name in template.known if name.startswith("matrix.")])
    if root == "workflow":
        return _missing_part(r, path, WORKFLOW_PROPERTIES)
    at = 1 if root in VARIABLE_ROOTS and len(path) > 1 else 0
    name = path[at]
    if at == 0 and (name in WORKFLOW_NAMES or (name in _roots and len(path) > 1)):
        return None
    if name in variables:
        return None if variables[name] is None else _missing_inside(path, at, variables)
    near = r.suggestion(name, variables if at else (*variables, *needs, *template.known))
    help = f"did you mean {quoted(near)}?" if near else "declare it under `variables:`, or give it with `--var`"
    if not near and name in _own_names and at == 0:
        help = f"it stands for something in steps with `{_own_names[name]}:` alone"
    return f"there is no variable {quoted(name)}", help, at


def _missing_part(r: Reading, path: Path, known: Sequence[str]) -> tuple[str, str | None, int] | None:
    """`matrix.x` and `workflow.x`, whose parts are all known."""
    if path[0] not in ("matrix", "workflow") or len(path) < 2 or not known or path[1] in known:
        return None
    return f"`{path[0]}` has no {quoted(path[1])}", r.did_you_mean(path[1], known), 1


def _missing_inside(path: Path, at: int, variables: Mapping[str, object]) -> tuple[str, str | None, int] | None:
    """A way into a variable that it does not have."""
    indexed = tuple(int(part) if _index.match(part) else part for part in path)
    try:
        walk(cast("Mapping[str, Value]", variables), indexed, at)
    except Unresolved as problem:
        return problem.message, problem.help, at
    return None


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
            place = _place(r, template, ("steps", id.removeprefix(r.prefix)), 1)
            if step != one:
                message = f"step {quoted(step)} reads what {quoted(id)} brings, but does not wait for it"
                r.warning("not-upstream", message, place, f"add {quoted(id)} to `dependsOn`")
            elif not any(finding.code == "self-dependency" for finding in r.found):
                r.warning("not-upstream", f"step {quoted(step)} reads what it brings only itself", place)


def _place(r: Reading, template: Template, path: Path, at: int) -> Span:
    """The part of a path where it stands in the text, or the whole text where it is written in another way."""
    before = ".".join(path[:at])
    found = template.text.find(f"{before}.{path[at]}" if before else path[at])
    if found < 0 and isinstance(template.node, Scalar):
        found = template.text.find(path[at])
    return (
        inside_text(r, template.node, found + len(before) + bool(before), len(path[at]))
        if found >= 0
        else template.node.span
    )
