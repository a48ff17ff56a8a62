"""Slurm as an engine: `--executor slurm:partition=short,time=30`.

What an allocation is asked for stands in the options and in the step; how they are had, kept and given back is told at
the top of `slurm_room.py`.
"""

import pickle
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from stepwave.core.job import Around, Job
from stepwave.core.reading.units import bytes_of, seconds_of
from stepwave.core.text import one_line
from stepwave.edge.executors import slurm_commands as slurm
from stepwave.edge.executors.contract import Desk, Refused, Work
from stepwave.edge.executors.slurm_commands import Most, NotDone, Order, Shape
from stepwave.edge.executors.slurm_room import Manner, Room

MEGABYTE = 1024 * 1024
PILOT_MB = 100
"""What the pilot itself needs, beside the memory of its step."""
MOST_UNITS = 100_000
OWN = ("cpus", "memory", "slots", "idle", "host", "gres", "cpu-pool")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Options(NamedTuple):
    """What follows `slurm:`. `wishes` go to sbatch as they are; the rest is explained in docs/scale-out-slurm.md."""

    wishes: Mapping[str, str]
    cpus: int = 1
    memory_mb: int | None = None
    manner: Manner = Manner()
    gres: tuple[str, ...] = ()
    cpu_pool: str = ""


def read_options(rest: str) -> Options:
    """Of `partition=short,time=30`. Raises Refused."""
    options = Options({})
    given = [part.strip() for part in re.split(r",(?![^\[]*\])", rest) if part.strip()]
    for part in given:
        name, is_there, value = part.partition("=")
        if name not in (*slurm.VERBATIM, *OWN) or not is_there:
            known = ", ".join(sorted((*slurm.VERBATIM, *OWN)))
            raise Refused(f"`slurm:` has no option `{one_line(part, 60)}`", f"name=value, with a name of {known}")
        if not value or CONTROL.search(value):
            raise Refused(f"`slurm:` has no value for `{name}`", "for example slurm:partition=short,time=30")
        if name in slurm.VERBATIM:
            options = options._replace(wishes={**options.wishes, name: value})
        else:
            options = _OWN[name](options, value)
    return options


def _units(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:9]) <= MOST_UNITS:
        raise Refused(f"`{one_line(value, 60)}` is no number for `{name}` of `slurm:`", f"1 to {MOST_UNITS}")
    return int(value)


def _memory(options: Options, value: str) -> Options:
    size = bytes_of(value)
    if not size:
        raise Refused(f"`{one_line(value, 60)}` is no size for `memory` of `slurm:`", "for example memory=2G")
    return options._replace(memory_mb=megabytes(size))


def _idle(options: Options, value: str) -> Options:
    seconds = seconds_of(value)
    if seconds is None:
        raise Refused(f"`{one_line(value, 60)}` is no duration for `idle` of `slurm:`", "for example idle=5m")
    return _manner(options, idle_s=seconds)


def _manner(options: Options, **changed: Any) -> Options:
    return options._replace(manner=options.manner._replace(**changed))


_OWN: dict[str, Callable[[Options, str], Options]] = {
    "cpus": lambda options, value: options._replace(cpus=_units("cpus", value)),
    "slots": lambda options, value: _manner(options, slots=_units("slots", value)),
    "memory": _memory,
    "idle": _idle,
    "host": lambda options, value: _manner(options, host=value),
    "gres": lambda options, value: options._replace(gres=(*options.gres, value)),
    "cpu-pool": lambda options, value: options._replace(cpu_pool=value),
}


def megabytes(size: int) -> int:
    """Rounded up, as it is to be enough."""
    return -(-size // MEGABYTE)


def shape_of(options: Options, job: Job) -> Shape:
    """What an allocation needs for this job: its units of the pools that Slurm knows, and its limit of memory."""
    units = dict(job.launch.pools)
    limit = job.launch.limits.memory_bytes
    memory = options.memory_mb if limit is None else megabytes(limit)
    return Shape(
        cpus=max(options.cpus, units.get(options.cpu_pool, 0)),
        memory_mb=None if memory is None else memory + PILOT_MB,
        gres=tuple((name, units[name]) for name in dict.fromkeys(options.gres) if units.get(name)),
    )


# --- the engine -------------------------------------------------------------------------------------------------------


class Slurm:
    """An engine: see `contract.Engine`."""

    name = "slurm"
    slots: int | None = None
    hears_silence = True
    ahead = 0

    def __init__(self, options: Options, pools: Mapping[str, int]) -> None:
        self._options = options
        self.pools = pools
        self._desk: Desk
        self._work: Work
        self._room: Room | None = None

    def begin(self, desk: Desk, work: Work) -> None:
        self._desk, self._work = desk, work

    def submit(self, jobs: Sequence[Job]) -> None:
        try:
            if self._room is None:
                self._room = self._opened(jobs[0])
        except OSError as problem:
            for job in jobs:
                self._desk.failed(job.key, f"nobody can listen for pilots: {problem.strerror or problem}")
        else:
            self._room.submit(jobs)

    def _opened(self, job: Job) -> Room:
        """Only the first job says where the run has its folder, which all nodes see."""
        around: Around = pickle.loads(job.around)
        folder = Path(around.folder)
        order = Order(folder / "slurm", f"stepwave-{folder.name}", self._options.wishes)
        room = Room(order, partial(shape_of, self._options), self._options.manner)
        try:
            room.open(self._desk, self._work)
        except OSError:
            room.close()
            raise
        return room

    def stop(self, key: str, number: int) -> None:
        if self._room is not None:
            self._room.stop(key, number)

    def freeze(self, keys: tuple[str, ...], still: bool) -> None:
        if self._room is not None:
            self._room.freeze(keys, still)

    def close(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.close()


def open_engine(rest: str, width: int | None) -> Slurm:
    """`rest` has the options. Nothing is submitted yet, but Slurm is asked whether it would. Raises Refused."""
    options = read_options(rest)
    if missing := [name for name in ("sbatch", "squeue", "scancel", "sinfo") if shutil.which(name) is None]:
        raise Refused(f"there is no Slurm on this machine: no `{missing[0]}`", "run it where you run sbatch")
    memory = None if options.memory_mb is None else options.memory_mb + PILOT_MB
    least = Shape(options.cpus, memory).times(options.manner.slots)
    try:
        most = slurm.most_per_node(options.wishes)
        if most.cpus:  # else there is no such partition, and sbatch says so
            _check_size(least, most)
        slurm.check(Order(Path(), "stepwave", options.wishes), least)
    except NotDone as problem:
        if "node configuration is not available" not in str(problem):  # drained and down nodes come back
            raise Refused(f"Slurm refuses: {problem}", "sinfo shows the partitions and what their nodes have") from None
    return Slurm(options, _pools(options, most))


def _check_size(least: Shape, most: Most) -> None:
    """Raises Refused for an allocation that no node can hold."""
    if least.cpus > most.cpus:
        raise Refused(f"no node has {least.cpus} CPUs", f"the largest has {most.cpus}")
    if least.memory_mb is not None and least.memory_mb > most.memory_mb:
        raise Refused(f"no node has {least.memory_mb} MB of memory", f"the largest has {most.memory_mb} MB")


def _pools(options: Options, most: Most) -> dict[str, int]:
    """The pools whose units are asked of Slurm. Raises Refused for one that it does not have."""
    if unknown := [name for name in options.gres if not most.gres.get(name)]:
        there = ", ".join(sorted(most.gres)) or "none"
        raise Refused(f"no node has the generic resource `{one_line(unknown[0], 60)}`", f"there is: {there}")
    slots = options.manner.slots
    pools = {name: most.gres[name] // slots for name in options.gres}
    return {**pools, options.cpu_pool: most.cpus // slots} if options.cpu_pool else pools
