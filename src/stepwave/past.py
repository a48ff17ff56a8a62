"""What earlier runs of a workflow file leave to a later one: which of them is taken up again, how it was asked for,
what it had brought to an end, and what is different now.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stepwave.core.adjust import closure, dependents, meant
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error
from stepwave.core.model import Stage
from stepwave.core.text import one_line

if TYPE_CHECKING:
    from stepwave.core.model import Workflow
    from stepwave.core.origin import Origin
    from stepwave.core.plan import Plan
    from stepwave.core.running.fingerprint import Definition
    from stepwave.core.summary import Summary
    from stepwave.edge.ledger.connect import Ledger
    from stepwave.edge.ledger.memory import LedgerMemory
    from stepwave.edge.ledger.reader import Run
    from stepwave.edge.ledger.resume import Continued

LATEST = "latest"


class Earlier(NamedTuple):
    """A run that is taken up again. `state` is the folder that its ledger lies in; `file` is what it ran."""

    run: "Run"
    origin: "Origin"
    state: Path

    @property
    def file(self) -> str:
        return self.origin.file


class TakenUp(NamedTuple):
    """A run as it stands to the workflow as it is now.

    `changes` tells by step what is different, in the order of the file. `done` and `of` count the steps that have
    succeeded and still count, and all. `again` are those that run whatever was before, `left_out` those that do not run
    whatever is left to do.
    """

    earlier: Earlier
    continued: "Continued"
    changes: tuple[tuple[str, tuple[str, ...]], ...]
    done: int
    of: int
    again: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()


def file_of(path: str) -> str:
    """How a ledger calls a workflow file or folder; "" for standard input."""
    return "" if path == "-" else os.path.realpath(path)


# --- which run ---------------------------------------------------------------------------------------------


def find(path: str, wanted: str | None, environ: Mapping[str, str], *, of_file: bool = True) -> Earlier | Diagnostic:
    """The run that is called `wanted`, in the ledger that belongs to a workflow file or a folder. With `of_file` LATEST
    and None are the latest run of that file that has not succeeded and was not taken up yet; else the latest of all.

    May raise LedgerUnusable.
    """
    from stepwave.edge.ledger.find import find_run, reading
    from stepwave.edge.ledger.lock import is_held
    from stepwave.edge.ledger.reader import origin_of

    with reading(_states(path, environ)) as ledger:
        if of_file and wanted in (None, LATEST):
            run = (ledger and _latest(ledger, file_of(path))) or _nothing(path)
        else:
            run = find_run(ledger, wanted)
        if isinstance(run, Diagnostic) or ledger is None:
            return run  # type: ignore[return-value]
        found = Earlier(run, origin_of(ledger, run.no), ledger.path.parent)
    if is_held(found.state / "runs" / run.id):
        message = f"run {run.id} is still going on (process {run.pid})"
        return error("run-goes-on", message, Place(COMMAND_LINE), f"`stepwave cancel {run.id}` ends it")
    return found


def _states(path: str, environ: Mapping[str, str]) -> list[Path]:
    from stepwave.edge.files import known_states

    whole = Path(os.path.realpath(path))
    return known_states(whole if whole.is_dir() else whole.parent, environ)


def _nothing(path: str) -> Diagnostic:
    message = f"there is no run of `{one_line(path)}` that could be taken up again"
    help = "every one of them has succeeded, or was taken up already; `stepwave runs` lists them"
    return error("nothing-to-resume", message, Place(COMMAND_LINE), help)


def _latest(ledger: "Ledger", file: str) -> "Run | None":
    from stepwave.edge.ledger.reader import run_of

    query = (
        "SELECT id FROM runs WHERE file = ?1 AND (exit_code IS NULL OR exit_code <> 0)"
        " AND id NOT IN (SELECT resumed_from FROM runs WHERE file = ?1 AND resumed_from IS NOT NULL)"
        " ORDER BY no DESC LIMIT 1"
    )
    row = ledger.db.execute(query, (file,)).fetchone()
    if row is None and (moved := _moved(ledger, file)):
        row = ledger.db.execute(query, (moved,)).fetchone()
    return run_of(ledger, row[0]) if row else None


def _moved(ledger: "Ledger", file: str) -> str | None:
    """What the file was called before it was moved: the latest one of its name that is not there any more."""
    rows = ledger.db.execute("SELECT file FROM runs GROUP BY file ORDER BY max(no) DESC")
    name = os.path.basename(file)  # noqa: PTH119
    gone = (old for (old,) in rows if os.path.basename(old) == name and not os.path.lexists(old))  # noqa: PTH119
    return next(gone, None)


def latest_file(environ: Mapping[str, str]) -> str | None:
    """What the latest run in the ledger of the current folder ran. May raise LedgerUnusable."""
    from stepwave.edge.ledger.find import reading

    with reading(_states(".", environ)) as ledger:
        row = ledger and ledger.db.execute("SELECT file FROM runs ORDER BY no DESC LIMIT 1").fetchone()
    return (row and row[0]) or None


# --- what is left of it ------------------------------------------------------------------------------------


def take_up(earlier: Earlier, plan: "Plan", again: Iterable[str] = ()) -> TakenUp:
    """What the run had brought to an end, and what is different now. Steps in `again` run whatever was before.

    May raise LedgerUnusable.
    """
    from stepwave.edge.ledger.connect import FILE_NAME, unusable
    from stepwave.edge.ledger.find import reading
    from stepwave.edge.ledger.prints import seal_of
    from stepwave.edge.ledger.resume import continued

    with reading([earlier.state]) as ledger:
        if ledger is None:
            raise unusable(earlier.state / FILE_NAME, "is gone", "run the workflow anew")
        left = continued(ledger, plan, earlier.run)
        seal = seal_of(ledger.db)
    restart, left_out = _checkpoints(plan.workflow, left)
    asked = meant(plan.workflow, again)
    if asked:
        left_out |= _beside(plan.workflow, left, asked)
    changes, same = _changes(left, plan.workflow, seal, asked | restart)
    return TakenUp(earlier, left, changes, same, len(plan.steps), asked | restart, left_out)


def _changes(
    left: "Continued", workflow: "Workflow", seal: "object", again: frozenset[str]
) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], int]:
    """By step: the differences to the run that it would be taken over from, or to the last one; and how many steps are
    as they were and have succeeded."""
    from stepwave.core.running.fingerprint import changed, definitions

    now: dict[str, Definition] = definitions(workflow, seal)  # type: ignore[arg-type]
    if not left.before:
        return (), 0
    told: list[tuple[str, tuple[str, ...]]] = []
    same = 0
    for id, definition in now.items():
        before = left.definitions.get(id, left.before.get(id))
        if before is None:
            told.append((id, ("is new",)))
        elif before != definition:
            told.append((id, changed(before, definition)))
        elif id in left.successes and id not in again:
            same += 1
    told += [(id, ("is gone",)) for id in left.before if id not in now]
    return tuple(told), same


def _beside(workflow: "Workflow", left: "Continued", again: frozenset[str]) -> frozenset[str]:
    """What has not succeeded, and neither hangs on these steps nor is needed by what does: it is left as it is."""
    steps = {step.id: step for step in workflow.steps}
    wanted = closure(again, dependents(steps))
    wanted = closure(wanted, {id: step.needs for id, step in steps.items()})
    main = {id for id, step in steps.items() if step.stage is Stage.MAIN}
    return frozenset(main - wanted - left.successes.keys())


def _checkpoints(workflow: "Workflow", left: "Continued") -> tuple[frozenset[str], frozenset[str]]:
    """The steps of phases that run again as a whole, and those that lie before a checkpoint which was reached and had
    ended well enough for others to go on: a failure that was tolerated."""
    again: set[str] = set()
    left_out: set[str] = set()
    needs = {step.id: step.needs for step in workflow.steps}
    for phase in workflow.checkpoints:
        completed = all(id in left.done for id in phase.steps)
        if completed and phase.holds:
            left_out |= closure(phase.steps, needs) & left.tolerated
        elif not completed and phase.restarts:
            again.update(phase.steps)
    return frozenset(again), frozenset(left_out)


# --- the memory of a run -----------------------------------------------------------------------------------


def memory(plan: "Plan", file: str, taken_up: TakenUp | None = None, *, force: bool = False) -> "LedgerMemory":
    """What the run of this plan knows of earlier ones, and leaves to later ones. To be given to `run_plan` and to
    `api.ledger`, which binds it."""
    from stepwave.edge.ledger.memory import LedgerMemory

    if taken_up is None:
        return LedgerMemory(plan, file, force=force)
    return LedgerMemory(plan, file, continued=taken_up.continued, again=taken_up.again, force=force)


# --- how long steps take -----------------------------------------------------------------------------------


def known(plan: "Plan", origin: "Origin", environ: Mapping[str, str]) -> "Plan":
    """The plan with what earlier runs have shown of its steps, as a run of it would have it. May raise
    LedgerUnusable."""
    from stepwave.core.running.fingerprint import definitions, print_of
    from stepwave.core.running.graph import informed
    from stepwave.edge.ledger.find import reading
    from stepwave.edge.ledger.learning import Learning, flow_of
    from stepwave.edge.ledger.prints import seal_of

    with reading(_states(plan.workflow.folder, environ)) as ledger:
        if ledger is None:
            return plan
        seal = seal_of(ledger.db)

        def prints() -> dict[str, str]:
            return {id: print_of(parts) for id, parts in definitions(plan.workflow, seal).items()}

        return informed(plan, Learning(flow_of(origin, plan.workflow.id), prints).recall(ledger.db, plan))


# --- why a step would run ----------------------------------------------------------------------------------


def explain(plan: "Plan", file: str, name: str, environ: Mapping[str, str]) -> list[str]:
    """Why a step, or each of those that a name stands for, would run now, or be reused: a sentence, and a line for each
    difference. May raise LedgerUnusable."""
    from stepwave.edge.ledger.explain import explained
    from stepwave.edge.ledger.find import reading

    ids = meant(plan.workflow, (name,))
    steps = [id for id in plan.steps if id in ids]
    with reading(_states(plan.workflow.folder, environ)) as ledger:
        if ledger is not None:
            return explained(ledger, plan, file, steps, environ)
    return [line for id in steps for line in (f"{id} would run:", "  never succeeded")]


def with_logs_of_others(summary: "Summary") -> "Summary":
    """What a step printed that was not run lies where the run keeps it whose success stands for it."""
    from stepwave.edge.ledger.find import reading
    from stepwave.edge.ledger.logs import logs_of

    taken = {step.taken_from for step in summary.steps} - {None}
    with reading([Path(summary.folder).parent.parent]) as ledger:
        logs = {run: logs_of(ledger, run) for run in taken if ledger and run}
    none = None, None
    found = ((step, logs.get(step.taken_from or "", {}).get(step.id, none)) for step in summary.steps)
    steps = (s._replace(stdout_log=out, stderr_log=log) if s.taken_from else s for s, (out, log) in found)
    return summary._replace(steps=tuple(steps))
