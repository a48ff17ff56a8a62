"""Why a step would run now, or be reused, in words."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from stepwave.core.events import Launch
from stepwave.core.masked import Masks, stand_ins
from stepwave.core.model import Stage, Step, StepType
from stepwave.core.plan import Plan
from stepwave.core.running.fingerprint import Definition, definer
from stepwave.core.running.prepare import CannotPrepare, Preparation
from stepwave.edge.ledger.connect import Ledger
from stepwave.edge.ledger.expand import TooManyFiles
from stepwave.edge.ledger.hashes import combined
from stepwave.edge.ledger.prints import Details, Prints, differences

MAX_TOLD = 20
_UNKNOWN = "it refers to what another step brings, which is known only when that has run"


class _Success(NamedTuple):
    """A row of `successes`."""

    run: str
    fingerprint: str
    outputs: str
    details: Details


def explained(ledger: Ledger, plan: Plan, file: str, ids: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """For each step a sentence, and below it a line for each reason. May raise sqlite3.Error."""
    looks = _Looks(ledger, plan, file, environ)
    return [line for id in ids for line in _explained(looks, plan.steps[id])]


def _explained(looks: "_Looks", step: Step) -> list[str]:
    id = step.id
    always = _always(step)
    if always is not None:
        return [f"{id} runs every time: {always}", *looks.lately(id)]
    success = looks.success(id)
    if success is None:
        return [f"{id} would run:", "  never succeeded", *looks.lately(id)]
    reasons = looks.reasons(step, success)
    if reasons == [_UNKNOWN]:
        return [f"{id} may run: {_UNKNOWN}"]
    if reasons:
        more = [f"  and {len(reasons) - MAX_TOLD} more"] if len(reasons) > MAX_TOLD else []
        return [
            f"{id} would run; since it last succeeded (run {success.run}):",
            *(f"  {reason}" for reason in reasons[:MAX_TOLD]),
            *more,
        ]
    running = [f"  {need} runs before it, and may change that" for need in looks.would_run(step)]
    return [f"{id} would be reused: nothing has changed since run {success.run}", *running]


def _always(step: Step) -> str | None:
    """Why nothing ever stands for the step."""
    if step.stage is not Stage.MAIN:
        return "it is no step of the main part"
    if step.type is StepType.CONDITION:
        return "a condition is asked again"
    if step.type is StepType.NOOP:
        return "it starts nothing"
    if step.type is StepType.FAN_OUT:
        return "its list is known only when it runs"
    if step.inputs is None:
        return "it does not say what it reads (`inputs`)"
    return None


def _telling(definition: Definition) -> Definition:
    """Without what decides only when a step runs, and whether at all."""
    return {name: part for name, part in definition.items() if name not in ("needs", "condition")}


class _Looks:
    """Looking at what there is, and at what there was."""

    def __init__(self, ledger: Ledger, plan: Plan, file: str, environ: Mapping[str, str]) -> None:
        self._db = ledger.db
        self._plan = plan
        self._file = file
        self._prints = Prints(plan.workflow, ledger.db)
        self._define = definer(plan.workflow, self._prints.seal)
        secrets = stand_ins(plan.workflow.secrets)
        self._masks = Masks(secrets) if secrets else None  # a memory sees no secret
        self._preparation = Preparation(plan, environ=environ, run="", run_folder="", now=time.time(), secrets=secrets)

    def success(self, id: str) -> _Success | None:
        query = "SELECT run, fingerprint, outputs, details FROM successes WHERE file = ? AND step = ?"
        row = self._db.execute(query, (self._file, id)).fetchone()
        return _Success(row[0], row[1], row[2], Details(*json.loads(row[3]))) if row else None

    def lately(self, id: str) -> list[str]:
        """How it went the last time."""
        query = (
            "SELECT runs.id, steps.outcome, steps.reason FROM runs"
            " JOIN steps ON steps.place >= runs.no << 32 AND steps.place < (runs.no + 1) << 32"
            " WHERE runs.file = ? AND steps.id = ? ORDER BY runs.no DESC LIMIT 1"
        )
        row = self._db.execute(query, (self._file, id)).fetchone()
        if row is None:
            return []
        reason = f": {row[2]}" if row[2] else ""
        return [f"  last time (run {row[0]}): {row[1]}{reason}"]

    def reasons(self, step: Step, success: _Success) -> list[str]:
        """What is different; nothing when the step would be reused."""
        launch = self._launch(step)
        before = success.details._replace(definition=_telling(success.details.definition))
        if launch is None:
            known = before._replace(filled={}, inputs={}, outputs={})
            told = differences(known, Details(self._definition(step), {}, {}, {}))
            return list(told) or [_UNKNOWN]
        try:
            read, inputs = self._prints.read(launch)
            made, outputs = self._prints.made(launch)
        except TooManyFiles:
            return ["its patterns mean too many files"]
        missing = [*self._missing(read.missing, made.missing)]
        same = success.outputs and self._prints.of(step, launch, inputs) == success.fingerprint
        if same and not missing and combined(outputs) == success.outputs:
            return []
        now = Details(self._definition(step), self._prints.filled(step, launch), inputs, outputs)
        different = list(dict.fromkeys((*differences(before, now), *missing)))
        return different or ["it did not make all of its outputs, or what it read was not there"]

    def _missing(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Iterator[str]:
        for what, paths in (("input", inputs), ("output", outputs)):
            yield from (f"{what} {self._prints.inside(path)} is missing" for path in paths)

    def _launch(self, step: Step) -> Launch | None:
        """What would start it; None when that hangs on a step that has not run."""
        if any("WORKFLOW_OUTPUT_" in word for word in (*step.argv, step.script or "")):
            return None
        try:
            launch = self._preparation.launch(step, 1)[0]
            return launch if self._masks is None else self._masks.launch(launch)
        except CannotPrepare:
            return None

    def _definition(self, step: Step) -> Definition:
        return _telling(self._define(step))

    def would_run(self, step: Step) -> list[str]:
        """Of what it needs, all that has a process and would run."""
        found = []
        for id in step.needs:
            need = self._plan.steps[id]
            if need.type is StepType.SCRIPT:
                success = None if _always(need) else self.success(id)
                if success is None or self.reasons(need, success):
                    found.append(id)
        return found
