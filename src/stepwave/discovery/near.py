"""Names that are near to one that is not there."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from stepwave.discovery.source import read
from stepwave.discovery.walk import Walked

_defined = re.compile(rb"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+(\w+)|^(\w+)[ \t]*(?::[^=\n]+)?=(?!=)", re.MULTILINE)
_CUTOFF = 0.72


def near_names(root: str, walked: Walked, word: str, most: int = 3) -> list[str]:
    """The names defined in a tree that a person most likely meant by one that is not, the nearest first."""
    names: set[str] = set()
    for found in walked.files:
        data = read(root, found.path)
        if isinstance(data, bytes):
            for pair in _defined.findall(data):
                names.add((pair[0] or pair[1]).decode("ascii", "replace"))
    return [name for name, _ in nearest(word, names, _CUTOFF)][:most]


def nearest(word: str, names: Iterable[str], cutoff: float) -> list[tuple[str, float]]:
    """Names with how near they are (1: the same but for case and underscores), the nearest first.

    Nearness is the ratio of `difflib`: twice the number of equal characters over the number of all.
    """
    wanted = _folded(word)
    matcher = SequenceMatcher(None, "", wanted, autojunk=False)
    scored = []
    for name in names:
        if name == word:
            continue
        folded = _folded(name)
        if 2 * min(len(folded), len(wanted)) < cutoff * (len(folded) + len(wanted)):
            continue  # too short or too long to come near
        matcher.set_seq1(folded)
        if matcher.quick_ratio() >= cutoff and (score := matcher.ratio()) >= cutoff:
            scored.append((name, score))
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))


def _folded(name: str) -> str:
    return name.lower().replace("_", "")[:200]
