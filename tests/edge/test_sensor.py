"""How busy the machine is."""

import os
import subprocess
import sys

import pytest

from stepwave.core.events import Launch, Measure, Measured, Order, Stop
from stepwave.core.model import Limits, StopRule
from stepwave.edge.sensor import Sensing, measure
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
