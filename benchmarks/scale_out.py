"""What an engine costs: no-op steps on two Dask workers, beside plain `client.map(subprocess.run)` on the same cluster.

    python benchmarks/scale_out.py [--steps 1000] [--rounds 5]

The scheduler and both workers are processes of their own. The two ways take turns on the same workers: what is compared
is the ratio within a round. The map is timed from the call to the last result, in a client that is there; so of ours
the run is timed, without the start of Python and the connection: some 0.8 s. There are more steps at a time (-j) than
slots, as the map has: what waits in Dask's queue hides the way there and back.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

TARGET = 1.3
WORKERS, THREADS = 2, 4
AT_A_TIME = 100


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """The address of a scheduler with two workers, which are gone afterwards."""
    with ExitStack() as closing:
        file = folder / "scheduler.json"
        common = ["--no-dashboard", "--scheduler-file", str(file)]
        _started(closing, "scheduler", "--port", "0", "--host", "127.0.0.1", *common)
        give_up = time.monotonic() + 30
        while not file.exists() and time.monotonic() < give_up:
            time.sleep(0.05)
        words = ("--nthreads", str(THREADS), "--memory-limit", "0")
        for _ in range(WORKERS):
            _started(closing, "worker", *words, *common)
        yield json.loads(file.read_text())["address"]


def _started(closing: ExitStack, *words: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    closing.callback(process.wait)
    closing.callback(process.terminate)
    return process


def plain(client: Any, steps: int) -> float:
    """Seconds of the map."""
    began = time.perf_counter()
    done = client.gather(client.map(subprocess.run, [["/bin/true"]] * steps, pure=False))
    took = time.perf_counter() - began
    assert all(one.returncode == 0 for one in done)
    return took


def ours(file: Path, address: str) -> float:
    """Seconds of the run."""
    result = file.parent / "result.json"
    command = [sys.executable, "-m", "stepwave", "run", "-q", "--force", "-j", str(AT_A_TIME), str(file)]
    more = ["--output", str(result), "--executor", f"dask:{address.removeprefix('tcp:')}"]
    environ = {**os.environ, "STEPWAVE_STATE_DIR": str(file.parent)}
    subprocess.run([*command, *more], check=True, stderr=subprocess.DEVNULL, env=environ)
    return float(json.loads(result.read_text())["executionTime"]) / 1000


def measure(steps: int, rounds: int) -> list[tuple[float, float]]:
    """Pairs of the map and of stepwave, after one round that is not counted."""
    from distributed import Client

    with tempfile.TemporaryDirectory() as name, cluster(Path(name)) as address:
        file = Path(name) / "graph.json"
        graph = {"name": "no-ops", "steps": [{"id": f"s{n}", "command": ["/bin/true"]} for n in range(steps)]}
        file.write_text(json.dumps(graph))
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(WORKERS, timeout=30)
            pairs = [(plain(client, steps), ours(file, address)) for _ in range(rounds + 1)]
    return pairs[1:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    pairs = measure(asked.steps, asked.rounds)
    print(f"{asked.steps} no-op steps on {WORKERS} Dask workers of {THREADS} threads, {len(pairs)} rounds")
    for name, times in zip(
        ("client.map(subprocess.run)", "stepwave --executor dask://"), zip(*pairs, strict=True), strict=True
    ):
        print(f"  {name:28} {statistics.median(times):6.2f} s  ({min(times):.2f} … {max(times):.2f})")
    ratio = statistics.median(mine / theirs for theirs, mine in pairs)
    print(f"  ratio {ratio:.2f} x, wanted at most {TARGET} x: {'met' if ratio <= TARGET else 'missed'}")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
