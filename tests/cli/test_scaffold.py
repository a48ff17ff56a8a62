"""What `init-config` writes is checked as a newcomer meets it: as text, as data and as a run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
import yaml

from stepwave.core.scaffold import FORMATS, KINDS, SCHEMA, Format, Kind, scaffold

Steps = list[dict[str, object]]


def steps_of(kind: Kind) -> Steps:
    return cast(Steps, json.loads(scaffold(kind, "json"))["steps"])


def needs_of(step: dict[str, object]) -> list[str]:
    return cast(list[str], step.get("dependsOn", step.get("depends_on", [])))


@pytest.mark.parametrize("kind", KINDS)
def test_yaml_and_json_say_the_same(kind: Kind) -> None:
    document = json.loads(scaffold(kind, "json"))
    assert next(iter(document)) == "$schema"
    assert document.pop("$schema") == SCHEMA
    assert document == yaml.safe_load(scaffold(kind, "yaml"))


@pytest.mark.parametrize("kind", KINDS)
def test_yaml_begins_with_the_modeline_and_is_explained(kind: Kind) -> None:
    text = scaffold(kind, "yaml")
    assert text.startswith(f"# yaml-language-server: $schema={SCHEMA}\n#\n# ")
    assert text.count("#") >= 5
    assert text.endswith("\n")
    assert "\t" not in text
    assert len(text.splitlines()) < 70
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("kind", KINDS)
def test_a_workflow_has_a_name_a_version_and_a_known_graph(kind: Kind) -> None:
    document = yaml.safe_load(scaffold(kind, "yaml"))
    ids = [step["id"] for step in document["steps"]]
    assert document["name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", document["version"])
    assert len(ids) == len(set(ids)) >= 3
    assert all(set(needs_of(step)) <= set(ids[:place]) for place, step in enumerate(document["steps"]))


@pytest.mark.parametrize("kind", KINDS)
def test_references_lead_to_variables_and_to_steps_that_ran_before(kind: Kind) -> None:
    document = yaml.safe_load(scaffold(kind, "yaml"))
    before: dict[str, set[str]] = {}
    for step in document["steps"]:
        before[step["id"]] = set(needs_of(step)).union(*(before[need] for need in needs_of(step)))
        text = json.dumps(step)
        assert set(re.findall(r"steps\.([\w-]+)\.", text)) <= before[step["id"]]
        assert set(re.findall(r"variables\.(\w+)", text)) <= set(document.get("variables", {}))


@pytest.mark.parametrize("kind", KINDS)
def test_it_validates_strictly_and_runs(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "flow.json").write_text(scaffold(kind, "json"), encoding="utf-8")
    (tmp_path / "flow.yaml").write_text(scaffold(kind, "yaml"), encoding="utf-8")
    for words in (["validate", "--strict", "flow.json"], ["run", "--strict", "flow.yaml"]):
        ended = subprocess.run(
            [sys.executable, "-m", "stepwave", *words],
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not {path.name for path in tmp_path.iterdir()} - {"flow.json", "flow.yaml", ".stepwave"}


def test_the_workstream_is_in_its_own_dialect() -> None:
    document = json.loads(scaffold("workstream", "json"))
    assert document["execution"]["parallel"] is True
    assert all("depends_on" in step and "dependsOn" not in step for step in document["steps"])
    assert not any(key in step for step in document["steps"] for key in ("tool", "agent", "tasks"))


@pytest.mark.parametrize("format", FORMATS)
def test_an_unknown_type_is_refused(format: Format) -> None:
    with pytest.raises(ValueError, match="one of basic, parallel, workstream, ci, data"):
        scaffold(cast(Kind, "scientific"), format)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="one of yaml, json"):
        scaffold("basic", cast(Format, "toml"))
