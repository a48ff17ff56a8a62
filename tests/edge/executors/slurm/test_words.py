"""What is typed after `slurm:`, what Slurm prints, what is sent: texts and values, without a Slurm."""

import asyncio
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.events import Launch
from stepwave.core.job import Job
from stepwave.core.model import Limits
from stepwave.edge.executors.contract import Refused
from stepwave.edge.executors.slurm import Options, read_options, shape_of
from stepwave.edge.executors.slurm_commands import (
    Most,
    NotDone,
    Order,
    Seen,
    Shape,
    ask,
    last_words,
    options,
    read_look,
    read_most,
    read_time,
    told,
)
from stepwave.edge.executors.slurm_pilot import given_by_slurm, job_id
from stepwave.edge.executors.slurm_room import Manner
from stepwave.edge.executors.slurm_wire import (
    MOST,
    SIZE,
    Address,
    admit,
    introduce,
    pack,
    proof,
    read_address,
    read_message,
    unpack_size,
    unpacked,
    write_address,
)

GB = 1024**3


def job(memory: int | None = None, **pools: int) -> Job:
    limits = Limits(memory_bytes=memory)
    launch = Launch("build", 1, ("true",), "/", {}, None, limits, "logs/1.log", pools=tuple(pools.items()))
    return Job("build-1", launch, b"")


# --- options ----------------------------------------------------------------------------------------------------------


def test_no_options_ask_for_one_cpu_and_nothing_else() -> None:
    assert read_options("") == Options({})
    assert shape_of(Options({}), job()) == Shape(cpus=1, memory_mb=None, gres=())


def test_options_of_sbatch_go_there_as_they_are() -> None:
    read = read_options("partition=short, time=1-00:30:00,nodelist=n[1-2,5],account=a b")
    wishes = {"partition": "short", "time": "1-00:30:00", "nodelist": "n[1-2,5]", "account": "a b"}
    assert read == Options(wishes)


def test_own_options() -> None:
    read = read_options("cpus=4,memory=2G,slots=8,idle=5m,host=10.0.0.1,gres=gpu,gres=fpga,cpu-pool=cpu")
    assert read == Options({}, 4, 2048, Manner(8, 300.0, "10.0.0.1"), ("gpu", "fpga"), "cpu")


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        ("fast", "`slurm:` has no option `fast`"),
        ("mem=2G", "`slurm:` has no option `mem=2G`"),
        ("=short", "`slurm:` has no option `=short`"),
        ("partition=", "`slurm:` has no value for `partition`"),
        ("partition=a\nb", "`slurm:` has no value for `partition`"),
        ("cpus=0", "`0` is no number for `cpus` of `slurm:`"),
        ("cpus=²", "`²` is no number for `cpus` of `slurm:`"),
        ("slots=9999999999999999999", "`9999999999999999999` is no number for `slots` of `slurm:`"),
        ("memory=much", "`much` is no size for `memory` of `slurm:`"),
        ("memory=0", "`0` is no size for `memory` of `slurm:`"),
        ("idle=5", "`5` is no duration for `idle` of `slurm:`"),
    ],
)
def test_what_is_no_option_is_refused(rest: str, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        read_options(rest)
    assert str(refused.value) == sentence
    assert refused.value.help


@given(st.text())
def test_any_text_is_read_or_refused(rest: str) -> None:
    try:
        read = read_options(rest)
    except Refused as refused:
        assert "\n" not in str(refused)
    else:
        assert read.cpus >= 1
        assert read.manner.slots >= 1


def test_a_step_asks_for_its_units_and_its_memory() -> None:
    asked = read_options("cpus=2,memory=1G,gres=gpu,cpu-pool=cpu")
    assert shape_of(asked, job()) == Shape(2, 1024 + 100, ())
    assert shape_of(asked, job(cpu=1, gpu=2, db=3)) == Shape(2, 1024 + 100, (("gpu", 2),))
    assert shape_of(asked, job(memory=3 * GB + 1, cpu=8)) == Shape(8, 3073 + 100, ())


def test_an_allocation_for_several_steps_is_as_many_times_as_large() -> None:
    assert Shape(2, 100, (("gpu", 1),)).times(4) == Shape(8, 400, (("gpu", 4),))
    assert Shape(2).times(4) == Shape(8)


def test_what_sbatch_is_told() -> None:
    order = Order(Path(), "stepwave-x", {"partition": "short", "time": "30"})
    assert options(order, Shape(2, 300, (("gpu", 1), ("fpga", 2)))) == {
        "partition": "short",
        "time": "30",
        "job-name": "stepwave-x",
        "nodes": 1,
        "ntasks": 1,
        "cpus-per-task": 2,
        "no-requeue": True,
        "mem": "300M",
        "gres": "gpu:1,fpga:2",
    }


# --- what Slurm prints ------------------------------------------------------------------------------------------------


def test_squeue_is_read() -> None:
    text = """\
7_0|RUNNING|9:58|10:00|None|n1
7_1|PENDING|UNLIMITED|UNLIMITED|PartitionTimeLimit|
8|NODE_FAIL|INVALID|1-00:00:00|NodeDown|n[1-2]
"""
    assert read_look(text) == {
        "7_0": Seen("RUNNING", "n1", 598, 600, "None"),
        "7_1": Seen("PENDING", "", None, None, "PartitionTimeLimit"),
        "8": Seen("NODE_FAIL", "n[1-2]", None, 86_400, "NodeDown"),
    }


@given(st.integers(0, 10**7))
def test_times_are_read_as_slurm_writes_them(seconds: int) -> None:
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    text = f"{days}-{h:02}:{m:02}:{s:02}" if days else f"{h}:{m:02}:{s:02}" if h else f"{m}:{s:02}"
    assert read_time(text) == seconds


@given(st.text())
def test_any_text_of_slurm_can_be_read(text: str) -> None:
    read_look(text)
    read_most(text)
    assert len(told("sbatch", text)) <= 320


def test_sinfo_is_read() -> None:
    text = "64+|515000+|gpu:a100:4(S:0-1),gpu:t4:2,fpga:1\n128|64000|(null)\n"
    assert read_most(text) == Most(128, 515000, {"gpu": 6, "fpga": 1})


def test_what_a_command_complained_of() -> None:
    said = "sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: Invalid x\n"
    assert told("sbatch", said) == "sbatch: invalid partition specified: nope"
    assert told("squeue", "slurm_load_jobs error: Zero Bytes\n") == "squeue: slurm_load_jobs error: Zero Bytes"
    assert told("squeue", "\n") == "squeue: it said nothing"


def test_a_command_that_cannot_be_had_or_fails_is_told() -> None:
    with pytest.raises(NotDone, match="no-such-command: "):
        ask("no-such-command")
    with pytest.raises(NotDone, match=r"^sh: no$"):
        ask("sh", "-c", "echo no >&2; exit 3")
    assert ask("sh", "-c", "echo yes") == "yes\n"


def test_the_last_words_of_a_pilot(tmp_path: Path) -> None:
    (tmp_path / "7_0_0_log.out").write_text(
        "x" * 9000 + "\nstepwave.edge.executors.slurm_pilot.Unreachable: no way\n\n"
    )
    assert last_words(tmp_path, "7_0") == "no way"
    assert last_words(tmp_path, "8") == ""


# --- the pilot's end --------------------------------------------------------------------------------------------------


def test_a_pilot_knows_its_job() -> None:
    assert job_id({"SLURM_JOB_ID": "9"}) == "9"
    assert job_id({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}) == "7_2"


def test_steps_find_what_slurm_gave_to_the_pilot() -> None:
    environ = {"SLURM_JOB_ID": "9", "CUDA_VISIBLE_DEVICES": "1", "HOME": "/x", "SLURMD_NODENAME": "n1"}
    assert given_by_slurm(environ) == {"SLURM_JOB_ID": "9", "CUDA_VISIBLE_DEVICES": "1", "SLURMD_NODENAME": "n1"}


# --- the wire ---------------------------------------------------------------------------------------------------------


def test_an_address_is_for_the_eyes_of_the_owner(tmp_path: Path) -> None:
    address = Address(("login", "10.0.0.1"), 4711, b"k" * SIZE)
    write_address(tmp_path / "a", address)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert read_address(str(tmp_path / "a")) == address
    with pytest.raises(FileExistsError):
        write_address(tmp_path / "a", address)


def test_a_message_has_a_size_that_can_be() -> None:
    packed = pack(("run", 1))
    assert unpack_size(packed[:4]) == len(packed) - 4
    with pytest.raises(ValueError, match="a message of"):
        unpack_size((MOST + 1).to_bytes(4, "big"))


def meet(runner_key: bytes, pilot_key: bytes) -> tuple[bool, bool]:
    """Whether each side takes the other for what it should be: the runner, the pilot."""
    ours, theirs = socket.socketpair()
    taken: list[bool] = []

    async def runner() -> bool:
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            return await admit(runner_key, reader.readexactly, writer.write)
        except EOFError:
            return False
        finally:
            writer.close()

    def pilot() -> None:
        with theirs:
            taken.append(introduce(pilot_key, theirs))

    thread = threading.Thread(target=pilot)
    thread.start()
    is_taken = asyncio.run(runner())
    thread.join()
    return is_taken, taken[0]


def test_only_who_knows_the_key_is_let_in_and_only_such_a_runner_is_obeyed() -> None:
    assert meet(b"k" * SIZE, b"k" * SIZE) == (True, True)
    assert meet(b"k" * SIZE, b"x" * SIZE) == (False, False)


@given(st.binary(min_size=SIZE, max_size=3 * SIZE))
def test_a_stranger_is_not_let_in(data: bytes) -> None:
    sent: list[bytes] = []
    stream = bytearray(data)

    async def read(size: int) -> bytes:
        if len(stream) < size:
            raise EOFError
        part = bytes(stream[:size])
        del stream[:size]
        return part

    async def enter() -> bool:
        return await admit(b"k" * SIZE, read, sent.append)

    with suppress(EOFError):
        assert not asyncio.run(enter())
    assert sum(map(len, sent)) == 2 * SIZE


def test_a_proof_is_good_for_one_meeting_and_one_side() -> None:
    key, nonces = b"k" * SIZE, b"n" * 2 * SIZE
    assert proof(key, b"pilot", nonces) != proof(key, b"runner", nonces)
    assert proof(key, b"pilot", nonces) != proof(key, b"pilot", nonces[::-1] + b"m")


def test_what_cannot_be_unpacked_is_no_message() -> None:
    with pytest.raises(ValueError, match="UnpicklingError"):
        unpacked(b"garbage")


def test_the_end_of_a_stream_is_no_message() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.sendall(pack(("stop", "build-1", 15)) + b"\0\0")
        assert read_message(ours) == ("stop", "build-1", 15)
        assert read_message(ours) is None
