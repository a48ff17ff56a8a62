"""The program of a worker process of `process_map`. It is run as a script, and imports nothing of stepwave.

    python -P worker.py CONNECTION PAGE LIFELINE        three file descriptors

Rule 1  What comes over the connection is a frame each: 8 bytes of length (little-endian), and a pickle. The first is
        the preamble, the second the function, each other one a list of items. What goes back is a frame with one byte
        more in front, which says what it is; results begin with two numbers: how many items ended, how many are handed
        back.
Rule 2  The page is shared memory: four numbers of 64 bits. How many items were begun; when the last of them was begun
        (monotonic clock, nanoseconds; where times are not asked for, when the first was); whether one runs; and the
        only one that the caller writes: whether to report what is done, or also to hand back what has not begun. So
        the caller knows of a worker that was killed what it was at.
Rule 3  It does not outlive its caller. The lifeline is a pipe whose other end only the caller has; when that is gone,
        however, the kernel sends SIGIO to the whole process group, and that is deadly.
Rule 4  The script of the caller is run again, under the name `__mp_main__`, only when something of it is asked for.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
from itertools import islice
from time import monotonic_ns

try:
    import _pickle as pickle  # a third of the time in which this program starts would go into importing the other
except ImportError:
    import pickle  # type: ignore[no-redef]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

BEGUN, BEGAN_NS, RUNS, ASKED = range(4)
REPORT, HAND_BACK = 1, 2
RESULTS, UNREADABLE, BROKEN = b"R", b"U", b"B"
SMALL = 65536
"""A frame below this size is copied, so that one call writes it."""


_own = os.getpid()


class LazyMain(type(sys)):  # type: ignore[misc]
    """The module `__main__`: becomes that of the caller when a name of it is asked for."""

    def __init__(self, name: str, path: str | None, module: str | None) -> None:
        super().__init__(name)
        self.__stepwave_main__ = (path, module)  # what a map below this one tells its own workers
        self.__stepwave_state__ = "untouched" if path or module else "read"
        if path:
            self.__file__ = path

    def __getattr__(self, name: str) -> Any:
        if self.__stepwave_state__ != "untouched" or name.startswith("__"):
            raise AttributeError(f"module '__main__' has no attribute {name!r}")
        self.__stepwave_state__ = "being read"
        path, module = self.__stepwave_main__
        self.__name__ = "__mp_main__"
        exec(_code_of(self, path, module), self.__dict__)
        self.__stepwave_state__ = "read"
        return getattr(self, name)


def _code_of(main: ModuleType, path: str | None, module: str | None) -> Any:
    if module is not None:
        from importlib.util import find_spec

        spec = find_spec(module)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "get_code"):
            raise ImportError(f"cannot read the main module {module} again")
        main.__spec__, main.__package__ = spec, spec.parent
        return spec.loader.get_code(module)
    from io import open_code

    assert path is not None
    with open_code(path) as file:
        return compile(file.read(), path, "exec", dont_inherit=True)


def main() -> None:
    connection, page, lifeline = map(int, sys.argv[1:4])
    _die_with_the_caller(lifeline)
    cells = memoryview(mmap.mmap(page, mmap.PAGESIZE)).cast("Q")
    reader = os.fdopen(connection, "rb", closefd=False)
    try:
        func, is_timed = prepare(reader)
    except BaseException as error:  # whatever it is, the caller must hear of it
        _send(connection, BROKEN, pickle.dumps(fault(error)))
        return
    while (blob := _frame(reader)) is not None:
        try:
            items = pickle.loads(blob)
        except BaseException as error:
            _send(connection, UNREADABLE, pickle.dumps(fault(error)))
            continue
        del blob
        _carry_out(connection, cells, func, items, is_timed)


def _die_with_the_caller(lifeline: int) -> None:
    if hasattr(fcntl, "F_SETOWN") and hasattr(os, "O_ASYNC"):
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def prepare(reader: Any) -> tuple[Callable[[Any], Any], bool]:
    preamble = _frame(reader)
    func = _frame(reader)
    if preamble is None or func is None:
        os._exit(0)  # the caller has gone already
    path, argv, script, module, names, memory_bytes, wants_times = pickle.loads(preamble)
    sys.path[:], sys.argv[:] = path, argv
    if memory_bytes is not None:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    sys.modules["__main__"] = sys.modules["__mp_main__"] = LazyMain("__main__", script, module)
    _define(names)
    return pickle.loads(func), wants_times


def _define(names: list[tuple[str, str, Any]]) -> None:
    """What a function that was typed at a prompt uses of what else was typed there."""
    main = sys.modules["__main__"].__dict__
    for name, kind, value in names:
        if kind == "module":
            from importlib import import_module

            main[name] = import_module(value)
        elif kind == "function":
            import marshal
            from types import FunctionType

            code, pickled = value
            defaults, keyword_defaults = pickle.loads(pickled)
            made = FunctionType(marshal.loads(code), main, name, defaults)
            made.__kwdefaults__ = keyword_defaults
            made.__module__ = "__main__"
            main[name] = made
        else:
            main[name] = pickle.loads(value)


def _carry_out(connection: int, cells: Any, func: Callable[[Any], Any], items: list[Any], is_timed: bool) -> None:
    begun, place = cells[BEGUN], 0
    while True:
        values: list[Any] = []
        faults: list[tuple[int, Any]] = []
        times: list[int] = []
        now = began = _begin(cells)
        for item in islice(items, place, None):  # there may be millions: each line costs
            if cells[ASKED]:
                break
            begun += 1
            if is_timed:
                cells[BEGAN_NS] = now
            cells[BEGUN] = begun
            try:
                values.append(func(item))
            except BaseException as error:  # the caller decides what it means
                faults.append((len(values), fault(error)))
                values.append(None)
            if is_timed:
                then = monotonic_ns()
                times.append(then - now)
                now = then
        cells[RUNS] = 0
        place += len(values)
        left = len(items) - place
        back = left if cells[ASKED] == HAND_BACK else 0
        _report(connection, values, faults, times, monotonic_ns() - began, back)
        if left == back:
            return
        cells[ASKED] = 0  # a wish that came in this moment is lost, and will be repeated


def _begin(cells: Any) -> int:
    """In this order: who sees that something runs must not see an older time."""
    now = monotonic_ns()
    cells[BEGAN_NS] = now
    cells[RUNS] = 1
    return now


def _report(connection: int, values: Any, faults: Any, times: list[int], spent_ns: int, left: int) -> None:
    """`left`: so many of the list are handed back."""
    try:
        blob = pickle.dumps((values, faults, times, spent_ns), protocol=5)
    except BaseException:
        for offset, value in enumerate(values):
            try:
                pickle.dumps(value, protocol=5)
            except BaseException as error:
                words = f"the result, a {type(value).__name__}, cannot be sent: {fault(error)[1]}"
                faults.append((offset, fault(TypeError(words))))
                values[offset] = None
        blob = pickle.dumps((values, faults, times, spent_ns), protocol=5)
    if os.getpid() != _own:
        os._exit(0)  # the function has forked, and this is not the process that answers
    _send(connection, RESULTS, b"".join(n.to_bytes(8, "little") for n in (len(values), left)), blob)


def fault(error: BaseException) -> tuple[bytes | None, str, str]:
    """An exception as three things that arrive whatever it is: itself, if it can be sent; its words; its traceback."""
    from traceback import format_exception

    try:
        words = f"{type(error).__name__}: {error}"
    except BaseException:
        words = type(error).__name__
    try:
        told = "".join(format_exception(error))
    except BaseException:
        told = words
    try:
        blob = pickle.dumps(error, protocol=5)
        pickle.loads(blob)  # many an exception can be taken apart, but not be put together again
    except BaseException:
        return None, words, told
    return blob, words, told


def _frame(reader: Any) -> Any:
    """None at the end."""
    head = reader.read(8)
    if len(head) < 8:
        return None
    size = int.from_bytes(head, "little")
    blob = reader.read(size)
    return blob if len(blob) == size else None


def _send(connection: int, kind: bytes, *pieces: bytes) -> None:
    size = sum(map(len, pieces))
    head = kind + size.to_bytes(8, "little")
    if size < SMALL:
        head, pieces = b"".join((head, *pieces)), ()
    for piece in (head, *pieces):
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(connection, rest) :]


if __name__ == "__main__":
    try:
        main()
        code = 0
    except ConnectionError:
        code = 0  # the caller has gone
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)  # without waiting for threads of the function, and without what the caller has put off
