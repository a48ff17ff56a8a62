"""Keys that mean something in a step of another type only: told, so that none is taken for granted."""

from functools import cache

from stepwave.core.building.fields import Given, Reading, every
from stepwave.core.building.step import BUILT_IN, Draft
from stepwave.core.model import Stage
from stepwave.core.reading.document import Scalar

_owner = {
    **dict.fromkeys(("expression", "onTrue", "onFalse"), "condition"),
    **dict.fromkeys(("agent", "tool", "tasks", "prompt", "parameters"), "agent"),
    **dict.fromkeys(("function", "params"), "function"),
}
_of_commands = ("command", "run", "args", "shell")
_of_processes = (
    *("command", "run", "args", "shell", "cwd", "env", "dotenv", "stdin", "allowedExitCodes"),
    *("idleTimeout", "kill.signal", "kill.grace", "memoryLimitMb"),
    *("limits.memory", "limits.cpuTime", "limits.openFiles", "limits.outputSize"),
    *("retries", "retryCount", "attempts", "retry.delay", "retry.backoff", "retry.maxDelay", "retry.jitter"),
    *("on.exitCodes", "on.timeouts", "on.match"),
    *("inputs", "outputs", "keepOutputs"),
)
"""What says how a process is run, and run again. Not `timeout`: what takes no time keeps it."""


@cache
def _out_of_place(kind: str) -> frozenset[str]:
    """All that may have no effect in a step of this type: few steps have any of it."""
    names = {name for name, owner in _owner.items() if owner != kind} | {"compensation"}
    if kind in ("noop", "condition"):
        names.update(_of_processes, ("tests",))
    elif kind not in ("script", "function"):
        names.update(_of_commands)
    return frozenset(names)


def tell_ignored(r: Reading, draft: Draft) -> None:
    """Warns of what has no effect in a step of this type. Tests that would never run are an error."""
    if _out_of_place(draft.kind).isdisjoint(draft.found):
        return
    said = draft.found["type"].node if "type" in draft.found else None
    if draft.kind == "noop" and not (isinstance(said, Scalar) and said.text == "noop"):
        return  # it is so only for what is wrong with it, which has been told
    runs_nothing = draft.kind in ("noop", "condition")
    for name, owner in _owner.items():
        if owner != draft.kind:
            _tell(r, draft, every(draft.found, name))
    is_started = draft.kind in ("script", "function")  # beside a function a command is an error
    for name in _of_processes if runs_nothing else () if is_started else _of_commands:
        _tell(r, draft, every(draft.found, name))
    for given in every(draft.found, "tests") if runs_nothing else ():
        message = f"`{given.key}` follow a command, and a step of type {draft.kind} has none"
        r.error("misplaced-key", message, given.span, "make each of them a step of its own, with `run:`")
    for given in every(draft.found, "compensation") if draft.stage is Stage.FINALLY else ():
        r.warning("ignored-key", f"`{given.key}` has no effect under `finally`, of which nothing is undone", given.span)


def _tell(r: Reading, draft: Draft, ignored: tuple[Given, ...]) -> None:
    kind = draft.kind if draft.kind in BUILT_IN else f"`{draft.kind}`"
    for given in (one for one in ignored if one.key != "objective"):  # elsewhere a prompt is for people
        r.warning("ignored-key", f"`{given.key}` has no effect in a step of type {kind}", given.span)
