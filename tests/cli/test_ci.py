"""In a CI system: groups, annotations and a summary, without being asked; elsewhere nothing of it."""

import json
import re
from pathlib import Path

import pytest

from stepwave.cli import ci
from stepwave.core.telling.exporting.sections import Github, Gitlab
from tests.cli.invoke import Ended, flow, normal, stepwave
from tests.core import hostile

FLOW = """\
    name: Job
    version: 1.0.0
    steps:
      - {id: build, run: "echo built"}
      - id: test
        run: "echo one; echo ::error::pwn; echo '##[error]pwn'; exit 3"
    """
GITHUB = {"GITHUB_ACTIONS": "true"}
GITLAB = {"GITLAB_CI": "true"}


def ran(tmp_path: Path, *words: str, **env: str) -> Ended:
    return stepwave("run", flow(tmp_path, FLOW), "-j1", *words, cwd=tmp_path, env=env)


def said(ended: Ended, folder: Path) -> str:
    return re.sub("[0-9a-f]{32}", "<token>", normal(ended.err, folder))


def test_on_github(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# of another command\n")
    ended = ran(tmp_path, **GITHUB, GITHUB_STEP_SUMMARY=str(summary), GITHUB_WORKSPACE=str(tmp_path))
    assert (ended.code, ended.out) == (1, "")
    assert said(ended, tmp_path).startswith(
        """\
✓ Loading workflow: Job
✓ Building dependency graph (2 steps, 0 dependencies)
✓ Initializing worker pool (max_workers=1)

⟳ Executing steps one at a time:
  → [build] Starting...
  ✓ [build] Complete (<t>)
  → [test] Starting...
  ✗ [test] Failed (<t>): exit code 3
::group::[test] output
::stop-commands::<token>
one
\\x3a:error::pwn
\\x23#[error]pwn
::<token>::
::endgroup::
::stop-commands::<token>
"""
    )
    where, failed = "file=flow.yaml,line=5,col=1,title=step-failed", "step `test` failed: exit code 3"
    printed = "%0Aone%0A::error::pwn%0A##[error]pwn"
    assert said(ended, tmp_path).endswith(f"\n::<token>::\n::error {where}::{failed}{printed}\n")
    text = summary.read_text("utf-8")
    assert text.startswith("# of another command\n### ❌ <code>Job</code> failed in ")
    assert "<pre>one&#10;::error::pwn&#10;&#35;&#35;&#91;error&#93;pwn</pre>" in text


def obeyed(text: str) -> list[str]:
    """What GitHub's runner obeys: everything but what stands between `stop-commands` and its token."""
    found, token = [], ""
    for line in text.split("\n"):
        if token:
            token = "" if line.strip() == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif hostile.commands(line):
            found.append(line)
    assert not token, "commands are stopped for ever"
    return found


def test_nothing_but_our_own_commands_is_obeyed(tmp_path: Path) -> None:
    """Whatever a step is called and prints, and however much is shown of it."""
    (tmp_path / "printed").write_text("\n".join(hostile.CORPUS), "utf-8", errors="surrogatepass")
    file = flow(
        tmp_path,
        """\
        name: "::set-output name=a::b"
        version: 1.0.0
        steps:
          - {id: a, name: "::error::x", run: "cat printed; exit 1", continueOnError: true}
          - {id: b, name: "##[add-mask]x", run: "cat printed >&2; exit 1", continueOnError: true}
          - {id: good, run: "cat printed"}
          - id: late
            needs: [a, b, good]
            run: "echo '##vso[task.x]'; exit 1"
        """,
    )
    for words in ([], ["--verbose"], ["--quiet"]):
        summary = tmp_path / "summary.md"
        ended = stepwave("run", file, *words, cwd=tmp_path, env={**GITHUB, "GITHUB_STEP_SUMMARY": str(summary)})
        assert ended.code == 1
        own = [line for line in obeyed(ended.err) if re.match(r"::(group|endgroup|error file=|warning file=)", line)]
        assert obeyed(ended.err) == own
        groups = sum(line.startswith("::group::") for line in own)
        assert groups == (4 if words == ["--verbose"] else 3)
        assert hostile.commands(summary.read_text("utf-8")) == []


def test_on_gitlab(tmp_path: Path) -> None:
    ended = ran(tmp_path, **GITLAB)
    sections = re.findall(r"\x1b\[0Ksection_(start|end):\d+:([\w.-]+)(.*)\r\x1b\[0K(.*)", ended.err)
    assert sections == [
        ("start", "stepwave__test__output", "[collapsed=true]", "[test] output"),
        ("end", "stepwave__test__output", "", ""),
    ]
    assert "::group::" not in ended.err
    assert hostile.commands(ended.err) == []


NOWHERE: list[tuple[list[str], dict[str, str]]] = [
    ([], {}),
    ([], {"CI": "true", "TRAVIS": "true"}),
    (["--ci", "none"], GITHUB),
    ([], {**GITHUB, "STEPWAVE_CI": "none"}),
    ([], {"GITHUB_ACTIONS": "false"}),
    ([], {**GITHUB, "WORKFLOW_RUN_ID": "20260131-142503-7f3a9c"}),  # itself a step of a run
]


@pytest.mark.parametrize(("words", "env"), NOWHERE)
def test_elsewhere_nothing_is_different(words: list[str], env: dict[str, str], tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    ended = ran(tmp_path, *words, **{"GITHUB_STEP_SUMMARY": str(summary), **env})
    assert hostile.commands(ended.err) == []
    assert "\x1b" not in ended.err
    assert not summary.exists()
    plain = ran(tmp_path)
    assert normal(ended.err) == normal(plain.err)


@pytest.mark.parametrize(
    ("choice", "environ", "kind"),
    [
        ("github", {}, Github),
        ("gitlab", GITHUB, Gitlab),
        ("auto", {**GITHUB, "STEPWAVE_CI": "gitlab"}, Gitlab),
        ("auto", {**GITHUB, "STEPWAVE_CI": "auto"}, Github),
        ("github", {"STEPWAVE_CI": "none"}, Github),
        ("auto", {**GITHUB, "WORKFLOW_RUN_ID": "77"}, Github),  # somebody's own variable
        ("auto", GITLAB, Gitlab),
        ("none", GITLAB, type(None)),
    ],
)
def test_which_system_it_is(choice: str, environ: dict[str, str], kind: type) -> None:
    assert isinstance(ci.system(choice, environ), kind)


def test_a_word_that_is_no_system(tmp_path: Path) -> None:
    ended = ran(tmp_path, STEPWAVE_CI="jenkins")
    assert ended.code == 2
    assert "error[bad-option]: `STEPWAVE_CI=jenkins` is none of auto, none, github, gitlab" in ended.err
    assert ran(tmp_path, "--ci", "jenkins").code == 2


def test_a_summary_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    file = flow(tmp_path, "steps: [{id: a, run: 'true'}]")
    env = {**GITHUB, "GITHUB_STEP_SUMMARY": str(tmp_path / "no/summary")}
    ended = stepwave("run", "-q", file, cwd=tmp_path, env=env)
    assert ended.code == 0
    assert ended.err.endswith("stepwave: the summary of the job could not be written: no such file or directory\n")


def test_a_summary_has_the_room_that_is_left(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    for used in (ci.SUMMARY_BYTES - 2000, ci.SUMMARY_BYTES):
        summary.write_text("x" * used)
        ran(tmp_path, **GITHUB, GITHUB_STEP_SUMMARY=str(summary))
        assert used <= summary.stat().st_size <= ci.SUMMARY_BYTES


def test_without_a_ledger_too(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    ended = ran(tmp_path, "--no-ledger", **GITHUB, GITHUB_STEP_SUMMARY=str(summary))
    assert "::error file=flow.yaml,line=5," in ended.err
    assert "❌ failed" in summary.read_text("utf-8")
    assert not (tmp_path / ".stepwave/ledger.db").exists()


def test_the_output_of_a_failed_test_is_grouped(tmp_path: Path) -> None:
    test = "{id: t, command: 'echo tried; false'}"
    file = flow(tmp_path, f"steps: [{{id: a, run: echo made, acceptanceTests: [{test}]}}]")
    ended = stepwave("run", file, cwd=tmp_path, env=GITHUB)
    assert ended.code == 1
    assert "\ntried\n" in ended.err


def test_the_result_document_holds_no_command(tmp_path: Path) -> None:
    ended = ran(tmp_path, "--json", "--quiet", **GITHUB)
    assert hostile.commands(ended.out) == []
    assert json.loads(ended.out)["stepResults"]["test"]["output"] == "one\n::error::pwn\n##[error]pwn\n"
