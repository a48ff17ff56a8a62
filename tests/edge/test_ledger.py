"""The ledger: what is written is there for everybody after `settle`, and what cannot be used is told and left alone."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.events import (
    Entry,
    Event,
    MemoryShort,
    NewStep,
    Outcome,
    RunFinished,
    RunStarted,
    RunStopping,
    Status,
    StepDecided,
    StepFinished,
    StepQueued,
    StepRetrying,
    StepsAdded,
    StepStarted,
    StepStopping,
    Usage,
)
from stepwave.core.origin import Origin
from stepwave.edge.ledger import connect, lock, logs, prune, reader, schema
from stepwave.edge.ledger.begin import begin_record
from stepwave.edge.ledger.connect import Ledger, LedgerUnusable, open_ledger, open_to_read
from stepwave.edge.ledger.origin import as_text, from_text
from stepwave.edge.ledger.view import Standing, State, StepView, Watch, view
from stepwave.edge.ledger.writer import LedgerWriter

RUN = "20260131-142503-7f3a9c"
NOWHERE = Origin()
USED = Usage(0.5, 0.25, 1 << 20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def look(path: Path) -> Ledger:
    ledger = open_to_read(path)
    assert ledger is not None
    return ledger


def write(ledger: Ledger, turns: Sequence[Sequence[Event]], run: str = RUN, origin: Origin = NOWHERE) -> LedgerWriter:
    """Each turn a tenth of a second after the one before it."""
    writer = LedgerWriter(ledger, origin)
    seq = 0
    for number, turn in enumerate(turns):
        for event in turn:
            seq += 1
            writer.see(Entry(seq, 1000.0 + number / 10, number / 10, run, event))
        writer.settle()
    return writer


STARTED = RunStarted("flow", "A flow", (("a", "b"), ("c",)), 2, 4, {"cpu": 2})
TURNS: tuple[tuple[Event, ...], ...] = (
    (STARTED, StepQueued("a"), StepQueued("b")),
    (
        StepStarted("a", 1, ("cc", "é"), "/w", {"TOKEN": "hush"}, "logs/00001-a.log", True),
        StepStarted("b", 1, ("true",), "/w", {}, "logs/00002-b.log"),
    ),
    (StepRetrying("a", 1, 5.0, "exit code 3", 3, None, USED),),
    (
        StepFinished("b", Outcome.COMPLETED, 1, 0, duration_s=0.2, pid=7, usage=USED, log_bytes=5),
        StepQueued("c"),
        StepStarted("a", 2, ("cc", "é"), "/w", {}, "logs/00001-a.2.log", True),
    ),
    (StepDecided("b", True, ("c",), None), StepStarted("c", 1, (), "")),
    (StepsAdded((NewStep("c[1]", "c[1]", "c", 2), NewStep("c[2]", "c[2]", "c", 2))),),
    (StepFinished("c", Outcome.SKIPPED, reason="branch"), StepStopping("a", 2, "timed out after 1s")),
)
END: tuple[Event, ...] = (
    RunStopping("step `a` failed"),
    StepFinished("a", Outcome.TIMEOUT, 2, None, 15, "timed out", True, 0.5, 0.1, 8, None, 9, 4),
    RunFinished(Status.TIMEOUT, 124, "too long"),
)


# --- writing and reading -------------------------------------------------------------------------------------


def test_a_run_is_read_as_it_was_written(path: Path) -> None:
    origin = Origin(
        "/w/flow.yaml", "n", {"v": 1}, ("a",), options={"strict": True}, resumed_from="20250101-000000-000000"
    )
    write(open_ledger(path), [*TURNS, END], origin=origin).close()
    with closing(look(path)) as ledger:
        (run,) = reader.runs(ledger)
        assert run == reader.Run(
            1, RUN, "flow", "A flow", "/w/flow.yaml", os.getpid(), os.uname().nodename, 3, 1000.0,
            "20250101-000000-000000", 0.7, Status.TIMEOUT, 124, "too long",
        )  # fmt: skip
        assert reader.run_of(ledger, RUN) == run
        assert reader.origin_of(ledger, run.no) == origin
        b, c, a = reader.done(ledger, run.no)
        assert b == reader.Done(
            "b", Outcome.COMPLETED, 1, 0, None, None, False, 0.1, 0.3, 0.2, 0.0, 7, USED, "logs/00002-b.log", 5, 0,
            False, None, None, (), 7,
        )  # fmt: skip
        assert (c.outcome, c.reason, c.added) == (Outcome.SKIPPED, "branch", ("c[1]", "c[2]"))
        assert (a.outcome, a.signal, a.tolerated, a.apart) == (Outcome.TIMEOUT, 15, True, True)
        assert (a.log, a.stdout) == ("logs/00001-a.2.log", "logs/00001-a.2.out")
        assert reader.tried(ledger, run.no) == [
            reader.Tried("a", 1, 0.1, 0.2, "exit code 3", 3, None, USED, "logs/00001-a.log", True)
        ]


def test_the_decision_of_a_condition_is_kept_with_its_step(path: Path) -> None:
    decided = StepDecided("b", False, ("c",), "no such name")
    write(open_ledger(path), [(STARTED,), (decided, StepFinished("b", Outcome.COMPLETED, 1))]).close()
    with closing(look(path)) as ledger:
        assert [step.decision for step in reader.done(ledger, 1)] == [decided]


def test_what_happened_is_told_in_order_and_nothing_twice(path: Path) -> None:
    write(open_ledger(path), [*TURNS, END]).close()
    with closing(look(path)) as ledger:
        numbers = [event.seq for event in reader.told(ledger, 1)] + [step.seq for step in reader.done(ledger, 1)]
        assert sorted(numbers) == list(range(1, sum(map(len, [*TURNS, END])) + 1))
        later = [event.seq for event in reader.told(ledger, 1, 9)] + [step.seq for step in reader.done(ledger, 1, 9)]
        assert sorted(later) == [number for number in sorted(numbers) if number > 9]


def test_no_environment_is_recorded(path: Path) -> None:
    write(open_ledger(path), TURNS).close()
    assert b"cc" in path.read_bytes()
    assert b"TOKEN" not in path.read_bytes()
    assert b"hush" not in path.read_bytes()


def test_a_turn_is_there_for_others_once_it_is_settled_and_not_before(path: Path) -> None:
    writer = write(open_ledger(path), TURNS[:3])
    with closing(look(path)) as other:
        writer.see(Entry(99, 1000.3, 0.3, RUN, StepFinished("b", Outcome.COMPLETED, 1, 0)))
        assert list(reader.done(other, 1)) == []
        writer.settle()
        assert [step.id for step in reader.done(other, 1)] == ["b"]
    writer.close()


def test_what_is_settled_survives_a_kill(path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.edge.test_ledger import TURNS, open_ledger, write\n"
        "write(open_ledger(Path(sys.argv[1])), TURNS)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    with closing(look(path)) as ledger:
        assert [step.id for step in reader.done(ledger, 1)] == ["b", "c"]
        assert reader.runs(ledger)[0].status is None


def test_a_run_whose_runner_fails_has_an_end(path: Path) -> None:
    write(open_ledger(path), TURNS).close()
    with closing(look(path)) as ledger:
        (run,) = reader.runs(ledger)
        assert (run.status, run.exit_code, run.reason) == (Status.FAILED, 3, "the runner itself failed")


def test_a_record_that_was_deleted_meanwhile_is_told_in_the_end(path: Path) -> None:
    writer = write(open_ledger(path), [*TURNS, END])
    path.unlink()
    with pytest.raises(LedgerUnusable, match="was deleted while the run went on"):
        writer.close()
    writer = write(open_ledger(path), [*TURNS, END])
    path.unlink()
    open_ledger(path).close()  # another run has begun a new one
    with pytest.raises(LedgerUnusable, match="was deleted while the run went on"):
        writer.close()


def test_runs_that_are_written_at_once_do_not_mix(path: Path) -> None:
    writers = [write(open_ledger(path), [(STARTED,)], f"20260131-142503-00000{n}") for n in range(3)]
    for n, writer in enumerate(writers):
        writer.see(Entry(2, 1000.0, 0.0, "", StepFinished(f"s{n}", Outcome.COMPLETED, 1)))
        writer.settle()
    with closing(look(path)) as ledger:
        assert [[step.id for step in reader.done(ledger, no)] for no in (1, 2, 3)] == [["s0"], ["s1"], ["s2"]]
    for writer in writers:
        writer.close()


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_kept(id: str, reason: str) -> None:
    with closing(memory_ledger()) as ledger:
        events = (RunStarted("w", reason, ((id,),), 0, 1), StepFinished(id, Outcome.FAILED, reason=reason))
        write(ledger, [events])
        assert [(step.id, step.reason) for step in reader.done(ledger, 1)] == [(id, reason)]
        assert [event.fields[1:3] for event in reader.told(ledger, 1)] == [[reason, [[id]]]]


def memory_ledger() -> Ledger:
    db = sqlite3.connect(":memory:", isolation_level=None)
    for version in schema.VERSIONS:
        db.executescript(version)
    return Ledger(Path(":memory:"), db)


def test_bytes_that_are_no_utf_8(path: Path) -> None:
    """A lone surrogate stands for such a byte; a database cannot hold it."""
    broken = os.fsdecode(b"/w/\xff.yaml")
    events = (STARTED, StepFinished("a", Outcome.FAILED, reason=f"no {broken}"))
    write(open_ledger(path), [events], origin=Origin(broken)).close()
    with closing(look(path)) as ledger:
        assert reader.origin_of(ledger, 1).file == broken
        assert [step.reason for step in reader.done(ledger, 1)] == ["no /w/\\udcff.yaml"]


@given(
    st.builds(
        Origin,
        file=st.text(st.characters(), max_size=9),
        name=st.none() | st.text(max_size=5),
        variables=st.dictionaries(st.text(max_size=3), st.none() | st.booleans() | st.integers() | st.text(max_size=3)),
        only=st.lists(st.text(max_size=3)).map(tuple),
        options=st.dictionaries(st.text(max_size=3), st.booleans() | st.text(max_size=3)),
    )
)
def test_how_it_was_asked_for_comes_back(origin: Origin) -> None:
    assert from_text(as_text(origin)) == origin


class Recorded:
    """What is recorded beside a run."""

    def __init__(self) -> None:
        self.bound: Path | None = None
        self.more = [("INSERT INTO parts VALUES (?, 'x', '{}')", (RUN,))]

    def bind(self, ledger: Ledger, run_folder: Path) -> None:
        self.bound = run_folder

    def definitions(self) -> Mapping[str, Mapping[str, str]]:
        return {"a": {"command": "cc é"}}

    def rows(self) -> Sequence[tuple[str, tuple[Any, ...]]]:
        more, self.more = self.more, []
        return more


def test_definitions_and_what_else_is_to_be_known_go_into_the_same_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    held = lock.hold(folder)
    memory = Recorded()
    writer = begin_record(folder, None, None, memory, durable=True)
    writer.see(Entry(1, 1000.0, 0.0, RUN, STARTED))
    writer.settle()
    writer.close()
    os.close(held)
    with closing(look(tmp_path / "ledger.db")) as ledger:
        assert reader.definitions_of(ledger, 1) == {"a": {"command": "cc é"}}
        assert ledger.db.execute("SELECT run FROM parts").fetchall() == [(RUN,)]
    assert memory.bound == folder


def test_without_a_lock_there_is_no_record_and_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / RUN
    (folder / "logs").mkdir(parents=True)
    (folder / lock.FILE_NAME).touch()
    with pytest.raises(LedgerUnusable, match="cannot be locked"):
        begin_record(folder, None, None, durable=False)
    assert not folder.exists()


# --- how a run stands ------------------------------------------------------------------------------------------


def states(steps: Sequence[StepView]) -> dict[str, State]:
    return {step.id: step.state for step in steps}


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    fd = lock.hold(folder)
    yield folder
    with suppress(OSError):
        os.close(fd)


def test_a_living_run_and_its_steps(path: Path, living: Path) -> None:
    writer = write(open_ledger(path), TURNS[:1])
    with closing(look(path)) as ledger:
        watch = Watch(ledger, reader.runs(ledger)[0])
        assert states(watch.steps()) == {"a": State.QUEUED, "b": State.QUEUED, "c": State.WAITING}
        seen = []
        for number, turn in enumerate(TURNS[1:], 1):
            for n, event in enumerate(turn):
                writer.see(Entry(10 * number + n, 1000.0, number / 10, RUN, event))
            writer.settle()
            seen.append(states(watch.steps())["a"])
            # What is new alone leads to the same as all of it at once.
            assert Watch(ledger, reader.runs(ledger)[0]).steps() == watch.steps()
        assert seen == [State.RUNNING, State.RETRYING, State.RUNNING, State.RUNNING, State.RUNNING, State.STOPPING]
        a, b, c, *parts = watch.steps()
        assert (a.attempts, a.log, a.started_s, a.reason) == (2, "logs/00001-a.2.log", 0.3, "timed out after 1s")
        assert (b.state, b.exit_code, b.wave, c.wave) == (State.COMPLETED, 0, 1, 2)
        assert [(part.id, part.after, part.state) for part in parts] == [
            ("c[1]", "c", State.WAITING), ("c[2]", "c", State.WAITING)
        ]  # fmt: skip
        assert watch.view.standing is Standing.RUNNING
        assert watch.view.completed == 1
    writer.close()


def test_a_step_that_waits_for_memory_says_so_until_it_starts(path: Path, living: Path) -> None:
    begun = RunStarted("w", "W", (("a", "b"),), 0, 2)
    waits = MemoryShort("a", 2 << 30, 1 << 30, False), MemoryShort("b", 2 << 30, 1 << 30, True)
    writer = write(open_ledger(path), [(begun, *waits)])
    with closing(look(path)) as ledger:
        watch = Watch(ledger, reader.runs(ledger)[0])
        a, b = watch.steps()
        assert (a.state, a.reason) == (State.QUEUED, "waits for memory: it needs 2 GB, and 1 GB are left")
        assert b.reason is None
        writer.see(Entry(10, 1000.0, 1.0, RUN, StepStarted("a", 1, ("x",), "/")))
        writer.settle()
        assert watch.steps()[0].state is State.RUNNING and watch.steps()[0].reason is None
    writer.close()


def test_a_run_that_died(path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.edge.test_ledger import RUN, TURNS, lock, open_ledger, write\n"
        "state = Path(sys.argv[1]).parent\n"
        "(state / 'runs' / RUN).mkdir(parents=True)\n"
        "lock.hold(state / 'runs' / RUN)\n"
        "write(open_ledger(Path(sys.argv[1])), TURNS[:4])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    with closing(look(path)) as ledger:
        watch = Watch(ledger, reader.runs(ledger)[0])
        assert states(watch.steps()) == {"a": State.LOST, "b": State.COMPLETED, "c": State.NOT_STARTED}
        assert watch.view.standing is Standing.DIED


def test_a_run_without_its_folder_is_dead(path: Path) -> None:
    writer = write(open_ledger(path), TURNS[:1])
    with closing(look(path)) as ledger:
        assert view(ledger, reader.runs(ledger)[0]).standing is Standing.DIED
    writer.close()


def test_a_lock_is_held_by_one_and_seen_by_all(tmp_path: Path) -> None:
    assert not lock.is_held(tmp_path)
    fd = lock.hold(tmp_path)
    assert lock.is_held(tmp_path)
    assert lock.is_held(tmp_path)
    with pytest.raises(BlockingIOError):
        lock.hold(tmp_path)
    assert not os.get_inheritable(fd)
    os.close(fd)
    assert not lock.is_held(tmp_path)


def test_a_log_is_followed_from_before_it_begins_through_all_attempts(path: Path, living: Path) -> None:
    (living / "logs").mkdir()
    writer = write(open_ledger(path), [(STARTED,)])
    seq = iter(range(2, 99))

    def happen(*events: Event) -> None:
        for event in events:
            writer.see(Entry(next(seq), 1000.0, 0.0, RUN, event))
        writer.settle()

    def printed(attempt: str, text: str) -> None:
        with (living / "logs" / f"1-a{attempt}.log").open("a") as file:
            file.write(text)

    def start(attempt: int, log: str) -> Event:
        return StepStarted("a", attempt, ("x",), "/", {}, log)

    with closing(look(path)) as ledger:
        watch = Watch(ledger, reader.runs(ledger)[0])
        log = logs.log_of(ledger, watch, "a")
        assert isinstance(log, logs.Log)
        chunks = logs.follow(ledger, watch, log)
        assert next(chunks) == b""
        printed("", "one")
        printed(".2", "tw")
        happen(start(1, "logs/1-a.log"), StepRetrying("a", 1, 0.0, "exit code 1"), start(2, "logs/1-a.2.log"))
        assert [next(chunks), next(chunks), next(chunks)] == [b"one", b"tw", b""]
        printed(".2", "o")
        happen(StepFinished("a", Outcome.COMPLETED, 2))
        assert list(chunks) == [b"o"]
        first = logs.log_of(ledger, watch, "a", 1)
        assert isinstance(first, logs.Log)
        assert list(logs.follow(ledger, watch, first, 1)) == [b"one"]
    writer.close()


# --- what cannot be used ---------------------------------------------------------------------------------------


def sound(path: Path) -> None:
    """A ledger with some runs in it."""
    for n in range(30):
        write(open_ledger(path), [*TURNS, END], f"20260131-142503-0000{n:02}").close()


def damaged_header(path: Path) -> None:
    sound(path)
    with path.open("r+b") as file:
        file.write(b"no database at all")


def truncated(path: Path) -> None:
    sound(path)
    os.truncate(path, path.stat().st_size // 2)


def text(path: Path) -> None:
    path.write_text("these are my notes\n" * 100)


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE notes (text)")


def newer(path: Path) -> None:
    sound(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {schema.NEWEST + 1}")


@pytest.mark.parametrize(
    ("spoil", "sentence", "help"),
    [
        (damaged_header, "is damaged, or no ledger", "`stepwave prune --damaged` moves it aside"),
        (truncated, "is damaged, or no ledger", "`stepwave prune --damaged` moves it aside"),
        (text, "is damaged, or no ledger", "`stepwave prune --damaged` moves it aside"),
        (foreign, "is the database of another program", "STEPWAVE_STATE_DIR names another folder"),
        (newer, "was written by a newer stepwave", "use that stepwave"),
    ],
)
def test_what_is_no_sound_ledger_is_told_and_left_as_it_was(spoil: Any, sentence: str, help: str, path: Path) -> None:
    spoil(path)
    before = path.read_bytes()
    for open_it in (open_ledger, open_to_read):
        with pytest.raises(LedgerUnusable) as raised:
            open_it(path)
        assert raised.value.filename == str(path)
        assert sentence in str(raised.value.strerror)
        assert help in raised.value.__notes__[0]
        assert path.read_bytes() == before


def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir()
    with pytest.raises(LedgerUnusable, match="is a folder"):
        open_ledger(path)


def test_a_page_in_the_middle_that_is_damaged_is_told_when_it_is_met(path: Path) -> None:
    sound(path)
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 1024):
            file.seek(page * 1024)
            file.write(b"\xff" * 100)
    with pytest.raises(LedgerUnusable, match="is damaged"):
        write(open_ledger(path), TURNS)


def test_an_empty_file_becomes_a_ledger(path: Path) -> None:
    path.touch()
    assert open_to_read(path) is None
    write(open_ledger(path), TURNS).close()
    with closing(look(path)) as ledger:
        assert len(reader.runs(ledger)) == 1


def test_what_is_left_of_a_ledger_that_was_deleted_does_not_come_back(path: Path) -> None:
    ledger = open_ledger(path)
    write(ledger, TURNS)
    ledger.db.execute("PRAGMA wal_checkpoint(RESTART)")
    write(ledger, TURNS, "20260131-142503-000001")
    left = path.with_name("ledger.db-wal").read_bytes()
    ledger.close()
    path.unlink()
    path.with_name("ledger.db-wal").write_bytes(left)  # as after `rm ledger.db`
    write(open_ledger(path), [*TURNS, END], "20260131-142503-000002").close()
    with closing(look(path)) as again:
        assert again.db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert [run.id for run in reader.runs(again)] == ["20260131-142503-000002"]


@pytest.mark.parametrize("round", range(12))  # without one transaction around the look, one in three went wrong
def test_a_ledger_that_several_make_at_once(tmp_path: Path, round: int) -> None:
    together, made = threading.Barrier(6), list[bool]()

    def make() -> None:
        together.wait()
        open_ledger(tmp_path / "ledger.db").close()
        made.append(True)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6


def test_a_locked_ledger_is_waited_for_and_then_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "PATIENCE_S", 0.05)
    writer = write(open_ledger(path), TURNS)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer.see(Entry(99, 1001.0, 1.0, RUN, StepQueued("c")))
        with pytest.raises(LedgerUnusable, match="is locked by another process") as raised:
            writer.settle()
        assert raised.value.filename == str(path)
    writer.close()  # has been told: not told again


def test_a_disk_that_is_full(path: Path) -> None:
    """RLIMIT_FSIZE in a process of its own: the writer says so, and what it had settled is there."""
    write(open_ledger(path), TURNS, "20260131-142503-000000").close()
    program = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "import resource\n"
        "from tests.edge.test_ledger import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "path = Path(sys.argv[1])\n"
        "ledger = open_ledger(path)\n"
        "limit = path.stat().st_size + 20_000\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
        "writer = write(ledger, TURNS)\n"
        "try:\n"
        "    for n in range(10_000):\n"
        "        writer.see(Entry(100 + n, 0.0, 0.0, RUN, StepFinished(f's{n}', Outcome.COMPLETED, 1)))\n"
        "        writer.settle()\n"
        "except LedgerUnusable as problem:\n"
        "    writer.close()\n"
        "    print(n, problem.filename, problem.strerror)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    count, name, sentence = done.stdout.strip().split(" ", 2)
    assert (name, sentence) == (str(path), "cannot be written: disk I/O error")
    with closing(look(path)) as ledger:
        settled = [step.id for step in reader.done(ledger, 2) if step.id.startswith("s")]
        assert settled == [f"s{n}" for n in range(int(count))]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(path: Path) -> None:
    sound(path)
    path.parent.chmod(0o500)
    path.chmod(0o400)
    try:
        with pytest.raises(LedgerUnusable, match="may not be written"):
            write(open_ledger(path), TURNS)
        with closing(look(path)) as ledger:
            assert len(reader.runs(ledger)) == 30
    finally:
        path.parent.chmod(0o700)


def test_reading_where_there_is_none(path: Path) -> None:
    assert open_to_read(path) is None
    assert list(path.parent.iterdir()) == []


def test_files_are_private_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        writer = write(open_ledger(path), TURNS)
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    writer.close()
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}


def test_nothing_inherits_the_connection(path: Path) -> None:
    ledger = open_ledger(path)
    mine = []
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that this is read through
            mine += [int(fd.name)] if str(path) in str(fd.readlink()) else []
    assert len(mine) == 3
    assert not any(map(os.get_inheritable, mine))
    ledger.close()


@pytest.mark.parametrize(("durable", "level"), [(False, 1), (True, 2)])
def test_how_much_a_commit_survives(durable: bool, level: int, path: Path) -> None:
    """1 is NORMAL, 2 is FULL: https://www.sqlite.org/pragma.html#pragma_synchronous."""
    with closing(open_ledger(path, durable=durable)) as ledger:
        assert ledger.db.execute("PRAGMA synchronous").fetchone() == (level,)
        assert ledger.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# --- versions --------------------------------------------------------------------------------------------------


def test_an_older_ledger_becomes_a_newer_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound(path)
    more = "ALTER TABLE runs ADD COLUMN mood TEXT;\nUPDATE runs SET mood = 'good';\n"
    monkeypatch.setattr(connect, "VERSIONS", (*schema.VERSIONS, more))
    monkeypatch.setattr(connect, "NEWEST", schema.NEWEST + 1)
    with closing(look(path)) as ledger:
        assert ledger.db.execute("SELECT DISTINCT mood FROM runs").fetchall() == [("good",)]
        assert len(reader.runs(ledger)) == 30
        assert ledger.db.execute("PRAGMA user_version").fetchone() == (schema.NEWEST + 1,)


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound(path)
    monkeypatch.setattr(connect, "VERSIONS", (*schema.VERSIONS, "DELETE FROM runs;\nSELECT * FROM nowhere;\n"))
    monkeypatch.setattr(connect, "NEWEST", schema.NEWEST + 1)
    with pytest.raises(LedgerUnusable, match="nowhere"):
        open_ledger(path)
    monkeypatch.undo()
    with closing(look(path)) as ledger:
        assert len(reader.runs(ledger)) == 30


# --- deleting --------------------------------------------------------------------------------------------------


def recorded(state: Path, id: str, resumed_from: str | None = None) -> Path:
    folder = state / "runs" / id
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "00001-a.log").write_text("x")
    turns = [*TURNS, END]
    write(open_ledger(state / "ledger.db"), turns, id, Origin(resumed_from=resumed_from)).close()
    return folder


def ids(old: Sequence[prune.Old]) -> list[str]:
    return [one.id[-1] for one in old]


def test_which_runs_are_old(tmp_path: Path) -> None:
    for n in range(5):
        recorded(tmp_path, f"20260131-14250{n}-00000{n}")
    with closing(open_ledger(tmp_path / "ledger.db")) as ledger:

        def choose(keep: int | None, older_s: float | None) -> list[str]:
            return ids(prune.old_runs(ledger, tmp_path, keep=keep, older_s=older_s, now=2000.0))

        assert choose(0, None) == ["0", "1", "2", "3", "4"]
        assert choose(3, None) == ["0", "1"]
        assert choose(9, None) == []
        assert choose(None, 999.0) == ["0", "1", "2", "3", "4"]
        assert choose(None, 1001.0) == []
        assert choose(4, 999.0) == ["0"]
        ledger.db.execute("UPDATE runs SET started_at = 1500 WHERE no = 2")  # the clock was wrong then
        assert choose(3, None) == ["0", "1"], "the order of the record counts"
        assert choose(None, 999.0) == ["0", "2", "3", "4"]


def test_deleting_takes_rows_and_folder(tmp_path: Path) -> None:
    gone, stays = recorded(tmp_path, "20260131-142500-000000"), recorded(tmp_path, "20260131-142501-000001")
    with closing(open_ledger(tmp_path / "ledger.db")) as ledger:
        (old,) = prune.old_runs(ledger, tmp_path, keep=1, older_s=None, now=2000.0)
        assert prune.delete(ledger, tmp_path, old)
        assert [run.id for run in reader.runs(ledger)] == [stays.name]
        for table in ("steps", "attempts", "events"):
            places = [place >> schema.PLACE_BITS for (place,) in ledger.db.execute(f"SELECT place FROM {table}")]
            assert set(places) == {2}
    assert not gone.exists()
    assert (stays / "logs" / "00001-a.log").exists()


def test_a_living_run_stays_and_what_it_continues(tmp_path: Path) -> None:
    names = [f"20260131-14250{n}-00000{n}" for n in range(4)]
    recorded(tmp_path, names[0])
    recorded(tmp_path, names[1], names[0])
    recorded(tmp_path, names[2])
    folder = recorded(tmp_path, names[3], names[1])
    fd = lock.hold(folder)
    with closing(open_ledger(tmp_path / "ledger.db")) as ledger:
        ledger.db.execute("UPDATE runs SET status = NULL, ended_s = NULL WHERE id = ?", (names[3],))
        old = prune.old_runs(ledger, tmp_path, keep=0, older_s=None, now=2000.0)
        assert [one.id for one in old] == [names[2]]
        assert not prune.delete(ledger, tmp_path, prune.Old(names[3], 0.0, 4))
        assert len(reader.runs(ledger)) == 4
    os.close(fd)


def test_folders_without_a_record_go_too_and_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    top = tmp_path / "state" / "runs"
    (top / "20260131-142500-00000a").mkdir(parents=True)
    (top / "20260131-142500-00000a" / "link").symlink_to(outside)
    (top / "20260131-142501-00000b").symlink_to(outside)
    (top / "mine").mkdir()
    (top / "20260131-142502-00000c").mkdir()
    now = (top / "mine").stat().st_mtime + 3600
    os.utime(top / "20260131-142502-00000c", (now, now))  # it may be about to take its lock
    old = prune.old_runs(None, tmp_path / "state", keep=0, older_s=None, now=now)
    assert ids(old) == ["a", "b"]
    assert all(prune.delete(None, tmp_path / "state", one) for one in old)
    assert sorted(entry.name for entry in top.iterdir()) == ["20260131-142502-00000c", "mine"]
    assert (outside / "precious").exists()


def test_space_is_given_back(tmp_path: Path) -> None:
    for n in range(60):
        recorded(tmp_path, f"20260131-142500-0000{n:02}")
    path = tmp_path / "ledger.db"
    size = path.stat().st_size
    with closing(open_ledger(path)) as ledger:
        for old in prune.old_runs(ledger, tmp_path, keep=1, older_s=None, now=2000.0):
            prune.delete(ledger, tmp_path, old)
        prune.shrink(ledger)
    assert path.stat().st_size < size / 2


def test_a_damaged_ledger_is_moved_aside_with_all_that_belongs_to_it(path: Path) -> None:
    truncated(path)
    before = path.read_bytes()
    path.with_name("ledger.db-wal").write_bytes(b"")
    aside = prune.move_aside(path.parent, 1e9)
    assert aside == path.with_name("ledger.db.damaged-20010909-014640")
    assert aside.read_bytes() == before
    assert not path.exists()
    assert not path.with_name("ledger.db-wal").exists()
    write(open_ledger(path), TURNS).close()


def test_a_sound_ledger_stays_where_it_is(path: Path) -> None:
    sound(path)
    assert prune.move_aside(path.parent, 1e9) is None
    assert path.exists()


def test_a_damaged_ledger_stays_while_a_run_writes_to_it(path: Path, living: Path) -> None:
    truncated(path)
    with pytest.raises(LedgerUnusable, match=f"is in use by run {RUN}"):
        prune.move_aside(path.parent, 1e9)
