"""What the worker of an engine runs: one attempt at a time per thread, below supervisors that its process keeps.

The functions of `edge/executors/contract.py`'s `Work`. They are here, and not beside the engines, because all that a
step is promised is kept by the supervisors: this hands them a message, as the local launcher does.

Rule 1  The processes of a job live no longer than the process that carries it out: at its end, by kill -9 too, the
        zygote and the supervisors read end of file, kill what they own and exit.
Rule 2  An order to stop may come before its job: then the job is answered as stopped and never begun.
Rule 3  A process that is forked from one that has carried out jobs begins anew: supervisors are not shared.
"""

import contextlib
import os
import pickle
import shutil
import socket
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from stepwave.core.events import Exited, Launch, older_log, stderr_log, stdout_log
from stepwave.core.job import MOST_BROUGHT, Around, Brought, Job
from stepwave.edge.local.launcher import exited, run_message
from stepwave.edge.local.messages import receive, send
from stepwave.edge.local.zygote import Zygote

MOST_REFUSED = 10_000
"""Keys of jobs that were stopped before they came; the oldest is forgotten, its job came long ago or never will."""

Forms = tuple[tuple[bytes, bool], ...]


class At(NamedTuple):
    """Where a job is at work: the socket of its supervisor, and the job's number there."""

    channel: int
    number: int


class Hand:
    """What this process has at work. Threads share it; `lock` guards everything."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.zygote: Zygote | None = None
        self.idle: dict[Forms, list[int]] = {}
        self.busy: dict[str, At] = {}
        self.refused: OrderedDict[str, None] = OrderedDict()
        self.number = 0

    def begin(self, key: str, forms: Forms, launch: Launch, folder: str, env: dict[str, str | None]) -> At | None:
        """Hand the job to a supervisor; None when it is to be stopped already. Raises OSError.

        Nobody else speaks to that supervisor before it has been told: it would not know of what.
        """
        with self.lock:
            if key in self.refused:
                del self.refused[key]
                return None
            self.number += 1
            idle = self.idle.get(forms)
            at = At(idle.pop() if idle else self._new_supervisor(forms), self.number)
            self.busy[key] = at
            with contextlib.suppress(OSError):  # it has just been killed, which its end of file says
                send(at.channel, run_message(at.number, launch, folder, env))
            return at

    def _new_supervisor(self, forms: Forms) -> int:
        if self.zygote is None:
            self.zygote = Zygote(os.environ)
        try:
            channel = self.zygote.new_supervisor()
        except OSError:  # it was killed; what it owned is gone with it
            self.zygote.close()
            self.zygote = Zygote(os.environ)
            channel = self.zygote.new_supervisor()
        if forms:
            send(channel, ("mask", forms))
        return channel

    def give_back(self, key: str, forms: Forms, *, alive: bool) -> None:
        with self.lock:
            at = self.busy.pop(key)
            if alive:
                self.idle.setdefault(forms, []).append(at.channel)
            else:
                os.close(at.channel)

    def tell(self, key: str, *words: object) -> bool:
        """Whether the job is at work here; `words` have been sent to its supervisor then."""
        at = self.busy.get(key)
        if at is not None:
            with contextlib.suppress(OSError):  # a supervisor that is gone is noticed by its end of file
                send(at.channel, (words[0], at.number, *words[1:]) if len(words) > 1 else words)
        return at is not None

    def close(self) -> None:
        with self.lock:
            for channel in [channel for idle in self.idle.values() for channel in idle]:
                os.close(channel)
            self.idle.clear()
            if self.zygote is not None:
                self.zygote.close()
                self.zygote = None


_hand = Hand()


def _ours() -> Hand:
    global _hand  # noqa: PLW0603 - one for each process is what it is
    if _hand.pid != os.getpid():
        _hand = Hand()
    return _hand


# --- what an engine calls ---------------------------------------------------------------------------------------------


def carry_out(job: Job, tell: Callable[[], None] | None = None) -> Brought:
    """Run the job to its end, in this thread. `tell` is called when it has been silent for too long. Raises nothing
    that the job is to blame for.
    """
    around = _around(job.around)
    sees = _sees(around.folder, around.token, around.proof)
    folder = around.folder if sees else tempfile.mkdtemp(prefix="stepwave-")
    try:
        if not sees:
            os.mkdir(f"{folder}/logs", 0o700)  # noqa: PTH102
        end = _run(job, around, folder, sees, tell)
        return Brought(end, () if sees else _logs(folder, job.launch.log), socket.gethostname())
    finally:
        if not sees:
            shutil.rmtree(folder, ignore_errors=True)


def stop(key: str, number: int) -> bool:
    """End the job with this signal: True when it is at work in this process. Else it is not begun if it comes."""
    hand = _ours()
    with hand.lock:
        if hand.tell(key, "stop", int(number)):  # marshal takes no enum
            return True
        hand.refused[key] = None
        while len(hand.refused) > MOST_REFUSED:
            hand.refused.popitem(last=False)
        return False


def freeze(keys: tuple[str, ...], still: bool) -> None:
    """The processes of those jobs that are at work in this process stand still, or go on."""
    hand = _ours()
    with hand.lock:
        for key in keys:
            hand.tell(key, "freeze" if still else "thaw")


def end() -> None:
    """End the supervisors that this process keeps. Nothing may be at work any more."""
    if _hand.pid == os.getpid():
        _hand.close()


# --- one job ----------------------------------------------------------------------------------------------------------


def _run(job: Job, around: Around, folder: str, sees: bool, tell: Callable[[], None] | None) -> Exited:
    launch = job.launch
    if not sees:
        most = min(launch.limits.output_bytes or MOST_BROUGHT, MOST_BROUGHT)
        launch = launch._replace(limits=launch.limits._replace(output_bytes=most))
    hand, alive, message = _ours(), False, None
    try:
        at = hand.begin(job.key, around.forms, launch, folder, {**_differing(job.around), **launch.env})
    except OSError as error:
        return Exited(launch.step, launch.attempt, problem=f"no supervisor could be started: {error.strerror}")
    if at is None:
        return Exited(launch.step, launch.attempt, problem="it was stopped before it began", stopped=True)
    try:
        while (message := receive(at.channel)) == (at.number, "silent"):
            if tell is not None:
                tell()
        alive = message is not None
    finally:
        hand.give_back(job.key, around.forms, alive=alive)
    if message is None:
        problem = "its supervisor was killed, and the step with it"
        return Exited(launch.step, launch.attempt, problem=problem)
    return exited(launch, message)._replace(at=None)  # the clock of another machine


@lru_cache(8)
def _around(data: bytes) -> Around:
    around: Around = pickle.loads(data)
    return around


@lru_cache(8)
def _differing(data: bytes) -> dict[str, str]:
    """What is to be laid over the environment of this process to have that of the caller."""
    return {name: value for name, value in _around(data).environ.items() if os.environ.get(name) != value}


@lru_cache(64)
def _sees(folder: str, token: str, proof: str) -> bool:
    """Whether the folder is the same one here: a file in it says what only the runner can have written."""
    try:
        return (Path(folder) / token).read_text("ascii") == proof
    except (OSError, ValueError):
        return False


def _logs(folder: str, log: str) -> tuple[tuple[str, bytes], ...]:
    """Everything that was written, by name, older parts first."""
    names = [part for name in (log, stdout_log(log), stderr_log(log)) for part in (older_log(name), name)]
    return tuple((name, Path(folder, name).read_bytes()) for name in names if Path(folder, name).exists())
