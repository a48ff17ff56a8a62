"""Reading many files, by this process and another one beside it: what comes back is the same as from one.

Both draw pieces of work from one pipe, so neither waits for the other; the second one's findings come back through
another. They are sorted by file, so nothing hangs on who was faster.
"""

import gc
import marshal
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Work = Callable[[str], Any]
"""From a path to what is found there, in plain tuples, lists, texts and numbers; None for nothing."""

Progress = Callable[[int, int], None]

_PIECES = 240
_WORTH_IT_BYTES = 400_000


def each_file(
    paths: Sequence[str], sizes: Sequence[int], work: Work, processes: int, progress: Progress | None = None
) -> list[tuple[str, Any]]:
    """Every path with what `work` finds in it, in order, those without findings left out.

    `progress` is told now and then how many files are done (as far as this process can know), and of how many.
    """
    if progress is not None:
        work = _told(work, len(paths), progress, 2 if processes > 1 else 1)
    with collector_off():
        alone = processes < 2 or sum(sizes) < _WORTH_IT_BYTES or len(paths) < 8 or _has_threads()
        found = _by_one(paths, range(len(paths)), work) if alone else _by_two(paths, work)
    found.sort(key=lambda item: item[0])
    return [(paths[index], result) for index, result in found]


def _told(work: Work, count: int, progress: Progress, weight: int) -> Work:
    own = os.getpid()
    done = 0

    def telling(path: str) -> Any:
        nonlocal done
        result = work(path)
        done = min(done + weight, count)
        if os.getpid() == own:
            progress(done, count)
        return result

    return telling


@contextmanager
def collector_off() -> Iterator[None]:
    """Trees are made and dropped by the million and hold no cycles: looking for some takes a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _has_threads() -> bool:
    """A process with threads cannot be forked safely."""
    threading = sys.modules.get("threading")
    return threading is not None and threading.active_count() > 1


def _by_one(paths: Sequence[str], indices: Iterator[int] | range, work: Work) -> list[tuple[int, Any]]:
    found = []
    for index in indices:
        result = work(paths[index])
        if result is not None:
            found.append((index, result))
    return found


def _by_two(paths: Sequence[str], work: Work) -> list[tuple[int, Any]]:
    step = -(-len(paths) // _PIECES)
    source, sink = os.pipe()
    os.write(sink, b"".join(piece.to_bytes(2, "big") for piece in range(-(-len(paths) // step))))
    os.close(sink)
    mouth, answers = -1, -1
    try:
        answers, mouth = os.pipe()
        child = os.fork()
    except OSError:
        for fd in (source, answers, mouth):
            if fd >= 0:
                os.close(fd)
        return _by_one(paths, range(len(paths)), work)
    if child == 0:
        _second(paths, work, step, source, mouth)
    os.close(mouth)
    try:
        found = _by_one(paths, _drawn(source, step, len(paths)), work)
        told = _read_all(answers)
    except BaseException:
        os.kill(child, signal.SIGKILL)  # an interrupt, or an error: nobody waits for the other half
        raise
    finally:
        os.close(source)
        os.close(answers)
        _, status = os.waitpid(child, 0)
    if status == 0:
        theirs: list[tuple[int, Any]] = marshal.loads(told)
        return found + theirs
    done = {index for index, _ in found}  # the second has died: nothing of it is believed
    return found + _by_one(paths, iter([i for i in range(len(paths)) if i not in done]), work)


def _second(paths: Sequence[str], work: Work, step: int, source: int, mouth: int) -> None:
    """The life of the second process. It never returns, and touches nothing but its two pipes."""
    code = 1
    parent = os.getppid()
    try:
        found = _by_one(paths, _while_wanted(_drawn(source, step, len(paths)), parent), work)
        data = memoryview(marshal.dumps(found))
        while data:
            data = data[os.write(mouth, data) :]
        code = 0
    finally:
        os._exit(code)


def _drawn(source: int, step: int, count: int) -> Iterator[int]:
    while len(piece := os.read(source, 2)) == 2:
        first = int.from_bytes(piece, "big") * step
        yield from range(first, min(first + step, count))


def _while_wanted(indices: Iterator[int], parent: int) -> Iterator[int]:
    """Until the first process has died."""
    for index in indices:
        if os.getppid() != parent:
            return
        yield index


def _read_all(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 1 << 20):
        parts.append(part)
    return b"".join(parts)
