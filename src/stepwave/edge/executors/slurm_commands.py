"""What is asked of Slurm: allocations through submitit, everything else through its own commands.

submitit looks after a job with `sacct`, which does not work where there is no accounting, and in steps of up to ten
minutes. So it submits, and `squeue` tells what has become of it: one call for all allocations of a run.
"""

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

from stepwave.core.text import one_line
from stepwave.edge.executors.contract import Work

ANSWER_S = 60.0
MOST_AT_ONCE = 500
"""Parts of one job array; Slurm's own limit, MaxArraySize, is 1001 where nobody has changed it."""
UNSET = "unset SLURM_MEM_PER_CPU SLURM_MEM_PER_GPU SLURM_MEM_PER_NODE"
"""Of a run that is itself inside an allocation: srun refuses to start where two of them are set."""

VERBATIM = ("partition", "account", "qos", "time", "constraint", "reservation", "nodelist", "exclude")
"""Options that are sbatch's own."""


class Shape(NamedTuple):
    """What an allocation is asked for: steps that ask for the same can share one."""

    cpus: int = 1
    memory_mb: int | None = None
    gres: tuple[tuple[str, int], ...] = ()

    def times(self, slots: int) -> "Shape":
        """For so many steps at a time."""
        memory = None if self.memory_mb is None else self.memory_mb * slots
        return Shape(self.cpus * slots, memory, tuple((name, units * slots) for name, units in self.gres))


class Order(NamedTuple):
    """How allocations are asked for. `wishes` are options of sbatch by name; `folder` is where submitit keeps its
    files, which every node must see."""

    folder: Path
    name: str
    wishes: Mapping[str, str]


class Pilots(NamedTuple):
    """`number` allocations for `slots` steps of this shape at a time, which report at the address in that file."""

    shape: Shape
    slots: int
    number: int
    address_file: str
    work: Work


class Seen(NamedTuple):
    """What squeue says of an allocation. Seconds; None: no limit, or not known. `reason`: why it waits."""

    state: str
    nodes: str
    left_s: int | None = None
    limit_s: int | None = None
    reason: str = ""


class NotDone(Exception):  # noqa: N818 - says what happened
    """A command of Slurm has refused; the text is what it said, on one line."""


def ask(*words: str) -> str:
    """What a command prints. Raises NotDone."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_S,
            check=False,
            start_new_session=True,  # Ctrl-C is for the runner
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NotDone(f"{words[0]}: {problem}") from problem
    if done.returncode:
        raise NotDone(told(words[0], done.stderr.decode(errors="replace")))
    return done.stdout.decode(errors="replace")


def told(command: str, text: str) -> str:
    """The last thing that a command complained of: `sbatch: invalid partition specified: nope`."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line and "Batch job submission failed" not in line]
    said = (errors or lines or ["it said nothing"])[-1]
    plain = _prefix.sub("", said).strip()
    return one_line(f"{command}: {plain}", 300)


_prefix = re.compile(r"^(\w+: )?(error: )?")


# --- allocations ------------------------------------------------------------------------------------------------------


def options(order: Order, shape: Shape) -> dict[str, str | int | bool]:
    """As sbatch has them, by name."""
    wanted: dict[str, str | int | bool] = dict(order.wishes)
    wanted |= {"job-name": order.name, "nodes": 1, "ntasks": 1, "cpus-per-task": shape.cpus, "no-requeue": True}
    if shape.memory_mb is not None:
        wanted["mem"] = f"{shape.memory_mb}M"
    if shape.gres:
        wanted["gres"] = ",".join(f"{name}:{units}" for name, units in shape.gres)
    return wanted


def check(order: Order, shape: Shape) -> None:
    """Whether Slurm would take such a job; none is submitted. Raises NotDone."""
    flags = [f"--{name}" if value is True else f"--{name}={value}" for name, value in options(order, shape).items()]
    ask("sbatch", "--test-only", *flags, "--wrap=true")


def submit(order: Order, pilots: Pilots) -> list[str]:
    """Ask for the allocations, in one array; their ids. Raises NotDone."""
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    from stepwave.edge.executors.slurm_pilot import fly

    wanted = options(order, pilots.shape.times(pilots.slots))
    count = pilots.number
    executor = submitit.SlurmExecutor(folder=order.folder, max_num_timeout=0)
    executor.update_parameters(
        time=None,  # submitit's own default would be five minutes; what is asked for stands in `wanted`
        job_name=order.name,  # in `wanted` it would stand beside submitit's own
        wckey=None,
        array_parallelism=count,
        stderr_to_stdout=True,
        setup=[UNSET],
        use_srun=False,
        additional_parameters={name: value for name, value in wanted.items() if name != "job-name"},
    )
    try:
        with mute_thread():
            jobs = executor.map_array(fly, [pilots.address_file] * count, [pilots.shape] * count, [pilots.work] * count)
    except (FailedJobError, FailedSubmissionError, OSError) as problem:
        raise NotDone(told("sbatch", str(problem))) from problem
    return [job.job_id for job in jobs]


class _Muted:
    """Standard error for all threads but this one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() == self._thread else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def mute_thread() -> Iterator[None]:
    """What this thread prints on standard error is dropped: submitit repeats there what it raises."""
    before = sys.stderr
    sys.stderr = muted = cast(TextIO, _Muted(before))
    try:
        yield
    finally:
        if sys.stderr is muted:
            sys.stderr = before


def cancel(ids: Iterable[str]) -> None:
    """Those that have ended are nobody's concern. Raises NotDone."""
    if jobs := list(ids):
        ask("scancel", "--quiet", *jobs)


def cancel_all(order: Order) -> None:
    """Whatever has the name of this run. Raises NotDone."""
    ask("scancel", "--quiet", f"--name={order.name}", f"--user={os.geteuid()}")


# --- what has become of them ------------------------------------------------------------------------------------------

LIVE = frozenset(("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "SUSPENDED", "STOPPED"))
FOR_EVER = frozenset(
    (
        "AccountNotAllowed",
        "BadConstraints",
        "InvalidAccount",
        "InvalidQOS",
        "PartitionNodeLimit",
        "PartitionTimeLimit",
        "QOSNotAllowed",
    )
)
"""Why a job waits that nobody will start as it was asked for."""
ENDS = {
    "TIMEOUT": "its allocation reached its time limit",
    "NODE_FAIL": "its node failed",
    "CANCELLED": "its allocation was cancelled",
    "PREEMPTED": "its allocation was preempted",
    "OUT_OF_MEMORY": "its allocation ran out of memory",
    "BOOT_FAIL": "its node did not start",
    "DEADLINE": "its allocation reached its deadline",
}


def look(order: Order) -> dict[str, Seen]:
    """All jobs of the run that Slurm still knows, by id: those that ended in the last minutes too. Raises NotDone."""
    known = ask(
        "squeue",
        "--noheader",
        "--array",
        "--states=all",
        f"--name={order.name}",
        f"--user={os.geteuid()}",
        "--format=%i|%T|%L|%l|%r|%N",
    )
    return read_look(known)


def read_look(text: str) -> dict[str, Seen]:
    """What squeue prints: `7_0|RUNNING|9:58|10:00|None|n1`."""
    found = {}
    for line in text.splitlines():
        job, state, left, limit, reason, nodes = [*line.strip().split("|", 5), "", "", "", "", ""][:6]
        found[job] = Seen(state, nodes, read_time(left), read_time(limit), reason)
    return found


def read_time(text: str) -> int | None:
    """Seconds of `[days-][hours:]minutes:seconds`; None for `UNLIMITED` and the like."""
    days, _, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdigit() for part in (*parts, days or "0")):
        return None
    seconds = 0
    for part in parts:
        seconds = seconds * 60 + int(part)
    return seconds + 86_400 * int(days or 0)


def leaving(nodes: Iterable[str]) -> set[str]:
    """Those of the nodes that are not to get more work: they are drained. Raises NotDone."""
    wanted = ",".join(sorted(set(nodes)))
    known = ask("sinfo", "--noheader", "--Node", f"--nodes={wanted}", "--format=%N|%T") if wanted else ""
    lines = (line.strip().split("|") for line in known.splitlines())
    return {words[0] for words in lines if words[-1].startswith(("drain", "fail"))}


class Most(NamedTuple):
    """The most that one node has. Megabytes."""

    cpus: int = 0
    memory_mb: int = 0
    gres: Mapping[str, int] = {}


def most_per_node(wishes: Mapping[str, str]) -> Most:
    """In the partition that is asked for, or in any. Raises NotDone."""
    partition = [f"--partition={wishes['partition']}"] if "partition" in wishes else []
    return read_most(ask("sinfo", "--noheader", *partition, "--format=%c|%m|%G"))


def read_most(text: str) -> Most:
    """What sinfo prints: `64+|515000+|gpu:a100:4(S:0-1),gpu:t4:2`."""
    cpus = memory = 0
    most: dict[str, int] = {}
    for line in text.splitlines():
        its_cpus, its_memory, gres = [*line.strip().split("|", 2), "", ""][:3]
        cpus, memory = max(cpus, _digits(its_cpus)), max(memory, _digits(its_memory))
        here: Counter[str] = Counter()
        for one in re.sub(r"\([^)]*\)", "", gres).split(","):
            name, *rest = one.split(":")
            if rest:
                here[name] += _digits(rest[-1])
        most = {name: max(most.get(name, 0), here[name]) for name in {*most, *here}}
    return Most(cpus, memory, most)


def _digits(text: str) -> int:
    return int("".join(found) if (found := re.findall(r"[0-9]", text)) else "0")


def last_words(folder: Path, job: str) -> str:
    """Why a pilot ended, from the end of its log; "" where there is nothing to say."""
    with suppress(OSError), (folder / f"{job}_0_log.out").open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - 4096))
        lines: Sequence[str] = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        return one_line(lines[-1].rpartition("Unreachable: ")[2], 300) if lines else ""
    return ""
