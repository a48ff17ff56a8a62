"""Rounds of samples, taken in turns, and the few numbers that describe them."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

LONGEST_S = 600.0


class Sample(NamedTuple):
    """One run of one command. `cpu_s` is that of its whole tree; `rss_bytes` the largest process of the tree."""

    wall_s: float
    cpu_s: float
    rss_bytes: int


class Contender(NamedTuple):
    """A command to be measured. `litter`: what a run leaves in its folder; removed before the next one.

    `remark`: what a reader must know to judge the figure.
    """

    name: str
    argv: tuple[str, ...]
    folder: Path
    litter: tuple[str, ...] = ()
    remark: str = ""


class Broken(Exception):  # noqa: N818 - says what it is
    """A command that did not end with exit code 0."""


Samples = dict[str, list[Sample]]


def take(contender: Contender) -> Sample:
    """Run it once, outside the caller's environment. Raises Broken."""
    for name in contender.litter:
        remove(contender.folder / name)
    output = contender.folder / f"output-of-{contender.name.replace(' ', '-').replace('/', '-')}"
    sampler = Path(__file__).with_name("sample.py")
    argv = [sys.executable, "-I", "-S", str(sampler), str(output), *contender.argv]
    environ = {"PATH": os.defpath, "HOME": str(contender.folder), "LANG": "C.UTF-8"}
    with subprocess.Popen(
        argv,
        cwd=contender.folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            told, _ = process.communicate(timeout=LONGEST_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        raise Broken(f"{contender.name}: could not be started")
    answer = json.loads(told)
    if answer["code"] != 0:
        last = output.read_text("utf-8", "replace").strip().splitlines()[-1:]
        raise Broken(f"{contender.name}: exit code {answer['code']}: {' '.join(last)}")
    return Sample(answer["wall_s"], answer["cpu_s"], answer["rss_bytes"])


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def race(
    contenders: Sequence[Contender],
    rounds: int,
    *,
    warm_up: bool = True,
    told: Callable[[str], None] = lambda text: None,
) -> Samples:
    """A B C, A B C, …: whatever disturbs the machine disturbs them all. The first round may be a rehearsal.

    One that breaks is told and left out.
    """
    taken: Samples = {contender.name: [] for contender in contenders}
    broken: set[str] = set()
    for turn in range(-1 if warm_up else 0, rounds):
        for contender in contenders:
            if contender.name in broken:
                continue
            try:
                sample = take(contender)
            except (Broken, subprocess.TimeoutExpired) as problem:
                told(str(problem))
                broken.add(contender.name)
                continue
            if turn >= 0:
                taken[contender.name].append(sample)
    return {name: samples for name, samples in taken.items() if name not in broken}


class Ratio(NamedTuple):
    """The median of the ratios of each round, the least and greatest of them, and the best time over the best."""

    middle: float
    least: float
    greatest: float
    of_best: float


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Round by round, so that what slowed both cancels out. Raises ValueError without rounds."""
    each = [a / b for a, b in zip(ours, theirs, strict=True)]
    if not each:
        raise ValueError("a ratio needs at least one round")
    return Ratio(statistics.median(each), min(each), max(each), min(ours) / min(theirs))


def walls(samples: Sequence[Sample]) -> list[float]:
    return [sample.wall_s for sample in samples]
