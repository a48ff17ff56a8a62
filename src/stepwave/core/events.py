"""The three vocabularies of a run.

A *signal* is what the world tells us (`Exited`). An *order* is what we ask of the world (`Launch`). An *event*
is what has happened (`StepFinished`). Signals come in through one inbox, orders go to the launcher only,
events go to every listener and nobody answers.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from stepwave.core.model import Limits, Stage, Stdin, StopRule, nothing


class Outcome(Enum):
    """How a step ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled_back"
    """It had completed and was undone. No event says so: the summary does, from the end of its compensation."""


BY_CONDITION = "Skipped due to condition"
BY_BRANCH = "branch"
NOT_SELECTED = "not selected"
NO_EXECUTOR = "no executor"
HARMLESS_SKIPS = frozenset((BY_CONDITION, BY_BRANCH, NOT_SELECTED, NO_EXECUTOR))
"""The reasons for which a step is skipped that are nobody's failure."""


class Status(Enum):
    """How a run ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


# --- signals: the world tells us ---------------------------------------------------------------


class Usage(NamedTuple):
    """What an attempt used, from wait4(2), children it waited for included. Seconds and bytes."""

    user_s: float
    system_s: float
    peak_rss_bytes: int


class Exited(NamedTuple):
    """An attempt has ended and its whole process tree is gone.

    Exactly one of `code`, `signal` and `problem` is set: an exit status, the number of the signal that ended it,
    or why it could not be started (or was lost). `stopped`: it ended because we ordered a `Stop`; an exit that
    came before the order arrived is not stopped. `stdout` and `stderr` are what it wrote, where `Launch.keep_output`
    asked, and None when that was more than 64 KiB. `log_bytes` is the size of its log, `stdout_bytes` of the part
    that came from stdout, where that was kept apart. `tail` is the end of what it wrote, 64 KiB of both streams, where
    `Launch.keep_tail` asked. `left` names processes that were
    still alive when its own process ended, and were killed. `dropped_bytes` were in its log and are not kept
    (`Limits.output_bytes`). `lost`: the worker that carried it out is gone, which is no fault
    of the step. `at`: when it ended, on the scale of time.monotonic(), in seconds; None: now. `follower`: the step that
    has started in its place at that moment, because of `Follow`; "" for none.
    """

    step: str
    attempt: int
    code: int | None = None
    signal: int | None = None
    problem: str | None = None
    stopped: bool = False
    pid: int | None = None
    usage: Usage | None = None
    stdout: str | None = None
    stderr: str | None = None
    log_bytes: int = 0
    stdout_bytes: int = 0
    left: tuple[str, ...] = ()
    tail: str = ""
    dropped_bytes: int = 0
    lost: bool = False
    at: float | None = None
    follower: str = ""


class Returned(NamedTuple):
    """These were to follow others (`Follow`), and have not started."""

    steps: tuple[str, ...]


class Held(NamedTuple):
    """An attempt that was launched waits in the queue of an engine: its time limit does not count yet."""

    step: str
    attempt: int


class Begun(NamedTuple):
    """An attempt that was `Held` begins now, and its time limit counts from here."""

    step: str
    attempt: int


class Silent(NamedTuple):
    """A running attempt has printed nothing for as long as `Launch.idle_s`; told once."""

    step: str
    attempt: int


class Measured(NamedTuple):
    """The answer to `Measure`: how busy the machine is. `load` is the load average of the last minute.

    `used_bytes`: what the processes of each running step use now of what is not available; None: it was not looked at,
    or nobody can tell.
    """

    load: float
    available_bytes: int
    used_bytes: Mapping[str, int] | None = None


class Leased(NamedTuple):
    """The answer to `Lease`: the step holds all that it asked for, until `Release`."""

    step: str


class Deferred(NamedTuple):
    """Not all that a `Lease` asks for is free: `lacks` names the pools. `Leased` will come once it is; where nobody
    tells that, `retry_s` says after how many seconds the same `Lease` is to be ordered again."""

    step: str
    lacks: tuple[str, ...]
    retry_s: float | None = None


class Interrupted(NamedTuple):
    """A signal asks the run to end: `number` is signal.SIGINT, SIGTERM or SIGHUP."""

    number: int


class Resumed(NamedTuple):
    """The whole run stood still (SIGTSTP … SIGCONT) for this long: every deadline moves."""

    paused_s: float


class Tick(NamedTuple):
    """Nothing but time has passed."""


Signal = Exited | Held | Begun | Returned | Silent | Measured | Leased | Deferred | Interrupted | Resumed | Tick


def stdout_log(log: str) -> str:
    """Where stdout goes a second time when it is kept apart: `logs/0007-build.out` for `logs/0007-build.log`."""
    return log.removesuffix(".log") + ".out"


def older_log(log: str) -> str:
    """What was in a log before the part that it was turned over for (`limits.outputSize`)."""
    return f"{log}.1"


def stderr_log(log: str) -> str:
    """Where stderr goes a second time then: `logs/0007-build.err`."""
    return log.removesuffix(".log") + ".err"


# --- orders: what we ask of the world ------------------------------------------------------------


class Launch(NamedTuple):
    """Start one attempt. Everything is filled in: no references are left.

    `env` is laid over the environment of the runner; None takes a name away. `cwd` is absolute. `log` is the file
    for its output, relative to the run's folder; made with its first byte. With `keep_output` stdout also goes to
    `stdout_log(log)` and stderr to `stderr_log(log)`, and both streams come back, bounded, in `Exited`. With
    `keep_tail` so does the end of both. `idle_s`: tell with `Silent` when it prints nothing for so long.

    The tests of a step are launches of the same attempt, one after the other.
    """

    step: str
    attempt: int
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str | None]
    stdin: Stdin | None
    limits: Limits
    log: str
    keep_output: bool = False
    keep_tail: bool = False
    idle_s: float | None = None
    inputs: tuple[str, ...] | None = None
    """Patterns of the files that it reads, absolute; None: it does not say."""
    outputs: tuple[str, ...] = ()
    after: tuple[str, ...] | None = None
    """The steps whose ends must have been recorded before it starts; None: all that has been told."""
    pools: tuple[tuple[str, int], ...] = ()
    """Units of the pools that it holds, for an engine that places steps by them."""


class Follow(NamedTuple):
    """Start these, one after the other, in the place of an attempt that runs: as soon as it, and each of them before
    the next, has completed with exit code 0 and left nothing behind, without another order.

    For steps of some milliseconds: one that takes longer (`LONG_S`), or is stopped, is followed by nobody. What has
    started is told with the end of what was before it (`Exited.follower`), all others are `Returned`.
    """

    behind: str
    attempt: int
    launches: tuple[Launch, ...]


class Recall(NamedTuple):
    """What is to follow this attempt is not to start. What has not will be `Returned`."""

    behind: str
    attempt: int


LONG_S = 0.020
"""A step that takes longer is followed by nobody: the time that a decision takes is nothing beside it."""


class Stop(NamedTuple):
    """End this attempt's process tree: the rule's signal, its grace period, then SIGKILL; at once if `force`."""

    step: str
    attempt: int
    rule: StopRule
    force: bool = False


class Measure(NamedTuple):
    """Tell with `Measured` how busy the machine is; and what the steps use, where less than `ample_bytes` of memory are
    available."""

    ample_bytes: int = 0


class Lease(NamedTuple):
    """Get all of these units, by the names of their pools, or none: they are not the run's own (a pool of the whole
    machine, a token of make). What is lacking is waited for, and meanwhile none is kept.

    Answered through the inbox at once: with `Leased`, or with `Deferred` and, as soon as all is held, `Leased`. The
    same order again tries again. A step that holds something may ask for more; `Release` gives back everything.
    """

    step: str
    wants: tuple[tuple[str, int], ...]


class Release(NamedTuple):
    """Give back all that the step holds, and take back what it asked for and has not got. Nothing comes of one that
    holds and asks for nothing: a `Leased` which was on its way meanwhile is answered with another `Release`."""

    step: str


Order = Launch | Follow | Recall | Stop | Measure | Lease | Release


# --- events: what has happened -------------------------------------------------------------------


class RunStarted(NamedTuple):
    """The first event. `waves` holds step ids; `pools` the units of each resource."""

    workflow: str
    name: str
    waves: tuple[tuple[str, ...], ...]
    dependencies: int
    max_concurrency: int
    pools: Mapping[str, int] = nothing


class StepQueued(NamedTuple):
    """Every need of the step is met; it waits for a slot."""

    step: str


class StepStarted(NamedTuple):
    """An attempt begins. The fields are those of its `Launch`."""

    step: str
    attempt: int
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str | None] = nothing
    log: str = ""
    keep_output: bool = False


class StepStopping(NamedTuple):
    """The step was ordered to stop; `reason` is a sentence's end: `timed out after 1.5s`."""

    step: str
    attempt: int
    reason: str


class StepRetrying(NamedTuple):
    """An attempt failed and another will follow after `delay_s`. The rest is how its command ended, if it did."""

    step: str
    attempt: int
    delay_s: float
    reason: str
    exit_code: int | None = None
    signal: int | None = None
    usage: Usage | None = None


class StepLogCut(NamedTuple):
    """Of what an attempt printed only the newest is kept, as `limits.outputSize` says; so many bytes before are not."""

    step: str
    attempt: int
    dropped_bytes: int


class StepLeftProcesses(NamedTuple):
    """Processes outlived the step's own process and were killed. One line each: `pid 4711: sleep 100`."""

    step: str
    attempt: int
    processes: tuple[str, ...]


class StepTested(NamedTuple):
    """One of the acceptance tests of a step has ended. `reason` says why it did not pass."""

    step: str
    attempt: int
    test: str
    passed: bool
    reason: str | None = None
    duration_s: float = 0.0
    log: str = ""
    log_bytes: int = 0


class StepDecided(NamedTuple):
    """A condition step has its answer, and these steps go on. `error`: why it could not be evaluated, and is false."""

    step: str
    result: bool
    chosen: tuple[str, ...] = ()
    error: str | None = None


class NewStep(NamedTuple):
    """A step that was not in the file. `after` is the id of the step that it is shown below."""

    id: str
    name: str
    after: str
    wave: int
    needs: tuple[str, ...] = ()
    resources: tuple[tuple[str, int], ...] = ()
    stage: Stage = Stage.MAIN


class StepsAdded(NamedTuple):
    """The run has grown: by the parts of a `forEach`, or by what undoes completed steps."""

    steps: tuple[NewStep, ...]


class StageStarted(NamedTuple):
    """Another part of the run than its main one begins; `steps` are those that it may start."""

    stage: Stage
    steps: tuple[str, ...]


class WidthChanged(NamedTuple):
    """From here on at most so many steps run at a time; `reason` is a sentence's end: `load 9.1 on 4 CPUs`."""

    max_concurrency: int
    reason: str


class MemoryShort(NamedTuple):
    """A step that is ready and could have a slot needs more memory than is left. It waits; or it `starts` all the same,
    as no other step that is known to need memory runs. Each is told once of a step."""

    step: str
    needed_bytes: int
    left_bytes: int
    starts: bool


class LeaseAwaited(NamedTuple):
    """A step that is ready and could have a slot waits for units that are not the run's own; `pools` lack them. It has
    no slot meanwhile."""

    step: str
    pools: tuple[str, ...]


class BreakerOpened(NamedTuple):
    """Too many attempts failed: no step that shares this circuit breaker is started any more."""

    breaker: str
    failures: int


class StepFinished(NamedTuple):
    """A step has its outcome, and will not change it.

    `attempts` is 0 for a step that was never started. `reason` says why it did not complete, or was skipped.
    `tolerated`: it failed and the run goes on as if it had not (continueOnError).
    """

    step: str
    outcome: Outcome
    attempts: int = 0
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    tolerated: bool = False
    duration_s: float = 0.0
    """From the start of the last attempt to its end; 0 for a step that was never started."""
    queued_s: float = 0.0
    """From the moment every need was met to the first start."""
    pid: int | None = None
    usage: Usage | None = None
    log_bytes: int = 0
    """Size of the last attempt's log; with 0 there is no such file."""
    stdout_bytes: int = 0
    """How much of it was written to stdout, where that was kept apart; with 0 there is no such file."""
    taken_from: str | None = None
    """The run whose success stands for this step, which was not run again."""


class RunStopping(NamedTuple):
    """Nothing new starts from here on; `reason`: `interrupted (SIGINT)`, `step \\`x\\` failed` …"""

    reason: str


class RunFinished(NamedTuple):
    """The last event. `exit_code` is the one the process ends with."""

    status: Status
    exit_code: int
    reason: str | None = None


Event = (
    RunStarted
    | StepQueued
    | StepStarted
    | StepStopping
    | StepRetrying
    | StepLeftProcesses
    | StepLogCut
    | StepTested
    | StepDecided
    | StepsAdded
    | StageStarted
    | WidthChanged
    | MemoryShort
    | LeaseAwaited
    | BreakerOpened
    | StepFinished
    | RunStopping
    | RunFinished
)


class Entry(NamedTuple):
    """An event as listeners get it, stamped by the engine alone.

    `seq` counts from 1 without gaps; `at` is seconds since the epoch (for people), `elapsed_s` monotonic seconds
    since the run began (for arithmetic); `run` is the run's id.
    """

    seq: int
    at: float
    elapsed_s: float
    run: str
    event: Event
