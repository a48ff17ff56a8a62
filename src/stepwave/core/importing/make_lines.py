"""A Makefile as logical lines: what a backslash joins is one line, recipes are told from everything else.

Only lines are told apart here, by how they begin; what they mean says `make_read`.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple


class At(NamedTuple):
    """Where something stands. `file` is "" for the source itself."""

    file: str
    line: int


class Logical(NamedTuple):
    """`is_recipe`: it began with the sign of a recipe, which is taken away; `\\`-newlines are still in it."""

    text: str
    at: At
    is_recipe: bool = False


def logical_lines(text: str, file: str, first: int = 1, prefix: str = "\t") -> Iterator[Logical]:
    physical = text.replace("\r\n", "\n").split("\n")
    n = 0
    while n < len(physical):
        start = n
        while n < len(physical) - 1 and _goes_on(physical[n]):
            n += 1
        n += 1
        parts = physical[start:n]
        at = At(file, first + start)
        if parts[0].startswith(prefix):
            rest = [part.removeprefix(prefix) for part in parts[1:]]
            yield Logical("\n".join((parts[0][len(prefix) :], *rest)), at, True)
        else:
            yield Logical(_joined(parts), at)


def _goes_on(line: str) -> bool:
    return line.endswith("\\") and (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _joined(parts: list[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    first, *middle = (part[:-1] if _goes_on(part) else part for part in parts)
    return " ".join((first.rstrip(), *(part.strip() for part in middle)))


_comment = re.compile(r"(\\*)#")


def without_comment(line: str) -> str:
    r"""`\#` is the sign itself; within `$(…)` it begins a comment all the same."""
    if "#" not in line:
        return line
    parts, at = [], 0
    for match in _comment.finditer(line):
        slashes = len(match[1])
        parts.append(line[at : match.start()] + "\\" * (slashes // 2))
        if slashes % 2 == 0:
            return "".join(parts)
        parts.append("#")
        at = match.end()
    return "".join(parts) + line[at:]


_pairs = {"(": ")", "{": "}"}


def closing(text: str, start: int) -> int:
    """The offset of the bracket that closes the one at `start`, counting brackets of its kind; -1 without one."""
    opener = text[start]
    closer = _pairs[opener]
    depth = 0
    for match in re.compile(f"[{re.escape(opener + closer)}]").finditer(text, start):
        depth += 1 if match[0] == opener else -1
        if depth == 0:
            return match.start()
    return -1


_sign = re.compile(r"\$.|[:=;|]", re.DOTALL)


def find_outside(text: str, signs: str) -> int:
    """The first of these signs that is not within `$(…)`; -1 if there is none."""
    at = 0
    while match := _sign.search(text, at):
        at = match.end()
        if match[0][0] != "$":
            if match[0] in signs:
                return match.start()
        elif match[0][1] in "({":
            end = closing(text, match.start() + 1)
            at = end + 1 if end >= 0 else len(text)
    return -1
