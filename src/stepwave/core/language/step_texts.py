"""The texts of a step that may hold references, and what those refer to."""

from collections.abc import Iterable, Iterator, Mapping

from stepwave.core.language.scope import has_reference
from stepwave.core.model import Dialect, Step, Value, Workflow


def texts_of(step: Step) -> Iterator[str]:
    """Everything that is filled in before the step, one of its tests or its compensation is started."""
    yield from step.argv
    yield step.cwd
    if step.script is not None:
        yield step.script
    if step.env:
        yield from texts(step.env)
    if step.stdin is not None:
        yield step.stdin.text or ""
        yield step.stdin.path or ""
    if step.for_each is not None:
        yield step.for_each
    if step.agent is not None:
        yield from (step.agent.prompt or "", *step.agent.tasks, *texts_in(step.agent.parameters))
    if step.function is not None:
        yield from texts_in(step.function.params)
    for test in step.tests:
        yield test.script
    yield from step.inputs or ()
    yield from step.outputs
    if step.undo is not None:
        yield from texts_of(step.undo)


def texts(env: Mapping[str, str | None]) -> Iterator[str]:
    return (text for text in env.values() if text is not None)


def unescaped(env: Mapping[str, str | None], dollar: bool) -> Mapping[str, str | None]:
    """With the texts that refer to nothing as they will be, those of `dotenv` among them; any other as it stands."""
    from stepwave.core.language.interpolate import fill, reference_spans
    from stepwave.core.language.scope import Values

    known = dict(env)
    for name, text in env.items():
        if text and has_reference(text, dollar) and not reference_spans(text, dollar):
            known[name] = fill(text, Values(), dollar=dollar)
    return known


def texts_in(value: Value | Mapping[str, Value]) -> Iterator[str]:
    """Every text inside a value; the values of an object, not its keys."""
    waiting: list[Value | Mapping[str, Value]] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def is_plain(step: Step) -> bool:
    """Nothing has to be filled in."""
    return (
        step.agent is None
        and step.function is None
        and not any(has_reference(text, step.dollar) for text in texts_of(step))
    )


def paths_of(step: Step, workflow: Workflow) -> Iterable[tuple[str, ...]]:
    """Every path that a text, the condition or the rule of the step reads: ("steps", "build", "output")."""
    yield from _paths(texts_of(step), step.dollar, workflow)
    yield from _paths(texts(workflow.env), workflow.dialect is not Dialect.CAMEL, workflow)
    if step.condition is not None:
        from stepwave.core.language.expressions import compile_expression

        yield from compile_expression(step.condition).references
    if step.branch is not None:
        from stepwave.core.language.rules import references

        yield from references(step.branch.rule, step.dollar, workflow.variables)


def _paths(texts: Iterable[str], dollar: bool, workflow: Workflow) -> Iterable[tuple[str, ...]]:
    for text in texts:
        if has_reference(text, dollar):
            from stepwave.core.language.interpolate import text_references

            yield from text_references(text, dollar, workflow.variables)
