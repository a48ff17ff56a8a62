"""How much memory running steps use, with real processes."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwave.edge.local.weigh import weigh_children
from tests.edge.test_local import Bench, supervisor_of, wait_for

pytestmark = pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="the kernel does not tell who is whose child"
)

MB = 1 << 20
HOLD = "x = bytearray(64 << 20); open('ready', 'w').close(); open('go').read()"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Each FIFO has one reader and one writer: a second reader could take what lets the first one go on."""
    for name in ("ready", "go", "stay"):
        os.mkfifo(tmp_path / name)
    bench = Bench(tmp_path)
    yield bench
    bench.launcher.close()


def test_each_step_by_its_name_with_all_that_is_below_it(bench: Bench) -> None:
    bench.start("small", "cat", "stay")
    bench.start("big", "sh", "-c", f'{sys.executable} -c "{HOLD}"; true')
    (bench.folder / "ready").read_text()
    used = bench.launcher.weigh()
    assert used is not None and used.keys() == {"small", "big"}
    assert 64 * MB <= used["big"] < 96 * MB and used["small"] < 8 * MB
    for name in ("go", "stay"):
        (bench.folder / name).write_text("")
    bench.end("big")
    bench.end("small")
    assert bench.launcher.weigh() == {}


def test_what_a_thread_has_started_is_below_it_too(bench: Bench) -> None:
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '''{HOLD}'''])"
    threaded = f"import threading; t = threading.Thread(target=exec, args=({starts!r},)); t.start(); t.join()"
    bench.start("big", sys.executable, "-c", threaded)
    (bench.folder / "ready").read_text()
    used = bench.launcher.weigh()
    assert used is not None and used["big"] >= 64 * MB
    (bench.folder / "go").write_text("")
    bench.end("big")


def test_nobody_is_mistaken_for_another_when_a_supervisor_is_killed(bench: Bench) -> None:
    bench.start("lost", "sh", "-c", "echo $$ > pid; exec cat stay")
    bench.start("big", sys.executable, "-c", HOLD)
    (bench.folder / "ready").read_text()
    os.kill(supervisor_of(int(wait_for(bench.folder / "pid"))), signal.SIGKILL)
    assert bench.end("lost").problem is not None
    used = bench.launcher.weigh()
    assert used is None or used == {"big": pytest.approx(64 * MB, rel=0.5)}, "the zygote may not have reaped it yet"
    (bench.folder / "go").write_text("")
    bench.end("big")


def test_a_process_that_is_not_there_has_no_children() -> None:
    assert weigh_children(1 << 30) is None
