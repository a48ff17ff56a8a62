"""Which ledger, and which run of it, a person means."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, did_you_mean, error
from stepwave.core.text import one_line
from stepwave.edge.ledger.connect import FILE_NAME, Ledger, open_to_read, telling
from stepwave.edge.ledger.lock import is_held
from stepwave.edge.ledger.reader import Run, run_of, runs
from stepwave.edge.ledger.view import folder_of

LATEST = "latest"


@contextmanager
def reading(states: list[Path]) -> Iterator[Ledger | None]:
    """The first ledger in these state folders; None where there is none yet. Raises LedgerUnusable."""
    for state in states:
        ledger = open_to_read(state / FILE_NAME)
        if ledger is not None:
            try:
                with telling(ledger.path):
                    yield ledger
            finally:
                ledger.close()
            return
    yield None


def find_run(ledger: Ledger | None, word: str | None, *, alive: bool = False) -> Run | Diagnostic:
    """By its id, an unambiguous beginning of one, `latest`, or the name of its workflow, whose latest run it is then.

    None is the latest one; with `alive` the only one that runs.
    """
    if ledger is None:
        return error("no-such-run", "no run is recorded here yet", _here, _elsewhere)
    if word in (None, LATEST):
        return _only_alive(ledger) if alive and word is None else _latest(ledger)
    assert word is not None
    return run_of(ledger, word) or _by_beginning(ledger, word) or _by_name(ledger, word) or _unknown(ledger, word)


_here = Place(COMMAND_LINE)
_elsewhere = "`--file` names the workflow whose runs are meant"


def _latest(ledger: Ledger) -> Run | Diagnostic:
    found = runs(ledger, 1)
    return found[0] if found else error("no-such-run", "no run is recorded here yet", _here, _elsewhere)


def _only_alive(ledger: Ledger) -> Run | Diagnostic:
    found = [run for run in runs(ledger) if run.status is None and is_held(folder_of(ledger, run.id))]
    if len(found) == 1:
        return found[0]
    if not found:
        return error("no-such-run", "nothing is running here", _here, _elsewhere)
    return _ambiguous(f"{len(found)} runs are running", found)


def _ambiguous(sentence: str, found: list[Run]) -> Diagnostic:
    named = ", ".join(f"`{run.id}` ({one_line(run.workflow, 40)})" for run in found[:5])
    return error("ambiguous-run", f"{sentence}: which one?", _here, named + (", …" if len(found) > 5 else ""))


def _by_beginning(ledger: Ledger, word: str) -> Run | Diagnostic | None:
    if not word.replace("-", "").isalnum() or not word.isascii():
        return None
    rows = ledger.db.execute("SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY no DESC", (word, word + "~"))
    found = [run for (id,) in rows if (run := run_of(ledger, id))]
    if len(found) > 1:
        return _ambiguous(f"{len(found)} runs begin with `{word}`", found)
    return found[0] if found else None


def _by_name(ledger: Ledger, word: str) -> Run | None:
    query = "SELECT id FROM runs WHERE workflow = ?1 OR name = ?1 ORDER BY no DESC LIMIT 1"
    row = ledger.db.execute(query, (word,)).fetchone()
    return run_of(ledger, row[0]) if row else None


def _unknown(ledger: Ledger, word: str) -> Diagnostic:
    known = [
        name for row in ledger.db.execute("SELECT id, workflow FROM runs ORDER BY no DESC LIMIT 500") for name in row
    ]
    help = did_you_mean(word, known) or "`stepwave runs` lists them"
    return error("no-such-run", f"there is no run `{one_line(word, 60)}`", _here, help)
