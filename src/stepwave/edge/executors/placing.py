"""The launcher in front of an engine: orders become jobs, what the engine says becomes signals.

Rule 1  Every launch is answered with exactly one `Exited`, by the thread of the loop. What an engine says of a job that
        has been answered is nobody's any more.
Rule 2  All that begins in one turn of the loop is given to the engine together: an engine may have a price by call.
Rule 3  Nothing that comes back is trusted: an end is that of the attempt which was asked for, a log has the name that
        was given to it, and no more of it is kept than may be.
"""

import os
import pickle
import re
import secrets
import signal
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path

from stepwave import __version__
from stepwave.core.events import (
    Begun,
    Exited,
    Held,
    Launch,
    Order,
    Signal,
    Silent,
    Stop,
    older_log,
    stderr_log,
    stdout_log,
)
from stepwave.core.job import Around, Brought, Job
from stepwave.core.text import one_line
from stepwave.core.tracing import Trace, environment
from stepwave.edge.executors.contract import Engine, Work
from stepwave.engine import Inbox

MAX_REASON = 500


class Told(Enum):
    """What is told of a job that goes on."""

    SILENT = Silent
    HELD = Held
    BEGUN = Begun


Answer = Brought | Exited | Told


class Placing:
    """`engine` is open, and closed by `close`. `inbox`: where ends are reported. `folder`: that of the run. `environ`
    is what every step starts from, `forms` what is masked in all that is printed. Raises OSError when nothing can be
    written into the folder.
    """

    def __init__(
        self,
        engine: Engine,
        work: Work,
        inbox: Inbox,
        folder: Path,
        environ: Mapping[str, str],
        forms: tuple[tuple[bytes, bool], ...] = (),
        trace: Trace | None = None,
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._folder = folder
        self._trace = trace
        self._token = folder / f".worker-{secrets.token_hex(8)}"
        self._around = self._introduce(environ, forms)
        self._placed: dict[str, Launch] = {}  # by key, until it has been answered
        self._keys: dict[tuple[str, int], str] = {}
        self._waiting: list[Job] = []
        self._stopped: set[str] = set()
        self._number = 0
        self._lock = threading.Lock()
        self._answers: list[tuple[str, Answer]] = []
        self._ear, self._bell = os.pipe()
        for fd in (self._ear, self._bell):
            os.set_blocking(fd, False)
        inbox.watch(self._ear, self._read)
        engine.begin(self, work)

    def _introduce(self, environ: Mapping[str, str], forms: tuple[tuple[bytes, bool], ...]) -> bytes:
        """What a worker is told of the run, and the file by which it sees whether it shares the folder."""
        proof = secrets.token_hex(16)
        with open(self._token, "x", encoding="ascii", opener=_open_private) as file:
            file.write(proof)
        return pickle.dumps(Around(__version__, str(self._folder), self._token.name, proof, dict(environ), forms))

    # --- in the thread of the loop ------------------------------------------------------------------

    def obey(self, order: Order) -> None:
        if isinstance(order, Launch):
            self._launch(order)
        elif isinstance(order, Stop):
            self._stop(order)

    def _launch(self, order: Launch) -> None:
        self._number += 1
        key = f"{_plain.sub('_', order.step)[:60]}-{self._folder.name}-{self._number}"
        env = environment(self._trace, order.step, order.attempt, order.env)
        self._placed[key] = order
        self._keys[order.step, order.attempt] = key
        # Patterns of files are the runner's affair, and a mapping of `model` may be one that cannot be pickled.
        launch = order._replace(env=env, inputs=None, outputs=(), after=None)
        self._waiting.append(Job(key, launch, self._around))
        if len(self._waiting) == 1:
            self._ring()

    def _stop(self, order: Stop) -> None:
        key = self._keys.get((order.step, order.attempt))
        if key is None:
            return
        self._stopped.add(key)
        for job in self._waiting:
            if job.key == key:
                self._waiting.remove(job)
                self.withdrawn(key)
                return
        number = signal.SIGKILL if order.force else getattr(signal, f"SIG{order.rule.signal}")
        self._engine.stop(key, int(number))

    def freeze(self) -> None:
        self._engine.freeze(tuple(self._placed), True)

    def thaw(self) -> None:
        self._engine.freeze(tuple(self._placed), False)

    def _read(self) -> Iterable[Signal]:
        with suppress(BlockingIOError):
            os.read(self._ear, 4096)
        if self._waiting:
            jobs, self._waiting = self._waiting, []
            self._engine.submit(jobs)
        with self._lock:
            answers, self._answers = self._answers, []
        return [signal for key, answer in answers if (signal := self._signal(key, answer))]

    def _signal(self, key: str, answer: Answer) -> Signal | None:
        launch = self._placed.get(key)
        if launch is None:
            return None
        if isinstance(answer, Told):
            told: Signal = answer.value(launch.step, launch.attempt)
            return told
        del self._placed[key]
        if self._keys.get((launch.step, launch.attempt)) == key:
            del self._keys[launch.step, launch.attempt]
        end = self._received(launch, answer) if isinstance(answer, Brought) else answer
        stopped = end.stopped or (key in self._stopped and isinstance(answer, Exited))
        self._stopped.discard(key)
        # Its clock is not ours, and nothing follows it by itself.
        return end._replace(step=launch.step, attempt=launch.attempt, stopped=stopped, at=None, follower="")

    def _received(self, launch: Launch, brought: Brought) -> Exited:
        """Its end, once its logs are where those of all steps are."""
        expected = (launch.log, stdout_log(launch.log), stderr_log(launch.log))
        names = {*expected, *map(older_log, expected)}
        try:
            for name, data in brought.files:
                if name in names:
                    with open(self._folder / name, "wb", opener=_open_private) as file:
                        file.write(data)
        except OSError as error:
            problem = f"its log could not be written: {(error.strerror or '').lower()}"
            return brought.end._replace(code=None, signal=None, problem=problem)
        return brought.end

    def close(self) -> None:
        """Everything that still runs is killed, wherever it does."""
        if self._bell < 0:
            return
        try:
            self._engine.close()
        finally:
            self._inbox.unwatch(self._ear)
            with self._lock:
                self._placed.clear()
                os.close(self._ear)
                os.close(self._bell)
                self._bell = -1
            with suppress(OSError):
                self._token.unlink()

    # --- what an engine says, in any thread ---------------------------------------------------------

    def ended(self, key: str, brought: Brought) -> None:
        self._answer(key, brought)

    def lost(self, key: str, reason: str) -> None:
        self._answer(key, self._without_end(key, reason)._replace(lost=True))

    def failed(self, key: str, reason: str) -> None:
        self._answer(key, self._without_end(key, reason))

    def withdrawn(self, key: str) -> None:
        self._answer(key, Exited("", 0, problem="it had not begun", stopped=True))

    def silent(self, key: str) -> None:
        self._answer(key, Told.SILENT)

    def held(self, key: str) -> None:
        self._answer(key, Told.HELD)

    def begun(self, key: str) -> None:
        self._answer(key, Told.BEGUN)

    def _without_end(self, key: str, reason: str) -> Exited:
        """Of what a lost worker wrote into the run's folder, as much is there as it came to."""
        launch, size = self._placed.get(key), 0
        if launch is not None:
            with suppress(OSError):
                size = (self._folder / launch.log).stat().st_size
        return Exited("", 0, problem=one_line(reason, MAX_REASON), log_bytes=size)

    def _answer(self, key: str, answer: Answer) -> None:
        with self._lock:
            self._answers.append((key, answer))
            if self._bell >= 0 and len(self._answers) == 1:
                self._ring()

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # full of bells that have not been heard yet
            os.write(self._bell, b"!")


_plain = re.compile(r"[^A-Za-z0-9_.]+")


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
