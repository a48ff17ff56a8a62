"""What a person and a program see of a run that branches, grows, is tested, is undone and cleans up: whole output."""

import json
from pathlib import Path

from tests.cli.invoke import flow, normal, say, stepwave

GOOD = """
    name: Good
    pre_flight_checks: ["test -d ."]
    acceptance_tests: [{id: served, command: "true"}]
    steps:
      - {id: build, run: "echo '[1, 2]'", acceptance_tests: [{id: unit, command: "true"}, {id: style, command: "true"}]}
      - id: choose
        type: condition
        dependsOn: [build]
        expression: {type: contains, left: "{{steps.build.output}}", right: 2}
        onTrue: [each]
        onFalse: [hold]
      - {id: each, forEach: "{{steps.build.output}}", run: "echo {{item}}"}
      - {id: hold, run: echo hold}
    finally:
      - {id: sweep, run: echo swept}
    """

BAD = """
    name: Bad
    steps:
      - {id: prepare, run: echo prepared, compensation: {command: echo, args: [undone]}}
      - id: deploy
        dependsOn: [prepare]
        run: echo deployed
        compensation: {command: echo, args: [down]}
        acceptance_tests:
          - {id: up, command: "echo up"}
          - {id: smoke, command: "echo no answer; exit 7"}
      - {id: late, dependsOn: [deploy], run: echo late}
    """


def test_a_run_with_every_part_is_told_in_order(tmp_path: Path) -> None:
    flow(tmp_path, GOOD)
    ended = stepwave("run", "flow.yaml", "-j", "1", cwd=tmp_path)
    assert (ended.code, ended.out) == (0, "")
    assert normal(ended.err, tmp_path).split("Parallel statistics")[0] == say(
        """
        ✓ Loading workflow: Good
        ✓ Building dependency graph (7 steps, 4 dependencies)
        ✓ Initializing worker pool (max_workers=1)

        ⟳ Running pre-flight checks (1):
          → [check.1] Starting...
          ✓ [check.1] Complete (<t>)

        ⟳ Executing steps one at a time:
          → [build] Starting...
          ✓ [build] test unit: PASS (<t>)
          ✓ [build] test style: PASS (<t>)
          ✓ [build] Complete (<t>)
          → [choose] true: each
          - [hold] Skipped: not on the branch taken
          → [each] 2 steps: each[1], each[2]
          → [each[1]] Starting...
          ✓ [each[1]] Complete (<t>)
          → [each[2]] Starting...
          ✓ [each[2]] Complete (<t>)
          ✓ [each] Complete (<t>)

        ⟳ Running acceptance tests (1):
          → [test.served] Starting...
          ✓ [test.served] Complete (<t>)

        ⟳ Finally (1 step):
          → [sweep] Starting...
          ✓ [sweep] Complete (<t>)

        ✓ All steps complete
        ✓ Running acceptance tests (3/3)
          → build/unit: PASS
          → build/style: PASS
          → test.served: PASS

          Step  Outcome  Time  Wave
        ✓ check.1  completed <t>  1
        ✓ build  completed <t>  2  2 tests passed
        ✓ choose  completed <t>  3  true: each
        ✓ each  completed <t>  4
        ✓ each[1]  completed <t>  4
        ✓ each[2]  completed <t>  4
        - hold  skipped  4  not on the branch taken
        ✓ test.served  completed <t>  5
        ✓ sweep  completed <t>  6

        """
    )


def test_a_failed_test_is_quoted_and_what_was_done_is_undone(tmp_path: Path) -> None:
    flow(tmp_path, BAD)
    ended = stepwave("run", "flow.yaml", "-j", "1", cwd=tmp_path)
    assert ended.code == 1
    told, report = normal(ended.err, tmp_path).split("Parallel statistics")
    assert told.partition("⟳ ")[2] == say(
        """
        Executing steps one at a time:
          → [prepare] Starting...
          ✓ [prepare] Complete (<t>)
          → [deploy] Starting...
          ✓ [deploy] test up: PASS (<t>)
          ✗ [deploy] test smoke: FAIL (<t>): exit code 7
          ✗ [deploy] Failed (<t>): acceptance test `smoke`: exit code 7
          ! Nothing new starts: step `deploy` failed
          - [late] Skipped due to previous failure

        ⟳ Rolling back 1 step:
          → [prepare.undo] Starting...
          ✓ [prepare.undo] Complete (<t>)

        ✗ Running acceptance tests (1/2)
          → deploy/up: PASS
          → deploy/smoke: FAIL

          Step  Outcome  Time  Wave
        ↩ prepare  rolled back <t>  1
        ✓ prepare.undo  completed <t>  4
        ✗ deploy  failed <t>  2  acceptance test `smoke`: exit code 7
        - late  skipped  3  Skipped due to previous failure

        """
    )
    logs = "<here>/.stepwave/runs/<run>/logs"
    assert report.partition("Failures\n")[2] == say(
        f"""
        ✗ [deploy] Failed (<t>): acceptance test `smoke`: exit code 7
          cd <here> && /bin/sh -e -c 'echo deployed'
          log: {logs}/00002-deploy.log
          ✗ test smoke (exit code 7): echo no answer; exit 7
            │ no answer
            log: {logs}/00002-deploy.test-2.log

        ✗ Workflow failed in <t>: 1 failed, 1 skipped, 1 rolled back, 1 completed
          Rolled back: prepare
          Logs: {logs}
        """
    )


def test_the_result_has_the_particulars_of_each_step(tmp_path: Path) -> None:
    flow(tmp_path, GOOD, "good.yaml")
    flow(tmp_path, BAD, "bad.yaml")
    good = json.loads(stepwave("run", "good.yaml", "--json", cwd=tmp_path).out)["stepResults"]
    assert good["choose"]["conditionResult"] is True
    assert good["choose"]["triggeredSteps"] == ["each"]
    assert [test["passed"] for test in good["build"]["tests"]] == [True, True]
    assert good["each[2]"]["after"] == "each"
    assert (good["sweep"]["stage"], good["check.1"]["stage"]) == ("finally", "check")
    assert (good["hold"]["skipReason"], good["hold"]["success"]) == ("branch", True)
    bad = json.loads(stepwave("run", "bad.yaml", "--json", cwd=tmp_path).out)["stepResults"]
    assert (bad["prepare"]["status"], bad["prepare"]["rolledBack"]) == ("rolled_back", True)
    assert bad["prepare.undo"]["after"] == "prepare"
    failed = bad["deploy"]["tests"][1]
    assert (failed["id"], failed["error"]) == ("smoke", "exit code 7")
    assert Path(failed["logPath"]).read_text() == "no answer\n"


def test_a_dry_run_says_what_is_asked_of_each_step(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Dry
        execution: {adaptive_scaling: true, max_workers: 3}
        circuit_breaker: {max_attempts: 5, per_step: false}
        pre_flight_checks: ["true"]
        acceptance_tests: [{id: served, command: "curl -f x", timeout: 9s}]
        tools: {critic: {command: critic, args: ["{{prompt}}"]}}
        steps:
          - {id: build, run: make, idleTimeout: 30s, limits: {outputSize: 1GB, openFiles: 64},
             retry: {attempts: 3, delay: 1s, on: {exitCodes: [7], timeout: true, match: "busy"}},
             acceptance_tests: [{id: unit, command: make test, timeout: 5s}],
             compensation: {command: make, args: [clean, "a b"]}}
          - id: choose
            type: condition
            depends_on: [build]
            expression:
              type: and
              conditions:
                - {type: matches, left: "{{steps.build.output}}", right: "^ok"}
                - {type: not, conditions: [{type: exists, left: "{{env.SKIP}}"}]}
            onTrue: [each]
          - {id: each, forEach: "{{steps.build.output}}", run: "echo {{item}}"}
          - {id: ask, agent: critic, prompt: "look at {{steps.build.output}}"}
          - {id: nobody, agent: robot, tasks: [one, two]}
          - {id: count, function: "os.path:basename", params: {p: "a/b"}}
        finally:
          - {id: sweep, run: rm -f x}
        """,
    )
    ended = stepwave("run", "flow.yaml", "--dry-run", cwd=tmp_path)
    assert ended.code == 0, ended.err
    breaker = "breaker  run: opens after 5 failed attempts"
    words = [line.strip() for line in ended.out.split("\n")]
    assert words[:2] == [
        "Dry: 9 steps in 6 waves",
        "at most 3 at a time, fewer on a busy machine · on failure: abort",
    ]
    for wanted in [
        "Wave 1/6: pre-flight checks",
        "Wave 2/6",
        "Wave 5/6: acceptance tests",
        "Wave 6/6: finally",
        "timeout  9.0s",
        "silence  at most 30.0s without output",
        "limits   64 open files, output 1 GB",
        "attempts 3, 1.0s apart (fixed)",
        "retried  after exit code 7 or a timeout or output that matches `busy`",
        breaker,
        "test     unit: make test (timeout 5.0s)",
        "undo     make clean 'a b'",
        'rule     {{steps.build.output}} matches "^ok" and not ({{env.SKIP}} exists)',
        "true     each",
        "false    nothing waits for that",
        "for each of {{steps.build.output}}",
        "agent    critic",
        "prompt   look at {{steps.build.output}}",
        "agent    robot (no executor: the step will fail)",
        "task     one",
        "task     two",
        'calls    os.path:basename(p="a/b")',
        "timeout  5m 00s",
    ]:
        assert wanted in words, wanted
    skipping = stepwave("run", "flow.yaml", "--dry-run", "--skip-agents", cwd=tmp_path)
    assert "  nobody: no executor" in skipping.out.splitlines()
