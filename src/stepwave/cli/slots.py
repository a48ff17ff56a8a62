"""The slots that a run shares with make: those of the make that called it, or its own for the makes within it."""

import os
from typing import TYPE_CHECKING

from stepwave.cli import terminal
from stepwave.core.makeflags import STYLES, read_flags
from stepwave.core.plan import Plan

if TYPE_CHECKING:
    from stepwave.cli.running import Asked
    from stepwave.edge.jobserver.place import Place


def heeded(asked: "Asked") -> "Asked":
    """`make -n` shows what would be done, and so do those that it calls with `+`, which it calls all the same."""
    if asked.jobserver == "none" or asked.dry_run or not read_flags(os.environ["MAKEFLAGS"]).only_asks:
        return asked
    if not asked.quiet:
        terminal.talk(["stepwave: make only asks (-n, -q or -t): nothing is started"])
    return asked._replace(dry_run=True)


def opened(asked: "Asked", plan: Plan) -> "tuple[Place | None, Plan]":
    """The job server to take part in, if any, and the plan with the width that it allows. Raises OSError when a server
    that was asked for cannot be made."""
    if asked.executor not in (None, "local"):
        return None, plan  # what works elsewhere takes no slot of this machine
    from stepwave.edge.jobserver.place import NotJoined, joined, served

    place = None
    if asked.jobserver != "none":
        try:
            place = joined(os.environ)
        except NotJoined as problem:
            terminal.talk([f"stepwave: {problem}; the steps run beside its jobs", *_help(problem.help)])
    if place is None:
        if asked.jobserver in STYLES:
            place = served(plan.max_concurrency, asked.jobserver, os.environ)
        return place, plan
    is_free = asked.max_concurrency is None and plan.workflow.max_concurrency is None and plan.workflow.parallel
    return place, plan._replace(max_concurrency=place.jobs) if is_free and place.jobs else plan


def _help(text: str | None) -> list[str]:
    return [f"  = help: {text}"] if text else []
