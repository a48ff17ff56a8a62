"""A run as it went, from its recorded events: what every picture, report and export is made of.

Times are seconds after the start of the run. Nothing here has been thought up: what is not recorded is None or empty.
"""

from enum import Enum
from typing import NamedTuple

from stepwave.core.events import Outcome, Status, StepDecided, StepTested, Usage
from stepwave.core.model import Stage, StepType


class Drawn(NamedTuple):
    """A step as the plan had it, or as the run brought it forth: what it takes to draw it.

    `line` is where it stands in `file`, 0 where it stands in none. `after`: the step of the file that it came from.
    `on_true` and `on_false` are the steps that a condition leads to. `exclusive`: it runs alone. `max_concurrency`: how
    many of its wave may run beside it, itself included; None: nothing is said.
    """

    id: str
    name: str
    wave: int
    needs: tuple[str, ...] = ()
    resources: tuple[tuple[str, int], ...] = ()
    stage: Stage = Stage.MAIN
    file: str = ""
    line: int = 0
    after: str = ""
    on_true: tuple[str, ...] = ()
    on_false: tuple[str, ...] = ()
    type: StepType = StepType.SCRIPT
    exclusive: bool = False
    max_concurrency: int | None = None
    priority: int = 0


class Sketch(NamedTuple):
    """A plan, as far as it takes to tell its run: what is recorded when a run begins.

    `rate_limit_s` is the shortest time between two starts. `by_waves`: a wave begins when the one before it has ended.
    """

    steps: tuple[Drawn, ...] = ()
    rate_limit_s: float = 0.0
    by_waves: bool = False


class Cause(Enum):
    """What a step waited for."""

    NEED = "need"
    POOL = "pool"
    SLOT = "slot"
    LIMIT = "limit"
    RETRY = "retry"


RATE = "rate limit"
ALONE = "exclusive"
WAVE = "maxConcurrency"
MEMORY = "memory"
"""Limits: the time between two starts; a step that runs alone; how many of one wave may run at a time; what the machine
has left."""


class Wait(NamedTuple):
    """From `begin_s` to `end_s` it waited; `name` is the step, the pool or the limit that it waited for.

    NEED: the last of its needs to end, or where those did not decide, the last step of an earlier stage or wave.
    SLOT: so many steps may run at a time. LIMIT: one of RATE, ALONE, WAVE, MEMORY, or "", which was not recorded.
    RETRY: the delay between two attempts.
    """

    begin_s: float
    end_s: float
    cause: Cause
    name: str = ""


class Attempt(NamedTuple):
    """`slot` counts from 0: attempts that run at one time have different ones; -1: it takes none, as a `forEach` that
    waits for its parts. `log` is relative to the run's folder; "": nothing was started. It is made with its first byte.
    `apart`: stdout went to `events.stdout_log(log)` too. `log_bytes` is 0 where it was not recorded.

    `end_s` None: it still runs, or was lost with its runner.
    """

    number: int
    begin_s: float
    end_s: float | None
    slot: int
    argv: tuple[str, ...] = ()
    cwd: str = ""
    reason: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    usage: Usage | None = None
    log: str = ""
    log_bytes: int = 0
    dropped_bytes: int = 0
    apart: bool = False


class StepStory(NamedTuple):
    """`outcome` None: it has none yet, or the run died before. `ready_s`: when its last need had ended; None: that has
    not been, or it ended before it came to that (skipped, reused).

    `created_s` is 0, or when the run brought it forth. `waits` are in order, and leave no time out between then and the
    start of the last attempt (its end, where it never started): what waited for nothing has no waits.
    """

    drawn: Drawn
    outcome: Outcome | None = None
    reason: str | None = None
    tolerated: bool = False
    ready_s: float | None = None
    ended_s: float | None = None
    attempts: tuple[Attempt, ...] = ()
    waits: tuple[Wait, ...] = ()
    tests: tuple[StepTested, ...] = ()
    decision: StepDecided | None = None
    taken_from: str | None = None
    stopping: str | None = None
    """Why it was told to stop, where it was."""
    created_s: float = 0.0
    left: tuple[str, ...] = ()
    """Processes that outlived its own, and were killed: `pid 4711: sleep 100`."""


class PoolStory(NamedTuple):
    """`levels`: (moment, units held from then on), in order, beginning with moment 0."""

    name: str
    limit: int
    levels: tuple[tuple[float, int], ...]


class Story(NamedTuple):
    """A whole run. `status` None: it has no recorded end, so it runs (`alive`) or has died.

    `critical_path`: the chain of steps that made it take as long as it did: each of them was what the next one waited
    for last. `pools` begins with the slots, under the name "". `widths`: (moment, how many may run from then on).

    `steps` are in the order of the file; below each come those that it became, or that undo it. `sketched` False: the
    run was recorded by an older stepwave, so needs, places and pools are not known.
    """

    run: str
    workflow: str
    name: str
    file: str
    folder: str
    started_at: float
    wall_s: float
    status: Status | None
    alive: bool
    exit_code: int | None
    reason: str | None
    max_concurrency: int
    steps: tuple[StepStory, ...]
    pools: tuple[PoolStory, ...] = ()
    widths: tuple[tuple[float, int], ...] = ()
    critical_path: tuple[str, ...] = ()
    resumed_from: str | None = None
    stepwave: str = ""
    sketched: bool = True
    rate_limit_s: float = 0.0
    by_waves: bool = False
    """As in `Sketch`."""
    awaited: tuple[str, ...] = ()
    """Pools that are not the run's own, of which it had to wait for units."""
