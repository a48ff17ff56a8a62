"""A `Flow` as the text of a workflow file, with a comment wherever something of the source has no equivalent.

What is written reads back as exactly the values it was made of; a property test holds it to that.
"""

import re
from collections.abc import Iterator, Mapping
from textwrap import wrap

from stepwave.core.importing.flow import Flow, Note, Step, Yaml
from stepwave.core.text import one_line

WIDTH = 110

_plain_text = re.compile(
    r"(?:--?[A-Za-z]|[A-Za-z0-9_./$~(\\;^=<+])[^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]*"
)
_like_a_value = re.compile(r"[-+.]?[0-9][0-9_.,:a-fox+-]*|\.(inf|nan)|<<|=|[-+]\.inf", re.IGNORECASE)
_is_version = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_words = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"))
_unprintable = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
_flow_breaker = re.compile(r"[\[\]{},:#\n]")


def written(flow: Flow, source: str) -> str:
    """The text of the file. `source` is how comments call the file that it was made of."""
    lines = [f"# Made of {one_line(source)} by `stepwave import`. What has no equivalent is said in comments."]
    lines += _comments(flow.notes, "", source)
    lines += ["", *_entries({"name": flow.name, "version": "1.0.0", **flow.keys}, "")]
    lines += ["steps:", *_steps(flow.steps, source)]
    if flow.last:
        lines += ["finally:", *_steps(flow.last, source)]
    return "\n".join(lines) + "\n"


def _steps(steps: tuple[Step, ...], source: str) -> Iterator[str]:
    for n, step in enumerate(steps):
        if n:
            yield ""
        yield from _comments(step.notes, "  ", source)
        first, *rest = _entries(_keys(step), "    ")
        yield f"  - {first[4:]}"
        yield from rest


def _keys(step: Step) -> Mapping[str, Yaml]:
    keys: dict[str, Yaml] = {"id": step.id}
    if step.name and step.name != step.id:
        keys["name"] = step.name
    if step.needs:
        keys["dependsOn"] = step.needs
    if step.condition:
        keys["condition"] = step.condition
    keys.update(step.more)
    if step.folder not in ("", "."):
        keys["workingDirectory"] = step.folder
    if step.env:
        keys["env"] = step.env
    if step.inputs is not None:
        keys["inputs"] = step.inputs
    if step.outputs:
        keys["outputs"] = step.outputs
    return {**keys, **step.work}


def _comments(notes: tuple[Note, ...], indent: str, source: str) -> Iterator[str]:
    for note in dict.fromkeys(notes):
        where = f"{one_line(note.file or source, 80)}:{note.line}: " if note.line else ""
        text = one_line(f"{where}{note.what}{'; ' if note.advice else ''}{note.advice}", 600)
        for n, line in enumerate(wrap(text, WIDTH - len(indent) - 4, break_on_hyphens=False)):
            yield f"{indent}# {'  ' if n else ''}{line}"


# --- YAML -------------------------------------------------------------------------------------------------------------


def _entries(keys: Mapping[str, Yaml], indent: str) -> Iterator[str]:
    for key, value in keys.items():
        yield from _labelled(f"{indent}{scalar(key, in_flow=True)}:", value, indent)


def _labelled(label: str, value: Yaml, indent: str) -> Iterator[str]:
    """`label value`, on one line where it fits."""
    if isinstance(value, str | int | None):
        if isinstance(value, str) and _is_block(value):
            yield from _block(label, value, indent + "  ")
        else:
            yield f"{label} {scalar(value)}"
        return
    short = _in_one_line(value)
    if short is not None and len(label) + len(short) < WIDTH:
        yield f"{label} {short}"
    elif isinstance(value, Mapping):
        yield label
        yield from _entries(value, indent + "  ")
    else:
        yield label
        for item in value:
            yield from _item(item, indent + "  ")


def _item(item: Yaml, indent: str) -> Iterator[str]:
    if isinstance(item, Mapping) and item:
        first, *rest = _entries(item, indent + "  ")
        yield f"{indent}- {first.strip()}"
        yield from rest
    else:
        yield from _labelled(f"{indent}-", item, indent)


def _in_one_line(value: Yaml) -> str | None:
    """Flow style for short lists of short scalars, and for small mappings of these; else None."""
    if isinstance(value, str | int | None):
        is_short = not isinstance(value, str) or (len(value) <= 60 and "\n" not in value)
        return scalar(value, in_flow=True) if is_short else None
    if isinstance(value, Mapping):
        parts = {key: _in_one_line(part) for key, part in value.items()}
        if value and (len(value) > 4 or any(isinstance(one, Mapping) for one in value.values())):
            return None
        if any(part is None for part in parts.values()):
            return None
        return "{" + ", ".join(f"{scalar(key, in_flow=True)}: {part}" for key, part in parts.items()) + "}"
    items = [_in_one_line(part) for part in value[:200]]
    if len(value) > 200 or any(item is None for item in items) or any(isinstance(one, Mapping) for one in value):
        return None
    return "[" + ", ".join(str(item) for item in items) + "]"


def _is_block(text: str) -> bool:
    """Whether the text can and should be a block of lines."""
    body = text.removesuffix("\n")
    return (
        "\n" in body
        and not body.endswith("\n")
        and not body.startswith((" ", "\n", "\t"))
        and _unprintable.search(text) is None
        and all(line.strip() or not line for line in body.split("\n"))
    )


def _block(label: str, text: str, indent: str) -> Iterator[str]:
    yield f"{label} |" if text.endswith("\n") else f"{label} |-"
    for line in text.removesuffix("\n").split("\n"):
        yield f"{indent}{line}" if line else ""


def scalar(value: str | int | None, *, in_flow: bool = False) -> str:
    """A scalar on one line that reads back as the value. `in_flow`: within `[…]` and `{…}`, or as a key."""
    if not isinstance(value, str):
        return "null" if value is None else str(value).lower()
    if _is_plain(value, in_flow):
        return value
    if re.search(r'[\\"]', value) and not re.search("[\n\t]", value) and not _unprintable.search(value):
        return "'" + value.replace("'", "''") + "'"
    return '"' + _unquotable.sub(_escape, value) + '"'


_unquotable = re.compile(r'[\\"\n\t]|' + _unprintable.pattern)
_short_escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _short_escapes.get(match[0]) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _is_plain(text: str, in_flow: bool) -> bool:
    return (
        _plain_text.fullmatch(text) is not None
        and text == text.strip()
        and ": " not in text
        and " #" not in text
        and "\t" not in text
        and not text.endswith(":")
        and text.lower() not in _words
        and (_like_a_value.fullmatch(text) is None or _is_version.fullmatch(text) is not None)
        and not (in_flow and _flow_breaker.search(text))
    )
