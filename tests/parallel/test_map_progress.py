"""How far a map is: told to a tqdm, to a terminal, or in plain lines."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stepwave.parallel import parallel_batch, process_map, rate_limited_map, thread_map, thread_map_unordered
from stepwave.parallel import progress as displays
from tests.parallel.map_functions import fail_at_three, increment

ROOT = Path(__file__).resolve().parent.parent.parent


class Bar:
    """As tqdm is, as far as a map knows it."""

    made: "list[Bar]"

    def __init__(self, total: int | None = None, desc: str | None = None) -> None:
        self.total, self.desc, self.count, self.is_closed = total, desc, 0, False

    def update(self, n: int) -> None:
        assert not self.is_closed
        self.count += n

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("each", [thread_map, thread_map_unordered, process_map, rate_limited_map])
def test_an_object_like_tqdm_is_told_of_every_item_and_closed(each: Any) -> None:
    bar = Bar()
    options = {"max_per_second": 10_000} if each is rate_limited_map else {}
    each(increment, range(20), progress=bar, **options)
    assert (bar.count, bar.is_closed) == (20, True)


def test_batches_are_what_is_counted() -> None:
    bar = Bar()
    parallel_batch(list, range(25), batch_size=10, progress=bar)
    assert bar.count == 3


def test_failures_and_skipped_items_are_counted_too() -> None:
    bar = Bar()
    thread_map(fail_at_three, range(10), progress=bar, errors="collect")
    assert bar.count == 10
    late = Bar()
    rate_limited_map(increment, range(10), progress=late, errors="collect", max_per_second=0.1, timeout=0.05)
    assert (late.count, late.is_closed) == (10, True)


def test_it_is_closed_after_an_error_and_when_the_caller_wants_no_more() -> None:
    bar, other = Bar(), Bar()
    with pytest.raises(KeyError):
        thread_map(fail_at_three, range(3), progress=bar)
    numbers = thread_map(increment, range(3), progress=other, results="iterator")
    next(numbers)
    del numbers
    assert (bar.is_closed, other.is_closed) == (True, True)


def test_a_class_is_called() -> None:
    made = []

    class Made(Bar):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    thread_map(increment, [1, 2], progress=Made, description="adding")
    thread_map(increment, iter([1]), progress=Made)
    assert [(bar.total, bar.desc, bar.count, bar.is_closed) for bar in made] == [
        (2, "adding", 2, True),
        (None, None, 1, True),
    ]


def test_without_a_terminal_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr(displays, "BETWEEN_LINES_S", 0.0)
    thread_map(increment, range(3), progress=True, description="adding\x1b[31m", chunk_size=1)
    thread_map(increment, iter(range(3)), progress=True)
    lines = [re.sub(r"[0-9.]+m?s$", "<t>", line) for line in written.getvalue().splitlines()]
    assert "adding\\x1b[31m: 3 of 3, <t>" in lines
    assert lines[-1] == "progress: 3, <t>"
    assert len(lines) > 2


def test_a_reader_who_has_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert thread_map(increment, [1], progress=True) == [2]
    monkeypatch.setattr(sys, "stderr", None)
    assert thread_map(increment, [1], progress=True) == [2]


def test_on_a_terminal_there_is_a_bar() -> None:
    text = (
        "from stepwave.parallel import thread_map; thread_map(abs, range(30), progress=True, description='[b]adding')"
    )
    ours, theirs = pty.openpty()
    environ = {"PATH": os.defpath, "PYTHONPATH": str(ROOT / "src"), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-c", text], stderr=theirs, stdin=subprocess.DEVNULL, env=environ
    ) as program:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:
            pass  # what a terminal says when nobody is at its other end
        os.close(ours)
    assert program.returncode == 0
    assert b"[b]adding" in seen
    assert b"30/30" in seen
    assert seen.rstrip().endswith(b"\x1b[?25h")  # the cursor is there again


@pytest.mark.parametrize("asked", [3, "yes", object()])
def test_what_is_no_progress(asked: object) -> None:
    with pytest.raises(TypeError, match="progress must be True, False or have"):
        displays.check_progress(asked)
    with pytest.raises(TypeError, match="progress must be True, False or have"):
        displays.open_progress(asked, "", None)
