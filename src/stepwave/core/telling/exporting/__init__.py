"""A recorded run in the forms that other programs read: `export(story, format)`. Pure functions of a `Story`.

Rule 1  Text from a file or a step is data in every one of these forms, and never markup, a sequence that a terminal
        obeys, a formula or a command of a CI system: tests/core/hostile.py feeds all of them.
Rule 2  Nothing is thought up: what is not known is left out.
Rule 3  What grows with the output of steps is bounded; logs are referred to, not held.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import cast

from stepwave.core.telling.exporting.reading import Reading

_writers = {
    "perfetto": ("trace_events", "as_object"),
    "chrome-trace": ("trace_events", "as_array"),
    "junit": ("junit", "as_junit"),
    "csv": ("rows", "as_csv"),
    "json": ("document", "as_json"),
    "otlp-json": ("otlp", "as_otlp"),
    "sarif": ("findings", "as_sarif"),
    "markdown": ("markdown", "as_markdown"),
}
FORMATS = tuple(_writers)

Write = Callable[[Reading], Iterator[str]]


def export(reading: Reading, format: str) -> Iterator[str]:
    """The pieces of the text; a newline ends it. Raises ValueError for a format that is not among FORMATS."""
    if format not in _writers:
        raise ValueError(f"unknown format {format!r}: one of {', '.join(FORMATS)}")
    module, function = _writers[format]
    write = cast("Write", getattr(import_module(f"{__name__}.{module}"), function))
    return write(reading)
