"""What a workflow is, once it has been read: frozen values, every default filled in, every unit in seconds.

The three dialects end in `build.py`; from here on there is one vocabulary. Text fields (`argv`, `script`,
`cwd`, `env`, `stdin`) may still hold `{{…}}` references, which are filled in when the step is launched.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

from stepwave.core.diagnostics import Diagnostic, Place

# Values are NamedTuples, not frozen dataclasses: those cost a millisecond each to define, at every start.

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
"""Anything that JSON can say."""

nothing: Mapping[str, Any] = MappingProxyType({})
"""No entries, and never any."""


class Dialect(Enum):
    """Which family a file belongs to. Decides only units of bare numbers and whether `${…}` is ours."""

    CAMEL = "camel"
    SNAKE = "snake"
    PLAN = "plan"


class StepType(Enum):
    SCRIPT = "script"
    AGENT = "agent"
    NOOP = "noop"


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


class Retry(NamedTuple):
    """`attempts` counts the first one too. Delay before attempt n+1: see `retry.retry_delay`."""

    attempts: int = 1
    delay_s: float = 0.0
    backoff: Backoff = Backoff.FIXED
    max_delay_s: float = 60.0
    jitter: bool = False


class StopRule(NamedTuple):
    """How a step is asked to end: this signal first, SIGKILL after the grace period."""

    signal: str = "TERM"
    grace_s: float = 5.0


class Limits(NamedTuple):
    """Resource limits of a step's processes, set in the child only. None: as inherited."""

    memory_bytes: int | None = None
    cpu_s: int | None = None
    open_files: int | None = None


class Stdin(NamedTuple):
    """What a step reads: `text`, or the file at `path` relative to the workflow. Without one: /dev/null."""

    text: str | None = None
    path: str | None = None


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
    agent: str = ""
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
    description: str = ""


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
    scheduling: Scheduling = Scheduling.EAGER
    on_failure: FailurePolicy = FailurePolicy.ABORT
    rate_limit_s: float = 0.0
    metadata: Mapping[str, Value] = nothing
    unbuilt: tuple[Diagnostic, ...] = ()
    """What the file asks for and this version cannot do: such a workflow is refused, not run without it."""
