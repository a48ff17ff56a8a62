"""Every example is valid, to the letter, and runs to a good end on a bare machine, leaving nothing behind."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.invoke import ROOT, stepwave

EXAMPLES = sorted(file for file in (ROOT / "examples" / "workflows").iterdir() if file.is_file())


def git_status() -> str:
    done = subprocess.run(
        ["git", "status", "--porcelain", "examples"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout


def test_there_are_as_many_as_promised() -> None:
    assert len([file for file in EXAMPLES if file.suffix in {".yaml", ".json"}]) >= 8
    assert {file.suffix for file in EXAMPLES} == {".yaml", ".json"}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.name))
def test_it_validates_strictly_and_runs(file: Path, tmp_path: Path) -> None:
    name = f"examples/workflows/{file.name}"
    checked = stepwave("validate", "--strict", name, cwd=ROOT, env={"HOME": str(tmp_path)})
    assert (checked.code, checked.err) == (0, "")
    assert checked.out.startswith(f"✓ {name}: valid (")
    tmp, state = tmp_path / "tmp", tmp_path / "state"
    tmp.mkdir()
    env = {"HOME": str(tmp_path), "TMPDIR": str(tmp), "STEPWAVE_STATE_DIR": str(state)}
    before = git_status()
    ran = stepwave("run", name, cwd=ROOT, env=env)
    assert ran.code == 0, ran.err
    assert git_status() == before
    assert [path.name for path in tmp.iterdir() if not path.name.startswith("pytest-")] == []


def test_sabotage_is_told(tmp_path: Path) -> None:
    """What the comments of the example promise."""
    env = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "STEPWAVE_STATE_DIR": str(tmp_path / "state")}
    name = "examples/workflows/error-handling.yaml"
    ran = stepwave("run", name, "--var", "sabotage=true", cwd=ROOT, env=env)
    assert ran.code == 1
    assert "✗ [strict] Failed" in ran.err
    assert "[bystander] Cancelled" in ran.err
    assert "✓ [shielded] Complete" in ran.err
    assert "✓ [clean-up] Complete" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
