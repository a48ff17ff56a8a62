"""The package as a whole: what it promises, what it costs to import, and the example."""

import ast
import subprocess
import sys
from pathlib import Path

import stepwave.workflow
from tests.cli.invoke import ROOT, clean_environment

PROMISED = {
    *("WorkflowStep", "BaseWorkflowOrchestrator", "validate_config_file", "create_sample_config"),
    *("run_config_based_workflow", "Workflow", "WorkflowResult", "WorkflowFailed"),
}


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**clean_environment(folder), "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-W", "error", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_the_names_that_are_promised() -> None:
    assert set(stepwave.workflow.__all__) == PROMISED
    assert all(getattr(stepwave.workflow, name).__doc__ for name in PROMISED)


def test_importing_it_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = {"yaml", "rich", "jsonschema", "psutil", "regex", "sqlite3", "asyncio", "typer", "multiprocessing"}
    program = f"import sys, stepwave.workflow; print(sorted({heavy!r} & set(sys.modules)))"
    done = python(tmp_path, "-c", program)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_run_of_functions_loads_nothing_heavy_either(tmp_path: Path) -> None:
    heavy = {"yaml", "rich", "jsonschema", "psutil", "regex", "sqlite3", "asyncio", "typer", "multiprocessing"}
    program = (
        "import sys; from stepwave.workflow import Workflow\n"
        "r = Workflow('x').step('a', lambda: 1).step('b', lambda a: a, needs='a').run(record=False)\n"
        f"print(r.results, sorted({heavy!r} & set(sys.modules)))"
    )
    done = python(tmp_path, "-c", program)
    assert (done.stdout, done.stderr) == ("{'a': 1, 'b': 1} []\n", "")


def test_the_command_run_does_not_know_of_it(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text("steps: [{id: a, run: 'true'}]")
    program = (
        "import sys; sys.argv = ['stepwave', 'run', '-q', 'flow.yaml']\n"
        "from stepwave.cli import door\n"
        "door()\n"
        "print([name for name in sys.modules if 'workflow.' in name or 'callables' in name])"
    )
    done = python(tmp_path, "-c", program)
    found = {name for name in ast.literal_eval(done.stdout) if not name.startswith("stepwave.core.")}
    assert found == set(), done.stderr


def test_the_example_runs(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("three small words")
    done = python(tmp_path, str(ROOT / "examples/python/report.py"), str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    first, last = done.stdout.splitlines()
    assert first.endswith(", the weather is fine (answered at attempt 2); a.txt: 3 words")
    assert last == "2 lines, 7 steps"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_the_usage_of_the_seed(tmp_path: Path) -> None:
    """As it stands there, but for the import line."""
    (tmp_path / "config" / "amalgkit").mkdir(parents=True)
    (tmp_path / "config/amalgkit/workflow.yaml").write_text("steps: {fetch: {run: echo fetched}}")
    program = (
        "from stepwave.workflow import run_config_based_workflow\n"
        'print(run_config_based_workflow("config/amalgkit/workflow.yaml")["results"])\n'
    )
    done = python(tmp_path, "-c", program)
    assert (done.stdout, done.stderr) == ("{'fetch': 'fetched'}\n", "")
