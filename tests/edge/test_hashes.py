"""Which files patterns mean, and what is in them: real files."""

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwave.edge.ledger import expand as expanding
from stepwave.edge.ledger.connect import open_ledger
from stepwave.edge.ledger.expand import TooManyFiles, expand
from stepwave.edge.ledger.hashes import Hashes, combined
from stepwave.edge.ledger.outputs import as_plain, as_they_lie, from_plain, move_aside


def lay(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def meant(folder: Path, *patterns: str) -> list[str]:
    found = expand([f"{folder}/{pattern}" for pattern in patterns])
    assert list(found.files) == sorted(found.files)
    return [os.path.relpath(path, folder) for path in found.files]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.c", ["a.c"]),
        ("./src/../a.c", ["a.c"]),
        ("src", ["src/.hidden", "src/b.c", "src/deep/c.c", "src/deep/c.h"]),
        ("src/", ["src/.hidden", "src/b.c", "src/deep/c.c", "src/deep/c.h"]),
        ("src/**", ["src/.hidden", "src/b.c", "src/deep/c.c", "src/deep/c.h"]),
        ("src/*", ["src/.hidden", "src/b.c"]),
        ("**/*.c", ["a.c", "src/b.c", "src/deep/c.c"]),
        ("**/deep/**", ["src/deep/c.c", "src/deep/c.h"]),
        ("**/deep/**/c.?", ["src/deep/c.c", "src/deep/c.h"]),
        ("src/**/**/*.h", ["src/deep/c.h"]),
        ("s*/d*/c.[ch]", ["src/deep/c.c", "src/deep/c.h"]),
        ("s*/d*/c.[!c]", ["src/deep/c.h"]),
        ("s*/d*/c.[^c]", ["src/deep/c.h"]),
        ("[x]y", ["[x]y"]),
        ("*.none", []),
        ("*/*/*/*", []),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    lay(tmp_path, "a.c", "src/b.c", "src/deep/c.c", "src/deep/c.h", "src/.hidden", "[x]y")
    assert meant(tmp_path, pattern) == expected


def test_what_stepwave_and_git_keep_is_passed_over_unless_it_is_named(tmp_path: Path) -> None:
    lay(tmp_path, "a", ".git/HEAD", ".stepwave/ledger.db", "sub/.git/x", ".gitignore")
    assert meant(tmp_path, ".") == meant(tmp_path, "**") == [".gitignore", "a"]
    assert meant(tmp_path, ".git/**") == meant(tmp_path, ".git") == [".git/HEAD"]
    assert meant(tmp_path, "**/.git/*") == [".git/HEAD", "sub/.git/x"]


def test_several_patterns_are_one_list(tmp_path: Path) -> None:
    lay(tmp_path, "b", "a", "c/d")
    assert meant(tmp_path, "c", "b", "a", "a*") == ["a", "b", "c/d"]


def test_what_is_missing(tmp_path: Path) -> None:
    lay(tmp_path, "a")
    found = expand([f"{tmp_path}/nope", f"{tmp_path}/a", f"{tmp_path}/n*", f"{tmp_path}/a/below", f"{tmp_path}/a\0"])
    assert found.missing == (f"{tmp_path}/nope", f"{tmp_path}/a/below", f"{tmp_path}/a\0")


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    lay(tmp_path, "outside/secret", "in/a")
    (tmp_path / "in" / "loop").symlink_to("..")
    (tmp_path / "in" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "in" / "file").symlink_to("a")
    (tmp_path / "in" / "dangling").symlink_to("nowhere")
    expected = ["in/a", "in/dangling", "in/file", "in/loop", "in/out"]
    assert (
        meant(tmp_path, "in")
        == meant(tmp_path, "in/**")
        == meant(tmp_path, "i*/**")
        == meant(tmp_path, "in/*")
        == expected
    )
    found = expand([f"{tmp_path}/in"]).files
    assert [path.rpartition("/")[2] for path, status in found.items() if status is None] == ["dangling", "loop", "out"]


def test_very_many_files_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path, *(f"d/{n}" for n in range(6)))
    monkeypatch.setattr(expanding, "MAX_FILES", 5)
    for pattern in ("d", "d/*", "**"):
        with pytest.raises(TooManyFiles):
            expand([f"{tmp_path}/{pattern}"])
    with pytest.raises(TooManyFiles):
        expand([f"{tmp_path}/d/{n}" for n in range(6)])


names = st.sampled_from(["a", "b", "ab", ".x", "**", "*", "?", "[ab]", "a*", "..", ".", ""])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(names, min_size=1, max_size=5))
def test_whatever_the_pattern_it_means_files_once_and_always_the_same(tmp_path: Path, parts: list[str]) -> None:
    lay(tmp_path, "a/a", "a/b/ab", "b", "ab/.x/a")
    pattern = f"{tmp_path}/{'/'.join(parts)}"
    if ".." in parts:
        pattern = f"{tmp_path}/a/b/{parts[0].replace('..', 'a')}"
    first = expand([pattern])
    assert first == expand([pattern]) == expand([pattern, pattern])._replace(missing=first.missing)
    assert all(Path(path).is_file() for path in first.files)


# --- digests -----------------------------------------------------------------------------------------------------


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    ledger = open_ledger(tmp_path / "ledger.db")
    yield ledger.db
    ledger.close()


def test_equal_contents_have_equal_digests(db: sqlite3.Connection, tmp_path: Path) -> None:
    for name, text in (("a", "x"), ("b", "x"), ("c", "y"), ("empty", "")):
        (tmp_path / name).write_text(text)
    hashes = Hashes(db)
    a, b, c, empty = hashes.digests(expand([f"{tmp_path}/{name}" for name in ("a", "b", "c", "empty")])).values()
    assert a == b and len({a, c, empty}) == 3
    assert len(a) == 32


def test_a_file_that_was_just_changed_is_read_again(db: sqlite3.Connection, tmp_path: Path) -> None:
    """Same size, same inode, same time stamps: only its contents tell."""
    path = tmp_path / "a"
    path.write_text("one")
    stamps = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    hashes = Hashes(db)
    before = hashes.digests(expand([str(path)]))
    assert hashes.rows() == []  # not to be trusted yet
    path.write_text("two")
    os.utime(path, ns=stamps)
    assert hashes.digests(expand([str(path)])) != before


def test_a_file_that_has_rested_is_read_once(
    db: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    later = time.time_ns() + 3_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)
    hashes = Hashes(db)
    first = hashes.digests(expand([str(path)]))
    for statement, row in hashes.rows():
        db.execute(statement, row)
    fd = os.open(path, os.O_RDONLY)
    os.close(fd)
    path.chmod(0)  # its ctime is another one now, so it would have to be read
    path.chmod(0o600)
    again = Hashes(db)
    assert again.digests(expand([str(path)])) == first
    assert len(again.rows()) == 1
    known = Hashes(db)
    db.execute("UPDATE hashes SET digest = 'kept', ctime_ns = ?", (path.stat().st_ctime_ns,))
    assert list(known.digests(expand([str(path)])).values()) == ["kept"]
    assert known.rows() == []


@pytest.mark.parametrize("column", ["size", "mtime_ns", "ctime_ns", "inode", "device"])
def test_every_part_of_the_stat_counts(
    db: sqlite3.Connection, tmp_path: Path, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    later = time.time_ns() + 3_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)
    hashes = Hashes(db)
    hashes.digests(expand([str(path)]))
    for statement, row in hashes.rows():
        db.execute(statement, row)
    db.execute(f"UPDATE hashes SET digest = 'kept', {column} = {column} + 1")
    assert list(Hashes(db).digests(expand([str(path)])).values()) != ["kept"]


def test_what_is_no_file_is_told_by_what_it_is(db: sqlite3.Connection, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        (tmp_path / "link").symlink_to("nowhere")
        (tmp_path / "closed").write_text("x")
        digests = Hashes(db).digests(expand([f"{tmp_path}/{name}" for name in ("fifo", "socket", "link")]))
    assert [*digests.values()] == ["no file", "link to nowhere", "no file"]


def test_one_digest_of_many() -> None:
    assert combined({}) == combined({}, ())
    different = [{}, {"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "b": "1"}]
    assert len({*(combined(one) for one in different), combined({}, ("a",))}) == 6


# --- outputs -----------------------------------------------------------------------------------------------------


def test_what_was_not_touched_stays(tmp_path: Path) -> None:
    top, aside = tmp_path / "top", tmp_path / "aside"
    lay(top, "out/old", "out/changed", "out/gone")
    before = as_they_lie([f"{top}/out"])
    assert from_plain(as_plain(before)) == before
    (top / "out/changed").write_text("longer than before")
    (top / "out/gone").unlink()
    lay(top, "out/new/deep")
    assert move_aside([f"{top}/out"], before, str(top), aside) == 2
    assert sorted(path.relative_to(aside).as_posix() for path in aside.rglob("*") if path.is_file()) == [
        "out/changed",
        "out/new/deep",
    ]
    assert (top / "out/old").exists()
    assert move_aside([f"{top}/out"], before, str(top), aside) == 0


def test_what_cannot_be_moved_stays_where_it_is(tmp_path: Path) -> None:
    lay(tmp_path, "out", "aside")
    assert move_aside([f"{tmp_path}/out"], {}, str(tmp_path), tmp_path / "aside") == 0
    assert (tmp_path / "out").exists()


def test_a_link_is_moved_and_not_what_it_leads_to(tmp_path: Path) -> None:
    lay(tmp_path, "target")
    (tmp_path / "out").symlink_to("target")
    assert move_aside([f"{tmp_path}/out"], {}, str(tmp_path), tmp_path / "aside") == 1
    assert (tmp_path / "aside" / "out").is_symlink() and (tmp_path / "target").exists()
