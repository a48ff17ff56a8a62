"""`export-ci`: the file of a CI system on standard output or in a file."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.cli.invoke import clean_environment, flow, stepwave

TEXT = """
    name: Checks
    version: 1.0.0
    timeout: 30m
    variables: {target: all}
    secrets: [TOKEN]
    steps:
      - {id: test, inputs: [src], run: 'echo {{target}}'}
    """


def test_to_standard_output_from_the_top_of_the_repository_on(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "ci").mkdir()
    flow(tmp_path / "ci", TEXT)
    ended = stepwave("export-ci", "github", "flow.yaml", cwd=tmp_path / "ci")
    assert (ended.code, ended.err) == (0, "")
    job = yaml.safe_load(ended.out)["jobs"]["stepwave"]
    assert job["timeout-minutes"] == 40
    assert job["steps"][-2] == {
        "name": "stepwave run",
        "env": {
            "TOKEN": "${{ secrets.TOKEN }}",
            "STEPWAVE_VARIABLES": "${{ inputs && toJSON(inputs) || '{}' }}",
        },
        "run": 'stepwave run ci/flow.yaml --vars "$STEPWAVE_VARIABLES" --junit stepwave-junit.xml'
        " --report stepwave-report.html",
    }


def test_the_command_of_the_job_runs(tmp_path: Path) -> None:
    """What is written for GitLab, read back and given to a shell."""
    flow(tmp_path, TEXT, "odd $name [x] ${{ y }}.yaml")
    (tmp_path / "src").mkdir()
    ended = stepwave("export-ci", "gitlab", "odd $name [x] ${{ y }}.yaml", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    job = yaml.safe_load(ended.out)["stepwave"]
    assert job["artifacts"]["reports"] == {"junit": "stepwave-junit.xml"}
    environ = {**clean_environment(tmp_path), "TOKEN": "token-of-a-test", "STEPWAVE_VARIABLES": '{"target": "one"}'}
    done = subprocess.run(
        ["/bin/sh", "-c", job["script"][-1]], cwd=tmp_path, env=environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"<testsuite" in (tmp_path / "stepwave-junit.xml").read_bytes()
    assert (tmp_path / "stepwave-report.html").stat().st_size > 1000
    (log,) = tmp_path.glob(".stepwave/runs/*/logs/*")
    assert log.read_text() == "one\n"


def test_a_file_is_overwritten_only_when_asked_for(tmp_path: Path) -> None:
    flow(tmp_path, TEXT)
    ended = stepwave("export-ci", "gitlab", "flow.yaml", "-o", ".gitlab-ci.yml", cwd=tmp_path)
    assert ended == (0, "", "wrote .gitlab-ci.yml\n  gitlab looks for it at .gitlab-ci.yml\n")
    written = (tmp_path / ".gitlab-ci.yml").read_text()
    (tmp_path / ".gitlab-ci.yml").write_text("mine")
    ended = stepwave("export-ci", "gitlab", "flow.yaml", "-o", ".gitlab-ci.yml", cwd=tmp_path)
    assert ended == (
        2,
        "",
        "error[file-exists]: `.gitlab-ci.yml` is already there\n --> command line\n"
        "  = help: --force overwrites it\n\n1 error on the command line\n",
    )
    assert (tmp_path / ".gitlab-ci.yml").read_text() == "mine"
    assert stepwave("export-ci", "gitlab", "flow.yaml", "-o", ".gitlab-ci.yml", "--force", cwd=tmp_path).code == 0
    assert (tmp_path / ".gitlab-ci.yml").read_text() == written


def test_a_folder_of_workstreams(tmp_path: Path) -> None:
    (tmp_path / "streams").mkdir()
    flow(
        tmp_path / "streams", "{id: one, steps: [{id: a, inputs: [], outputs: [x.txt], run: date > x.txt}]}", "one.yaml"
    )
    ended = stepwave("export-ci", "gitlab", "streams", cwd=tmp_path)
    job = yaml.safe_load(ended.out)["stepwave"]
    assert job["script"][-1].startswith("stepwave run streams --junit ")
    assert job["cache"][1]["paths"] == ["streams/.stepwave", "streams/x.txt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["github", "gone.yaml"], "error[cannot-read]: `gone.yaml` does not exist"),
        (["github", "bad.yaml"], "error[unknown-step]"),
        (["github", "../outside.yaml"], "is not below this folder, which is no repository"),
        (["github", "flow.yaml", "-o", "no/such/folder.yml"], "the folder of `no/such/folder.yml` does not exist"),
        (["github", "two\nlines.yaml"], "cannot be written into the file of a job"),
        (["jenkins", "flow.yaml"], "'jenkins'"),
    ],
)
def test_what_cannot_be_written(words: list[str], said: str, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for folder, name in ((here, "flow.yaml"), (tmp_path, "outside.yaml"), (here, "two\nlines.yaml")):
        flow(folder, TEXT, name)
    flow(here, "steps: [{id: a, run: date, needs: b}]", "bad.yaml")
    ended = stepwave("export-ci", *words, cwd=here)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
