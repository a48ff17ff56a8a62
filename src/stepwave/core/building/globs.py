"""Two patterns of paths: is there a path that both mean?

`*` is any text without `/`, `?` one character, `[a-z]` and `[!a-z]` one of a set, `**` as a whole name any number of
folders. `folder/` and `folder/**` mean all that is below. A last name without wildcards may be that of a folder, and
means what is below it too; with a dot in it (`a.py`) it is that of a file, unless the other pattern goes through it.
`\\` is read as `/`; a leading `./` or `/` means nothing; `.` is everything.

A pattern is an automaton, and the product of two tells whether they meet (Rabin and Scott, 1959). Names are compared
by one product, the paths made of them by another; a search breadth first finds a shortest path that both mean.
"""

from collections import deque
from typing import NamedTuple

MAX_STEPS = 50_000
"""Pairs of states that one comparison may look at. Patterns of a hundred characters need a few hundred."""

MAX_LETTERS = 8
"""Letters that `within` tries."""

Range = tuple[int, int]
Chars = tuple[Range, ...]
"""Characters as ranges of code points, both ends included, in order."""

Name = str | tuple[Chars | None, ...]
"""One part of a path: a plain name, or characters in order, None for any number of any."""


class TooManySteps(Exception):  # noqa: N818 - the patterns are fine
    """The comparison was given up after `MAX_STEPS`."""


class Pattern(NamedTuple):
    """A pattern taken apart. None among `names` stands for any number of names.

    `prefix` are the plain names that it begins with; `is_plain`: it names one file or folder, and has no wildcards
    else; `is_folder`: it means only what is below.
    """

    text: str
    names: tuple[Name | None, ...]
    prefix: tuple[str, ...]
    is_plain: bool
    is_folder: bool


def overlap(a: str | Pattern, b: str | Pattern) -> str | None:
    """A path that both patterns mean, or None. Raises TooManySteps for patterns that are too much work."""
    first, second = (p if isinstance(p, Pattern) else pattern_of(p) for p in (a, b))
    sides = _seen_by(first, second), _seen_by(second, first)
    way = _meet(*sides)
    if way is None:
        return None
    for n, name in enumerate(way):
        if name.startswith("."):  # `x.py` reads better than `.py`
            longer = (*way[:n], f"x{name}", *way[n + 1 :])
            if all(_meet(longer, side) is not None for side in sides):
                way = list(longer)
    return "/".join(way)


def _seen_by(pattern: Pattern, other: Pattern) -> tuple[Name | None, ...]:
    """The names of a pattern; where the other one goes through what looks like a file, it is a folder after all."""
    length = len(pattern.names)
    through = pattern.is_plain and other.prefix[:length] == pattern.prefix and len(other.names) > length
    return (*pattern.names, None) if through and pattern.names[-1] is not None else pattern.names


def within(inner: str | Pattern, outer: str | Pattern) -> bool:
    """Whether all that `inner` means is meant by `outer` too. Where `inner` has wildcards that is told by examples: a
    False is certain, a True is not."""
    first, second = (p if isinstance(p, Pattern) else pattern_of(p) for p in (inner, outer))
    if first.is_plain and not first.is_folder:  # a file, or all of a folder
        return any(_meet((*first.prefix, *below), second.names) is not None for below in ((), (_letter,)))
    letters = [_letter, *dict.fromkeys(char for char in second.text if char not in "/*?[]!^\\")][:MAX_LETTERS]
    examples = (_example(first.names, times, letter) for times in (0, 1, 3) for letter in letters)
    return all(_meet(example, second.names) is not None for example in examples)


# --- taking a pattern apart ------------------------------------------------------------------------------------------


def pattern_of(text: str) -> Pattern:
    """Takes a pattern apart; every text is one."""
    slashed = text.strip().replace("\\", "/")
    parts = _without_dots(slashed)
    names: list[Name | None] = [None if part == "**" else _name(part) for part in parts]
    prefix: list[str] = []
    for name in names:
        if not isinstance(name, str):
            break
        prefix.append(name)
    is_folder = not names or names[-1] is None or slashed.endswith("/")
    while names and names[-1] is None:
        names.pop()
    is_plain = len(prefix) == len(names)
    if is_folder:
        names += [_any_name, None]
    elif isinstance(names[-1], str) and "." not in names[-1]:
        names.append(None)
    return Pattern(text, tuple(names), tuple(prefix), is_plain, is_folder)


def _without_dots(path: str) -> list[str]:
    """The names of a path, `.` left out and `..` taken back where that is possible."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] not in ("..", "**"):
            parts.pop()
        elif part not in ("", ".") and not (part == "**" and parts and parts[-1] == "**"):
            parts.append(part)
    return parts


def _name(part: str) -> Name:
    found: list[Chars | None] = []
    plain: list[str] = []
    at = 0
    while at < len(part):
        chars, end = _piece(part, at)
        if chars is None and found and found[-1] is None:
            at = end
            continue
        if end == at + 1 and part[at] not in "*?":
            plain.append(part[at])
        found.append(chars)
        at = end
    if len(plain) == len(found):
        return part
    return (_any_char, None) if found == [None] else tuple(found)


def _piece(part: str, at: int) -> tuple[Chars | None, int]:
    """What stands at a place of a name, and where the next piece begins."""
    if part[at] == "*":
        return None, at + 1
    if part[at] == "?":
        return _any_char, at + 1
    end = part.find("]", at + 3 if part[at + 1 : at + 2] in ("!", "^") else at + 2) if part[at] == "[" else -1
    if end > 0 and (chars := _set(part[at + 1 : end])):
        return chars, end + 1
    return ((ord(part[at]), ord(part[at])),), at + 1


def _set(inside: str) -> Chars:
    """The characters of `a-z_` or `!a-z`; none where the set is empty."""
    turned = inside[0] in "!^"
    text = inside[turned:]
    ranges: list[Range] = []
    at = 0
    while at < len(text):
        low, high = text[at], text[at]
        at += 1
        if text[at : at + 1] == "-" and at + 1 < len(text):
            high = text[at + 1]
            at += 2
        if low <= high:
            ranges.append((ord(low), ord(high)))
    merged = _merged(ranges)
    return _both(_rest(merged) if turned else merged, _any_char)


def _merged(ranges: list[Range]) -> Chars:
    found: list[Range] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def _rest(ranges: Chars) -> Chars:
    lows = [0, *(high + 1 for _, high in ranges)]
    highs = [*(low - 1 for low, _ in ranges), 0x10FFFF]
    return tuple((low, high) for low, high in zip(lows, highs, strict=True) if low <= high)


_any_char: Chars = ((1, ord("/") - 1), (ord("/") + 1, 0xD7FF), (0xE000, 0x10FFFF))
_any_name: Name = (_any_char, None)


def _both(a: Chars, b: Chars) -> Chars:
    found = []
    i = j = 0
    while i < len(a) and j < len(b):
        low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if low <= high:
            found.append((low, high))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


# --- two products ----------------------------------------------------------------------------------------------------

State = tuple[int, int, int]
Origins = dict[State, tuple[State, str] | None]
"""How each pair of states was reached: from which one, over which name or character ("" for none). The third number
is for names, of which `.` and `..` are none: how many dots there are so far, 3 for anything else."""


class _Work:
    """What is left of the steps that a comparison may take."""

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise TooManySteps


def _meet(a: tuple[Name | None, ...], b: tuple[Name | None, ...]) -> list[str] | None:
    """Names of a shortest path that both sequences mean."""
    work = _Work()
    known: dict[tuple[Name, Name], str | None] = {}
    came: Origins = {(0, 0, 0): None}
    todo = deque([(0, 0, 0)])
    while todo:
        state = todo.popleft()
        work.spend()
        i, j, _ = state
        if i == len(a) and j == len(b):
            return _way(came, state)
        for after, name in _names_from(a, b, i, j, known, work):
            if after not in came:
                came[after] = (state, name)
                (todo.append if name else todo.appendleft)(after)
    return None


def _names_from(
    a: tuple[Name | None, ...],
    b: tuple[Name | None, ...],
    i: int,
    j: int,
    known: dict[tuple[Name, Name], str | None],
    work: _Work,
) -> list[tuple[State, str]]:
    """The states after (i, j), and the name that leads there; a `**` may end at any time, which takes none."""
    left, right = a[i : i + 1], b[j : j + 1]
    found: list[tuple[State, str]] = []
    if left == (None,):
        found.append(((i + 1, j, 0), ""))
    if right == (None,):
        found.append(((i, j + 1, 0), ""))
    if not left or not right or left == right == (None,):
        return found
    one, other = left[0] or _any_name, right[0] or _any_name
    if (one, other) not in known:
        known[one, other] = _common_name(one, other, work)
    name = known[one, other]
    if name is not None:
        found.append(((i + (left != (None,)), j + (right != (None,)), 0), name))
    return found


def _common_name(a: Name, b: Name, work: _Work) -> str | None:
    """A shortest name that both mean."""
    if isinstance(a, str) and isinstance(b, str):
        return a if a == b else None
    a, b = _spelled(a), _spelled(b)
    came: Origins = {(0, 0, 0): None}
    todo = deque([(0, 0, 0)])
    while todo:
        state = todo.popleft()
        work.spend()
        if state == (len(a), len(b), 3):
            return "".join(_way(came, state))
        for after, char in _chars_from(a, b, *state):
            if after not in came:
                came[after] = (state, char)
                (todo.append if char else todo.appendleft)(after)
    return None


def _spelled(name: Name) -> tuple[Chars | None, ...]:
    return tuple(((ord(char), ord(char)),) for char in name) if isinstance(name, str) else name


def _chars_from(
    a: tuple[Chars | None, ...], b: tuple[Chars | None, ...], i: int, j: int, dots: int
) -> list[tuple[State, str]]:
    left, right = a[i : i + 1], b[j : j + 1]
    found: list[tuple[State, str]] = []
    if left == (None,):
        found.append(((i + 1, j, dots), ""))
    if right == (None,):
        found.append(((i, j + 1, dots), ""))
    if not left or not right or left == right == (None,):
        return found
    common = _both(left[0] or _any_char, right[0] or _any_char)
    if common:
        char = _nice(common)
        dots = min(dots + 1, 3) if char == "." else 3
        found.append(((i + (left[0] is not None), j + (right[0] is not None), dots), char))
    return found


def _nice(chars: Chars) -> str:
    """A character of the set that reads well, where it has one; a dot only where there is nothing else."""
    for wanted in "xa0_":
        if any(low <= ord(wanted) <= high for low, high in chars):
            return wanted
    found = [code for low, high in chars for code in (low, high) if code != ord(".")]
    return chr(next((code for code in found if code > 32), found[0] if found else ord(".")))


def _way(came: Origins, state: State) -> list[str]:
    found: list[str] = []
    while (step := came[state]) is not None:
        state, name = step
        if name:
            found.append(name)
    return found[::-1]


# --- examples --------------------------------------------------------------------------------------------------------

_letter = chr(0xE000)
"""One that hardly any pattern has."""


def _example(names: tuple[Name | None, ...], times: int, letter: str) -> tuple[Name, ...]:
    """One path that the names mean; every wildcard in it is this letter, so many times, where it may be."""
    found: list[Name] = []
    for name in names:
        if name is None:
            found += [letter * times] * times
        elif isinstance(name, str):
            found.append(name)
        else:
            found.append("".join(_letters(chars, times, letter) for chars in name))
    return tuple(found)


def _letters(chars: Chars | None, times: int, letter: str) -> str:
    if chars is None:
        return letter * times
    if any(low <= ord(letter) <= high for low, high in chars):
        return letter
    low, high = chars[min(times, len(chars) - 1)]
    return chr(low if times or high == ord(".") else high)  # `.` alone is no name
