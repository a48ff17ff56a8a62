"""Real packages: nothing crashes, nothing hangs, and a language server that knows types finds no more than we do."""

import os
import random
import re
import shutil
import sysconfig
from pathlib import Path

import pytest

from stepwave.discovery import tokens
from stepwave.discovery.answers import Query
from stepwave.discovery.listing import Wanted, list_definitions
from stepwave.discovery.source import read
from stepwave.discovery.usage import usage_of
from stepwave.discovery.walk import Unread, walk
from tests.discovery.language_server import Server
from tests.discovery.marked import written

LIB = Path(sysconfig.get_path("stdlib"))
SITE = Path(sysconfig.get_path("purelib"))


@pytest.mark.parametrize("package", ["unittest", "concurrent", "logging", "xml"])
def test_a_search_in_the_standard_library(package: str) -> None:
    chance = random.Random(package)
    root = str(LIB / package)
    found = list_definitions([root], Wanted(private=True)).definitions
    for definition in chance.sample(found, 4):
        usage = usage_of(root, Query(definition.name, possible=True))
        places = [(u.path, u.line, u.column) for u in usage.uses]
        assert places == sorted(set(places))
        assert (definition.path.removeprefix(f"{root}/"), definition.line) in {
            (u.path, u.line) for u in usage.uses if u.kind == "definition"
        }
        for use in usage.uses:  # every place really holds the word, or the name that it goes by there
            line = (LIB / package / use.path).read_text("utf-8").splitlines()[use.line - 1]
            assert line[use.column - 1 : use.end_column - 1].isidentifier()


@pytest.mark.parametrize("package", ["_pytest", "typer", "rich", "yaml"])
def test_what_is_installed_is_listed(package: str) -> None:
    root = SITE / package
    if not root.is_dir():
        pytest.skip(f"no {package}")
    listing = list_definitions([str(root)], Wanted(private=True))
    assert not listing.unread
    assert listing.definitions


def test_only_what_holds_a_word_has_to_be_parsed() -> None:
    """The shortened text gives the same tokens as the whole one."""
    chance = random.Random(3)
    shortened = 0
    for found in chance.sample(walk(str(LIB / "asyncio")).files + walk(str(LIB / "email")).files, 20):
        root = str(LIB / "asyncio") if (LIB / "asyncio" / found.path).exists() else str(LIB / "email")
        data = read(root, found.path)
        assert isinstance(data, bytes)
        words = sorted(set(re.findall(r"[A-Za-z_]\w*", data.decode())))
        for word in chance.sample(words, min(3, len(words))):
            short = tokens.tokens_in(found.path, data, [word])
            whole = tokens.skeleton
            tokens.skeleton = lambda text, wanted: None  # type: ignore[assignment]
            try:
                assert tokens.tokens_in(found.path, data, [word]) == short
            finally:
                tokens.skeleton = whole
            shortened += whole(data, [data.find(word.encode())]) is not None
    assert shortened > 10


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    x = '''\ndef W(): pass\n'''\n\ndef W(): pass\n",
        "def f():\n    x = (\n1,\n)\n    def W(): pass\n",
        "def f():\n    x = 1 + \\\nW\ny = W\n",
        'class A:\n  def f(self): return \'"""\'\n  def W(self): pass\n',
        "def f(\n    a,\n):\n    pass\nW = 1\n",
        "def f(): # '''\n    pass\ndef g(): return W\n# '''\n",
        "if 1:\n\tdef f():\n\t\tpass\n\tdef W(): pass\n",
        "@W\ndef f(): pass\n@g\ndef h(): pass\n",
        "def f():\n    global W\n    W = 1\ndef g(): return W\n",
        "class f: x = 1; y = 2\nW = f\n",
    ],
)
def test_blocks_end_where_they_end(text: str) -> None:
    data = (text + "def pad():\n" + "    padding = 'x'\n" * 200).encode()
    short = tokens.tokens_in("m.py", data, ["W"])
    assert not isinstance(short, Unread)
    whole = tokens.skeleton
    tokens.skeleton = lambda text, wanted: None  # type: ignore[assignment]
    try:
        assert tokens.tokens_in("m.py", data, ["W"]) == short
    finally:
        tokens.skeleton = whole


@pytest.mark.parametrize(
    "unit", [b'"""', b"'", b'f"{', b"(", b"def f(", b"\\\n", b"#", b"class A:\n ", b"lambda:", b"x."]
)
def test_hostile_text_is_read_in_time(unit: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_bytes(b"W = 1\n" + unit * 60_000 + b"\nW")
    usage = usage_of(str(tmp_path), Query("W"))
    assert len(usage.unread) + len(usage.uses) > 0
    list_definitions([str(tmp_path)], Wanted(private=True))


def test_names_that_are_bound_by_one_another_end(tmp_path: Path) -> None:
    """Every line may be what any other one is made of: there are more ways through them than anybody can go."""
    names = [f"a{number}" for number in range(12)]
    lines = [f"    {one} = {one}.f({other}).g({one})" for one in names for other in names]
    text = "\n".join(["def W(" + ", ".join(names) + "):", *lines, "    return a0.W()", "W(1).W"])
    (tmp_path / "m.py").write_text(text, "utf-8")
    assert [use.kind for use in usage_of(str(tmp_path), Query("m.W")).uses] == ["definition", "call"]


SERVER = shutil.which("basedpyright-langserver", path=os.environ.get("STEPWAVE_PEERS", "") or os.environ.get("PATH"))

PROGRAM = """
# pkg/__init__.py
from .shapes import Shape, area as size
__all__ = ["Shape", "size"]
# pkg/shapes.py
from __future__ import annotations
from typing import Iterator
class Shape:
    def «definition:area»(self) -> float: return 1.0
    def twice(self): return self.«call:area»() * 2
class Square(Shape):
    def __init__(self, side: float): self.side = side
    def twice(self): return super().«call:area»()
def area(shape: Shape) -> float: return shape.«call:area»()
def several() -> Iterator[Shape]: yield Square(1)
# use.py
from pkg import Shape, size
from pkg.shapes import Square, several
import pkg.shapes as s
print([one.«call:area»() for one in several()], Square(2).«call:area»(), size(Shape()))
def f(x: "s.Shape | None"):
    if x is not None: return x.«call:area»
"""


@pytest.mark.skipif(SERVER is None, reason="basedpyright is not installed (STEPWAVE_PEERS may name its folder)")
def test_a_language_server_finds_the_same(tmp_path: Path) -> None:
    assert SERVER is not None
    certain, _ = written(tmp_path, PROGRAM)
    usage = usage_of(str(tmp_path), Query("Shape.area"))
    places = {(use.path, use.line, use.column) for use in usage.uses}
    assert places == {place[:3] for place in certain}
    server = Server(SERVER, tmp_path)
    try:
        for path in ("pkg/__init__.py", "use.py"):
            server.open(path)
        assert server.references("pkg/shapes.py", 4, 9) == places
    finally:
        server.close()
