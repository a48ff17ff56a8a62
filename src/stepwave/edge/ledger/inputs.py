"""Which files steps have read the last time that they succeeded."""

import json

from stepwave.edge.ledger.connect import Ledger
from stepwave.edge.ledger.prints import Details


def last_inputs(ledger: Ledger, file: str, steps: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """By step, from the folder of the workflow on. `x` stands for the parts of a `forEach` too: `x[one]`.

    May raise sqlite3.Error.
    """
    rows = ledger.db.execute("SELECT step, details FROM successes WHERE file = ?", (file,))
    return {
        step: tuple(Details(*json.loads(details)).inputs)
        for step, details in rows
        if step in steps or step.partition("[")[0] in steps
    }
