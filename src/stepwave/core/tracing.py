"""What makes a run a part of a distributed trace: W3C Trace Context, level 1 (https://www.w3.org/TR/trace-context/).

Every identifier is a digest of the run's id and, of an attempt, of its step and number: what a step was given can be
worked out again from the record of the run, which keeps none of them.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from stepwave.core.digest import hex_digest

VARIABLE = "TRACEPARENT"
STATE_VARIABLE = "TRACESTATE"


class Trace(NamedTuple):
    """`id`: 32 hexadecimal digits. `parent`: the span of the caller, 16 of them, "" for none. `flags`: two."""

    run: str
    id: str
    parent: str = ""
    flags: str = "01"

    def span(self, step: str | None = None, attempt: int = 1) -> str:
        """The span of the run, or of an attempt of a step."""
        return hex_digest(self.run if step is None else f"{self.run}\0{step}\0{attempt}", 8)

    def parent_of(self, step: str, attempt: int) -> str:
        """The TRACEPARENT of an attempt: what it traces belongs below its span."""
        return f"00-{self.id}-{self.span(step, attempt)}-{self.flags}"


_traceparent = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


def trace_of(run: str, traceparent: str | None = None) -> Trace:
    """The trace that the caller's TRACEPARENT names goes on; where there is none, or an invalid one, one begins."""
    found = _traceparent.fullmatch(traceparent.strip()) if traceparent else None
    if found is None or not _is_valid(*found.groups()):
        return Trace(run, hex_digest(run, 16))
    _, trace, parent, flags, _ = found.groups()
    return Trace(run, trace, parent, flags)


def _is_valid(version: str, trace: str, parent: str, flags: str, rest: str | None) -> bool:
    """Only a later version may say more; identifiers that are all zeros mean nothing."""
    del flags
    return version != "ff" and not (version == "00" and rest) and bool(trace.strip("0")) and bool(parent.strip("0"))


def environment(trace: Trace | None, step: str, attempt: int, env: Mapping[str, str | None]) -> dict[str, str | None]:
    """`env` as an attempt is given it: with the trace that it belongs to, unless it says so itself."""
    given = {name: value and str(value) for name, value in env.items()}  # marshal takes no `Private`
    if trace is not None and VARIABLE not in given:
        given[VARIABLE] = trace.parent_of(step, attempt)
        if not trace.parent:
            given.setdefault(STATE_VARIABLE, None)  # of a trace that nobody knows of
    return given
