"""Functions for worker processes, which must be able to import them."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


def increment(number: int) -> int:
    return number + 1


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def fail_at_three(number: int) -> int:
    if number % 3 == 0:
        raise KeyError(number)
    return number


def pid(_: object) -> int:
    return os.getpid()


def slow_pid(_: object) -> int:
    time.sleep(0.02)
    return os.getpid()


def as_told(word: str) -> object:
    """Ends in the way that the word says; `tests/parallel/test_maps_property.py` has the statuses."""
    match word.split():
        case ["value"]:
            return word
        case ["raise"]:
            raise ValueError(word)
        case ["exit"]:
            sys.exit(3)
        case ["cancel"]:
            raise asyncio.CancelledError
        case ["_exit"]:
            os._exit(7)
        case ["kill"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["hang"]:
            time.sleep(1000)
        case ["lambda"]:
            return lambda: word
        case ["odd"]:
            raise Odd("a", "b")
    raise AssertionError(word)


class Odd(Exception):  # noqa: N818
    """Pickle takes it apart and cannot put it together."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one}{two}")


class OnlyThere:
    """An item that can be sent, but not be read."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (_refuse, ())


class OnlyHere:
    """A result that can be sent, but not be read."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (_refuse_unless, (os.getpid(),))


def _refuse() -> None:
    raise LookupError("not in this process")


def _refuse_unless(process: int) -> str:
    if os.getpid() != process:
        raise LookupError("not in this process")
    return "read"


def give_only_here(number: int) -> object:
    return OnlyHere() if number == 1 else number


def zeros(size: int) -> bytes:
    return bytes(size)


def address_space(_: object) -> tuple[int, int]:
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)


def too_much(size: int) -> int:
    return len(bytearray(size))


def note(folder: str) -> None:
    """A file for each call."""
    (Path(folder) / f"{os.getpid()}-{time.monotonic_ns()}").touch()


def spawn_and_hang(pid_file: str) -> None:
    child = subprocess.Popen(["/bin/sleep", "1000"])
    file = Path(pid_file)
    file.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
    file.with_suffix(".new").rename(file)
    child.wait()


def note_or_die(folder: str) -> None:
    if not folder:
        os.kill(os.getpid(), signal.SIGKILL)
    note(folder)


class Speechless(Exception):  # noqa: N818
    """Cannot be put into words."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


@dataclass(frozen=True)
class Frozen(Exception):  # noqa: N818
    """Takes no notes, and no cause."""

    number: int


class Sealed(Frozen):
    def __reduce__(self) -> tuple[type, tuple[int]]:
        return Sealed, (self.number,)


class Unsendable:
    def __reduce__(self) -> str:
        raise Speechless


class SlowToArrive:
    """A function that takes long to be put together in a worker."""

    def __call__(self, number: int) -> int:
        raise NotImplementedError

    def __reduce__(self) -> tuple[object, tuple[float]]:
        return nap, (30.0,)


def fail_speechless(number: int) -> int:
    raise Speechless(number)


def fail_frozen(number: int) -> int:
    raise Frozen(number)


def fail_sealed(number: int) -> int:
    raise Sealed(number)


def unsendable(_: object) -> Unsendable:
    return Unsendable()


def fork(words: str, number: int) -> int:
    if os.fork():
        return number
    if words == "raise":
        sys.exit(7)
    return -number
