"""A workflow put together in Python: steps that are functions, and steps that are commands."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from stepwave import api
from stepwave.core import model
from stepwave.core.building.commands import SH_STRICT
from stepwave.core.diagnostics import Place, did_you_mean
from stepwave.core.model import Backoff, FailurePolicy, Retry, Step
from stepwave.core.plan import Plan
from stepwave.core.reading.units import MAX_DURATION_S
from stepwave.core.text import one_line
from stepwave.workflow.functions import Task, is_target, label, names, parameter_of, resolve, task
from stepwave.workflow.running import WorkflowResult, run_graph

Text = str | os.PathLike[str]
Env = Mapping[str, str | None]

_id = re.compile(r"[A-Za-z0-9_.-]{1,200}")


class Workflow:
    """A graph of steps, which `run` runs. Everything that is wrong with a step is raised where it is added.

    `folder`: where commands run, and where `.stepwave` with the logs is made. `resources` are pools, units by name.
    `env` is for the commands: laid over the environment of this process, None takes a name away. `timeout`: seconds for
    the whole. `on_failure`: what a failed step means for the others: `abort` (nothing new starts), `skip_dependents`
    (the steps that do not need it go on) or `continue` (all do).
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Text = ".",
        resources: Mapping[str, int] | None = None,
        env: Env | None = None,
        timeout: float | None = None,
        on_failure: str = "abort",
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise ValueError("a workflow needs a name")
        self.name = name
        self._folder = os.fspath(folder)
        self._pools = dict(resources or {})
        for pool, units in self._pools.items():
            _whole(units, f"the units of resource {pool!r}", 1)
        self._env = _checked_env(env)
        self._timeout_s = None if timeout is None else _seconds(timeout, "timeout", above_zero=True)
        self._on_failure = FailurePolicy(_one_of(on_failure, "on_failure", FailurePolicy))
        self._steps: dict[str, Step] = {}
        self._tasks: dict[str, Task] = {}

    def step(  # noqa: PLR0913 - a step has as many parameters as keys in a file
        self,
        id: str,
        work: Callable[..., Any] | str | Sequence[Text] | None = None,
        *,
        shell: str | None = None,
        needs: str | Iterable[str] = (),
        params: Mapping[str, Any] | None = None,
        resource: str | Iterable[str] | Mapping[str, int] | None = None,
        timeout: float | None = None,
        retries: int = 0,
        retry_delay: float = 0.0,
        backoff: str = "fixed",
        env: Env | None = None,
        cwd: Text | None = None,
        condition: str | None = None,
        continue_on_error: bool = False,
        exclusive: bool = False,
        priority: int = 0,
        name: str = "",
    ) -> Self:
        """Add a step, and give back the workflow. Exactly one of `work` and `shell` says what it does.

        `work` is a function (a coroutine is awaited), its name `module.path:name`, or the words of a command; `shell`
        is text for /bin/sh. The words and the text may hold references, as in a file: `{{steps.fetch.output}}`.

        `needs`: ids of steps that must have completed; they may be added later. A function gets what they have brought
        by parameters of their names, where it has them (`**kwargs` takes all of it), besides its `params`.
        `resource`: the pools that it takes a unit of, or units by name. `timeout`: seconds for each attempt. `retries`:
        further attempts after a failure, `retry_delay` seconds apart, `backoff`: `fixed`, `linear`, `exponential`.
        `env` and `cwd` are for commands. `condition`: an expression; where it is false the step is skipped.
        `continue_on_error`: what needs it goes on without it. `exclusive`: nothing else runs beside it. `priority`:
        lower goes first. `name`: for people.

        Raises ValueError or TypeError for what cannot be, ImportError or AttributeError for a name that leads nowhere.
        """
        self._check_id(id)
        step = Step(
            id=id,
            place=Place(self.name),
            name=_text(name, "name"),
            needs=names(needs, "needs"),
            timeout_s=None if timeout is None else _seconds(timeout, "timeout", above_zero=True),
            retry=_retry(retries, retry_delay, backoff),
            resources=self._units(resource),
            condition=None if condition is None else _condition(_text(condition, "condition")),
            continue_on_error=continue_on_error,
            exclusive=exclusive,
            priority=_whole(priority, "priority"),
        )
        if (work is None) == (shell is None):
            raise TypeError(f"step {id!r}: either `work` or `shell` says what it does")
        if callable(work) or isinstance(work, str):
            self._add_function(step, _function(id, work), params, env, cwd)
        elif params is not None:
            raise TypeError(f"step {id!r}: a command takes no params")
        else:
            self._add_command(step, work, shell, env, cwd)
        return self

    def plan(self, *, max_concurrency: int | None = None) -> Plan:
        """Waves and longest paths. Raises ValueError for a step that needs one that is not there, and for a cycle."""
        return api.plan(self._workflow(), max_concurrency=max_concurrency)

    def run(
        self,
        *,
        max_concurrency: int | None = None,
        environ: Mapping[str, str] | None = None,
        courtesy: Sequence[api.Factory] = (),
        required: Sequence[api.Factory] = (),
        record: bool = True,
        durable: bool = False,
    ) -> WorkflowResult:
        """Run it to its end, whatever becomes of its steps; `result.check()` raises when one has failed.

        `max_concurrency`: how many steps at a time; None: as many as there are CPUs, at least 4. `environ` is what the
        commands start from, in place of the environment of this process. Listeners and `record` are those of
        `stepwave.run`.

        A function runs in a thread of this process, which nobody can kill: when its time is up the step has ended, and
        the thread is left to itself. A coroutine is cancelled. Raises ValueError as `plan` does, OSError where there is
        no place for logs, and KeyboardInterrupt for Ctrl-C, when everything has been stopped.
        """
        return run_graph(
            self._workflow(),
            self._tasks,
            max_concurrency=max_concurrency,
            environ=environ,
            courtesy=courtesy,
            required=required,
            record=record,
            durable=durable,
        )

    # --- steps --------------------------------------------------------------------------------------

    def _workflow(self) -> model.Workflow:
        return model.Workflow(
            id=self.name,
            place=Place(self.name),
            name=self.name,
            steps=tuple(self._steps.values()),
            folder=str(Path(self._folder).resolve()),
            timeout_s=self._timeout_s,
            pools=self._pools,
            on_failure=self._on_failure,
        )

    def _add_function(
        self, step: Step, function: Callable[..., Any], params: Mapping[str, Any] | None, env: Env | None, cwd: object
    ) -> None:
        if env is not None or cwd is not None:
            raise TypeError(f"step {step.id!r}: a function runs in this process, and has no env or cwd of its own")
        if not isinstance(params, Mapping | None):
            raise TypeError(f"params are a mapping, not {type(params).__name__}")
        called = task(function, params)
        for need in step.needs:
            if (taken := parameter_of(need, called.takes)) in called.params:
                raise ValueError(f"step {step.id!r}: {taken!r} is a parameter, and a step that it needs")
        self._tasks[step.id] = called
        self._steps[step.id] = step._replace(argv=(_as_text(label(function)),))

    def _add_command(
        self, step: Step, words: Sequence[Text] | None, shell: str | None, env: Env | None, cwd: Text | None
    ) -> None:
        argv: tuple[str, ...] = SH_STRICT if words is None else _words(step.id, words)
        if not argv or not argv[0]:
            raise ValueError(f"step {step.id!r}: the command names no program")
        if shell is not None and not _text(shell, "shell").strip():
            raise ValueError(f"step {step.id!r}: the text for the shell is empty")
        self._steps[step.id] = step._replace(
            argv=argv,
            script=shell,
            env={**self._env, **_checked_env(env)},
            cwd="." if cwd is None else os.fspath(cwd),
        )

    def _check_id(self, id: str) -> None:
        if not isinstance(id, str) or not _id.fullmatch(id):
            message = f"a step id has letters, digits, `_`, `.` and `-`, at most 200 of them: not {id!r:.200}"
            raise ValueError(one_line(message))
        if id in self._steps:
            raise ValueError(f"Duplicate step ID: {id}")

    def _units(self, resource: str | Iterable[str] | Mapping[str, int] | None) -> tuple[tuple[str, int], ...]:
        if resource is None:
            return ()
        wanted = dict(resource) if isinstance(resource, Mapping) else dict.fromkeys(names(resource, "resource"), 1)
        for pool, units in wanted.items():
            if pool not in self._pools:
                near = did_you_mean(pool, self._pools) or "name it in the resources of the workflow"
                raise ValueError(f"there is no resource {pool!r} ({near})")
            _whole(units, f"the units of resource {pool!r}", 1, self._pools[pool])
        return tuple(wanted.items())


# --- what is given ---------------------------------------------------------------------------------------------------


def _function(id: str, work: Callable[..., Any] | str) -> Callable[..., Any]:
    if not isinstance(work, str):
        return work
    if not is_target(work):
        help = "the words of a command are a list, and text for the shell is `shell`"
        raise ValueError(f"step {id!r}: {one_line(repr(work), 80)} is not of the form 'module.path:name' ({help})")
    return resolve(work)


def _as_text(word: str) -> str:
    """The word as a template that says just this."""
    return word.replace("{{", "\\{{")


def _words(id: str, given: object) -> tuple[str, ...]:
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise TypeError(f"step {id!r}: the words of a command are a list, not {type(given).__name__}")
    return tuple(_word(id, word) for word in given)


def _word(id: str, given: object) -> str:
    word = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(word, str):
        raise TypeError(f"step {id!r}: the words of a command are texts and paths, not {type(word).__name__}")
    return word


def _text(value: str, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be text, not {type(value).__name__}")
    return value


def _seconds(value: float, what: str, *, above_zero: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} is a number of seconds, not {type(value).__name__}")
    if not 0 <= value <= MAX_DURATION_S or (above_zero and value == 0):
        least = "more than" if above_zero else "at least"
        raise ValueError(f"{what} must be {least} 0 seconds, and at most a year: not {value}")
    return float(value)


def _checked_env(env: Env | None) -> dict[str, str | None]:
    if not isinstance(env, Mapping | None):
        raise TypeError(f"env is a mapping, not {type(env).__name__}")
    for name, text in (env or {}).items():
        if not isinstance(name, str) or not isinstance(text, str | None):
            raise TypeError(f"env has texts, and None for what is taken away: not {type(text).__name__} ({name!r})")
    return dict(env or {})


def _whole(value: int, what: str, least: int | None = None, most: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} must be a whole number, not {type(value).__name__}")
    if least is not None and value < least:
        raise ValueError(f"{what} must be at least {least}, not {value}")
    if most is not None and value > most:
        raise ValueError(f"{what} are {most} at most, not {value}")
    return value


def _one_of(value: str, what: str, kinds: type[FailurePolicy] | type[Backoff]) -> str:
    known = [kind.value for kind in kinds]
    if value not in known:
        raise ValueError(f"{what} is one of {', '.join(known)}: not {value!r}")
    return value


def _retry(retries: int, delay: float, backoff: str) -> Retry:
    attempts = 1 + _whole(retries, "retries", 0)
    delay_s = _seconds(delay, "retry_delay")
    kind = Backoff(_one_of(backoff, "backoff", Backoff))
    return Retry(attempts, delay_s, kind, max_delay_s=max(delay_s, Retry().max_delay_s))


def _condition(text: str) -> str:
    from stepwave.core.language.expressions import compile_expression
    from stepwave.core.language.scope import ExpressionError

    try:
        compile_expression(text)
    except ExpressionError as problem:
        raise ValueError(f"the condition {one_line(text)!r}: {problem}") from None
    return text
