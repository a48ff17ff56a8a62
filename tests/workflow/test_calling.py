"""The launcher that calls functions, order by order: each launch is answered with exactly one end."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from stepwave.core.events import Exited, Launch, Measure, Order, Stop
from stepwave.core.model import Limits, StopRule
from stepwave.edge.callables import Call, Calling, Calls
from stepwave.engine import Inbox
from tests.workflow.gather import PATIENCE_S, Stuck

Learned = list[tuple[str, object, BaseException | None]]


class Obedient:
    """A launcher that remembers."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def obey(self, order: Order) -> None:
        self.heard.append(order)

    def freeze(self) -> None:
        self.heard.append("freeze")

    def thaw(self) -> None:
        self.heard.append("thaw")

    def close(self) -> None:
        self.heard.append("close")


class Desk:
    """The launcher with its inbox, and what it has been told."""

    def __init__(self, folder: Path, **functions: Callable[[], object]) -> None:
        (folder / "logs").mkdir()
        self.inbox, self.learned, self.others = Inbox(), Learned(), Obedient()
        self.made = 0
        calls = Calls({name: Call(function, is_told=True) for name, function in functions.items()}, self._learn)
        self.calling = Calling(calls, self._make, self.inbox, folder)

    def _learn(self, step: str, result: object, error: BaseException | None) -> None:
        self.learned.append((step, result, error))

    def _make(self) -> Obedient:
        self.made += 1
        return self.others

    def end(self) -> Exited:
        (end,) = self.inbox.wait(PATIENCE_S)
        assert isinstance(end, Exited)
        return end


def launch(step: str, attempt: int = 1) -> Launch:
    return Launch(step, attempt, ("f",), "/", {}, None, Limits(), f"logs/{step}.{attempt}.log", keep_output=True)


def stop(step: str, attempt: int = 1, *, force: bool = False) -> Stop:
    return Stop(step, attempt, StopRule(), force)


def test_an_end_is_told_with_what_came_of_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, a=lambda: {"n": [1]}, b=lambda: None)
    desk.calling.obey(launch("a"))
    assert desk.end() == Exited("a", 1, code=0, stdout='{"n": [1]}\n', stderr="", stdout_bytes=11)
    assert (tmp_path / "logs/a.1.out").read_text() == '{"n": [1]}\n'
    assert (tmp_path / "logs/a.1.out").stat().st_mode & 0o777 == 0o600
    desk.calling.obey(launch("b"))
    assert desk.end() == Exited("b", 1, code=0, stdout="", stderr="")
    assert not (tmp_path / "logs/b.1.out").exists()
    assert desk.learned == [("a", {"n": [1]}, None), ("b", None, None)]
    desk.calling.close()


def test_a_failure_leaves_its_traceback(tmp_path: Path) -> None:
    problem = ValueError("no")

    def fails() -> None:
        raise problem

    desk = Desk(tmp_path, a=fails)
    desk.calling.obey(launch("a"))
    end = desk.end()
    text = (tmp_path / "logs/a.1.log").read_text()
    assert end == Exited("a", 1, problem="ValueError: no", log_bytes=len(text))
    assert text.endswith("ValueError: no\n")
    assert desk.learned == [("a", None, problem)]
    desk.calling.close()


def test_a_result_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    desk = Desk(tmp_path, a=lambda: 1, b=lambda: 1 / 0)
    (tmp_path / "logs").rmdir()
    desk.calling.obey(launch("a"))
    assert (desk.end().problem or "").startswith("FileNotFoundError: ")
    desk.calling.obey(launch("b"))
    assert desk.end() == Exited("b", 1, problem="ZeroDivisionError: division by zero")
    assert [type(error) for _, _, error in desk.learned] == [FileNotFoundError, ZeroDivisionError]
    desk.calling.close()


def test_a_stopped_function_has_ended_at_once_and_speaks_no_more(tmp_path: Path) -> None:
    stuck = Stuck()
    desk = Desk(tmp_path, a=stuck)
    desk.calling.obey(launch("a"))
    assert stuck.entered.wait(PATIENCE_S)
    desk.calling.obey(stop("a"))
    assert desk.end() == Exited("a", 1, problem="left to itself", stopped=True)
    stuck.let_go()
    assert desk.inbox.wait(0) == []
    desk.calling.obey(stop("a"))
    desk.calling.obey(stop("a", force=True))
    assert desk.inbox.wait(0) == []
    assert desk.learned == []
    desk.calling.close()


def test_an_end_that_is_on_its_way_is_not_stopped(tmp_path: Path) -> None:
    done = threading.Event()
    desk = Desk(tmp_path, a=lambda: done.set() or "in time")
    desk.calling.obey(launch("a"))
    assert done.wait(PATIENCE_S)
    for thread in threading.enumerate():
        if thread.name == "stepwave a":
            thread.join(PATIENCE_S)
    desk.calling.obey(stop("a"))
    end = desk.end()
    assert (end.code, end.stopped) == (0, False)
    assert desk.learned == [("a", "in time", None)]
    desk.calling.close()


def test_a_coroutine_is_asked_to_end_and_then_left_to_itself(tmp_path: Path) -> None:
    at_work, asked, let_go = threading.Event(), threading.Event(), threading.Event()

    async def stubborn() -> str:
        at_work.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            asked.set()
        assert await asyncio.to_thread(let_go.wait, PATIENCE_S)
        return "much too late"

    desk = Desk(tmp_path, a=stubborn)
    desk.calling.obey(launch("a"))
    assert at_work.wait(PATIENCE_S)
    desk.calling.obey(stop("a"))
    assert asked.wait(PATIENCE_S)
    assert desk.inbox.wait(0) == []
    desk.calling.obey(stop("a", force=True))
    assert desk.end() == Exited("a", 1, problem="left to itself", stopped=True)
    threads = [thread for thread in threading.enumerate() if thread.name == "stepwave a"]
    let_go.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert desk.inbox.wait(0) == []
    desk.calling.close()


def test_a_coroutine_that_does_as_it_is_asked(tmp_path: Path) -> None:
    at_work = threading.Event()

    async def obedient() -> None:
        at_work.set()
        await asyncio.Event().wait()

    desk = Desk(tmp_path, a=obedient)
    desk.calling.obey(launch("a"))
    assert at_work.wait(PATIENCE_S)
    desk.calling.obey(stop("a"))
    end = desk.end()
    assert (end.problem, end.stopped) == ("CancelledError", True)
    desk.calling.close()


def test_what_still_runs_at_the_end_is_left_to_itself(tmp_path: Path) -> None:
    stuck, at_work, ended = Stuck(), threading.Event(), threading.Event()

    async def waits() -> None:
        at_work.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    desk = Desk(tmp_path, a=stuck, b=waits)
    desk.calling.obey(launch("a"))
    desk.calling.obey(launch("b"))
    assert stuck.entered.wait(PATIENCE_S)
    assert at_work.wait(PATIENCE_S)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("stepwave ")]
    desk.calling.close()
    assert ended.wait(PATIENCE_S)
    stuck.let_go()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert desk.learned == []


def test_everything_else_is_for_the_other_launcher_which_is_made_when_it_is_needed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, a=lambda: 1)
    for order in (stop("other"), Measure()):
        desk.calling.obey(order)
    desk.calling.freeze()
    desk.calling.thaw()
    assert desk.made == 0
    orders: list[Order] = [launch("other"), stop("other"), launch("other", 2)]
    for order in orders:
        desk.calling.obey(order)
    desk.calling.freeze()
    desk.calling.thaw()
    desk.calling.close()
    assert desk.made == 1
    assert desk.others.heard == [*orders, "freeze", "thaw", "close"]


def test_no_process_can_be_started(tmp_path: Path) -> None:
    def refuse() -> Obedient:
        raise OSError(11, "Resource temporarily unavailable")

    inbox = Inbox()
    calling = Calling(Calls({}, lambda *told: None), refuse, inbox, tmp_path)
    calling.obey(launch("a"))
    reason = "no process can be started: Resource temporarily unavailable"
    assert inbox.wait(0) == [Exited("a", 1, problem=reason)]
    calling.close()


def test_more_ends_than_the_bell_can_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipe is full: nobody is forgotten."""
    import os

    rung = []
    real = os.write

    def write(fd: int, data: bytes) -> int:
        if data != b"!":
            return real(fd, data)
        rung.append(fd)
        if len(rung) > 1:
            raise BlockingIOError
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    gate = threading.Barrier(5)
    desk = Desk(tmp_path, **{name: lambda: gate.wait(PATIENCE_S) and None for name in "abcd"})
    for name in "abcd":
        desk.calling.obey(launch(name))
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("stepwave ")]
    gate.wait(PATIENCE_S)
    for thread in threads:
        thread.join(PATIENCE_S)
    ends = desk.inbox.wait(PATIENCE_S)
    assert {end.step for end in ends if isinstance(end, Exited)} == set("abcd")
    desk.calling.close()
