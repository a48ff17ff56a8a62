"""`discover functions`: nothing defined is missed, nothing is invented, and what is said of it is true."""

import ast
import inspect
import sysconfig
from pathlib import Path
from textwrap import dedent

import pytest

from stepwave.discovery import FunctionInfo, discover_functions, fuzzy_find_symbol
from stepwave.discovery.definitions import Definition
from stepwave.discovery.listing import Wanted, list_definitions

LIB = Path(sysconfig.get_path("stdlib"))


def listed(folder: Path, text: str, wanted: Wanted = Wanted(private=True)) -> dict[str, Definition]:  # noqa: B008
    (folder / "m.py").write_text(dedent(text), "utf-8")
    return {d.qualname: d for d in list_definitions([str(folder)], wanted).definitions}


SOURCE = '''
import functools
__all__ = ["f", "C", "_shown"]

def f(a, b: int, /, c="x", *args: str, d, e: "list[int]" = None, **kw) -> dict[str, int]:
    """Say it.

    And more.
    """
    def inner(): yield 1
    return lambda: (yield)

async def g(*, a=1):
    async for x in y:
        if x and z or w: pass

def gen():
    x = yield

def _shown(): ...
def hidden(): ...

@functools.total_ordering
class C(Base, metaclass=M):
    @property
    def p(self): return 1 if self.a else [b for b in c if b]
    @p.setter
    def p(self, value): ...
    @classmethod
    def make(cls): ...
    @staticmethod
    def s(): ...
    def _m(self): ...
    class D:
        def n(self): ...

if True:
    def h(): ...
'''


def test_records(tmp_path: Path) -> None:
    found = listed(tmp_path, SOURCE)
    assert {q: d.kind for q, d in found.items()} == {
        "f": "function", "f.inner": "nested", "g": "function", "gen": "function", "_shown": "function",
        "hidden": "function", "C": "class", "C.p": "property", "C.make": "classmethod", "C.s": "staticmethod",
        "C._m": "method", "C.D": "class", "C.D.n": "method", "h": "function",
    }  # fmt: skip
    f = found["f"]
    assert f.signature == '(a, b: int, /, c="x", *args: str, d, e: "list[int]" = None, **kw) -> dict[str, int]'
    assert (f.line, f.end_line, f.column, f.module, f.is_generator) == (5, 11, 1, "m", False)
    assert [p.kind for p in f.parameters] == [
        "positional-only", "positional-only", "positional", "var-positional", "keyword-only", "keyword-only",
        "var-keyword",
    ]  # fmt: skip
    assert found["C"].bases == ("Base",)
    assert found["C"].signature == "(Base, metaclass=M)"
    assert found["C"].decorators == ("functools.total_ordering",)
    assert {q for q, d in found.items() if d.is_generator} == {"f.inner", "gen"}
    assert {q for q, d in found.items() if d.is_async} == {"g"}
    assert {q: d.private for q, d in found.items() if not d.is_public} == {
        "f.inner": "nested", "g": "__all__", "gen": "__all__", "hidden": "__all__", "h": "__all__", "C._m": "_",
    }  # fmt: skip
    assert {q: d.complexity for q, d in found.items() if d.complexity > 1} == {"g": 5}


def test_complexity_is_counted_in_the_source(tmp_path: Path) -> None:
    text = """
    def f(x):
        for a in x:             # for if and or
            if a: pass
            elif a and b or c: pass
            else: pass
        while x: pass
        try: pass
        except A: pass
        except (B, C): pass
        finally: pass
        match x:
            case 1: pass
            case 2 if y: pass
        return [z for z in x if z if y], 1 if x else 2, "for if and"
    """
    assert listed(tmp_path, text)["f"].complexity == 1 + 1 + 1 + 1 + 2 + 1 + 2 + 2 + 3 + 1


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(), ["C", "C.D", "C.D.n", "C.make", "C.s", "_shown", "f"]),
        (Wanted(pattern="^.$", private=True), ["C", "C.D", "C.D.n", "C.p", "C.s", "f", "g", "h"]),
        (Wanted(kinds=("class", "nested"), private=True), ["C", "C.D", "f.inner"]),
        (Wanted(untyped=True, kinds=("function",)), ["_shown", "f"]),
        (Wanted(unused=True, kinds=("function",), private=True), ["g", "gen", "h", "hidden"]),
    ],
)
def test_what_is_wanted(wanted: Wanted, names: list[str], tmp_path: Path) -> None:
    found = listed(tmp_path, SOURCE, wanted)
    assert sorted(set(found) - ({"C.p"} if not wanted.pattern else set())) == names


def test_docs_duplicates_and_orders(tmp_path: Path) -> None:
    text = '''
    def a(x):
        y = x
        return y
    class C:
        def b(x):
            y = x
            return y
    def c(x):
        """Different."""
        return x
    '''
    assert sorted(listed(tmp_path, text, Wanted(duplicates=True))) == ["C.b", "a"]
    assert sorted(listed(tmp_path, text, Wanted(missing_docs=True))) == ["C", "C.b", "a"]
    assert list(listed(tmp_path, text, Wanted(sort="name"))) == ["C", "C.b", "a", "c"]
    assert list(listed(tmp_path, text, Wanted(sort="lines"))) == ["C", "a", "C.b", "c"]


@pytest.mark.parametrize("package", ["asyncio", "email", "json", "importlib"])
def test_nothing_is_missed_or_invented(package: str) -> None:
    truth = set()
    for path in (LIB / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                truth.add((str(path), node.lineno, node.name, ast.get_docstring(node) or ""))
    found = list_definitions([str(LIB / package)], Wanted(private=True)).definitions
    assert {(d.path, d.line, d.name, inspect.cleandoc(d.docstring)) for d in found} == truth


def test_signatures_are_those_of_the_interpreter() -> None:
    """What `inspect` says of a function, where nothing of it needs to be evaluated."""
    import textwrap as module

    found = {d.qualname: d for d in list_definitions([inspect.getfile(module)], Wanted(private=True)).definitions}
    for name in ("wrap", "fill", "shorten", "dedent", "indent"):
        plain = str(inspect.signature(getattr(module, name)))
        assert found[name].signature.replace('"', "'") == plain.replace('"', "'")


def test_the_python_functions(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(dedent(SOURCE), "utf-8")
    (tmp_path / "bad.py").write_text("def f(:\n", "utf-8")
    public = discover_functions(tmp_path)
    assert [f.qualname for f in public] == ["f", "_shown", "C.p", "C.p", "C.make", "C.s", "C.D.n"]
    first = public[0]
    assert isinstance(first, FunctionInfo)
    assert (first.name, first.line_number, first.file_path) == ("f", 5, str(tmp_path / "m.py"))
    assert first.parameters == ["a", "b", "c", "*args", "d", "e", "**kw"]
    assert first.docstring == "Say it.\n\nAnd more."
    assert first.return_type == "dict[str, int]"
    assert [f.name for f in discover_functions(tmp_path / "m.py", "^(f|g)$", private=True)] == ["f", "g"]
    assert [f.name for f in fuzzy_find_symbol("hiden", tmp_path)] == ["hidden"]
    with pytest.raises(SyntaxError):
        discover_functions(tmp_path / "bad.py")
    with pytest.raises(FileNotFoundError):
        discover_functions(tmp_path / "none")
    with pytest.raises(ValueError, match="no regular expression"):
        discover_functions(tmp_path, "(")
    with pytest.raises(ValueError, match="threshold"):
        fuzzy_find_symbol("f", tmp_path, threshold=2)
