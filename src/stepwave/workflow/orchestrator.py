"""Functions in a graph, with a dictionary as the answer: `BaseWorkflowOrchestrator` and its steps.

The engine is that of every other run. What is particular here is the shape of questions and answers, and that a failed
step skips only what needs it.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from stepwave.core import model
from stepwave.core.building.cycles import find_cycle, in_order
from stepwave.core.diagnostics import Place, did_you_mean
from stepwave.core.events import Entry, Outcome, StepFinished, StepStarted
from stepwave.core.model import FailurePolicy, Step
from stepwave.core.plan import Plan
from stepwave.core.summary import StepResult
from stepwave.core.text import one_line, words_of
from stepwave.workflow.functions import Function, label, names, resolve, task
from stepwave.workflow.running import WorkflowResult, run_graph

_keys = ("function", "params", "config", "depends_on")
_statuses = {Outcome.COMPLETED: "completed", Outcome.SKIPPED: "skipped", Outcome.CANCELLED: "skipped"}


@dataclass
class WorkflowStep:
    """A step with its function, and how it went.

    `status`: `pending`, `running`, `completed`, `failed` or `skipped`. `error` is what it said when it failed.
    `start_time` and `end_time` are seconds of `time.monotonic()`.
    """

    name: str
    function: Function
    config: dict[str, Any] = field(default_factory=dict)
    depends_on: list[str] = field(default_factory=list)
    status: str = "pending"
    result: Any = None
    error: str | None = None
    start_time: float | None = None
    end_time: float | None = None

    def execute(self, **arguments: Any) -> Any:
        """Call the function with its config and these arguments, which go before. Raises what the function raises."""
        self.status, self.start_time, self.end_time = "running", time.monotonic(), None
        try:
            self.result = self.function(**{**self.config, **arguments})
        except BaseException as problem:
            self.status, self.error = "failed", words_of(problem)
            raise
        else:
            self.status, self.error = "completed", None
        finally:
            self.end_time = time.monotonic()
        return self.result

    def duration(self) -> float:
        """Seconds that it took; 0.0 before it has ended."""
        if self.start_time is None or self.end_time is None:
            return 0.0
        return self.end_time - self.start_time

    def reset(self) -> None:
        """As if it had never run."""
        self.status, self.result, self.error = "pending", None, None
        self.start_time = self.end_time = None


class BaseWorkflowOrchestrator:
    """Steps that are functions, run side by side as soon as what they depend on has completed.

    `config["steps"]` may hold further steps, by name or as a list: `{"function": "module.path:name", "params": {…},
    "depends_on": […]}`. A step that was added by `add_step` goes before one of the same name. `config["max_workers"]`:
    how many steps at a time (None: the CPUs of this machine, at least 4). `config["stop_on_failure"]`: after a failure
    nothing new starts. Everything else in `config` is yours.

    `working_dir`: where the record and the logs of runs are kept, in `.stepwave`. Nothing changes the folder that this
    process is in.
    """

    def __init__(self, config: Mapping[str, Any] | None = None, working_dir: str | Path | None = None) -> None:
        if not isinstance(config, Mapping | None):
            raise TypeError(f"config must be a mapping, not {type(config).__name__}")
        self.config: Mapping[str, Any] = {} if config is None else config
        self.working_dir = Path("output") if working_dir is None else Path(working_dir)
        self.steps: dict[str, WorkflowStep] = {}

    def add_step(
        self,
        name: str,
        function: Callable[..., Any] | str,
        config: Mapping[str, Any] | None = None,
        depends_on: str | Iterable[str] | None = None,
    ) -> Self:
        """Add a step; `config` are keyword arguments of its function, or of the one that `module.path:name` names.

        It also gets what the steps that it depends on have returned, by parameters of their names, where it has them
        (`**kwargs` takes all of it). One of the same name is replaced. Raises ValueError, ImportError or AttributeError
        for a name that leads nowhere, TypeError for what is no name and no function.
        """
        if not isinstance(name, str):
            raise TypeError(f"the name of a step must be text, not {type(name).__name__}")
        found = self._resolve_function(function) if isinstance(function, str) else function
        if not callable(found):
            raise TypeError(f"the function of step {name!r} is of type {type(found).__name__} and cannot be called")
        needs = () if depends_on is None else names(depends_on, f"the dependencies of step {name!r}")
        self.steps[name] = WorkflowStep(name, found, dict(config or {}), list(needs))
        return self

    def run_workflow(self, *, record: bool = True) -> dict[str, Any]:
        """Run all steps, as if for the first time, and tell how it went.

        `success`; `results`, what completed steps returned, by name; `errors`, a sentence for each step that failed or
        was skipped, and for everything that kept the run from starting; `execution_order`, the names of all steps, each
        after what it depends on and else as they were added; `total_duration`, seconds. With an unknown dependency, a
        cycle or steps in `config` that cannot be, nothing runs.

        `record`: the run is kept in the ledger. Raises OSError where there is no place for that, and KeyboardInterrupt
        for Ctrl-C, when everything has been stopped.
        """
        began = time.monotonic()
        errors = self._prepare()
        if errors:
            return _answer(began, errors)
        steps = dict(self.steps)  # what a step adds belongs to the next run
        for step in steps.values():
            step.reset()
        done = self._run(steps, record)
        order = in_order(_needs(steps))
        ended = {step.id: step for step in done.summary.steps}
        return _answer(
            began,
            [sentence for name in order if (sentence := _sentence(ended[name], done))],
            success=done.success,
            results={name: done.results[name] for name in order if name in done.results},
            order=order,
        )

    def get_step_status(self) -> dict[str, str]:
        """The status of every step, by name; while a run goes on, too."""
        return {name: step.status for name, step in self.steps.items()}

    @staticmethod
    def _resolve_function(target: str) -> Function:
        return resolve(target)

    # --- before ---------------------------------------------------------------------------------------

    def _prepare(self) -> list[str]:
        """The steps of `config` are added. What is wrong, in sentences."""
        try:
            for name, given in _given_steps(self.config.get("steps")):
                if name not in self.steps:
                    self.add_step(name, *_fields(name, given))
        except Exception as problem:  # a module may raise anything when it is imported
            return [f"Failed to load steps from config: {one_line(str(problem), 500)}"]
        width = self.config.get("max_workers")
        if width is not None and (isinstance(width, bool) or not isinstance(width, int) or width < 1):
            return [f"max_workers must be a whole number from 1, not {one_line(repr(width))}"]
        return self._faults()

    def _faults(self) -> list[str]:
        unknown = [
            f"Step {step.name!r} depends on unknown step {need!r}{_hint(need, self.steps)}"
            for step in self.steps.values()
            for need in step.depends_on
            if need not in self.steps
        ]
        cycle = None if unknown else find_cycle(_needs(self.steps))
        return [f"Cycle detected among steps: {' -> '.join((*cycle, cycle[0]))}"] if cycle else unknown

    # --- the run --------------------------------------------------------------------------------------

    def _run(self, steps: Mapping[str, WorkflowStep], record: bool) -> WorkflowResult:
        place = Place(type(self).__name__)
        policy = FailurePolicy.ABORT if self.config.get("stop_on_failure") else FailurePolicy.SKIP_DEPENDENTS
        graph = tuple(
            Step(name, place, needs=needs, argv=(label(steps[name].function).replace("{{", "\\{{"),))
            for name, needs in _needs(steps).items()
        )
        name = str(self.config.get("name") or place.path)
        workflow = model.Workflow(
            place.path, place, graph, name=name, folder=str(self.working_dir.resolve()), on_failure=policy
        )
        tasks = {step.name: task(step.function, step.config) for step in steps.values()}
        progress = _Progress(steps)
        done = run_graph(
            workflow,
            tasks,
            max_concurrency=self.config.get("max_workers"),
            required=(progress.listen,),
            record=record,
        )
        for name, step in steps.items():
            step.result = done.results.get(name)
            step.error = words_of(done.errors[name]) if name in done.errors else None
        return done


class _Progress:
    """Keeps the status of the steps up to date."""

    refresh_s: float | None = None

    def __init__(self, steps: Mapping[str, WorkflowStep]) -> None:
        self._steps = steps

    def listen(self, plan: Plan, folder: Path) -> Self:
        return self

    def see(self, entry: Entry) -> None:
        event = entry.event
        if isinstance(event, StepStarted):
            step = self._steps[event.step]
            step.status, step.start_time = "running", time.monotonic()
        elif isinstance(event, StepFinished):
            step = self._steps[event.step]
            step.status = _statuses.get(event.outcome, "failed")
            if event.attempts:
                step.end_time = time.monotonic()

    def refresh(self) -> None:
        """Nothing to draw."""

    def pause(self) -> None:
        """Nothing on a terminal."""

    def close(self) -> None:
        """Nothing to put away."""


# --- questions and answers -------------------------------------------------------------------------------------------


def _needs(steps: Mapping[str, WorkflowStep]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(dict.fromkeys(step.depends_on)) for name, step in steps.items()}


def _sentence(step: StepResult, done: WorkflowResult) -> str | None:
    if step.outcome is Outcome.COMPLETED:
        return None
    if step.outcome is Outcome.SKIPPED:
        failed = (step.reason or "").removeprefix("Dependencies failed: ")
        because = "previous failure" if failed == step.reason else f"failed dependency: {failed}"
        return f"Step {step.id!r} skipped due to {because}"
    error = done.errors.get(step.id)
    said = step.reason or step.outcome.value if error is None else words_of(error) or type(error).__name__
    return f"Step {step.id!r} failed: {said}"


def _answer(
    began: float,
    errors: list[str],
    *,
    success: bool = False,
    results: dict[str, Any] | None = None,
    order: list[str] | None = None,
) -> dict[str, Any]:
    return {
        "success": success,
        "results": results or {},
        "errors": errors,
        "execution_order": order or [],
        "total_duration": time.monotonic() - began,
    }


def _given_steps(given: object) -> list[tuple[str, Mapping[str, Any]]]:
    """The steps of a config, by name. Raises ValueError for what is none."""
    if not given:
        return []
    if isinstance(given, Mapping):
        steps = list(given.items())
    elif isinstance(given, list | tuple):
        steps = [_named(one) for one in given]
    else:
        raise ValueError(f"`steps` is of type {type(given).__name__}: neither a mapping nor a list")
    seen = set[str]()
    for name, step in steps:
        if not isinstance(name, str) or not isinstance(step, Mapping):
            raise ValueError(f"step {name!r} must be a mapping, and its name a text")
        if name in seen:
            raise ValueError(f"Duplicate step ID: {name}")
        seen.add(name)
    return steps


def _named(given: object) -> tuple[Any, Any]:
    """A step of a list, which has its name in itself."""
    if not isinstance(given, Mapping):
        return given, given
    rest = dict(given)
    id, name = rest.pop("id", None), rest.pop("name", None)
    return (name if id is None else id), rest


def _fields(name: str, given: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Any]:
    """Function, keyword arguments and dependencies. Raises ValueError for a key that means nothing."""
    for key in given:
        if key not in _keys:
            raise ValueError(f"step {name!r} has no key {key!r}{_hint(str(key), _keys)}")
    target = given.get("function")
    if not isinstance(target, str):
        raise ValueError(f"step {name!r} has no function: write 'module.path:function_name'")
    params = {**(given.get("config") or {}), **(given.get("params") or {})}
    return target, params, given.get("depends_on")


def _hint(word: str, known: Iterable[str]) -> str:
    near = did_you_mean(word, known)
    return f" ({near})" if near else ""
