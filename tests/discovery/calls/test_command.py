"""`discover calls` and `graph X.py`, by all that they print."""

import json
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import pytest

from tests.cli.invoke import Ended, stepwave

PROGRAM = """\
def main():
    first()


def first():
    second()


def second():
    print("deep")


def never():
    second()


class Tool:
    @property
    def size(self):
        return second()


if __name__ == "__main__":
    main()
    Tool().size
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(PROGRAM)
    return tmp_path


def test_tree(folder: Path) -> None:
    assert stepwave("discover", "calls", "app.py", cwd=folder) == Ended(
        0,
        dedent("""\
        app  app.py:1
        ├─ app.main  app.py:1
        │  └─ app.first  app.py:5
        │     └─ app.second  app.py:9
        │        └─ <builtin>.print
        └─ app.Tool.size  app.py:19  (property)
           └─ app.second  app.py:9  …
        app.never  app.py:13
        └─ app.second  app.py:9  …
        """),
        "7 edges in 1 file\n",
    )


def test_graph_draws_code_too(folder: Path) -> None:
    assert stepwave("graph", "app.py:first", cwd=folder) == Ended(
        0,
        "app.first  app.py:5\n└─ app.second  app.py:9\n   └─ <builtin>.print\n",
        "2 edges in 1 file\n",
    )
    assert stepwave("graph", "app.py:second", "--format", "dot", cwd=folder).out == dedent("""\
        digraph calls {
          rankdir=LR;
          node [shape=box];
          "<builtin>.print" [style=dashed];
          "app.second";
          "app.second" -> "<builtin>.print";
        }
        """)


def test_callers_with_a_depth(folder: Path) -> None:
    ended = stepwave("discover", "calls", "app.py:second", "--callers", "--depth", "1", cwd=folder)
    assert ended == Ended(
        0,
        dedent("""\
        app.second  app.py:9
        ├─ app.Tool.size  app.py:19
        ├─ app.first  app.py:5
        └─ app.never  app.py:13
        """),
        "3 edges in 1 file\n",
    )


def test_a_way_to_a_function(folder: Path) -> None:
    assert (
        stepwave("discover", "calls", "app.py", "--to", "second", cwd=folder).out == "app\napp.Tool.size\napp.second\n"
    )
    ended = stepwave("discover", "calls", "app.py", "--to", "secnd", cwd=folder)
    assert (ended.code, ended.out) == (1, "")
    assert "error[no-such-function]: nothing in this graph is called `secnd`" in ended.err
    assert "did you mean `second`?" in ended.err


def test_cycles_and_what_is_not_reached(folder: Path) -> None:
    (folder / "other.py").write_text("def a():\n    b()\n\n\ndef b():\n    a()\n")
    assert stepwave("discover", "calls", "other.py", "--cycles", cwd=folder).out == "other.a other.b\n"
    unreached = stepwave("discover", "calls", "app.py:main", "--unreachable", cwd=folder).out
    assert unreached == "app.Tool.size\napp.never\nother.a\nother.b\n"


def test_rows(folder: Path) -> None:
    ended = stepwave("discover", "calls", "app.py:main", "--format", "vimgrep", cwd=folder)
    assert ended.out == (
        "app.py:2:5:explicit: app.main -> app.first\n"
        "app.py:6:5:explicit: app.first -> app.second\n"
        "app.py:10:5:explicit: app.second -> <builtin>.print\n"
    )
    csv = stepwave("discover", "calls", "app.py:second", "--format", "csv", cwd=folder).out.splitlines()
    assert csv[1] == "app.py,10,5,explicit,app.second,<builtin>.print"
    assert stepwave("discover", "calls", "app.py:second", "--format", "count", cwd=folder).out == "app.py:1\n"


def test_documents(folder: Path) -> None:
    document = json.loads(stepwave("discover", "calls", "app.py:second", "--json", cwd=folder).out)
    assert document["entry"] == ["app.second"]
    site = {"path": "app.py", "line": 10, "column": 5, "kind": "explicit"}
    assert document["edges"] == [{"caller": "app.second", "callee": "<builtin>.print", "sites": [site]}]
    assert document["coverage"]["files"] == 1
    pycg = json.loads(stepwave("discover", "calls", "app.py:first", "-f", "pycg", cwd=folder).out)
    assert pycg == {"app.first": ["app.second"], "app.second": ["<builtin>.print"], "<builtin>.print": []}
    drawn = ElementTree.fromstring(stepwave("discover", "calls", "app.py:second", "-f", "graphml", cwd=folder).out)
    space = "{http://graphml.graphdrawing.org/xmlns}"
    assert [n.get("id") for n in drawn.iter(f"{space}node")] == ["<builtin>.print", "app.second"]
    mermaid = stepwave("discover", "calls", "app.py:second", "-f", "mermaid", cwd=folder).out
    assert mermaid == 'flowchart LR\n  n0["&lt;builtin&gt;.print"]\n  n1["app.second"]\n  n1 --> n0\n'


def test_nothing_is_called(folder: Path) -> None:
    (folder / "empty.py").write_text("x = 1\n")
    assert stepwave("discover", "calls", "empty.py", cwd=folder) == Ended(
        1, "empty  empty.py:1\n", "0 edges in 1 file\n"
    )


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("gone.py", "error[no-entry-point]: there is no file and no module `gone.py`"),
        ("app.py:mian", "error[no-entry-point]: `app.py` has no function `mian`"),
        ("bad.py", "error[not-python]: does not parse"),
    ],
)
def test_an_entry_point_that_is_none(entry: str, message: str, folder: Path) -> None:
    (folder / "bad.py").write_text("def (:\n")
    ended = stepwave("discover", "calls", entry, cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert stepwave("graph", entry, cwd=folder)[:2] == (2, "")


def test_a_root_that_is_none(folder: Path) -> None:
    ended = stepwave("discover", "calls", "app.py", "--root", "gone", cwd=folder)
    assert ended.code == 2
    assert "error[cannot-read]: `gone`: no such folder" in ended.err
