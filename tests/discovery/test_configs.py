"""`discover configs` and `discover workflows`."""

from pathlib import Path

import pytest

from stepwave.discovery import discover_configs
from stepwave.discovery.configs import ConfigInfo, has_word, list_configs

FILES = {
    "config/amalgkit/workflow.yaml": "name: deploy\nsteps:\n  - {id: a, run: date}\n  - {id: b, run: !x date}\n",
    "config/top.toml": "[tool]\nx = 1\n",
    "plan.json": '{"plan_id": "p", "steps": [{"id": "a", "command": "true"}]}',
    "stream.yml": "id: s\ntool: coder\ntasks: [x]\n",
    "schema.json": '{"$schema": "https://json-schema.org/draft", "steps": [{}]}',
    "phases.yaml": "phases:\n  one: {steps: [{id: a}]}\n  two: {steps: {b: {run: x}}}\n",
    "setup.cfg": "[metadata]\nname = x\n",
    "bad.ini": "no section\n",
    "bad.yaml": "x: 1\na: b: c\n",
    "bad.json": "{\n 'x': 1}",
    "bad.toml": "a = 1\nb = \n",
    ".env": "# c\nexport A=1\nB=2\n",
    "deep.json": "[" * 100_000,
    "two.yaml": "a: 1\n---\nsteps: [{id: x}]\n",
    "notes.txt": "x: 1\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def by_name(tree: Path) -> dict[str, ConfigInfo]:
    return {config.path: config for config in list_configs(str(tree)).configs}


def test_kinds_keys_and_errors(tree: Path) -> None:
    found = by_name(tree)
    assert {path: c.kind for path, c in found.items() if c.kind != "other"} == {
        "config/amalgkit/workflow.yaml": "workflow", "plan.json": "plan", "stream.yml": "workstream",
        "phases.yaml": "workflow", "two.yaml": "workflow",
    }  # fmt: skip
    assert found["config/amalgkit/workflow.yaml"].keys == ("name", "steps")
    assert (found["config/amalgkit/workflow.yaml"].name, found["phases.yaml"].steps) == ("deploy", 2)
    assert found[".env"].keys == ("A", "B")
    assert found["setup.cfg"].keys == ("metadata",)
    errors = {path: (c.error_line, c.error) for path, c in found.items() if c.error}
    assert {path: line for path, (line, _) in errors.items()} == {
        "bad.ini": 1, "bad.yaml": 2, "bad.json": 2, "bad.toml": 2, "deep.json": 1,
    }  # fmt: skip
    assert all(text.startswith("does not parse: ") for _, text in errors.values())
    assert "notes.txt" not in found


def test_domains(tree: Path) -> None:
    assert [Path(c.path).name for c in discover_configs(tree, "amalgkit")] == ["workflow.yaml"]
    assert {c.domain for c in discover_configs(tree, "amalgkit")} == {"amalgkit"}
    assert by_name(tree)["config/amalgkit/workflow.yaml"].domain == "amalgkit"
    assert by_name(tree)["plan.json"].domain is None
    assert discover_configs(tree, "amalg") == []


@pytest.mark.parametrize(
    ("path", "domain", "fits"),
    [
        ("train/a.yaml", "train", True),
        ("train_model.yaml", "train", True),
        ("my-train-set/x/a.yaml", "train", True),
        ("trainModel.yaml", "model", True),
        ("TRAIN.yaml", "train", True),
        ("training.yaml", "train", False),
        ("a.train", "train", False),
        ("rna_seq/a.yaml", "rna-seq", True),
        ("rna/seq.yaml", "rna-seq", False),
        ("a.yaml", "", False),
    ],
)
def test_a_domain_is_a_whole_word(path: str, domain: str, fits: bool) -> None:
    assert has_word(path, domain) is fits
