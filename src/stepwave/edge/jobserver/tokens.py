"""Lends the tokens of a job server to the steps of a run; the tokens themselves are with the keeper.

Rule 1  Of all steps that run one has no token: it works on the one that whoever started this run has taken for it.
Rule 2  No token is kept for later, and none is taken that nobody waits for: others want them too.
Rule 3  One wish is open at a time, for whoever asked first; the next one follows when it is granted.
Rule 4  If the keeper is killed, its tokens are given back here: they are known, but for one that was on its way.
"""

import os
import select
import signal
import socket
import sys
from contextlib import suppress

from stepwave.edge.jobserver import keeper
from stepwave.edge.jobserver.keeper import DROP, GRANTED, MISSED, NONE, QUIET, WANT, message, messages
from stepwave.edge.jobserver.place import Place

_home = os.path.abspath(f"{__file__}/../../../..")  # noqa: PTH100 - the folder that holds the package
_program = "import sys; sys.path += sys.argv[6:7]; from stepwave.edge.jobserver.keeper import main; main()"

PROMPT_S = 0.1
"""How long the keeper may take for its answer: it has to start first. If it does not, nobody waits for it again before
it has spoken."""


class Tokens:
    """The lender of the job server at `place`, which is closed with it. `missed`: tokens that steps have lost, as
    far as that can be known. `lost`: the keeper has been killed.

    `kept` is to be held open by all that may work on a token, and by nobody else: see `Zygote.keep`. It is closed by
    `begin`. Raises OSError when no process can be started.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.missed = 0
        self._running: set[str] = set()
        self._waiting: set[str] = set()
        self._held: dict[int, bytes] = {}
        self._open: int | None = None  # the number of the wish that has no answer yet
        self._number = 0
        self._is_answered = True
        self._is_prompt = True
        self._unsaid = b""
        self._half = b""
        self.lost = False
        alive, self.kept = os.pipe()
        try:
            self._keeper, self._channel = _start(place, alive)
        except OSError:
            os.close(self.kept)
            raise
        finally:
            os.close(alive)
        os.set_blocking(self._channel, False)

    # --- the protocol Lender --------------------------------------------------------------------------

    @property
    def wait_fd(self) -> int | None:
        return None if self.lost else self._channel

    @property
    def retry_s(self) -> None:
        return None

    def try_take(self, step: str, units: int) -> bool:
        """`units` is 1: a step is one at work, whatever it starts."""
        self._hear()
        if not self._fits():
            self._waiting.add(step)
            self._settle()
            self._await_answer()
        fits = self._fits()
        if fits:
            self._running.add(step)
            self._waiting.discard(step)
        self._settle()
        return fits

    def _fits(self) -> bool:
        return len(self._held) >= len(self._running)

    def put_back(self, step: str) -> None:
        self.give_back(step)

    def give_back(self, step: str) -> None:
        self._hear()  # one that has been killed meanwhile cannot be given anything
        was_running = step in self._running
        self._running.discard(step)
        self._waiting.discard(step)
        self._settle()
        if was_running and not self._running:
            self._say(QUIET)

    def close(self) -> None:
        """Returns when every token is where it was. Doing it twice is no harm."""
        if self._channel < 0:
            return
        self._hear()
        self._running.clear()
        self._waiting.clear()
        self._settle()
        self.begin()
        if not self.lost:
            self._part()
        os.close(self._channel)
        self._channel = -1
        self.place.close()

    def begin(self) -> None:
        """Those who are to hold `kept` have it."""
        if self.kept >= 0:
            os.close(self.kept)
        self.kept = -1

    # --- wishes ---------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Not more than is worked on, and one wish as long as somebody waits."""
        while len(self._held) > max(0, len(self._running) - 1):
            self._drop(*self._held.popitem())
        if not self._waiting and self._open is not None:
            self._say(DROP, self._open)
            self._open = None
        elif self._waiting and self._open is None and not self.lost:
            self._number += 1
            self._open = self._number
            self._is_answered = False
            self._say(WANT, self._number)

    def _await_answer(self) -> None:
        """Whether there is a token at all is known in a tenth of a millisecond: too soon to tell anybody of it."""
        if self._open is not None and not self._is_answered and self._is_prompt and not self.lost:
            poll = select.poll()
            poll.register(self._channel, select.POLLIN)
            self._is_prompt = bool(poll.poll(PROMPT_S * 1000))
            self._hear()

    def _drop(self, number: int, token: bytes) -> None:
        if self.lost:
            self._put(token)
        else:
            self._say(DROP, number)

    def _put(self, token: bytes) -> None:
        with suppress(OSError):  # nobody is left who wants it
            os.write(self.place.writer, token)

    # --- the keeper -----------------------------------------------------------------------------------

    def _say(self, word: bytes, number: int = 0) -> None:
        if self.lost:
            return
        self._unsaid += message(word, number)
        try:
            self._unsaid = self._unsaid[os.write(self._channel, self._unsaid) :]
        except BlockingIOError:
            pass  # it stands still; what is to be said is said the next time
        except OSError:
            self._hear()  # what it has said before its end

    def _hear(self) -> None:
        try:
            while new := os.read(self._channel, 4096):
                self._learn(new)
        except BlockingIOError:
            return
        except OSError:
            pass
        self._mourn()

    def _learn(self, new: bytes) -> None:
        self._is_prompt = True
        data = self._half + new
        self._half = data[len(data) // keeper.SIZE * keeper.SIZE :]
        for word, number, token in messages(data):
            if word == MISSED:
                self.missed += number
            elif word == NONE:
                self._is_answered = self._is_answered or number == self._open
            elif word == GRANTED and number == self._open:
                self._held[number] = token
                self._open = None

    def _mourn(self) -> None:
        """It is gone. From here on there are only the tokens that it has told of; they are given back here."""
        if not self.lost:
            self.lost = True
            self._open = None
            _wait(self._keeper)

    def _part(self) -> None:
        """It has nothing more to do, and ends when it has given everything back."""
        channel = socket.socket(fileno=os.dup(self._channel))
        with channel, suppress(OSError):
            channel.setblocking(True)
            channel.sendall(self._unsaid)
            channel.shutdown(socket.SHUT_WR)
            while new := channel.recv(4096):
                self._learn(new)
        _wait(self._keeper)


def _start(place: Place, alive: int) -> tuple[int, int]:
    """The pid of the keeper, and our end of its socket."""
    ours, theirs = socket.socketpair()
    inherited = [os.dup(fd) for fd in (theirs.fileno(), alive, place.reader, place.writer)]
    try:
        for fd in inherited:
            os.set_inheritable(fd, True)
        tokens = -1 if place.tokens is None else place.tokens
        words = [*map(str, inherited), str(tokens), _home, *place.litter]
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _program, *words],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)],
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        for fd in inherited:
            os.close(fd)
    return pid, ours.detach()


def _wait(pid: int) -> None:
    with suppress(ChildProcessError):  # reaped by somebody else's wait(), or by SIGCHLD being ignored
        os.waitpid(pid, 0)
