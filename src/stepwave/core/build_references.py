"""Do the references in texts lead anywhere? Asked once every step and variable is known."""

from collections.abc import Container, Iterable, Mapping

from stepwave.core.cycles import Needs, not_upstream
from stepwave.core.document import Scalar, Span
from stepwave.core.fields import Path, Reading, Template, bad_expression, inside_text, quoted
from stepwave.core.scope import VARIABLE_ROOTS, WORKFLOW_NAMES, ExpressionError


def check_references(r: Reading, needs: Needs, variables: Mapping[str, object], *, sound: bool) -> None:
    """`needs` has every step; with `sound` it is free of cycles, and "upstream" means something."""
    readers: dict[tuple[str, str], Template] = {}
    for template in r.templates:
        for path in _paths(r, template):
            id = _step_of(path, needs, variables)
            if id is None:
                _check_name(r, template, path, needs, variables)
            elif id not in needs:
                message = f"there is no step {quoted(id)} to refer to"
                r.error("unknown-step", message, _place(template, path, 1), r.did_you_mean(id, needs))
            elif template.step:
                readers.setdefault((template.step, id), template)
    if sound:
        _check_order(r, readers, needs)


def _paths(r: Reading, template: Template) -> Iterable[Path]:
    if template.paths is not None:
        return template.paths
    from stepwave.core.interpolate import check_shell, check_text, text_references

    problems = (check_shell if template.shell else check_text)(template.text, r.dollar)
    for problem in problems:
        bad_expression(r, template.node, problem)
    return () if problems else sorted(text_references(template.text, r.dollar, r.scope.variables))


def _step_of(path: Path, needs: Container[str], variables: Container[str]) -> str | None:
    """The step that a path reads: `steps.x`, or `x.output` where no variable is called x."""
    if path[0] == "steps" and len(path) > 1:
        return path[1]
    return path[0] if len(path) > 1 and path[0] not in variables and path[0] in needs else None


def _check_name(r: Reading, template: Template, path: Path, needs: Needs, variables: Mapping[str, object]) -> None:
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
    from stepwave.core.expression_tree import references
    from stepwave.core.expressions import compile_expression
    from stepwave.core.interpolate import reference_spans

    for start, end in reference_spans(template.text, r.dollar, r.scope.variables):
        if template.text[start] == "{":
            try:
                expression = compile_expression(template.text[start + 2 : end - 2])
            except ExpressionError:
                return False
            if path in references(expression, guarded=False):
                return False
    return True


def _check_order(r: Reading, readers: Mapping[tuple[str, str], Template], needs: Needs) -> None:
    astray = not_upstream(needs, readers)
    for (step, id), template in readers.items():
        if (step, id) in astray:
            message = f"step {quoted(step)} reads what {quoted(id)} brings, but does not wait for it"
            place = _place(template, ("steps", id), 1)
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
