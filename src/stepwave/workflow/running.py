"""From a workflow and its functions to what they have brought: the path of `stepwave.api`, with functions as steps."""

import signal
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

from stepwave import api
from stepwave.core import model
from stepwave.core.events import Outcome, Status
from stepwave.core.plan import Plan
from stepwave.core.running.facts import Facts
from stepwave.core.summary import Summary
from stepwave.core.text import plural
from stepwave.edge.callables import Call, Calls
from stepwave.workflow.brought import Brought
from stepwave.workflow.functions import Task, arguments, parameter_of


class WorkflowFailed(Exception):  # noqa: N818 - says what happened
    """A run did not succeed. `result` has all of it; the cause is what a function raised, a group if several did."""

    def __init__(self, sentence: str, result: "WorkflowResult") -> None:
        super().__init__(sentence)
        self.result = result


class WorkflowResult(NamedTuple):
    """What became of a run.

    `results` holds what each completed step brought, by its id, in the order of the steps: what a function returned,
    what a command printed to stdout (the value, where that is JSON, else text without the newline at its end; its path,
    where it is more than 1 MiB). `errors` holds what functions raised, with tracebacks, by the id of the failed step.
    """

    summary: Summary
    results: Mapping[str, Any]
    errors: Mapping[str, BaseException]

    @property
    def success(self) -> bool:
        return self.summary.success

    @property
    def exit_code(self) -> int:
        """That of `stepwave run`: 0, 1 after a failure, 124 after a timeout of the whole."""
        return self.summary.exit_code

    def check(self) -> Self:
        """Itself. Raises WorkflowFailed when the run did not succeed."""
        if self.success:
            return self
        summary = self.summary
        sentence = f"{summary.name}: {summary.reason or summary.status.value} (its logs are in {summary.folder})"
        raise WorkflowFailed(sentence, self) from _together(list(self.errors.values()))


def _together(errors: list[BaseException]) -> BaseException | None:
    if len(errors) > 1:
        return BaseExceptionGroup("several steps have failed", errors)
    return errors[0] if errors else None


def run_graph(
    workflow: model.Workflow,
    tasks: Mapping[str, Task],
    *,
    max_concurrency: int | None = None,
    environ: Mapping[str, str] | None = None,
    courtesy: Sequence[api.Factory] = (),
    required: Sequence[api.Factory] = (),
    record: bool = True,
    durable: bool = False,
) -> WorkflowResult:
    """Run a workflow of which some steps are functions, `tasks` by id. The rest is as `stepwave.api.run` has it."""
    plan = api.plan(workflow, max_concurrency=max_concurrency)
    brought = Brought()
    told = _told(plan, tasks)
    calls = {
        id: Call(partial(_call, task, _wanted(task, plan.steps[id].needs), brought), id in told)
        for id, task in tasks.items()
    }
    if record:
        required = (api.ledger(durable=durable), *required)
    has_commands = any(id not in tasks for id in plan.steps)
    summary = api.run_plan(
        plan,
        apart=has_commands,
        environ=environ,
        courtesy=courtesy,
        required=(brought.listen, *required),
        zygote=api.start_early(environ) if has_commands else None,
        calls=Calls(calls, brought.learn),
    )
    pass_on(summary)
    return WorkflowResult(summary, brought.of(list(plan.steps)), brought.errors)


def _call(task: Task, wanted: Sequence[str], brought: Brought) -> object:
    return task.function(**arguments(task, brought.of(wanted)))


def _wanted(task: Task, needs: Sequence[str]) -> list[str]:
    return [need for need in needs if parameter_of(need, task.takes) is not None]


def _told(plan: Plan, tasks: Mapping[str, Task]) -> frozenset[str]:
    """The functions whose results the texts of other steps refer to."""
    facts = Facts(plan, "")
    return frozenset(id for id in tasks if facts.keeps_output(plan.steps[id]))


def pass_on(summary: Summary) -> None:
    """A signal that ended the run, or came too late for that, was meant for the program: it gets it now that everything
    is in order.

    Raises KeyboardInterrupt for Ctrl-C, unless the program has a handler of its own.
    """
    number = summary.exit_code - 128 if summary.status is Status.CANCELLED else summary.last_signal
    if number is None:
        return
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt as stop:
        ended = plural(summary.count(Outcome.COMPLETED), "step")
        stop.add_note(f"{summary.name}: {ended} of {len(summary.steps)} had completed; logs in {summary.folder}")
        raise
