"""Finding secrets in what steps print, and putting `***` in their place: over the borders of chunks, over line breaks.

A *form* is what a secret may look like, as bytes: see `secret_forms.py`. This file imports nothing, since the
supervisors do it while a step runs.

Rule 1  Every byte of every occurrence of every form is masked, also where occurrences overlap.
Rule 2  What comes out does not hang on how the bytes were cut into chunks. What may be the beginning of a form is held
        back until it is known to be none, and nothing else is.
Rule 3  A form may be broken into lines, once four bytes of it stand on the first one; base64 anywhere, where the line
        before the break is base64 to its end (16 characters): then it is wrapped.
Rule 4  Output in which there is nothing to mask costs one pass for each anchor: text that some forms have in common.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would be a third of the start-up of a supervisor
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Form = tuple[bytes, bool, bool]
    """Its bytes; whether it may be broken into lines; whether it is base64."""
    Span = tuple[int, int]

MASK = b"***"
HEAD = 4
"""Bytes of the shortest form, and those that stand on one line where a form is broken into several."""
_FOLDED = 8  # shorter ones stand on one line: `seq 8` is no secret
_LINE = 16  # base64 characters before a break that is a wrap
_CONTEXT = _LINE + 2  # bytes before what is looked at that may say whether a break is a wrap
_NEAR = HEAD + 1  # of a beginning at the very end, less than a head may be there, and a `\r`
_ANCHOR = 8  # a shorter anchor would be found too often
_base64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_words = bytes(char if chr(char).isalnum() and char < 128 else 32 for char in range(256))


class Forms:
    """What to look for: bytes, at least 4, and whether they are base64. Made once, for any number of streams."""

    def __init__(self, forms: Iterable[tuple[bytes, bool]]) -> None:
        self.heads: dict[bytes, list[Form]] = {}
        self.firsts: dict[int, list[Form]] = {}
        self.wrapped: dict[int, list[Form]] = {}
        self.anchors: list[bytes] = []
        longest = 0
        for text, is_base64 in sorted(dict(forms).items(), key=_shortest_first):  # the anchor of one stands in more
            folds = len(text) >= _FOLDED and b"\n" not in text and b"\r" not in text
            form = (text, folds, is_base64 and folds)
            longest = max(longest, len(text))
            self.heads.setdefault(text[:HEAD], []).append(form)
            self.firsts.setdefault(text[0], []).append(form)
            if form[2]:
                self.wrapped.setdefault(text[0], []).append(form)
            self._anchor(_unbroken(text))
        self.window = 3 * longest  # a break, of two bytes at most, behind every byte

    def _anchor(self, text: bytes) -> None:
        """A part of the text that is looked for in its stead; one that other forms have too, if there is one."""
        if not any(anchor in text for anchor in self.anchors):
            word = max(text.translate(_words).split(), key=len, default=b"")
            self.anchors.append(word if len(word) >= _ANCHOR else text)

    def may_hold(self, data: bytes) -> bool:
        """False when no form stands in it."""
        unbroken = _unbroken(data)
        return any(anchor in unbroken for anchor in self.anchors)

    def scan(self, data: bytes, start: int) -> tuple[list[Span], int]:
        """The occurrences that begin from `start` on, in order, and where the first unfinished one begins."""
        found, cut = [], len(data)
        for at, forms in self._candidates(data, start):
            for form in forms:
                end = _match(data, at, form)
                if end > 0:
                    found.append((at, end))
                elif end == 0 and at < cut:
                    cut = at
        return sorted(found), cut

    def _candidates(self, data: bytes, start: int) -> Iterator[tuple[int, list[Form]]]:
        """Wherever a form may begin, and the forms that may begin there."""
        for head, forms in self.heads.items():
            at = data.find(head, start)
            while at >= 0:
                yield at, forms
                at = data.find(head, at + 1)
        for at in range(max(start, len(data) - _NEAR), len(data)):
            yield at, self.firsts.get(data[at], [])
        at = data.find(b"\n", start) if self.wrapped else -1
        while at >= 0:
            if _is_wrapped(data, at):
                for before in range(max(start, at - _NEAR), at):
                    yield before, self.wrapped.get(data[before], [])
            at = data.find(b"\n", at + 1)


def _shortest_first(form: tuple[bytes, bool]) -> int:
    return len(form[0])


def _unbroken(data: bytes) -> bytes:
    return data.translate(None, b"\r\n")


def _is_wrapped(data: bytes, at: int) -> bool:
    """Whether the line that ends at `at` ends in base64."""
    end = at - (data[at - 1 : at] == b"\r")
    return end >= _LINE and not data[end - _LINE : end].translate(None, _base64)


def _match(data: bytes, at: int, form: Form) -> int:
    """Where the form ends that begins at `at`; 0: it may, but the data end before; -1: it does not."""
    text, folds, wraps = form
    done = 0  # bytes of the form that have been seen
    while True:
        left = len(text) - done
        if data.startswith(text[done:], at):
            return at + left
        stop = data.find(b"\n", at, at + left + 1) if folds else -1
        if stop < 0:
            rest = data[at : at + left + 1]
            if at + len(rest) < len(data):
                return -1
            if folds and rest.endswith(b"\r"):
                rest, stop = rest[:-1], len(data)
        else:
            rest = data[at:stop].removesuffix(b"\r")
        if (not rest and stop >= 0) or not text.startswith(rest, done):
            return -1
        done += len(rest)
        if stop >= 0 and done < HEAD and not (wraps and _is_wrapped(data, stop)):
            return -1
        if stop < 0 or stop >= len(data) - 1:
            return 0
        at = stop + 1


class Stream:
    """What one step writes to one stream, as it comes."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self._data = b""  # some context that is over, and what is held back
        self._from = 0  # where in it a form may begin
        self._sent = 0  # where what has not been handed on begins: behind `_from` where a mask has covered more

    def take(self, chunk: bytes | memoryview) -> bytes:
        """What can be handed on of everything that has come by now."""
        data = self._data + chunk
        start = self._from
        if not self._forms.may_hold(data):
            start = max(start, len(data) - self._forms.window)
        found, cut = self._forms.scan(data, start)
        return self._hand_on(data, found, cut)

    def finish(self) -> bytes:
        """The rest: nothing comes any more."""
        found, _ = self._forms.scan(self._data, self._from)
        return self._hand_on(self._data, found, len(self._data))

    def _hand_on(self, data: bytes, found: list[Span], cut: int) -> bytes:
        parts, sent = [], self._sent
        for begin, end in found:
            if begin >= cut:
                break
            if begin >= sent:
                parts += [data[sent:begin], MASK]
            sent = max(sent, end)
        if sent < cut:
            parts.append(data[sent:cut])
            sent = cut
        over = max(0, cut - _CONTEXT)
        self._data, self._from, self._sent = data[over:], cut - over, sent - over
        return b"".join(parts)


def masked(forms: Forms, data: bytes) -> bytes:
    """All of it at once."""
    if not forms.may_hold(data):
        return data
    stream = Stream(forms)
    return stream.take(data) + stream.finish()
