"""A usage as one flat text, in which it lies in the cache: no field can hold the NUL that stands between them."""

from collections.abc import Iterator

from stepwave.discovery.answers import Target, Usage, Use
from stepwave.discovery.walk import Unread


def packed(usage: Usage) -> bytes:
    fields = [str(n) for n in (len(usage.targets), len(usage.uses), len(usage.unread), usage.possible, usage.scanned)]
    for target in usage.targets:
        fields += [target.symbol, target.what, target.path, str(target.line)]
    for use in usage.uses:
        place = [use.path, str(use.line), str(use.column), str(use.end_column)]
        fields += [*place, use.kind, use.symbol, "1" if use.certain else "", use.text]
    for unread in usage.unread:
        fields += [unread.path, str(unread.line), str(unread.column), unread.reason]
    return "\0".join(fields).encode("utf-8", "surrogatepass")


def unpacked(data: bytes) -> Usage:
    rest = iter(data.decode("utf-8", "surrogatepass").split("\0"))
    targets, uses, unread, possible, scanned = (int(next(rest)) for _ in range(5))
    return Usage(
        tuple(Target(next(rest), next(rest), next(rest), int(next(rest))) for _ in range(targets)),
        tuple(_use(rest) for _ in range(uses)),
        possible,
        scanned,
        tuple(Unread(next(rest), int(next(rest)), int(next(rest)), next(rest)) for _ in range(unread)),
    )


def _use(rest: Iterator[str]) -> Use:
    path, line, column, end_column = next(rest), int(next(rest)), int(next(rest)), int(next(rest))
    return Use(path, line, column, end_column, next(rest), next(rest), next(rest) == "1", next(rest))
