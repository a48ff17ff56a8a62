"""From bytes to text: encodings, marks, line ends; and files that cannot be read or parsed."""

import ast
from pathlib import Path

import pytest

from stepwave.discovery import source
from stepwave.discovery.modules import Missing, Modules
from stepwave.discovery.occurrences import Occurrences, plain
from stepwave.discovery.walk import Unread
from tests.discovery.marked import check

TEXT = "é = 'ß'\nx = é\n"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        b"# -*- coding: latin-1 -*-\n" + TEXT.encode("latin-1"),
        b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n" + TEXT.encode("cp1252"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        b"\x0c\n" + TEXT.encode(),
    ],
)
def test_places_are_those_of_the_parser(data: bytes) -> None:
    tree = source.parse("m.py", data)
    assert isinstance(tree, ast.Module)
    names = [(n.lineno, n.col_offset) for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "é"]
    assert Occurrences(plain(data), ["é"]).order == sorted(names)
    lines = source.lines_of(source.decoded(data))
    assert [lines[line - 1][source.column_of(lines, line, column) - 1] for line, column in names] == ["é", "é"]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"x = 1\ny = (\n", 2),
        (b"x\x00y", 1),
        (b"\xff\xfex", 1),
        (b"# coding: nonsense\n", 1),
        (b"(" * 5000, 1),
        (b"-" * 100_000 + b"1", 1),
        (b"if x:\n\ty\n        z\n", 3),
    ],
)
def test_what_does_not_parse_is_told_with_its_line(data: bytes, line: int) -> None:
    found = source.parse("m.py", data)
    assert isinstance(found, Unread)
    assert (found.path, found.line) == ("m.py", line)
    assert found.reason.startswith("does not parse")


def test_odd_escapes_are_no_affair_of_the_reader() -> None:
    assert isinstance(source.parse("m.py", rb"x = '\d'"), ast.Module)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert source.read(str(tmp_path), "none.py") == Unread("none.py", 1, 1, "no such file or directory")
    assert source.read(str(tmp_path), ".") == Unread(".", 1, 1, "not a regular file")
    with (tmp_path / "large.py").open("wb") as large:
        large.truncate(100 << 20)
    found = source.read(str(tmp_path), "large.py")
    assert found == Unread("large.py", 1, 1, "not read: 100.0 MB, the limit is 4 MB")


def test_a_search_goes_on_behind_them(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_bytes(b"def x(:\n")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'\n")
    (tmp_path / "null.py").write_bytes(b"x\x00")
    usage = None
    with pytest.raises(AssertionError):  # `check` wants no unread files
        usage = check(tmp_path, "x", "# good.py\n«definition:x» = 1\n")
    assert usage is None
    from stepwave.discovery.answers import Query
    from stepwave.discovery.usage import usage_of

    usage = usage_of(str(tmp_path), Query("x"))
    assert [use.path for use in usage.uses] == ["good.py"]
    assert [unread.path for unread in usage.unread] == ["bad.py", "latin.py", "null.py"]
    assert usage.scanned == 4


FILES = [
    "a.py",
    "src/pkg/__init__.py",
    "src/pkg/m.py",
    "src/pkg/sub/__init__.py",
    "src/pkg/sub/n.py",
    "tests/t.py",
    "x/y/z.py",
]


def test_names_of_modules() -> None:
    modules = Modules(FILES)
    assert modules.name_of == {
        "a.py": "a",
        "src/pkg/__init__.py": "pkg",
        "src/pkg/m.py": "pkg.m",
        "src/pkg/sub/__init__.py": "pkg.sub",
        "src/pkg/sub/n.py": "pkg.sub.n",
        "tests/t.py": "t",
        "x/y/z.py": "z",
    }


@pytest.mark.parametrize(
    ("importer", "module", "level", "found"),
    [
        ("tests/t.py", "pkg.m", 0, "src/pkg/m.py"),
        ("tests/t.py", "pkg", 0, "src/pkg/__init__.py"),
        ("tests/t.py", "a", 0, "a.py"),
        ("tests/t.py", "x.y.z", 0, "x/y/z.py"),
        ("tests/t.py", "x.y", 0, "x/y/"),
        ("tests/t.py", "os.path", 0, Missing("os.path")),
        ("src/pkg/m.py", None, 1, "src/pkg/__init__.py"),
        ("src/pkg/m.py", "sub.n", 1, "src/pkg/sub/n.py"),
        ("src/pkg/sub/n.py", "m", 2, "src/pkg/m.py"),
        ("src/pkg/sub/__init__.py", "n", 1, "src/pkg/sub/n.py"),
        ("src/pkg/sub/n.py", "none", 2, Missing("pkg.none")),
    ],
)
def test_imports_lead_to_files(importer: str, module: str | None, level: int, found: object) -> None:
    assert Modules(FILES).find_from(importer, module, level) == found


def test_a_root_inside_of_a_package() -> None:
    modules = Modules(["__init__.py", "db/__init__.py", "db/models.py"], ("django",))
    assert modules.name_of["db/models.py"] == "django.db.models"
    assert modules.name_of["__init__.py"] == "django"
    assert modules.find("django.db.models") == "db/models.py"
    assert modules.find("django") == "__init__.py"
    assert modules.find("flask") is None
