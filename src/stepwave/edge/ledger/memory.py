"""What earlier runs know, from the ledger: `core.running.memory.Memory`, for resume and for reuse.

Every run has one, to leave what it learns to later runs. So what only few of them need is imported by those: `making`,
for steps that say what files they read or make.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stepwave.core.events import Launch, Outcome, StepFinished, stderr_log, stdout_log
from stepwave.core.model import Stage, Step
from stepwave.core.plan import Plan
from stepwave.core.running.fingerprint import Definition, definer, definitions
from stepwave.core.running.memory import Prior
from stepwave.edge.ledger.connect import Ledger
from stepwave.edge.ledger.schema import PLACE_BITS

if TYPE_CHECKING:
    from stepwave.edge.ledger.making import Making
    from stepwave.edge.ledger.resume import Continued

Statement = tuple[str, tuple[Any, ...]]

_insert_part = "INSERT OR REPLACE INTO parts VALUES (?, ?, ?)"
_select_logs = (
    "SELECT steps.id, log, log_bytes, stdout_bytes, apart FROM runs"
    f" JOIN steps ON place >= no << {PLACE_BITS} AND place < (no + 1) << {PLACE_BITS} WHERE runs.id = ?"
)


class _Log(NamedTuple):
    """Where a step of an earlier run left what it printed."""

    log: str | None
    log_bytes: int
    stdout_bytes: int
    apart: int


class LedgerMemory:
    """For one run. `continued` is what is left of the run that this one continues, `again` are steps that run whatever
    is known of them, and with `force` all do.

    To be bound to the ledger and the run's folder before the run begins; `rows` are for the commits of the writer.
    """

    def __init__(
        self,
        plan: Plan,
        file: str,
        *,
        continued: "Continued | None" = None,
        again: frozenset[str] = frozenset(),
        force: bool = False,
    ) -> None:
        self._plan = plan
        self._file = file
        self._continued = continued
        self._again = again
        self._force = force
        self._making: Making | None = None
        self._rows: list[Statement] = []
        self._logs: dict[str, dict[str, _Log]] = {}
        self._sealing: Callable[[str], str] | None = None
        self._define: Callable[[Step], Definition] | None = None

    def bind(self, ledger: Ledger, run_folder: Path) -> None:
        """The ledger is open, and the run has its folder. May raise sqlite3.Error."""
        self._ledger = ledger
        self._run_folder = run_folder
        if any(step.inputs is not None or step.outputs for step in self._plan.steps.values()):
            from stepwave.edge.ledger.making import Making

            before = self._continued.runs[-1].file if self._continued else self._file
            self._making = Making(self._plan.workflow, self._file, ledger, run_folder, before)

    def definitions(self) -> dict[str, Definition]:
        """What every step of the plan is, for the record."""
        return definitions(self._plan.workflow, self._seal)

    def _seal(self, text: str) -> str:
        if self._sealing is None:
            from stepwave.edge.ledger.prints import seal_of

            self._sealing = seal_of(self._ledger.db)
        return self._sealing(text)

    def rows(self) -> list[Statement]:
        """What the turn has brought, for its commit."""
        rows, self._rows = self._rows, []
        return rows + self._making.rows() if self._making else rows

    # --- what is known ----------------------------------------------------------------------------------

    def knows(self, step: Step) -> bool:
        """See `core.running.memory`."""
        if self._force or step.id in self._again or step.family in self._again:
            return False
        if self._continued is not None and step.id in self._continued.successes:
            return True
        return self._making is not None and step.inputs is not None and step.id in self._making.known

    def recall(self, step: Step, launch: Launch, *, untouched: bool, wants_output: bool) -> Prior | None:
        """See `core.running.memory`."""
        if not self.knows(step):
            return None
        stands = self._run_that_stands(step, launch, untouched=untouched)
        return stands and self._prior(*stands, step, wants_output=wants_output)

    def _run_that_stands(self, step: Step, launch: Launch, *, untouched: bool) -> tuple[str, int | None] | None:
        """The run whose success stands for the step, and its exit code."""
        success = self._continued.successes.get(step.id) if self._continued and untouched else None
        if success is not None and not self._is_as_it_was(step):
            success = None
        if launch.inputs is None and not launch.outputs:
            return (success.run, success.exit_code) if success else None
        known = self._making.known.get(step.id) if self._making else None
        if known is None or (launch.inputs is None and (success is None or success.run != known.run)):
            return None
        assert self._making is not None
        return (known.run, known.exit_code) if self._making.holds(step, launch, known) else None

    def _is_as_it_was(self, step: Step) -> bool:
        assert self._continued is not None
        return self._continued.definitions.get(step.id) == self._definition(step)

    def _definition(self, step: Step) -> Definition:
        if self._define is None:
            self._define = definer(self._plan.workflow, self._seal)
        return self._define(step)

    def _prior(self, run: str, exit_code: int | None, step: Step, *, wants_output: bool) -> Prior | None:
        if not wants_output:
            return Prior(run, exit_code)
        log = self._logs_of(run).get(step.id)
        if log is None:
            return None  # its run was pruned
        if not log.log or not log.log_bytes:
            return Prior(run, exit_code, "", "")
        if not log.apart:
            return None  # nobody referred to it then, and its two streams cannot be told apart
        path = self._run_folder.parent / run / log.log
        out, err = path.with_name(stdout_log(path.name)), path.with_name(stderr_log(path.name))
        stdout, stderr = _text(out, log.stdout_bytes), _text(err, log.log_bytes - log.stdout_bytes)
        if _gone in (stdout, stderr):
            return None
        return Prior(run, exit_code, stdout, stderr, str(out) if log.stdout_bytes else "", log.stdout_bytes)

    def _logs_of(self, run: str) -> dict[str, _Log]:
        """Those of a whole run at once: there is no index by step."""
        if run not in self._logs:
            rows = self._ledger.db.execute(_select_logs, (run,))
            self._logs[run] = {id: _Log(*rest) for id, *rest in rows}
        return self._logs[run]

    # --- what happens -----------------------------------------------------------------------------------

    def starts(self, step: Step, launch: Launch) -> None:
        """See `core.running.memory`."""
        if self._making is None:
            return
        if step.stage is Stage.ROLLBACK:
            self._making.forget(step.id.removesuffix(".undo"))
        if launch.inputs is not None or launch.outputs:
            self._making.starts(step, launch)

    def ends(self, step: Step, finished: StepFinished) -> str | None:
        """See `core.running.memory`."""
        completed = finished.outcome is Outcome.COMPLETED
        if completed and step.family and step.id not in self._plan.steps and step.stage is Stage.MAIN:
            text = json.dumps(self._definition(step), separators=(",", ":"))
            self._rows.append((_insert_part, (self._run_folder.name, step.id, text)))
        if self._making is None or not finished.attempts:
            return None
        if not completed:
            return self._making.failed(step, finished.attempts)
        if step.inputs is not None or step.outputs:
            self._making.succeeded(step, self._definition(step), finished.exit_code)
        return None


# --- what was printed ----------------------------------------------------------------------------------------------

MAX_TEXT = 64 * 1024
_gone = "\0"


def _text(path: Path, size: int) -> str | None:
    """The text of a file of this size; None when that is too much to be held, `_gone` when it is not as it was."""
    if size == 0:
        return ""
    if size > MAX_TEXT:
        return None
    try:
        data = path.read_bytes()
    except OSError:
        return _gone
    return data.decode("utf-8", "replace") if len(data) == size else _gone
