"""Steps that are carried out by an engine other than this machine's own processes: `--executor`.

What of a workflow an engine cannot do is said before anything runs; so is an engine that cannot be reached.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error
from stepwave.core.model import Step
from stepwave.core.plan import Plan
from stepwave.core.text import one_line
from stepwave.edge.executors.choose import EXAMPLES, LOCAL, is_executor
from stepwave.edge.executors.contract import Refused

if TYPE_CHECKING:
    from stepwave.core.masked import Masks
    from stepwave.edge.executors.contract import Engine
    from stepwave.edge.executors.placing import Placing
    from stepwave.engine import Inbox

__all__ = ["LOCAL", "Opened", "check", "open_executor", "place"]


class Opened(NamedTuple):
    """`plan` is as wide as the engine, where nobody has said how wide it is to be. With `findings` there is no engine.
    While it is entered the engine is open.
    """

    plan: Plan
    engine: "Engine | None" = None
    findings: tuple[Diagnostic, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.engine is not None:
            self.engine.close()


def check(text: str) -> list[Diagnostic]:
    """What is wrong with the name of an engine."""
    if is_executor(text):
        return []
    return [error("bad-option", f"`--executor {one_line(text, 60)}` is no engine", Place(COMMAND_LINE), EXAMPLES)]


def open_executor(text: str | None, plan: Plan, max_concurrency: int | None = None) -> Opened:
    """The engine of this name, for this plan; for None and `local` there is none. `max_concurrency` is what the command
    line says of it.
    """
    if text is None or text == LOCAL:
        return Opened(plan)
    if findings := (*check(text), *_unsuited(text, plan)):
        return Opened(plan, findings=findings)
    from stepwave.edge.executors.choose import open_engine

    said = (max_concurrency or plan.workflow.max_concurrency) if plan.workflow.parallel else 1
    try:
        engine = open_engine(text, said)
    except Refused as refused:
        finding = error("executor-unavailable", str(refused), Place(COMMAND_LINE), refused.help or None)
        return Opened(plan, findings=(finding,))
    if findings := tuple(_beyond(engine, plan)):
        engine.close()
        return Opened(plan, findings=findings)
    usual = engine.slots * (1 + engine.ahead) if engine.slots else plan.max_concurrency
    return Opened(plan._replace(max_concurrency=said or usual), engine)


def _unsuited(text: str, plan: Plan) -> Iterator[Diagnostic]:
    """What is measured is this machine, and the steps are not there."""
    workflow = plan.workflow
    measured = {
        "an adaptive width": workflow.adaptive,
        "memory that is to stay free": workflow.min_free_bytes is not None,
    }
    for what, is_asked in measured.items():
        if is_asked:
            sentence = f"{what} is about this machine, and `--executor {one_line(text, 60)}` runs steps elsewhere"
            yield error("not-with-executor", sentence, workflow.place, "leave it out, or run with `--executor local`")


def _beyond(engine: "Engine", plan: Plan) -> Iterator[Diagnostic]:
    """What no worker could ever do: steps that would wait for ever."""
    for step in plan.steps.values():
        if step.idle_s and not engine.hears_silence:
            sentence = f"step `{step.id}` has a limit for silence, of which {engine.name} does not tell"
            yield error("not-with-executor", sentence, step.place, "give it a `timeout` instead")
        yield from _too_much(engine.name, engine.pools, step)


def _too_much(name: str, pools: Mapping[str, int], step: Step) -> Iterator[Diagnostic]:
    for pool, units in step.resources:
        if units > pools.get(pool, units):
            sentence = (
                f"step `{step.id}` needs {units} of `{pool}`, and no worker of {name} has more than {pools[pool]}"
            )
            yield error("not-with-executor", sentence, step.place, "start a worker that has more of it")


def place(
    engine: "Engine", inbox: "Inbox", folder: Path, masks: "Masks | None", environ: Mapping[str, str]
) -> "Placing":
    """The launcher for its steps, which run below supervisors wherever they do."""
    from stepwave.core.tracing import VARIABLE, trace_of
    from stepwave.edge.executors.contract import Work
    from stepwave.edge.executors.placing import Placing
    from stepwave.edge.local import afar

    trace = trace_of(folder.name, environ.get(VARIABLE))
    work = Work(afar.carry_out, afar.stop, afar.freeze, afar.end)
    return Placing(engine, work, inbox, folder, environ, masks.forms if masks else (), trace)
