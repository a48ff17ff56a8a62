"""`--executor slurm` against a real Slurm of two nodes; see `cluster.py`."""

import json
import os
import re
import shlex
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stepwave.edge.executors.contract import Refused
from stepwave.edge.executors.slurm import open_engine
from stepwave.edge.executors.slurm_wire import SIZE, Address, read_address, read_exactly, write_address
from tests.cli.invoke import ROOT, Ended, Gate, end, flow, normal, run_folders, say, send, started
from tests.edge.executors.slurm.cluster import Cluster, wait_until
from tests.test_docs import blocks

CHANGES = frozenset(("runId", "executionTime", "pid", "startedAt", "endedAt", "queueMs", "stdoutPath", "stderrPath"))
"""What is different in every result document; and what is counted and measured of the whole run."""
OF_THE_MACHINE = frozenset(("parallelStats", "usage", "logsPath"))


def run(*words: str | Path, cwd: Path, cluster: Cluster, env: Mapping[str, str] | None = None) -> Ended:
    """`stepwave run`; the pilots may outlive it by a moment, since Slurm ends them."""
    mark = f"{cwd}"
    with started("run", *words, cwd=cwd, env={**cluster.environ, **(env or {}), "MARK_OF_THE_TEST": mark}) as process:
        ended = end(process)
        process.returncode = -1  # its last processes are waited for
    return ended


def plain(document: Any) -> Any:
    """A result document without what changes from run to run."""
    if isinstance(document, dict):
        return {key: plain(value) for key, value in document.items() if key not in CHANGES | OF_THE_MACHINE}
    return [plain(value) for value in document] if isinstance(document, list) else document


def results(ended: Ended) -> Any:
    return json.loads(ended.out)["stepResults"]


def test_the_example_brings_what_it_brings_here(cluster: Cluster, tmp_path: Path) -> None:
    example = flow(tmp_path, (ROOT / "examples/workflows/parallel.yaml").read_text())
    here = run("--json", example, cwd=tmp_path, cluster=cluster)
    there = run("--json", "--executor", "slurm:partition=main", example, cwd=tmp_path, cluster=cluster)
    assert there.code == 0, there.err
    assert plain(json.loads(there.out)) == plain(json.loads(here.out))
    local, remote = run_folders(tmp_path)
    assert sorted(file.name for file in remote.rglob("*")) == sorted(file.name for file in local.rglob("*"))


def test_steps_fail_time_out_and_are_masked_as_here(cluster: Cluster, tmp_path: Path) -> None:
    text = """
        name: ends
        version: 1.0.0
        max_concurrency: 6
        onFailure: continue
        steps:
          - {id: fails, run: "echo no; exit 3"}
          - {id: dies, run: "kill -9 $$"}
          - {id: missing, command: no-such-program}
          - id: late
            run: "set +e; trap 'echo asked; exit 9' TERM; echo there; sleep 1000 & wait; sleep 1000"
            timeout: 1s
          - {id: hidden, run: "echo $TOKEN"}
          - {id: tells, run: "echo 4 7"}
          - {id: told, run: "echo got {{steps.tells.output}}", dependsOn: [tells]}
        secrets: {TOKEN: {env: TOKEN}}
    """
    file = flow(tmp_path, text)
    env = {"TOKEN": "hush-hush-hush"}
    ended = run("--json", "--executor=slurm", file, cwd=tmp_path, cluster=cluster, env=env)
    found = {id: (result["status"], result["error"], result["output"]) for id, result in results(ended).items()}
    assert found == {
        "fails": ("failed", "exit code 3", "no\n"),
        "dies": ("failed", "killed by SIGKILL", ""),
        "missing": ("failed", "command not found: `no-such-program`", ""),
        "late": ("timeout", "timed out after 1.0s", "there\nasked\n"),
        "hidden": ("completed", None, "***\n"),
        "tells": ("completed", None, "4 7\n"),
        "told": ("completed", None, "got 4 7\n"),
    }
    logs = "".join(log.read_text() for log in (run_folders(tmp_path)[-1] / "logs").iterdir())
    assert "***" in logs
    assert "hush" not in logs


def test_an_allocation_is_what_the_step_needs(cluster: Cluster, tmp_path: Path) -> None:
    text = """
        name: needs
        version: 1.0.0
        resources: {cpu: 4, gpu: 2}
        steps:
          - id: large
            run: scontrol show job $SLURM_JOB_ID | grep -oE "(TRES|TresPerNode)=.*|(Partition|TimeLimit|Requeue)=[^ ]+"
            resources: {cpu: 3, gpu: 1}
            limits: {memory: 200MB}
          - {id: small, run: "echo $SLURM_CPUS_ON_NODE ${SLURM_GPUS_ON_NODE:-0} $SLURM_JOB_NAME"}
    """
    options = "slurm:partition=short,time=5,cpu-pool=cpu,gres=gpu,idle=1s,host=127.0.0.1"
    ended = run("--json", f"--executor={options}", flow(tmp_path, text), cwd=tmp_path, cluster=cluster)
    assert ended.code == 0, ended.err
    outputs = {id: result["output"] for id, result in results(ended).items()}
    name = run_folders(tmp_path)[-1].name
    assert set(outputs["large"].split()) == {
        "Partition=short",
        "TimeLimit=00:05:00",
        "Requeue=0",
        "TRES=cpu=3,mem=300M,node=1,billing=3",
        "TresPerNode=gres:gpu:1",
    }
    assert outputs["small"] == f"1 0 stepwave-{name}\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("time=soon", "Slurm refuses: sbatch: Invalid --time specification"),
        ("gres=fpga", "no node has the generic resource `fpga`"),
        ("cpus=2,slots=3", "no node has 6 CPUs"),
        ("memory=2G", "no node has 2148 MB of memory"),
        ("colour=red", "`slurm:` has no option `colour=red`"),
    ],
)
def test_what_slurm_cannot_give_is_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, options: str, sentence: str
) -> None:
    for name, value in cluster.environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Refused) as refused:
        open_engine(options, None)
    assert str(refused.value) == sentence


def test_a_refusal_is_told_before_anything_runs(cluster: Cluster, tmp_path: Path) -> None:
    file = flow(tmp_path, "name: x\nversion: 1.0.0\nsteps: [{id: a, run: touch ran}]\n")
    ended = run("--executor=slurm:partition=nope", file, cwd=tmp_path, cluster=cluster)
    assert (ended.code, ended.out) == (2, "")
    assert normal(ended.err) == say("""
        error[executor-unavailable]: Slurm refuses: sbatch: invalid partition specified: nope
         --> command line
          = help: sinfo shows the partitions and what their nodes have

        1 error on the command line
        """)
    assert not (tmp_path / "ran").exists()


def test_what_slurm_would_never_start_fails_with_its_reason(cluster: Cluster, tmp_path: Path) -> None:
    file = flow(tmp_path, "name: x\nversion: 1.0.0\nsteps: [{id: a, run: touch ran}]\n")
    ended = run("--json", "--executor=slurm:partition=short,time=61", file, cwd=tmp_path, cluster=cluster)
    ((id, result),) = results(ended).items()
    assert re.fullmatch(
        r"Slurm gives no allocation: job \d+ would wait for ever: PartitionTimeLimit", result["error"]
    ), (id, result)


def test_where_there_is_no_slurm_it_says_so(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    file = flow(tmp_path, "name: x\nversion: 1.0.0\nsteps: [{id: a, run: touch ran}]\n")
    nowhere = Cluster(tmp_path, {"PATH": str(tmp_path)})
    ended = run("--executor=slurm", file, cwd=tmp_path, cluster=nowhere)
    assert ended.code == 2
    assert "error[executor-unavailable]: there is no Slurm on this machine: no `sbatch`" in ended.err


def test_the_commands_of_the_page_are_these(cluster: Cluster, tmp_path: Path) -> None:
    page = blocks(ROOT / "docs/scale-out-slurm.md")
    for block in page:
        if name := block.option("file"):
            flow(tmp_path, block.text, name)
    commands = [block.text for block in page if "slurm" in block.words]
    assert len(commands) == 2
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "stepwave"
        ended = run(*words[1:], cwd=tmp_path, cluster=cluster)
        assert ended.code == 0, ended.err


def test_a_node_that_is_drained_gets_no_more_steps(cluster: Cluster, tmp_path: Path) -> None:
    """Its step goes on to its end, what comes later runs on the other node, and nothing is lost."""
    gate = Gate(tmp_path)
    chain = [
        {"id": f"s{n}", "run": "sleep 0.5; echo $SLURMD_NODENAME", "dependsOn": [f"s{n - 1}"]} for n in range(1, 7)
    ]
    first = {"id": "s0", "run": f"{gate.hold}; {gate.wait}; echo $SLURMD_NODENAME"}
    document = {"name": "drained", "version": "1.0.0", "steps": [first, *chain]}
    file = flow(tmp_path, json.dumps(document), "flow.json")
    with started("run", "--json", "--executor=slurm", file, cwd=tmp_path, env=cluster.environ) as process:
        gate.arrived()
        (job,) = cluster.jobs()
        node = job.split()[2]
        cluster.set_node(node, "drain")
        assert cluster.node_state(node) == "draining"
        gate.open()
        ended = end(process)
        process.returncode = -1
    assert ended.code == 0, ended.err
    nodes = [result["output"].strip() for result in results(ended).values()]
    there = nodes.count(node)
    assert 1 <= there < 7
    assert nodes == [node] * there + [{"n1": "n2", "n2": "n1"}[node]] * (7 - there)
    assert {result["attempts"] for result in results(ended).values()} == {1}
    assert cluster.node_state(node) in ("draining", "drained")


def test_what_is_lost_with_a_node_is_tried_again_on_another(cluster: Cluster, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    text = f"""
        name: lost
        version: 1.0.0
        steps:
          - id: lost
            run: "if mkdir begun; then {gate.hold}; sleep 1000; fi; echo $SLURMD_NODENAME"
    """
    with started(
        "run", "--json", "--executor=slurm", flow(tmp_path, text), cwd=tmp_path, env=cluster.environ
    ) as process:
        gate.arrived()
        (job,) = cluster.jobs()
        node = job.split()[2]
        cluster.set_node(node, "down")
        ended = end(process)
        process.returncode = -1
    gate.all_gone()
    assert ended.code == 0, ended.err
    (result,) = results(ended).values()
    assert result["output"].strip() != node
    assert result["attempts"] == 2
    assert f"its node failed (job {job.split()[0]} on {node})" in ended.err


def test_strangers_are_turned_away_and_ctrl_c_gives_everything_back(cluster: Cluster, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    text = f'name: x\nversion: 1.0.0\nsteps: [{{id: a, run: "{gate.hold}; sleep 1000"}}, {{id: b, run: sleep 1000}}]\n'
    with started("run", "--executor=slurm", flow(tmp_path, text), cwd=tmp_path, env=cluster.environ) as process:
        gate.arrived()
        (file,) = tmp_path.glob(".stepwave/runs/*/slurm/pilots-*.json")
        with socket.create_connection(("localhost", read_address(str(file)).port), 10.0) as stranger:
            stranger.sendall(bytes(2 * SIZE))
            assert read_exactly(stranger, 2 * SIZE)
            assert read_exactly(stranger, 1) is None
        send(process, signal.SIGINT)
        ended = end(process)
        process.returncode = -1
    gate.all_gone()
    assert ended.code == 130
    assert wait_until(lambda: not cluster.jobs(), 5.0)


def test_a_runner_that_is_killed_leaves_nothing(cluster: Cluster, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    text = f"""
        name: killed
        version: 1.0.0
        max_concurrency: 2
        steps:
          - {{id: a, run: "{gate.hold}; (setsid sleep 1000 &) ; sleep 1000"}}
          - {{id: b, run: sleep 1000}}
    """
    with started("run", "--executor=slurm", flow(tmp_path, text), cwd=tmp_path, env=cluster.environ) as process:
        gate.arrived()
        process.kill()
        process.wait()
    gate.all_gone()
    assert wait_until(lambda: not cluster.jobs(), 10.0)


# --- `make scale-out` -------------------------------------------------------------------------------------------------

long = pytest.mark.skipif("STEPWAVE_SCALE_OUT" not in os.environ, reason="takes long: make scale-out")


@long
def test_a_thousand_steps_bring_what_they_bring_here(cluster: Cluster, tmp_path: Path) -> None:
    steps = [
        {"id": f"s{n}", "run": f"echo {n}", **({"dependsOn": [f"s{n - 100}"]} if n >= 100 else {})} for n in range(1000)
    ]
    document = {"name": "thousand", "version": "1.0.0", "max_concurrency": 8, "steps": steps}
    file = flow(tmp_path, json.dumps(document), "flow.json")
    here = run("--json", file, cwd=tmp_path, cluster=cluster)
    there = run("--json", "--executor=slurm", file, cwd=tmp_path, cluster=cluster)
    assert there.code == 0, there.err
    assert plain(results(there)) == plain(results(here))


@long
def test_many_steps_survive_a_drained_and_a_failed_node(cluster: Cluster, tmp_path: Path) -> None:
    steps = [{"id": f"s{n}", "run": f"sleep 0.2; echo {n}"} for n in range(200)]
    document = {"name": "many", "version": "1.0.0", "max_concurrency": 8, "steps": steps}
    file = flow(tmp_path, json.dumps(document), "flow.json")
    with started("run", "--json", "--executor=slurm:slots=2", file, cwd=tmp_path, env=cluster.environ) as process:
        assert wait_until(lambda: len([job for job in cluster.jobs() if "RUNNING" in job]) == 4, 20.0)
        cluster.set_node("n1", "drain")
        assert wait_until(lambda: not any(job.endswith("n1") for job in cluster.jobs()), 20.0)
        cluster.set_node("n1", "resume")
        cluster.set_node("n2", "down")
        ended = end(process)
        process.returncode = -1
    assert ended.code == 0, ended.err
    assert {id: result["output"] for id, result in results(ended).items()} == {f"s{n}": f"{n}\n" for n in range(200)}


@long
def test_an_allocation_that_reaches_its_time_limit_costs_the_step_an_attempt(cluster: Cluster, tmp_path: Path) -> None:
    text = "name: x\nversion: 1.0.0\nsteps: [{id: a, run: 'if mkdir begun; then sleep 1000; fi; echo again'}]\n"
    process_file = flow(tmp_path, text)
    with started(
        "run", "--json", "--executor=slurm:time=1", process_file, cwd=tmp_path, env=cluster.environ
    ) as process:
        out, err = process.communicate(timeout=240)
        process.returncode = -1
    (result,) = json.loads(out)["stepResults"].values()
    assert (result["output"], result["attempts"]) == ("again\n", 2)
    assert b"its allocation reached its time limit" in err


@long
def test_pilots_that_do_not_reach_the_runner_are_given_up(cluster: Cluster, tmp_path: Path) -> None:
    file = flow(tmp_path, "name: x\nversion: 1.0.0\nsteps: [{id: a, run: touch ran}]\n")
    with started("run", "--json", "--executor=slurm", file, cwd=tmp_path, env=cluster.environ) as process:
        assert wait_until(lambda: bool(list(tmp_path.glob(".stepwave/runs/*/slurm/pilots-*.json"))), 10.0)
        (where,) = tmp_path.glob(".stepwave/runs/*/slurm/pilots-*.json")
        address = read_address(str(where))
        where.unlink()
        write_address(where, Address(("127.0.0.1",), 1, address.key))
        ended = end(process)
        process.returncode = -1
    (result,) = results(ended).values()
    assert re.fullmatch(
        r"Slurm gives no allocation: job \d+ on n[12]: failed: n[12] cannot reach the runner on port 1: "
        r"127.0.0.1: Connection refused",
        result["error"],
    )
    assert not (tmp_path / "ran").exists()
