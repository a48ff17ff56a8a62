"""What the maps of `stepwave.parallel` cost, beside those of tqdm and the pools of the standard library.

Each contender is a program that takes the time of one call, without its own start and imports. All run by the Python
of the peers' venv, with the same number of workers.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.measure import Broken, Contender, Samples, ratio, take, walls
from benchmarks.table import Table, Verdict, at_most, below_mb, below_s, times, verdicts

if TYPE_CHECKING:
    from benchmarks.comparisons import Setting

QUICK, SMALL, SLOW, MANY = 20_000, 100_000, 2_000, 10_000_000
CHUNKS = (100, 1_000, 10_000)
RATE, STARTS = 100, 100

WORK = """\
import time

def increment(number):
    return number + 1

def small(number):
    total = 0
    for n in range(100):
        total += n * number
    return total

def five_ms(_):
    time.sleep(0.005)
"""
PROGRAM = """\
import sys, time
sys.path[:0] = [{source!r}, "."]
import work
{imports}
def call():
{call}
if __name__ == "__main__":
    began = time.perf_counter()
    found = call()
    took = time.perf_counter() - began
    with open({result!r}, "w") as file:
        file.write(str({answer}))
"""
OURS = "from stepwave.parallel import process_map, rate_limited_map, thread_map"
POOLS = "from concurrent.futures import ThreadPoolExecutor"
TQDM = "from tqdm.contrib.concurrent import process_map, thread_map"

Race = tuple[Sequence[Contender], Samples]


def toolkit(setting: "Setting") -> list[Table]:
    """Maps over threads and processes."""
    folder = setting.folder / "toolkit"
    folder.mkdir(parents=True)
    (folder / "work.py").write_text(WORK)
    quick = _quick(setting, folder)
    small = _small(setting, folder)
    slow = _slow(setting, folder)
    many = _many(setting, folder)
    return [
        times(f"{QUICK:,} trivial items in 8 threads", *quick),
        times(f"{SMALL:,} items of some microseconds in 2 processes", *small),
        times(f"{SLOW:,} items of 5 ms in 8 threads", *slow),
        times("An iterator, and even starts", *many),
        verdicts("Maps: targets", [*_threads(*quick), *_processes(*small), *_ideal(*slow), *_memory(*many)]),
    ]


def _quick(setting: "Setting", folder: Path) -> Race:
    items = f"work.increment, range({QUICK})"
    pooled = f"with ThreadPoolExecutor(8) as pool: return list(pool.map({items}))"
    contenders = [
        _program(folder, "stepwave thread_map", OURS, f"return thread_map({items})"),
        _program(folder, "stepwave with progress", OURS, f"return thread_map({items}, progress=True)"),
        _program(folder, "tqdm thread_map", TQDM, f"return thread_map({items}, max_workers=8)"),
        _program(folder, "ThreadPoolExecutor", POOLS, pooled),
    ]
    return contenders, _race(contenders, setting.rounds or 7, setting)


def _small(setting: "Setting", folder: Path) -> Race:
    items = f"work.small, range({SMALL}), max_workers=2"
    contenders = [_program(folder, "stepwave process_map", OURS, f"return process_map({items})")]
    for size in CHUNKS:
        call = f"return process_map({items}, chunksize={size})"
        contenders.append(_program(folder, f"tqdm, chunks of {size:,}", TQDM, call))
    return contenders, _race(contenders, setting.rounds or 7, setting)


def _slow(setting: "Setting", folder: Path) -> Race:
    pooled = f"with ThreadPoolExecutor(8) as pool: return list(pool.map(work.five_ms, range({SLOW})))"
    contenders = [
        _program(folder, "stepwave 5 ms", OURS, f"return thread_map(work.five_ms, range({SLOW}), max_workers=8)"),
        _program(folder, "ThreadPoolExecutor 5 ms", POOLS, pooled),
        _program(
            folder, "a plain loop", "", f"for n in range({SLOW // 8}): work.five_ms(n)", remark="its eighth: the ideal"
        ),
    ]
    return contenders, _race(contenders, setting.rounds or 5, setting)


def _many(setting: "Setting", folder: Path) -> Race:
    walk = "for _ in thread_map(work.increment, iter(range({})), results='iterator'): pass"
    starts = f"""\
starts = []
    rate_limited_map(lambda _: starts.append(time.perf_counter()), range({STARTS}), max_per_second={RATE})
    return max(abs(start - starts[0] - n / {RATE}) for n, start in enumerate(starts))"""
    sleeps = f"""\
starts = []
    for n in range({STARTS}):
        time.sleep(max(0.0, starts[0] + n / {RATE} - time.perf_counter()) if starts else 0)
        starts.append(time.perf_counter())
    return max(abs(start - starts[0] - n / {RATE}) for n, start in enumerate(starts))"""
    contenders = [
        _program(folder, f"{MANY:,} items", OURS, walk.format(MANY)),
        _program(folder, f"{MANY // 10:,} items", OURS, walk.format(MANY // 10)),
        _program(folder, "rate_limited_map", OURS, starts, remark="its largest deviation", answer="found"),
        _program(folder, "a loop that sleeps", "", sleeps, remark="the same, of the machine itself", answer="found"),
    ]
    return contenders, _race(contenders, min(setting.rounds or 2, 2), setting)


def _program(folder: Path, name: str, imports: str, call: str, *, remark: str = "", answer: str = "took") -> Contender:
    path = folder / f"{name.replace(' ', '-').replace(',', '')}.py"
    source = str(peers.ROOT / "src")
    text = PROGRAM.format(
        source=source, imports=imports, call=f"    {call}", result=str(path.with_suffix(".took")), answer=answer
    )
    path.write_text(text)
    return Contender(name, (str(peers.VENV / "bin" / "python"), str(path)), folder, remark=remark)


def _race(contenders: Sequence[Contender], rounds: int, setting: "Setting") -> Samples:
    """In turns, after a first one that does not count. What a program has measured itself is its time."""
    taken: Samples = {contender.name: [] for contender in contenders}
    for turn in range(-1, rounds):
        for contender in [one for one in contenders if one.name in taken]:
            try:
                sample = take(contender)
            except Broken as problem:
                setting.told(str(problem))
                del taken[contender.name]
                continue
            took = float(Path(contender.argv[1]).with_suffix(".took").read_text())
            if turn >= 0:
                taken[contender.name].append(sample._replace(wall_s=took))
    return taken


def _threads(contenders: Sequence[Contender], taken: Samples) -> list[Verdict]:
    bare, with_bar, tqdm, pool = (one.name for one in contenders)
    limits = ((with_bar, tqdm, 1.0), (bare, pool, 1.3))
    return [
        at_most(f"{ours} / {theirs}", ratio(walls(taken[ours]), walls(taken[theirs])), limit)
        for ours, theirs, limit in limits
        if ours in taken and theirs in taken
    ]


def _processes(contenders: Sequence[Contender], taken: Samples) -> list[Verdict]:
    ours, *theirs = (one.name for one in contenders if one.name in taken)
    if not theirs:
        return []
    best = min(theirs, key=lambda name: statistics.median(walls(taken[name])))
    return [at_most(f"{ours} / the best of these: {best}", ratio(walls(taken[ours]), walls(taken[best])), 1.0)]


def _ideal(contenders: Sequence[Contender], taken: Samples) -> list[Verdict]:
    ours, _, plain = (one.name for one in contenders)
    return [at_most(f"{ours} / the ideal", ratio(walls(taken[ours]), walls(taken[plain])), 1.03)]


def _memory(contenders: Sequence[Contender], taken: Samples) -> list[Verdict]:
    many, few, rate, _ = (one.name for one in contenders)
    grown = [max(0, a.rss_bytes - b.rss_bytes) for a, b in zip(taken[many], taken[few], strict=True)]
    return [
        below_mb(f"peak RSS of {many}", [sample.rss_bytes for sample in taken[many]], 60),
        below_mb(f"more than that of {few} by", grown, 9),  # a byte for each further item would be this much
        below_s(f"{STARTS} starts, {RATE} a second: off by", walls(taken[rate]), 0.005),
    ]
