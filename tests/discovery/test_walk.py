"""Which files are read, in which order; and what stands in the way."""

import os
from pathlib import Path

import pytest

from stepwave.discovery.walk import walk


def tree(folder: Path, *names: str, **texts: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n", "utf-8")
    for name, text in texts.items():
        (folder / name.replace("__", "/")).write_text(text, "utf-8")


def paths(folder: Path, **more: bool) -> list[str]:
    return [found.path for found in walk(str(folder), **more).files]


def test_what_tools_made_is_left_out(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "a.py", "b.txt", "c.pyw", "pkg/d.py", ".git/hooks/e.py", "__pycache__/f.py", "env/pyvenv.cfg", "env/lib/g.py",
        "node_modules/h.py", "build/lib/i.py", "dist/j.py", "pip/build/__init__.py", "pip/build/k.py", ".tox/l.py",
    )  # fmt: skip
    assert paths(tmp_path) == ["a.py", "c.pyw", "pip/build/__init__.py", "pip/build/k.py", "pkg/d.py"]
    everything = paths(tmp_path, ignore=False)
    assert set(everything) >= {"env/lib/g.py", "node_modules/h.py", "build/lib/i.py", "__pycache__/f.py", ".tox/l.py"}
    assert ".git/hooks/e.py" not in everything


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ("", ["a.py", "gen/a.py", "gen/sub/b_pb2.py", "sub/gen/a.py"]),
        ("gen/", ["a.py"]),
        ("/gen", ["a.py", "sub/gen/a.py"]),
        ("gen/a.py", ["a.py", "gen/sub/b_pb2.py", "sub/gen/a.py"]),
        ("**/gen/a.py", ["a.py", "gen/sub/b_pb2.py"]),
        ("*_pb2.py", ["a.py", "gen/a.py", "sub/gen/a.py"]),
        ("a.py\n!/a.py", ["a.py", "gen/sub/b_pb2.py"]),
        ("*.py\n!b*.py", ["gen/sub/b_pb2.py"]),
        ("# gen\n\n  \nsub/**", ["a.py", "gen/a.py", "gen/sub/b_pb2.py"]),
        ("[ag].py", ["gen/sub/b_pb2.py"]),
        ("?.py", ["gen/sub/b_pb2.py"]),
        ("gen/*", ["a.py", "sub/gen/a.py"]),
        ("[", ["a.py", "gen/a.py", "gen/sub/b_pb2.py", "sub/gen/a.py"]),
    ],
)
def test_gitignore(lines: str, left: list[str], tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "gen/a.py", "gen/sub/b_pb2.py", "sub/gen/a.py")
    (tmp_path / ".gitignore").write_text(lines, "utf-8")
    assert paths(tmp_path) == left


def test_gitignore_of_folders_below_and_above(tmp_path: Path) -> None:
    tree(tmp_path, "sub/a.py", "sub/b.py", "sub/deep/a.py", "sub/deep/c.py", "b.py")
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub/.gitignore").write_text("/a.py\n", "utf-8")
    (tmp_path / ".gitignore").write_text("/sub/deep/c.py\nb.py\n", "utf-8")
    assert paths(tmp_path) == ["sub/deep/a.py"]
    assert paths(tmp_path / "sub") == ["deep/a.py"]


def test_git_says_the_same(tmp_path: Path) -> None:
    """What git itself would leave alone, where git is there to be asked."""
    import shutil
    import subprocess

    if shutil.which("git") is None:
        pytest.skip("no git")
    tree(tmp_path, *[f"{a}/{b}/{c}.py" for a in ("x", "gen") for b in ("y", "gen", "z") for c in ("m", "gen", "n")])
    (tmp_path / ".gitignore").write_text("gen/y\n/x/*/m.py\n**/z/n.py\n*en.py\n!x/y/gen.py\n", "utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    command = ["git", "ls-files", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split()
    assert paths(tmp_path) == sorted(listed)


def test_loops_of_links_end_and_odd_files_are_not_opened(tmp_path: Path) -> None:
    tree(tmp_path, "a/b.py")
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "a/self.py").symlink_to("self.py")
    (tmp_path / "a/link.py").symlink_to("b.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "folder.py/in.py").write_text("", "utf-8")
    os.mkfifo(tmp_path / "pipe.py")
    assert paths(tmp_path) == ["a/b.py", "a/link.py", "folder.py/in.py"]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.py"
    Path(os.fsdecode(name)).write_text("", "utf-8")
    assert paths(tmp_path) == ["caf\udce9.py"]


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        walk(str(tmp_path / "none"))
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(NotADirectoryError):
        walk(str(tmp_path / "file"))
