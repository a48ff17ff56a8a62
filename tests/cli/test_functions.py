"""Steps that call Python functions, through the whole program."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.invoke import flow, say, stepwave

TASKS = """
import os, time
print("imported")

def release(version, notes=None, *, dry=False):
    print("releasing", version)
    return {"tag": f"v{version}", "kind": type(version).__name__, "notes": notes, "dry": dry, "at": os.getcwd(),
            "stage": os.environ["STAGE"]}

async def later(text):
    return text.upper()

def forever(): time.sleep(100)
def fails(): raise ValueError("no luck")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "tasks.py").write_text(TASKS)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def results(folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    ended = stepwave("run", "flow.yaml", "--json", "--quiet", *words, cwd=folder)
    assert ended.code == code, ended.err
    found: dict[str, Any] = json.loads(ended.out)["stepResults"]
    return found


def test_a_function_gets_native_values_and_gives_a_result_that_others_read(folder: Path) -> None:
    flow(
        folder,
        """
        variables: {version: 3, flags: {dry: true}}
        steps:
          - id: release
            function: lib.tasks:release
            workingDirectory: elsewhere
            env: {STAGE: test}
            params:
              version: "{{variables.version}}"
              dry: "{{variables.flags.dry}}"
              notes: [first, "for {{variables.version}}", null, 1.5]
          - {id: shout, needs: release, function: lib.tasks:later, config: {text: "{{steps.release.output.tag}} é"}}
          - {id: tell, needs: [release, shout], run: 'echo {{steps.release.output.kind}} {{steps.shout.output}}'}
        """,
    )
    found = results(folder)
    assert json.loads(found["release"]["output"]) == {
        "tag": "v3", "kind": "int", "notes": ["first", "for 3", None, 1.5], "dry": True,
        "at": str(folder / "elsewhere"), "stage": "test",
    }  # fmt: skip
    assert found["tell"]["output"] == "int V3 É\n"
    log = Path(found["release"]["stderrPath"]).read_text()
    assert "imported\nreleasing 3\n" in log


def test_a_function_that_fails_shows_its_own_traceback(folder: Path) -> None:
    flow(folder, "steps: [{id: a, function: 'lib.tasks:fails'}]")
    ended = stepwave("run", "flow.yaml", cwd=folder)
    assert ended.code == 1
    assert "ValueError: no luck" in ended.err
    assert 'File "' in ended.err
    assert 'call.py"' not in ended.err


def test_wrong_arguments_are_told_with_the_signature_and_exit_code_2(folder: Path) -> None:
    flow(folder, "steps: [{id: a, function: 'lib.tasks:later', params: {txt: x}}]")
    step = results(folder, code=1)["a"]
    assert step["exitCode"] == 2
    log = Path(step["stderrPath"]).read_text()
    assert "stepwave: `lib.tasks:later` takes (text): " in log


def test_the_time_limit_of_the_step_holds(folder: Path) -> None:
    flow(folder, "steps: [{id: a, function: 'lib.tasks:forever', timeout: 200ms}]")
    assert results(folder, code=1)["a"]["status"] == "timeout"


def test_a_function_that_is_not_there_is_told_before_anything_runs(folder: Path) -> None:
    flow(
        folder,
        """
        steps:
          - {id: a, run: touch started}
          - {id: b, function: 'lib.tasks:relase'}
          - {id: c, function: 'lib.task:release'}
          - {id: d, module: static_analysis, action: analyze, parameters: {path: .}}
        """,
    )
    ended = stepwave("run", "flow.yaml", cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == say(
        """
        error[unknown-function]: the module `lib.tasks` has no `relase`
         --> flow.yaml:4:23
          |
        4 |   - {id: b, function: 'lib.tasks:relase'}
          |                       ^^^^^^^^^^^^^^^^^^
          = help: did you mean `release`?

        error[unknown-function]: there is no module `lib.task`
         --> flow.yaml:5:23
          |
        5 |   - {id: c, function: 'lib.task:release'}
          |                       ^^^^^^^^^^^^^^^^^^
          = help: did you mean `tasks`?

        error[unknown-function]: there is no module `static_analysis`
         --> flow.yaml:6:21
          |
        6 |   - {id: d, module: static_analysis, action: analyze, parameters: {path: .}}
          |                     ^^^^^^^^^^^^^^^
          = help: put it beside the workflow file, or install it for the Python of stepwave; or write `command:`

        3 errors in flow.yaml
        """
    )
    assert not (folder / "started").exists()


def test_no_module_is_imported_to_check_a_file(folder: Path) -> None:
    (folder / "loud.py").write_text("open('imported', 'w')\ndef f(): ...\n")
    flow(folder, "steps: [{id: a, function: 'loud:f'}]")
    assert stepwave("validate", "flow.yaml", cwd=folder).code == 0
    assert not (folder / "imported").exists()


def test_an_included_file_has_its_own_modules(folder: Path) -> None:
    flow(folder, "include: [lib/more.yaml]\nsteps: [{id: a, run: 'true'}]")
    flow(folder / "lib", "steps: [{id: f, function: 'tasks:later', params: {text: x}}]", "more.yaml")
    outputs = [step["output"] for step in results(folder).values()]
    assert '"X"\n' in outputs
