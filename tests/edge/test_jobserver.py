"""Tokens out of a real FIFO or pipe, through a real keeper, and back again whoever is killed."""

import array
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE
from textwrap import dedent

import pytest

from stepwave.core.makeflags import BOTH, FIFO, PIPE, read_flags
from stepwave.edge.jobserver.place import NUMBERS, REMEDY, NotJoined, Place, joined, served
from stepwave.edge.jobserver.tokens import Tokens
from tests.conftest import children

PATIENCE_S = 60.0


class Fifo:
    """A job server as make has it, with one letter for each token."""

    def __init__(self, folder: Path, tokens: bytes) -> None:
        self.path = str(folder / "fifo")
        os.mkfifo(self.path)
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self.tokens = tokens
        os.write(self.fd, tokens)

    @property
    def flags(self) -> dict[str, str]:
        return {"MAKEFLAGS": f" -j{len(self.tokens) + 1} --jobserver-auth=fifo:{self.path}"}

    def lend(self) -> Tokens:
        place = joined(self.flags)
        assert place is not None
        return begun(place)

    def count(self) -> int:
        return tokens_in(self.fd)

    def steal(self, count: int = 1) -> bytes:
        return os.read(self.fd, count)

    def is_whole(self) -> bool:
        """Every token is there, as it was; asked once, in the end."""
        return self.count() == len(self.tokens) and sorted(self.steal(100)) == sorted(self.tokens)


def begun(place: Place) -> Tokens:
    tokens = Tokens(place)
    tokens.begin()
    return tokens


def tokens_in(fd: int) -> int:
    there = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, there)
    return there[0]


def take(tokens: Tokens, step: str) -> None:
    """As the loop does: try whenever the descriptor says so."""
    while not tokens.try_take(step, 1):
        fd = tokens.wait_fd
        assert fd is not None
        assert select.select([fd], [], [], PATIENCE_S)[0], "no token comes"


def await_count(fifo: Fifo, count: int) -> None:
    """Until so many tokens are there; it is the keeper's turn, in a process of its own."""
    for _ in range(int(PATIENCE_S / 0.005)):
        if fifo.count() == count:
            return
        select.select([], [], [], 0.005)
    raise AssertionError(f"{fifo.count()} tokens, not {count}")


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    made = Fifo(tmp_path, b"abc")
    yield made
    os.close(made.fd)


# --- taking and giving back ---------------------------------------------------------------------------------


def test_the_first_step_works_on_the_token_that_somebody_took_for_the_run(fifo: Fifo) -> None:
    tokens = fifo.lend()
    assert tokens.try_take("a", 1)
    assert fifo.count() == 3
    tokens.close()
    assert fifo.is_whole()


def test_every_other_step_takes_one_and_they_come_back_as_they_were(fifo: Fifo) -> None:
    tokens = fifo.lend()
    for left, step in zip((3, 2, 1, 0), "abcd", strict=True):
        take(tokens, step)
        assert fifo.count() == left
    assert not tokens.try_take("e", 1)
    tokens.give_back("a")  # whichever ends first: one of those that run needs no token
    take(tokens, "e")
    assert fifo.count() == 0
    for step in "bcde":
        tokens.give_back(step)
    await_count(fifo, 3)
    tokens.close()
    assert fifo.is_whole()


def test_a_token_that_is_there_is_taken_at_once(fifo: Fifo) -> None:
    """Nobody is told to wait for the question alone."""
    tokens = fifo.lend()
    take(tokens, "a")
    take(tokens, "b")  # the keeper has begun to listen
    assert tokens.try_take("c", 1)
    assert tokens.try_take("d", 1)
    tokens.close()
    assert fifo.is_whole()


def test_a_step_that_waits_gets_what_others_give_back(fifo: Fifo) -> None:
    stolen = fifo.steal(3)
    tokens = fifo.lend()
    assert tokens.try_take("a", 1)
    assert not tokens.try_take("b", 1)
    assert tokens.wait_fd is not None
    assert not select.select([tokens.wait_fd], [], [], 0)[0], "a try that failed leaves it unreadable"
    os.write(fifo.fd, stolen)
    take(tokens, "b")
    assert fifo.count() == 2
    tokens.close()
    assert fifo.is_whole()


def test_whoever_waits_may_go_on_without_a_token_when_nobody_else_runs(fifo: Fifo) -> None:
    stolen = fifo.steal(3)
    tokens = fifo.lend()
    assert tokens.try_take("a", 1)
    assert not tokens.try_take("b", 1)
    tokens.give_back("a")
    assert tokens.try_take("b", 1)
    os.write(fifo.fd, stolen)
    tokens.close()
    assert fifo.is_whole()


def test_what_nobody_waits_for_any_more_goes_back_by_itself(fifo: Fifo) -> None:
    tokens = fifo.lend()
    assert tokens.try_take("a", 1)
    for _ in range(20):
        stolen = fifo.steal(3)
        assert not tokens.try_take("b", 1)
        os.write(fifo.fd, stolen)
        tokens.give_back("b")  # the token may be on the way, or not
        await_count(fifo, 3)
    take(tokens, "b")
    await_count(fifo, 2)
    tokens.put_back("b")
    await_count(fifo, 3)
    tokens.close()
    assert fifo.is_whole()


def test_closing_gives_back_what_is_still_out_and_doing_it_twice_is_no_harm(fifo: Fifo) -> None:
    tokens = fifo.lend()
    for step in "abcd":
        take(tokens, step)
    tokens.close()
    tokens.close()
    assert fifo.is_whole()


# --- whoever is killed --------------------------------------------------------------------------------------


def test_if_the_keeper_is_killed_its_tokens_are_given_back_all_the_same(fifo: Fifo) -> None:
    before = children(os.getpid())
    tokens = fifo.lend()
    (keeper,) = children(os.getpid()) - before
    for step in "abc":
        take(tokens, step)
    assert fifo.count() == 1
    os.kill(keeper, signal.SIGKILL)
    assert tokens.wait_fd is not None
    assert select.select([tokens.wait_fd], [], [], PATIENCE_S)[0]
    tokens.give_back("a")
    assert tokens.lost
    assert fifo.count() == 2
    assert tokens.wait_fd is None
    assert not tokens.try_take("d", 1)  # no more are taken
    tokens.give_back("b")
    tokens.give_back("c")
    assert tokens.try_take("d", 1)  # on the one that somebody took for the run
    tokens.close()
    assert fifo.is_whole()


def test_the_keeper_minds_no_signal_that_ends_others(fifo: Fifo) -> None:
    before = children(os.getpid())
    tokens = fifo.lend()
    (keeper,) = children(os.getpid()) - before
    take(tokens, "a")
    take(tokens, "b")  # it has begun to listen
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(keeper, number)
    take(tokens, "c")
    assert os.getsid(keeper) == keeper
    tokens.close()
    assert not tokens.lost
    assert fifo.is_whole()


def test_if_the_run_is_killed_its_tokens_go_back_once_its_steps_are_dead(fifo: Fifo) -> None:
    """The step is a process that holds what supervisors hold: it looks, after its runner's death, and then ends."""
    step = dedent("""
        import array, fcntl, os, sys, termios
        sys.stdin.read()  # its end: the runner is dead
        there = array.array("i", [0])
        fcntl.ioctl(os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK), termios.FIONREAD, there)
        print(there[0], flush=True)
    """)
    run = dedent("""
        import os, select, subprocess, sys, time
        from stepwave.edge.jobserver.place import joined
        from stepwave.edge.jobserver.tokens import Tokens
        tokens = Tokens(joined(os.environ))
        reader, writer = os.pipe()
        subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]], stdin=reader, pass_fds=[tokens.kept])
        os.close(reader)
        for step in "abcd":
            while not tokens.try_take(step, 1):
                select.select([tokens.wait_fd], [], [])
        print("taken", flush=True)
        time.sleep(60)
    """)
    command = [sys.executable, "-c", run, step, fifo.path]
    with subprocess.Popen(command, env={**os.environ, **fifo.flags}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        assert fifo.count() == 0
        process.kill()
        assert process.stdout.readline() == "0\n"
    await_count(fifo, 3)
    assert fifo.is_whole()


# --- a server of our own ------------------------------------------------------------------------------------


def test_a_token_that_a_step_has_lost_is_replaced_when_no_step_runs() -> None:
    place = served(4, BOTH, {})
    tokens = begun(place)
    thief = os.open(place.litter[0], os.O_RDWR | os.O_NONBLOCK)
    take(tokens, "a")
    take(tokens, "b")
    assert os.read(thief, 1) == b"+"  # a job of its `make`, killed with -9
    tokens.give_back("a")
    tokens.give_back("b")
    for step in "abcd":
        take(tokens, step)
    assert tokens_in(thief) == 0
    assert not tokens.try_take("e", 1)
    os.write(thief, b"++")  # two too many
    for step in "abcde":
        tokens.give_back(step)
    for step in "abcd":
        take(tokens, step)
    assert not tokens.try_take("e", 1)
    assert tokens_in(thief) == 0
    tokens.close()
    os.close(thief)
    assert tokens.missed == 1


def test_what_it_made_is_gone_in_the_end() -> None:
    place = served(2, BOTH, {})
    path = Path(place.litter[0])
    assert (S_IMODE(path.stat().st_mode), S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    begun(place).close()
    assert not path.parent.exists()


@pytest.mark.parametrize("style", [BOTH, FIFO, PIPE])
def test_steps_are_told_where_it_is(style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blank = tmp_path / "with a blank"
    blank.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(blank))
    place = served(3, style, {"MAKEFLAGS": "-j9"})
    told = read_flags(place.env["MAKEFLAGS"])
    assert (told.jobs, place.jobs, place.tokens) == (3, 3, 2)
    assert told.fifo == (None if style == PIPE else place.litter[0])
    assert tuple(number for _, number in place.handed) == (() if style == FIFO else NUMBERS)
    assert " " not in place.litter[0]
    assert list(blank.iterdir()) == []
    assert [tokens_in(fd) for fd, _ in place.handed[:1]] == [2] * len(place.handed[:1])
    begun(place).close()


def test_a_pipe_that_is_full_is_a_smaller_server() -> None:
    place = served(100_000, FIFO, {})
    assert place.tokens is not None
    assert place.tokens + 1 == place.jobs == read_flags(place.env["MAKEFLAGS"]).jobs
    assert tokens_in(place.reader) == place.tokens < 100_000
    begun(place).close()


# --- what make offers ---------------------------------------------------------------------------------------


def test_without_make_there_is_none() -> None:
    assert joined({}) is None
    assert joined({"MAKEFLAGS": "k"}) is None


def test_a_pipe_is_opened_anew_and_its_flags_stay_as_they_were() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"xy")
    for fd in (reader, writer):
        os.set_inheritable(fd, True)
    before = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (reader, writer)]
    place = joined({"MAKEFLAGS": f" -j3 --jobserver-auth={reader},{writer}"})
    assert place is not None
    assert place.handed == ((reader, reader), (writer, writer))
    assert not place.env
    tokens = begun(place)
    for step in "abc":
        take(tokens, step)
    assert tokens_in(reader) == 0
    assert [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in (reader, writer)] == before
    tokens.close()
    assert sorted(os.read(reader, 9)) == sorted(b"xy")
    for fd in (reader, writer):
        os.close(fd)


def test_a_pipe_that_make_has_not_handed_down_is_said_to_be_so() -> None:
    reader, writer = os.pipe()  # our own: nobody inherits it, whatever numbers it has got
    auths = [f"{reader},{writer}", "-2,-2", "1000000,1000001", "0,0"]
    for auth in auths:
        with pytest.raises(NotJoined, match="has not handed it down") as caught:
            joined({"MAKEFLAGS": f" -j3 --jobserver-auth={auth}"})
        assert caught.value.help == REMEDY
    for fd in (reader, writer):
        os.set_inheritable(fd, True)
    with pytest.raises(NotJoined):  # the wrong way round
        joined({"MAKEFLAGS": f" -j3 --jobserver-auth={writer},{reader}"})
    for fd in (reader, writer):
        os.close(fd)


def test_a_fifo_that_is_none_is_said_to_be_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("+++")
    with pytest.raises(NotJoined, match="is no FIFO"):
        joined({"MAKEFLAGS": f" -j3 --jobserver-auth=fifo:{file}"})
    with pytest.raises(NotJoined, match=r"cannot be opened: no such file"):
        joined({"MAKEFLAGS": f" -j3 --jobserver-auth=fifo:{tmp_path}/gone"})
    with pytest.raises(NotJoined, match="cannot be opened"):
        joined({"MAKEFLAGS": f" --jobserver-auth=fifo:{tmp_path}/a\0b"})
