"""Environments from files (`dotenv`): what they say is text and nothing else, never a reference.

A file is read outside of here; its values go into the same mapping as those of `env`, which are filled in when a step
starts. So whatever could be read as a reference is escaped, and comes out as it went in.
"""

from collections.abc import Mapping as Map

from stepwave.core.building.fields import Found, Reading, every, quoted
from stepwave.core.building.fields_many import words
from stepwave.core.diagnostics import Place, error
from stepwave.core.model import Private, nothing
from stepwave.core.reading.document import Span
from stepwave.core.reading.sources import is_path, joined
from stepwave.core.text import one_line


def dotenv_of(r: Reading, found: Found) -> dict[str, str]:
    """All that the files say, each laid over the one before it."""
    values: dict[str, str] = {}
    for given in every(found, "dotenv"):
        for written, span in words(r, given) or ():
            values.update(_read(r, written, span))
    return values


def _read(r: Reading, written: str, span: Span) -> Map[str, str]:
    path = written.removesuffix("?")
    if not is_path(path):
        r.error("cannot-read", f"`dotenv` names {quoted(path)}, which is no path", span, "write it without references")
        return nothing
    whole = joined(r.base, path, r.folder)
    file = r.files.get(whole)
    if isinstance(file, str):
        r.error("cannot-read", file, span)
    elif file is not None:
        for line, reason in file.faults:
            is_of_line = reason.startswith("the line")  # else it is about the file, which then has no first line
            place = Place(file.path or whole, line, 1, line, 1 + is_of_line)
            r.found.append(error("bad-dotenv", reason, place, _help if is_of_line else None))
        return file.values
    elif not written.endswith("?"):
        help = f"write `{one_line(path)}?` if it may be missing"
        r.error("cannot-read", f"{quoted(r.shown(whole))} does not exist", span, help)
    return nothing


_help = "write `NAME=value`, in quotes where the value has more than one line"


def literal(value: str, *, dollar: bool) -> str:
    """A text that comes out of `interpolate.fill` as it went in here. `dollar`: `${…}` is a reference too."""
    escaped = value.replace("{{", "\\{{")
    return escaped.replace("${", "$${") if dollar else escaped


def literals(values: Map[str, str], *, dollar: bool) -> dict[str, str | None]:
    return {name: Private(literal(value, dollar=dollar)) for name, value in values.items()}
