"""Steps as processes of this machine: one resident supervisor per slot, started on demand and reused.

The other end is `supervisor.py`; what it promises is written there. This end keeps the books: which slot runs which
attempt, and that every launch is answered once, even when the supervisor itself is killed.
"""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from stepwave.core.events import Exited, Launch, Order, Signal, Silent, Stop, Usage, stdout_log
from stepwave.core.model import Limits
from stepwave.core.tracing import STATE_VARIABLE, VARIABLE, Trace
from stepwave.edge.local.messages import receive, receive_alone, send
from stepwave.edge.local.sink import KEEP
from stepwave.edge.local.zygote import Zygote
from stepwave.engine import Inbox


class Slot:
    """A supervisor, as seen from here: our end of its socket and what it is busy with."""

    def __init__(self, channel: int) -> None:
        self.channel = channel
        self.number = 0
        self.launch: Launch | None = None


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

    def obey(self, order: Order) -> None:
        if isinstance(order, Launch):
            self._launch(order)
        elif isinstance(order, Stop):
            self._stop(order)

    def _launch(self, order: Launch) -> None:
        try:
            slot = self._idle.pop() if self._idle else self._new_slot()
            slot.number += 1
            send(slot.channel, self._message(slot.number, order))
        except OSError as error:
            problem = f"its supervisor could not be reached: {error.strerror}"
            self._inbox.put(Exited(order.step, order.attempt, problem=problem))
            return
        slot.launch = order
        self._busy[order.step, order.attempt] = slot

    def _message(self, number: int, order: Launch) -> tuple[object, ...]:
        stdin: tuple[str, str | bytes] | None = None
        if order.stdin is not None and order.stdin.path is not None:
            stdin = ("path", order.stdin.path)
        elif order.stdin is not None:
            stdin = ("text", (order.stdin.text or "").encode("utf-8", "surrogateescape"))
        apart = str(self._folder / stdout_log(order.log)) if order.keep_output else None
        message = (
            "run",
            number,
            list(order.argv),
            limit_command(order.limits),
            order.cwd,
            self._environment(order),
            stdin,
            (f"{self._folder}/{order.log}", apart, order.limits.output_bytes),
        )
        listening = _listening(order)
        return message if listening is None else (*message, listening)

    def _environment(self, order: Launch) -> dict[str, str | None]:
        """What is laid over that of the caller."""
        env = {name: value and str(value) for name, value in order.env.items()}  # marshal takes no `Private`
        if self._trace is not None and VARIABLE not in env:
            env[VARIABLE] = self._trace.parent_of(order.step, order.attempt)
            if not self._trace.parent:
                env.setdefault(STATE_VARIABLE, None)  # of a trace that nobody knows of
        return env

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
        slot = Slot(self._zygote.new_supervisor())
        self._slots.append(slot)
        if self._forms:
            send(slot.channel, ("mask", self._forms))
        self._inbox.watch(slot.channel, lambda: self._read(slot))
        return slot

    def _read(self, slot: Slot) -> Iterable[Signal]:
        # One that may tell of silence does not wait for an answer before it tells of the end.
        may_tell_more = slot.launch is not None and slot.launch.idle_s
        message = (receive if may_tell_more else receive_alone)(slot.channel)
        if may_tell_more and slot.launch is not None and message == (slot.number, "silent"):
            return (Silent(slot.launch.step, slot.launch.attempt),)
        launch, slot.launch = slot.launch, None
        if message is None:
            self._drop(slot)
            if launch is None:
                return ()
            del self._busy[launch.step, launch.attempt]
            return (Exited(launch.step, launch.attempt, problem="its supervisor was killed, and the step with it"),)
        if launch is None:
            return ()
        del self._busy[launch.step, launch.attempt]
        self._idle.append(slot)
        return (_exited(launch, message),)

    def _drop(self, slot: Slot) -> None:
        self._inbox.unwatch(slot.channel)
        os.close(slot.channel)
        self._slots.remove(slot)
        if slot in self._idle:
            self._idle.remove(slot)

    def close(self) -> None:
        """Everything that still runs is killed: closing our ends is the order, the zygote's exit the answer."""
        for slot in (*self._idle, *self._busy.values()):
            self._inbox.unwatch(slot.channel)
            os.close(slot.channel)
        self._idle.clear()
        self._busy.clear()
        self._zygote.close()


def _exited(launch: Launch, message: tuple[object, ...]) -> Exited:
    _, pid, status, problem, stopped, left, usage, kept, size, apart, dropped, *heard = message
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
