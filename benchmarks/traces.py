"""Task graphs with the times that their tasks took: recorded ones in the WfFormat of WfCommons, and generated ones of
the same shapes.

The recorded ones are not part of this repository; they lie beside it where somebody put them. The generated ones follow
the descriptions in S. Bharathi et al., "Characterization of Scientific Workflows", WORKS 2008: the same stages, with
widths and times that a seed decides.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "wfinstances"


class Work(NamedTuple):
    """A task; `needs` are all before it in its trace."""

    id: str
    seconds: float
    needs: tuple[str, ...]


Trace = tuple[Work, ...]


def recorded(folder: Path = FOLDER) -> dict[str, Trace]:
    """Those that are there, by the first word of their file."""
    return {path.stem.partition("-")[0]: read(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def read(text: str) -> Trace:
    """WfFormat 1.5 has the graph in `specification` and the times in `execution`; older files have both in one list."""
    workflow = json.loads(text)["workflow"]
    if "specification" in workflow:
        graph = workflow["specification"]["tasks"]
        times = {task["id"]: task["runtimeInSeconds"] for task in workflow["execution"]["tasks"]}
    else:
        graph = workflow["tasks"]
        times = {_id(task): task.get("runtimeInSeconds", task.get("runtime", 0.0)) for task in graph}
    return _sorted({_id(task): Work(_id(task), float(times[_id(task)]), tuple(task["parents"])) for task in graph})


def _id(task: Mapping[str, Any]) -> str:
    return str(task["id"] if "id" in task else task["name"])


def _sorted(works: Mapping[str, Work]) -> Trace:
    """By depth, and among equals as they stood: so a file that is written from it is in a plausible order."""
    depth: dict[str, int] = {}
    left = list(works.values())
    while left:
        known = [work for work in left if all(need in depth for need in work.needs)]
        if not known:
            raise ValueError("the tasks need each other in a circle")
        for work in known:
            depth[work.id] = 1 + max((depth[need] for need in work.needs), default=-1)
        left = [work for work in left if work.id not in depth]
    return tuple(sorted(works.values(), key=lambda work: depth[work.id]))


# --- generated -----------------------------------------------------------------------------------------


def montage(seed: int = 1, images: int = 40) -> Trace:
    """Project every image, fit each pair that overlaps, one model of the background for all, correct each, add up."""
    draw = random.Random(seed)
    works = [Work(f"project{n}", draw.uniform(8, 18), ()) for n in range(images)]
    pairs = [(a, b) for a in range(images) for b in range(a + 1, min(a + 4, images))]
    works += [Work(f"diff{a}_{b}", draw.uniform(0.5, 2), (f"project{a}", f"project{b}")) for a, b in pairs]
    works.append(Work("concat", draw.uniform(5, 10), tuple(f"diff{a}_{b}" for a, b in pairs)))
    works.append(Work("model", draw.uniform(20, 40), ("concat",)))
    works += [Work(f"background{n}", draw.uniform(1, 4), (f"project{n}", "model")) for n in range(images)]
    works.append(Work("table", 3.0, tuple(f"background{n}" for n in range(images))))
    works += [
        Work("add", draw.uniform(30, 60), ("table",)),
        Work("shrink", 10.0, ("add",)),
        Work("jpeg", 2.0, ("shrink",)),
    ]
    return tuple(works)


def epigenomics(seed: int = 1, lanes: int = 3, chunks: int = 12) -> Trace:
    """Lanes of chunks; each chunk goes through a chain of its own, of which the mapping takes nearly all the time."""
    draw = random.Random(seed)
    works: list[Work] = []
    for lane in range(lanes):
        works.append(Work(f"split{lane}", draw.uniform(10, 40), ()))
        for n in range(draw.randint(chunks // 2, chunks)):
            name, before = f"{lane}_{n}", f"split{lane}"
            for stage, low, high in (("filter", 1, 5), ("sol", 0.5, 1), ("bfq", 0.5, 1), ("map", 40, 240)):
                works.append(Work(f"{stage}{name}", draw.uniform(low, high), (before,)))
                before = f"{stage}{name}"
        maps = tuple(work.id for work in works if work.id.startswith(f"map{lane}_"))
        works.append(Work(f"merge{lane}", draw.uniform(10, 30), maps))
    works.append(Work("mergeall", 40.0, tuple(f"merge{lane}" for lane in range(lanes))))
    return (*works, Work("index", 30.0, ("mergeall",)), Work("pileup", 50.0, ("index",)))


def genomes(seed: int = 1, chromosomes: int = 5, parts: int = 10, populations: int = 4) -> Trace:
    """1000Genome: of each chromosome the individuals in parts, merged, and a sifting beside them; then for each
    population two analyses, of which one takes far longer than anything else."""
    draw = random.Random(seed)
    works: list[Work] = []
    for c in range(chromosomes):
        works += [Work(f"individuals{c}_{n}", draw.uniform(60, 120), ()) for n in range(parts)]
        works.append(Work(f"merge{c}", draw.uniform(30, 50), tuple(f"individuals{c}_{n}" for n in range(parts))))
        works.append(Work(f"sifting{c}", draw.uniform(10, 30), ()))
        both = (f"merge{c}", f"sifting{c}")
        for p in range(populations):
            works.append(Work(f"overlap{c}_{p}", draw.uniform(20, 60), both))
            works.append(Work(f"frequency{c}_{p}", draw.uniform(100, 300), both))
    return tuple(works)


SHAPES: Mapping[str, Callable[[], Trace]] = {
    "montage-shaped": montage, "epigenomics-shaped": epigenomics, "1000genome-shaped": genomes,
}  # fmt: skip


def all_traces() -> dict[str, Trace]:
    """The recorded ones; where there are none, generated ones stand in."""
    return recorded() or {name: make() for name, make in SHAPES.items()}


# --- what they could take ------------------------------------------------------------------------------


def longest(trace: Trace) -> dict[str, float]:
    """From the start of each task to the end of all that hang on it."""
    after: dict[str, list[str]] = {work.id: [] for work in trace}
    for work in trace:
        for need in work.needs:
            after[need].append(work.id)
    left_s: dict[str, float] = {}
    for work in reversed(trace):
        left_s[work.id] = work.seconds + max((left_s[other] for other in after[work.id]), default=0.0)
    return left_s


def bound_s(trace: Trace, slots: int) -> float:
    """No schedule takes less: the longest chain, or all work on all slots."""
    return max(*longest(trace).values(), sum(work.seconds for work in trace) / slots)


def listed_s(trace: Trace, slots: int) -> float:
    """The makespan of exact list scheduling, the longest path first. Written apart from stepwave's own scheduler, which
    is measured by it."""
    left_s, waits = longest(trace), {work.id: len(work.needs) for work in trace}
    work_of = {work.id: work for work in trace}
    after: dict[str, list[str]] = {work.id: [] for work in trace}
    for work in trace:
        for need in work.needs:
            after[need].append(work.id)
    ready = [work.id for work in trace if not work.needs]
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        ready.sort(key=lambda id: -left_s[id])
        while ready and len(running) < slots:
            id = ready.pop(0)
            running.append((now + work_of[id].seconds, id))
        running.sort()
        now, ended = running.pop(0)
        for id in after[ended]:
            waits[id] -= 1
            if not waits[id]:
                ready.append(id)
    return now


def scaled(trace: Trace, slots: int, target_s: float) -> Trace:
    """With times that make its bound `target_s`; times in whole milliseconds, as a command line can say them."""
    factor = target_s / bound_s(trace, slots)
    return tuple(work._replace(seconds=round(work.seconds * factor, 3)) for work in trace)


def named(traces: Mapping[str, Trace], only: Sequence[str]) -> Iterator[tuple[str, Trace]]:
    """Those that were asked for; all of them where nothing was."""
    yield from ((name, trace) for name, trace in traces.items() if not only or name in only)
