"""Every option of `stepwave run`, each with a test that fails when the option is ignored."""

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.cli.invoke import ROOT, Ended, flow, normal, run_folders, say, stepwave
from tests.cli.test_run import log_of, most_at_once


def schema(name: str) -> dict[str, Any]:
    text = (ROOT / "schemas" / f"{name}.schema.json").read_text("utf-8")
    return dict(json.loads(text))


def result(ended: Ended) -> dict[str, Any]:
    """The one document on stdout, valid against its schema."""
    document = json.loads(ended.out)
    jsonschema.validate(document, schema("result"))
    return dict(document)


def statuses(ended: Ended) -> dict[str, str]:
    return {id: step["status"] for id, step in result(ended)["stepResults"].items()}


def meeting(folder: Path, people: int) -> str:
    """A workflow of steps that end only when all of them run at once."""
    for n in range(people):
        os.mkfifo(folder / f"door{n}")
    last = people - 1
    steps = [
        {"id": f"s{n}", "run": f"read x <door{n}" if n < last else "for n in door*; do echo x >$n; done"}
        for n in range(people)
    ]
    (folder / f"door{last}").unlink()
    return json.dumps({"timeout": "20s", "steps": steps})


def counting(steps: int) -> dict[str, Any]:
    run = "echo + >>record; echo $WORKFLOW_CURRENT_STEP_ID >>order; echo - >>record"
    return {"steps": [{"id": f"s{n}", "run": run} for n in range(steps)]}


@pytest.mark.parametrize("words", [["-j", "4"], ["--max-concurrency=4"], ["-jauto"], ["--parallel", "-j", "4"]])
def test_more_at_a_time_than_the_file_allows(words: list[str], tmp_path: Path) -> None:
    document = json.loads(meeting(tmp_path, 4))
    document["parallel"] = {"enabled": "--parallel" not in words, "defaultMaxConcurrency": 1}
    flow(tmp_path, json.dumps(document), "flow.json")
    ended = stepwave("run", "flow.json", "--json", *words, cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert result(ended)["parallelStats"]["maxConcurrentSteps"] == 4


@pytest.mark.parametrize("words", [["-j", "1"], ["--no-parallel"], ["--no-parallel", "-j", "8"]])
def test_one_at_a_time_in_file_order(words: list[str], tmp_path: Path) -> None:
    flow(tmp_path, json.dumps(counting(6)), "flow.json")
    ended = stepwave("run", "flow.json", *words, cwd=tmp_path)
    assert ended.code == 0
    assert most_at_once(tmp_path / "record") == 1
    assert (tmp_path / "order").read_text().split() == [f"s{n}" for n in range(6)]
    assert "(max_workers=1)\n\n⟳ Executing steps one at a time:\n" in ended.err


@pytest.mark.parametrize("text", ["0.1", "100ms", "0.1s"])
def test_timeout_of_the_run(text: str, tmp_path: Path) -> None:
    flow(tmp_path, "{name: Slow, steps: [{id: slow, run: exec sleep 60}, {id: next, needs: slow, run: 'true'}]}")
    ended = stepwave("run", "flow.yaml", "--timeout", text, "--json", cwd=tmp_path)
    assert ended.code == 124
    assert statuses(ended) == {"slow": "timeout", "next": "cancelled"}
    assert result(ended)["status"] == "timeout"
    assert result(ended)["error"] == "workflow timed out after 100ms"
    assert normal(ended.err).endswith(
        say(
            """
            ✗ Workflow timed out in <t>: 1 timed out, 1 cancelled
              workflow timed out after <t>
            """
        )
    )


def test_timeout_zero_takes_the_files_timeout_away(tmp_path: Path) -> None:
    flow(tmp_path, "{timeout: 50ms, steps: [{id: slow, run: sleep 0.3}]}")
    assert stepwave("run", "flow.yaml", cwd=tmp_path).code == 124
    assert stepwave("run", "flow.yaml", "--timeout", "0", cwd=tmp_path).code == 0


DIAMOND = """
    name: Diamond
    onFailure: {policy}
    steps:
      - {{id: bad, run: exit 1}}
      - {{id: after, dependsOn: [bad], run: 'true'}}
      - {{id: far, dependsOn: [after], run: 'true'}}
      - {{id: free, run: 'true'}}
    """


@pytest.mark.parametrize(
    ("policy", "words", "code", "after", "free"),
    [
        ("abort", [], 1, "skipped", "skipped"),
        ("abort", ["--keep-going"], 1, "skipped", "completed"),
        ("abort", ["-k"], 1, "skipped", "completed"),
        ("skip_dependents", [], 1, "skipped", "completed"),
        ("skip_dependents", ["--fail-fast"], 1, "skipped", "skipped"),
        ("continue", [], 1, "completed", "completed"),
        ("continue", ["--fail-fast"], 1, "skipped", "skipped"),
        ("abort", ["--continue-on-error"], 0, "completed", "completed"),
        ("abort", ["--continue-on-error", "--strict"], 1, "completed", "completed"),
    ],
)
def test_what_a_failure_means(policy: str, words: list[str], code: int, after: str, free: str, tmp_path: Path) -> None:
    flow(tmp_path, DIAMOND.format(policy=policy))
    ended = stepwave("run", "flow.yaml", "-j", "1", "--json", *words, cwd=tmp_path)
    assert (ended.code, statuses(ended)) == (code, {"bad": "failed", "after": after, "far": after, "free": free})
    assert result(ended)["success"] is (code == 0)


def test_variables_from_the_command_line(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        variables: {a: file, b: file, c: file, d: file}
        steps:
          - id: tell
            command: [printf, "%s\\n", "{{variables.a}}", "{{variables.b}}", "{{variables.c.x[1]}}", "{{variables.d}}"]
        """,
    )
    (tmp_path / "more.json").write_text('{"b": "vars", "c": {"x": [1, 2.5]}}')
    words = ("--vars", "@more.json", "--var", "a=x = y", "--var", "b=var", "--var", "d=")
    assert stepwave("run", "flow.yaml", *words, cwd=tmp_path).code == 0
    assert log_of(tmp_path, "tell") == "x = y\nvar\n2.5\n\n"
    assert stepwave("run", "flow.yaml", "--vars", '{"c": {"x": [0, "json"]}}', cwd=tmp_path).code == 0
    assert log_of(tmp_path, "tell") == "file\nfile\njson\nfile\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--vars", "{nonsense"],
            """
            error[bad-variable]: Invalid variables format. Use JSON format: {"key": "value"}
             --> command line
              = help: quote it for your shell: --vars '{"key": "value"}'
            """,
        ),
        (
            ["--vars", "[1]"],
            """
            error[bad-variable]: Invalid variables format. Use JSON format: {"key": "value"}
             --> command line
              = help: quote it for your shell: --vars '{"key": "value"}'
            """,
        ),
        (
            ["--var", "novalue"],
            """
            error[bad-variable]: `--var novalue` is not of the form KEY=VALUE
             --> command line
              = help: for example: --var env=staging
            """,
        ),
        (
            ["-j", "0"],
            """
            error[bad-option]: `-j 0` is neither a number from 1 nor `auto`
             --> command line
            """,
        ),
        (
            ["--timeout", "soon"],
            """
            error[bad-option]: `--timeout soon` is no duration
             --> command line
              = help: for example 90, 30s, 5m or 1h30m
            """,
        ),
        (
            ["--timeout=-1"],
            """
            error[bad-option]: `--timeout -1` is no duration
             --> command line
              = help: for example 90, 30s, 5m or 1h30m
            """,
        ),
        (
            ["--keep-going", "--fail-fast"],
            """
            error[conflicting-options]: `--keep-going` and `--fail-fast` exclude each other
             --> command line
            """,
        ),
        (
            ["--only", "tst"],
            """
            error[unknown-step]: --only names `tst`, which is not in this workflow
             --> command line
              = help: did you mean `test`?
            """,
        ),
        (
            ["--output", "no/such/folder"],
            """
            error[cannot-write]: `--output`: the folder of `no/such/folder` does not exist
             --> command line
            """,
        ),
        (
            ["--events", "no/such/folder"],
            """
            error[cannot-write]: `no/such/folder`: no such file or directory
             --> command line
            """,
        ),
        (
            ["--output", "./flow.yaml"],
            """
            error[cannot-write]: `--output`: `./flow.yaml` is the workflow itself
             --> command line
            """,
        ),
        (
            ["--events", "flow.yaml"],
            """
            error[cannot-write]: `--events`: `flow.yaml` is the workflow itself
             --> command line
            """,
        ),
        (
            ["--events", "x", "--output", "./x"],
            """
            error[conflicting-options]: `--output` and `--events` name the same file
             --> command line
            """,
        ),
        (
            ["--vars", "@missing.json"],
            """
            error[cannot-read]: `--vars @missing.json`: no such file or directory
             --> command line
            """,
        ),
    ],
)
def test_a_bad_option_is_told_and_nothing_runs(words: list[str], told: str, tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: test, run: touch ran}]")
    ended = stepwave("run", "flow.yaml", *words, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    findings, _, count = ended.err.rpartition("\n\n")
    assert findings + "\n" == say(told)
    assert count.startswith("1 error")
    assert [path.name for path in tmp_path.iterdir()] == ["flow.yaml"]
    assert (tmp_path / "flow.yaml").read_text() == "steps: [{id: test, run: touch ran}]"


@pytest.mark.parametrize(
    ("words", "ran"),
    [
        (["--only", "b"], "a b"),
        (["--only", "b", "--only", "d"], "a b d"),
        (["--skip", "a"], "b c d"),
        (["--skip", "a", "--skip=d"], "b c"),
        (["--from", "b"], "b c"),
        (["--from", "a", "--skip", "b"], "a c"),
        (["--from", "b", "--only", "b"], "b"),
    ],
)
def test_a_part_of_the_steps(words: list[str], ran: str, tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        defaults: {shell: sh}
        steps:
          - {id: a, run: echo a >>ran}
          - {id: b, dependsOn: [a], run: echo b >>ran}
          - {id: c, dependsOn: [b], run: echo c >>ran}
          - {id: d, run: echo d >>ran}
        """,
    )
    ended = stepwave("run", "flow.yaml", "-j1", "--json", *words, cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert sorted((tmp_path / "ran").read_text().split()) == ran.split()
    assert {id for id, status in statuses(ended).items() if status == "skipped"} == set("abcd") - set(ran.split())
    left_out = [step for step in result(ended)["stepResults"].values() if step["status"] == "skipped"]
    assert {step["skipReason"] for step in left_out} == {"not selected"}


def test_the_name_of_several_steps_stands_for_all_of_them(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: x, run: echo x}]", "inner.yaml")
    flow(tmp_path, "include: inner.yaml\nsteps: [{id: x, run: echo x}]", "lib.yaml")
    flow(
        tmp_path,
        """
        include: lib.yaml
        steps:
          - {id: m, matrix: {n: [1, 2]}, run: echo m}
          - {id: last, dependsOn: [m, lib.inner], run: echo last}
        """,
    )

    def ran(*words: str) -> set[str]:
        ended = stepwave("run", "flow.yaml", "--json", *words, cwd=tmp_path)
        assert ended.code == 0, ended.err
        return {id for id, status in statuses(ended).items() if status == "completed"}

    assert ran("--only", "m") == {"m[n=1]", "m[n=2]"}
    assert ran("--only", "lib") == {"lib.x", "lib.inner.x"}
    assert ran("--from", "lib.inner") == {"lib.inner.x", "last"}
    assert ran("--skip", "m", "--skip", "lib") == {"last"}
    assert "did you mean `last`?" in stepwave("run", "flow.yaml", "--only", "lsat", cwd=tmp_path).err


def test_a_barrier_whatever_the_file_says(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        parallel: {scheduling: eager}
        steps:
          - {id: quick, run: touch quick}
          - {id: slow, run: "until test -e quick; do :; done; sleep 0.3; test ! -e next"}
          - {id: next, dependsOn: quick, run: touch next}
        """,
    )
    assert stepwave("run", "flow.yaml", "--barrier", cwd=tmp_path).code == 0


SEVERAL = """
    workflows:
      one: {steps: [{id: a, run: echo one}]}
      two: {steps: [{id: a, run: echo two}]}
    """


def test_one_of_several(tmp_path: Path) -> None:
    flow(tmp_path, SEVERAL)
    assert stepwave("run", "flow.yaml", "--name", "two", cwd=tmp_path).code == 0
    assert log_of(tmp_path, "a") == "two\n"
    ended = stepwave("run", "flow.yaml", "--name", "tow", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert normal(ended.err) == say(
        """
        error[which-workflow]: there is no workflow `tow` among `one`, `two`
         --> flow.yaml:2:1
          |
        2 | workflows:
          | ^^^^^^^^^
          = help: pick one with `--name`

        1 error in flow.yaml
        """
    )
    ended = stepwave("run", "flow.yaml", cwd=tmp_path)
    assert ended.code == 2
    assert normal(ended.err) == say(
        """
        error[which-workflow]: this file holds several workflows: `one`, `two`
         --> flow.yaml:2:1
          |
        2 | workflows:
          | ^^^^^^^^^
          = help: pick one with `--name`

        1 error in flow.yaml
        """
    )


def test_dry_run_shows_everything_and_runs_nothing(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Dry
        timeout: 5m
        env: {A: "1"}
        resources: {db: 2}
        steps:
          - {id: one, run: touch ran, env: {B: "x y", C: null}, timeout: 30s, resource: db}
          - {id: two, dependsOn: [one], command: [echo, "{{steps.one.output}}"], continueOnError: true, cwd: sub}
          - {id: three, dependsOn: [one], condition: variables.x, agent: robot, prompt: hi}
        """,
    )
    ended = stepwave("run", "flow.yaml", "--dry-run", "-j", "3", "--skip", "three", "--var", "x=1", cwd=tmp_path)
    assert ended.code == 0
    assert ended.out.replace(str(tmp_path), "<here>") == say(
        """
        Dry: 3 steps in 2 waves
          at most 3 at a time · on failure: abort · timeout 5m 00s · pools db=2

        Wave 1/2
          one
            command  /bin/sh -e -c 'touch ran'
            folder   <here>
            env      A=1
            env      B=x y
            env      C: unset
            timeout  30.0s
            pools    db x1

        Wave 2/2
          two
            command  echo '{{steps.one.output}}'
            folder   <here>/sub
            env      A=1
            needs    one
            flags    failure is tolerated
          three: not selected
        """
    )
    assert [path.name for path in tmp_path.iterdir()] == ["flow.yaml"]
    flow(tmp_path, "steps: [{id: one}]")
    assert stepwave("run", "flow.yaml", "-n", cwd=tmp_path).code == 2


def test_strict_refuses_unknown_keys(tmp_path: Path) -> None:
    flow(tmp_path, "{name: Strict, colour: red, steps: [{id: a, run: touch ran}]}")
    ended = stepwave("run", "flow.yaml", "--strict", cwd=tmp_path)
    assert ended.code == 2
    assert "error[unknown-key]" in ended.err
    assert not (tmp_path / "ran").exists()
    ended = stepwave("run", "flow.yaml", cwd=tmp_path)
    assert ended.code == 0
    assert "warning[unknown-key]" in ended.err


def test_lenient_references(tmp_path: Path) -> None:
    flow(tmp_path, 'steps: [{id: a, command: [printf, "<%s>", "{{env.NOT_SET}}"]}]')
    ended = stepwave("run", "flow.yaml", cwd=tmp_path)
    assert ended.code == 1
    assert "NOT_SET" in ended.err
    assert stepwave("run", "flow.yaml", "--lenient", cwd=tmp_path).code == 0
    assert log_of(tmp_path, "a") == "<>"


THREE = """
    name: Three
    steps:
      - {id: good, run: "printf 'a\\\\nb'"}
      - {id: bad, dependsOn: [good], run: "echo {{steps.good.output}} >&2; exit 7"}
      - {id: late, dependsOn: [bad], run: 'true'}
    """


def test_json_is_one_document_and_output_is_the_same(tmp_path: Path) -> None:
    flow(tmp_path, THREE)
    ended = stepwave("run", "flow.yaml", "--json", "--output", "result.json", cwd=tmp_path)
    assert ended.code == 1
    document = result(ended)
    assert json.loads((tmp_path / "result.json").read_text("utf-8")) == document
    assert ended.out == json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    logs = f"{run_folders(tmp_path)[0]}/logs"
    assert {id: _without_times(step) for id, step in document["stepResults"].items()} == {
        "good": {
            "success": True,
            "status": "completed",
            "output": "a\nb",
            "error": None,
            "parallelGroup": 0,
            "exitCode": 0,
            "signal": None,
            "attempts": 1,
            "stdoutPath": f"{logs}/00001-good.out",
            "stderrPath": f"{logs}/00001-good.log",
            "tolerated": False,
            "skipReason": None,
        },
        "bad": {
            "success": False,
            "status": "failed",
            "output": "",
            "error": "exit code 7",
            "parallelGroup": 1,
            "exitCode": 7,
            "signal": None,
            "attempts": 1,
            "stdoutPath": None,
            "stderrPath": f"{logs}/00002-bad.log",
            "tolerated": False,
            "skipReason": None,
        },
        "late": {
            "success": False,
            "status": "skipped",
            "output": None,
            "error": "Skipped due to previous failure",
            "parallelGroup": 2,
            "exitCode": None,
            "signal": None,
            "attempts": 0,
            "stdoutPath": None,
            "stderrPath": None,
            "tolerated": False,
            "skipReason": "Skipped due to previous failure",
        },
    }
    assert (document["workflowId"], document["success"], document["status"]) == ("three", False, "failed")
    assert document["error"] == "Failed steps: bad"
    assert document["parallelStats"]["criticalPath"] == ["good", "bad"]


def _without_times(step: dict[str, Any]) -> dict[str, Any]:
    changing = ("executionTime", "queueMs", "startedAt", "endedAt", "pid")
    return {key: value for key, value in step.items() if key not in changing}


def test_output_to_standard_output_is_json(tmp_path: Path) -> None:
    flow(tmp_path, "{steps: [{id: a, run: echo hi}]}")
    for words in (["-o", "-"], ["--output=-", "--json"]):
        ended = stepwave("run", "flow.yaml", *words, cwd=tmp_path)
        assert ended.code == 0
        assert result(ended)["success"] is True
    assert not (tmp_path / "-").exists()


def test_json_of_what_was_refused_is_nothing(tmp_path: Path) -> None:
    """Exit code 2 and diagnostics on stderr: stdout stays empty, so that a reader never parses half a thing."""
    flow(tmp_path, "steps: [{id: a}]")
    assert stepwave("run", "flow.yaml", "--json", cwd=tmp_path)[:2] == (2, "")


def test_events(tmp_path: Path) -> None:
    flow(tmp_path, THREE)
    ended = stepwave("run", "flow.yaml", "--events", "events.ndjson", cwd=tmp_path)
    assert ended.code == 1
    text = (tmp_path / "events.ndjson").read_text("utf-8")
    assert text.endswith("}\n")
    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        jsonschema.validate(event, schema("event"))
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {event["run"] for event in events} == {run_folders(tmp_path)[0].name}
    assert [(event["event"], event.get("step")) for event in events] == [
        ("run-started", None),
        ("step-queued", "good"),
        ("step-started", "good"),
        ("step-finished", "good"),
        ("step-queued", "bad"),
        ("step-started", "bad"),
        ("step-finished", "bad"),
        ("run-stopping", None),
        ("step-finished", "late"),
        ("run-finished", None),
    ]
    assert sorted(event["elapsed"] for event in events) == [event["elapsed"] for event in events]


def test_quiet_success(tmp_path: Path) -> None:
    flow(tmp_path, "{colour: red, steps: [{id: a, run: echo hi}]}")
    ended = stepwave("run", "flow.yaml", "-q", cwd=tmp_path)
    assert (ended.code, ended.out, normal(ended.err)) == (0, "", "✓ Workflow complete in <t>\n")


def test_quiet_failure(tmp_path: Path) -> None:
    flow(tmp_path, THREE)
    ended = stepwave("run", "flow.yaml", "--quiet", cwd=tmp_path)
    assert ended.code == 1
    assert normal(ended.err, tmp_path) == say(
        """
          ✗ [bad] Failed (<t>): exit code 7

        Failures
        ✗ [bad] Failed (<t>): exit code 7
          cd <here> && STEPWAVE_REF_1='a
        b' /bin/sh -e -c 'echo "${STEPWAVE_REF_1}" >&2; exit 7'
          │ a
          │ b
          log: <here>/.stepwave/runs/<run>/logs/00002-bad.log

        ✗ Workflow failed in <t>: 1 failed, 1 skipped, 1 completed
          Logs: <here>/.stepwave/runs/<run>/logs
        """
    )


def test_verbose(tmp_path: Path) -> None:
    flow(tmp_path, THREE)
    ended = stepwave("run", "flow.yaml", "-j", "2", "--verbose", cwd=tmp_path)
    assert ended.code == 1
    lines, _, _ = normal(ended.err, tmp_path).partition("\n\n  Step")
    assert lines + "\n" == say(
        """
        ✓ Loading workflow: Three
        ✓ Building dependency graph (3 steps, 2 dependencies)
        ✓ Initializing worker pool (max_workers=2)

        ⟳ Executing steps in parallel:
          → [good] Starting...
            cd <here> && /bin/sh -e -c 'printf '"'"'a\\nb'"'"''
          ✓ [good] Complete (<t>)
            [good] a
            [good] b
          → [bad] Starting...
            cd <here> && STEPWAVE_REF_1='a b' /bin/sh -e -c 'echo "${STEPWAVE_REF_1}" >&2; exit 7'
          ✗ [bad] Failed (<t>): exit code 7
            [bad] a
            [bad] b
          ! Nothing new starts: step `bad` failed
          - [late] Skipped due to previous failure
        """
    )


@pytest.mark.parametrize(
    ("words", "env", "colored"),
    [
        ([], {}, False),
        (["--color", "always"], {}, True),
        (["--color=always"], {"NO_COLOR": "1"}, True),
        (["--color=never"], {"FORCE_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ([], {"CLICOLOR_FORCE": "1"}, True),
    ],
)
def test_color(words: list[str], env: dict[str, str], colored: bool, tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, run: exit 1}]")
    ended = stepwave("run", "flow.yaml", *words, cwd=tmp_path, env=env)
    assert ("\x1b[" in ended.err) is colored
    plain = re.sub(r"\x1b\[\d+m", "", ended.err)
    assert "\x1b" not in plain
    assert "✗ [a] Failed" in plain


def test_by_name(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    flow(tmp_path / "deep" / "er", "{name: Night build, steps: [{id: a, run: pwd}]}")
    for name in ("Night build", "night-build", "flow"):
        assert stepwave("run", name, cwd=tmp_path).code == 0
    ended = stepwave("run", "nightbuild", cwd=tmp_path)
    assert ended.code == 2
    assert ended.err == say(
        """
        error[workflow-not-found]: Workflow "nightbuild" not found. Available workflows: Night build
         --> nightbuild
          = help: did you mean `Night build`?

        1 error in nightbuild
        """
    )


def test_from_standard_input(tmp_path: Path) -> None:
    ended = stepwave("run", "-", cwd=tmp_path, stdin="steps: [{id: a, run: 'pwd; cat'}]")
    assert ended.code == 0, ended.err
    assert log_of(tmp_path, "a") == f"{tmp_path}\n"
