"""`explain`: why a step would run now, or be reused. Whole output."""

from pathlib import Path

from tests.cli.invoke import flow, normal, say, stepwave

FLOW = """
    name: Explained
    variables: {version: 1}
    steps:
      - id: compile
        inputs: [src/*.c]
        outputs: [app]
        env: {CC: gcc}
        run: cat src/*.c > app; echo {{version}} >> app
      - {id: pack, dependsOn: compile, inputs: [app], run: 'true'}
      - {id: list, run: echo hello}
      - {id: told, dependsOn: list, inputs: [], run: 'echo {{steps.list.output}}'}
      - {id: ask, type: condition, expression: 'true', onTrue: [list]}
      - {id: bad, inputs: [], run: exit 4}
"""


def explain(folder: Path, *words: str) -> str:
    ended = stepwave("explain", *words, cwd=folder)
    assert (ended.code, ended.err) == (0, ""), ended.err
    return normal(ended.out)


def ready(folder: Path) -> None:
    (folder / "src").mkdir()
    (folder / "src" / "a.c").write_text("a")
    (folder / "src" / "b.c").write_text("b")
    flow(folder, FLOW)
    assert stepwave("run", "flow.yaml", "-q", "-k", cwd=folder).code == 1


def test_before_anything_has_run(tmp_path: Path) -> None:
    flow(tmp_path, FLOW)
    assert explain(tmp_path, "compile", "--file", "flow.yaml") == "compile would run:\n  never succeeded\n"
    assert explain(tmp_path, "compile") == "compile would run:\n  never succeeded\n"  # the only workflow here


def test_what_would_be_reused(tmp_path: Path) -> None:
    ready(tmp_path)
    assert explain(tmp_path, "compile") == "compile would be reused: nothing has changed since run <run>\n"
    (tmp_path / "src" / "a.c").write_text("new")
    assert explain(tmp_path, "pack") == say("""
        pack would be reused: nothing has changed since run <run>
          compile runs before it, and may change that
    """)


def test_every_difference_is_told(tmp_path: Path) -> None:
    ready(tmp_path)
    (tmp_path / "src" / "a.c").write_text("new")
    (tmp_path / "src" / "b.c").unlink()
    (tmp_path / "src" / "c.c").touch()
    (tmp_path / "app").unlink()
    flow(tmp_path, FLOW.replace("CC: gcc", "CC: clang"))
    assert explain(tmp_path, "compile", "--var", "version=2") == say("""
        compile would run; since it last succeeded (run <run>):
          env CC: gcc -> clang
          variable version: 1 -> 2
          input src/a.c changed
          input src/b.c is gone
          input src/c.c is new
          output app is missing
    """)
    flow(tmp_path, FLOW)
    (tmp_path / "app").write_text("something else")
    (tmp_path / "src" / "a.c").write_text("a")
    (tmp_path / "src" / "b.c").write_text("b")
    (tmp_path / "src" / "c.c").unlink()
    assert explain(tmp_path, "compile") == say("""
        compile would run; since it last succeeded (run <run>):
          output app changed
    """)


def test_what_runs_every_time(tmp_path: Path) -> None:
    ready(tmp_path)
    assert explain(tmp_path, "list") == say("""
        list runs every time: it does not say what it reads (`inputs`)
          last time (run <run>): completed
    """)
    assert explain(tmp_path, "ask").splitlines()[0] == "ask runs every time: a condition is asked again"


def test_what_is_known_only_when_another_step_has_run(tmp_path: Path) -> None:
    ready(tmp_path)
    unknown = "it refers to what another step brings, which is known only when that has run"
    assert explain(tmp_path, "told") == f"told may run: {unknown}\n"
    flow(tmp_path, FLOW.replace("echo {{steps", "printf {{steps"))
    assert explain(tmp_path, "told") == say("""
        told would run; since it last succeeded (run <run>):
          run changed
    """)


def test_what_never_succeeded(tmp_path: Path) -> None:
    ready(tmp_path)
    assert explain(tmp_path, "bad") == say("""
        bad would run:
          never succeeded
          last time (run <run>): failed: exit code 4
    """)


def test_many_differences_are_counted(tmp_path: Path) -> None:
    ready(tmp_path)
    for n in range(30):
        (tmp_path / "src" / f"n{n}.c").touch()
    lines = explain(tmp_path, "compile").splitlines()
    assert len(lines) == 22 and lines[-1] == "  and 10 more"


def test_what_a_secret_or_the_environment_brings_is_not_told(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, inputs: [], env: {A: '{{env.WORD}}'}, run: 'echo {{env.OTHER}}'}]")
    env = {"WORD": "hush1", "OTHER": "hush2"}
    assert stepwave("run", "flow.yaml", "-q", cwd=tmp_path, env=env).code == 0
    ended = stepwave("explain", "a", cwd=tmp_path, env={**env, "WORD": "hush3", "OTHER": "hush4"})
    assert ended.out.splitlines()[1:] == ["  what is filled into its command changed", "  env A changed"]
    kept = b"".join(path.read_bytes() for path in (tmp_path / ".stepwave").glob("ledger.db*"))
    assert kept and b"hush" not in kept


def test_the_name_of_a_matrix_stands_for_all_its_steps(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: m, matrix: {os: [x, y]}, inputs: ['{{matrix.os}}'], run: 'true'}]")
    (tmp_path / "x").touch()
    assert stepwave("run", "flow.yaml", "-q", cwd=tmp_path).code == 0
    assert explain(tmp_path, "m") == say("""
        m[os=x] would be reused: nothing has changed since run <run>
        m[os=y] would run; since it last succeeded (run <run>):
          input y is missing
    """)


def test_a_step_with_a_secret_is_compared_without_it(tmp_path: Path) -> None:
    flow(tmp_path, "{secrets: [TOKEN], steps: [{id: a, inputs: [], run: 'test -n $TOKEN; echo {{secrets.TOKEN}}'}]}")
    assert stepwave("run", "flow.yaml", "-q", cwd=tmp_path, env={"TOKEN": "hush-hush"}).code == 0
    assert explain(tmp_path, "a") == "a would be reused: nothing has changed since run <run>\n"
    ended = stepwave("run", "flow.yaml", cwd=tmp_path, env={"TOKEN": "another-one"})
    assert "[a] Reused" in ended.err  # what it is called counts, and not what it is


def test_what_is_not_there(tmp_path: Path) -> None:
    ready(tmp_path)
    ended = stepwave("explain", "compil", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == say("""
        error[unknown-step]: explain names `compil`, which is not in this workflow
         --> command line
          = help: did you mean `compile`?

        1 error on the command line
    """)
    elsewhere = tmp_path / "src"
    ended = stepwave("explain", "compile", cwd=elsewhere)
    assert ended.code == 2 and "error[which-workflow]: which workflow is the step of?" in ended.err
