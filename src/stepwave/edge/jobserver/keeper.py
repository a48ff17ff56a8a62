"""The process that takes tokens out of a job server for a run, keeps them, and gives them back.

`python -I -S` runs `main`. It is no child of a terminal's session and ignores what ends others, so that it outlives the
run that asks it, however that ends.

Rule 1  A token is read here and nowhere else, and written back as it was: whoever is killed, it is not lost with him.
Rule 2  Every wish has a number of its own. Whoever takes it back need not know whether it was granted meanwhile.
Rule 3  Once the run is gone, nothing is given back before the last step is dead: `alive` is at its end of file when
        nobody who could have one is left.
Rule 4  Where the server is our own, and no step runs, all its tokens must be there: what is missing was lost by a step
        that was killed, or did not care, and is put in again; what is too much is taken out.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import select
import signal
import sys
import termios

TYPE_CHECKING = False  # importing typing would be a third of the start-up
if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 6
"""Bytes of a message: a word of one letter, the number of a wish in four, and a token."""
WANT, DROP, QUIET = b"+", b"-", b"q"
"""What the run says: a wish, its end, that no step runs."""
GRANTED, NONE, MISSED = b"=", b"0", b"~"
"""What it is told: a wish has its token; it will have to wait; so many tokens (the number) were lost and have been
replaced."""
TOKEN = b"+"


def message(word: bytes, number: int = 0, token: bytes = b"\0") -> bytes:
    return word + number.to_bytes(4, sys.byteorder) + token


def messages(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    for at in range(0, len(data) - SIZE + 1, SIZE):
        part = data[at : at + SIZE]
        yield part[:1], int.from_bytes(part[1:5], sys.byteorder), part[5:]


class Keeper:
    """`run`: the socket to it. `reader` and `writer`: the job server, both without blocking and nobody else's.
    `tokens`: how many there are but the implicit one, where the server is ours; else None."""

    def __init__(self, run: int, reader: int, writer: int, tokens: int | None) -> None:
        self.run = run
        self.reader = reader
        self.writer = writer
        self.tokens = tokens
        self.wishes: dict[int, bytes] = {}  # by number, in the order in which they came; empty: not granted yet
        self.half = b""

    def serve(self) -> None:
        """Until the run is gone."""
        poll = select.poll()
        poll.register(self.run, select.POLLIN)
        looks = False
        while True:
            wishes = b"" in self.wishes.values()
            if wishes and not looks:
                poll.register(self.reader, select.POLLIN)
            elif looks and not wishes:
                poll.unregister(self.reader)
            looks = wishes
            ready = [fd for fd, _ in poll.poll()]
            if self.run in ready and not self.hear():
                return
            if self.reader in ready:
                self.grant()

    def hear(self) -> bool:
        """False when there is nobody any more."""
        try:
            new = os.read(self.run, 4096)
        except ConnectionResetError:
            return False
        data = self.half + new
        self.half = data[len(data) // SIZE * SIZE :]
        for word, number, _ in messages(data):
            if word == WANT:
                self.wishes[number] = b""
                self.grant()
                if not self.wishes[number]:
                    self.say(NONE, number)
            elif word == DROP:
                self.put(self.wishes.pop(number, b""))
            elif word == QUIET:
                self.count()
        return bool(new)

    def grant(self) -> None:
        """The oldest wish, if somebody else was not quicker."""
        wish = next((number for number, token in self.wishes.items() if not token), None)
        if wish is None:
            return
        token = self.take()
        if token:
            self.wishes[wish] = token
            self.say(GRANTED, wish, token)

    def take(self) -> bytes:
        try:
            return os.read(self.reader, 1)
        except BlockingIOError:
            return b""

    def put(self, tokens: bytes) -> None:
        """There was room for them when they were made. Nobody may be left who wants them."""
        if tokens:
            with contextlib.suppress(OSError):
                os.write(self.writer, tokens)

    def count(self) -> None:
        if self.tokens is None:
            return
        there = array.array("i", [0])
        fcntl.ioctl(self.reader, termios.FIONREAD, there)
        missing = self.tokens - there[0] - sum(map(len, self.wishes.values()))
        self.put(TOKEN * max(0, missing))
        for _ in range(-missing):
            self.take()
        if missing > 0:
            self.say(MISSED, missing)

    def say(self, word: bytes, number: int = 0, token: bytes = b"\0") -> None:
        with contextlib.suppress(OSError):  # it is gone, which the next look will tell
            os.write(self.run, message(word, number, token))

    def give_all_back(self) -> None:
        for token in self.wishes.values():
            self.put(token)
        self.wishes.clear()


def main() -> None:
    run, alive, reader, writer, tokens = map(int, sys.argv[1:6])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    close_others({run, alive, reader, writer})
    keeper = Keeper(run, reader, writer, None if tokens < 0 else tokens)
    keeper.serve()
    while os.read(alive, 1):
        pass
    keeper.give_all_back()
    keeper.count()
    for path in sys.argv[7:]:
        remove(path)
    os._exit(0)


def close_others(own: set[int]) -> None:
    """Above all the pipe of make and the output of the run, which others wait for to be at their end."""
    at = 3
    for fd in sorted(own):
        os.closerange(at, fd)
        at = fd + 1
    os.closerange(at, os.sysconf("SC_OPEN_MAX"))


def remove(path: str) -> None:
    """A file; or an empty folder, whose name ends with a slash."""
    with contextlib.suppress(OSError):
        os.rmdir(path) if path.endswith("/") else os.unlink(path)  # noqa: PTH106, PTH108
