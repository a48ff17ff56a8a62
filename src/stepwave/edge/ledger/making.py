"""The steps of a run that say what files they read or make: which of them are up to date, and what becomes of their
outputs. Imported only where there are such steps.

Rule 1  A success is recorded in the commit that records the end of the step, and an attempt before it starts. So what a
        killed run had begun is known, and what it made is not trusted.
Rule 2  The contents of inputs count as they were before the attempt, those of outputs as they were after it.
Rule 3  Whatever cannot be found out means that the step runs.
"""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from stepwave.core.events import Launch
from stepwave.core.model import Step, Workflow
from stepwave.core.running.fingerprint import Definition
from stepwave.edge.ledger import outputs
from stepwave.edge.ledger.connect import Ledger
from stepwave.edge.ledger.expand import TooManyFiles
from stepwave.edge.ledger.hashes import Digests, combined
from stepwave.edge.ledger.lock import is_held
from stepwave.edge.ledger.prints import Details, Known, Prints, known_successes

Row = tuple[Any, ...]
Statement = tuple[str, Row]

_insert_success = "INSERT OR REPLACE INTO successes VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_delete_success = "DELETE FROM successes WHERE file = ? AND step = ?"
_insert_begun = "INSERT OR REPLACE INTO underway VALUES (?, ?, ?, ?, ?)"
_delete_begun = "DELETE FROM underway WHERE file = ? AND step = ? AND run = ?"


class _Begun(NamedTuple):
    """An attempt of this run. `fingerprint` is "" where that cannot be told: an input is missing, or there are too
    many."""

    launch: Launch
    before: outputs.Before
    inputs: Digests
    fingerprint: str


class Making:
    """`rows` are for the next commit. `before` is what the file was called in the run that is continued.

    Its making may raise sqlite3.Error.
    """

    def __init__(self, workflow: Workflow, file: str, ledger: Ledger, run_folder: Path, before: str) -> None:
        self._file = file
        self._run_folder = run_folder
        self._prints = Prints(workflow, ledger.db)
        self._begun: dict[str, _Begun] = {}
        self._rows: list[Statement] = []
        self.known = known_successes(ledger.db, file)
        if before != file:  # it was moved
            self.known = {**known_successes(ledger.db, before), **self.known}
        rows = ledger.db.execute("SELECT step, run, attempt, before FROM underway WHERE file = ?", (file,))
        self._left: list[Row] = [row for row in rows if not is_held(run_folder.parent / row[1])]

    def rows(self) -> list[Statement]:
        rows, self._rows = self._rows, []
        return rows + self._prints.hashes.rows()

    def holds(self, step: Step, launch: Launch, known: Known) -> bool:
        """Whether all is as it was: what the step reads, what it does, and what it made."""
        if not known.outputs:
            return False
        try:
            made, digests = self._prints.made(launch)
            if made.missing or combined(digests) != known.outputs:
                return False
            read, inputs = self._prints.read(launch)
            return not read.missing and self._prints.of(step, launch, inputs) == known.fingerprint
        except TooManyFiles:
            return False

    def forget(self, step: str) -> None:
        """It is undone, so it has not succeeded."""
        self.known.pop(step, None)
        self._rows.append((_delete_success, (self._file, step)))

    def starts(self, step: Step, launch: Launch) -> None:
        """An attempt is ordered to start. What those before it left half made is out of its way then."""
        if launch.attempt == 1:
            self._put_away(step, launch)
        elif step.id in self._begun:
            self._move_aside(step, self._begun[step.id], launch.attempt - 1)
        before = outputs.as_they_lie(launch.outputs)
        try:
            read, inputs = self._prints.read(launch)
            fingerprint = "" if read.missing else self._prints.of(step, launch, inputs)
        except TooManyFiles:
            inputs, fingerprint = {}, ""
        self._begun[step.id] = _Begun(launch, before, inputs, fingerprint)
        if launch.outputs:
            text = json.dumps(outputs.as_plain(before), separators=(",", ":"))
            self._rows.append((_insert_begun, (self._file, step.id, self._run_folder.name, launch.attempt, text)))

    def succeeded(self, step: Step, definition: Definition, exit_code: int | None) -> None:
        """A success, with what it has made. One without all of its outputs will not be recalled."""
        begun = self._take(step)
        if begun is None:
            return
        launch, whole = begun.launch, ""
        digests: Digests = {}
        with suppress(TooManyFiles):
            made, digests = self._prints.made(launch)
            whole = "" if made.missing or not begun.fingerprint else combined(digests)
        details = Details(definition, self._prints.filled(step, launch), begun.inputs, digests)
        text = json.dumps(details, separators=(",", ":"))
        self.known[step.id] = Known(self._run_folder.name, begun.fingerprint, whole, exit_code)
        row = (self._file, step.id, self._run_folder.name, time.time(), begun.fingerprint, whole, exit_code, text)
        self._rows.append((_insert_success, row))

    def failed(self, step: Step, attempt: int) -> str | None:
        """What has become of its outputs, for the end of a sentence."""
        begun = self._take(step)
        if begun is None or not self._move_aside(step, begun, attempt):
            return None
        place = outputs.place_for(self._run_folder, step.id, attempt)
        return f"its outputs were moved to {self._prints.inside(str(place))}"

    def _take(self, step: Step) -> _Begun | None:
        begun = self._begun.pop(step.id, None)
        if begun is not None and begun.launch.outputs:
            self._rows.append((_delete_begun, (self._file, step.id, self._run_folder.name)))
        return begun

    def _move_aside(self, step: Step, begun: _Begun, attempt: int) -> int:
        """What an attempt has made that did not succeed."""
        if step.keep_outputs or not begun.launch.outputs:
            return 0
        target = outputs.place_for(self._run_folder, step.id, attempt)
        return outputs.move_aside(begun.launch.outputs, begun.before, self._prints.top, target)

    def _put_away(self, step: Step, launch: Launch) -> None:
        """What a run that was killed left half done. Its attempt has no end in the ledger."""
        for row in [row for row in self._left if row[0] == step.id]:
            _, run, attempt, before = row
            self._left.remove(row)
            self._rows.append((_delete_begun, (self._file, step.id, run)))
            if not step.keep_outputs:
                target = outputs.place_for(self._run_folder.parent / run, step.id, attempt)
                outputs.move_aside(launch.outputs, outputs.from_plain(json.loads(before)), self._prints.top, target)
