"""What an allocation of Slurm runs: it connects to the runner and carries out the steps that it is sent.

Rule 1  The runner decides when a pilot begins something and when it goes; a pilot only ever ends by itself when the
        runner is gone.
Rule 2  At its end no process of its steps is alive: it waits for the care of `carry_out`, then Slurm kills what is left
        of the job.
Rule 3  What a step finds of the allocation is what Slurm has said to this process: its GPUs, its SLURM_ variables.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from stepwave.core.job import Brought, Job
from stepwave.edge.executors.contract import Work
from stepwave.edge.executors.slurm_wire import (
    HANDSHAKE_S,
    Address,
    Message,
    introduce,
    keep_alive,
    pack,
    read_address,
    read_message,
)

LAST_STEPS_S = 15.0  # for the processes of steps that are killed since the runner is gone
DOUBT_S = 0.5
"""Slurm ends an allocation by a signal to every process in it, to those of a step perhaps a moment before this one. So
what has failed is told a moment later: if this process is gone by then, the step is lost, and has not failed."""
TRIES = 2
PAUSE_S = 1.0
OF_THE_ALLOCATION = ("CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "TMPDIR")


class Unreachable(Exception):  # noqa: N818 - says what happened
    """The runner cannot be reached from this node."""


class Pilot:
    """One allocation, from its side. `work` is what carries out the steps; each has a thread here."""

    def __init__(self, connection: socket.socket, work: Work) -> None:
        self._connection = connection
        self._work = work
        self._sending = threading.Lock()
        self._running: dict[str, threading.Thread] = {}
        self._given = given_by_slurm(os.environ)

    def serve(self) -> None:
        """Until the runner says so, or is gone."""
        with suppress(OSError, ValueError):
            while message := read_message(self._connection):
                if message[0] == "run":
                    self._begin(message[1])
                elif message[0] == "stop":
                    self._work.stop(message[1], message[2])
                elif message[0] == "freeze":
                    self._work.freeze(message[1], message[2])
                elif message[0] == "go":
                    break
        self.end()

    def _begin(self, job: Job) -> None:
        launch = job.launch._replace(env={**self._given, **job.launch.env})
        thread = threading.Thread(target=self._carry_out, args=(job._replace(launch=launch),), daemon=True)
        self._running[job.key] = thread
        thread.start()

    def _carry_out(self, job: Job) -> None:
        try:
            brought = self._work.carry_out(job, lambda: self._tell(("silent", job.key)))
        except Exception as problem:
            self._tell(("broken", job.key, f"{type(problem).__name__}: {problem}"))
        else:
            if brought.end.code != 0 and brought.end.problem is None and not brought.end.stopped:
                time.sleep(DOUBT_S)
            self._bring(job.key, brought)
        finally:
            self._running.pop(job.key, None)

    def _bring(self, key: str, brought: Brought) -> None:
        try:
            self._tell(("ended", key, brought))
        except ValueError as problem:
            self._tell(("broken", key, f"what it brought cannot be sent: {problem}"))

    def _tell(self, message: Message) -> None:
        packed = pack(message)
        with self._sending, suppress(OSError):  # a runner that is gone is noticed by the end of its stream
            self._connection.sendall(packed)

    def end(self) -> None:
        """Nothing of the steps is alive afterwards."""
        for key, thread in list(self._running.items()):
            self._work.stop(key, signal.SIGKILL)
            thread.join(LAST_STEPS_S)
        self._work.end()


def fly(address_file: str, shape: object, work: Work) -> None:
    """What submitit calls; `shape` is told to the runner again. Raises Unreachable, which its log shows."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # submitit ignores it; the steps end with this process
    for name in ("submitit", "asyncio"):
        logging.getLogger(name).disabled = True
    connection = reach(read_address(address_file))
    hello = ("hello", job_id(os.environ), os.environ.get("SLURMD_NODENAME", ""), shape)
    for name in [name for name in os.environ if name.startswith("SUBMITIT_")]:
        del os.environ[name]
    connection.sendall(pack(hello))
    Pilot(connection, work).serve()
    os._exit(0)  # nobody waits for what submitit would write down


def reach(address: Address) -> socket.socket:
    """A connection to the runner that has proved to be it. Raises Unreachable."""
    problems: list[str] = []
    for host in address.hosts * TRIES:
        if len(problems) >= len(address.hosts):
            problems.clear()
            time.sleep(PAUSE_S)  # many of an array come at the same moment
        try:
            connection = socket.create_connection((host, address.port), timeout=HANDSHAKE_S)
        except OSError as problem:
            problems.append(f"{host}: {problem.strerror or problem}")
            continue
        with suppress(OSError):
            if introduce(address.key, connection):
                connection.settimeout(None)
                keep_alive(connection)
                return connection
        problems.append(f"{host}: it is not the runner that answers")
        connection.close()
    node = os.environ.get("SLURMD_NODENAME", "this node")
    raise Unreachable(f"{node} cannot reach the runner on port {address.port}: {'; '.join(problems)}")


def job_id(environ: Mapping[str, str]) -> str:
    """As squeue and submitit write it: `7`, or `7_2` for a part of an array."""
    array = environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{environ['SLURM_ARRAY_TASK_ID']}" if array else environ["SLURM_JOB_ID"]


def given_by_slurm(environ: Mapping[str, str]) -> dict[str, str | None]:
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(("SLURM_", "SLURMD_")) or name in OF_THE_ALLOCATION
    }
