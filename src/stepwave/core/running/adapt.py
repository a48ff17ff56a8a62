"""How many steps may run now, on a machine that has other work to do: `adaptive_scaling`.

The load of other programs is what is left of the load average without our own steps. The average looks back a minute,
and so it still holds steps that have ended meanwhile: our own part is taken as what the width allowed. Otherwise a run
between two waves, on a machine that nobody else uses, would make room for its own shadow.
"""

from stepwave.core.running.needs import PER_STEP_BYTES

SHARE = 0.7
"""Of the memory that is available, so much may be used up."""


def width(
    most: int,
    cpus: int,
    load: float,
    available_bytes: int,
    running: int,
    now_width: int,
    per_step_bytes: int = PER_STEP_BYTES,
) -> tuple[int, str]:
    """How many steps may run at a time, from 1 to `most`, and what bounds that: `load 9.1 on 4 CPUs`.

    `load` is the load average of the last minute, `running` the number of our steps that run now and `now_width` what
    was said last: 0 when none of our steps has run yet, so that all of the load is other programs'.
    `per_step_bytes` is what a step is expected to need.

    Small changes change nothing: the width goes down when what there is room for is 3/4 of a step less, and up when it
    is 3/5 more; for memory, when a whole step has no room, and when one and a half have. With `running` steps going on
    whatever is said, memory never asks for fewer than those.
    """
    now = max(0, min(now_width, most))
    by_load = _by_load(most, max(cpus, 1), load, max(running, now))
    by_memory = running + SHARE * max(available_bytes, 0) / per_step_bytes
    fewer = _bounded(min(by_load + 0.5, by_memory), most)
    more = _bounded(min(by_load + 0.4, by_memory - 0.5), most)
    is_short = fewer < now and (by_load < now - 0.75 or by_memory < now)
    new = fewer if is_short or not now else max(now, more)
    if by_memory < by_load:
        return new, f"{max(available_bytes, 0) / (1 << 30):.1f} GB of memory left"
    return new, f"load {load:.1f} on {'1 CPU' if cpus == 1 else f'{cpus} CPUs'}"


def _by_load(most: int, cpus: int, load: float, own: int) -> float:
    """The same part of the width as others leave us of the CPUs. Steps may wait: it may be more than there are CPUs."""
    others = max(0.0, load - own)
    return max(most, cpus) * (1 - others / cpus)


def _bounded(room: float, most: int) -> int:
    return int(max(1.0, min(room, float(most))))
