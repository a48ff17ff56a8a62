"""Files for expressions: what lies in the folder, and nothing else."""

import os
import socket
from pathlib import Path

import pytest

from stepwave.core.language.scope import FileRefused
from stepwave.edge.confined import MAX_BYTES, ConfinedFiles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workflow's folder, with a secret beside it."""
    (tmp_path / "secret.txt").write_text("secret")
    inside = tmp_path / "flow"
    (inside / "sub" / "deep").mkdir(parents=True)
    (inside / "a.txt").write_text("ä\r\n", newline="")
    (inside / "sub" / "b.json").write_text('{"b": 1}')
    return inside


def refused(folder: Path, path: str) -> str:
    """Why, which must be the same for all that can be asked."""
    files = ConfinedFiles(str(folder))
    with pytest.raises(FileRefused) as caught:
        files.read_text(path)
    with pytest.raises(FileRefused) as other:
        files.size(path)
    assert str(caught.value) == str(other.value)
    return str(caught.value)


def test_files_of_the_folder_are_read(folder: Path) -> None:
    files = ConfinedFiles(str(folder))
    assert files.read_text("a.txt") == "ä\r\n"
    assert files.read_text("./sub//./b.json") == '{"b": 1}'
    assert files.size("a.txt") == 4
    assert [files.exists(path) for path in ("a.txt", "sub", "sub/deep/", ".", "nope", "a.txt/x", "nope/x")] == [
        True,
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_byte_order_mark_is_no_text(folder: Path) -> None:
    (folder / "bom.json").write_bytes(b"\xef\xbb\xbf[]")
    assert ConfinedFiles(str(folder)).read_text("bom.json") == "[]"


def test_the_folder_itself_may_be_a_link(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    assert ConfinedFiles(str(folder.parent / "link")).read_text("sub/b.json") == '{"b": 1}'


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "is no path within the workflow's folder"),
        ("/etc/passwd", "is no path within the workflow's folder"),
        ("a\0b", "is no path within the workflow's folder"),
        ("\ud800", "is no path within the workflow's folder"),
        ("x" * 5000, "is no path within the workflow's folder"),
        ("../secret.txt", "leads out of a folder, and only files of the workflow's folder can be read"),
        ("sub/../a.txt", "leads out of a folder, and only files of the workflow's folder can be read"),
        ("nope", "does not exist"),
        ("a.txt/x", "does not exist"),
        ("sub", "is a folder, not a file"),
        ("n" * 300, "cannot be read: file name too long"),
    ],
)
def test_what_is_refused(folder: Path, path: str, why: str) -> None:
    assert refused(folder, path).endswith(f"` {why}")


def test_links_lead_only_to_what_lies_in_the_folder(folder: Path) -> None:
    (folder / "in").symlink_to("sub")
    (folder / "sub" / "up").symlink_to("../a.txt")
    (folder / "sub" / "far").symlink_to("deep/../../sub/./b.json")
    files = ConfinedFiles(str(folder))
    assert files.read_text("in/b.json") == '{"b": 1}'
    assert files.read_text("in/up") == "ä\r\n"
    assert files.read_text("in/far") == '{"b": 1}'

    (folder / "out").symlink_to("../secret.txt")
    (folder / "outer").symlink_to("..")
    (folder / "round").symlink_to("../flow/a.txt")
    (folder / "whole").symlink_to(folder.parent / "secret.txt")
    (folder / "sub" / "chain").symlink_to("../outer")
    for path in ("out", "outer/secret.txt", "round", "whole", "sub/chain/secret.txt"):
        assert "leads out of the workflow's folder" in refused(folder, path)
        with pytest.raises(FileRefused):
            files.exists(path)


def test_links_that_go_round_or_nowhere_end(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one/x")
    (folder / "gone").symlink_to("nope")
    assert "leads out" in refused(folder, "loop")
    assert "leads out" in refused(folder, "one")
    assert "does not exist" in refused(folder, "gone")
    assert not ConfinedFiles(str(folder)).exists("gone")


def test_what_is_no_ordinary_file_is_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket"))
        (folder / "null").symlink_to("/dev/null")
        assert refused(folder, "fifo").endswith("is not an ordinary file")
        assert refused(folder, "socket").endswith("is not an ordinary file")
        assert "leads out" in refused(folder, "null")
        assert ConfinedFiles(str(folder)).exists("fifo")


def test_a_file_has_a_largest_size(folder: Path) -> None:
    files = ConfinedFiles(str(folder))
    (folder / "full").write_bytes(b"x" * MAX_BYTES)
    (folder / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    assert len(files.read_text("full")) == MAX_BYTES
    with pytest.raises(FileRefused, match="is larger than 1 MiB"):
        files.read_text("large")
    assert files.size("large") == MAX_BYTES + 1


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_file_that_says_it_is_empty_is_still_bounded() -> None:
    files = ConfinedFiles("/proc/self")
    assert files.size("maps") == 0
    assert "\n" in files.read_text("maps")


def test_what_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / "latin1").write_bytes(b"caf\xe9")
    with pytest.raises(FileRefused, match="is not UTF-8 text"):
        ConfinedFiles(str(folder)).read_text("latin1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(folder: Path) -> None:
    (folder / "a.txt").chmod(0)
    assert "permission denied" in refused(folder, "a.txt")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_nothing_stays_open(folder: Path) -> None:
    (folder / "out").symlink_to("..")
    files = ConfinedFiles(str(folder))
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for path in ("a.txt", "sub/b.json", "nope", "out", "sub"):
        try:
            files.read_text(path)
        except FileRefused:
            continue
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
