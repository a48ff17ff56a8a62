"""Circuit breakers that several steps share: after so many failed attempts none of them is started any more."""

from collections import Counter
from collections.abc import Mapping


class Breakers:
    """`limits` maps the key of a breaker to the failed attempts that open it."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits
        self._failures: Counter[str] = Counter()

    def failed(self, key: str) -> bool:
        """Counts a failed attempt; True for the one that opens the breaker."""
        self._failures[key] += 1
        return self._failures[key] == self._limits.get(key)

    def is_open(self, key: str) -> bool:
        return key in self._limits and self._failures[key] >= self._limits[key]

    def failures(self, key: str) -> int:
        return self._failures[key]
