"""graph, list, init-config, schema, completion, --version, --help: whole output and exit codes."""

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

from stepwave import __version__
from tests.cli.invoke import MODULE, PATIENCE_S, ROOT, clean_environment, flow, say, stepwave

GRAPH = """
    name: Drawn
    resources: {db: 2}
    steps:
      - {id: a, name: First, run: x}
      - {id: b, dependsOn: [a], run: x, resource: db, timeout: 5m}
      - {id: c, dependsOn: [a], run: x, condition: variables.x, continueOnError: true}
      - {id: d, dependsOn: [b, c], run: x}
    """


def drawn(tmp_path: Path, format: str) -> str:
    flow(tmp_path, GRAPH)
    ended = stepwave("graph", "flow.yaml", "--format", format, cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def test_graph_as_text(tmp_path: Path) -> None:
    flow(tmp_path, GRAPH.replace("name: Drawn", "name: Drawn\n    parallel: {defaultMaxConcurrency: 4}"))
    ended = stepwave("graph", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == say(
        """
        Drawn: 4 steps in 3 waves, 4 dependencies, at most 4 at once
        pools: db 2

        Wave 1/3 (1 step)
          a  First

        Wave 2/3 (2 steps)
          b  ← a  [db]  (timeout 5m 00s)
          c  ← a  (if variables.x, may fail)

        Wave 3/3 (1 step)
          d  ← b, c
        """
    )


def test_graph_as_mermaid(tmp_path: Path) -> None:
    assert drawn(tmp_path, "mermaid") == say(
        """
        flowchart LR
            n0["a<br/>First"]
            n1["b"]
            n2["c"]
            n3["d"]
            n0 --> n1
            n0 --> n2
            n1 --> n3
            n2 --> n3
        """
    )


def test_graph_as_dot(tmp_path: Path) -> None:
    assert drawn(tmp_path, "dot") == say(
        """
        digraph "Drawn" {
            rankdir=LR;
            node [shape=box, style=rounded, fontname="sans-serif"];
            n0 [label="a\\nFirst"];
            n1 [label="b"];
            n2 [label="c"];
            n3 [label="d"];
            { rank=same; n0; }
            { rank=same; n1; n2; }
            { rank=same; n3; }
            n0 -> n1;
            n0 -> n2;
            n1 -> n3;
            n2 -> n3;
        }
        """
    )


def test_graph_as_json(tmp_path: Path) -> None:
    document = json.loads(drawn(tmp_path, "json"))
    assert [node["id"] for node in document["nodes"]] == ["a", "b", "c", "d"]
    edges = [(edge["from"], edge["to"]) for edge in document["edges"]]
    assert sorted(edges) == [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


def test_graph_into_a_file(tmp_path: Path) -> None:
    flow(tmp_path, GRAPH)
    assert stepwave("graph", "flow.yaml", "--format=dot", "-o", "graph.dot", cwd=tmp_path) == (0, "", "")
    assert (tmp_path / "graph.dot").read_text() == drawn(tmp_path, "dot")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flow.yaml", "graph.dot"]
    ended = stepwave("graph", "flow.yaml", "-o", "no/such/graph", cwd=tmp_path)
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == "stepwave: no/such/graph could not be written: no such file or directory\n"


def test_graph_of_a_broken_file(tmp_path: Path) -> None:
    flow(tmp_path, "{steps: [{id: a, run: x, needs: b}, {id: b, run: x, needs: a}]}")
    ended = stepwave("graph", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "a -> b -> a" in ended.err or "b -> a -> b" in ended.err


def test_list_names_broken_files_too(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    flow(tmp_path, "{name: Good one, version: 2.1.0, description: Does things, steps: [{id: a, run: x}]}", "good.yaml")
    flow(tmp_path / "sub", "{steps: [{id: a, run: x}, {id: b, run: x}]}", "plain.yaml")
    flow(tmp_path, "steps:\n  - {id: a}\n", "bad.yaml")
    flow(tmp_path, '{"steps": [', "cut.json")
    flow(tmp_path, '{"unrelated": true}', "config.json")
    ended = stepwave("list", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == say(
        """
        NAME      VERSION  STEPS  FILE            DESCRIPTION
        bad       -        -      bad.yaml        broken: step `a` does not say what to do (line 2)
        cut       -        -      cut.json        broken: the `[` opened here is never closed (line 1)
        Good one  2.1.0    1      good.yaml       Does things
        plain     1.0.0    2      sub/plain.yaml
        """
    )
    ended = stepwave("list", "sub", "--json", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == say(
        """
        {
          "workflows": [
            {
              "path": "sub/plain.yaml",
              "name": "plain",
              "version": "1.0.0",
              "steps": 2,
              "description": "",
              "error": null
            }
          ]
        }
        """
    )
    broken = json.loads(stepwave("list", "--json", cwd=tmp_path).out)["workflows"][0]
    assert (broken["path"], broken["steps"]) == ("bad.yaml", None)
    assert broken["error"]


def test_list_of_nothing(tmp_path: Path) -> None:
    assert stepwave("list", cwd=tmp_path) == (0, "", "stepwave: no workflows below .\n")
    assert json.loads(stepwave("list", "--json", cwd=tmp_path).out) == {"workflows": []}
    ended = stepwave("list", "nowhere", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "`nowhere` is not a folder" in ended.err


def test_no_line_of_a_listing_is_a_command_for_ci(tmp_path: Path) -> None:
    """A CI system obeys `::error::` at the beginning of a line; names are foreign text."""
    name = "::error::\\e]0;x\\a name"
    flow(tmp_path, f'{{"name": "{name}", "description": "::warning::d", "steps": [{{"id": "a", "run": "x"}}]}}')
    flow(tmp_path, "{steps: 1}", "::stop-commands::x.yaml")
    for words in (["list"], ["list", "--json"]):
        ended = stepwave(*words, cwd=tmp_path)
        assert not [line for line in (ended.out + ended.err).splitlines() if line.lstrip().startswith("::")]
        assert "\x1b" not in ended.out + ended.err


# --- init-config ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["basic", "parallel", "workstream", "ci", "data"])
@pytest.mark.parametrize("format", ["yaml", "json"])
def test_what_init_config_writes_validates_and_runs(type: str, format: str, tmp_path: Path) -> None:
    name = f"new/flow.{format}"
    ended = stepwave("init-config", name, "--type", type, cwd=tmp_path)
    assert ended == (0, "", f"wrote {name}\n  try it: stepwave run {name}\n")
    text = (tmp_path / name).read_text()
    assert text.startswith("{" if format == "json" else "# yaml-language-server: $schema=")
    checked = stepwave("validate", "--strict", name, cwd=tmp_path)
    assert (checked.code, checked.err) == (0, "")
    if format == "json":  # as YAML they are run by test_scaffold.py
        ran = stepwave("run", name, "--strict", cwd=tmp_path, env={"TMPDIR": str(tmp_path)})
        assert ran.code == 0, ran.err
    again = stepwave("init-config", name, "-t", "ci" if type != "ci" else "data", cwd=tmp_path)
    assert (again.code, again.out) == (2, "")
    assert again.err.startswith(f"error[file-exists]: `{name}` is already there\n")
    assert "--force" in again.err
    assert (tmp_path / name).read_text() == text
    forced = stepwave("init-config", name, "--force", "--type", "ci" if type != "ci" else "data", cwd=tmp_path)
    assert forced.code == 0
    assert (tmp_path / name).read_text() != text


def test_init_config_by_default_and_to_standard_output(tmp_path: Path) -> None:
    assert stepwave("init-config", cwd=tmp_path).code == 0
    text = (tmp_path / "workflow.yaml").read_text()
    assert stepwave("init-config", "-", cwd=tmp_path) == (0, text, "")
    assert stepwave("init-config", "--format", "json", cwd=tmp_path).code == 0
    json.loads((tmp_path / "workflow.json").read_text())
    (tmp_path / "dangling.yaml").symlink_to("target")
    assert stepwave("init-config", "dangling.yaml", cwd=tmp_path).code == 2
    assert not (tmp_path / "target").exists()
    assert stepwave("init-config", "workflow.yaml/x/y.yaml", cwd=tmp_path).code == 2


# --- schema, version, help -----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["workflow"], ["event"], ["result"], ["run"]])
def test_schema(words: list[str], tmp_path: Path) -> None:
    ended = stepwave("schema", *words, cwd=tmp_path)
    name = words[0] if words else "workflow"
    assert ended == (0, (ROOT / "schemas" / f"{name}.schema.json").read_text("utf-8"), "")
    jsonschema.Draft7Validator.check_schema(json.loads(ended.out))


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_version(word: str, tmp_path: Path) -> None:
    assert stepwave(word, cwd=tmp_path) == (0, f"stepwave {__version__}\n", "")


COMMANDS = ["run", "validate", "graph", "list", "init-config", "schema", "completion"]


def test_help_names_every_command_and_no_name_is_cut(tmp_path: Path) -> None:
    top = stepwave("--help", cwd=tmp_path)
    assert (top.code, top.err) == (0, "")
    bare = stepwave(cwd=tmp_path)
    assert bare.code == 2
    assert bare.out + bare.err == top.out
    for command in COMMANDS:
        assert f"\n  {command}" in top.out
        for word in ("--help", "-h"):
            ended = stepwave(command, word, cwd=tmp_path, env={"COLUMNS": "80"})
            assert (ended.code, ended.err) == (0, "")
            assert ended.out.startswith(f"Usage: stepwave {command} ")
            assert "…" not in ended.out
    assert "--continue-on-error" in stepwave("run", "--help", cwd=tmp_path, env={"COLUMNS": "80"}).out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run"], "Missing argument 'FILE'"),
        (["run", "flow.yaml", "--dryrun"], "No such option: --dryrun"),
        (["run", "flow.yaml", "other.yaml"], "unexpected extra argument"),
        (["--nonsense"], "No such option: --nonsense"),
        (["validate", "--format", "xml"], "'xml' is not one of"),
        (["schema", "nothing"], "'nothing' is not one of"),
        (["run", "flow.yaml", "--color", "blue"], "'blue' is not one of"),
    ],
)
def test_a_mistyped_command_line(words: list[str], told: str, tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, run: touch ran}]")
    ended = stepwave(*words, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["flow.yaml"]


# --- completion ----------------------------------------------------------------------------------------------


def completed(folder: Path, *words: str) -> list[str]:
    """What bash offers after Tab at the end of the last word, as its own machinery says."""
    script = stepwave("completion", "bash", cwd=folder)
    assert (script.code, script.err) == (0, "")
    (folder / "complete.sh").write_text(script.out)
    (folder / "bin").mkdir(exist_ok=True)
    command = folder / "bin" / "stepwave"
    command.write_text(f'#!/bin/sh\nexec {MODULE[0]} -m stepwave "$@"\n')
    command.chmod(0o755)
    program = """
        . ./complete.sh
        line=$(complete -p stepwave) || exit 9
        function=${line##*-F }; function=${function%% *}
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        "$function" stepwave "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
        """
    environ = clean_environment(folder)
    environ["PATH"] = f"{folder}/bin:{environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", program, "bash", *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1]


def test_bash_completes_commands_files_and_steps(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    flow(tmp_path / "flows", "{steps: [{id: build, run: x}, {id: bundle, run: x}, {id: test, run: x}]}", "ci.yaml")
    flow(tmp_path, "{}", "first.yaml")
    flow(tmp_path, "{}", "first.json")
    flow(tmp_path, "", "first.txt")
    assert completed(tmp_path, "stepwave", "va") == ["validate"]
    assert set(COMMANDS) <= set(completed(tmp_path, "stepwave", ""))
    assert completed(tmp_path, "stepwave", "run", "fi") == ["first.json", "first.yaml"]
    assert completed(tmp_path, "stepwave", "validate", "flows/") == ["flows/ci.yaml"]
    assert "--keep-going" in completed(tmp_path, "stepwave", "run", "--k")
    assert completed(tmp_path, "stepwave", "run", "flows/ci.yaml", "--only", "bu") == ["build", "bundle"]
    assert completed(tmp_path, "stepwave", "graph", "--format", "m") == ["mermaid"]
    assert completed(tmp_path, "stepwave", "run", "flows/ci.yaml", "--order", "f") == ["file"]
    assert completed(tmp_path, "stepwave", "plan", "fi") == ["first.json", "first.yaml"]
    assert "latest" in completed(tmp_path, "stepwave", "simulate", "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_scripts_of_other_shells(shell: str, tmp_path: Path) -> None:
    ended = stepwave("completion", shell, cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert "_STEPWAVE_COMPLETE" in ended.out
    assert ("#compdef stepwave" if shell == "zsh" else "complete --command stepwave") in ended.out


def test_completion_never_speaks_up(tmp_path: Path) -> None:
    """Of a broken file, a missing folder or nonsense nothing is offered, and nothing said."""
    flow(tmp_path, "{steps: [", "broken.yaml")
    assert completed(tmp_path, "stepwave", "run", "broken.yaml", "--only", "x") in ([], [""])
    assert completed(tmp_path, "stepwave", "run", "no/such/folder/x") in ([], [""])
