"""What is known of the files of a tree from earlier questions, so that only files that have changed are read again.

Three kinds of facts, each about one file alone: the words in it, what it says of some of them (`tokens`), and what it
says of the names it binds (`outline`). Whatever hangs on two files is worked out anew for each question.

Rule 1  What could not be read or parsed is never kept: it is looked at each time, as the reason may lie elsewhere.
Rule 2  A fact holds for the bytes of a file, this release and this Python; the cache sees to the bytes, `maker` to the
        others.
"""

import marshal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from zlib import adler32, crc32

from stepwave.discovery.cache import Cache, by_path
from stepwave.discovery.occurrences import plain
from stepwave.discovery.outline import Outline, Question
from stepwave.discovery.source import read
from stepwave.discovery.spread import Progress, each_file
from stepwave.discovery.walk import Unread, Walked

_WORD_BYTES = bytes(c if c >= 128 or chr(c).isalnum() or c == 95 else 32 for c in range(256))
_UNREADABLE = b"\n\x01\n"
"""Stands for the words of a file that could not be read: it may hold any."""


class Facts:
    """The facts of one tree, as one question sees them. `young` is what `young_of` gave before anything was read."""

    def __init__(self, root: str, walked: Walked, cache: Cache | None, young: bytes, maker: str = "") -> None:
        self.root = root
        self.walked = walked
        self._cache = cache
        self._young = young
        raw = f"{maker}\0{sys.version}".encode()
        self._maker = f"{crc32(raw):08x}{adler32(raw):08x}"
        self._files = {found.path: found for found in walked.files}
        self._words: bytes | None = None
        self._tokens: dict[str, dict[str, bytes]] = {}
        self._new: list[tuple[str, str, bytes]] = []

    # --- words -------------------------------------------------------------------------------------------------

    def holding(self, word: str, processes: int = 1, progress: Progress | None = None) -> list[str]:
        """The files that may hold a word: without a cache, all."""
        if self._cache is None:
            return list(self._files)
        if self._words is None:
            self._words = self._up_to_date(self._cache, processes, progress)
        needle = b"\n" + word.encode("utf-8", "surrogatepass") + b"\n"
        held = {*_chunks_with(self._words, needle), *_chunks_with(self._words, _UNREADABLE)}
        return [path for index, path in enumerate(self._files) if index in held]

    def _up_to_date(self, cache: Cache, processes: int, progress: Progress | None) -> bytes:
        """The words of all files: those of each between two NUL, on a line each."""
        whole, known = cache.words(self.walked, self.root, self._maker)
        if whole is not None:
            return whole
        rest = [found for found in self.walked.files if found.path not in known]

        def work(path: str) -> bytes:
            data = read(self.root, path)
            return _UNREADABLE if isinstance(data, Unread) else words_in(data)

        known.update(
            each_file([found.path for found in rest], [found.size for found in rest], work, processes, progress)
        )
        words = b"\0".join([known[path] for path in self._files])
        cache.keep_words(self.walked, self._young, self._maker, words)
        return words

    # --- files -------------------------------------------------------------------------------------------------

    def tokens(self, path: str, words: Sequence[str]) -> Any:
        """What was kept by `keep_tokens`; None for nothing."""
        if self._cache is None:
            return None
        kind = self._kind("tokens", words)
        if kind not in self._tokens:  # of all files at once: for a common word there are hundreds
            self._tokens[kind] = self._cache.facts(kind, self.walked.files, self.root)
        return _loaded(self._tokens[kind].get(path))

    def keep_tokens(self, path: str, words: Sequence[str], tokens: Any) -> None:
        if self._cache is not None:
            self._new.append((self._kind("tokens", words), path, marshal.dumps(tokens)))

    def outline(self, path: str) -> dict[Question, Any]:
        """The answers of an Outline that were kept."""
        found = self._files.get(path)
        if self._cache is None or found is None:
            return {}
        return _loaded(self._cache.fact(self._kind("outline"), found, self.root)) or {}

    def keep(self, outlines: dict[str, Outline]) -> None:
        """Keep what is new, and the answers of outlines that have some."""
        if self._cache is None:
            return
        kind = self._kind("outline")
        new = [(kind, path, marshal.dumps(outline.known)) for path, outline in outlines.items() if outline.is_new]
        rows = [(kind, self._files[path], fact) for kind, path, fact in [*self._new, *new] if path in self._files]
        self._cache.keep_facts(rows, by_path(self._young))

    def _kind(self, what: str, words: Sequence[str] = ()) -> str:
        return "\0".join([what, self._maker, *words])


def _loaded(raw: bytes | None) -> Any:
    with suppress(EOFError, ValueError, TypeError):  # its checksum is right: what is in it is of another age
        return marshal.loads(raw) if raw is not None else None
    return None


def words_in(data: bytes) -> bytes:
    """Every word of a text once, on a line each, with a newline before and behind."""
    return b"\n%b\n" % b"\n".join(set(plain(data).translate(_WORD_BYTES).split()))


def _chunks_with(words: bytes, needle: bytes) -> list[int]:
    """Which of the parts between NULs hold a line."""
    found: list[int] = []
    chunk, done = 0, 0
    while (at := words.find(needle, done)) >= 0:
        chunk += words.count(b"\0", done, at)
        found.append(chunk)
        done = at + 1
    return found
