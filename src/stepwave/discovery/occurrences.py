"""Where words stand in the bytes of a file; the tree says afterwards what they are there."""

from bisect import bisect_left
from collections.abc import Iterable

from stepwave.discovery.source import decoded

_INSIDE = frozenset(bytes([c]) for c in range(256) if c >= 128 or chr(c).isalnum() or c == 95)
"""The bytes that a word is made of."""

Place = tuple[int, int]
"""A line, from 1, and an offset in bytes of UTF-8, from 0: how `ast` counts."""


def plain(data: bytes) -> bytes:
    """UTF-8 without a byte order mark, lines ended by a newline: bytes whose offsets are those of `ast`."""
    if data[:3] == b"\xef\xbb\xbf":
        data = data[3:]
    if b"coding" in data[:400] and not data.isascii():
        data = decoded(data).encode("utf-8", "surrogatepass")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data


def word_places(text: bytes, words: Iterable[str]) -> list[tuple[int, str]]:
    """The offsets of whole words, in order: neither side is a letter, a digit, an underscore or a part of a character
    outside of ASCII. (A regular expression says this in one line, and takes ten times as long.)"""
    found = []
    for word in set(words):
        raw = word.encode("utf-8", "surrogatepass")
        at = text.find(raw)
        while at >= 0:
            end = at + len(raw)
            if text[end : end + 1] not in _INSIDE and text[max(at - 1, 0) : at] not in _INSIDE:
                found.append((at, word))
            at = text.find(raw, end)
    found.sort()
    return found


class Occurrences:
    """All places of some words in a text, by line. `lines` are the lines that hold one, in order."""

    def __init__(self, text: bytes, words: Iterable[str]) -> None:
        self.text = text
        self.places: dict[Place, str] = {}
        line, start, at = 1, 0, 0
        for here, word in word_places(text, words):
            newlines = text.count(b"\n", at, here)
            if newlines:
                line += newlines
                start = text.rfind(b"\n", 0, here) + 1
            at = here
            self.places[line, here - start] = word
        self.order = list(self.places)
        self.lines = list(dict.fromkeys(place[0] for place in self.order))

    def touched(self, first: int, last: int) -> bool:
        """Whether a line of a range holds a word."""
        index = bisect_left(self.lines, first)
        return index < len(self.lines) and self.lines[index] <= last

    def next(self, word: str, start: Place) -> Place | None:
        """The first place of a word at or behind a place."""
        for place in self.order[bisect_left(self.order, start) :]:
            if self.places[place] == word:
                return place
        return None

    def within(self, start: Place, end: Place) -> list[Place]:
        return self.order[bisect_left(self.order, start) : bisect_left(self.order, end)]

    def slice(self, start: Place, end: Place) -> bytes:
        """The text between two places; only asked for the few strings that hold a word."""
        lines = self.text.split(b"\n")[start[0] - 1 : end[0]]
        lines[-1] = lines[-1][: end[1]]
        lines[0] = lines[0][start[1] :]
        return b"\n".join(lines)
