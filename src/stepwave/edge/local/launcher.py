"""Steps as processes of this machine: one resident supervisor per slot, started on demand and reused.

The other end is `supervisor.py`; what it promises is written there. This end keeps the books: which slot runs which
attempt, and that every launch is answered once, even when the supervisor itself is killed.
"""

import itertools
import os
import signal
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from stepwave.core.events import (
    LONG_S,
    Exited,
    Follow,
    Launch,
    Order,
    Recall,
    Returned,
    Signal,
    Silent,
    Stop,
    Usage,
    stdout_log,
)
from stepwave.core.model import Limits
from stepwave.core.tracing import Trace, environment
from stepwave.edge.local.messages import NUMBER, nameless_file, receive_all, send
from stepwave.edge.local.sink import KEEP
from stepwave.edge.local.zygote import Zygote
from stepwave.engine import Inbox

FOLLOWS = 12
"""The place in a report that says whether the next step of the queue has started."""


class Slot:
    """A supervisor, as seen from here: our end of its socket, what it is busy with, and what it has in its queue.

    `number` is that of what runs, `last` of what was sent last. At `place` it writes what it begins by itself.
    """

    def __init__(self, channel: int, place: int) -> None:
        self.channel = channel
        self.place = place
        self.number = self.last = 0
        self.launch: Launch | None = None
        self.queue: deque[tuple[int, Launch]] = deque()

    def begin(self, number: int, launch: Launch) -> None:
        self.number, self.launch = number, launch

    def take_back(self, numbers: Iterable[object]) -> Returned:
        """What has these numbers will not start."""
        gone = set(numbers)
        returned = tuple(launch.step for number, launch in self.queue if number in gone)
        self.queue = deque(queued for queued in self.queue if queued[0] not in gone)
        self.last = self.queue[-1][0] if self.queue else self.number
        return Returned(returned)


class LocalLauncher:
    """`inbox`: where ends are reported. `folder`: the run's folder; logs are written below it.

    `zygote` makes the supervisors; `close` closes it, too. `forms` is what is masked in all that is printed: see
    `stepwave.core.masking`. `trace` is what every attempt finds in TRACEPARENT; nobody before this hears of it, so it
    is in no record and in no fingerprint.
    """

    def __init__(
        self,
        inbox: Inbox,
        folder: Path,
        zygote: Zygote,
        forms: tuple[tuple[bytes, bool], ...] = (),
        trace: Trace | None = None,
    ) -> None:
        self._forms = forms
        self._trace = trace
        self._inbox = inbox
        self._folder = folder
        self._idle: list[Slot] = []
        self._slots: list[Slot] = []  # in the order in which they were made
        self._busy: dict[tuple[str, int], Slot] = {}
        self._zygote = zygote
        self._begun = nameless_file()
        self._places = itertools.count()

    def obey(self, order: Order) -> None:
        if isinstance(order, Launch):
            self._launch(order)
        elif isinstance(order, Follow):
            self._follow(order)
        elif isinstance(order, Recall):
            self._recall(order)
        elif isinstance(order, Stop):
            self._stop(order)

    def _launch(self, order: Launch) -> None:
        try:
            slot = self._sent(order)
        except OSError as error:
            problem = f"its supervisor could not be reached: {error.strerror}"
            self._inbox.put(Exited(order.step, order.attempt, problem=problem))
            return
        slot.begin(slot.last, order)
        self._busy[order.step, order.attempt] = slot

    def _sent(self, order: Launch) -> Slot:
        """The slot that has the order. An idle one whose supervisor has been killed is noticed here at the latest, and
        the next one is asked. Raises OSError where a new one cannot be reached either."""
        while self._idle:
            slot = self._idle.pop()
            with suppress(OSError):
                return self._send_to(slot, order)
            for refused in self._lost(slot):  # what it has refused, and nobody has read
                self._inbox.put(refused)
        return self._send_to(self._new_slot(), order)

    def _send_to(self, slot: Slot, order: Launch) -> Slot:
        slot.last += 1
        send(slot.channel, self._message(slot.last, order))
        return slot

    def _follow(self, order: Follow) -> None:
        slot = self._busy.get((order.behind, order.attempt))
        if slot is None:
            self._inbox.put(Returned(tuple(launch.step for launch in order.launches)))
            return
        numbered = list(enumerate(order.launches, slot.last + 1))
        fields = [self._message(number, launch)[1:] for number, launch in numbered]
        message = ("follow", slot.last, fields, slot.place, LONG_S)
        slot.queue += numbered
        slot.last = numbered[-1][0]
        with suppress(OSError):  # a supervisor that is gone is noticed by its end of file
            send(slot.channel, message)

    def _recall(self, order: Recall) -> None:
        slot = self._busy.get((order.behind, order.attempt))
        if slot is not None:
            with suppress(OSError):
                send(slot.channel, ("recall",))

    def _message(self, number: int, order: Launch) -> tuple[object, ...]:
        return run_message(number, order, str(self._folder), self._environment(order))

    def _environment(self, order: Launch) -> dict[str, str | None]:
        """What is laid over that of the caller."""
        return environment(self._trace, order.step, order.attempt, order.env)

    def _stop(self, order: Stop) -> None:
        slot = self._busy.get((order.step, order.attempt))
        if slot is None:
            return
        number = signal.SIGKILL if order.force else getattr(signal, f"SIG{order.rule.signal}")
        with suppress(OSError):  # a supervisor that is gone is noticed by its end of file
            send(slot.channel, ("stop", slot.number, int(number)))

    def freeze(self) -> None:
        """Every running step stands still (SIGSTOP)."""
        self._tell_all("freeze")

    def thaw(self) -> None:
        self._tell_all("thaw")

    def _tell_all(self, word: str) -> None:
        for slot in self._busy.values():
            with suppress(OSError):
                send(slot.channel, (word,))

    def weigh(self) -> dict[str, int] | None:
        """Bytes that the processes of each running step use now; None where that is not known."""
        from stepwave.edge.local.weigh import weigh_children

        below = weigh_children(self._zygote.pid)
        if below is None or len(below) != len(self._slots):  # a supervisor has just come, or been killed
            return None
        found = zip(self._slots, below, strict=True)
        return {slot.launch.step: used for slot, used in found if slot.launch is not None}

    # --- slots ------------------------------------------------------------------------------------

    def _new_slot(self) -> Slot:
        slot = Slot(self._zygote.new_supervisor(self._begun), next(self._places))
        self._slots.append(slot)
        if self._forms:
            send(slot.channel, ("mask", self._forms))
        self._inbox.watch(slot.channel, lambda: self._read(slot))
        return slot

    def _read(self, slot: Slot) -> Iterable[Signal]:
        messages = receive_all(slot.channel)
        if messages is None:
            return self._lost(slot)
        signals: list[Signal] = []
        for message in messages:
            if message[0] == "returned":
                signals.append(slot.take_back(message[1]))
            elif slot.launch is None or message[0] != slot.number:
                continue
            elif message[1] == "silent":
                signals.append(Silent(slot.launch.step, slot.launch.attempt))
            else:
                signals.append(self._ended(slot, slot.launch, message))
        return signals

    def _ended(self, slot: Slot, launch: Launch, message: tuple[Any, ...]) -> Exited:
        """The end of what ran there, and what has started in its place."""
        end = exited(launch, message)
        del self._busy[launch.step, launch.attempt]
        if not message[FOLLOWS]:
            slot.launch = None
            self._idle.append(slot)
            return end
        slot.begin(*slot.queue.popleft())
        assert slot.launch is not None
        self._busy[slot.launch.step, slot.launch.attempt] = slot
        return end._replace(follower=slot.launch.step)

    def _lost(self, slot: Slot) -> list[Signal]:
        """The supervisor is gone, with the reports that it had not sent yet. What has begun has begun, all the same."""
        self._drop(slot)
        signals: list[Signal] = []
        begun = self._number_at(slot.place)
        waiting = [number for number, _ in slot.queue if number > begun]
        if waiting:
            signals.append(slot.take_back(waiting))
        if slot.launch is not None:
            del self._busy[slot.launch.step, slot.launch.attempt]
            ended = [slot.launch, *(launch for _, launch in slot.queue)]
            followers = [*(launch.step for launch in ended[1:]), ""]
            problem = "its supervisor was killed, and the step with it"
            for launch, follower in zip(ended, followers, strict=True):
                signals.append(Exited(launch.step, launch.attempt, problem=problem, follower=follower))
        slot.launch = None
        return signals

    def _number_at(self, place: int) -> int:
        """Of the job that a supervisor began last by itself, as a follower; 0: none."""
        return int.from_bytes(os.pread(self._begun, NUMBER, place * NUMBER), sys.byteorder)

    def _drop(self, slot: Slot) -> None:
        self._inbox.unwatch(slot.channel)
        os.close(slot.channel)
        self._slots.remove(slot)
        if slot in self._idle:
            self._idle.remove(slot)

    def close(self) -> None:
        """Everything that still runs is killed: closing our ends is the order, the zygote's exit the answer."""
        for slot in self._slots:  # in a fork of this process, one may be neither idle nor busy at this moment
            self._inbox.unwatch(slot.channel)
            os.close(slot.channel)
        self._slots.clear()
        self._idle.clear()
        self._busy.clear()
        self._zygote.close()
        if self._begun >= 0:
            os.close(self._begun)
            self._begun = -1


def run_message(number: int, order: Launch, folder: str, env: dict[str, str | None]) -> tuple[object, ...]:
    """What tells a supervisor to carry this out. Logs go below `folder`; `env` is laid over what it began with."""
    stdin: tuple[str, str | bytes] | None = None
    if order.stdin is not None and order.stdin.path is not None:
        stdin = ("path", order.stdin.path)
    elif order.stdin is not None:
        stdin = ("text", (order.stdin.text or "").encode("utf-8", "surrogateescape"))
    apart = f"{folder}/{stdout_log(order.log)}" if order.keep_output else None
    message = (
        "run",
        number,
        list(order.argv),
        limit_command(order.limits),
        order.cwd,
        env,
        stdin,
        (f"{folder}/{order.log}", apart, order.limits.output_bytes),
    )
    listening = _listening(order)
    return message if listening is None else (*message, listening)


def exited(launch: Launch, message: tuple[object, ...]) -> Exited:
    """What a supervisor reports of it."""
    _, pid, status, problem, stopped, left, usage, kept, size, apart, dropped, at, _, *heard = message
    tail = heard[0] if heard else b""
    code = number = None
    if problem is None and isinstance(status, int):
        ended = os.waitstatus_to_exitcode(status)
        code, number = (ended, None) if ended >= 0 else (None, -ended)
    elif problem is None:
        problem = "its end was not observed"
    stdout, stderr = kept if isinstance(kept, tuple) else (None, None)
    return Exited(
        step=launch.step,
        attempt=launch.attempt,
        code=code,
        signal=number,
        problem=problem if isinstance(problem, str) else None,
        stopped=bool(stopped),
        pid=pid if isinstance(pid, int) else None,
        usage=Usage(*usage) if isinstance(usage, tuple) else None,
        stdout=_text(stdout),
        stderr=_text(stderr),
        log_bytes=size if isinstance(size, int) else 0,
        stdout_bytes=apart if isinstance(apart, int) else 0,
        left=left if isinstance(left, tuple) else (),
        tail=tail.decode("utf-8", "replace") if isinstance(tail, bytes) else "",
        dropped_bytes=dropped if isinstance(dropped, int) else 0,
        at=at if isinstance(at, float) else None,
    )


def _listening(order: Launch) -> tuple[bool, float | None] | None:
    """What the supervisor is to listen for: see `ear.py`. None for a plain step."""
    return (order.keep_tail, order.idle_s or None) if order.keep_tail or order.idle_s else None


def _text(kept: bytes | None) -> str | None:
    if kept is None or len(kept) > KEEP:
        return None
    return kept.decode("utf-8", "replace")


def limit_command(limits: Limits) -> list[str]:
    """A prefix that sets limits in the child only, by the shell's `ulimit`; empty when there are none.

    Not setrlimit in the supervisor: posix_spawn itself needs memory, and a limit on CPU time would hit the supervisor.
    """
    wanted = []
    if limits.memory_bytes is not None:
        wanted.append(f"ulimit -v {max(1, limits.memory_bytes // 1024)}")
    if limits.cpu_s is not None:
        wanted.append(f"ulimit -t {limits.cpu_s}")
    if limits.open_files is not None:
        wanted.append(f"ulimit -n {limits.open_files}")
    if not wanted:
        return []
    script = " && ".join(wanted) + ' && exec "$@"'
    return ["/bin/sh", "-c", script, "sh"]
