"""A step's command as one that can be pasted into a shell: quoted, with its folder, environment and input.

Exact: what is pasted does what the step did. Harmless: a terminal obeys nothing in it, however it is shown.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

from stepwave.core.model import Stdin, Step
from stepwave.core.telling.style import Style


def paste(
    argv: Sequence[str],
    cwd: str,
    env: Mapping[str, str | None],
    own: Mapping[str, str | None],
    style: Style,
) -> str:
    """One command for a POSIX shell that does what the step did: `cd … && NAME=value … argv`.

    `own` holds the names that the workflow itself sets; of stepwave's (WORKFLOW_*, STEPWAVE_*) only those
    are laid over that `argv` speaks of. What a terminal would obey or cannot show is written as `$'\\033'`,
    which bash, zsh and ksh read.
    """
    return at(cwd, invocation(argv, env, own, style), style)


def at(cwd: str, command: str, style: Style) -> str:
    """The command, run in that folder."""
    return f"cd {_shell_word(cwd, style)} && {command}" if cwd else command


def invocation(argv: Sequence[str], env: Mapping[str, str | None], own: Mapping[str, str | None], style: Style) -> str:
    """The words, with the environment that belongs to them; see `paste`."""
    laid = {name: value for name, value in env.items() if name in own or _is_needed(name, argv)}
    words = [f"{name}={_shell_word(value, style)}" for name, value in laid.items() if value is not None]
    if any(value is None for value in laid.values()) or not all(map(_name.fullmatch, laid)):
        # Only env(1) takes names away, and takes names that no shell would.
        taken = [f"-u {_shell_word(name, style)}" for name, value in laid.items() if value is None]
        given = [_shell_word(f"{name}={value}", style) for name, value in laid.items() if value is not None]
        words = ["env", *taken, *given]
    first = _shell_word(argv[0], style)
    if first in _keywords or (first == argv[0] and "=" in first):
        first = f"'{first}'"
    return " ".join([*words, first, *(_shell_word(word, style) for word in argv[1:])])


_name = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ours = re.compile(r"(?:WORKFLOW|STEPWAVE)_\w+")
_keywords = frozenset(
    re.findall(r"\w+", "case coproc do done elif else esac fi for function if in select then time until while")
)


def _is_needed(name: str, argv: Sequence[str]) -> bool:
    return not _ours.fullmatch(name) or any(name in _ours.findall(word) for word in argv)


def fed(command: str, step: Step | None, folder: str, style: Style) -> str:
    """With what the step reads, where that is known without filling in references."""
    stdin = _stdin(step) if step else None
    if step is None or stdin is None or _refers(stdin.text or stdin.path or "", step):
        return command
    if stdin.path is not None:
        return f"{command} < {_shell_word(_joined(folder, step.base, stdin.path), style)}"
    return f"printf %s {_shell_word(stdin.text or '', style)} | {command}"


def _stdin(step: Step) -> Stdin | None:
    if step.function is None:
        return step.stdin
    import json

    return Stdin(text=json.dumps(dict(step.function.params), ensure_ascii=False))


def _refers(text: str, step: Step) -> bool:
    return "{{" in text or (step.dollar and "${" in text)


def _joined(*parts: str) -> str:
    """As a path; an absolute part takes the place of all before it."""
    path = ""
    for part in parts:
        path = part if part.startswith("/") or not path else f"{path}/{part}" if part else path
    return path


_unshowable = re.compile("[\x00-\x09\x0b-\x1f\x7f-\xa0\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


_ci_command = re.compile(r"\n\s*::|##\w*\[")  # what a CI system would obey


def _shell_word(text: str, style: Style) -> str:
    if not _unshowable.search(text) and not _ci_command.search(text) and (style.unicode or text.isascii()):
        return shlex.quote(text)
    return "$'" + "".join(_escaped(char, style) for char in text).replace("##", "\\043#") + "'"


def path_word(path: str, style: Style) -> str:
    """On one line, whatever it is called."""
    return "\\n".join(_shell_word(part, style) for part in path.split("\n"))


def _escaped(char: str, style: Style) -> str:
    if char in "\\'":
        return "\\" + char
    if char != "\n" and not _unshowable.match(char) and (style.unicode or char.isascii()):
        return char
    raw = char.encode("utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass")
    return "\\n" if char == "\n" else "".join(f"\\{byte:03o}" for byte in raw)
