"""How a CI system folds lines of its log together, and is kept from obeying those lines.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions (group, stop-commands)
https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
"""

from collections.abc import Callable, Iterable

from stepwave.core.text import no_command, one_line

Fold = Callable[[str, Iterable[str], float], list[str]]
"""From a title, the lines below it and the moment (seconds since the epoch) to all lines as they are printed."""


class Github:
    """`token` is what nobody can guess: only it makes the system listen to commands again."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, title: str, lines: Iterable[str], at: float) -> list[str]:
        del at
        return [f"::group::{_data(title)}", *self.guarded(lines), "::endgroup::"]

    def guarded(self, lines: Iterable[str]) -> list[str]:
        """The lines, and no command among them."""
        return [f"::stop-commands::{self._token}", *map(no_command, lines), f"::{self._token}::"]


class Gitlab:
    """`prefix` keeps the names of sections apart from those of other programs in the job."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __call__(self, title: str, lines: Iterable[str], at: float) -> list[str]:
        name = f"{self._prefix}_{_id_of(title)}"
        start = f"\x1b[0Ksection_start:{int(at)}:{name}[collapsed=true]\r\x1b[0K{one_line(title)}"
        return [start, *lines, f"\x1b[0Ksection_end:{int(at)}:{name}\r\x1b[0K"]

    def guarded(self, lines: Iterable[str]) -> list[str]:
        """Sections begin with an escape sequence, which no line of another's has any more."""
        return list(lines)


def _data(text: str) -> str:
    return one_line(text).replace("%", "%25")


def _id_of(title: str) -> str:
    """Letters, digits, `_`, `.` and `-` is all that the name of a section may have."""
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in title)[:80]
