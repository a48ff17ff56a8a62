"""The commands at the door: whole output, exit codes, every format, and what is wrong with what was asked."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.cli.app import app
from stepwave.cli.code import finding
from tests.cli.invoke import Ended, say, stepwave


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    pkg = tmp_path / "pkg"
    pkg.mkdir()
    (pkg / "__init__.py").write_text("from .core import load_file as load\n", "utf-8")
    (pkg / "core.py").write_text(
        'def load_file(path):\n    """Read it."""\n    return path\n\n\ndef _hidden(): ...\n', "utf-8"
    )
    (pkg / "use.py").write_text("from pkg import load\n\nprint(load('|x|'))\nself.load_file()\n", "utf-8")
    (pkg / "bad.py").write_text("def load_file(:\n", "utf-8")
    return tmp_path


def ask(tree: Path, *words: str) -> Ended:
    return stepwave(*words, cwd=tree, env={"STEPWAVE_CACHE_DIR": str(tree / "cache")})


def test_lines_for_an_editor(tree: Path) -> None:
    ended = ask(tree, "find-symbol", "load_file", "pkg")
    assert ended.code == 0
    assert ended.out == say(
        """
        pkg/__init__.py:1:19:import: from .core import load_file as load
        pkg/__init__.py:1:32:import_alias: from .core import load_file as load
        pkg/core.py:1:5:definition: def load_file(path):
        pkg/use.py:1:17:import: from pkg import load
        pkg/use.py:3:7:call: print(load('|x|'))
        """
    )
    assert ended.err == say(
        """
        pkg/bad.py:1:15: does not parse: invalid syntax
        5 uses in 3 of 4 files; 1 was not read or did not parse
        1 more is possible, of objects whose type nobody knows: --possible
        """
    )


def test_a_table(tree: Path) -> None:
    assert ask(tree, "find-symbol", "load_file", "pkg", "--format", "table", "--no-refs").out == say(
        """
        pkg/core.py
          1:5  definition  def load_file(path):
        """
    )
    colored = ask(tree, "find-symbol", "load_file", "pkg", "--format", "table", "--no-refs", "--color", "always").out
    assert colored.startswith("\x1b[35mpkg/core.py\x1b[0m\n")


def test_json(tree: Path) -> None:
    document = json.loads(ask(tree, "find-symbol", "load_file", "pkg", "--json").out)
    assert document["targets"] == [
        {"symbol": "pkg.core.load_file", "what": "function", "path": "pkg/core.py", "line": 1}
    ]
    assert document["scanned"] == 4
    assert [error["path"] for error in document["errors"]] == ["pkg/bad.py"]
    assert document["uses"][-1] == {
        "path": "pkg/use.py", "line": 3, "column": 7, "end_column": 11, "kind": "call",
        "symbol": "pkg.core.load_file", "certain": True, "text": "print(load('|x|'))",
    }  # fmt: skip


def test_the_other_formats(tree: Path) -> None:
    words = ["find-symbol", "load_file", "pkg", "--format"]
    lines = [json.loads(line) for line in ask(tree, *words, "jsonl").out.splitlines()]
    assert [line["kind"] for line in lines[:-1]] == ["import", "import_alias", "definition", "import", "call"]
    assert lines[-1]["scanned"] == 4
    rows = list(csv.DictReader(io.StringIO(ask(tree, *words, "csv").out)))
    assert [row["line"] for row in rows] == ["1", "1", "1", "1", "3"]
    assert ask(tree, *words, "count").out == "pkg/__init__.py:2\npkg/core.py:1\npkg/use.py:2\n"
    assert ask(tree, *words, "files").out == "pkg/__init__.py\npkg/core.py\npkg/use.py\n"
    assert ask(tree, *words, "ctags").out.splitlines()[2:] == ['load_file\tpkg/core.py\t1;"\tm\tline:1']
    markdown = ask(tree, *words, "markdown").out.splitlines()
    assert markdown[2:4] == [
        "| pkg/\\_\\_init\\_\\_.py:1:19 | import | `from .core import load_file as load` |",
        "| pkg/\\_\\_init\\_\\_.py:1:32 | import_alias | `from .core import load_file as load` |",
    ]
    assert markdown[6] == "| pkg/use.py:3:7 | call | `print(load('\\|x\\|'))` |"
    sarif = json.loads(ask(tree, *words, "sarif").out)
    assert sarif["version"] == "2.1.0"
    results = sarif["runs"][0]["results"]
    assert [each["ruleId"] for each in results].count("not-read") == 1
    assert len(results) == 6


def test_possible_uses_and_text(tree: Path) -> None:
    (tree / "pkg/more.py").write_text("class A:\n    def go(self): pass\ndef f(x): x.go()  # go\n'go'\n", "utf-8")
    ended = ask(tree, "find-symbol", "A.go", "pkg")
    assert ended.out == "pkg/more.py:2:9:definition: def go(self): pass\n"
    assert "1 more is possible" in ended.err
    assert ask(tree, "find-symbol", "A.go", "pkg", "--possible", "--text").out == say(
        """
        pkg/more.py:2:9:definition: def go(self): pass
        pkg/more.py:3:13:call?: def f(x): x.go()  # go
        pkg/more.py:3:21:comment: def f(x): x.go()  # go
        pkg/more.py:4:2:string: 'go'
        """
    )


def test_nothing_found(tree: Path) -> None:
    ended = ask(tree, "find-symbol", "load_fiel", "pkg")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == say(
        """
        stepwave: nothing is called `load_fiel` in 4 files
          = help: did you mean `load_file`?
        """
    )
    assert ask(tree, "find-symbol", "load_file", "pkg", "--type", "class").code == 1
    document = ask(tree, "find-symbol", "load_fiel", "pkg", "--json")
    assert (document.code, json.loads(document.out)["did_you_mean"]) == (1, ["load_file"])
    assert ask(tree, "discover", "functions", "pkg", "--pattern", "^zzz").code == 1


def test_near_names(tree: Path) -> None:
    ended = ask(tree, "find-symbol", "loadfiles", "pkg", "--fuzzy")
    assert (ended.code, ended.out) == (0, "pkg/core.py:1:1:function: load_file(path)\n")
    assert "pkg/use.py:3:7:call" in ask(tree, "find-symbol", "loadfiles", "pkg", "--fuzzy", "--refs").out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["find-symbol", "x", "nowhere"], "cannot-read"),
        (["find-symbol", "x", "pkg/core.py"], "cannot-read"),
        (["find-symbol", "1x"], "not-a-symbol"),
        (["discover", "functions", "nowhere"], "cannot-read"),
        (["discover", "functions", "pkg/bad.py"], "not-python"),
        (["discover", "functions", "pkg", "--pattern", "("], "bad-pattern"),
        (["discover", "configs", "nowhere"], "cannot-read"),
    ],
)
def test_errors(words: list[str], code: str, tree: Path) -> None:
    ended = ask(tree, *words)
    assert ended.code == 2
    assert f"error[{code}]" in ended.err
    assert ended.out == ""


def test_functions(tree: Path) -> None:
    ended = ask(tree, "discover", "functions", "pkg")
    assert ended.out == "pkg/core.py:1:1:function: load_file(path)\n"
    assert "1 definition in 1 of 4 files; 1 was not read or did not parse" in ended.err
    document = json.loads(ask(tree, "discover", "functions", "pkg/core.py", "--private", "--json").out)
    assert [(d["qualname"], d["doc"], d["private"]) for d in document["definitions"]] == [
        ("load_file", "Read it.", None),
        ("_hidden", None, "_"),
    ]
    assert ask(tree, "discover", "functions", "pkg", "--format", "ctags").out.endswith('\t1;"\tf\tline:1\n')


def test_names_and_texts_are_shown_harmless(tree: Path) -> None:
    name = Path(os.fsdecode(os.fsencode(tree / "pkg") + b"/caf\xe9\x1b.py"))
    name.write_text("wild = '\x1b[31m'\n", "utf-8")
    ended = ask(tree, "find-symbol", "wild", "pkg")
    assert ended.out == "pkg/caf\\udce9\\x1b.py:1:1:definition: wild = '\\x1b[31m'\n"
    assert ask(tree, "find-symbol", "wild", "pkg", "--json").code == 0
    assert ask(tree, "find-symbol", "wild", "pkg", "--format", "csv").code == 0


def test_the_cache_is_listed_and_cleared(tree: Path) -> None:
    ask(tree, "find-symbol", "load_file", "pkg")
    assert str(tree / "pkg") in ask(tree, "cache", "info").out
    assert json.loads(ask(tree, "cache", "info", "--json").out)["caches"][0]["root"] == str(tree / "pkg")
    assert ask(tree, "cache", "clear", "pkg").out.startswith("1 cache deleted")
    assert ask(tree, "cache", "info").out.startswith("0 caches")


def test_an_answer_from_the_cache_reads_no_code(tree: Path) -> None:
    """The short way in: neither typer nor what reads code is imported for what is known already."""
    program = (
        "import sys; sys.argv = ['stepwave', 'find-symbol', 'load_file', 'pkg']\n"
        "from stepwave.cli import door\ndoor()\n"
        "heavy = {'typer', 'ast', 'dataclasses', 'stepwave.discovery.usage', 'json', 'rich', 'pathlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    for loaded in (True, False):
        ended = stepwave(
            cwd=tree, env={"STEPWAVE_CACHE_DIR": str(tree / "cache")}, command=(stepwave_python(), "-c", program)
        )
        assert ("stepwave.discovery.usage" in ended.out) is loaded
    assert ended.out.endswith("\n[]\n")


def stepwave_python() -> str:
    import sys

    return sys.executable


pieces = st.sampled_from(
    [
        "x", "y", "--json", "--format", "csv", "-f", "nope", "--format=csv", "--type", "class", "--possible", "--text",
        "--refs", "--no-refs", "--no-ignore", "--no-cache", "--fuzzy", "--", "", "-x", "--help", "--processes", "1",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=6))
def test_the_short_way_reads_what_typer_reads_or_nothing(rest: list[str]) -> None:
    words = ["find-symbol", *rest]
    short = finding.read(words)
    if short is None:
        return
    asked: list[finding.Asked] = []
    real = finding.run
    finding.run = lambda line: asked.append(line) or 0  # type: ignore[assignment, func-returns-value]
    try:
        app(words, prog_name="stepwave")
    except SystemExit as end:
        assert end.code == 0
    finally:
        finding.run = real
    assert asked == [short]
