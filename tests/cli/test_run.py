"""`stepwave run`: what it says, whole, and what the steps of a workflow find around them."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from stepwave.core.tracing import trace_of
from tests.cli.invoke import Gate, clean_environment, end, flow, normal, run_folders, say, started, stepwave

# --- what is said ------------------------------------------------------------------------------------------


def test_success_in_the_words_of_the_seed(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Build it
        steps:
          - id: compile
            run: echo compiled
          - id: link
            dependsOn: [compile]
            run: echo linked
        """,
    )
    ended = stepwave("run", "flow.yaml", "-j", "2", cwd=tmp_path)
    assert ended.code == 0
    assert ended.out == ""
    assert normal(ended.err, tmp_path) == say(
        """
        ✓ Loading workflow: Build it
        ✓ Building dependency graph (2 steps, 1 dependency)
        ✓ Initializing worker pool (max_workers=2)

        ⟳ Executing steps in parallel:
          → [compile] Starting...
          ✓ [compile] Complete (<t>)
          → [link] Starting...
          ✓ [link] Complete (<t>)

        ✓ All steps complete

          Step  Outcome  Time  Wave
        ✓ compile  completed <t>  1
        ✓ link  completed <t>  2

        Parallel statistics
          total groups  2 (2 executed)
          peak concurrency  1 of 2
          sequential time <t>
          wall time <t> (<n>% saved)
          critical path <t>: compile → link

        ✓ Workflow complete in <t>
          Logs: <here>/.stepwave/runs/<run>/logs
        """
    )


def test_failure_is_told_last_with_command_output_and_log(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Fails
        env: {COLOR: "dark red"}
        steps:
          - id: prepare
            run: echo ready
          - id: work
            dependsOn: [prepare]
            command: [sh, -c, 'echo "$COLOR"; seq 25; exit 3']
          - id: after
            dependsOn: [work]
            run: echo never
        """,
    )
    ended = stepwave("run", "flow.yaml", "-j", "2", cwd=tmp_path)
    assert ended.code == 1
    assert ended.out == ""
    assert normal(ended.err, tmp_path) == say(
        """
        ✓ Loading workflow: Fails
        ✓ Building dependency graph (3 steps, 2 dependencies)
        ✓ Initializing worker pool (max_workers=2)

        ⟳ Executing steps in parallel:
          → [prepare] Starting...
          ✓ [prepare] Complete (<t>)
          → [work] Starting...
          ✗ [work] Failed (<t>): exit code 3
          ! Nothing new starts: step `work` failed
          - [after] Skipped due to previous failure

          Step  Outcome  Time  Wave
        ✓ prepare  completed <t>  1
        ✗ work  failed <t>  2  exit code 3
        - after  skipped  3  Skipped due to previous failure

        Parallel statistics
          total groups  3 (2 executed)
          peak concurrency  1 of 2
          sequential time <t>
          wall time <t> (<n>% saved)
          critical path <t>: prepare → work

        Failures
        ✗ [work] Failed (<t>): exit code 3
          cd <here> && COLOR='dark red' sh -c 'echo "$COLOR"; seq 25; exit 3'
          │ 6
          │ 7
          │ 8
          │ 9
          │ 10
          │ 11
          │ 12
          │ 13
          │ 14
          │ 15
          │ 16
          │ 17
          │ 18
          │ 19
          │ 20
          │ 21
          │ 22
          │ 23
          │ 24
          │ 25
          log: <here>/.stepwave/runs/<run>/logs/00002-work.log

        ✗ Workflow failed in <t>: 1 failed, 1 skipped, 1 completed
          Logs: <here>/.stepwave/runs/<run>/logs
        """
    )


def test_every_other_way_to_end(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Ends
        onFailure: skip_dependents
        steps:
          - {id: mild, continueOnError: true, run: exit 9}
          - {id: after-mild, dependsOn: [mild], run: echo goes on}
          - {id: never, dependsOn: [after-mild], condition: "1 > 2", run: exit 1}
          - {id: after-never, dependsOn: [never], run: echo goes on}
          - {id: slow, dependsOn: [after-never], timeout: 100ms, run: exec sleep 60}
          - {id: after-slow, dependsOn: [slow], run: echo never}
          - id: flaky
            dependsOn: [after-never]
            retry: {attempts: 2, delay: 10ms}
            run: "test -e mark || { >mark; exit 1; }"
          - {id: missing, dependsOn: [flaky], command: no-such-program, args: [x]}
          - {id: shot, dependsOn: [missing], condition: always(), run: 'kill -9 $$'}
          - {id: last, dependsOn: [slow, shot], condition: failure(), run: echo always}
        """,
    )
    ended = stepwave("run", "flow.yaml", "-j", "1", cwd=tmp_path)
    assert ended.code == 1
    assert normal(ended.err, tmp_path) == say(
        """
        ✓ Loading workflow: Ends
        ✓ Building dependency graph (10 steps, 10 dependencies)
        ✓ Initializing worker pool (max_workers=1)

        ⟳ Executing steps one at a time:
          → [mild] Starting...
          ! [mild] Failed (<t>, tolerated): exit code 9
          → [after-mild] Starting...
          ✓ [after-mild] Complete (<t>)
          - [never] Skipped due to condition
          → [after-never] Starting...
          ✓ [after-never] Complete (<t>)
          → [flaky] Starting...
          ↻ [flaky] Retrying in <t> (attempt 2 of 2): exit code 1
          → [slow] Starting...
          ✗ [slow] Timed out (<t>)
          - [after-slow] Skipped: Dependencies failed: slow
          ✓ [flaky] Complete (<t>, 2 attempts)
          → [missing] Starting...
          ✗ [missing] Failed (<t>): command not found: `no-such-program`
          → [shot] Starting...
          ✗ [shot] Failed (<t>): killed by SIGKILL
          → [last] Starting...
          ✓ [last] Complete (<t>)

          Step  Outcome  Time  Wave  Attempts
        ! mild  failed <t>  1  tolerated: exit code 9
        ✓ after-mild  completed <t>  2
        - never  skipped  3  Skipped due to condition
        ✓ after-never  completed <t>  4
        ✗ slow  timeout <t>  5
        - after-slow  skipped  6  Dependencies failed: slow
        ✓ flaky  completed <t>  5  2
        ✗ missing  failed <t>  6  command not found: `no-such-program`
        ✗ shot  failed <t>  7  killed by SIGKILL
        ✓ last  completed <t>  8

        Parallel statistics
          total groups  8 (7 executed)
          peak concurrency  1 of 1
          sequential time <t>
          wall time <t> (<n>% saved)
          critical path <t>: after-never → flaky → missing → shot → last

        Failures
        ! [mild] Failed (<t>, tolerated): exit code 9
          cd <here> && /bin/sh -e -c 'exit 9'

        ✗ [slow] Timed out (<t>)
          cd <here> && /bin/sh -e -c 'exec sleep 60'

        ✗ [missing] Failed (<t>): command not found: `no-such-program`
          cd <here> && no-such-program x

        ✗ [shot] Failed (<t>): killed by SIGKILL
          cd <here> && /bin/sh -e -c 'kill -9 $$'

        ✗ Workflow failed in <t>: 2 failed, 1 timed out, 1 tolerated failure, 2 skipped, 4 completed
          Logs: <here>/.stepwave/runs/<run>/logs
        """
    )


def pasted(report: str, id: str) -> str:
    """The command that the report of a failure offers for pasting."""
    failures = report.partition("\nFailures\n")[2]
    lines = failures.partition(f"[{id}] ")[2].split("\n")[1:]
    command = []
    for line in lines:
        if line.startswith(("  │ ", "  log: ", "✗ ", "! ")) or line == "  │":
            break
        command.append(line)
    return "\n".join(command).rstrip("\n").removeprefix("  ")


@pytest.mark.parametrize(
    "step",
    [
        {"command": ["sh", "-c", 'echo "$1"; exit 3', "sh", 'it\'s "quoted" $HOME `x` \\ * ~ # -n']},
        {"run": "echo 'one two'\nfor n in 1 2; do\n    echo \"  $n\"\ndone\n\nexit 4\n"},
        {"run": "pwd; ls; exit 5", "workingDirectory": "a folder"},
        {"run": 'echo "$TEXT/$OTHER/${GONE-unset}"; exit 6', "env": {"TEXT": "a 'b' $c", "OTHER": "ä→", "GONE": None}},
        {"run": "cat; exit 7", "stdin": "line one\nline 'two'\n"},
        {"run": "cat; exit 8", "stdin": {"file": "a folder/words"}},
        {"run": 'echo "{{variables.nasty}}"; exit 9'},
        {"command": ["sh", "-c", 'printf "%s|" "$@"; exit 10', "sh", "-x", "", "{{variables.nasty}}", "*"]},
        {"run": "set -o pipefail; echo ${BASH_VERSION:+bash}; false | true", "shell": "bash"},
        {"run": 'echo "$WORKFLOW_VAR_NASTY"; exit 11'},
        {"command": "sh -c 'exit 12'"},
    ],
)
def test_the_command_of_the_report_does_the_same_when_pasted(step: dict[str, object], tmp_path: Path) -> None:
    folder = tmp_path / "some where"
    (folder / "a folder").mkdir(parents=True)
    (folder / "a folder" / "words").write_text("words\n")
    nasty = "a b'c\"d$(touch pwned)`touch pwned`;touch pwned\n\\n&|<>*?[x]{}!#~%"
    document = {"variables": {"nasty": nasty}, "steps": [{"id": "it", **step}]}
    (folder / "flow.json").write_text(json.dumps(document))
    ended = stepwave("run", "some where/flow.json", cwd=tmp_path, env={"GONE": "still here", "COLUMNS": "40"})
    assert ended.code == 1
    command = pasted(ended.err, "it")
    assert command.startswith(f"cd '{folder}")
    again = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd="/",
        env=clean_environment(tmp_path, GONE="still here"),
        capture_output=True,
        check=False,
    )
    logs = list((run_folders(folder)[0] / "logs").iterdir())
    assert again.stdout + again.stderr == (logs[0].read_bytes() if logs else b"")
    assert f"✗ [it] Failed (<t>): exit code {again.returncode}\n" in normal(ended.err)
    assert not list(tmp_path.rglob("pwned"))


# --- what a step finds around it -----------------------------------------------------------------------------


def test_the_environment_of_a_step(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        id: my-flow
        env: {LAYER: workflow, FROM_WORKFLOW: w, GONE: null, CI: true, NUMBER: 010}
        variables:
          plain: some text
          deep: {host: db.local, port: 5432}
          list: [1, two]
          off: false
        steps:
          - id: first-step
            run: echo out; echo err >&2; exit 3
            allowedExitCodes: [0, 3]
          - id: second
            dependsOn: [first-step]
            env: {LAYER: step, FROM_STEP: s, ALSO_GONE: null, REF: "{{env.CALLER}}-{{steps.first-step.exitCode}}"}
            run: 'env -0 > environment; : WORKFLOW_OUTPUT_ of its need'
        """,
    )
    caller = {"CALLER": "c", "LAYER": "caller", "GONE": "x", "ALSO_GONE": "y"}
    ended = stepwave("run", "flow.yaml", "--json", cwd=tmp_path, env=caller)
    assert ended.code == 0, ended.err
    pairs = (tmp_path / "environment").read_bytes().decode().rstrip("\0").split("\0")
    found = dict(pair.split("=", 1) for pair in pairs)
    assert re.fullmatch(r"\d+", found.pop("WORKFLOW_OUTPUT_FIRST_STEP_EXECUTIONTIME"))
    run = json.loads(ended.out)["runId"]
    assert found.pop("WORKFLOW_RUN_ID") == run
    assert found.pop("TRACEPARENT") == trace_of(run).parent_of("second", 1)
    for name in (*clean_environment("/"), "PWD", "OLDPWD", "SHLVL", "_"):
        found.pop(name, None)
    assert found == {
        "CALLER": "c",
        "LAYER": "step",
        "FROM_WORKFLOW": "w",
        "FROM_STEP": "s",
        "CI": "true",
        "NUMBER": "010",
        "REF": "c-3",
        "WORKFLOW_ID": "my-flow",
        "WORKFLOW_CURRENT_STEP_ID": "second",
        "WORKFLOW_VAR_PLAIN": "some text",
        "WORKFLOW_VAR_DEEP_HOST": "db.local",
        "WORKFLOW_VAR_DEEP_PORT": "5432",
        "WORKFLOW_VAR_LIST": '[1, "two"]',
        "WORKFLOW_VAR_OFF": "false",
        "WORKFLOW_OUTPUT_FIRST_STEP_RESULT": "success",
        "WORKFLOW_OUTPUT_FIRST_STEP_EXITCODE": "3",
        "WORKFLOW_OUTPUT_FIRST_STEP_STDOUT": "out",
        "WORKFLOW_OUTPUT_FIRST_STEP_STDERR": "err",
    }


def log_of(folder: Path, id: str) -> str:
    (log,) = (run_folders(folder)[-1] / "logs").glob(f"*-{id}.log")
    return log.read_text("utf-8")


def test_folders_are_relative_to_the_file_not_to_the_caller(tmp_path: Path) -> None:
    (tmp_path / "flows" / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    flow(
        tmp_path / "flows",
        """
        steps:
          - {id: plain, run: pwd}
          - {id: sub, workingDirectory: sub, run: pwd}
          - {id: up, cwd: .., run: pwd}
          - {id: absolute, cwd: /, run: pwd}
          - {id: gone, cwd: nowhere, run: pwd, continueOnError: true}
        """,
    )
    (tmp_path / "elsewhere" / "link.yaml").symlink_to(tmp_path / "flows" / "flow.yaml")
    ended = stepwave("run", "link.yaml", cwd=tmp_path / "elsewhere")
    assert ended.code == 0, ended.err
    flows = tmp_path / "flows"
    assert [log_of(flows, id) for id in ("plain", "sub", "up", "absolute")] == [
        f"{flows}\n",
        f"{flows}/sub\n",
        f"{tmp_path}\n",
        "/\n",
    ]
    assert f"working directory `{flows}/nowhere`: no such file or directory" in ended.err


def test_the_ways_to_write_a_command(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("from a file\n")
    (tmp_path / "script").write_text("echo no first line; echo $1\n")
    (tmp_path / "script").chmod(0o755)
    flow(
        tmp_path,
        """
        steps:
          - {id: argv, command: printf, args: ["%s|", "a b", 1, true, "$HOME", "*"]}
          - {id: list, command: [printf, "%s|", "x y"]}
          - {id: split, command: "printf %s 'a b'"}
          - {id: shell, shell: true, command: "echo a | tr a b"}
          - {id: sh, run: "false; echo not reached", allowedExitCodes: [1]}
          - {id: bash, shell: bash, run: "false | true; echo not reached", allowedExitCodes: [1]}
          - {id: nothing, run: "wc -c"}
          - {id: text, stdin: "some text", run: cat}
          - {id: file, stdin: {file: words}, run: cat}
          - {id: local, command: ./script, args: [x]}
          - {id: fds, run: "ls /proc/self/fd | wc -l"}
        """,
    )
    ended = stepwave("run", "flow.yaml", cwd=tmp_path)
    assert ended.code == 0, ended.err
    logs = {path.stem[6:]: path.read_text() for path in (run_folders(tmp_path)[0] / "logs").iterdir()}
    assert logs == {
        "argv": "a b|1|true|$HOME|*|",
        "list": "x y|",
        "split": "a b",
        "shell": "b\n",
        "nothing": "0\n",
        "text": "some text",
        "file": "from a file\n",
        "local": "no first line\nx\n",
        "fds": "4\n",  # 0, 1, 2 and the one that ls itself looks through
    }


NASTY = [
    "two words",
    "; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    '"; touch pwned; "',
    "a\ntouch pwned\nb",
    "&& touch pwned",
    "| touch pwned",
    "-n",
    "*",
    "\\",
    "$HOME ${HOME} $0",
    "{{variables.other}}",
    "ä→\x7f\x1b[31m",
    "",
]


@pytest.mark.parametrize("where", ["variable", "output"])
def test_a_value_never_becomes_a_second_argument_or_a_command(where: str, tmp_path: Path) -> None:
    """Every nasty value through every kind of text that takes a reference."""
    values = {f"v{n}": value for n, value in enumerate(NASTY)}
    ref = "variables.{}" if where == "variable" else "steps.make.output.{}"
    steps: list[dict[str, object]] = [{"id": "make", "command": "cat values.json"}]
    (tmp_path / "values.json").write_text(json.dumps(values))
    for name in values:
        it = "{{" + ref.format(name) + "}}"
        tell = "printf '<%s>'"
        steps += [
            {"id": f"{name}-argv", "command": ["printf", "<%s>", it]},
            {"id": f"{name}-args", "command": "printf", "args": ["<%s>", it]},
            {"id": f"{name}-bare", "run": f"{tell} {it}"},
            {"id": f"{name}-double", "run": f'{tell} "{it}"'},
            {"id": f"{name}-single", "run": f"{tell} '{it}'"},
            {"id": f"{name}-shell", "shell": True, "command": f"{tell} {it}"},
            {"id": f"{name}-bash", "shell": "bash", "run": f'{tell} "$(printf %s {it})"'},
            {"id": f"{name}-env", "env": {"IT": it}, "run": f'{tell} "$IT"'},
            {"id": f"{name}-stdin", "stdin": it, "run": "printf '<'; cat; printf '>'"},
        ]
    for step in steps[1:]:
        step["dependsOn"] = ["make"]
    # From outside: variables of the file itself may refer to each other.
    flow(tmp_path, json.dumps({"variables": {"other": "wrong"}, "steps": steps}), "flow.json")
    ended = stepwave("run", "flow.json", "--vars", "@values.json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert not list(tmp_path.glob("pwned"))
    logs = run_folders(tmp_path)[0] / "logs"
    told = {path.stem.split("-", 1)[1]: path.read_bytes().decode() for path in logs.glob("*-v*.log")}
    wanted = {str(step["id"]): f"<{values[str(step['id']).split('-')[0]]}>" for step in steps[1:]}
    for id in [id for id in wanted if id.endswith("-bash")]:
        wanted[id] = "<" + wanted[id][1:-1].rstrip("\n") + ">"
    assert told == wanted


# --- limits --------------------------------------------------------------------------------------------------


def most_at_once(record: Path) -> int:
    running = most = 0
    for mark in record.read_text().split():
        running += {"+": 1, "-": -1}[mark]
        most = max(most, running)
    assert running == 0
    return most


def test_pools_limit_and_do_not_limit_more_than_they_should(tmp_path: Path) -> None:
    """Pairs that only end when both run at once fit the pool; three of them never do."""
    steps = []
    for n in range(3):
        first, second = tmp_path / f"{n}.first", tmp_path / f"{n}.second"
        for fifo in (first, second):
            subprocess.run(["mkfifo", str(fifo)], check=True)
        meet = {"a": f"echo x >{first}; read y <{second}", "b": f"read x <{first}; echo y >{second}"}
        needs = [f"a{n - 1}", f"b{n - 1}"] if n else []
        steps += [
            {
                "id": f"{name}{n}",
                "dependsOn": needs,
                "resource": {"db": 1},
                "run": f"echo + >>record; {text}; echo - >>record",
            }
            for name, text in meet.items()
        ]
    steps += [{"id": f"more{n}", "resource": "db", "run": "echo + >>record; echo - >>record"} for n in range(6)]
    steps.append({"id": "both", "resource": {"db": 2}, "run": "echo + >>alone; echo + >>record; echo - >>record"})
    flow(tmp_path, json.dumps({"timeout": "30s", "resources": {"db": 2}, "steps": steps}), "flow.json")
    ended = stepwave("run", "flow.json", "-j", "8", "--json", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert most_at_once(tmp_path / "record") == 2
    assert json.loads(ended.out)["parallelStats"]["peakResourceUtilization"] == {"db": 1.0}


def test_memory_limit(tmp_path: Path) -> None:
    eat = "x = bytearray(300 << 20); print(len(x))"
    step = {"command": ["python3", "-c", eat], "continueOnError": True}
    small, large = {"id": "small", "memoryLimitMb": 200, **step}, {"id": "large", "memoryLimitMb": 2000, **step}
    flow(tmp_path, json.dumps({"steps": [small, large]}), "flow.json")
    ended = stepwave("run", "flow.json", "--json", cwd=tmp_path)
    results = json.loads(ended.out)["stepResults"]
    assert (results["small"]["status"], results["large"]["status"]) == ("failed", "completed")
    assert "MemoryError" in ended.err


def test_what_a_step_leaves_behind_is_stopped_and_told(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(
        tmp_path,
        f"""
        steps:
          - id: leaver
            run: |
              {gate.hold}
              (trap '' TERM; exec sleep 1000) &
              setsid sleep 1001 &
              read -r on < on
        """,
    )
    subprocess.run(["mkfifo", str(tmp_path / "on")], check=True)
    with started("run", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        (tmp_path / "on").write_text("on\n")
        ended = end(process)
    gate.all_gone()
    assert ended.code == 0, ended.err
    assert re.search(r"! \[leaver\] left 2 processes behind: pid \d+: sleep 100\d, pid \d+: sleep 100\d\n", ended.err)


def test_quoting_survives_shlex() -> None:
    """The nasty values above are what they claim to be: one word each."""
    assert [shlex.split(shlex.quote(value)) for value in NASTY] == [[value] for value in NASTY]


def test_what_the_file_says_about_itself_is_passed_on(tmp_path: Path) -> None:
    flow(tmp_path, "owner: us\ngate: 2\nmetadata: {k: [1.50]}\nsteps: [{id: a, run: 'true'}]\n")
    ended = stepwave("run", "flow.yaml", "--json", cwd=tmp_path)
    assert json.loads(ended.out)["metadata"] == {"owner": "us", "gate": 2, "k": [1.5]}
