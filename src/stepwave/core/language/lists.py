"""What expressions can do with a list."""

from stepwave.core.language.values import BadArgument, kind_of, member, text_of, truth
from stepwave.core.model import Value

MAX_RANGE = 10_000


def in_order(items: list[Value]) -> Value:
    """Numbers by size, texts by character. Raises BadArgument for a mixture."""
    numbers = [item for item in items if isinstance(item, int | float) and not isinstance(item, bool)]
    texts = [item for item in items if isinstance(item, str)]
    if len(items) not in (len(numbers), len(texts)):
        raise BadArgument("a list of numbers or a list of texts can be sorted, not a mixture")
    return [*sorted(texts)] if texts else [*sorted(numbers)]


def without_repeats(items: list[Value]) -> Value:
    """The first of equal items; a number and its text are not equal here."""
    kept: dict[tuple[str, str], Value] = {}
    for item in items:
        kept.setdefault((kind_of(item), text_of(item)), item)
    return [*kept.values()]


def part(series: str | list[Value], start: int, end: int | None = None) -> Value:
    return series[start:end]


def at(series: str | list[Value], index: int) -> Value:
    """Null where there is nothing, as of `first` and `last`."""
    return series[index] if -len(series) <= index < len(series) else None


def pluck(items: list[Value], key: str) -> list[Value]:
    """This property of every item; null of one that has none."""
    found: list[Value] = []
    for item in items:
        try:
            found.append(member(item, key))
        except KeyError:
            found.append(None)
    return found


def chosen(items: list[Value], key: str | None = None) -> Value:
    """The items that are true, or that have a property that is."""
    wanted = items if key is None else pluck(items, key)
    return [item for item, value in zip(items, wanted, strict=True) if truth(value)]


def is_empty(value: Value) -> bool:
    """Null, empty text, an empty list or object; no number is empty."""
    return value is None or (isinstance(value, str | list | dict) and not value)


def numbers(first: int, end: int | None = None, step: int = 1) -> Value:
    """As Python's `range`, at most `MAX_RANGE` of them. Raises BadArgument."""
    if step == 0:
        raise BadArgument("the third argument must not be 0")
    found = range(first) if end is None else range(first, end, step)
    if len(found) > MAX_RANGE:
        raise BadArgument(f"the list would have more than {MAX_RANGE} items")
    return [*found]
