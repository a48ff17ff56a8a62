"""How busy the machine is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepwave.core.events import Launch, Measure, Measured, Order, Stop
from stepwave.core.model import Limits, StopRule
from stepwave.edge.sensor import Sensing, group_room, measure
from stepwave.engine import Inbox

MB = 1 << 20


class Obedient:
    """A launcher that remembers."""

    def __init__(self) -> None:
        self.obeyed: list[Order] = []
        self.closed = False

    def obey(self, order: Order) -> None:
        self.obeyed.append(order)

    def close(self) -> None:
        self.closed = True


def test_measure_is_answered_and_everything_else_passed_on() -> None:
    inbox, launcher = Inbox(), Obedient()
    sensing = Sensing(launcher, inbox)
    orders: list[Order] = [
        Launch("a", 1, ("true",), "/", {}, None, Limits(), "logs/a.log"),
        Stop("a", 1, StopRule()),
    ]
    for order in (orders[0], Measure(), orders[1]):
        sensing.obey(order)
    assert launcher.obeyed == orders
    (answer,) = inbox.wait(0)
    assert isinstance(answer, Measured)
    assert inbox.wait(0) == []
    sensing.close()
    assert launcher.closed


def test_what_is_measured_is_that_of_this_machine() -> None:
    import psutil

    found = measure()
    assert 0 <= found.load < 100_000
    assert 0 < found.available_bytes <= psutil.virtual_memory().total


def test_a_platform_without_load_average_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "getloadavg")
    assert measure().load == 0.0


def test_psutil_is_imported_only_to_measure() -> None:
    program = "import sys, stepwave.edge.sensor; print('psutil' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_the_tightest_limit_on_the_way_up_counts(tmp_path: Path) -> None:
    group(tmp_path, memory__stat="anon 7")
    group(tmp_path / "a", memory__max=str(100 * MB), memory__current=str(80 * MB), memory__stat="inactive_file 0")
    stat = f"active_file 9\ninactive_file {5 * MB}"
    group(tmp_path / "a/b", memory__max=str(90 * MB), memory__current=str(60 * MB), memory__stat=stat)
    group(tmp_path / "a/b/c", memory__max="max", memory__current="1", memory__stat=stat)
    assert group_room("0::/a/b/c\n", tmp_path) == 20 * MB
    assert group_room("0::/\n", tmp_path) > 1 << 50, "nothing limits it there"
    (tmp_path / "a/memory.max").write_text("max")
    assert group_room("0::/a/b/c\n", tmp_path) == 35 * MB, "what can be dropped is room"


def test_the_older_hierarchy_has_a_folder_of_its_own(tmp_path: Path) -> None:
    group(
        tmp_path / "memory/x",
        memory__limit_in_bytes=str(50 * MB),
        memory__usage_in_bytes=str(20 * MB),
        memory__stat=f"inactive_file 1\ntotal_inactive_file {MB}",
    )
    assert group_room("9:name=systemd:/\n4:memory:/x\n0::/\n", tmp_path) == 31 * MB
    assert group_room("4:cpu,memory:/x/not/seen/from/here\n", tmp_path) == 31 * MB, "the host's path"
    assert group_room("4:cpu:/x\n", tmp_path) > 1 << 50
