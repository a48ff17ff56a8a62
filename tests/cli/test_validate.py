"""`stepwave validate`: every format, whole; what is fixed; which exit code."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.invoke import flow, say, stepwave

BAD = """\
name: Bad
steps:
  - id: build
    run: make
  - id: test
    dependson: [build]
    command: make
    args: [test]
  - id: deploy
    dependsOn: [tset, build]
    run: ./deploy
    timeout: "300"
"""
TABS = (
    "name: Tabs\nsteps:\n\t- id: a\n\t\trun: |\n\t\t\techo one\n\t\t\t\techo two\n"
    "\t- id: b\n\t\tdependsOn: [a]\n\t\trun: 'true'\n"
)


def test_valid(tmp_path: Path) -> None:
    flow(tmp_path, "{name: Fine, steps: [{id: a, run: x}, {id: b, needs: a, run: x}]}")
    assert stepwave("validate", "flow.yaml", cwd=tmp_path) == (
        0,
        "✓ flow.yaml: valid (2 steps in 2 waves, camel dialect)\n",
        "",
    )


def test_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    flow(tmp_path, BAD)
    ended = stepwave("validate", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == say(
        """
        error[unknown-key]: a step has no key `dependson`
         --> flow.yaml:6:5
          |
        6 |     dependson: [build]
          |     ^^^^^^^^^
          = help: did you mean `dependsOn`?

        error[unknown-step]: Step "deploy" depends on non-existent step: tset
          --> flow.yaml:10:17
           |
        10 |     dependsOn: [tset, build]
           |                 ^^^^
           = help: did you mean `test`?

        error[ambiguous-unit]: `timeout` is a number in quotes, whose unit is not known
          --> flow.yaml:12:14
           |
        12 |     timeout: "300"
           |              ^^^^^
           = help: write `300s` or `300ms`

        3 errors in flow.yaml
        """
    )


def test_json_format(tmp_path: Path) -> None:
    flow(tmp_path, BAD)
    ended = stepwave("validate", "--format", "json", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.err) == (2, "")
    assert ended.out == say(
        """
        {
          "diagnostics": [
            {
              "severity": "error",
              "code": "unknown-key",
              "message": "a step has no key `dependson`",
              "help": "did you mean `dependsOn`?",
              "path": "flow.yaml",
              "line": 6,
              "column": 5,
              "endLine": 6,
              "endColumn": 14
            },
            {
              "severity": "error",
              "code": "unknown-step",
              "message": "Step \\"deploy\\" depends on non-existent step: tset",
              "help": "did you mean `test`?",
              "path": "flow.yaml",
              "line": 10,
              "column": 17,
              "endLine": 10,
              "endColumn": 21
            },
            {
              "severity": "error",
              "code": "ambiguous-unit",
              "message": "`timeout` is a number in quotes, whose unit is not known",
              "help": "write `300s` or `300ms`",
              "path": "flow.yaml",
              "line": 12,
              "column": 14,
              "endLine": 12,
              "endColumn": 19
            }
          ],
          "errors": 3,
          "warnings": 0
        }
        """
    )


def test_github_format(tmp_path: Path) -> None:
    flow(tmp_path, BAD)
    ended = stepwave("validate", "--format=github", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.err) == (2, "")
    assert ended.out == say(
        """
        ::error file=flow.yaml,line=6,col=5,endColumn=14,title=unknown-key::a step has no key `dependson`%0Ahelp: did you mean `dependsOn`?
        ::error file=flow.yaml,line=10,col=17,endColumn=21,title=unknown-step::Step "deploy" depends on non-existent step: tset%0Ahelp: did you mean `test`?
        ::error file=flow.yaml,line=12,col=14,endColumn=19,title=ambiguous-unit::`timeout` is a number in quotes, whose unit is not known%0Ahelp: write `300s` or `300ms`
        """  # noqa: E501
    )


def test_sarif_format(tmp_path: Path) -> None:
    flow(tmp_path, BAD)
    ended = stepwave("validate", "--format=sarif", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.err) == (2, "")
    document = json.loads(ended.out)
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    assert run["tool"]["driver"]["name"] == "stepwave"
    found = [
        (
            result["ruleId"],
            result["level"],
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for result in run["results"]
    ]
    assert found == [
        ("unknown-key", "error", "flow.yaml", 6),
        ("unknown-step", "error", "flow.yaml", 10),
        ("ambiguous-unit", "error", "flow.yaml", 12),
    ]


@pytest.mark.parametrize(("format", "out"), [("json", '{"diagnostics": []}\n'), ("github", "")])
def test_a_valid_file_in_the_machines_formats(format: str, out: str, tmp_path: Path) -> None:
    flow(tmp_path, "{name: Fine, steps: [{id: a, run: x}]}")
    ended = stepwave("validate", "--format", format, "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    if format == "json":
        assert not json.loads(ended.out) or not any(json.loads(ended.out).values())
    else:
        assert ended.out == out


def test_strict(tmp_path: Path) -> None:
    flow(tmp_path, "{name: Strict, colour: red, x-mine: 1, _note: 2, steps: [{id: a, run: x}]}")
    ended = stepwave("validate", "flow.yaml", cwd=tmp_path)
    assert ended.code == 0
    assert ended.err == say(
        """
        warning[unknown-key]: a workflow has no key `colour`
         --> flow.yaml:1:16
          |
        1 | {name: Strict, colour: red, x-mine: 1, _note: 2, steps: [{id: a, run: x}]}
          |                ^^^^^^
          = help: begin it with `x-` if it is a note of your own

        1 warning in flow.yaml
        """
    )
    ended = stepwave("validate", "--strict", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == say(
        """
        error[unknown-key]: a workflow has no key `colour`
         --> flow.yaml:1:16
          |
        1 | {name: Strict, colour: red, x-mine: 1, _note: 2, steps: [{id: a, run: x}]}
          |                ^^^^^^
          = help: begin it with `x-` if it is a note of your own

        1 error in flow.yaml
        """
    )


def test_fix_prints_a_diff_then_changes_the_file_once(tmp_path: Path) -> None:
    file = flow(tmp_path, TABS)
    file.chmod(0o640)
    before = stepwave("validate", "flow.yaml", cwd=tmp_path)
    assert before.code == 0
    assert "warning[tab-indent]" in before.err
    assert file.read_text() == TABS
    ended = stepwave("validate", "--fix", "flow.yaml", cwd=tmp_path)
    assert (ended.code, ended.out) == (0, "✓ flow.yaml: valid (2 steps in 2 waves, camel dialect)\n")
    assert ended.err == say(
        """
        --- flow.yaml
        +++ flow.yaml
        @@ -2,8 +2,8 @@
         steps:
        -	- id: a
        -		run: |
        -			echo one
        -				echo two
        -	- id: b
        -		dependsOn: [a]
        -		run: 'true'
        +  - id: a
        +    run: |
        +      echo one
        +      	echo two
        +  - id: b
        +    dependsOn: [a]
        +    run: 'true'
        """
    )
    fixed = file.read_text()
    assert fixed == TABS.replace("\t\t\t\te", "      \te").replace("\n\t\t\t", "\n      ").replace(
        "\n\t\t", "\n    "
    ).replace("\n\t", "\n  ")
    assert file.stat().st_mode & 0o777 == 0o640
    state = file.stat().st_mtime_ns, file.stat().st_ino
    again = stepwave("validate", "--fix", "flow.yaml", cwd=tmp_path)
    assert again == (0, ended.out, "")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == state
    assert [path.name for path in tmp_path.iterdir()] == ["flow.yaml"]
    ran = stepwave("run", "flow.yaml", "-v", cwd=tmp_path)
    assert "[a] one\n" in ran.err


def test_the_diff_of_a_fix_is_harmless(tmp_path: Path) -> None:
    flow(tmp_path, "name: T\nsteps:\n\t- id: a # \x1b]52;c;eA==\x07\x9b2J\n\t\trun: 'true'\n")
    ended = stepwave("validate", "--fix", "flow.yaml", cwd=tmp_path)
    assert "\\x1b]52;c;eA==\\x07\\x9b2J" in ended.err
    assert not {"\x1b", "\x07", "\x9b", "\r"} & set(ended.err)


def test_fix_keeps_a_link_and_line_ends(tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_bytes(TABS.replace("\n", "\r\n").encode())
    (tmp_path / "link.yaml").symlink_to("real.yaml")
    assert stepwave("validate", "--fix", "link.yaml", cwd=tmp_path).code == 0
    assert (tmp_path / "link.yaml").is_symlink()
    data = real.read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n") == TABS.count("\n")
    assert b"\n\t" not in data


def test_a_folder_several_files_and_standard_input(tmp_path: Path) -> None:
    (tmp_path / "flows" / "deep").mkdir(parents=True)
    (tmp_path / "flows" / ".hidden").mkdir()
    (tmp_path / "flows" / "node_modules").mkdir()
    good = "{name: Good, steps: [{id: a, run: x}]}"
    flow(tmp_path / "flows", good, "b.yaml")
    flow(tmp_path / "flows" / "deep", good, "a.yml")
    flow(tmp_path / "flows" / ".hidden", "{steps: 1}")
    flow(tmp_path / "flows" / "node_modules", "{steps: 1}")
    flow(tmp_path / "flows", '{"other": "config"}', "config.json")
    flow(tmp_path / "flows", '{"name": "J", "steps": [{"id": "a", "run": "x"}]}', "c.json")
    told = "".join(
        f"✓ {name}: valid (1 step in 1 wave, camel dialect)\n"
        for name in ("flows/b.yaml", "flows/c.json", "flows/deep/a.yml")
    )
    assert stepwave("validate", "flows", cwd=tmp_path) == (0, told, "")
    assert stepwave("validate", cwd=tmp_path) == (0, told, "")
    stdin = stepwave("validate", "-", cwd=tmp_path, stdin=good)
    assert stdin == (0, "✓ -: valid (1 step in 1 wave, camel dialect)\n", "")
    flow(tmp_path, "{name: B, steps: [{id: a}]}", "bad.yaml")
    both = stepwave("validate", "flows/b.yaml", "bad.yaml", "missing.yaml", cwd=tmp_path)
    assert (both.code, both.out) == (2, told.splitlines(True)[0])
    assert both.err == say(
        """
        error[missing-key]: step `a` does not say what to do
         --> bad.yaml:1:24
          |
        1 | {name: B, steps: [{id: a}]}
          |                        ^
          = help: give it a `run`, a `command`, an `agent`, or `type: noop`

        error[cannot-read]: `missing.yaml` does not exist
         --> missing.yaml

        2 errors in 2 files
        """
    )


def test_nothing_to_validate(tmp_path: Path) -> None:
    assert stepwave("validate", cwd=tmp_path) == (2, "", "stepwave: no workflow files found\n")


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("missing.yaml", None, "cannot-read"),
        ("empty.yaml", b"", None),
        ("null.yaml", b"null", None),
        ("text.yaml", b"just text", None),
        ("binary.yaml", bytes(range(256)), None),
        ("utf16.yaml", "steps: []".encode("utf-16"), None),
        ("two.yaml", b"a: 1\n---\nb: 2\n", None),
        ("twice.yaml", b"steps: []\nsteps: []\n", "duplicate-key"),
        ("tag.yaml", b"steps: !!python/object/apply:os.system ['touch pwned']\n", None),
        ("bomb.yaml", b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
            b"%c: &%c [%s]\n" % (97 + n, 97 + n, b",".join([b"*%c" % (96 + n)] * 9)) for n in range(1, 12)), None),
        ("deep.yaml", b"[" * 100_000, None),
        ("deep.json", b"[" * 100_000, None),
        ("self.yaml", b"steps: &a [*a]", None),
        ("zeros.yaml", bytes(1 << 20), None),
        ("digits.json", b'{"steps": ' + b"9" * 6000 + b"}", None),
        ("nan.json", b'{"steps": NaN}', None),
        ("set.json", b"{\"depends_on\": {['a']}}", "python-set"),
    ],
)  # fmt: skip
def test_hostile_files_get_a_diagnostic(name: str, data: bytes | None, code: str | None, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    for words in (["validate", name], ["run", name]):
        ended = stepwave(*words, cwd=tmp_path)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith(f"error[{code}]" if code else "error[")
        assert f"--> {name}" in ended.err
        assert len(ended.err) < 20_000
    assert not (tmp_path / ".stepwave").exists()
    assert not (tmp_path / "pwned").exists()


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(tmp_path / "nobody.yaml")
    for name, reason in [
        ("folder.yaml", "no workflow files found"),
        ("loop.yaml", "too many levels of symbolic links"),
        ("/dev/zero", "a device, not a file"),
        ("a\0b", None),
    ]:
        if reason is None:
            continue
        ended = stepwave("validate", name, cwd=tmp_path)
        assert ended.code == 2
        assert reason in ended.err
    assert "holds no workflow files" in stepwave("run", "folder.yaml", cwd=tmp_path).err
