"""Small programs in which the answer is marked: `«call:foo»` is the word foo, and one has to find it there as a call.

A file begins with `# name.py` on a line of its own. Marks are taken out before the file is written. `«~call:foo»` is
a possible use.
"""

import re
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from stepwave.discovery.answers import Query, Usage
from stepwave.discovery.usage import usage_of

Place = tuple[str, int, int, str]

_mark = re.compile(r"«(~?)(\w+):(\w+)»")


def written(folder: Path, text: str) -> tuple[set[Place], set[Place]]:
    """Write the files of a program; the places where something is found for certain, and where possibly."""
    certain: set[Place] = set()
    possible: set[Place] = set()
    name = ""
    files: dict[str, list[str]] = {}
    for raw in dedent(text).strip("\n").split("\n"):
        line = raw
        if re.fullmatch(r"# [\w/.-]+\.py", line):
            name = line[2:]
            files[name] = []
            continue
        while found := _mark.search(line):
            kind, word = found[2], found[3]
            place = (name, len(files[name]) + 1, found.start() + 1, kind)
            (possible if found[1] else certain).add(place)
            line = line[: found.start()] + word + line[found.end() :]
        files[name].append(line)
    for path, lines in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines) + "\n", "utf-8")
    return certain, possible


class Score(NamedTuple):
    """How many marks there are, how many uses were found for certain, and how many of those stand at a mark, and with
    its kind."""

    marked: int
    found: int
    right: int
    kinds: int

    @property
    def precision(self) -> float:
        return self.right / self.found

    @property
    def recall(self) -> float:
        return self.right / self.marked


def score(folder: Path, symbol: str, text: str) -> Score:
    """How near a search comes to the marks of a program."""
    certain, _ = written(folder, text)
    kinds = {place[:3]: place[3] for place in certain}
    found = {(u.path, u.line, u.column): u.kind for u in usage_of(str(folder), Query(symbol)).uses}
    right = found.keys() & kinds.keys()
    return Score(len(kinds), len(found), len(right), sum(found[place] == kinds[place] for place in right))


def check(folder: Path, symbol: str, text: str, **more: object) -> Usage:
    """A program's marks are what a search for a symbol finds, neither more nor less."""
    certain, possible = written(folder, text)
    usage = usage_of(str(folder), Query(symbol, possible=True, **more))  # type: ignore[arg-type]
    found = {(u.path, u.line, u.column, u.kind) for u in usage.uses if u.certain}
    assert sorted(found - certain) == [] and sorted(certain - found) == []
    maybe = {(u.path, u.line, u.column, u.kind) for u in usage.uses if not u.certain}
    assert sorted(maybe) == sorted(possible)
    assert not usage.unread
    return usage
