"""A file without the bodies that hold no word of interest: what is left is parsed in a fraction of the time.

Functions and classes without a wanted place become `def name(): pass` on their first line, and empty lines: every
other line stays where it is. What they bind in the scope around them stays bound, and nothing else of them is ever
asked for: a name is looked up in the scopes around a wanted place, which are kept whole.

Rule 1  Strings and comments are told apart from code by the rules of the language, so a `def` in a text is none.
Rule 2  A mistake about where a block ends is seen: what is cut off in the middle of brackets or of a string leaves the
        other half behind, which does not parse, and then the whole file is.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cache

_pieces = re.compile(
    rb"""
    \"\"\"(?:[^\"\\]++|\\.|\"(?!\"\"))*+\"\"\" | \'\'\'(?:[^'\\]++|\\.|'(?!''))*+\'\'\'   # no group: a string,
    | \"(?:[^\"\\\n]++|\\.)*+\" | '(?:[^'\\\n]++|\\.)*+' | \#[^\n]*+                        # or a comment
    | ^(?P<indent>[ \t\f]*)(?P<word>(?:async[ \t]+)?def|class)[ \t]+(?P<name>[\w\x80-\xff]+)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_WORTH_IT_BYTES = 3000


def skeleton(text: bytes, wanted: Sequence[int]) -> bytes | None:
    """The text without what has none of the wanted places (offsets, in order) in it; None where little would go."""
    if len(text) < _WORTH_IT_BYTES:
        return None
    heads = []
    starts: list[int] = []
    ends: list[int] = []
    for piece in _pieces.finditer(text):
        first, last = piece.span()
        if piece["word"]:
            heads.append(piece)
        elif text.find(b"\n", first, last) >= 0:
            starts.append(first)
            ends.append(last)
    parts: list[bytes] = []
    done = 0
    for head in heads:
        first = head.start()
        if first < done:
            continue
        last = _end_of_block(text, head.end(), head["indent"], starts, ends)
        if bisect_left(wanted, first) < bisect_left(wanted, last):
            continue
        word = b"class " if head["word"] == b"class" else b"def "
        ending = b": pass" if word == b"class " else b"(): pass"
        stub = head["indent"] + word + head["name"] + ending
        parts += [text[done:first], stub, b"\n" * text.count(b"\n", first, last)]
        done = last
    if not done:
        return None
    parts.append(text[done:])
    return b"".join(parts)


def _end_of_block(text: bytes, at: int, indent: bytes, starts: Sequence[int], ends: Sequence[int]) -> int:
    """The offset of the newline behind which a block has ended: a line that is not further in than its head."""
    pattern = _outside(indent)
    while found := pattern.search(text, at):
        here = found.start()
        index = bisect_right(starts, here) - 1
        if index >= 0 and here < ends[index]:
            at = ends[index]  # in a string of several lines
        elif text[here - 1 : here] == b"\\":
            at = here + 1
        else:
            return here
    return len(text)


@cache
def _outside(indent: bytes) -> "re.Pattern[bytes]":
    """A newline before a line of code that is not further in; one that closes a bracket is no end of anything."""
    return re.compile(rb"\n(?![ \t\f]*(?:\n|\#|[)\]}]|\Z))(?!" + re.escape(indent) + rb"[ \t])")
