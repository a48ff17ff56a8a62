"""What a workflow is, once it has been read: frozen values, every default filled in, every unit in seconds.

The three dialects end in `build.py`; from here on there is one vocabulary. Text fields (`argv`, `script`,
`cwd`, `env`, `stdin`) may still hold `{{…}}` references, which are filled in when the step is launched.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

from stepwave.core.diagnostics import Place

# Values are NamedTuples, not frozen dataclasses: those cost a millisecond each to define, at every start.

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
"""Anything that JSON can say."""

nothing: Mapping[str, Any] = MappingProxyType({})
"""No entries, and never any."""


JOBSERVER = "jobserver"
"""The pool of the tokens of make, where a run takes some: every step with a process takes one."""
RATE_LIMIT = "rate limit"
"""The pool of the turns of a rate limit that several runs share: a step with a process needs one in order to start."""


class Private(str):
    """Text that no record may hold as it is: what a file of `dotenv` says."""

    __slots__ = ()


class Dialect(Enum):
    """Which family a file belongs to. Decides only units of bare numbers and whether `${…}` is ours."""

    CAMEL = "camel"
    SNAKE = "snake"
    PLAN = "plan"


class StepType(Enum):
    """What happens when the step's turn comes. Functions, and agents with a profile, are commands like any other."""

    SCRIPT = "script"
    """A process."""
    AGENT = "agent"
    """An agent or tool that nothing here can carry out: the step fails."""
    NOOP = "noop"
    CONDITION = "condition"
    """Decides which of the steps that it names go on."""
    FAN_OUT = "fan-out"
    """A `forEach` over what another step brings: becomes one step for each item."""


class Stage(Enum):
    """The parts of a run, in order. Each begins when all steps of those before it have ended."""

    CHECK = "check"
    """`pre_flight_checks`: a failure ends the run before anything else has started."""
    MAIN = "main"
    ACCEPT = "accept"
    """`acceptance_tests` of the workflow: only after success."""
    ROLLBACK = "rollback"
    """`compensation` of what had been completed: only without success. These steps are added then."""
    FINALLY = "finally"
    """Whatever happened, after Ctrl-C too."""


STAGES = tuple(Stage)
CLEAN_UP = frozenset((Stage.ROLLBACK, Stage.FINALLY))
"""What a failure, a deadline or Ctrl-C before it does not keep from starting."""


class FailurePolicy(Enum):
    """What an untolerated failure means for the rest of the run."""

    ABORT = "abort"
    SKIP_DEPENDENTS = "skip_dependents"
    CONTINUE = "continue"


class Scheduling(Enum):
    EAGER = "eager"
    WAVES = "waves"


class Backoff(Enum):
    FIXED = "fixed"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class RetryOn(NamedTuple):
    """Which failures are tried again: any that one of these says. `patterns` are searched for in the output."""

    exit_codes: tuple[int, ...] = ()
    timeout: bool = False
    patterns: tuple[str, ...] = ()


class Retry(NamedTuple):
    """`attempts` counts the first one too. Delay before attempt n+1: see `retry.retry_delay`.

    `on`: None tries every failure again. `max_repeats`: give up once the same error has come back more often.
    """

    attempts: int = 1
    delay_s: float = 0.0
    backoff: Backoff = Backoff.FIXED
    max_delay_s: float = 60.0
    jitter: bool = False
    on: RetryOn | None = None
    max_repeats: int | None = None


class StopRule(NamedTuple):
    """How a step is asked to end: this signal first, SIGKILL after the grace period."""

    signal: str = "TERM"
    grace_s: float = 5.0


class Limits(NamedTuple):
    """Resource limits of a step's processes, set in the child only. None: as inherited."""

    memory_bytes: int | None = None
    cpu_s: int | None = None
    open_files: int | None = None
    output_bytes: int | None = None
    """What the step may print: one that prints more is stopped, and has failed."""


class Stdin(NamedTuple):
    """What a step reads: `text`, or the file at `path` relative to the workflow. Without one: /dev/null."""

    text: str | None = None
    path: str | None = None


class Rule(NamedTuple):
    """What a condition step asks. `operator` is one of the twelve comparisons of `left` and `right`, or `and`, `or`,
    `not` over `rules`, or `expression`: then `left` is the text of an expression.

    Texts in `left` and `right` may hold references, in lists and objects too.
    """

    operator: str
    left: Value = None
    right: Value = None
    rules: tuple["Rule", ...] = ()


class Branch(NamedTuple):
    """A condition step: its rule, and the ids of the steps that wait for its answer.

    `lenient`: a rule that cannot be evaluated counts as false (continueOnError), and does not fail the step.
    """

    rule: Rule
    on_true: tuple[str, ...] = ()
    on_false: tuple[str, ...] = ()
    lenient: bool = False


class AcceptanceTest(NamedTuple):
    """A shell command that must exit with 0 once its step has. `timeout_s` None: that of the step."""

    id: str
    script: str
    timeout_s: float | None = None
    description: str = ""


class Agent(NamedTuple):
    """What an agent or tool is asked. Texts may hold references, in `parameters` too."""

    name: str
    prompt: str | None = None
    tasks: tuple[str, ...] = ()
    parameters: Mapping[str, Value] = nothing


class Function(NamedTuple):
    """A Python function, called in a process of its own: `module.path:name`, and the keyword arguments.

    `place` is where it is named in the file. Texts in `params` may hold references, in lists and objects too.
    """

    target: str
    place: Place
    params: Mapping[str, Value] = nothing


class Secret(NamedTuple):
    """Where the value of a secret comes from when a run begins: a variable of the caller's environment, a file, or what
    a command prints. `path` starts from the folder of the workflow; the command runs in `base`, as `Step.base` has it.
    """

    name: str
    place: Place
    env: str | None = None
    path: str | None = None
    argv: tuple[str, ...] = ()
    base: str = ""


class Step(NamedTuple):
    """One node of the graph.

    `argv` is what is executed. When `script` is not None it is shell text and `argv` the shell that
    reads it (`/bin/sh -e -c`), to which the script is appended. `cwd` is relative to the workflow file's folder.
    """

    id: str
    place: Place
    name: str = ""
    type: StepType = StepType.SCRIPT
    argv: tuple[str, ...] = ()
    script: str | None = None
    agent: Agent | None = None
    function: Function | None = None
    branch: Branch | None = None
    for_each: str | None = None
    """Text of the reference to the list, of a step of type FAN_OUT; the step itself is what each item becomes."""
    family: str = ""
    """The id in the file, of a step that is one of several: of a matrix or a `forEach`."""
    bindings: Mapping[str, Value] = nothing
    """Names that stand for something in this step alone: `matrix`, `item`, `index`."""
    stage: Stage = Stage.MAIN
    base: str = ""
    """The folder of the file that the step stands in, relative to that of the workflow, which "" is, or absolute."""
    scope: str = ""
    """Prefix of its id (`lib.` of an included file, `ws.` of a workstream). An id in its texts is looked for with the
    prefix first, then with ever shorter ones: see `stepwave.core.language.scoped`."""
    dollar: bool = False
    """Whether `${NAME}` is a reference in its texts (snake and plan dialect)."""
    cwd: str = "."
    env: Mapping[str, str | None] = nothing
    stdin: Stdin | None = None
    needs: tuple[str, ...] = ()
    condition: str | None = None
    timeout_s: float | None = None
    retry: Retry = Retry()
    allowed_exit_codes: tuple[int, ...] = (0,)
    continue_on_error: bool = False
    on_failure: FailurePolicy | None = None
    isolate_errors: bool = True
    shielded: bool = False
    """isolateErrors was written as true on the step itself: a sibling's failure does not reach it."""
    exclusive: bool = False
    max_concurrency: int | None = None
    resources: tuple[tuple[str, int], ...] = ()
    priority: int = 0
    estimate_s: float | None = None
    stop: StopRule = StopRule()
    limits: Limits = Limits()
    idle_s: float | None = None
    """How long it may print nothing."""
    success_pattern: str | None = None
    """Regular expression that the end of its output must match, or else it has failed."""
    failure_pattern: str | None = None
    """Regular expression that the end of its output must not match."""
    tests: tuple[AcceptanceTest, ...] = ()
    undo: "Step | None" = None
    """Its compensation, of stage ROLLBACK: not a part of the graph until it is needed."""
    breaker: str = ""
    """Key of `Workflow.breakers`: the failures of all steps with this key are counted together. "" for none."""
    inputs: tuple[str, ...] | None = None
    """Patterns of the files that it reads, from the folder of its file on. None: nobody knows, so it always runs."""
    outputs: tuple[str, ...] = ()
    """Patterns of the files that it makes."""
    keep_outputs: bool = False
    """They stay where they are when it fails."""
    secrets: tuple[str, ...] = ()
    """Names of the secrets that it gets in its environment."""
    description: str = ""


class Checkpoint(NamedTuple):
    """A phase, by the ids of its steps. `holds`: once it has been completed, what lies before its end is not run again
    when a run is taken up again, not even what had failed and was tolerated. `restarts`: as long as it has not been,
    all of it is run again."""

    phase: str
    steps: tuple[str, ...]
    holds: bool = False
    restarts: bool = False


class Workflow(NamedTuple):
    """A whole file. `pools` maps a resource name to its units; `max_concurrency` None means auto."""

    id: str
    place: Place
    steps: tuple[Step, ...]
    name: str = ""
    version: str = "1.0.0"
    description: str = ""
    dialect: Dialect = Dialect.CAMEL
    folder: str = "."
    timeout_s: float | None = None
    env: Mapping[str, str | None] = nothing
    variables: Mapping[str, Value] = nothing
    parallel: bool = True
    max_concurrency: int | None = None
    pools: Mapping[str, int] = nothing
    host_pools: frozenset[str] = frozenset()
    """Those of the pools that all runs on this machine share."""
    scheduling: Scheduling = Scheduling.EAGER
    on_failure: FailurePolicy = FailurePolicy.ABORT
    rate_limit_s: float = 0.0
    rate_limit_host: str = ""
    """Name of the rate limit that it shares with other runs on this machine; "": it is the run's own."""
    adaptive: bool = False
    """Fewer steps at a time while the machine is busy or short of memory."""
    min_free_bytes: int | None = None
    """So much memory is left to other programs; None: nobody has asked for that."""
    breakers: Mapping[str, int] = nothing
    """Failed attempts after which the steps that share a breaker are not started any more."""
    rollback_parallel: bool = False
    private: frozenset[str] = frozenset()
    """Variables that have their value from the caller's environment, so that no record may hold it."""
    secrets: tuple[Secret, ...] = ()
    """All that its steps get. No text of the workflow holds a value."""
    checkpoints: tuple[Checkpoint, ...] = ()
    """The phases that say something about runs that are taken up again."""
    metadata: Mapping[str, Value] = nothing
