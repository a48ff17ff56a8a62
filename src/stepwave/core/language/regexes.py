"""Regular expressions of files and of data: bounded in time and memory, whatever the pattern and the text.

Rule 1: no pattern is compiled before it has been looked over. The compiler writes counted repetitions out, so that
        twenty characters may ask for gigabytes; and what it knows beyond the usual syntax (recursion, fuzzy matching,
        comments that hide brackets) has costs of its own. Of braces that count nothing the text is meant.
Rule 2: no search takes longer than `MAX_SECONDS`, which are those of the processor where the system counts them.

The standard library's `re` cannot be interrupted: `(a|aa)+$` on 60 characters would stop the whole run. Why `regex`
and not another engine: docs/dependencies.md.
"""

import re
from functools import lru_cache
from typing import Any

from stepwave.core.language.values import MAX_TEXT, BadArgument
from stepwave.core.text import one_line

MAX_PATTERN = 1000
MAX_SIZE = 10_000
"""Characters and classes of a pattern, its counted repetitions written out."""
MAX_GROUPS = 30
"""Groups inside each other."""
MAX_SECONDS = 1.0


class BadPattern(BadArgument):
    """This is no pattern, or not one that is safe to use; `str()` begins with `Invalid regex pattern: `."""

    def __init__(self, pattern: str, reason: str, help: str | None = None) -> None:
        super().__init__(f"Invalid regex pattern: {one_line(pattern, 80)} ({reason})")
        self.help = help


class TooSlow(BadArgument):
    """The search was given up after `MAX_SECONDS`."""

    def __init__(self, pattern: str) -> None:
        shown = one_line(pattern, 80)
        super().__init__(f"the regex pattern `{shown}` takes longer than {MAX_SECONDS:g} s on this text")


def search(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text. The syntax is that of Python's `re`; `^` and `$` are the ends.

    Raises BadPattern, TooSlow, and BadArgument for a text of more than `MAX_TEXT` characters.
    """
    compiled = _compiled(pattern)
    if len(text) > MAX_TEXT:
        raise BadArgument("the text is longer than 1 MiB, too long for a regex")
    try:
        return compiled.search(text, timeout=MAX_SECONDS) is not None
    except (TimeoutError, MemoryError):
        raise TooSlow(pattern) from None


def check_pattern(pattern: str) -> None:
    """Raises BadPattern for what `search` would refuse."""
    _compiled(pattern)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    import regex

    readable = _looked_over(pattern)
    try:
        return regex.compile(readable, regex.VERSION0, cache_pattern=False)
    except regex.error as problem:
        raise BadPattern(pattern, one_line(str(problem), 100), "write it as for Python's `re`") from None
    except (RecursionError, MemoryError, KeyError, ValueError, Warning):
        raise BadPattern(pattern, "it cannot be compiled") from None


# --- looking a pattern over ------------------------------------------------------------------------------------------

_token = re.compile(
    r"""(?P<escape>\\[pPN]\{[^{}]*+\}|\\g<\w*+>|\\.|\\\Z)
      | (?P<set>\[\^?+\]?+(?:\\.|[^\]\\])*+(?:\]|\Z))
      | (?P<note>\(\?\#[^)]*+(?:\)|\Z))
      | (?P<same>\(\?P=\w++\))
      | (?P<flags>\(\?[aims]++\))
      | (?P<open>\(\?(?:[:=!>]|<[=!]|P?<\w++>|[aims]*+(?:-[ims]++)?+:|\(\w++\))|\((?!\?))
      | (?P<close>\))
      | (?P<count>\{(?:(?P<exact>[0-9]++)|(?P<least>[0-9]*+),(?P<most>[0-9]*+))\})
      | (?P<often>[*+?])
      | (?P<brace>\{)
      | (?P<strange>\(\?)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


def _looked_over(pattern: str) -> str:
    """The pattern, with braces that count nothing escaped: they are text, as in Python's `re`. Raises BadPattern."""
    if len(pattern) > MAX_PATTERN:
        raise BadPattern(pattern, f"it has more than {MAX_PATTERN:,} characters")
    parts: list[str] = []
    sizes = _Sizes()
    for token in _token.finditer(pattern):
        if token.lastgroup == "strange":
            raise BadPattern(pattern, f"`{one_line(token.string[token.start() :], 10)}` is not supported")
        parts.append("\\" * (token.lastgroup == "brace") + token[0])
        sizes.add(token)
        if sizes.total > MAX_SIZE:
            raise BadPattern(pattern, f"its repetitions come to more than {MAX_SIZE:,} characters")
        if len(sizes.around) > MAX_GROUPS:
            raise BadPattern(pattern, f"its groups are nested deeper than {MAX_GROUPS} levels")
    return "".join(parts)


class _Sizes:
    """What a pattern comes to when its repetitions are written out. `last` is what a repetition would be of."""

    def __init__(self) -> None:
        self.total = 0
        self.last = 0
        self.around: list[int] = []

    def add(self, token: re.Match[str]) -> None:
        match token.lastgroup:
            case "open":
                self.around.append(self.total)
                self.last = 0
            case "close":
                self.last = self.total - (self.around.pop() if self.around else 0)
            case "count":
                self._repeat(token)
            case "often" | "note" | "flags":
                pass
            case _:
                self.last = 1
                self.total += 1

    def _repeat(self, token: re.Match[str]) -> None:
        digits = token["exact"] or token["most"] or token["least"] or "1"
        times = max(1, int(digits[:9]) if len(digits) < 10 else 10**9)
        self.total += self.last * (times - 1)
        self.last *= times
