"""`stepwave export`, and what `run --junit` and `run --trace` write."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stepwave.cli.recorded import CiSystem, ExportFormat
from stepwave.core.telling.exporting import FORMATS
from stepwave.core.tracing import trace_of
from tests.cli.invoke import Ended, flow, run_folders, stepwave

FLOW = """\
    name: Trip
    version: 1.0.0
    steps:
      - {id: build, run: "echo built"}
      - {id: test, needs: build, run: "echo '<b>bad</b>' >&2; exit 3"}
      - {id: ship, needs: test, run: "true"}
    """


def ran(tmp_path: Path, *words: str | Path) -> Ended:
    ended = stepwave("run", "--quiet", flow(tmp_path, FLOW), *words, cwd=tmp_path)
    assert ended.code == 1, ended.err
    return ended


def result_of(path: Path) -> dict[str | None, str]:
    cases = ElementTree.parse(path).getroot().iter("testcase")
    kinds = ("failure", "error", "skipped")
    return {case.get("name"): next((kind for kind in kinds if case.find(kind) is not None), "passed") for case in cases}


def test_the_command_knows_the_forms_there_are() -> None:
    assert tuple(format.value for format in ExportFormat) == FORMATS


def test_the_systems_are_the_same_everywhere() -> None:
    from stepwave.cli import ci, quick

    assert tuple(system.value for system in CiSystem) == ci.CHOICES == quick._choices["ci"]


@pytest.mark.parametrize("format", FORMATS)
def test_every_form_of_a_recorded_run(format: str, tmp_path: Path) -> None:
    ran(tmp_path)
    printed = stepwave("export", "--format", format, cwd=tmp_path)
    assert (printed.code, printed.err) == (0, "")
    assert "test" in printed.out
    written = stepwave("export", "latest", "--format", format, "-o", "out", cwd=tmp_path)
    assert written == (0, "", "")
    assert (tmp_path / "out").read_bytes().decode() == printed.out


def test_of_a_run_of_another_folder(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    ran(tmp_path / "there")
    (folder,) = run_folders(tmp_path / "there")
    words = ["export", folder.name[:15], "--format", "json", "--file", "../there/flow.yaml"]
    document = json.loads(stepwave(*words, cwd=tmp_path / "here").out)
    assert (document["run"], document["folder"], document["status"]) == (folder.name, str(folder), "failed")
    assert [step["state"] for step in document["steps"]] == ["completed", "failed", "skipped"]


def test_without_a_run_there_is_nothing_to_export(tmp_path: Path) -> None:
    ended = stepwave("export", "--format", "csv", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error[")


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    ran(tmp_path)
    ended = stepwave("export", "--format", "csv", "-o", "no/such/out", cwd=tmp_path)
    assert ended == (3, "", "stepwave: no/such/out could not be written: no such file or directory\n")


def test_the_spans_are_those_that_the_steps_were_told(tmp_path: Path) -> None:
    caller = f"00-{'ab' * 16}-{'cd' * 8}-01"
    file = flow(tmp_path, "steps: [{id: a, run: 'echo $TRACEPARENT'}]")
    run = json.loads(stepwave("run", "--json", file, cwd=tmp_path, env={"TRACEPARENT": caller}).out)
    ended = stepwave("export", "--format", "otlp-json", cwd=tmp_path, env={"TRACEPARENT": caller})
    root, span = json.loads(ended.out)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert f"00-{span['traceId']}-{span['spanId']}-01\n" == run["stepResults"]["a"]["output"]
    assert (root["parentSpanId"], span["parentSpanId"]) == ("cd" * 8, root["spanId"])
    assert root["spanId"] == trace_of(run["runId"]).span()


# --- at the end of a run -----------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["--no-ledger"]])
def test_a_run_writes_what_it_was_asked_for(more: list[str], tmp_path: Path) -> None:
    ran(tmp_path, "--junit", "junit.xml", "--trace", "trace.json", "--report", "report.html", *more)
    assert result_of(tmp_path / "junit.xml") == {"build": "passed", "test": "failure", "ship": "skipped"}
    output = ElementTree.parse(tmp_path / "junit.xml").find(".//testcase[@name='test']/system-out")
    assert output is not None
    assert output.text == "<b>bad</b>\n"
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {event["name"] for event in events if event["ph"] == "X"} == {"build", "test"}
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.startswith("<!")
    assert "Trip" in page
    assert "<b>bad</b>" not in page
    assert (tmp_path / ".stepwave/ledger.db").exists() is (not more)


def test_a_run_and_its_export_are_the_same(tmp_path: Path) -> None:
    """What was seen, what was recorded, and what was recorded some time ago."""
    ran(tmp_path, "--junit", "junit.xml", "--trace", "trace.json")
    for format, file in (("junit", "junit.xml"), ("perfetto", "trace.json")):
        later = stepwave("export", "--format", format, cwd=tmp_path)
        assert later.out == (tmp_path / file).read_text()


def test_a_run_that_is_not_started_writes_nothing(tmp_path: Path) -> None:
    file = flow(tmp_path, "steps: [{id: a, run: 'true', needs: b}]")
    assert stepwave("run", file, "--junit", "junit.xml", cwd=tmp_path).code == 2
    assert not (tmp_path / "junit.xml").exists()


def test_retry_and_resume_write_them_too(tmp_path: Path) -> None:
    ran(tmp_path)
    ended = stepwave("run", "--resume", "latest", "flow.yaml", "-q", "--junit", "junit.xml", cwd=tmp_path)
    assert ended.code == 1
    assert result_of(tmp_path / "junit.xml") == {"build": "passed", "test": "failure", "ship": "skipped"}
    assert 'name="taken from"' in (tmp_path / "junit.xml").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--junit", "no/such"], "error[cannot-write]: `--junit`: the folder of `no/such` does not exist"),
        (["--trace", "flow.yaml"], "error[cannot-write]: `--trace`: `flow.yaml` is the workflow itself"),
        (["--junit", "x", "--trace", "x"], "`--junit` and `--trace` name the same file"),
        (["--junit", "x", "--output", "x"], "`--output` and `--junit` name the same file"),
        (["--dry-run", "--junit", "x"], "`--dry-run` runs nothing that `--junit` could tell of"),
        (["--json", "--junit", "-"], "standard output can take only one of `--json`, `--junit`"),
        (["--report", "no/such"], "error[cannot-write]: `--report`: the folder of `no/such` does not exist"),
        (["--junit", "-", "--trace", "-"], "standard output can take only one of `--junit`, `--trace`"),
    ],
)
def test_what_cannot_be_written_is_told_before_the_run(words: list[str], said: str, tmp_path: Path) -> None:
    ended = stepwave("run", flow(tmp_path, FLOW), *words, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert not (tmp_path / ".stepwave").exists()


def test_to_standard_output(tmp_path: Path) -> None:
    ended = ran(tmp_path, "--junit", "-")
    assert ElementTree.fromstring(ended.out).tag == "testsuites"


def test_a_full_disk_fails_a_run_that_had_succeeded(tmp_path: Path) -> None:
    file = flow(tmp_path, "steps: [{id: a, run: 'true'}]")
    ended = stepwave("run", "-q", file, "--junit", "/dev/full", cwd=tmp_path)
    assert ended.code == 3
    assert "stepwave: /dev/full could not be written: no space left on device\n" in ended.err
