"""`plan`, `simulate` and `run --order`: whole output."""

import json
import re
from pathlib import Path

import pytest

from stepwave.core.running.fingerprint import definitions, print_of
from stepwave.edge.ledger.connect import open_ledger
from tests.cli.invoke import Ended, flow, normal, say, stepwave

FLOW = """
    name: Site
    version: 1.0.0
    parallel: {defaultMaxConcurrency: 2, resources: {db: 2}}
    steps:
      - {id: fetch, run: 'echo fetch >> order'}
      - {id: lint, run: 'echo lint >> order', resource: {db: 2}}
      - {id: build, run: 'echo build >> order', dependsOn: fetch, estimate: 40s}
      - {id: pack, run: 'echo pack >> order', dependsOn: [build, lint], resource: db}
"""


def teach(folder: Path, file: str = "flow.yaml", **seconds: float) -> None:
    """What earlier runs would have left behind, without the waiting."""
    from stepwave import api

    loaded = api.load(folder / file)
    assert loaded.workflow is not None
    (folder / ".stepwave").mkdir(exist_ok=True)
    ledger = open_ledger(folder / ".stepwave" / "ledger.db")
    prints = {id: print_of(parts) for id, parts in definitions(loaded.workflow).items()}
    for id, duration_s in seconds.items():
        row = (str((folder / file).resolve()), id, prints[id], 7, duration_s, 1.0, 0.5, 1 << 20, 1000.0)
        ledger.db.execute("INSERT OR REPLACE INTO learned VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    ledger.close()


def fine(*words: str, folder: Path, **env: str) -> str:
    ended = stepwave(*words, cwd=folder, env={"COLUMNS": "80", **env})
    assert (ended.code, ended.err) == (0, ""), ended.err
    return ended.out


def order_of(folder: Path, *words: str) -> list[str]:
    (folder / "order").unlink(missing_ok=True)
    ended = stepwave("run", "flow.yaml", "-q", *words, cwd=folder)
    assert ended.code == 0, ended.err
    return (folder / "order").read_text().split()


# --- plan ----------------------------------------------------------------------------------------------


def test_a_plan_before_the_first_run(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    assert fine("plan", "flow.yaml", folder=tmp_path) == say("""
        Site: 42.0s expected (4 steps, 2 slots)
          lower bound 42.0s (critical path 42.0s, 2 slots 21.5s)

        Step   Slot  Start    End   Time  From
        fetch     1    0ms   1.0s   1.0s  guess     ━
        lint      2    0ms   1.0s   1.0s  guess     ━
        build     1   1.0s  41.0s  40.0s  estimate  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
        pack      1  41.0s  42.0s   1.0s  guess                                        ━

        Of 3 steps nothing is known yet: 1s each is a guess. A run will tell.
    """)
    assert not (tmp_path / ".stepwave").exists(), "it leaves nothing behind"


def test_a_plan_from_what_was_learned(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    teach(tmp_path, fetch=10.0, lint=30.0, build=20.0, pack=5.0)
    assert fine("plan", "flow.yaml", "-j1", folder=tmp_path, LANG="C") == say("""
        Site: 1m 05s expected (4 steps, 1 slot)
          lower bound 1m 05s (critical path 35.0s, 1 slot 1m 05s)

        Step   Slot   Start     End   Time  From
        fetch     1     0ms   10.0s  10.0s  7 runs  ######
        lint      1   10.0s   40.0s  30.0s  7 runs       #################
        build     1   40.0s  1m 00s  20.0s  7 runs                        ###########
        pack      1  1m 00s  1m 05s   5.0s  7 runs                                   ###
    """)
    document = json.loads(fine("plan", "flow.yaml", "--json", "--order", "file", folder=tmp_path))
    assert (document["order"], document["makespan"], document["lowerBound"]["seconds"]) == ("file", 35.0, 35.0)
    assert [(one["id"], one["start"], one["slot"]) for one in document["steps"]] == [
        ("fetch", 0.0, 1),
        ("lint", 0.0, 2),
        ("build", 10.0, 1),
        ("pack", 30.0, 1),
    ]
    assert document["steps"][0]["peakMemoryBytes"] == 1 << 20


def test_a_real_run_teaches_the_plan(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    order_of(tmp_path)
    shown = fine("plan", "flow.yaml", folder=tmp_path)
    assert len(re.findall(r"  1 run\b", shown)) == 4
    assert "guess" not in shown and "estimate" not in shown
    document = json.loads(fine("plan", "flow.yaml", "--json", folder=tmp_path))
    assert all(one["from"] == "learned" and one["runs"] == 1 and one["duration"] > 0 for one in document["steps"])


def test_a_plan_of_what_cannot_be_run(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, run: date, dependsOn: b}]")
    ended = stepwave("plan", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "error[unknown-step]" in ended.err


# --- simulate ------------------------------------------------------------------------------------------


def test_other_limits_for_a_file(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    teach(tmp_path, fetch=10.0, lint=30.0, build=20.0, pack=5.0)
    assert fine("simulate", "flow.yaml", "-j1", "-j4", "--resource", "db=4", folder=tmp_path) == say("""
        Site: expected times, 2 at a time

                     Takes          Lower bound  Bound by       Busy
        simulated    35.0s                35.0s  critical path  slots 93%, db 93%
        -j 1, db=4  1m 05s  1.86 x       1m 05s  slots          slots 100%, db 25%
        -j 4, db=4   35.0s  1.00 x        35.0s  critical path  slots 46%, db 46%
    """)


def test_a_run_is_simulated_as_it_was_and_otherwise(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    order_of(tmp_path)
    (shown,) = {
        re.sub(
            r"\d+%|critical path|slots(?=  slots)",
            "<n>",
            normal(re.sub(r"\d\.\d\d x", "", fine("simulate", *words, folder=tmp_path))),
        )
        for words in ((), ("latest",), ("Site",))
    }
    assert re.sub(r" +", " ", shown) == say("""
        Site: run <run>, 2 at a time

         Takes Lower bound Bound by Busy
        as recorded <t> <t> <n> slots <n>, db <n>
        simulated <t> <t> <n> slots <n>, db <n>
    """)
    document = json.loads(fine("simulate", "--json", "-j", "8", folder=tmp_path))
    assert [trial["name"] for trial in document["trials"]] == ["as recorded", "simulated", "-j 8"]
    recorded, again, wide = (trial["makespan"] for trial in document["trials"])
    assert 0 < wide <= again <= recorded
    assert document["steps"] == 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["-j", "auto", "--order", "fifo", "--resource", "db=0"],
            ["bad-option", "bad-option"],
        ),
        (["--resource", "db=0", "--resource", "dbs=1"], ["bad-option", "unknown-resource"]),
        (["--resource", "db=1"], ["cannot-simulate"]),
    ],
)
def test_what_cannot_be_simulated(words: list[str], told: list[str], tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    ended = stepwave("simulate", "flow.yaml", *words, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert re.findall(r"error\[([\w-]+)\]", ended.err) == told


def test_no_run_to_simulate(tmp_path: Path) -> None:
    ended = stepwave("simulate", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error[no-such-run]: no run is recorded here yet\n")


# --- run --order ---------------------------------------------------------------------------------------


def test_the_second_run_starts_with_what_takes_longest(tmp_path: Path) -> None:
    flow(tmp_path, FLOW.replace(", estimate: 40s", ""))
    assert order_of(tmp_path, "-j1") == ["fetch", "lint", "build", "pack"]
    teach(tmp_path, fetch=1.0, lint=30.0, build=1.0, pack=1.0)
    assert order_of(tmp_path, "-j1") == ["lint", "fetch", "build", "pack"]
    teach(tmp_path, fetch=1.0, lint=30.0, build=1.0, pack=1.0)
    assert order_of(tmp_path, "-j1", "--order", "file") == ["fetch", "lint", "build", "pack"]
    assert order_of(tmp_path, "-j1", "--no-ledger") == ["fetch", "lint", "build", "pack"]


def test_a_shuffled_run_can_be_repeated(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    orders = [order_of(tmp_path, "-j1", f"--order=shuffle:{seed}") for seed in (1, 2, 1)]
    assert orders[0] == orders[2]
    assert orders[0] != orders[1]


def test_an_order_that_is_none(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    ended = stepwave("run", "flow.yaml", "--order", "random", cwd=tmp_path)
    assert ended == Ended(
        2,
        "",
        "error[bad-option]: `--order random` is no order of steps\n --> command line\n"
        "  = help: it is one of critical-path, file, shuffle:SEED\n\n1 error on the command line\n",
    )
