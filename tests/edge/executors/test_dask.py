"""`--executor dask…` on a command line, against a real scheduler and real workers: what is lost, stopped, refused."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from stepwave.core.events import Launch
from stepwave.core.job import Around, Job
from stepwave.core.model import Limits
from stepwave.edge.local import afar
from tests.conftest import ROOT
from tests.edge.executors.cluster import LONG, Cluster, wait_until
from tests.edge.executors.test_contract import Bench, is_alive

SEEDS = ROOT / "../shared/data/workflows/seeds"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="process trees are followed through /proc")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "stepwave", "run", *words]


def run(folder: Path, *words: str, env: Mapping[str, str] = os.environ) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*words), cwd=folder, env=dict(env), capture_output=True, text=True, timeout=LONG, check=False
    )


@contextmanager
def started(folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Beside the test, in a session of its own; killed if it is still there."""
    process = subprocess.Popen(
        command(*words), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def write(folder: Path, text: str) -> None:
    (folder / "w.yaml").write_text(text)


def pid_in(file: Path) -> int:
    wait_until(lambda: file.exists() and file.read_text().strip(), f"{file.name} is written")
    return int(file.read_text())


def comparable(document: Any) -> Any:
    """The result document without what differs from one run to the next: times, process ids, ids and paths of runs."""
    if isinstance(document, list):
        return [comparable(one) for one in document]
    if not isinstance(document, dict):
        return document
    return {name: comparable(value) for name, value in document.items() if not varies(name, value)}


def varies(name: str, value: object) -> bool:
    if re.search(
        "(?i)time|duration|pid|seconds|memory|rss|concurren|saved|speed|path|At$|Ms$|usage|parallelStats", name
    ):
        return not isinstance(value, bool)
    return name in ("run", "runId", "folder", "log", "queued") or isinstance(value, float)


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the collected files are not here")
@pytest.mark.parametrize("name", ["seed001-block02-line45.yaml", "seed001-block06-line247.yaml"])
def test_published_examples_bring_the_same_result_document(name: str, cluster: Cluster, tmp_path: Path) -> None:
    """What they call says what it was asked, and does nothing."""
    (tmp_path / "bin").mkdir()
    text = (SEEDS / name).read_text().expandtabs(2)
    for script in ("bin/npm", *re.findall(r"\./([\w-]+\.sh)", text)):
        (tmp_path / script).write_text('#!/bin/sh\necho "$0 $*"\n')
        (tmp_path / script).chmod(0o755)
    write(tmp_path, text)
    env = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    words = ("w.yaml", "--json", "-q", "--force")
    here = run(tmp_path, *words, env=env)
    there = run(tmp_path, *words, "--executor", cluster.executor, env=env)
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    assert comparable(json.loads(there.stdout)) == comparable(json.loads(here.stdout))


PIPELINE = """
name: pipeline
resources: {cpu: 4, memory: 8}
steps:
  - {id: fetch, run: 'echo one; echo two', resources: {cpu: 1}}
  - {id: parse, run: 'wc -l', stdin: '{{steps.fetch.output}}', needs: [fetch], resources: {cpu: 2, memory: 2}}
  - {id: check, run: 'test -n x', needs: [fetch], resources: {cpu: 1}}
  - {id: lint, run: 'echo bad >&2; exit 3', needs: [fetch], continue_on_error: true}
  - {id: report, run: 'echo "{{steps.parse.output}} lines"', needs: [parse, check, lint]}
"""


def test_a_run_brings_the_same_result_document_as_on_this_machine(cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, PIPELINE)
    here = run(tmp_path, "w.yaml", "--json", "-q", "--force")
    there = run(tmp_path, "w.yaml", "--json", "-q", "--force", "--executor", cluster.executor)
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert comparable(json.loads(there.stdout)) == comparable(json.loads(here.stdout))


def test_what_steps_hand_on_conditions_functions_and_retries_work_there(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("def double(n): return {'twice': 2 * n}\n")
    write(
        tmp_path,
        """
steps:
  - {id: one, run: "echo '{\\"n\\": 4}'"}
  - {id: twice, type: function, function: "tools:double", params: {n: 21}}
  - {id: shaky, run: 'test -e again || { touch again; exit 1; }', retry: {max_attempts: 2, delay: 0}}
  - {id: said, run: 'echo {{steps.one.output.n}} {{steps.twice.output.twice}}', needs: [one, twice, shaky]}
  - {id: silent, run: 'exit 1', if: '{{steps.one.output.n}} > 5', needs: [one]}
""",
    )
    done = run(tmp_path, "w.yaml", "--json", "--executor", cluster.executor)
    assert done.returncode == 0, done.stderr
    assert "4 42" in done.stdout


def test_a_worker_killed_in_the_middle_of_a_run_costs_nothing_but_time(cluster: Cluster, tmp_path: Path) -> None:
    """Only a worker that has `odd` can do the step: the second one is started once the first is dead."""
    worker = cluster.add_worker("--resources", "odd=1")
    cluster.await_workers()
    write(
        tmp_path,
        """
resources: {odd: 1}
steps:
  - {id: before, run: 'echo done'}
  - {id: hit, resources: {odd: 1}, run: 'echo $$ > $$.pid; test -e second || { touch second; exec sleep 1000; }'}
  - {id: after, run: 'echo done', needs: [hit]}
""",
    )
    with started(tmp_path, "w.yaml", "--executor", cluster.executor) as process:
        wait_until((tmp_path / "second").exists, "the step has begun")
        victim = int(next(tmp_path.glob("*.pid")).stem)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        wait_until(lambda: not is_alive(victim), "what the worker ran is gone with it")
        other = cluster.add_worker("--resources", "odd=1")
        out, err = process.communicate(timeout=LONG)
        other.kill()
        other.wait()
    assert process.returncode == 0, out + err
    assert "its Dask worker was lost (tcp://127.0.0.1:" in out + err
    assert len(list(tmp_path.glob("*.pid"))) == 2


@pytest.fixture(scope="module")
def bench(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with ExitStack() as closing:
        yield Bench(tmp_path_factory.mktemp("run"), cluster.executor, closing)


def test_the_time_of_a_step_counts_from_when_it_begins_on_a_worker(bench: Bench) -> None:
    """Five on four threads: each is said to wait, and four to have begun; the last when the others have ended."""
    started = [bench.shell(f"while [ ! -e gate{n} ]; do sleep 0.05; done") for n in range(5)]
    bench.until(lambda: len(bench.begun) == 4, "four have begun")
    assert bench.held == started
    (waits,) = {*started} - {*bench.begun}
    for n, id in enumerate(started):
        if id != waits:
            (bench.folder / f"gate{n}").touch()
    bench.until(lambda: waits in bench.begun, "the last has begun")
    (bench.folder / f"gate{started.index(waits)}").touch()
    assert [bench.end(id).code for id in started] == [0] * 5


def test_ctrl_c_leaves_no_process(cluster: Cluster, tmp_path: Path) -> None:
    write(
        tmp_path, "steps: [{id: long, run: 'echo $$ > pid; exec sleep 1000'}, {id: more, run: 'true', needs: [long]}]"
    )
    with started(tmp_path, "w.yaml", "--executor", cluster.executor) as process:
        pid = pid_in(tmp_path / "pid")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LONG)
    assert process.returncode == 130, out + err
    assert not is_alive(pid)


def test_when_the_runner_is_killed_the_workers_kill_what_it_had_there(cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, "steps: [{id: long, run: 'echo $$ > pid; exec sleep 1000'}]")
    with started(tmp_path, "w.yaml", "--executor", cluster.executor) as process:
        pid = pid_in(tmp_path / "pid")
        process.kill()
        wait_until(lambda: not is_alive(pid), "the step is gone")


def test_a_worker_that_does_not_see_the_folder_brings_the_log(tmp_path: Path) -> None:
    around = Around("", "/nowhere", "token", "proof", dict(os.environ))
    argv = ("/bin/sh", "-c", "seq 5; echo err >&2")
    launch = Launch("s", 1, argv, str(tmp_path), {}, None, Limits(), "logs/1-s.log", keep_output=True)
    try:
        brought = afar.carry_out(Job("key", launch, pickle.dumps(around)))
    finally:
        afar.end()
    assert dict(brought.files)["logs/1-s.out"] == b"1\n2\n3\n4\n5\n"
    assert dict(brought.files)["logs/1-s.err"] == b"err\n"
    assert brought.end.code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--executor", "dusk"], "bad-option"),
        (["--executor", "dask://"], "bad-option"),
        (["--executor", "python:nothing"], "bad-option"),
        (["--executor", "dask://127.0.0.1:1"], "executor-unavailable"),
        (["--executor", "python:no_such_module:pool"], "executor-unavailable"),
        (["--executor", "python:tests.edge.executors.pools:nothing"], "executor-unavailable"),
    ],
)
def test_what_is_no_engine_is_refused_before_anything_runs(words: list[str], told: str, tmp_path: Path) -> None:
    write(tmp_path, "steps: [{id: a, run: 'touch ran'}]")
    done = run(tmp_path, "w.yaml", *words, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 2, done.stderr
    assert f"[{told}]" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_more_units_than_any_worker_has_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, "resources: {rare: 2}\nsteps: [{id: a, run: 'touch ran', resources: {rare: 2}}]")
    done = run(tmp_path, "w.yaml", "--executor", cluster.executor)
    assert done.returncode == 2, done.stderr
    assert "step `a` needs 2 of `rare`, and no worker of" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_cluster_of_its_own_lives_as_long_as_the_run(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="it is in the extra `dask`")
    write(tmp_path, "steps: [{id: a, run: 'echo $PPID > pid'}, {id: b, run: 'echo b', needs: [a]}]")
    done = run(tmp_path, "w.yaml", "-j", "1", env={**os.environ, "STEPWAVE_EXECUTOR": "dask"})
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not is_alive(int((tmp_path / "pid").read_text())), "what it was started below is gone")


@pytest.mark.skipif("STEPWAVE_SCALE_OUT" not in os.environ, reason="takes a minute: make scale-out")
def test_a_thousand_steps_bring_the_same_result_document(cluster: Cluster, tmp_path: Path) -> None:
    steps = [
        {"id": f"s{n}", "run": f"echo {n}", "dependsOn": [f"s{n - 10}"] if n >= 10 and n % 3 else []}
        for n in range(1000)
    ]
    (tmp_path / "w.yaml").write_text(json.dumps({"name": "many", "steps": steps}))
    here = run(tmp_path, "w.yaml", "--json", "-q", "--force")
    there = run(tmp_path, "w.yaml", "--json", "-q", "--force", "--executor", cluster.executor)
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert comparable(json.loads(there.stdout)) == comparable(json.loads(here.stdout))
