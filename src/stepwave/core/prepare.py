"""From a step to the exact command that is started: references filled in, environment laid out, log named.

Environment, each layer over the one before: the caller's < the workflow's `env` < the step's `env` < these:
`WORKFLOW_ID`, `WORKFLOW_RUN_ID`, `WORKFLOW_CURRENT_STEP_ID`, `WORKFLOW_VAR_<NAME>` for every variable and
`WORKFLOW_OUTPUT_<STEP>_<KEY>` for every direct need.

The machinery of expressions is imported where a text needs it: most texts refer to nothing.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import cast

from stepwave.core.events import Exited, Launch, Outcome, StepFinished, stdout_log
from stepwave.core.model import Dialect, Stdin, Step, Value
from stepwave.core.plan import Plan
from stepwave.core.scope import ExpressionError, Unresolved, Values, has_reference

ENV_VALUE_LIMIT = 32 * 1024  # characters; Linux refuses a single string of 128 KiB, and all of them beyond 2 MiB
_truncated = "… (truncated)"
_bare_facts = {"result", "success", "exitCode", "executionTime", "error"}
_exported = ("stdout", "stderr", "exitCode", "executionTime", "result")
_small_facts = {(name,) for name in (*_bare_facts, "stdoutPath")}


class CannotPrepare(Exception):  # noqa: N818 - a plain sentence about one step, not a fault of the program
    """The step cannot be started; the text is the reason, a lower-case sentence."""


class Preparation:
    """Everything a step may refer to, as far as the run has got.

    `environ` is the caller's environment, `run` the run's id, `run_folder` where its logs lie (absolute), `now` its
    start in seconds since the epoch. With `lenient` a reference that leads nowhere becomes empty text instead of
    failing the step. With `apart` every step's stdout is kept apart from its stderr, not only where it is referred to.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        environ: Mapping[str, str],
        run: str,
        run_folder: str,
        now: float,
        lenient: bool = False,
        apart: bool = False,
    ) -> None:
        self._plan = plan
        self._workflow = plan.workflow
        self._folder = plan.workflow.folder
        self._dollar = plan.workflow.dialect is not Dialect.CAMEL
        self._lenient = lenient
        self._apart = apart
        self._run_folder = run_folder
        self._oversize: set[str] = set()
        self._facts: dict[str, dict[str, Value]] = {}
        self._caller = dict(environ)
        self._about: dict[str, Value] = {
            "id": self._workflow.id,
            "name": self._workflow.name,
            "version": self._workflow.version,
            "runId": run,
            "startTime": round(now * 1000),
        }
        self._now = now
        self._fixed_env: dict[str, str | None] = {
            "WORKFLOW_ID": self._workflow.id,
            "WORKFLOW_RUN_ID": run,
            **variables_as_env(self._workflow.variables),
        }
        self._index = {id: n for n, id in enumerate(plan.steps)}
        self._exports: dict[str, dict[str, str]] = {}
        self._wanted = self._find_wanted()
        plain_env = not any(has_reference(v, self._dollar) for v in _texts(self._workflow.env))
        self._plain = {step.id for step in plan.steps.values() if plain_env and self._is_plain(step)}

    # --- what is known so far -----------------------------------------------------------------------

    def _find_wanted(self) -> dict[str, bool]:
        """Ids that some text refers to, and whether what they print is wanted: only that is kept in memory."""
        wanted: dict[str, bool] = {}
        for step in self._plan.steps.values():
            for path in self._paths(step):
                id, rest = (path[1], path[2:]) if path[0] == "steps" and len(path) > 1 else (path[0], path[1:])
                if id in self._plan.steps:
                    wanted[id] = wanted.get(id, False) or not rest or rest[0] not in _bare_facts
            if any("WORKFLOW_OUTPUT_" in text for text in _step_texts(step)):
                wanted.update(dict.fromkeys(step.needs, True))
        return wanted

    def _paths(self, step: Step) -> Iterable[tuple[str, ...]]:
        for text in (*_step_texts(step), *_texts(self._workflow.env)):
            if has_reference(text, self._dollar):
                from stepwave.core.interpolate import text_references

                yield from text_references(text, self._dollar, self._workflow.variables)
        if step.condition is not None:
            from stepwave.core.expressions import compile_expression

            yield from compile_expression(step.condition).references

    def learn(self, finished: StepFinished, end: Exited | None) -> None:
        """A step has ended. What it was and printed is remembered if something refers to it."""
        if finished.step not in self._wanted and not self._plan.dependents[finished.step]:
            return
        facts: dict[str, Value] = {
            "result": "success" if finished.outcome is Outcome.COMPLETED else finished.outcome.value,
            "success": finished.outcome is Outcome.COMPLETED,
            "exitCode": finished.exit_code,
            "executionTime": round(finished.duration_s * 1000),
            "error": finished.reason,
        }
        if end is not None and self._wanted.get(finished.step):
            if end.stdout is None or end.stderr is None:
                self._oversize.add(finished.step)
            else:
                stdout = end.stdout.rstrip("\n")
                facts |= {"stdout": stdout, "stderr": end.stderr.rstrip("\n"), "output": parsed(stdout)}
            facts["stdoutPath"] = f"{self._run_folder}/{stdout_log(self._log_of(finished))}"
        self._facts[finished.step] = facts
        if self._plan.dependents[finished.step]:
            self._exports[finished.step] = facts_as_env(finished.step, facts)

    def _log_of(self, finished: StepFinished) -> str:
        return log_name(self._index[finished.step], finished.step, finished.attempts)

    def _values(self, step: Step, failed: bool = False) -> Values:
        if self._oversize:
            self._refuse_oversize(step)
        return Values(
            variables=self._workflow.variables,
            env=self._scope_env,
            steps=self._facts,
            workflow={**self._about, "currentStepId": step.id},
            now=self._now,
            failed=failed,
        )

    def _refuse_oversize(self, step: Step) -> None:
        """A reference to output that was too large to keep must not silently become a part of it."""
        for path in self._paths(step):
            if path[0] == "steps" and path[1:2] and path[1] in self._oversize and path[2:3] not in _small_facts:
                raise CannotPrepare(
                    f"`{path[1]}` printed more than 64 KiB, too much to be filled in (read it from the file"
                    f" {{{{steps.{path[1]}.stdoutPath}}}} instead)"
                )

    @property
    def _scope_env(self) -> dict[str, str]:
        layered = {**self._caller, **self._workflow.env}
        return {name: value for name, value in layered.items() if value is not None}

    # --- conditions ---------------------------------------------------------------------------------

    def is_self_deciding(self, step: Step) -> bool:
        """True when the step's condition asks `success()`, `failure()` or `always()`."""
        if step.condition is None:
            return False
        from stepwave.core.expression_tree import uses_status
        from stepwave.core.expressions import compile_expression

        return uses_status(compile_expression(step.condition))

    def condition_holds(self, step: Step, *, failed: bool) -> bool:
        """Raises CannotPrepare when the condition refers to something that is not there, or compares what cannot be."""
        from stepwave.core.evaluate import evaluate
        from stepwave.core.expressions import compile_expression
        from stepwave.core.values import truth

        try:
            expression = compile_expression(step.condition or "true")
            return truth(evaluate(expression, self._values(step, failed), lenient=self._lenient))
        except (ExpressionError, Unresolved) as problem:
            raise CannotPrepare(_sentence(problem)) from None

    # --- commands -----------------------------------------------------------------------------------

    def launch(self, step: Step, attempt: int) -> tuple[Launch, dict[str, str | None]]:
        """The order to start, and the part of its environment that the file declares or the command names.

        Raises CannotPrepare when a reference leads nowhere.
        """
        try:
            return self._launch(step, attempt)
        except (ExpressionError, Unresolved) as problem:
            raise CannotPrepare(_sentence(problem)) from None

    def preview(self, step: Step) -> tuple[tuple[str, ...], str, dict[str, str | None]]:
        """Words, folder and declared environment of the first attempt; as they stand in the file where they hang on a
        step that has not run."""
        try:
            launch, declared = self._launch(step, 1)
            return launch.argv, launch.cwd, declared
        except (ExpressionError, Unresolved):
            argv = step.argv if step.script is None else (*step.argv, step.script)
            return argv, self._absolute(step.cwd), {**self._workflow.env, **step.env}

    def _launch(self, step: Step, attempt: int) -> tuple[Launch, dict[str, str | None]]:
        declared = {**self._workflow.env, **step.env}
        argv, cwd, stdin = step.argv, step.cwd, step.stdin
        if step.script is not None:
            argv = (*argv, step.script)
        if step.id not in self._plain:
            values = self._values(step)
            declared = self._filled_env(declared, values)
            cwd = self._fill(cwd, values)
            argv, refs = self._filled_command(step, values)
            declared |= refs
            if stdin is not None:
                stdin = Stdin(
                    text=None if stdin.text is None else self._fill(stdin.text, values),
                    path=None if stdin.path is None else self._fill(stdin.path, values),
                )
        if stdin is not None and stdin.path is not None:
            stdin = Stdin(path=self._absolute(stdin.path))
        for word in argv:
            if "\0" in word:
                raise ExpressionError("an argument holds a NUL byte, which no program can be given", 0)
        ours = self._runner_env(step)
        launch = Launch(
            step=step.id,
            attempt=attempt,
            argv=argv,
            cwd=self._absolute(cwd),
            env={**declared, **ours},
            stdin=stdin,
            limits=step.limits,
            log=log_name(self._index[step.id], step.id, attempt),
            keep_output=self._apart or self._wanted.get(step.id, False),
        )
        if any("WORKFLOW_" in word for word in argv):
            declared |= {name: value for name, value in ours.items() if any(name in word for word in argv)}
        return launch, declared

    def _is_plain(self, step: Step) -> bool:
        return not any(has_reference(text, self._dollar) for text in _step_texts(step))

    def _fill(self, text: str, values: Values) -> str:
        from stepwave.core.interpolate import fill

        return fill(text, values, dollar=self._dollar, lenient=self._lenient)

    def _filled_env(self, env: Mapping[str, str | None], values: Values) -> dict[str, str | None]:
        return {name: None if text is None else self._fill(text, values) for name, text in env.items()}

    def _filled_command(self, step: Step, values: Values) -> tuple[tuple[str, ...], dict[str, str | None]]:
        argv = tuple(self._fill(word, values) for word in step.argv)
        if step.script is None:
            return argv, {}
        from stepwave.core.interpolate import fill_shell

        script, refs = fill_shell(step.script, values, dollar=self._dollar, lenient=self._lenient)
        return (*argv, script), cast("dict[str, str | None]", refs)

    def _absolute(self, path: str) -> str:
        if path.startswith("/"):
            return path
        return self._folder if path in (".", "") else f"{self._folder}/{path}"

    def _runner_env(self, step: Step) -> dict[str, str | None]:
        env = {**self._fixed_env, "WORKFLOW_CURRENT_STEP_ID": step.id}
        for need in step.needs:
            env |= self._exports.get(need, {})
        return env


# --- pure pieces -----------------------------------------------------------------------------------------


def parsed(stdout: str) -> Value:
    """The one JSON value that the text is, else the text itself. `NaN`, numbers of thousands of digits: text."""
    head = stdout.lstrip()[:1]
    if head and head in '{["-0123456789tfn':
        try:
            return cast("Value", json.loads(stdout))
        except (ValueError, RecursionError):
            return stdout
    return stdout


def env_name(name: str) -> str:
    """`build-app.v2` as part of the name of an environment variable: `BUILD_APP_V2`."""
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def variables_as_env(variables: Mapping[str, Value]) -> dict[str, str | None]:
    """`{db: {host: x}}` as `WORKFLOW_VAR_DB_HOST=x`; lists as JSON; each value at most 32 KiB."""
    flat: dict[str, str | None] = {}
    todo: list[tuple[str, Value]] = [(env_name(name), value) for name, value in variables.items()]
    while todo:
        name, value = todo.pop(0)
        if isinstance(value, dict):
            todo += [(f"{name}_{env_name(key)}", inner) for key, inner in value.items()]
        elif value is not None:
            flat[f"WORKFLOW_VAR_{name}"] = shortened(_plain(value))
    return flat


def facts_as_env(id: str, facts: Mapping[str, Value]) -> dict[str, str]:
    """`WORKFLOW_OUTPUT_<STEP>_RESULT`, `_EXITCODE`, `_EXECUTIONTIME`, and `_STDOUT`, `_STDERR` where they are known."""
    begin = f"WORKFLOW_OUTPUT_{env_name(id)}_"
    return {begin + key.upper(): shortened(_plain(facts[key])) for key in _exported if facts.get(key) is not None}


def shortened(text: str) -> str:
    return text if len(text) <= ENV_VALUE_LIMIT else text[:ENV_VALUE_LIMIT] + _truncated


def log_name(index: int, id: str, attempt: int) -> str:
    """`logs/00007-build.log`, `logs/00007-build.2.log` for the second attempt.

    The number keeps ids apart that differ only in case; an id that is no file name is cut and cleaned.
    """
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", id)[:80]
    again = f".{attempt}" if attempt > 1 else ""
    return f"logs/{index + 1:05d}-{safe}{again}.log"


def _plain(value: Value) -> str:
    if isinstance(value, str):
        return value.replace("\0", "")
    return str(value) if type(value) is int else json.dumps(value, ensure_ascii=False)


def _texts(env: Mapping[str, str | None]) -> Iterable[str]:
    return (text for text in env.values() if text is not None)


def _step_texts(step: Step) -> Iterable[str]:
    yield from step.argv
    yield step.cwd
    if step.script is not None:
        yield step.script
    yield from _texts(step.env)
    if step.stdin is not None:
        yield step.stdin.text or ""
        yield step.stdin.path or ""


def _sentence(problem: Exception) -> str:
    help = getattr(problem, "help", None)
    return f"{problem} ({help})" if help else str(problem)
