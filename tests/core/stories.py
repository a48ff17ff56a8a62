"""Runs made by hand, for everything that is made of a `Story`."""

from stepwave.core.events import BY_BRANCH, Outcome, Status, StepDecided, StepTested, Usage
from stepwave.core.model import Stage, StepType
from stepwave.core.telling.story import (
    Attempt,
    Cause,
    Drawn,
    PoolStory,
    StepStory,
    Story,
    Wait,
)

RUN = "20260131-142503-7f3a9c"
EARLIER = "20260130-101500-00ff00"
BEGAN_AT = 1_769_869_503.25
"""2026-01-31T14:25:03.250Z"""


def drawn(id: str, *needs: str, **fields: object) -> Drawn:
    return Drawn(**{"id": id, "name": id, "wave": 0, "needs": needs, "file": "/w/flow.yaml", **fields})  # type: ignore[arg-type]


def attempt(begin_s: float, end_s: float | None, **fields: object) -> Attempt:
    usual = {"number": 1, "slot": 0, "argv": ("/bin/sh", "-e", "-c", "make"), "cwd": "/w"}
    return Attempt(**{"begin_s": begin_s, "end_s": end_s, **usual, **fields})  # type: ignore[arg-type]


def ran(drawn: Drawn, begin_s: float, end_s: float, **fields: object) -> StepStory:
    """A step that completed with its first attempt, in slot 0 unless `slot` says otherwise."""
    slot, log = fields.pop("slot", 0), fields.pop("log", f"logs/{drawn.id}.log")
    failed = fields.get("outcome", Outcome.COMPLETED) is not Outcome.COMPLETED
    usage = Usage(0.8 * (end_s - begin_s), 0.1, 12 << 20)
    one = attempt(begin_s, end_s, slot=slot, exit_code=3 if failed else 0, usage=usage, log=log, log_bytes=120)
    usual = {"outcome": Outcome.COMPLETED, "ready_s": begin_s, "ended_s": end_s, "attempts": (one,)}
    return StepStory(**{"drawn": drawn, **usual, **fields})  # type: ignore[arg-type]


def story(*steps: StepStory, **fields: object) -> Story:
    ends = [step.ended_s for step in steps if step.ended_s is not None]
    usual = {
        "run": RUN,
        "workflow": "flow",
        "name": "A flow",
        "file": "/w/flow.yaml",
        "folder": f"/w/.stepwave/runs/{RUN}",
        "started_at": BEGAN_AT,
        "wall_s": max(ends, default=0.0),
        "status": Status.COMPLETED,
        "alive": False,
        "exit_code": 0,
        "reason": None,
        "max_concurrency": 2,
        "steps": steps,
        "pools": (PoolStory("", 2, ((0.0, 0),)),),
        "widths": ((0.0, 2),),
        "stepwave": "0.1.0",
    }
    return Story(**{**usual, **fields})  # type: ignore[arg-type]


def mixed() -> Story:
    """Ten seconds of everything: a failure after a retry, skips, a branch, parts, a pool, a reused step, a cleaning up.

    Its times hang together: slots never overlap, waits add up, levels are those of the attempts.
    """
    fetch = ran(drawn("fetch", line=4), 0.0, 2.0)
    docs = ran(drawn("docs", line=5), 0.0, 3.0, slot=1)
    lint = StepStory(drawn("lint", line=6), Outcome.COMPLETED, ended_s=0.0, taken_from=EARLIER)
    decided = StepDecided("choose", True, ("build",))
    choose = ran(
        drawn("choose", "fetch", wave=1, line=8, type=StepType.CONDITION, on_true=("build",), on_false=("rest",)),
        *(2.0, 2.0),
        waits=(Wait(0.0, 2.0, Cause.NEED, "fetch"),),
        decision=decided,
        log="",
    )
    build = StepStory(
        drawn("build", "choose", wave=2, name="Build <all>", line=12, resources=(("gpu", 1),)),
        Outcome.FAILED,
        reason="exit code 3",
        ready_s=2.0,
        ended_s=7.0,
        attempts=(
            attempt(2.0, 4.0, reason="exit code 3", exit_code=3, log="logs/0003-build.log", log_bytes=300),
            attempt(6.0, 7.0, number=2, exit_code=3, reason="exit code 3", log="logs/0003-build.2.log", log_bytes=310),
        ),
        waits=(
            Wait(0.0, 2.0, Cause.NEED, "choose"),
            Wait(4.0, 5.0, Cause.RETRY),
            Wait(5.0, 6.0, Cause.POOL, "gpu"),
        ),
    )
    rest = StepStory(drawn("rest", "choose", wave=2, line=16), Outcome.SKIPPED, BY_BRANCH, ended_s=2.0)
    whole = StepStory(
        drawn("parts", "fetch", wave=1, line=18, type=StepType.FAN_OUT),
        Outcome.COMPLETED,
        ready_s=2.0,
        ended_s=6.0,
        attempts=(attempt(2.0, 6.0, slot=-1, argv=(), cwd=""),),
        waits=(Wait(0.0, 2.0, Cause.NEED, "fetch"),),
    )
    part = {"wave": 1, "after": "parts", "line": 18, "resources": (("gpu", 1),)}
    one = ran(
        *(drawn("parts[1]", **part), 4.0, 5.0),
        ready_s=2.0,
        created_s=2.0,
        waits=(Wait(2.0, 4.0, Cause.POOL, "gpu"),),
        tests=(StepTested("parts[1]", 1, "smoke", True, None, 0.25, "logs/parts1.test-1.log", 9),),
    )
    two = ran(
        *(drawn("parts[2]", **part), 5.0, 6.0),
        ready_s=2.0,
        created_s=2.0,
        waits=(Wait(2.0, 5.0, Cause.POOL, "gpu"),),
    )
    ship = StepStory(
        *(drawn("ship", "build", "parts", wave=3, line=22), Outcome.SKIPPED, "Dependencies failed: build"),
        ended_s=7.0,
        waits=(Wait(0.0, 7.0, Cause.NEED, "build"),),
    )
    tidy = ran(
        drawn("tidy", wave=4, line=26, stage=Stage.FINALLY),
        *(7.0, 10.0),
        waits=(Wait(0.0, 7.0, Cause.NEED, "build"),),
        outcome=Outcome.FAILED,
        reason="exit code 3",
        tolerated=True,
    )
    slots = ((0.0, 2), (3.0, 1), (10.0, 0))
    return story(
        *(fetch, docs, lint, choose, build, rest, whole, one, two, ship, tidy),
        status=Status.FAILED,
        exit_code=1,
        reason="Failed steps: build",
        pools=(PoolStory("", 2, slots), PoolStory("gpu", 1, ((0.0, 0), (2.0, 1), (7.0, 0)))),
        critical_path=("fetch", "choose", "build", "tidy"),
    )


def running() -> Story:
    """Of three steps the first has ended, the second runs, the third waits. `wall_s` is now."""
    a = ran(drawn("a"), 0.0, 2.0)
    b = StepStory(
        drawn("b", "a", wave=1),
        ready_s=2.0,
        attempts=(attempt(2.0, None, log="logs/b.log"),),
        waits=(Wait(0.0, 2.0, Cause.NEED, "a"),),
    )
    c = StepStory(drawn("c", "b", wave=2), waits=(Wait(0.0, 5.0, Cause.NEED, "b"),))
    return story(a, b, c, status=None, alive=True, exit_code=None, wall_s=5.0, critical_path=("a", "b"))


def died() -> Story:
    """The same after `kill -9` of its runner."""
    return running()._replace(alive=False)


def layered(steps: int, width: int = 20) -> Story:
    """So many steps in layers of `width`, each needing two of the layer before: what must stay usable when it is large.

    Four slots; every step takes a tenth of a second, but for every fiftieth, which fails and is tolerated.
    """
    slots, took_s = 4, 0.1
    made: list[StepStory] = []
    for n in range(steps):
        layer, column = divmod(n, width)
        above = [f"step-{(layer - 1) * width + (column + shift) % width:05d}" for shift in (0, 1)] if layer else []
        begin_s = n // slots * took_s
        ready_s = max((made[int(need[5:])].ended_s or 0.0 for need in above), default=0.0)
        waits = (
            *([Wait(0.0, ready_s, Cause.NEED, above[-1])] if ready_s > 0 else []),
            *([Wait(ready_s, begin_s, Cause.SLOT, "")] if begin_s > ready_s else []),
        )
        failed = n % 50 == 49
        made.append(
            ran(
                drawn(f"step-{n:05d}", *above, wave=layer, line=n + 3, resources=(("cpu", 1),)),
                *(begin_s, begin_s + took_s),
                slot=n % slots,
                ready_s=ready_s,
                waits=waits,
                outcome=Outcome.FAILED if failed else Outcome.COMPLETED,
                reason="exit code 3" if failed else None,
                tolerated=failed,
            )
        )
    wall_s = made[-1].ended_s or 0.0
    levels = ((0.0, min(slots, steps)), (wall_s, 0))
    path = tuple(f"step-{n:05d}" for n in range(0, steps, slots))
    return story(
        *made,
        max_concurrency=slots,
        widths=((0.0, slots),),
        pools=(PoolStory("", slots, levels), PoolStory("cpu", slots, levels)),
        critical_path=path,
    )
