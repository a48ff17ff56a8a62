"""A real Dask scheduler and real workers: processes of their own on the loopback, gone afterwards."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LONG = 30.0


class Cluster:
    """`address` as `--executor` takes it; `workers` are those that were started, by their processes."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scheduler.json"
        self._folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard")
        wait_until(self._is_written, "the scheduler writes its file to the end")
        address = json.loads(self._file.read_text())["address"]
        self.executor = f"dask:{address.removeprefix('tcp:')}"
        self.address = address

    def _is_written(self) -> bool:
        return self._file.exists() and self._file.read_text().endswith("}")

    def add_worker(self, *more: str, threads: int = 2) -> "subprocess.Popen[bytes]":
        """One without a nanny: what is killed stays away."""
        words = ("--no-nanny", "--no-dashboard", "--nthreads", str(threads), "--memory-limit", "0", *more)
        self.workers.append(self._start("worker", *words))
        return self.workers[-1]

    def _start(self, kind: str, *words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "dask", kind, "--scheduler-file", str(self._file), *words],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "DASK_DISTRIBUTED__WORKER__DAEMON": "False"},
        )

    def await_workers(self) -> None:
        """Until all that were started are there, and here the thread in which Dask calls back, which it keeps."""
        from distributed import Client

        with Client(self.address, timeout=LONG, set_as_default=False) as client:
            client.wait_for_workers(len([one for one in self.workers if one.poll() is None]), timeout=LONG)
            called = threading.Event()
            client.submit(int).add_done_callback(lambda _: called.set())
            assert called.wait(LONG)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.send_signal(signal.SIGKILL)
            process.wait()


@contextmanager
def running(folder: Path, *words: str, threads: int) -> Iterator[Cluster]:
    """With one worker."""
    cluster = Cluster(folder)
    try:
        cluster.add_worker(*words, threads=threads)
        cluster.await_workers()
        yield cluster
    finally:
        cluster.close()


def wait_until(holds: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < give_up, f"for {LONG:g} s: {what}"
        select.select([], [], [], 0.01)
