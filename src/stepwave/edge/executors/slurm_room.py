"""Where pilots and steps come together: one thread with an event loop, between the run and Slurm.

A *pilot* is an allocation of Slurm that takes one step after the other, as a local supervisor does. A job for each step
would be no use: Slurm starts a few jobs in a second, and each after a second or more.

Rule 1  An attempt is given to one pilot, once. It is lost when the pilot is gone, and that is told only when Slurm says
        that the allocation has ended (or nothing, for GONE_S): the step is tried again, and must not run twice.
Rule 2  Allocations are asked for as steps wait for them, and never more; one that has had nothing to do for `idle_s`
        goes, and so does one whose node is drained or whose time is nearly over, after the step that it is at.
Rule 3  Only the runner lets a pilot go, so no step is sent to one that is on its way out.
Rule 4  What cannot be had is said: when Slurm refuses, or MOST_FAILURES allocations in a row end without a pilot, the
        steps that wait for one fail with that reason.
Rule 5  At the end there is nothing of the run in Slurm's queue.
"""

import asyncio
import os
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from stepwave.core.job import Job
from stepwave.edge.executors import slurm_commands as slurm
from stepwave.edge.executors.contract import Desk, Work
from stepwave.edge.executors.masked_signals import deaf
from stepwave.edge.executors.slurm_commands import NotDone, Order, Seen, Shape
from stepwave.edge.executors.slurm_wire import (
    HANDSHAKE_S,
    SIZE,
    Address,
    Message,
    admit,
    keep_alive,
    listening,
    next_message,
    own_names,
    pack,
    write_address,
)

Found = TypeVar("Found")

LOOKS_S = (2.0, 15.0)
"""Slurm is asked after so many seconds at first, and later."""
GONE_S = 60.0
KILL_S = 20.0
"""A pilot that has not killed a step by then does not answer any more."""
MOST_FAILURES = 3
MOST_STRANGERS = 256
LAST_S = 60.0
"""An allocation with less time left gets no step any more, nor one with a tenth of its time."""
CLOSE_S = 20.0


class Pilot:
    """An allocation, from the moment it was asked for. `writer` is there once it has reported."""

    def __init__(self, id: str, shape: Shape) -> None:
        self.id = id
        self.shape = shape
        self.asked_at = time.monotonic()
        self.node = ""
        self.writer: asyncio.StreamWriter | None = None
        self.jobs: dict[str, Job] = {}
        self.leaving = False
        self.idle_since = 0.0

    def send(self, message: Message) -> None:
        if self.writer is not None:
            self.writer.write(pack(message))


class Manner(NamedTuple):
    """`slots` steps at a time in one allocation, which is given back when it has been idle for so long. `host` is what
    the nodes know this machine by; None: what it calls itself."""

    slots: int = 1
    idle_s: float = 60.0
    host: str | None = None


class Room:
    """`shape_of` says what a job needs. `close` it whatever `open` does."""

    def __init__(self, order: Order, shape_of: Callable[[Job], Shape], manner: Manner) -> None:
        self._order = order
        self._shape_of = shape_of
        self._slots, self._idle_s, self._host = manner
        self._desk: Desk
        self._work: Work
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stepwave slurm", daemon=True)
        self._key = os.urandom(SIZE)
        self._address_file = ""
        self._server: asyncio.Server | None = None
        self._asking = asyncio.Lock()  # submitit is not made for two at a time
        self._pilots: dict[str, Pilot] = {}
        self._waiting: dict[Shape, deque[Job]] = {}
        self._held: set[str] = set()  # jobs that could not begin at once
        self._asked: Counter[Shape] = Counter()
        self._failures: Counter[Shape] = Counter()
        self._where: dict[str, Pilot] = {}
        self._strangers = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._had_trouble = False
        """Whether an allocation did not do what it should: then submitit's files tell more."""

    # --- from the thread of the run -----------------------------------------------------------------------------------

    def open(self, desk: Desk, work: Work) -> None:
        """Listen, and begin. Raises OSError."""
        self._desk, self._work = desk, work
        self._order.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with deaf():  # Ctrl-C is for the thread of the run, and not for an `sbatch` that is just at work either
            self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        file = self._order.folder / f"pilots-{port}.json"
        write_address(file, Address((self._host,) if self._host else own_names(), port, self._key))
        self._address_file = str(file)

    def submit(self, jobs: Sequence[Job]) -> None:
        self._loop.call_soon_threadsafe(self._take, jobs)

    def stop(self, key: str, number: int) -> None:
        self._loop.call_soon_threadsafe(self._stop, key, number)

    def freeze(self, keys: Sequence[str], still: bool) -> None:
        self._loop.call_soon_threadsafe(self._freeze, keys, still)

    def close(self) -> None:
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        if self._address_file:
            Path(self._address_file).unlink(missing_ok=True)
        if not self._had_trouble:
            shutil.rmtree(self._order.folder, ignore_errors=True)

    # --- in the room --------------------------------------------------------------------------------------------------

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._meet, sock=listening(self._host))
        self._spawn(self._look_after())
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _take(self, jobs: Sequence[Job]) -> None:
        shapes = {}
        for job in jobs:
            shape = shapes[job.key] = self._shape_of(job)
            self._waiting.setdefault(shape, deque()).append(job)
        for shape in dict.fromkeys(shapes.values()):
            self._serve(shape)
            for job in self._waiting.get(shape, ()):
                if job.key in shapes:
                    self._held.add(job.key)
                    self._desk.held(job.key)

    def _serve(self, shape: Shape) -> None:
        """Steps that wait go to pilots that have room; more pilots are asked for where steps are left."""
        waiting = self._waiting.get(shape)
        if not waiting or self._closing:
            return
        here = [pilot for pilot in self._pilots.values() if pilot.shape == shape and not pilot.leaving]
        for pilot in here:
            while waiting and pilot.writer is not None and len(pilot.jobs) < self._slots:
                self._give(pilot, waiting.popleft())
        to_come = sum(pilot.writer is None for pilot in here) + self._asked[shape]
        lacking = -(-len(waiting) // self._slots) - to_come
        if lacking > 0:
            count = min(lacking, slurm.MOST_AT_ONCE)
            self._asked[shape] += count
            self._spawn(self._ask_for(shape, count))

    def _give(self, pilot: Pilot, job: Job) -> None:
        try:
            pilot.send(("run", job))
        except Exception as problem:  # pickle raises whatever it likes
            self._desk.failed(job.key, f"it cannot be sent: {problem}")
            return
        pilot.jobs[job.key] = job
        self._where[job.key] = pilot
        if job.key in self._held:
            self._held.discard(job.key)
            self._desk.begun(job.key)

    async def _ask_for(self, shape: Shape, count: int) -> None:
        ids: list[str] = []
        try:
            async with self._asking:
                pilots = slurm.Pilots(shape, self._slots, count, self._address_file, self._work)
                ids = await in_thread(slurm.submit, self._order, pilots)
        except Exception as problem:
            self._give_up(shape, str(problem) if isinstance(problem, NotDone) else f"submitit: {problem!r}")
        finally:
            self._asked[shape] -= count
        for id in ids:
            self._pilots.setdefault(id, Pilot(id, shape))
        self._serve(shape)

    def _give_up(self, shape: Shape, reason: str) -> None:
        self._had_trouble = True
        self._failures[shape] = 0
        waiting = self._waiting.pop(shape, deque())
        for job in waiting:
            self._held.discard(job.key)
            self._desk.failed(job.key, f"Slurm gives no allocation: {reason}")

    def _stop(self, key: str, number: int) -> None:
        pilot = self._where.get(key)
        if pilot is not None:
            pilot.send(("stop", key, number))
            if number == 9:
                self._loop.call_later(KILL_S, self._insist, pilot, key)
            return
        for waiting in self._waiting.values():
            for job in [job for job in waiting if job.key == key]:
                waiting.remove(job)
                self._held.discard(key)
                self._desk.withdrawn(key)

    def _freeze(self, keys: Sequence[str], still: bool) -> None:
        for pilot in self._pilots.values():
            if its := tuple(key for key in keys if key in pilot.jobs):
                pilot.send(("freeze", its, still))

    def _insist(self, pilot: Pilot, key: str) -> None:
        if key in pilot.jobs and pilot.writer is not None:
            pilot.writer.transport.abort()

    # --- pilots come and go -------------------------------------------------------------------------------------------

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody has connected: a stranger until proved otherwise."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._strangers += 1
        pilot = None
        try:
            if self._strangers <= MOST_STRANGERS:
                pilot = await asyncio.wait_for(self._admit(reader, writer), HANDSHAKE_S)
        except (OSError, EOFError, ValueError, TimeoutError):
            pass
        finally:
            self._strangers -= 1
        try:
            if pilot is not None:
                await self._hear(pilot, reader)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            writer.close()
            if pilot is not None:
                self._gone(pilot)

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Pilot | None:
        if not await admit(self._key, reader.readexactly, writer.write):
            return None
        word, id, node, shape = await next_message(reader.readexactly)
        if word != "hello" or self._closing:
            return None
        keep_alive(writer.get_extra_info("socket"))
        pilot = self._pilots.setdefault(id, Pilot(id, shape))
        pilot.writer, pilot.node, pilot.idle_since = writer, node, time.monotonic()
        self._failures[shape] = 0
        self._serve(shape)
        return pilot

    async def _hear(self, pilot: Pilot, reader: asyncio.StreamReader) -> None:
        while True:
            word, key, *more = await next_message(reader.readexactly)
            if word == "silent":
                self._desk.silent(key)
            elif pilot.jobs.pop(key, None) is not None:
                del self._where[key]
                (self._desk.ended if word == "ended" else self._desk.failed)(key, *more)
                pilot.idle_since = time.monotonic()
                self._serve(pilot.shape)
                if pilot.leaving:
                    self._let_go(pilot)

    def _let_go(self, pilot: Pilot) -> None:
        """It gets no step any more, and goes after the last one."""
        pilot.leaving = True
        if not pilot.jobs:
            pilot.send(("go",))

    def _gone(self, pilot: Pilot) -> None:
        pilot.writer = None
        self._pilots.pop(pilot.id, None)
        if pilot.jobs and not self._closing:
            self._spawn(self._lose(pilot))
        else:
            for key in pilot.jobs:
                self._desk.lost(key, "the run is over")
        self._serve(pilot.shape)

    async def _lose(self, pilot: Pilot) -> None:
        """Rule 1: what it had is lost when the allocation has really ended."""
        self._had_trouble = True
        give_up, pause, state = time.monotonic() + GONE_S, 0.1, ""
        while time.monotonic() < give_up and not self._closing:
            with suppress(NotDone):
                state = (await in_thread(slurm.look, self._order)).get(pilot.id, Seen("", "")).state
                if state not in slurm.LIVE:
                    break
                if state in ("RUNNING", "SUSPENDED"):
                    await in_thread(slurm.cancel, [pilot.id])
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)
        reason = slurm.ENDS.get(state, "its pilot ended")
        for key in pilot.jobs:
            self._where.pop(key, None)
            self._desk.lost(key, f"{reason} (job {pilot.id} on {pilot.node})")

    # --- what Slurm says ----------------------------------------------------------------------------------------------

    async def _look_after(self) -> None:
        began = time.monotonic()
        while not self._closing:
            await asyncio.sleep(min(max(LOOKS_S[0], (time.monotonic() - began) / 10), LOOKS_S[1]))
            with suppress(NotDone):  # a controller that does not answer will do so later
                if self._pilots:
                    self._compare(await in_thread(slurm.look, self._order))
                    nodes = {pilot.node for pilot in self._pilots.values() if pilot.node}
                    self._clear(await in_thread(slurm.leaving, nodes))
            self._send_home()

    def _compare(self, seen: dict[str, Seen]) -> None:
        now = time.monotonic()
        for pilot in list(self._pilots.values()):
            known = seen.get(pilot.id)
            if pilot.writer is None and known and known.reason in slurm.FOR_EVER:
                self._give_up(pilot.shape, f"job {pilot.id} would wait for ever: {known.reason}")
            elif pilot.writer is None and now - pilot.asked_at > LOOKS_S[0]:
                if known is None or known.state not in slurm.LIVE:
                    self._never_came(pilot, known)
            elif known and known.left_s is not None and known.left_s < min(LAST_S, (known.limit_s or 0) / 10):
                self._let_go(pilot)

    def _never_came(self, pilot: Pilot, known: Seen | None) -> None:
        del self._pilots[pilot.id]
        self._had_trouble = True
        self._failures[pilot.shape] += 1
        if self._failures[pilot.shape] >= MOST_FAILURES:
            state = known.state.lower().replace("_", " ") if known else "gone"
            words = slurm.last_words(self._order.folder, pilot.id)
            where = f" on {known.nodes}" if known and known.nodes else ""
            self._give_up(pilot.shape, f"job {pilot.id}{where}: {state}{': ' if words else ''}{words}")
        self._serve(pilot.shape)

    def _clear(self, nodes: set[str]) -> None:
        for pilot in [pilot for pilot in self._pilots.values() if pilot.node in nodes and not pilot.leaving]:
            self._let_go(pilot)

    def _send_home(self) -> None:
        now = time.monotonic()
        for pilot in list(self._pilots.values()):
            if pilot.writer and not pilot.jobs and not pilot.leaving and now - pilot.idle_since > self._idle_s:
                self._let_go(pilot)

    # --- the end ------------------------------------------------------------------------------------------------------

    async def _close(self) -> None:
        self._closing = True
        for pilot in self._pilots.values():
            pilot.send(("go",))
        async with self._asking:  # what is being asked for just now is known afterwards
            pass
        give_up = time.monotonic() + CLOSE_S
        while any(pilot.writer for pilot in self._pilots.values()) and time.monotonic() < give_up:
            await asyncio.sleep(0.005)
        if self._pilots or self._had_trouble:
            with suppress(NotDone):
                await in_thread(slurm.cancel_all, self._order)
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._loop.shutdown_default_executor()


async def in_thread(function: Callable[..., Found], *given: object) -> Found:
    return await asyncio.to_thread(function, *given)
