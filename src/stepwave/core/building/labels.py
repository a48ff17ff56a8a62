"""How the items of a `forEach` are called in the ids of its steps."""

import re
from collections.abc import Sequence

from stepwave.core.model import Value

MAX_LABEL = 60
_label = re.compile(r"[A-Za-z0-9_.+@:/-]+\Z")


def item_labels(values: Sequence[Value]) -> tuple[str, ...]:
    """What tells the steps of a `forEach` apart, for their ids: the items, when each is a short text without odd
    characters, a number or a boolean, and no two are the same; else their numbers, from 0."""
    labels = [label_of(value) for value in values]
    if all(label is not None for label in labels) and len(set(labels)) == len(labels):
        return tuple(label or "" for label in labels)
    return tuple(str(n) for n in range(len(values)))


def label_of(value: Value) -> str | None:
    """A short text without odd characters, a number or a boolean; None for anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, (str, int, float)) else ""
    return text if len(text) <= MAX_LABEL and _label.match(text) else None
