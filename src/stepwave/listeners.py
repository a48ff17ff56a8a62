"""Who is told what happens in a run: factories, each of a listener for one run.

A required listener ends the run when it fails; a courtesy one is muted. Whoever runs a plan says which is which.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepwave.core.origin import Origin
    from stepwave.core.plan import Plan
    from stepwave.core.telling.exporting.sections import Fold
    from stepwave.edge.ledger.writer import Definitions, Remembering
    from stepwave.engine import Listener

Factory = Callable[["Plan", Path], "Listener"]
"""Makes a listener for a run, once its plan and its folder are known."""


def board(*, color: bool, unicode: bool, view: str = "full") -> Factory:
    """The live board, on standard error, which must be a terminal. `view`: `full`, by wave, or `compact`, by slot."""

    def make(plan: "Plan", folder: Path) -> "Listener":
        from rich.console import Console

        from stepwave.core.telling.style import make_style
        from stepwave.edge.screen.board import Board
        from stepwave.edge.screen.sight import View

        console = Console(stderr=True, no_color=not color, highlight=False, emoji=False, markup=False)
        return Board(plan, folder, console, make_style(color=color, unicode=unicode), View(view))

    return make


def lines(
    *, color: bool, unicode: bool, verbose: bool = False, quiet: bool = False, fold: "Fold | None" = None
) -> Factory:
    """Plain lines on standard error, in the order in which things happen; `fold`: see `Lines`."""

    def make(plan: "Plan", folder: Path) -> "Listener":
        from stepwave.core.telling.style import make_style
        from stepwave.edge.screen.lines import Lines

        return Lines(plan, folder, sys.stderr, make_style(color=color, unicode=unicode), verbose, quiet, fold=fold)

    return make


def event_file(path: str) -> Factory:
    """Every event as one line of JSON: schemas/event.schema.json. Raises OSError at once when it cannot be opened.

    A required listener: a full disk ends the run, so that what was asked for is complete or refused.
    """
    from stepwave.edge.event_file import EventFile

    listener = EventFile(Path(path))
    return lambda plan, folder: listener


def ledger(
    origin: "Origin | None" = None,
    *,
    definitions: "Definitions | None" = None,
    memory: "Remembering | None" = None,
    durable: bool = False,
    last: bool = False,
) -> Factory:
    """The record of the run in the ledger of its state folder: a required listener.

    `origin` says how the run was asked for, `definitions` what each step is, for a resume; `memory` tells that too, and
    what else is to be recorded for later runs. `durable`: what is recorded survives a loss of power. `last`: this
    process ends with the run, and does not wait for the ledger to be put away. The factory raises OSError when there
    cannot be a record.
    """

    def make(plan: "Plan", folder: Path) -> "Listener":
        from stepwave.core.telling.sketch import sketch_document
        from stepwave.edge.ledger.begin import begin_record

        sketch = partial(sketch_document, plan)
        return begin_record(folder, origin, definitions, memory, sketch, durable=durable, last=last)

    return make
