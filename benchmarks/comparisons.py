"""The comparisons of `make bench`. Each is one race, and everything that it says was measured in it."""

import hashlib
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peers
from benchmarks.graphs import Graph, layered
from benchmarks.measure import Contender, Samples, race, ratio, take, walls
from benchmarks.runners import runners
from benchmarks.scale_out import scale_out
from benchmarks.table import Table, Verdict, at_least_mb_s, at_most, below_mb, below_s, times, verdicts
from benchmarks.toolkit import toolkit

WIDTH = 2
LAYER = 50

TEN_STEPS = """\
name: Ten steps
version: 1.0.0
variables:
  target: build
parallel:
  defaultMaxConcurrency: 4
  resources:
    cpu: 2
    database: 1
steps:
  - {id: version, run: echo 1.2.3}
  - {id: fetch, command: echo, args: ["{{variables.target}}"], resource: cpu}
  - {id: configure, command: echo, args: ["{{steps.version.output}}"], dependsOn: [version, fetch]}
  - {id: compile, command: echo, args: [compile], dependsOn: [configure], resource: {cpu: 2}}
  - {id: migrate, command: echo, args: [migrate], dependsOn: [configure], resource: database}
  - {id: unit, command: echo, args: [unit], dependsOn: [compile], resource: cpu}
  - {id: integration, command: echo, args: [it], dependsOn: [compile, migrate], resource: [cpu, database]}
  - {id: lint, command: echo, args: [lint], dependsOn: [fetch], timeout: 60s}
  - {id: package, command: echo, args: ["{{steps.version.output}}"], dependsOn: [unit, integration, lint]}
  - {id: publish, command: echo, args: ["{{variables.target}}"], dependsOn: [package], retries: 2}
"""

EMPTY_TYPER = """\
import typer

app = typer.Typer()


@app.command()
def main() -> None:
    pass


if __name__ == "__main__":
    app()
"""

CHATTER = ("head", "-c", "1000000000", "/dev/zero")


@dataclass(frozen=True)
class Setting:
    """`rounds`: None for each comparison's own number. `folder`: where graphs and logs may be written."""

    folder: Path
    rounds: int | None
    told: Callable[[str], None]


def steps(setting: Setting) -> list[Table]:
    """1,000 steps of /bin/true in 20 layers of 50, two at a time, against every peer."""
    folder = setting.folder / "steps"
    graph = layered(20, LAYER)
    field, absent = _peers_with_remarks(graph, setting, peers.PEERS)
    own = peers.ours(graph, folder, WIDTH)
    in_yaml = peers.ours(graph, folder, WIDTH, yaml=True, name="stepwave YAML")._replace(remark="the same, in YAML")
    floors = [one._replace(remark="no graph, no logs") for one in peers.floors(len(graph), WIDTH, folder / "floor")]
    contenders = [own, in_yaml, *field, *floors]
    taken = race(contenders, setting.rounds or 15, told=setting.told)
    limits = {"ninja": 0.8, "make": 1.4}
    found = _against(own.name, limits, taken)
    title = f"1,000 steps of /bin/true, {WIDTH} at a time"
    return [times(title, contenders, taken, absent), verdicts("1,000 steps: targets", found)]


def _peers_with_remarks(
    graph: Graph, setting: Setting, wanted: Sequence[peers.Peer]
) -> tuple[list[Contender], list[str]]:
    field, absent = [], []
    for peer in wanted:
        one = peers.contender(peer, graph, setting.folder / "steps", WIDTH)
        if one is None:
            absent.append(peer.name)
        else:
            remark = peers.examined(peer, setting.folder / "proof", WIDTH)
            field.append(one._replace(remark=remark))
    return field, absent


def _against(own: str, limits: dict[str, float], taken: Samples) -> list[Verdict]:
    if not taken.get(own):
        return []
    return [
        at_most(f"{own} / {name}", ratio(walls(taken[own]), walls(taken[name])), limit)
        for name, limit in limits.items()
        if taken.get(name)
    ]


def many(setting: Setting) -> list[Table]:
    """10,000 steps: does a step cost more when there are more of them, and does the runner's memory stay small?"""
    folder = setting.folder / "many"
    graph = layered(200, LAYER)
    small = peers.ours(layered(20, LAYER), folder, WIDTH, name="stepwave 1,000")
    large = peers.ours(graph, folder, WIDTH, name="stepwave 10,000")
    single = peers.ours(layered(1, 1), folder, WIDTH, name="stepwave 1")
    field = []
    for peer in peers.PEERS[:2]:  # ninja and make; the others take minutes
        one = peers.contender(peer, graph, folder, WIDTH)
        if one is not None:
            field.append(one._replace(name=f"{peer.name} 10,000"))
    contenders = [single, small, large, *field]
    taken = race(contenders, setting.rounds or 3, warm_up=False, told=setting.told)
    found = _growth(single.name, small.name, large.name, taken)
    found += _against(large.name, {"make 10,000": 1.4, "ninja 10,000": 0.8}, taken)
    title = f"10,000 steps of /bin/true, {WIDTH} at a time"
    return [times(title, contenders, taken), verdicts("10,000 steps: targets", found)]


def _growth(single: str, small: str, large: str, taken: Samples) -> list[Verdict]:
    if not (taken.get(single) and taken.get(small) and taken.get(large)):
        return []
    one, thousand, ten = (walls(taken[name]) for name in (single, small, large))
    whole = ratio([wall / 10_000 for wall in ten], [wall / 1_000 for wall in thousand])
    # Start-up is spread over more steps in the larger run, which flatters it: the same without start-up.
    bare = ratio(
        [(wall - start) / 9_999 for wall, start in zip(ten, one, strict=True)],
        [(wall - start) / 999 for wall, start in zip(thousand, one, strict=True)],
    )
    return [
        at_most("a step of 10,000 / a step of 1,000", whole, 1.3),
        at_most("the same, start-up taken off both", bare, 1.3),
        below_mb("peak RSS of 10,000 steps", [sample.rss_bytes for sample in taken[large]], 80),
    ]


def start(setting: Setting) -> list[Table]:
    """How long until the command answers, against an empty Typer app and an empty Python."""
    folder = setting.folder / "start"
    folder.mkdir(parents=True)
    (folder / "ten.yaml").write_text(TEN_STEPS)
    (folder / "empty.py").write_text(EMPTY_TYPER)
    (folder / "one.yaml").write_text("steps: [{id: one, command: /bin/true}]\n")
    own = str(peers.STEPWAVE)
    version = Contender("stepwave --version", (own, "--version"), folder)
    check = Contender("stepwave validate", (own, "validate", "ten.yaml"), folder, remark="ten steps, YAML")
    typer = Contender("empty Typer app", (sys.executable, "empty.py"), folder)
    bare = Contender("empty Python", (sys.executable, "-c", "pass"), folder)
    single = Contender("stepwave run", (own, "run", "one.yaml"), folder, (".stepwave",), remark="one step, /bin/true")
    contenders = [version, check, single, typer, bare]
    taken = race(contenders, setting.rounds or 21, told=setting.told)
    found = []
    for contender, limit in ((version, 1.3), (check, 2.0)):
        found += _against(contender.name, {typer.name: limit}, taken)
    if taken.get(single.name) and taken.get(typer.name):
        pairs = zip(walls(taken[single.name]), walls(taken[typer.name]), strict=True)
        found.append(below_s(f"{single.name} - {typer.name}", [one - other for one, other in pairs], 0.06))
    return [times("Start-up", contenders, taken), verdicts("Start-up: targets", found)]


def output(setting: Setting) -> list[Table]:
    """A step that prints 1 GB, against the same command with a file as its standard output."""
    folder = setting.folder / "output"
    folder.mkdir(parents=True)
    need = 4_000_000_000
    if shutil.disk_usage(folder).free < need:
        setting.told(f"output: left out, less than {need // 10**9} GB free for temporary files (TMPDIR)")
        return []
    (folder / "chatter.yaml").write_text(
        f"name: chatter\nversion: 1.0.0\nsteps:\n  - id: chatter\n    command: {CHATTER[0]}\n"
        f"    args: [{', '.join(CHATTER[1:])}]\n"
    )
    own = Contender("stepwave", (str(peers.STEPWAVE), "run", "chatter.yaml"), folder, (".stepwave", "direct"))
    direct = Contender(
        "sh -c 'CMD > file'", ("/bin/sh", "-c", f"{' '.join(CHATTER)} > direct"), folder, (".stepwave", "direct")
    )
    taken = race([own, direct], setting.rounds or 7, told=setting.told)
    found = _against(own.name, {direct.name: 1.5}, taken)
    if taken.get(own.name):
        found.append(below_mb("peak RSS", [sample.rss_bytes for sample in taken[own.name]], 60))
    title = f"A step that prints 1 GB (CMD: {' '.join(CHATTER)})"
    return [times(title, [own, direct], taken), verdicts("1 GB of output: targets", found)]


def masking(setting: Setting) -> list[Table]:
    """A step that prints 256 MB of text, in which there is no secret, with five secrets and without."""
    folder = setting.folder / "masking"
    folder.mkdir(parents=True)
    lines = "".join(
        f"2026-03-01T10:15:{n % 60:02} INFO [{n:08}] GET /api/v1/items/{n * 7919} took {n % 997} ms\n"
        for n in range(50_000)
    )
    (folder / "lines.txt").write_text(lines * (256_000_000 // len(lines) + 1))
    step = "steps: [{id: chatter, command: cat, args: [lines.txt]}]\n"
    declared = ", ".join(f"S{n}: {{command: [echo, {_secret(n)}]}}" for n in range(5))
    (folder / "without.yaml").write_text(f"name: without\n{step}")
    (folder / "with.yaml").write_text(f"name: with\nsecrets: {{{declared}}}\n{step}")
    masked, plain = (
        Contender(name, (str(peers.STEPWAVE), "run", f"{file}.yaml"), folder, (".stepwave",))
        for name, file in (("five secrets", "with"), ("no secrets", "without"))
    )
    taken = race([masked, plain], setting.rounds or 5, told=setting.told)
    title = "A step that prints 256 MB of log lines"
    walls_s = [sample.wall_s for sample in taken.get(masked.name, [])]
    found = [at_least_mb_s("throughput with five secrets", 256.0, walls_s, 100)] if walls_s else []
    return [times(title, [masked, plain], taken), verdicts("Masking: target", found)]


def _secret(number: int) -> str:
    """20 to 44 characters, as tokens have."""
    return hashlib.sha256(str(number).encode()).hexdigest()[: 20 + 6 * number]


def reuse(setting: Setting) -> list[Table]:
    """10,000 steps, each with an input and an output, of which nothing has changed; against make in the same folder."""
    folder, count = setting.folder / "reuse", 10_000
    for name in ("in", "out"):
        (folder / name).mkdir(parents=True)
    for n in range(count):
        (folder / "in" / str(n)).write_text(str(n))
        (folder / "out" / str(n)).write_text(str(n))
    steps = [
        {"id": f"s{n}", "command": "/bin/true", "inputs": [f"in/{n}"], "outputs": [f"out/{n}"]} for n in range(count)
    ]
    (folder / "reuse.json").write_text(json.dumps({"name": "reuse", "version": "1.0.0", "steps": steps}))
    rules = "".join(f"out/{n}: in/{n}\n\t@/bin/true\n" for n in range(count))
    (folder / "Makefile").write_text(f"all: {' '.join(f'out/{n}' for n in range(count))}\n{rules}")
    own = Contender("stepwave", (str(peers.STEPWAVE), "run", "--quiet", "reuse.json"), folder)
    contenders = [own]
    if make := shutil.which("make"):
        contenders.append(Contender("make", (make, "--quiet"), folder, remark="by time stamps"))
    setting.told("reuse: a first run, which is not measured")
    take(own)
    taken = race(contenders, setting.rounds or 7, told=setting.told)
    found = [below_s("10,000 reused steps", walls(taken[own.name]), 1.5)] if taken.get(own.name) else []
    title = "10,000 steps of which nothing has changed"
    return [times(title, contenders, taken), verdicts("Reuse: target", found)]


def ledger(setting: Setting) -> list[Table]:
    """What a record costs: 1,000 steps with and without, and with one that waits for the disk; and a run more where
    1,000 are recorded already."""
    folder = setting.folder / "ledger"
    recorded = peers.ours(layered(20, LAYER), folder, WIDTH, name="with a ledger")
    bare = peers.ours(layered(20, LAYER), folder, WIDTH, name="--no-ledger")
    bare = bare._replace(argv=(*bare.argv, "--no-ledger"))
    durable = peers.ours(layered(20, LAYER), folder, WIDTH, name="--durable")
    durable = durable._replace(argv=(*durable.argv, "--durable"), remark="survives a loss of power")
    first = peers.ours(layered(2, LAYER), folder, WIDTH, name="the first run")
    later = peers.ours(layered(2, LAYER), folder, WIDTH, name="after 1,000 runs")._replace(litter=())
    take(later)
    multiply_runs(later.folder / ".stepwave" / "ledger.db", 1000)
    for _ in range(24):
        take(later)
    contenders = [recorded, bare, durable, first, later]
    taken = race(contenders, setting.rounds or 15, told=setting.told)
    found = _against(recorded.name, {bare.name: 1.1}, taken) + _against(later.name, {first.name: 1.1}, taken)
    return [times("What a record costs", contenders, taken), verdicts("Ledger: targets", found)]


def multiply_runs(path: Path, count: int) -> None:
    """Copy the one run of a ledger until there are `count`, each with all its rows."""
    with closing(sqlite3.connect(path)) as db:
        for table in ("runs", "steps", "attempts", "events"):
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            changed = {"no": "no + n", "id": "printf('%s-%d', id, n)" if table == "runs" else "id", "place": _place}
            copied = ", ".join(changed.get(name, name) for name in names)
            for n in range(1, count):
                db.execute(
                    f"INSERT INTO {table} SELECT {copied} FROM {table}, (SELECT ? AS n) WHERE {_of[table]}", (n,)
                )
        db.commit()


_place = "place + (n << 32)"
_of = {"runs": "no = 1"} | dict.fromkeys(("steps", "attempts", "events"), "place < 2 << 32")


Comparison = Callable[[Setting], list[Table]]
ALL: dict[str, Comparison] = {
    "start": start,
    "steps": steps,
    "many": many,
    "ledger": ledger,
    "output": output,
    "masking": masking,
    "reuse": reuse,
    "runners": runners,
    "toolkit": toolkit,
    "scale-out": scale_out,
}


def machine() -> Table:
    """What the figures were measured on; nothing that names the machine."""
    system = os.uname()
    kernel = ".".join(system.release.split("-")[0].split(".")[:2])
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rows = [
        ("CPUs", str(cpus)),
        ("system", f"{system.sysname} {kernel}, {system.machine}"),
        ("Python", sys.version.split()[0]),
    ]
    rows += [(peer.name, peers.version(peer) or "not here") for peer in peers.PEERS]
    return Table("Measured on", ("", ""), tuple(rows))
