"""What a step may use, how long it may be silent, and how it is stopped."""

from stepwave.core.building.fields import Found, Given, Reading, conflict, count, one, quoted, text
from stepwave.core.building.fields_units import duration, size
from stepwave.core.model import Limits, StopRule
from stepwave.core.reading import keys


def limits_of(r: Reading, found: Found) -> Limits:
    """Memory, CPU time, open files, output."""
    if _limited.isdisjoint(found):
        return _none
    memory, megabytes = one(r, found, "limits.memory", size), one(r, found, "memoryLimitMb", count)
    if memory is not None and megabytes is not None and memory != megabytes << 20:
        conflict(r, found["limits.memory"], found["memoryLimitMb"])
    cpu = one(r, found, "limits.cpuTime", duration)
    return Limits(
        memory_bytes=memory if megabytes is None else megabytes << 20,
        cpu_s=max(1, -int(-cpu // 1)) if cpu else None,
        open_files=one(r, found, "limits.openFiles", count),
        output_bytes=one(r, found, "limits.outputSize", size),
    )


def idle_of(r: Reading, found: Found) -> float | None:
    """Seconds without a word after which a step is stopped; None: it may be silent."""
    return one(r, found, "idleTimeout", duration) or None


def stop_of(r: Reading, found: Found) -> StopRule:
    """The signal that ends a step, and how long it has before SIGKILL."""
    if "kill.signal" not in found and "kill.grace" not in found:
        return _term
    grace = one(r, found, "kill.grace", duration)
    signal = one(r, found, "kill.signal", _signal)
    return StopRule(signal or _term.signal, _term.grace_s if grace is None else grace)


def _signal(r: Reading, given: Given) -> str | None:
    value = text(r, given)
    if value is None:
        return None
    name = value.upper().removeprefix("SIG")
    if name in keys.signals:
        return name
    help = r.did_you_mean(name, keys.signals) or "write TERM, INT, HUP, QUIT or KILL"
    r.error("bad-value", f"`{given.key}` is {quoted(value)}, which is no signal", given.node.span, help)
    return None


_none, _term = Limits(), StopRule()
_limited = frozenset(("limits.memory", "memoryLimitMb", "limits.cpuTime", "limits.openFiles", "limits.outputSize"))
