"""The command where nobody would want to be: without terminal, locale, folder, descriptors, disk or reader."""

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.cli.invoke import (
    MODULE,
    PATIENCE_S,
    Ended,
    Gate,
    assert_polite,
    clean_environment,
    end,
    first_lines,
    flow,
    normal,
    run_folders,
    say,
    started,
    stepwave,
)

SCRIPT = Path(sys.executable).parent / "stepwave"
OK = "{name: Fine, steps: [{id: a, run: echo hi}]}"
FAILS = "{name: Fails, steps: [{id: a, run: echo hi; exit 1}, {id: b, needs: a, run: 'true'}]}"


def in_terminal(*words: str, cwd: Path, size: tuple[int, int] = (24, 80), env: dict[str, str] | None = None) -> Ended:
    """Run the command with a terminal of `size` (rows, columns) for everything; `out` is all that it wrote."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    environ = clean_environment(cwd, **{"TERM": "xterm-256color", **(env or {})})
    process = subprocess.Popen(
        [*MODULE, *words], cwd=cwd, env=environ, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    data = b""
    with suppress(OSError):  # EIO: the last one that had it open has closed it
        while select.select([master], [], [], PATIENCE_S)[0] and (part := os.read(master, 1 << 16)):
            data += part
    os.close(master)
    ended = Ended(process.wait(PATIENCE_S), data.decode(), "")
    assert_polite(ended)
    return ended


# --- what the terminal can show ------------------------------------------------------------------------------


def test_without_a_terminal_nothing_moves(tmp_path: Path) -> None:
    flow(tmp_path, FAILS)
    ended = stepwave("run", "flow.yaml", cwd=tmp_path, env={"TERM": "xterm-256color"})
    assert not {"\x1b", "\r", "\x07", "\x08"} & set(ended.err)


@pytest.mark.parametrize("env", [{"LANG": "C"}, {"LC_ALL": "POSIX"}, {"LANG": "C", "PYTHONIOENCODING": "ascii"}])
def test_ascii_where_the_locale_shows_no_more(env: dict[str, str], tmp_path: Path) -> None:
    flow(tmp_path, "{name: Größe →, steps: [{id: a, name: ✓, run: echo ü →; exit 1}]}")
    ended = stepwave("run", "flow.yaml", "-j", "2", cwd=tmp_path, env=env)
    assert ended.code == 1
    assert ended.err.isascii()
    assert normal(ended.err, tmp_path) == say(
        """
        OK Loading workflow: Gr\\xf6\\xdfe \\u2192
        OK Building dependency graph (1 step, 0 dependencies)
        OK Initializing worker pool (max_workers=2)

        * Executing steps in parallel:
          -> [a] Starting...
          FAIL [a] Failed (<t>): exit code 1

             Step  Outcome  Time  Wave
        FAIL a  failed <t>  1  exit code 1

        Parallel statistics
          total groups  1 (1 executed)
          peak concurrency  1 of 2
          sequential time <t>
          wall time <t> (<n>% saved)
          critical path <t>: a

        Failures
        FAIL [a] Failed (<t>): exit code 1
          cd <here> && /bin/sh -e -c $'echo \\303\\274 \\342\\206\\222; exit 1'
          | \\xfc \\u2192
          log: <here>/.stepwave/runs/<run>/logs/00001-a.log

        FAIL Workflow failed in <t>: 1 failed
          Logs: <here>/.stepwave/runs/<run>/logs
        """
    )
    checked = stepwave("validate", "flow.yaml", cwd=tmp_path, env=env)
    assert checked == (0, "OK flow.yaml: valid (1 step in 1 wave, camel dialect)\n", "")
    shown = stepwave("graph", "flow.yaml", "--format", "json", cwd=tmp_path, env=env)
    assert json.loads(shown.out)["metadata"]["name"] == "Größe →"


def test_a_terminal_gets_the_board_and_its_cursor_back(tmp_path: Path) -> None:
    flow(tmp_path, FAILS)
    ended = in_terminal("run", "flow.yaml", cwd=tmp_path)
    assert ended.code == 1
    assert ended.out.rfind("\x1b[?25h") > ended.out.rfind("\x1b[?25l") > -1
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", ended.out)
    assert "✗ Workflow failed in" in plain


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"TERM": "dumb", "LANG": "C"}])
def test_a_dumb_terminal_gets_plain_lines(env: dict[str, str], tmp_path: Path) -> None:
    flow(tmp_path, FAILS)
    ended = in_terminal("run", "flow.yaml", cwd=tmp_path, env=env)
    assert ended.code == 1
    assert "\x1b" not in ended.out
    assert "[a] Starting..." in ended.out


def test_no_color_in_a_terminal(tmp_path: Path) -> None:
    flow(tmp_path, FAILS)
    colored, plain = (in_terminal("run", "flow.yaml", cwd=tmp_path, env=env).out for env in ({}, {"NO_COLOR": "1"}))
    paint = r"\x1b\[(3[0-9]|9[0-7]|38;)[0-9;]*m"
    assert re.search(paint, colored)
    assert not re.search(paint, plain)


@pytest.mark.parametrize("size", [(24, 20), (2, 20), (1, 1), (0, 0), (500, 1000)])
def test_terminals_of_odd_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    flow(tmp_path, "{name: A name that is longer than the line, steps: [" + ", ".join(
        f"{{id: a-step-with-a-long-name-{n}, run: echo {'x' * 300}; exit 1}}" for n in range(6)) + "]}")  # fmt: skip
    ended = in_terminal("run", "flow.yaml", cwd=tmp_path, size=size)
    assert ended.code == 1
    assert len(ended.out) < 200_000


def test_names_are_shown_not_obeyed(tmp_path: Path) -> None:
    evil = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m[bold]x[/bold][/foo]\r\u202e::error::pwn"
    document = {
        "name": evil,
        "description": evil,
        "variables": {"v": evil},
        "env": {"E": evil},
        "steps": [
            {"id": "a", "name": evil, "run": f"printf '%s\\n' \"$E\" '{evil}'; exit 1"},
            {"id": "b", "command": ["echo", evil, "{{variables.v}}"], "dependsOn": ["a"], "continueOnError": True},
        ],
    }
    flow(tmp_path, json.dumps(document), "flow.json")
    controls = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")
    for words in (
        ["run", "flow.json"],
        ["run", "flow.json", "-v"],
        ["run", "flow.json", "-n"],
        ["run", "flow.json", "--json"],
        ["validate", "flow.json"],
        ["validate", "flow.json", "--format=github"],
        ["validate", "flow.json", "--format=sarif"],
        ["validate", "flow.json", evil.replace("\r", "")],
        ["graph", "flow.json"],
        ["graph", "flow.json", "--format=mermaid"],
        ["graph", "flow.json", "--format=dot"],
        ["list"],
        ["list", "--json"],
        ["run", "flow.json", "--only", evil],
        ["run", "flow.json", "--var", evil],
        ["run", evil],
    ):
        ended = stepwave(*words, cwd=tmp_path)
        assert not controls.search(ended.err), words
        assert "--json" in words or not controls.search(ended.out), words
        told = [line for line in (ended.out + ended.err).split("\n") if line.lstrip().startswith(("::", "##["))]
        assert not told, words
    shown = in_terminal("run", "flow.json", cwd=tmp_path)
    assert not re.search("\x1b\\]|\x07|\x9b|\x1b\\[2J", shown.out)
    assert "[bold]" in shown.out


CI = "::error::pwn"


@pytest.mark.parametrize(
    "words",
    [
        ["run", "flow.json"],
        ["run", "-n", "flow.json"],
        ["graph", "flow.json"],
        ["validate", "flow.json"],
        ["list"],
    ],
)
def test_no_line_is_a_command_to_a_ci_system(words: list[str], tmp_path: Path) -> None:
    """Neither a name nor what a step prints, or another is given of it, gets to the beginning of a line."""
    steps = [
        {"id": "a", "command": ["printf", "%s", f"x\n{CI}"]},
        {"id": "b", "run": "echo {{steps.a.output}}; exit 1", "dependsOn": ["a"]},
    ]
    flow(tmp_path, json.dumps({"name": CI, "description": CI, "steps": steps}), "flow.json")
    ended = stepwave(*words, cwd=tmp_path)
    assert not [line for line in (ended.out + ended.err).split("\n") if line.lstrip().startswith("::")]


# --- an environment with holes ---------------------------------------------------------------------------------


def test_an_empty_environment(tmp_path: Path) -> None:
    flow(tmp_path, "{steps: [{id: a, command: sh, args: [-c, 'echo $WORKFLOW_CURRENT_STEP_ID']}]}")
    done = subprocess.run(
        ["env", "-i", *MODULE, "run", "flow.yaml", "-q"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "Workflow complete" in done.stderr


@pytest.mark.parametrize("state", ["flow.yaml/below/a/file", "/proc/nowhere"])
def test_a_state_folder_that_cannot_be(state: str, tmp_path: Path) -> None:
    flow(tmp_path, "{steps: [{id: a, run: touch ran}]}")
    ended = stepwave("run", "flow.yaml", cwd=tmp_path, env={"STEPWAVE_STATE_DIR": state})
    assert (ended.code, ended.out) == (3, "")
    assert state.partition("/below")[0] in ended.err
    assert "the folder for the run's logs cannot be made" in ended.err
    assert "Errno" not in ended.err
    assert not (tmp_path / "ran").exists()


def test_beside_a_file_that_is_in_the_way_the_home_is_used(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    flow(tmp_path / "flows", OK)
    (tmp_path / "flows" / ".stepwave").write_text("in the way")
    ended = stepwave("run", "flows/flow.yaml", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert (tmp_path / ".local/state/stepwave/runs").is_dir()
    assert (tmp_path / "flows" / ".stepwave").read_text() == "in the way"


def test_a_folder_that_was_removed(tmp_path: Path) -> None:
    flow(tmp_path, OK)
    gone = 'mkdir gone; cd gone; rmdir ../gone; exec "$@"'
    for words, code, told in (
        (["run", str(tmp_path / "flow.yaml"), "-q"], 0, "Workflow complete"),
        (["run", "flow.yaml"], 2, "does not exist"),
        (["run", "flow"], 2, "not found"),
        (["validate"], 2, "no workflow files found"),
        (["run", "-"], 2, "the current folder cannot be found: no such file or directory"),
        (["list"], 0, "no workflows below"),
        (["init-config"], 3, "workflow.yaml could not be written"),
    ):
        ended = stepwave(*words, cwd=tmp_path, stdin=OK, command=("sh", "-c", gone, "sh", *MODULE))
        assert (ended.code, told in ended.err) == (code, True), (words, ended)


def test_files_of_the_folder_are_never_imported(tmp_path: Path) -> None:
    if not SCRIPT.exists():
        pytest.skip("the command is not installed beside this Python")
    flow(tmp_path, "{steps: [{id: a}, {id: a, run: x, bogus: 1}]}", "bad.yaml")
    flow(tmp_path, OK)
    for name in ("yaml", "rich", "typing", "typer", "click", "jsonschema", "json", "signal", "stepwave", "_signal"):
        (tmp_path / f"{name}.py").write_text(f"open('imported-{name}', 'w')\nraise SystemExit('imported {name}')\n")
    for words in (["run", "flow.yaml"], ["validate", "bad.yaml"], ["--help"], ["validate", "--format=sarif", "."]):
        ended = stepwave(*words, cwd=tmp_path, command=(str(SCRIPT),))
        assert "imported" not in ended.out + ended.err
    ended = stepwave("run", "flow.yaml", cwd=tmp_path, command=(str(SCRIPT),), env={"PYTHONPATH": ""})
    assert ended.code == 0
    assert not list(tmp_path.glob("imported-*"))


@pytest.mark.parametrize("mask", ["000", "077", "022"])
def test_the_callers_umask_is_the_steps_and_what_we_keep_is_private(mask: str, tmp_path: Path) -> None:
    flow(
        tmp_path,
        "{steps: [{id: a, run: umask >umask; touch made; echo hi}, {id: b, needs: a, run: 'echo {{steps.a.output}}'}]}",
    )
    ended = stepwave("run", "flow.yaml", cwd=tmp_path, command=("sh", "-c", f'umask {mask}; exec "$@"', "sh", *MODULE))
    assert ended.code == 0, ended.err
    assert (tmp_path / "umask").read_text().strip() == f"0{mask}"
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o666 & ~int(mask, 8)
    for path in (tmp_path / ".stepwave", *(tmp_path / ".stepwave").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


# --- descriptors and signals as they may be inherited -----------------------------------------------------------


@pytest.mark.parametrize("closed", ["0", "1", "2", "01", "02", "12", "012"])
def test_closed_descriptors(closed: str, tmp_path: Path) -> None:
    """No pipe, log or result takes the place of a closed one."""
    flow(
        tmp_path,
        "{steps: [{id: a, run: ls -l /proc/self/fd >fds; echo out},"
        " {id: b, needs: a, run: 'echo {{steps.a.output}}'}]}",
    )
    closing = " ".join(f"{fd}{'<' if fd == '0' else '>'}&-" for fd in closed)
    ended = stepwave(
        "run", "flow.yaml", "--json", "--output", "result.json", "--events", "events", cwd=tmp_path,
        command=("sh", "-c", f'exec "$@" {closing}', "sh", *MODULE),
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert bool(ended.out) is ("1" not in closed)
    assert bool(ended.err) is ("2" not in closed)
    document = json.loads((tmp_path / "result.json").read_text())
    if ended.out:
        assert json.loads(ended.out) == document
    assert document["stepResults"]["b"]["output"] == "out\n"
    assert len((tmp_path / "events").read_text().splitlines()) == 8
    found = (tmp_path / "fds").read_text()
    assert re.findall(r" (\d+) -> ", found) == ["0", "1", "2", "3"]
    assert "0 -> /dev/null" in found
    for words, shown in ((["--version"], "1"), (["validate", "flow.yaml"], "1"), (["list"], "1")):
        ended = stepwave(*words, cwd=tmp_path, command=("sh", "-c", f'exec "$@" {closing}', "sh", *MODULE))
        assert ended.code == 0
        assert bool(ended.out) is (shown not in closed)


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["run", "flow.yaml", "--json"],
        ["run", "flow.yaml", "--dry-run"],
        ["run", "flow.yaml", "-o", "/dev/full"],
        ["run", "flow.yaml", "--events", "/dev/full"],
        ["validate", "flow.yaml"],
        ["graph", "flow.yaml"],
        ["list"],
        ["schema"],
        ["completion", "bash"],
        ["init-config", "-"],
    ],
)
def test_a_full_disk_is_an_error_of_the_runner(words: list[str], tmp_path: Path) -> None:
    flow(tmp_path, OK)
    ended = stepwave(*words, cwd=tmp_path, command=("sh", "-c", 'exec "$@" >/dev/full', "sh", *MODULE))
    assert ended.code == 3, ended
    assert "no space left on device" in ended.err
    assert "Errno" not in ended.err


def test_a_full_event_file_ends_the_run_and_its_steps(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(
        tmp_path,
        f"""
        steps:
          - {{id: a, run: "{gate.hold}; exec sleep 1000"}}
          - {{id: b, run: "{gate.wait}"}}
          - {{id: c, needs: b, command: [printf, "{"x" * 5000}"]}}
        """,
    )
    limited = ("bash", "-c", 'ulimit -f 2; exec "$@"', "sh", *MODULE)
    with started("run", "flow.yaml", "--no-ledger", "--events", "events", cwd=tmp_path, command=limited) as process:
        gate.arrived()
        gate.open()
        ended = end(process)
    gate.all_gone()
    assert ended.code == 3
    assert "stepwave: `events`: file too large\n" in ended.err


def test_nobody_reads_the_talk(tmp_path: Path) -> None:
    """stderr on a full disk costs the talk, not the run."""
    flow(tmp_path, OK)
    ended = stepwave(
        "run", "flow.yaml", "--json", cwd=tmp_path, command=("sh", "-c", 'exec "$@" 2>/dev/full', "sh", *MODULE)
    )
    assert ended.code == 0
    assert json.loads(ended.out)["success"] is True


@pytest.mark.parametrize("words", [["schema"], ["graph", "big.json", "--format=json"], ["run", "big.json", "--json"]])
def test_a_reader_that_goes_away(words: list[str], tmp_path: Path) -> None:
    """`| head -1`: the pipe is closed after the first byte."""
    steps = [{"id": f"s{n}", "type": "noop"} for n in range(500)]
    flow(tmp_path, json.dumps({"steps": steps}), "big.json")
    with started(*words, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"{"
        process.stdout.close()
        process.stdout = None
        ended = end(process)
    assert ended.code in {0, 141}


def test_a_reader_of_the_lines_that_goes_away(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'{{steps: [{{id: a, run: "{gate.hold}; {gate.wait}"}}, {{id: b, needs: a, run: touch ran}}]}}')
    with started("run", "flow.yaml", cwd=tmp_path) as process:
        gate.arrived()
        assert process.stderr is not None
        process.stderr.readline()
        process.stderr.close()
        process.stderr = None
        gate.open()
        assert end(process).code == 0
    gate.all_gone()
    assert (tmp_path / "ran").exists()


UNFIT = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_started_with_signals_ignored_and_blocked(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        onFailure: continue
        steps:
          - {id: state, run: "grep -E '^Sig(Blk|Ign)' /proc/self/status >state"}
          - {id: bad, run: exit 7}
          - {id: slow, timeout: 100ms, run: exec sleep 1000}
          - {id: pipe, shell: bash, run: "yes | head -1", allowedExitCodes: [0, 141]}
        """,
    )
    command = (sys.executable, "-c", UNFIT, *MODULE)
    ended = stepwave("run", "flow.yaml", "--json", cwd=tmp_path, command=command)
    assert ended.code == 1
    results = json.loads(ended.out)["stepResults"]
    assert {id: (step["status"], step["exitCode"]) for id, step in results.items()} == {
        "state": ("completed", 0),
        "bad": ("failed", 7),
        "slow": ("timeout", None),
        "pipe": ("completed", 141),
    }
    masks = [int(mask, 16) for mask in re.findall(r"\t(\w+)", (tmp_path / "state").read_text())]
    own = 0b11 << 31  # 32 and 33 belong to the C library, which sets them as it likes
    assert [mask & ~own for mask in masks] == [0, 0]


def test_ctrl_c_works_though_signals_were_blocked(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    flow(tmp_path, f'{{steps: [{{id: a, run: "{gate.hold}; exec sleep 1000"}}]}}')
    with started("run", "flow.yaml", cwd=tmp_path, command=(sys.executable, "-c", UNFIT, *MODULE)) as process:
        gate.arrived()
        process.send_signal(signal.SIGINT)
        assert end(process).code == 130
    gate.all_gone()


# --- where it may be started from ------------------------------------------------------------------------------


def test_from_a_makefile(tmp_path: Path) -> None:
    flow(
        tmp_path,
        "{steps: [{id: a, run: echo a >>ran; ls /proc/self/fd | wc -l >fds}, {id: b, needs: a, run: echo b >>ran}]}",
    )
    command = f"{MODULE[0]} -m stepwave run flow.yaml"
    (tmp_path / "Makefile").write_text(f"all: one two\none:\n\t+{command} -q\ntwo:\n\t@echo two\n")
    done = subprocess.run(
        ["make", "-j2"], cwd=tmp_path, env=clean_environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ran").read_text() == "a\nb\n"
    assert (tmp_path / "fds").read_text() == "4\n"  # nothing of make's job server


@pytest.mark.parametrize("words", [["run"], ["validate"], ["graph"]])
def test_a_workflow_in_a_fifo(words: list[str], tmp_path: Path) -> None:
    fifo = tmp_path / "flow.yaml"
    os.mkfifo(fifo)
    with started(*words, "flow.yaml", cwd=tmp_path) as process:
        writer = threading.Thread(target=fifo.write_text, args=(OK,))
        writer.start()
        ended = end(process)
        writer.join(PATIENCE_S)
    assert ended.code == 0, ended.err


def test_two_runs_of_one_file_at_once(tmp_path: Path) -> None:
    gates = [Gate(tmp_path, name) for name in "ab"]
    flow(tmp_path, "{steps: [{id: a, run: 'exec 9>$G.there; echo there >&9; read -r go <$G.go; echo $G'}]}")
    with (
        started("run", "flow.yaml", cwd=tmp_path, env={"G": "a"}) as one,
        started("run", "flow.yaml", cwd=tmp_path, env={"G": "b"}) as two,
    ):
        for gate in gates:
            gate.arrived()
            gate.open()
        assert (end(one).code, end(two).code) == (0, 0)
    for gate in gates:
        gate.all_gone()
    logs = {path.read_text() for folder in run_folders(tmp_path) for path in folder.glob("logs/*.log")}
    assert logs == {"a\n", "b\n"}


def test_output_of_every_kind_is_kept_byte_by_byte(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(bytes(range(256)) * 400 + b"no newline at the end")
    flow(
        tmp_path,
        "{steps: [{id: a, run: cat bytes; exit 1}, {id: long, run: 'head -c 3000000 /dev/zero | tr \"\\\\0\" x'}]}",
    )
    ended = stepwave("run", "flow.yaml", "-v", cwd=tmp_path)
    assert ended.code == 1
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", ended.err)
    assert len(ended.err) < 100_000
    logs = sorted(run_folders(tmp_path)[0].glob("logs/*.log"))
    assert logs[0].read_bytes() == (tmp_path / "bytes").read_bytes()
    assert logs[1].read_bytes() == b"x" * 3_000_000


def test_nothing_is_littered(tmp_path: Path) -> None:
    flow(tmp_path, FAILS)
    home, tmp = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    tmp.mkdir()
    for words in (["run", "flow.yaml"], ["validate"], ["graph", "flow.yaml"], ["list"], ["run", "-n", "flow.yaml"]):
        stepwave(*words, cwd=tmp_path, env={"HOME": str(home), "TMPDIR": str(tmp)})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".stepwave", "flow.yaml", "home", "tmp"]
    assert not list(home.iterdir())
    assert not list(tmp.iterdir())
    state = sorted(path.name for path in (tmp_path / ".stepwave").iterdir())
    assert state == [".gitignore", "ledger.db", "ledger.db-shm", "ledger.db-wal", "runs"]


def test_lines_come_as_things_happen(tmp_path: Path) -> None:
    """Not at the end: a reader sees that a step has started while it runs."""
    gate = Gate(tmp_path)
    flow(tmp_path, f'{{steps: [{{id: a, run: "{gate.hold}; {gate.wait}"}}]}}')
    starts: Callable[[str], bool] = lambda line: line.endswith("[a] Starting...")  # noqa: E731
    with started("run", "flow.yaml", "--events", "events", cwd=tmp_path) as process:
        gate.arrived()
        first_lines(process.stderr, starts)
        told = [json.loads(line)["event"] for line in (tmp_path / "events").read_text().splitlines()]
        assert told == ["run-started", "step-queued", "step-started"]
        gate.open()
        assert end(process).code == 0
    gate.all_gone()
