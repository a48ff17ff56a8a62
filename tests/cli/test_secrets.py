"""Secrets from the door: a value that is printed in every way there is, and is found nowhere afterwards."""

import base64
import json
import os
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.invoke import MARK, Ended, Gate, end, flow, run_folders, say, started, stepwave
from tests.cli.test_signals import Terminal

CANARY = "cAnary/7+tweet é-42"
MANY = "first-Line-of-9\nsecond-Line-of-9"

LEAK = """\
import base64, fcntl, json, os, shlex, sys, termios, urllib.parse
def say(data):
    os.write(1, data if isinstance(data, bytes) else data.encode())
def taken():  # until the other end has read all of it
    while int.from_bytes(fcntl.ioctl(1, termios.FIONREAD, bytes(4)), sys.byteorder):
        os.sched_yield()
for secret in (os.environ["TOKEN"], os.environ["MANY"]):
    raw = secret.encode()
    say("\\n  ".join(secret.split("\\n")) + "\\n")
    for text in (secret, json.dumps({"a": secret}), shlex.quote(secret), repr(secret)):
        say(text + "\\n")
    for text in (urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)):
        say(text + "\\n" + text.replace("%2F", "%2f") + "\\n")
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes):
            say(encode(b"x" * before + raw + b"yy") + b"\\n")
    say(base64.encodebytes(b"x" * 50 + raw + b"y" * 50))
    for place in (1, len(raw) // 2, len(raw) - 1):
        for data in (raw, base64.b64encode(raw), urllib.parse.quote(raw).encode()):
            say(data[:place]); taken(); say(data[place:] + b"\\n"); taken()
    os.write(2, raw + b"\\n")
say("end")
"""


def traces(value: str) -> list[bytes]:
    """What must not be found: worked out here once more, apart from the program."""
    found = []
    for text in (value, *value.split("\n")):
        raw = text.encode()
        found += [raw, urllib.parse.quote(text).encode(), urllib.parse.quote_plus(text).encode()]
        found += [json.dumps(text)[1:-1].encode(), urllib.parse.quote(text, safe="").lower().encode()]
        for before, start in ((0, 0), (1, 2), (2, 3)):
            encoded = base64.b64encode(b"x" * before + raw)[start : (before + len(raw)) * 8 // 6]
            found += [encoded, encoded.replace(b"+", b"-").replace(b"/", b"_")]
    return found


FORBIDDEN = [*traces(CANARY), *traces(MANY)]


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def assert_nowhere(folder: Path, *shown: str | bytes) -> None:
    """No file of the folder and nothing shown holds a trace; `leak.py` and the workflow never did."""
    texts = {str(path): path.read_bytes() for path in files(folder)}
    texts |= {f"shown {n}": text.encode() if isinstance(text, str) else text for n, text in enumerate(shown)}
    for name, data in texts.items():
        for trace in FORBIDDEN:
            assert trace not in data, (name, trace)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "leak.py").write_text(LEAK)
    return tmp_path


ENV = {"TOKEN": CANARY, "MANY": MANY}

LEAKY = f"""
name: leaky
secrets: [TOKEN, MANY]
onFailure: continue
env: {{AUTH: "Bearer {{{{env.TOKEN}}}}"}}
steps:
  - {{id: prints, command: ["{sys.executable}", leak.py]}}
  - {{id: reads, needs: prints, run: 'printf %s {{{{steps.prints.output}}}}'}}
  - {{id: fails, run: 'echo "$AUTH"; exit 3', retries: 1}}
  - {{id: words, command: [sh, -c, 'echo "$0"; exit 4', '{{{{secrets.TOKEN}}}}']}}
  - {{id: shell, run: 'echo {{{{secrets.TOKEN}}}} x{{{{env.MANY}}}}x; exit 5'}}
  - {{id: missing, command: ['no-such-{{{{secrets.TOKEN}}}}']}}
  - {{id: nowhere, cwd: 'no/{{{{secrets.TOKEN}}}}', run: 'true'}}
  - {{id: asks, type: condition, expression: "toNumber(secrets.TOKEN) > 1", onTrue: [chosen]}}
  - {{id: chosen, run: date}}
  - {{id: stdin, stdin: '{{{{secrets.TOKEN}}}}', command: [cat]}}
  - id: tested
    run: 'true'
    acceptance_tests: ['echo {{{{secrets.TOKEN}}}}; exit 1']
  - {{id: each, needs: prints, forEach: "{{{{split(steps.prints.output, 'x')}}}}", run: 'echo {{{{item}}}}'}}
  - id: leaves
    run: sh -c 'sleep 100; :' "$TOKEN" & exit 0
"""


def leak(folder: Path, *words: str) -> Ended:
    flow(folder, LEAKY)
    return stepwave("run", "flow.yaml", *words, cwd=folder, env=ENV)


@pytest.mark.parametrize("words", [(), ("--verbose",), ("--quiet",)])
def test_in_no_log_and_on_no_screen(folder: Path, words: tuple[str, ...]) -> None:
    ended = leak(folder, *words)
    assert ended.code == 1
    assert_nowhere(folder, ended.out, ended.err)
    logs = run_folders(folder)[-1] / "logs"
    text = next(logs.glob("*-prints.log")).read_text() + next(logs.glob("*-prints.out"), logs / "x").name
    assert text.count("***") > 40
    assert "end" in text
    assert words == ("--quiet",) or "left 2 processes behind" in ended.err


def test_in_no_document_and_no_event(folder: Path) -> None:
    ended = leak(folder, "--json", "--output", "result.json", "--events", "events.ndjson")
    assert ended.code == 1
    assert_nowhere(folder, ended.out, ended.err)
    results = json.loads(ended.out)["stepResults"]
    assert results["words"]["output"] == "***\n"
    assert results["stdin"]["output"] == "***"
    assert results["reads"]["output"].endswith("end")
    events = [json.loads(line) for line in (folder / "events.ndjson").read_text().splitlines()]
    started = {event["step"]: event for event in events if event["event"] == "step-started"}
    assert started["words"]["argv"][-1] == "***"
    assert started["fails"]["env"] == {"AUTH": "Bearer ***"}


def test_on_no_board(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    keys = tmp_path_factory.mktemp("keys")
    (keys / "TOKEN").write_text(CANARY + "\n")
    (keys / "MANY").write_text(MANY + "\n")
    mapping = f"{{TOKEN: {{file: {keys}/TOKEN}}, MANY: {{file: {keys}/MANY}}}}"
    flow(folder, LEAKY.replace("[TOKEN, MANY]", mapping))
    terminal = Terminal("run", "flow.yaml", cwd=folder)
    assert terminal.end() == 1
    assert b"\x1b[?25l" in terminal.seen, "it was a board"
    assert_nowhere(folder, terminal.seen)


def test_in_no_dry_run(folder: Path) -> None:
    ended = leak(folder, "--dry-run")
    assert ended.code == 0
    assert_nowhere(folder, ended.out, ended.err)
    assert "    secrets  TOKEN, MANY\n" in ended.out
    assert "    command  sh -c 'echo \"$0\"; exit 4' '***'\n" in ended.out
    assert not (folder / ".stepwave").exists()


def test_a_dry_run_fetches_nothing_with_a_command(tmp_path: Path) -> None:
    flow(tmp_path, "{secrets: {T: {command: touch ran}}, steps: [{id: a, command: [echo, '{{secrets.T}}']}]}")
    ended = stepwave("run", "-n", "flow.yaml", cwd=tmp_path)
    assert (ended.code, "echo '***'" in ended.out) == (0, True)
    assert stepwave("validate", "flow.yaml", cwd=tmp_path).code == 0
    assert not (tmp_path / "ran").exists()


def test_on_no_command_line_but_the_steps_own(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    run = f"{gate.hold}; {gate.wait}; echo {{{{secrets.TOKEN}}}}"
    flow(tmp_path, json.dumps({"secrets": ["TOKEN"], "steps": [{"id": "a", "run": run}]}))
    with started("run", "flow.yaml", cwd=tmp_path, env={"TOKEN": CANARY}) as process:
        gate.arrived()
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if marked(path.parent)]
        gate.open()
        assert end(process).code == 0
    assert len(lines) >= 4  # runner, zygote, supervisor, step
    assert CANARY.encode() not in b"".join(lines)
    gate.all_gone()


def marked(process: Path) -> bool:
    try:
        return MARK.encode() in (process / "environ").read_bytes()
    except OSError:
        return False


# --- who gets them -----------------------------------------------------------------------------------------------

SHOW = "printf '%s\\n' ${TOKEN+token} ${ALIAS+alias} ${SOURCE+source} | tee got-$WORKFLOW_CURRENT_STEP_ID"


def test_only_the_step_that_asks_gets_what_is_its_own(tmp_path: Path) -> None:
    flow(
        tmp_path,
        f"""
        steps:
          - id: one
            run: "{SHOW}"
            secrets: {{TOKEN: {{env: TOKEN}}, ALIAS: {{env: SOURCE}}}}
            acceptance_tests: ["test $TOKEN"]
          - {{id: two, run: "{SHOW}", secrets: [ALIAS], acceptance_tests: ["test ! $TOKEN"]}}
          - {{id: three, run: "{SHOW}", env: {{SOURCE: mine}}}}
          - {{id: four, run: "{SHOW}"}}
        """,
    )
    ended = stepwave("run", "flow.yaml", cwd=tmp_path, env={"TOKEN": "value-1", "SOURCE": "value-2"})
    assert ended.code == 0, ended.err
    got = {path.name[4:]: path.read_text().split() for path in tmp_path.glob("got-*")}
    assert got == {"one": ["token", "alias", "source"], "two": ["alias", "source"], "three": ["source"], "four": []}


def test_the_values_come_from_where_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/key.txt").write_text("from-file\n\n")
    flow(
        tmp_path / "sub",
        """
        name: sources
        secrets:
          A: {env: OTHER}
          B: {file: key.txt}
          C: {command: "pwd | sed 's|.*/|from |'; echo >&2 noise"}
          D: {command: [printf, '%s', 'a  b']}
          E: {command: cat}
        steps:
          - id: a
            run: printf '%s|' "$A" "$B" "$C" "$D" > got; test -z "$C" || echo {{secrets.C}} {{env.A}} >> got
        """.replace("          E: {command: cat}\n", ""),
    )
    ended = stepwave("run", "sub/flow.yaml", cwd=tmp_path, env={"OTHER": "from env"})
    assert ended.code == 0, ended.err
    assert (tmp_path / "sub/got").read_text() == "from env|from-file\n|from sub|a  b|from sub from env\n"


WITHOUT = [
    ("[TOKEN]", "the environment has no `TOKEN`"),
    ("{TOKEN: {env: EMPTY}}", "it is empty"),
    ("{TOKEN: {file: none}}", "`<here>/none` does not exist"),
    ("{TOKEN: {file: .}}", "`<here>/` is a folder, not a file"),
    ("{TOKEN: {file: empty}}", "it is empty"),
    ("{TOKEN: {file: binary}}", "it is no UTF-8 text"),
    ("{TOKEN: {file: nul}}", "it holds a NUL character, which no environment variable can"),
    ("{TOKEN: {file: large}}", "it is larger than 64 KiB"),
    ("{TOKEN: {file: long}}", "it has more than 400 lines"),
    (
        "{TOKEN: {command: 'echo no such vault >&2; echo half; exit 3'}}",
        "its command failed with exit code 3: no such vault",
    ),
    ("{TOKEN: {command: 'kill -9 $$'}}", "its command was ended by signal 9"),
    ("{TOKEN: {command: [no-such-program]}}", "its command could not be run: command not found: `no-such-program`"),
    ("{TOKEN: {command: 'true'}}", "it is empty"),
    ("{TOKEN: {command: cat}}", "it is empty"),
    ("{TOKEN: {command: 'seq 100000'}}", "its command printed more than 64 KiB"),
]


@pytest.mark.parametrize(("secrets", "reason"), WITHOUT)
def test_without_its_secrets_nothing_is_run(tmp_path: Path, secrets: str, reason: str) -> None:
    for name, data in {
        "empty": b"\n",
        "binary": b"\xff\xfe",
        "nul": b"a\0b",
        "large": b"x" * 70_000,
        "long": b"line\n" * 401,
    }.items():
        (tmp_path / name).write_bytes(data)
    flow(tmp_path, f"secrets: {secrets}\nsteps: [{{id: a, run: touch ran}}]\n")
    ended = stepwave("run", "flow.yaml", cwd=tmp_path, env={"EMPTY": ""})
    assert ended.code == 2
    first = ended.err.split("\n")[0].replace(str(tmp_path), "<here>")
    assert first == f"error[missing-secret]: secret `TOKEN` has no value: {reason}"
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / ".stepwave").exists()


def test_everything_that_is_missing_is_told_at_once_and_without_what_is_there(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        secrets: {A: {env: HERE}, B: {file: none}, C: {command: 'echo "I know $HERE" >&2; exit 1'}}
        steps: [{id: a, run: date}]
        """,
    )
    ended = stepwave("run", "flow.yaml", cwd=tmp_path, env={"HERE": CANARY})
    assert re.findall(r"^error.*", ended.err, re.M) == [
        f"error[missing-secret]: secret `B` has no value: `{tmp_path}/none` does not exist",
        "error[missing-secret]: secret `C` has no value: its command failed with exit code 1: I know ***",
    ]


def test_a_short_one_is_told(tmp_path: Path) -> None:
    flow(tmp_path, "secrets: [PIN]\nsteps: [{id: a, run: 'echo $PIN'}]\n")
    ended = stepwave("run", "flow.yaml", "--json", cwd=tmp_path, env={"PIN": "123"})
    assert json.loads(ended.out)["stepResults"]["a"]["output"] == "123\n"
    assert ended.err.startswith(
        say("""
        warning[weak-secret]: secret `PIN` is too short to be masked: it has fewer than 4 characters
         --> flow.yaml:1:11
        """)
    )
    assert stepwave("run", "flow.yaml", "-q", cwd=tmp_path, env={"PIN": "123"}).err.count("weak") == 0


def test_what_no_step_of_the_run_gets_need_not_be_there(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, run: date}, {id: deploy, run: date, secrets: [KEY]}]")
    assert stepwave("run", "flow.yaml", "--only", "a", cwd=tmp_path).code == 0
    assert stepwave("run", "flow.yaml", cwd=tmp_path).code == 2


def test_a_pasted_command_has_the_name_and_not_the_value(tmp_path: Path) -> None:
    flow(tmp_path, "secrets: [TOKEN]\nsteps: [{id: a, run: 'echo {{secrets.TOKEN}}; exit 3'}]\n")
    ended = stepwave("run", "flow.yaml", "-v", cwd=tmp_path, env={"TOKEN": CANARY})
    pasted = re.findall(r"^ +(cd .* && .*)", ended.err, re.M)[0]
    assert pasted == f"cd {tmp_path} && /bin/sh -e -c 'echo \"${{TOKEN}}\"; exit 3'"
    again = subprocess.run(["sh", "-c", pasted], env={**os.environ, "TOKEN": "x y"}, capture_output=True, check=False)
    assert (again.stdout, again.returncode) == (b"x y\n", 3)


def test_a_script_that_changes_the_variable_still_gets_the_secret(tmp_path: Path) -> None:
    flow(tmp_path, "secrets: [TOKEN]\nsteps: [{id: a, run: 'TOKEN=other; echo {{secrets.TOKEN}} > got'}]\n")
    assert stepwave("run", "flow.yaml", cwd=tmp_path, env={"TOKEN": "the value"}).code == 0
    assert (tmp_path / "got").read_text() == "the value\n"


def test_a_prompt_without_a_newline_is_in_the_log_at_once(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    run = f"printf 'Password: '; {gate.hold}; {gate.wait}"
    flow(tmp_path, json.dumps({"secrets": ["TOKEN"], "steps": [{"id": "a", "run": run}]}))
    with started("run", "flow.yaml", cwd=tmp_path, env={"TOKEN": CANARY}) as process:
        gate.arrived()
        logs = run_folders(tmp_path)[-1] / "logs"
        while not (log := next(logs.glob("*.log"), None)) or log.read_text() != "Password: ":
            assert process.poll() is None
        gate.open()
        assert end(process).code == 0
    gate.all_gone()


# --- the environment of the caller -----------------------------------------------------------------------------------


def test_the_environment_of_the_caller_is_recorded_nowhere(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        env: {OWN: declared}
        steps:
          - {id: a, run: 'test "$CALLER"', retries: 1}
          - {id: b, needs: a, run: exit 3}
        """,
    )
    words = ("--json", "--output", "result.json", "--events", "events.ndjson", "--verbose")
    ended = stepwave("run", "flow.yaml", *words, cwd=tmp_path, env={"CALLER": CANARY, "CANARY_NAME": "x"})
    assert ended.code == 1
    assert_nowhere(tmp_path, ended.out, ended.err)
    for path in files(tmp_path):
        assert b"CANARY_NAME" not in path.read_bytes(), path
    events = [json.loads(line) for line in (tmp_path / "events.ndjson").read_text().splitlines()]
    assert [event["env"] for event in events if event["event"] == "step-started"] == [{"OWN": "declared"}] * 2


# --- later --------------------------------------------------------------------------------------------------------


def test_in_no_record_and_in_nothing_that_is_told_of_it(folder: Path) -> None:
    (folder / "in.txt").write_text("in")
    flow(
        folder,
        f"""
        name: kept
        secrets: [TOKEN, MANY]
        env: {{AUTH: "Bearer {{{{env.TOKEN}}}}"}}
        steps:
          - {{id: prints, command: ["{sys.executable}", leak.py], inputs: [in.txt]}}
          - id: makes
            needs: prints
            run: 'date > out; echo {{{{secrets.TOKEN}}}}{{{{secrets.MANY}}}}'
            inputs: [in.txt]
            outputs: [out]
          - {{id: fails, needs: makes, run: 'test {{{{secrets.TOKEN}}}} = other'}}
        """,
    )
    first = stepwave("run", "flow.yaml", cwd=folder, env=ENV)
    assert first.code == 1
    assert_nowhere(folder, first.err)
    commands = [
        ("runs",), ("status",), ("status", "--json"), ("logs", "prints"), ("logs", "fails"),
        ("explain", "makes"), ("run", "flow.yaml"), ("run", "flow.yaml", "--resume"), ("runs", "--json"),
    ]  # fmt: skip
    for words in commands:
        ended = stepwave(*words, cwd=folder, env={**ENV, "TOKEN": "other"} if "--resume" in words else ENV)
        assert ended.code in (0, 1), (words, ended.err)
        assert_nowhere(folder, ended.out, ended.err)
    last = stepwave("run", "flow.yaml", "--json", cwd=folder, env=ENV)
    assert json.loads(last.out)["stepResults"]["prints"]["status"] == "completed"
    assert [path.name for path in files(folder) if path.name == "ledger.db"], "there is a record"


def test_it_is_explained_without_the_values(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("in")
    run = "echo {{secrets.A}}{{secrets.B}} x{{env.A}}x"
    steps = [
        {"id": "shell", "run": run, "inputs": ["in.txt"]},
        {"id": "words", "command": ["echo", "{{secrets.A}}", "{{env.B}}"], "inputs": ["in.txt"]},
    ]
    flow(tmp_path, json.dumps({"secrets": {"A": {"env": "A"}, "B": {"command": "echo value-of-b"}}, "steps": steps}))
    assert stepwave("run", "flow.yaml", cwd=tmp_path, env={"A": "value-of-a"}).code == 0
    for step in ("shell", "words"):
        ended = stepwave("explain", step, cwd=tmp_path)
        assert (ended.code, "would be reused" in ended.out) == (0, True), ended.out + ended.err


def test_a_new_value_does_not_make_a_step_run_again(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("in")
    flow(
        tmp_path,
        "secrets: [TOKEN]\nsteps: [{id: a, run: 'echo {{secrets.TOKEN}} >> ran', inputs: [in.txt]}]",
    )
    for value in ("first-value", "second-value"):
        assert stepwave("run", "flow.yaml", cwd=tmp_path, env={"TOKEN": value}).code == 0
    assert (tmp_path / "ran").read_text() == "first-value\n"
