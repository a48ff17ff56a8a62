"""From a step to the order that starts it: references filled in, environment and paths worked out.

Also the place that knows what a condition may ask about, because it keeps what earlier steps brought (`Facts`).
A step without references never imports the expression machinery: most workflows need nothing.
"""

import json
from collections.abc import Callable, Mapping
from typing import cast

from stepwave.core.building.commands import SH
from stepwave.core.events import Exited, Launch, StepDecided, StepFinished
from stepwave.core.language.scope import ExpressionError, Files, Unresolved, Values, has_reference
from stepwave.core.language.step_texts import is_plain, paths_of, texts, unescaped
from stepwave.core.model import Dialect, Stage, Stdin, Step, Value, nothing
from stepwave.core.plan import Plan
from stepwave.core.running.exports import shortened, variables_as_env
from stepwave.core.running.facts import Facts
from stepwave.core.running.judge import wants_tail
from stepwave.core.running.memory import Prior

MAX_ITEMS = 10_000

Env = dict[str, str | None]


class CannotPrepare(Exception):  # noqa: N818 - a plain sentence about one step, not a fault of the program
    """The step cannot be started; the text is the reason, a lower-case sentence."""


class Preparation:
    """Everything a step may refer to, as far as the run has got.

    `environ` is the caller's environment, `run` the run's id, `run_folder` where its logs lie (absolute), `now` its
    start in seconds since the epoch. With `lenient` a reference that leads nowhere becomes empty text instead of
    failing the step. With `apart` every step's stdout is kept apart from its stderr, not only where it is referred to.
    `files` makes what `readFile()` and its like may read, once there is something to fill in; None: they are refused.
    `secrets` are the values of those of the workflow, by name.
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
        files: Callable[[], Files] | None = None,
        secrets: Mapping[str, str] = nothing,
    ) -> None:
        self._secrets = secrets
        self._workflow = plan.workflow
        self._folder = plan.workflow.folder
        self._dollar = plan.workflow.dialect is not Dialect.CAMEL
        self._lenient = lenient
        self._apart = apart
        self._make_files = files
        self._files: Files | None = None
        self._facts = Facts(plan, run_folder)
        self._caller = dict(environ)
        self._about: dict[str, Value] = {
            "id": self._workflow.id,
            "name": self._workflow.name,
            "version": self._workflow.version,
            "runId": run,
            "startTime": round(now * 1000),
            "status": "running",
        }
        self._now = now
        self._fixed_env: Env = {
            "WORKFLOW_ID": self._workflow.id,
            "WORKFLOW_RUN_ID": run,
            **variables_as_env(self._workflow.variables),
        }
        self._plain_env = not any(has_reference(v, self._dollar) for v in texts(self._workflow.env))
        self._known_env = self._workflow.env if self._plain_env else unescaped(self._workflow.env, self._dollar)
        self._plain = {step.id for step in plan.steps.values() if self._plain_env and is_plain(step)}

    # --- what happens -------------------------------------------------------------------------------

    def learn(self, step: Step, finished: StepFinished, end: Exited | None, prior: Prior | None = None) -> None:
        """A step has ended. `prior`: the earlier success that stands for it."""
        self._facts.learn(step, finished, end, prior.stdout_path if prior else None)

    def keeps_output(self, step: Step) -> bool:
        """Whether a text refers to what the step prints."""
        return self._facts.keeps_output(step)

    def learn_decision(self, decided: StepDecided) -> None:
        """A condition step has its answer, which is a variable from now on."""
        self._facts.learn_decision(decided)
        self._fixed_env |= variables_as_env({f"condition_{decided.step}_result": decided.result})

    def learn_status(self, status: str) -> None:
        """How the run went, for what cleans up: `completed`, `failed`, `timeout` or `cancelled`."""
        self._about["status"] = status
        self._fixed_env["WORKFLOW_STATUS"] = status

    def join(self, step: Step) -> None:
        """A step that was not in the plan."""
        self._facts.join(step)
        if self._plain_env and is_plain(step):
            self._plain.add(step.id)

    def _values(self, step: Step, failed: bool = False) -> Values:
        if large := self._facts.too_large(paths_of(step, self._workflow), step.scope):
            # A reference to output that was too large to keep must not silently become a part of it.
            raise CannotPrepare(
                f"`{large}` printed more than 64 KiB, too much to be filled in (read it from the file"
                f" {{{{steps.{large}.stdoutPath}}}} instead)"
            )
        if self._files is None and self._make_files is not None:
            self._files = self._make_files()
        given, withheld = self._given(step), self._withheld(step)
        layered = {**self._caller, **withheld, **self._known_env, **given}
        return Values(
            variables=self._facts.variables,
            env={name: value for name, value in layered.items() if value is not None},
            steps=self._facts.steps,
            workflow={**self._about, "currentStepId": step.id},
            now=self._now,
            failed=failed,
            locals=step.bindings,
            files=self._files,
            scope=step.scope,
            secrets=given,
        )

    def _given(self, step: Step) -> dict[str, str]:
        """The secrets that the step gets."""
        return {name: self._secrets[name] for name in step.secrets}

    def _withheld(self, step: Step) -> Env:
        """What the environment of the caller has of those that it does not get is taken away."""
        if not self._workflow.secrets:
            return {}
        others = (secret for secret in self._workflow.secrets if secret.name not in step.secrets)
        return {name: None for secret in others for name in (secret.name, secret.env) if name}

    # --- questions ----------------------------------------------------------------------------------

    def is_self_deciding(self, step: Step) -> bool:
        """True when the step's condition, or its rule, asks `success()`, `failure()` or `always()`."""
        if step.branch is not None:
            from stepwave.core.language.rules import asks_for_status

            if asks_for_status(step.branch.rule, step.dollar):
                return True
        if step.condition is None:
            return False
        from stepwave.core.language.expressions import compile_expression
        from stepwave.core.language.tree import uses_status

        return uses_status(compile_expression(step.condition))

    def runs_always(self, step: Step) -> bool:
        """True when it asks `always()`: then it is for itself to say, even where no need of it has completed."""
        return step.condition is not None and "always" in step.condition and self.is_self_deciding(step)

    def condition_holds(self, step: Step, *, failed: bool) -> bool:
        """Raises CannotPrepare when the condition refers to something that is not there, or compares what cannot be."""
        from stepwave.core.language.evaluate import evaluate
        from stepwave.core.language.expressions import compile_expression
        from stepwave.core.language.values import truth

        try:
            expression = compile_expression(step.condition or "true")
            return truth(evaluate(expression, self._values(step, failed), lenient=self._lenient))
        except (ExpressionError, Unresolved) as problem:
            raise CannotPrepare(_sentence(problem)) from None

    def rule_holds(self, step: Step, *, failed: bool) -> bool:
        """The answer of a condition step. Raises CannotPrepare as `condition_holds` does."""
        from stepwave.core.language.rules import holds

        assert step.branch is not None
        try:
            return holds(step.branch.rule, self._values(step, failed), dollar=step.dollar, lenient=self._lenient)
        except (ExpressionError, Unresolved) as problem:
            raise CannotPrepare(_sentence(problem)) from None

    def items(self, step: Step) -> list[Value]:
        """What a `forEach` goes over. Raises CannotPrepare when that is no list, or one of more than 10,000 items."""
        from stepwave.core.language.interpolate import value_of
        from stepwave.core.language.values import kind_of

        try:
            value = value_of(step.for_each or "", self._values(step), dollar=step.dollar, lenient=self._lenient)
        except (ExpressionError, Unresolved) as problem:
            raise CannotPrepare(_sentence(problem)) from None
        if not isinstance(value, list):
            help = "print a JSON list, or cut the text with `split(…)`"
            raise CannotPrepare(f"`forEach` needs a list, but {step.for_each} is {kind_of(value)} ({help})")
        if len(value) > MAX_ITEMS:
            raise CannotPrepare(f"`forEach` has {len(value):,} items, more than {MAX_ITEMS:,}")
        return value

    # --- commands -----------------------------------------------------------------------------------

    def launch(self, step: Step, attempt: int) -> tuple[Launch, Env]:
        """The order to start, and the part of its environment that the file declares or the command names.

        Raises CannotPrepare when a reference leads nowhere.
        """
        try:
            return self._launch(step, attempt)
        except (ExpressionError, Unresolved) as problem:
            raise CannotPrepare(_sentence(problem)) from None

    def launch_test(self, step: Step, test: int, attempt: int) -> Launch:
        """The order to start a test of the step, which has just completed; the first is 1. Raises CannotPrepare."""
        script = step.tests[test - 1].script
        try:
            argv: tuple[str, ...] = (*SH, script)
            declared: Env = {**self._workflow.env, **step.env}
            cwd = step.cwd
            if step.id not in self._plain:
                values = self._values(step)
                cwd, declared = self._fill(step, cwd, values), self._filled_env(step, values)
                text, refs = self._fill_shell(step, script, values)
                argv, declared = (*SH, text), {**declared, **refs}
        except (ExpressionError, Unresolved) as problem:
            raise CannotPrepare(_sentence(problem)) from None
        return Launch(
            step=step.id,
            attempt=attempt,
            argv=argv,
            cwd=self._absolute(step, cwd),
            env={**self._withheld(step), **declared, **self._runner_env(step), **self._given(step)},
            stdin=None,
            limits=step.limits,
            log=self._facts.log_of(step, attempt, test),
        )

    def patterns(self, step: Step) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
        """What it reads, None where it does not say, and what it makes, as absolute patterns.

        Raises CannotPrepare when a reference leads nowhere, or to a step that has not run.
        """
        try:
            return self._patterns(step)
        except (ExpressionError, Unresolved) as problem:
            raise CannotPrepare(_sentence(problem)) from None

    def preview(self, step: Step) -> tuple[tuple[str, ...], str, Env]:
        """Words, folder and declared environment of the first attempt; as they stand in the file where they hang on a
        step that has not run."""
        try:
            launch, declared = self._launch(step, 1)
            return launch.argv, launch.cwd, declared
        except (ExpressionError, Unresolved):
            argv = step.argv if step.script is None else (*step.argv, step.script)
            return argv, self._absolute(step, step.cwd), {**self._workflow.env, **step.env}

    def _launch(self, step: Step, attempt: int) -> tuple[Launch, Env]:
        if step.id in self._plain:
            argv = step.argv if step.script is None else (*step.argv, step.script)
            cwd, stdin, declared = step.cwd, step.stdin, {**self._workflow.env, **step.env}
        else:
            argv, cwd, stdin, declared = self._filled(step)
        if stdin is not None and stdin.path is not None:
            stdin = Stdin(path=self._absolute(step, stdin.path))
        for word in argv:
            if "\0" in word:
                raise ExpressionError("an argument holds a NUL byte, which no program can be given", 0)
        ours = self._runner_env(step)
        launch = Launch(
            step=step.id,
            attempt=attempt,
            argv=argv,
            cwd=self._absolute(step, cwd),
            env={**self._withheld(step), **declared, **ours, **self._given(step)},
            stdin=stdin,
            limits=step.limits,
            log=self._facts.log_of(step, attempt),
            keep_output=self._apart or self._facts.keeps_output(step),
            keep_tail=wants_tail(step),
            idle_s=step.idle_s,
            after=step.needs if step.stage is Stage.MAIN else None,
            pools=step.resources,
        )
        if step.inputs is not None or step.outputs:
            launch = self._with_files(step, launch)
        if any("WORKFLOW_" in word for word in argv):
            declared |= {name: value for name, value in ours.items() if any(name in word for word in argv)}
        return launch, declared

    def _with_files(self, step: Step, launch: Launch) -> Launch:
        """With the patterns of what it reads and makes."""
        inputs, outputs = self._patterns(step)
        # What is recorded of its files is to be true before it touches them.
        return launch._replace(inputs=inputs, outputs=outputs, after=None)

    def _patterns(self, step: Step) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
        inputs, outputs = step.inputs, step.outputs
        if step.id not in self._plain:
            values = self._values(step)
            inputs = inputs and tuple(self._fill(step, text, values) for text in inputs)
            outputs = tuple(self._fill(step, text, values) for text in outputs)
        absolute = None if inputs is None else tuple(self._absolute(step, text) for text in inputs)
        return absolute, tuple(self._absolute(step, text) for text in outputs)

    def _filled(self, step: Step) -> tuple[tuple[str, ...], str, Stdin | None, Env]:
        """Words, folder, input and declared environment with every reference replaced."""
        values = self._values(step)
        asked: Env = {}
        if step.agent is not None:
            values, asked = self._with_agent(step, values)
        argv = tuple(self._fill(step, word, values) for word in step.argv)
        declared = {**self._filled_env(step, values), **asked}
        if step.script is not None:
            script, refs = self._fill_shell(step, step.script, values)
            argv, declared = (*argv, script), {**declared, **refs}
        return argv, self._fill(step, step.cwd, values), self._filled_stdin(step, values), declared

    def _with_agent(self, step: Step, values: Values) -> tuple[Values, Env]:
        """What the words of an agent's profile may refer to, and what its program finds in its environment."""
        agent = step.agent
        assert agent is not None
        tasks = [self._fill(step, task, values) for task in agent.tasks]
        joined = "\n".join(tasks)
        prompt = joined if agent.prompt is None else self._fill(step, agent.prompt, values)
        parameters = self._filled_value(step, dict(agent.parameters), values)
        asked: Env = {
            "AGENT_NAME": agent.name,
            "AGENT_PROMPT": shortened(prompt.replace("\0", "")),
            "AGENT_PARAMETERS": shortened(json.dumps(parameters, ensure_ascii=False)),
        }
        names: dict[str, Value] = {"prompt": prompt, "tasks": joined, "parameters": parameters}
        return values._replace(locals={**values.locals, **names}), asked

    def _filled_stdin(self, step: Step, values: Values) -> Stdin | None:
        if step.function is not None:
            params = self._filled_value(step, dict(step.function.params), values)
            return Stdin(text=json.dumps(params, ensure_ascii=False))
        if step.stdin is None:
            return None
        text, path = step.stdin
        return Stdin(
            text=None if text is None else self._fill(step, text, values),
            path=None if path is None else self._fill(step, path, values),
        )

    def _fill(self, step: Step, text: str, values: Values) -> str:
        if not has_reference(text, step.dollar):
            return text
        from stepwave.core.language.interpolate import fill

        return fill(text, values, dollar=step.dollar, lenient=self._lenient)

    def _fill_shell(self, step: Step, script: str, values: Values) -> tuple[str, Env]:
        if not has_reference(script, step.dollar):
            return script, {}
        from stepwave.core.language.interpolate import fill_shell

        held = {value: name for name, value in self._given(step).items()}
        filled, refs = fill_shell(script, values, dollar=step.dollar, lenient=self._lenient, held=held)
        return filled, cast("Env", refs)

    def _filled_env(self, step: Step, values: Values) -> Env:
        env = self._workflow.env if self._plain_env else self._filled_texts(self._workflow.env, values, self._dollar)
        return {**env, **self._filled_texts(step.env, values, step.dollar)}

    def _filled_texts(self, env: Mapping[str, str | None], values: Values, dollar: bool) -> Env:
        from stepwave.core.language.interpolate import fill

        return {
            name: None if text is None else fill(text, values, dollar=dollar, lenient=self._lenient)
            for name, text in env.items()
        }

    def _filled_value(self, step: Step, value: Value, values: Values) -> Value:
        """A value with its references replaced; one that is all of a text keeps the type of what it brings."""
        from stepwave.core.language.interpolate import value_in

        return value_in(value, values, dollar=step.dollar, lenient=self._lenient)

    def _absolute(self, step: Step, path: str) -> str:
        if path.startswith("/"):
            return path
        base = self._folder if not step.base else step.base
        if step.base and not step.base.startswith("/"):
            base = f"{self._folder}/{step.base}"
        return base if path in (".", "") else f"{base}/{path}"

    def _runner_env(self, step: Step) -> Env:
        return {
            **self._fixed_env,
            "WORKFLOW_CURRENT_STEP_ID": step.id,
            **self._facts.exports_of(step.needs),
        }


def _sentence(problem: Exception) -> str:
    help = getattr(problem, "help", None)
    return f"{problem} ({help})" if help else str(problem)
