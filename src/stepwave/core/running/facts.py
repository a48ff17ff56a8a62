"""What the run has brought so far, as far as a text somewhere refers to it.

Rule 1: output is kept only of steps that a text refers to; of the others the world never hands it over.
Rule 2: a step that is one of several (`matrix`, `forEach`) is known by its own id, and all of them by that in the file.
"""

from collections.abc import Iterable, Mapping

from stepwave.core.events import Exited, Outcome, StepDecided, StepFinished, stdout_log
from stepwave.core.language.scoped import step_in
from stepwave.core.language.step_texts import paths_of, texts_of
from stepwave.core.model import Step, Value
from stepwave.core.plan import Plan
from stepwave.core.running.exports import facts_as_env, log_name, parsed

_bare_facts = {"result", "success", "exitCode", "executionTime", "error", "conditionResult", "triggeredSteps"}
_small_facts = {(name,) for name in (*_bare_facts, "evaluationError", "stdoutPath")}


class Facts:
    """`steps` maps ids to what `steps.<id>.…` stands for; `run_folder` is where logs lie (absolute)."""

    def __init__(self, plan: Plan, run_folder: str) -> None:
        self.steps: dict[str, dict[str, Value]] = {}
        self.variables: dict[str, Value] = dict(plan.workflow.variables)
        self._dependents = plan.dependents
        self._run_folder = run_folder
        self._index = {id: n for n, id in enumerate(plan.steps)}
        self._oversize: set[str] = set()
        self._exports: dict[str, dict[str, str]] = {}
        self._families: dict[str, list[str]] = {}
        self._decisions: dict[str, StepDecided] = {}
        for step in plan.steps.values():
            if step.family:
                self._families.setdefault(step.family, []).append(step.id)
        self._ids = {*plan.steps, *self._families}
        self._wanted = self._find_wanted(plan)

    def _find_wanted(self, plan: Plan) -> dict[str, bool]:
        """Ids that some text refers to, and whether what they print is wanted: only that is kept in memory."""
        wanted: dict[str, bool] = {}
        for step in plan.steps.values():
            for path in paths_of(step, plan.workflow):
                id, rest = self._named(path, step.scope)
                for one in (id, *self._families.get(id, ())) if id else ():
                    wanted[one] = wanted.get(one, False) or not rest or rest[0] not in _bare_facts
            if any("WORKFLOW_OUTPUT_" in text for text in texts_of(step)):
                wanted.update(dict.fromkeys(step.needs, True))
        return wanted

    def _named(self, path: tuple[str, ...], scope: str) -> tuple[str, tuple[str, ...]]:
        """The step, or the family, that a path reads, and what of it."""
        at = 1 if path[0] == "steps" else 0
        named = step_in(path, at, scope, self._ids) if len(path) > at else None
        return (named[0], path[named[1] :]) if named else ("", ())

    def keeps_output(self, step: Step) -> bool:
        return self._wanted.get(step.id, False) or self._wanted.get(step.family, False)

    def log_of(self, step: Step, attempt: int, test: int = 0) -> str:
        return log_name(self._index[step.id], step.id, attempt, test)

    # --- as it happens ------------------------------------------------------------------------------

    def join(self, step: Step) -> None:
        """A step that was not in the plan."""
        self._index[step.id] = len(self._index)
        if step.family:
            self._families.setdefault(step.family, []).append(step.id)

    def learn_decision(self, decided: StepDecided) -> None:
        self._decisions[decided.step] = decided
        self.variables |= {
            f"condition_{decided.step}_result": decided.result,
            f"condition_{decided.step}_triggered_steps": [*decided.chosen],
        }

    def learn(self, step: Step, finished: StepFinished, end: Exited | None, stdout_path: str | None = None) -> None:
        """A step has ended. What it was and printed is remembered if something refers to it. `stdout_path`: where that
        lies, of a step that was not run again."""
        id = finished.step
        needed = self._dependents.get(id, ())
        if id not in self._wanted and not needed and not (step.family and step.family in self._wanted):
            return
        facts: dict[str, Value] = {
            "result": "success" if finished.outcome is Outcome.COMPLETED else finished.outcome.value,
            "success": finished.outcome is Outcome.COMPLETED,
            "exitCode": finished.exit_code,
            "executionTime": round(finished.duration_s * 1000),
            "error": finished.reason,
        }
        if end is not None and self.keeps_output(step):
            if end.stdout is None or end.stderr is None:
                self._oversize.add(id)
            else:
                stdout = end.stdout.rstrip("\n")
                facts |= {"stdout": stdout, "stderr": end.stderr.rstrip("\n"), "output": parsed(stdout)}
            own = f"{self._run_folder}/{stdout_log(self.log_of(step, finished.attempts))}"
            facts["stdoutPath"] = own if stdout_path is None else stdout_path
        if id in self._decisions:
            facts |= _of_decision(self._decisions[id])
        if id in self._families:
            facts["output"] = self._outputs(id)
        self.steps[id] = facts
        if needed:
            self._exports[id] = facts_as_env(id, facts)
        if step.family:
            self._learn_family(step.family)

    def _learn_family(self, family: str) -> None:
        """Several steps under one name: as well as the worst of them, with all that they brought, in order."""
        parts = [self.steps[id] for id in self._families[family] if id in self.steps]
        good = all(part["success"] for part in parts)
        self.steps[family] = {
            "result": "success" if good else next(part["result"] for part in parts if not part["success"]),
            "success": good,
            "output": self._outputs(family),
        }

    def _outputs(self, family: str) -> Value:
        return [self.steps.get(id, {}).get("output") for id in self._families[family]]

    # --- what is known ------------------------------------------------------------------------------

    def exports_of(self, ids: Iterable[str]) -> dict[str, str]:
        """What steps tell those that need them, as environment variables."""
        env: dict[str, str] = {}
        for id in ids:
            env |= self._exports.get(id, {})
        return env

    def too_large(self, paths: Iterable[tuple[str, ...]], scope: str) -> str | None:
        """The id of a step of which such a path wants more output than is kept."""
        if not self._oversize:
            return None
        for path in paths:
            id, rest = self._named(path, scope)
            if id and path[0] == "steps" and rest[:1] not in _small_facts:
                meant: list[str] = [id, *self._families.get(id, ())]
                for one in meant:
                    if one in self._oversize:
                        return one
        return None


def _of_decision(decided: StepDecided) -> Mapping[str, Value]:
    return {
        "conditionResult": decided.result,
        "triggeredSteps": [*decided.chosen],
        "evaluationError": decided.error,
        "output": decided.result,
    }
