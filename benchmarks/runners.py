"""What the runners and the scheduler of `stepwave.parallel` cost, beside the plainest thing that does the same.

Each contender is a whole program, its start and its imports included. What one job costs is told without them: less the
same program without jobs, round by round.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Contender, Samples, race, ratio, walls
from benchmarks.table import Table, Verdict, at_most, below_s, times, verdicts

if TYPE_CHECKING:
    from benchmarks.comparisons import Setting

JOBS, PRIORITIES = 100_000, 1_000
SCRIPTS = 100
LIMIT_US = 15

JOBS_BY_SCHEDULER = f"""\
import asyncio
from stepwave.parallel import AsyncScheduler
async def nothing(): pass
scheduler = AsyncScheduler(max_concurrency=4)
for n in range({{jobs}}):
    scheduler.schedule(nothing, priority=n * 7919 % {PRIORITIES})
asyncio.run(scheduler.run_all())
assert scheduler.metrics.jobs_completed == {{jobs}}
"""
JOBS_BY_QUEUE = f"""\
import asyncio
async def nothing(): pass
async def main():
    queue = asyncio.PriorityQueue()
    for n in range({JOBS}):
        queue.put_nowait((n * 7919 % {PRIORITIES}, n, nothing))
    async def work():
        while not queue.empty():
            await queue.get_nowait()[2]()
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(work())
asyncio.run(main())
"""
JOBS_BY_GROUP = f"""\
import asyncio
async def nothing(): pass
async def main():
    places = asyncio.Semaphore(4)
    async def work(job):
        async with places:
            await job()
    async with asyncio.TaskGroup() as group:
        for _, job in sorted(((n * 7919 % {PRIORITIES}, nothing) for n in range({JOBS})), key=lambda pair: pair[0]):
            group.create_task(work(job))
asyncio.run(main())
"""
SCRIPTS_BY_RUNNER = f"""\
from stepwave.parallel import ParallelRunner
assert ParallelRunner(max_workers=2).run_scripts(["empty.py"] * {SCRIPTS}).passed == {SCRIPTS}
"""
SCRIPTS_BY_POOL = f"""\
import subprocess, sys
from concurrent.futures import {{pool}} as Pool
def run(path):
    return subprocess.run([sys.executable, path], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
if __name__ == "__main__":
    with Pool(2) as pool:
        assert all(done.returncode == 0 for done in pool.map(run, ["empty.py"] * {SCRIPTS}))
"""


def runners(setting: "Setting") -> list[Table]:
    """No-op jobs with priorities, and empty scripts."""
    folder = setting.folder / "runners"
    folder.mkdir(parents=True)
    (folder / "empty.py").write_text("")
    jobs = [
        _program(folder, "AsyncScheduler", JOBS_BY_SCHEDULER.format(jobs=JOBS)),
        _program(folder, "AsyncScheduler without jobs", JOBS_BY_SCHEDULER.format(jobs=0)),
        _program(folder, "PriorityQueue and 4 workers", JOBS_BY_QUEUE, "no record, no isolation of the jobs"),
        _program(folder, "TaskGroup and Semaphore", JOBS_BY_GROUP, "no record"),
    ]
    scripts = [
        _program(folder, "ParallelRunner", SCRIPTS_BY_RUNNER),
        _program(
            folder, "threads and subprocess", SCRIPTS_BY_POOL.format(pool="ThreadPoolExecutor"), "leaks processes"
        ),
        _program(
            folder, "processes and subprocess", SCRIPTS_BY_POOL.format(pool="ProcessPoolExecutor"), "leaks processes"
        ),
    ]
    taken = race([*jobs, *scripts], setting.rounds or 5, told=setting.told)
    return [
        times(f"{JOBS:,} no-op jobs with priorities, 4 at a time", jobs, taken),
        times(f"{SCRIPTS} empty scripts, 2 at a time", scripts, taken),
        verdicts("Runners: targets", _found(jobs, scripts, taken)),
    ]


def _program(folder: Path, name: str, text: str, remark: str = "") -> Contender:
    path = folder / f"{name.replace(' ', '-')}.py"
    path.write_text(text)
    return Contender(name, (sys.executable, str(path)), folder, remark=remark)


def _found(jobs: Sequence[Contender], scripts: Sequence[Contender], taken: Samples) -> list[Verdict]:
    found = []
    if all(one.name in taken for one in jobs[:2]):
        with_jobs, without = (walls(taken[one.name]) for one in jobs[:2])
        own = [a - b for a, b in zip(with_jobs, without, strict=True)]
        found.append(below_s(f"{JOBS:,} jobs, at {LIMIT_US} µs each", own, JOBS * LIMIT_US / 1e6))
    for mine, theirs in ((jobs[0], jobs[3]), (scripts[0], scripts[1])):
        if mine.name in taken and theirs.name in taken:
            what = f"{mine.name} / {theirs.name}"
            found.append(at_most(what, ratio(walls(taken[mine.name]), walls(taken[theirs.name])), 1.3))
    return found
