"""Environment files as a person uses them: which value a step finds, and what is said of a file that is no good."""

import json
from pathlib import Path

from tests.cli.invoke import flow, say, stepwave

SHOW = 'for name in A B C D E F G; do eval "printf \'%s\\n\' \\"$name=\\${$name-unset}\\""; done'


def outputs(folder: Path, *words: str, **env: str) -> dict[str, str]:
    """What every step printed."""
    ended = stepwave("run", "flow.yaml", "--json", "--quiet", *words, cwd=folder, env=env)
    assert ended.code == 0, ended.err
    return {id: step["output"].rstrip("\n") for id, step in json.loads(ended.out)["stepResults"].items()}


def test_each_layer_lies_over_the_one_before(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("B=file\nC=file\nD=file\nE=file\nF=file\n")
    (tmp_path / "step.env").write_text("E=step-file\nF=step-file\n")
    flow(
        tmp_path,
        f"""
        dotenv: .env
        env: {{C: workflow, D: workflow, E: workflow, F: workflow}}
        defaults: {{env: {{D: defaults, E: defaults, F: defaults}}}}
        steps:
          - id: one
            dotenv: [step.env, missing.env?]
            env: {{F: step}}
            run: |
              {SHOW}
          - id: two
            run: |
              {SHOW}
        """,
    )
    caller = dict.fromkeys("ABCDEF", "caller")
    assert outputs(tmp_path, **caller) == {
        "one": "A=caller\nB=file\nC=workflow\nD=defaults\nE=step-file\nF=step\nG=unset",
        "two": "A=caller\nB=file\nC=workflow\nD=defaults\nE=defaults\nF=defaults\nG=unset",
    }


def test_a_value_is_text_and_nothing_else(tmp_path: Path) -> None:
    value = "{{steps.one.output}} ${env.HOME} ${HOME} $(date) \\{{x}} $${y}"
    (tmp_path / ".env").write_text(f"A='{value}'\n")
    for dialect in ("camel", "snake"):
        flow(
            tmp_path,
            f"""
            dialect: {dialect}
            dotenv: .env
            steps:
              - id: one
                run: printf %s "$A"
              - id: two
                dotenv: .env
                run: printf %s "$A"
              - id: three
                run: printf %s {{{{env.A}}}}
            """,
        )
        assert outputs(tmp_path) == {"one": value, "two": value, "three": value}


def test_files_lie_beside_the_workflow(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/.env").write_text("A=here\n")
    flow(tmp_path / "sub", "dotenv: .env\nsteps:\n  - {id: one, run: echo $A, workingDirectory: /}\n")
    ended = stepwave("run", "sub/flow.yaml", "--json", "--quiet", cwd=tmp_path)
    assert json.loads(ended.out)["stepResults"]["one"]["output"] == "here\n"


def test_a_missing_file_is_an_error_with_a_place(tmp_path: Path) -> None:
    flow(tmp_path, "name: x\ndotenv: [gone.env, also.env?]\nsteps:\n  - {id: one, run: touch ran}\n")
    ended = stepwave("run", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == say(
        """
        error[cannot-read]: `gone.env` does not exist
         --> flow.yaml:2:10
          |
        2 | dotenv: [gone.env, also.env?]
          |          ^^^^^^^^
          = help: write `gone.env?` if it may be missing

        1 error in flow.yaml
        """
    )
    assert not (tmp_path / "ran").exists()


def test_a_bad_line_is_named_and_not_shown(tmp_path: Path) -> None:
    """The file may hold secrets: where the line stands is enough."""
    (tmp_path / ".env").write_text("A=1\nhunter2\n")
    flow(tmp_path, "name: x\ndotenv: .env\nsteps:\n  - {id: one, run: touch ran}\n")
    ended = stepwave("validate", "flow.yaml", cwd=tmp_path)
    assert ended.code == 2
    assert "error[bad-dotenv]: the line has no `=`\n --> .env:2:1\n" in ended.err
    assert "hunter2" not in ended.err + ended.out
    (tmp_path / ".env").write_text("hunter2\n")
    assert "the line has no `=`\n --> .env:1:1\n" in stepwave("validate", "flow.yaml", cwd=tmp_path).err
    (tmp_path / ".env").write_text("A=1\n" * 70_000)
    ended = stepwave("validate", "flow.yaml", cwd=tmp_path)
    assert ended.err == "error[bad-dotenv]: the file is larger than 256 KiB\n --> .env\n\n1 error in .env\n"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    flow(tmp_path, "name: x\ndotenv: .env?\nsteps:\n  - {id: one, run: 'true'}\n")
    ended = stepwave("validate", "flow.yaml", cwd=tmp_path)
    assert ended.code == 2
    assert "error[cannot-read]: `.env` is a folder, not a file" in ended.err
