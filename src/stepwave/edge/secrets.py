"""The values of secrets, at the start of a run: from the caller's environment, from files, from commands.

Nothing is fetched to check a file, and nothing but a value is kept: what a command says when it fails is shown, what it
printed is not.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import NamedTuple

from stepwave.core.diagnostics import Diagnostic, error, warning
from stepwave.core.masked import Masks
from stepwave.core.model import Secret
from stepwave.core.secret_forms import MAX_LINES, SHORTEST
from stepwave.core.text import one_line

MAX_BYTES = 1 << 16


class Answer(NamedTuple):
    """What became of a command. `problem`: why it is no answer, a lower-case sentence; what was printed is cut."""

    stdout: bytes = b""
    stderr: bytes = b""
    problem: str | None = None


class Fetched(NamedTuple):
    """Values by name, and what was wrong. The findings and `masks` know of the values that could be had."""

    values: Mapping[str, str]
    findings: tuple[Diagnostic, ...]
    masks: Masks


Read = Callable[[Secret], bytes | str]
"""What a file or a command holds, or why there is nothing: a lower-case sentence."""


def fetch(secrets: Iterable[Secret], environ: Mapping[str, str], read: Read, wanted: Container[str]) -> Fetched:
    """Every value, or why there is none; of names that are not `wanted` nothing is told. One newline at the end of a
    file, or of what a command prints, is no part of the value."""
    values: dict[str, str] = {}
    findings: list[tuple[str, Diagnostic]] = []
    for secret in secrets:
        if secret.env is not None:
            value, problem = _from_environment(secret.env, environ)
        else:
            value, problem = _text(read(secret))
        name = f"`{secret.name}`"
        if problem or not value:
            help = "set it before the run" if secret.env is not None else None
            message = f"secret {name} has no value: {problem or 'it is empty'}"
            findings.append((secret.name, error("missing-secret", message, secret.place, help)))
            continue
        values[secret.name] = value
        if len(value) < SHORTEST:
            message = f"secret {name} is too short to be masked: it has fewer than {SHORTEST} characters"
            help = "whoever reads the logs may read it, too"
            findings.append((secret.name, warning("weak-secret", message, secret.place, help)))
    masks = Masks(values)
    return Fetched(values, tuple(masks.finding(one) for name, one in findings if name in wanted), masks)


def _from_environment(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    if name not in environ:
        return "", f"the environment has no `{name}`"
    return _checked(environ[name])


def _text(data: bytes | str) -> tuple[str, str]:
    if isinstance(data, str):
        return "", data
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return "", "it is no UTF-8 text"
    return _checked(text.removesuffix("\n").removesuffix("\r"))


def _checked(value: str) -> tuple[str, str]:
    """The value and no problem, or the other way round."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return "", "it is no UTF-8 text"
    if size > MAX_BYTES:
        return "", f"it is larger than {MAX_BYTES // 1024} KiB"
    if "\0" in value:
        return "", "it holds a NUL character, which no environment variable can"
    if len(value.splitlines()) > MAX_LINES:
        return "", f"it has more than {MAX_LINES} lines"
    return value, ""


def answered(answer: Answer) -> bytes | str:
    """What the command of a secret printed, or why that is no value."""
    if answer.problem is None:
        return answer.stdout
    said = one_line(answer.stderr.decode("utf-8", "replace"), 500)
    return f"its command {answer.problem}" + (f": {said}" if said else "")
