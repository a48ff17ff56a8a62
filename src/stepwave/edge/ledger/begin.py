"""The beginning of a record: the ledger of the state folder that the run's folder is in."""

from contextlib import suppress
from pathlib import Path

from stepwave.edge.ledger.connect import FILE_NAME, open_ledger, telling, unusable, without_locks
from stepwave.edge.ledger.lock import FILE_NAME as LOCK
from stepwave.edge.ledger.lock import is_held
from stepwave.edge.ledger.origin import Origin
from stepwave.edge.ledger.writer import Definitions, LedgerWriter, Remembering, Sketching


def begin_record(
    folder: Path,
    origin: Origin | None,
    definitions: Definitions | None,
    memory: Remembering | None = None,
    sketch: Sketching | None = None,
    *,
    durable: bool = False,
    last: bool = False,
) -> LedgerWriter:
    """`folder` is `<state>/runs/<run>`, whose lock this process holds; when LedgerUnusable is raised, it is gone.

    `memory` is bound to the ledger, and asked for the definitions. `durable`: see `open_ledger`; `last`: LedgerWriter.
    """
    try:
        if not is_held(folder):
            raise unusable(folder / LOCK, *without_locks)
        ledger = open_ledger(folder.parent.parent / FILE_NAME, durable=durable)
        if memory is not None:
            with telling(ledger.path):
                memory.bind(ledger, folder)
            definitions = memory.definitions
    except OSError:
        with suppress(OSError):  # nothing has been started: nothing is left
            (folder / "logs").rmdir()
            (folder / LOCK).unlink()
            folder.rmdir()
        raise
    return LedgerWriter(ledger, origin or Origin(), definitions, memory, sketch, last=last)
