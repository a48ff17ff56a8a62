"""The result, what can be asked of it, and the two functions of the Python API."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stepwave.core.diagnostics import Diagnostic
from stepwave.discovery import build_call_graph
from stepwave.discovery.calls import call_graph
from stepwave.discovery.calls.core import Budget
from stepwave.discovery.calls.drawings import FORMATS, draw
from stepwave.discovery.calls.interpreter import facts_of
from stepwave.discovery.calls.result import CallGraph
from stepwave.discovery.calls.trace import Entry, trace
from stepwave.discovery.walk import Unread

PROGRAM = """\
import os

from tools import Tool, spare


def start():
    return step()


def step():
    tool = Tool()
    return tool.size + start()


def alone(unknown):
    unknown.polish()


if __name__ == "__main__":
    start()
    os.path.join("a", "b")
"""
TOOLS = """\
class Tool:
    def __init__(self):
        self.prepare()

    def prepare(self):
        pass

    @property
    def size(self):
        return 1

    def polish(self):
        pass


def spare():
    pass
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(PROGRAM)
    (tmp_path / "tools.py").write_text(TOOLS)
    return tmp_path


def edges(graph: CallGraph) -> set[tuple[str, str]]:
    return {(edge.caller, edge.callee) for edge in graph.edges if edge.is_call}


def test_sites_and_kinds(tree: Path) -> None:
    graph = call_graph(tree / "main.py")
    found = {(e.caller, e.callee): [(s.path, s.line, s.column, k) for s, k in zip(e.sites, e.kinds, strict=True)]
             for e in graph.edges}  # fmt: skip
    assert found["main.start", "main.step"] == [("main.py", 7, 12, "explicit")]
    assert found["main.step", "tools.Tool.__init__"] == [("main.py", 11, 12, "constructor")]
    assert found["main.step", "tools.Tool.size"] == [("main.py", 12, 17, "property")]
    assert found["main", "tools"] == [("main.py", 3, 1, "import")]
    assert found["main", "os.path.join"] == [("main.py", 21, 13, "explicit")]
    assert graph.nodes["tools.Tool.size"][:5] == ("tools.Tool.size", "def", "tools.py", 9, 5)


def test_what_is_not_known_is_told(tree: Path) -> None:
    graph = call_graph(tree / "main.py")
    assert [(m.caller, m.spot.line, m.spot.column, m.name) for m in graph.unresolved] == [
        ("main.alone", 16, 13, "unknown.polish")
    ]
    assert graph.coverage.files == 2
    assert graph.coverage.unresolved == 1


def test_fuzzy_links_by_name_and_says_so(tree: Path) -> None:
    graph = call_graph(tree / "main.py", fuzzy=True)
    assert [edge.kinds for edge in graph.edges if edge.callee == "tools.Tool.polish"] == [("fuzzy",)]
    assert not graph.unresolved


def test_questions(tree: Path) -> None:
    graph = call_graph(tree / "main.py", everything=True)
    assert graph.callees("main.step") == ["tools.Tool.__init__", "tools.Tool.size", "main.start"]
    assert graph.callers("main.start") == ["main", "main.step"]
    assert graph.path("main", "tools.Tool.prepare") == [
        "main", "main.start", "main.step", "tools.Tool.__init__", "tools.Tool.prepare",
    ]  # fmt: skip
    assert graph.path("tools.spare", "main") == []
    assert graph.cycles() == [["main.start", "main.step"]]
    assert graph.unreachable() == ["tools.Tool.polish", "tools.spare"]
    assert graph.reachable(["tools.Tool.prepare"], backward=True, depth=1) == {
        "tools.Tool.prepare": 0, "tools.Tool.__init__": 1,
    }  # fmt: skip


def test_from_a_function(tree: Path) -> None:
    assert edges(call_graph(f"{tree}/tools.py:Tool")) == {("tools.Tool.__init__", "tools.Tool.prepare")}
    assert ("main", "main.start") not in edges(call_graph(f"{tree}/main.py:start"))
    assert edges(call_graph("main:step", tree)) == edges(call_graph(f"{tree}/main.py:step"))
    assert len(edges(call_graph(tree))) == len(edges(call_graph(tree / "main.py", everything=True))) - 2  # not as main


def test_names_begin_at_a_root_that_was_asked_for(tmp_path: Path) -> None:
    inner = tmp_path / "pack"
    inner.mkdir()
    (inner / "__init__.py").touch()
    (inner / "main.py").write_text("from . import other\nimport pack.other as same\nother.run()\nsame.run()\n")
    (inner / "other.py").write_text("def run(): pass\n")
    assert edges(call_graph(inner / "main.py", inner)) == {("main", "other.run")}
    assert edges(call_graph(inner / "main.py")) == {("pack.main", "pack.other.run")}


def test_build_call_graph(tree: Path) -> None:
    assert build_call_graph(tree / "main.py") == {
        "<module>": ["start", "os.path.join"],
        "alone": [],
        "start": ["step"],
        "step": ["tools.Tool.__init__", "tools.Tool.size", "start"],
        "tools.Tool.__init__": ["tools.Tool.prepare"],
        "tools.Tool.prepare": [],
        "tools.Tool.size": [],
    }


@pytest.mark.parametrize("text", ["def broken(:\n", "x = 1\n\0"])
def test_an_entry_point_that_does_not_parse(text: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(text)
    assert build_call_graph(tmp_path / "broken.py") == {}
    with pytest.raises(SyntaxError):
        call_graph(tmp_path / "broken.py")


def test_an_entry_point_that_is_not_there(tree: Path) -> None:
    assert build_call_graph(tree / "nothing.py") == {}
    with pytest.raises(FileNotFoundError):
        call_graph(tree / "nothing.py")
    with pytest.raises(LookupError, match="no function `strat`"):
        call_graph(f"{tree}/main.py:strat")


def test_an_imported_file_that_does_not_parse_is_told(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import other\nother.run()\n")
    (tmp_path / "other.py").write_text("def run(:\n")
    graph = call_graph(tmp_path / "main.py")
    assert [(u.path, u.line) for u in graph.unread] == [("other.py", 1)]
    assert [m.name for m in graph.unresolved] == ["other.run"]


@pytest.mark.parametrize("format", FORMATS)
def test_drawings_are_the_same_for_every_hash_seed(format: str, tree: Path) -> None:
    program = (
        "import sys\nfrom stepwave.discovery.calls import call_graph\n"
        "from stepwave.discovery.calls.drawings import draw\n"
        f"sys.stdout.write(draw(call_graph({str(tree)!r}), {format!r}))\n"
    )
    outs = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(outs) == 1


def test_tree(tree: Path) -> None:
    assert draw(call_graph(f"{tree}/main.py:start"), "tree") == (
        "main.start  main.py:6\n"
        "└─ main.step  main.py:10\n"
        "   ├─ tools.Tool.__init__  tools.py:2\n"
        "   │  └─ tools.Tool.prepare  tools.py:5\n"
        "   ├─ tools.Tool.size  tools.py:9  (property)\n"
        "   └─ main.start  main.py:6  …\n"
    )


def test_pycg(tree: Path) -> None:
    written = json.loads(draw(call_graph(f"{tree}/main.py"), "pycg"))
    assert written["main"] == ["main.start", "os.path.join"]
    assert written["tools"] == []
    assert written["os.path.join"] == []


def test_facts_are_plain(tree: Path) -> None:
    """What a cache keeps as JSON gives the same graph."""
    entry = Entry(str(tree), "main.py", "")

    def kept(path: str) -> object:
        facts = facts_of(str(tree), path)
        return facts if isinstance(facts, Unread) else tupled(json.loads(json.dumps(facts)))

    assert trace(entry, facts=kept) == trace(entry)  # type: ignore[arg-type]


def tupled(value: object) -> object:
    return tuple(map(tupled, value)) if isinstance(value, list) else value


def test_a_budget_that_is_used_up_is_told(tmp_path: Path) -> None:
    lines = ["def apply(f):", "    x = 0", *["    x = x"] * 30, "    f()", ""]
    lines += [f"def f{i}(): pass" for i in range(9)] + [f"apply(f{i})" for i in range(9)]
    (tmp_path / "main.py").write_text("\n".join(lines))
    entry = Entry(str(tmp_path), "main.py", "")
    graph = trace(entry, budget=Budget(runs=((1 << 62, 1, 1),)))
    assert isinstance(graph, CallGraph)
    assert list(graph.degraded) == ["main.apply"]
    assert len(graph.callees("main.apply")) == 9, "what was not run for each call is made up for"
    whole = trace(entry)
    assert not isinstance(whole, Diagnostic)
    assert not whole.degraded


@pytest.mark.parametrize(
    "text",
    [
        "def f(n):\n    return f(n + 1)\nf(0)\n",
        "x = []\nx.append(x)\nprint(x)\n",
        "f = None\nwhile True:\n    f = lambda g=f: g()\n",
        "class A(A2 := type('A2', (), {})): pass\nA()\n",
        "class A: pass\nclass B(A, A): pass\nB().x()\n",
        "d = {}\nd[d.get] = d\nd[d.get][0]()\n",
        "def g():\n    yield from g()\nlist(g())\n",
        "import main\nfrom main import *\nmain.main.x()\n",
        "(" * 90 + "f" + ")" * 90 + "\n",
        "f" + "()" * 2000 + "\n",
        "x = " + " + ".join(["f()"] * 3000) + "\n",
        "a, *b = *c, d = 1, 2\ne, f = 1\n",
        "def f(x): return f(lambda: x)\nf(1)\n",
        "class M(type):\n    def __call__(cls): return cls()\nclass A(metaclass=M): pass\nA()\n",
        "d = {'*size*': [], '*rest*': 1, '': 2}\nd['*size*'] = d\nprint(d[1], *d, len(d))\n(lambda **k: k)(**d)\n",
        "class P:\n    def __getattr__(self, n): return self.z\nP().a()\n",
    ],
)
def test_odd_programs_end(text: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(text)
    outcome = trace(Entry(str(tmp_path), "main.py", ""))
    assert isinstance(outcome, CallGraph | Diagnostic)


def test_columns_count_characters(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text('def f(): pass\n"äöü"; f()\n', "utf-8")
    graph = call_graph(tmp_path / "main.py")
    assert [edge.sites[0][1:] for edge in graph.edges if edge.callee == "main.f"] == [(2, 8)]
