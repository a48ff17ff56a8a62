"""Independent runs that share a pool: how many are inside at once, who comes next, and what a kill -9 leaves."""

import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.invoke import Gate, end, first_lines, flow, normal, say, started, stepwave


def pool_folder(home: Path) -> Path:
    [folder] = (home / ".local" / "state" / "stepwave" / "host").iterdir()
    return folder


def most_inside(log: Path) -> tuple[int, int]:
    """How many were inside at once, at most, and how many have been at all."""
    inside: set[str] = set()
    most = been = 0
    for line in log.read_text().splitlines():
        word, who = line.split()
        if word == "in":
            inside.add(who)
            been += 1
            most = max(most, len(inside))
        else:
            inside.discard(who)
    assert not inside
    return most, been


CROWD = """
    parallel: {resources: {gpu: {limit: 2, scope: host}}}
    steps:
      - id: use
        matrix: {n: [1, 2, 3, 4]}
        resources: gpu
        run: |
          echo in $$ >> log
          i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done
          echo out $$ >> log
    """


def test_never_more_than_the_limit_inside(tmp_path: Path) -> None:
    flow(tmp_path, CROWD)
    with ExitStack() as runs:
        all_of_them = [
            runs.enter_context(
                started("run", "-q", "flow.yaml", cwd=tmp_path, env={"STEPWAVE_STATE_DIR": str(tmp_path / str(n))})
            )
            for n in range(4)
        ]
        assert [end(one).code for one in all_of_them] == [0] * 4
    most, been = most_inside(tmp_path / "log")
    assert most <= 2 and been == 16
    assert list((pool_folder(tmp_path) / "pool-gpu.queue").iterdir()) == []


HOLDER = """
    name: Holder
    parallel: {{resources: {{gpu: {{limit: 1, scope: host}}}}}}
    steps:
      - id: hold
        resources: gpu
        run: |
          trap '' TERM INT HUP
          (setsid sh -c '{hold}; while :; do sleep 1000; done' &)
          echo $$ > holder
          {hold}
          while :; do sleep 1000; done
    """
NEXT = """
    name: Next
    parallel: {resources: {gpu: {limit: 1, scope: host}}}
    steps:
      - id: next
        resources: gpu
        run: if kill -0 "$(cat holder)" 2>/dev/null; then echo not alone; exit 3; fi
    """


def waits(line: str) -> bool:
    return "Waits: other runs on this machine hold `gpu`" in line


@pytest.mark.parametrize("also", ["", "zygote"])
def test_a_unit_of_a_killed_runner_is_free_once_its_steps_are_dead(also: str, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, HOLDER.format(hold=gate.hold), "holder.yaml")
    flow(tmp_path, NEXT, "next.yaml")
    with started("run", "holder.yaml", cwd=tmp_path) as holder:
        gate.arrived()
        with started("run", "next.yaml", cwd=tmp_path) as after:
            first_lines(after.stderr, waits)
            helpers = [int(pid) for pid in Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()]
            holder.kill()
            if also:
                for pid in helpers:
                    os.kill(pid, signal.SIGKILL)
            assert end(after).code == 0
        gate.read(6)  # the other process of the step had said it, too
        gate.all_gone()
        holder.wait()


def test_a_killed_waiter_is_in_nobodys_way(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f"""
        parallel: {{resources: {{gpu: {{limit: 1, scope: host}}}}}}
        steps: [{{id: hold, resources: gpu, run: "{gate.hold}; {gate.wait}"}}]
        """, "holder.yaml")  # fmt: skip
    flow(tmp_path, NEXT, "next.yaml")
    (tmp_path / "holder").write_text("0")
    with started("run", "holder.yaml", cwd=tmp_path) as holder:
        gate.arrived()
        with (
            started("run", "next.yaml", cwd=tmp_path) as first,
            started("run", "next.yaml", cwd=tmp_path) as second,
        ):
            first_lines(first.stderr, waits)
            first_lines(second.stderr, waits)
            first.kill()
            first.wait()
            second.send_signal(signal.SIGINT)
            assert end(second).code == 130
        assert len(list((pool_folder(tmp_path) / "pool-gpu.queue").iterdir())) == 1, "that of the dead, until one looks"
        with started("run", "next.yaml", cwd=tmp_path) as third:
            first_lines(third.stderr, waits)
            gate.open()
            ended = end(third)
        assert "exit code 3" in ended.err, "it has run: 0 is the group of the step itself, which is alive"
        assert end(holder).code == 0


def test_what_a_person_sees(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    text = """
        name: Train
        parallel: {resources: {gpu: {limit: 1, scope: host}, db: 1}}
        steps:
          - {id: train, resources: gpu, run: "COMMAND"}
        """
    flow(tmp_path, text.replace("COMMAND", f"{gate.hold}; {gate.wait}"), "a.yaml")
    flow(tmp_path, text.replace("COMMAND", "exit 0"), "b.yaml")
    with started("run", "a.yaml", cwd=tmp_path) as holder:
        gate.arrived()
        with started("run", "b.yaml", cwd=tmp_path) as other:
            told = first_lines(other.stderr, waits)
            assert told[-1] == "  · [train] Waits: other runs on this machine hold `gpu`"
            run = json.loads(stepwave("runs", "--json", cwd=tmp_path).out)["runs"][0]["runId"]
            seen = stepwave("why", "train", run, cwd=tmp_path)
            assert normal(seen.out) == say("""
                train is ready and waits for 1 unit of pool gpu, which has 1
                  it has been waiting <t> for 1 unit of pool gpu, which has 1; held by other runs on this machine
                """)
            gate.open()
            assert end(other).code == end(holder).code == 0


def test_another_limit_is_remarked_upon(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    text = (
        "parallel: {{resources: {{gpu: {{limit: {0}, scope: host}}}}}}\n"
        "steps: [{{id: a, run: '{1}', resources: gpu}}]\n"
    )
    flow(tmp_path, text.format(1, f"{gate.hold.replace(chr(39), '')}; {gate.wait.replace(chr(39), '')}"), "one.yaml")
    flow(tmp_path, text.format(2, "exit 0"), "two.yaml")
    with started("run", "one.yaml", cwd=tmp_path) as one:
        gate.arrived()
        two = stepwave("run", "-q", "two.yaml", cwd=tmp_path)
        remark, last = two.err.splitlines()
        assert remark == (
            "stepwave: pool `gpu` has 2 units here, and 1 in another run on this machine: each starts a step only "
            "where no more than its own limit are in use then, by all runs"
        )
        assert normal(last) == "✓ Workflow complete in <t>"
        gate.open()
        assert end(one).code == 0


def test_without_a_place_for_locks_nothing_runs(tmp_path: Path) -> None:
    flow(tmp_path, "parallel: {resources: {gpu: {limit: 1, scope: host}}}\nsteps: [{id: a, run: touch ran}]\n")
    (tmp_path / "file").touch()
    ended = stepwave("run", "flow.yaml", cwd=tmp_path, env={"STEPWAVE_HOST_DIR": str(tmp_path / "file")})
    assert ended.code == 2 and not (tmp_path / "ran").exists() and not (tmp_path / ".stepwave").exists()
    assert ended.err.replace(str(tmp_path), "<here>").splitlines()[0] == (
        "error[no-host-pools]: what all runs on this machine share cannot be locked: <here>/file is not a folder"
    )


def test_a_rate_limit_that_is_shared_goes_to_everybody(tmp_path: Path) -> None:
    flow(tmp_path, """
        parallel: {rateLimitDelay: {delay: 20ms, scope: host, name: api}}
        steps: [{id: call, matrix: {n: [1, 2, 3, 4, 5]}, run: echo call >> log}]
        """)  # fmt: skip
    with ExitStack() as runs:
        both = [
            runs.enter_context(
                started("run", "-q", "flow.yaml", cwd=tmp_path, env={"STEPWAVE_STATE_DIR": str(tmp_path / name)})
            )
            for name in "ab"
        ]
        assert [end(one).code for one in both] == [0, 0]
    assert (tmp_path / "log").read_text() == "call\n" * 10
