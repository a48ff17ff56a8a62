"""The operating system's word that something has changed in a folder: watchfiles, which needs the extra `watch`.

Rule 1  It is a hint and no more. What has really changed is seen by looking: events are lost when a folder is made and
        filled at once, and come twice when an editor saves by renaming.
Rule 2  Folders are watched one by one, not with all that is below them. So nobody is woken by what nobody reads.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Self

QUIET_MS = 100
"""What comes within so many milliseconds of each other belongs together; a wait ends so long after the last event."""
BURST_MS = 2000
"""The longest that one wait goes on gathering."""
POLL_MS = 300
"""Between two looks of the system's stead, where it says nothing: WATCHFILES_FORCE_POLLING, as watchfiles itself has
it. Network file systems and some containers need that."""

_modified = 2


class CannotWatch(Exception):  # noqa: N818 - a sentence for a person
    """The operating system refuses to watch; the text says why."""


def is_there() -> bool:
    """Whether watchfiles is installed."""
    from importlib.util import find_spec

    return find_spec("watchfiles") is not None


class Watcher:
    """Watches folders, but not what is below their folders, from its making to its end.

    Raises FileNotFoundError when one of them has just gone, CannotWatch when there are too many.
    """

    def __init__(self, folders: Iterable[str], environ: Mapping[str, str]) -> None:
        # Not `watchfiles.watch`, which begins only when it is waited for.
        from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

        polling = environ.get("WATCHFILES_FORCE_POLLING", "").lower() not in ("", "0", "false", "disable", "disabled")
        try:
            self._notify = RustNotify([*folders], False, polling, POLL_MS, False, True)
        except FileNotFoundError:
            raise
        except (OSError, WatchfilesRustInternalError) as problem:
            raise CannotWatch(getattr(problem, "strerror", None) or str(problem)) from None

    def wait(self, names: frozenset[str]) -> None:
        """Until something has changed that may matter, and then until it is quiet: a file whose name is one of `names`
        was written, or anything came or went."""
        while True:
            events = self._notify.watch(BURST_MS, QUIET_MS, 0, None)
            if isinstance(events, str):  # the handler of a signal has raised, and what it raised was dropped
                raise KeyboardInterrupt
            if any(kind != _modified or os.path.basename(path) in names for kind, path in events):  # noqa: PTH119
                return

    def settle(self) -> None:
        """Until nothing has happened for a moment."""
        self._notify.watch(BURST_MS, QUIET_MS, QUIET_MS, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._notify.close()
