"""What became of a run: a fold over its events, so that a recorded run gives the same summary as a live one."""

from collections.abc import Mapping
from typing import NamedTuple

from stepwave.core.diagnostics import Diagnostic
from stepwave.core.events import HARMLESS_SKIPS, Outcome, Status, StepDecided, StepTested
from stepwave.core.model import Stage, Value, nothing


class StepResult(NamedTuple):
    """What became of one step. `started_s` and `ended_s` count from the start of the run; None: never started."""

    id: str
    name: str
    outcome: Outcome
    wave: int
    attempts: int = 0
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    tolerated: bool = False
    started_s: float | None = None
    ended_s: float | None = None
    duration_s: float = 0.0
    queued_s: float = 0.0
    pid: int | None = None
    argv: tuple[str, ...] = ()
    cwd: str = ""
    env: Mapping[str, str | None] = nothing
    stdout_log: str | None = None
    """Relative to the run's folder, like `stderr_log`, or absolute where `taken_from` says whose it is; the same file
    unless stdout was kept apart."""
    stderr_log: str | None = None
    stage: Stage = Stage.MAIN
    after: str = ""
    """The step of the file that it came from: of a `forEach`, or that it undoes. "" for a step of the file itself."""
    taken_from: str | None = None
    """The run whose success stands for it."""
    decision: StepDecided | None = None
    tests: tuple[StepTested, ...] = ()
    """The acceptance tests of its last attempt."""

    @property
    def success(self) -> bool:
        """Completed, or skipped because a condition or the command line said so."""
        skipped = self.outcome is Outcome.SKIPPED and self.reason in HARMLESS_SKIPS
        return self.outcome is Outcome.COMPLETED or skipped

    @property
    def is_failure(self) -> bool:
        return self.outcome in (Outcome.FAILED, Outcome.TIMEOUT)


class Statistics(NamedTuple):
    """How parallel it was. Utilisation is a time-weighted mean, 0..1: Σ(units held x seconds) / (limit x wall)."""

    total_groups: int = 0
    executed_groups: int = 0
    max_concurrent_steps: int = 0
    utilization: Mapping[str, float] = nothing
    peak_utilization: Mapping[str, float] = nothing
    resource_wait_s: Mapping[str, float] = nothing
    sequential_s: float = 0.0
    time_saved_percent: int = 0
    critical_path: tuple[str, ...] = ()
    critical_path_s: float = 0.0


class Summary(NamedTuple):
    """The whole run. `steps` holds every step of the file exactly once, in file order, and below each of them the
    steps that it brought forth.

    `folder` is where the logs lie (absolute). A file that could not be run at all has exit code 2, no steps, and its
    `diagnostics`.
    """

    workflow: str
    name: str
    run: str
    status: Status
    exit_code: int
    reason: str | None
    started_at: float
    wall_s: float
    steps: tuple[StepResult, ...]
    statistics: Statistics = Statistics()
    folder: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
    metadata: Mapping[str, Value] = nothing
    """What the file says about itself that means nothing here."""
    is_workstream: bool = False
    """What people call it: files of the snake dialect hold workstreams."""
    last_signal: int | None = None
    """The last one that came of those that end a run. It may have come too late to end this one."""

    @property
    def success(self) -> bool:
        return self.exit_code == 0

    @property
    def failures(self) -> tuple[StepResult, ...]:
        """Steps that failed or ran out of time, tolerated ones included, in file order."""
        return tuple(step for step in self.steps if step.is_failure)

    def count(self, outcome: Outcome) -> int:
        return sum(step.outcome is outcome for step in self.steps)
