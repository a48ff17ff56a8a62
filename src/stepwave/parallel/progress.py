"""How far a map is: a bar on a terminal, plain lines elsewhere, or the caller's own tqdm."""

import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from stepwave.core.text import duration, one_line

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

BETWEEN_LINES_S = 5.0


@runtime_checkable
class Progress(Protocol):
    """What tqdm has, as far as it is used: told how many more items have ended, and closed at the end."""

    def update(self, n: int, /) -> object: ...

    def close(self) -> object: ...


def open_progress(asked: Any, description: str, total: int | None) -> Progress | None:
    """`asked`: what a map was given as `progress`; what makes one, as the class tqdm, is called. Else TypeError."""
    if asked is False or asked is None:
        return None
    if asked is True:
        return _bar(description, total) if _is_terminal() else _Lines(description, total)
    if _is_factory(asked):
        asked = asked(total=total, desc=description or None)
    if not isinstance(asked, Progress):
        raise TypeError(f"progress must be True, False or have update() and close(), as tqdm has, not {asked!r}")
    return asked


def check_progress(asked: Any) -> None:
    """Raises the TypeError of `open_progress` before anything has begun."""
    if not isinstance(asked, bool | None) and not _is_factory(asked) and not isinstance(asked, Progress):
        raise TypeError(f"progress must be True, False or have update() and close(), as tqdm has, not {asked!r}")


def _is_factory(asked: Any) -> bool:
    """A class has the methods of its objects, but is none of them."""
    return isinstance(asked, type) or (callable(asked) and not isinstance(asked, Progress))


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False  # there is none, or it is closed


class _Lines:
    """A line on standard error when it begins to take long, and one at the end."""

    def __init__(self, description: str, total: int | None) -> None:
        self._description, self._total = one_line(description) or "progress", total
        self._count, self._began = 0, monotonic()
        self._next = self._began + BETWEEN_LINES_S

    def update(self, n: int, /) -> None:
        self._count += n
        if monotonic() >= self._next:
            self._next = monotonic() + BETWEEN_LINES_S
            self._print()

    def close(self) -> None:
        self._print()

    def _print(self) -> None:
        of = "" if self._total is None else f" of {self._total}"
        line = f"{self._description}: {self._count}{of}, {duration(monotonic() - self._began)}\n"
        with suppress(OSError, ValueError, AttributeError):  # nobody reads it: no reason to end what is under way
            sys.stderr.write(line)


class _Bar:
    def __init__(self, bar: "RichProgress", description: str, total: int | None) -> None:
        self._bar = bar
        self._task = bar.add_task(one_line(description), total=total)
        bar.start()

    def update(self, n: int, /) -> None:
        self._bar.advance(self._task, n)

    def close(self) -> None:
        self._bar.stop()


def _bar(description: str, total: int | None) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return _Bar(Progress(*columns, console=Console(stderr=True)), description, total)
