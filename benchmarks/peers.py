"""The tools that stepwave is compared with: where they come from, and how they are asked for the same graph."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import graphs, proof
from benchmarks.graphs import Graph
from benchmarks.measure import Broken, Contender, take

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-bench"
PACKAGES = ("ninja", "go-task-bin", "rust-just", "doit", "tqdm")
STEPWAVE = Path(sys.executable).parent / "stepwave"


class Peer(NamedTuple):
    """`options` follow the program; `write` makes the text of `file`; `litter` is what a run leaves behind."""

    name: str
    program: str
    version: tuple[str, ...]
    file: str
    write: Callable[[Graph], str]
    options: Callable[[int], tuple[str, ...]]
    litter: tuple[str, ...] = ()


PEERS = (
    Peer(
        "ninja", "ninja", ("--version",), "build.ninja", graphs.ninja,
        lambda width: (f"-j{width}",), (".ninja_log", ".ninja_deps"),
    ),
    Peer("make", "make", ("--version",), "Makefile", graphs.makefile, lambda width: ("-r", f"-j{width}", "all")),
    Peer(
        "task", "task", ("--version",), "Taskfile.yml", graphs.taskfile,
        lambda width: ("-C", str(width), "all"), (".task", ".cache"),
    ),
    Peer("just", "just", ("--version",), "justfile", graphs.justfile, lambda width: ("--jobs", str(width), "all")),
    Peer(
        "doit", "doit", ("--version",), "dodo.py", graphs.dodo,
        lambda width: ("-n", str(width), "-P", "thread"), (".doit.db", ".doit.db.db", "__pycache__"),
    ),
)  # fmt: skip


def install(told: Callable[[str], None]) -> None:
    """The peers from PyPI, into a venv of their own that git does not see. One that cannot be had is no error."""
    if not (VENV / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        (VENV / ".gitignore").write_text("*\n")
    for package in PACKAGES:
        stamp = VENV / f".has-{package}"
        if stamp.exists():
            continue
        told(f"installing {package} into {VENV.name}")
        argv = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
        if subprocess.run(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            stamp.touch()
        else:
            told(f"{package} cannot be installed")


def program(peer: Peer) -> Path | None:
    """PyPI's first, the system's else."""
    found = shutil.which(peer.program, path=f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    return Path(found) if found else None


def version(peer: Peer) -> str | None:
    """The first line of what it says of itself, without its name; None: not here."""
    path = program(peer)
    if path is None:
        return None
    answer = subprocess.run([path, *peer.version], capture_output=True, text=True, check=False).stdout
    first = (answer.splitlines() or ["?"])[0]
    return first.removeprefix("GNU Make").removeprefix(peer.name).strip()


def contender(peer: Peer, graph: Graph, folder: Path, width: int) -> Contender | None:
    """The peer with the graph written for it below `folder`; None when it is not here."""
    path = program(peer)
    if path is None:
        return None
    here = folder / peer.name
    here.mkdir(parents=True, exist_ok=True)
    (here / peer.file).write_text(peer.write(graph))
    return Contender(peer.name, (str(path), *peer.options(width)), here, peer.litter)


def ours(graph: Graph, folder: Path, width: int, *, yaml: bool = False, name: str = "stepwave") -> Contender:
    """`stepwave run` as anybody would type it: logs on, plain lines to standard error."""
    here = folder / name.replace(" ", "-")
    here.mkdir(parents=True, exist_ok=True)
    file = here / ("graph.yaml" if yaml else "graph.json")
    file.write_text(graphs.stepwave_yaml(graph) if yaml else graphs.stepwave_json(graph))
    return Contender(name, (str(STEPWAVE), "run", f"-j{width}", file.name), here, (".stepwave",))


def deviation(contender: Contender, graph: Graph, width: int) -> str:
    """What it does otherwise than asked when it runs a graph of marks; empty: nothing."""
    try:
        take(contender)
    except Broken as problem:
        return str(problem)
    trace = (contender.folder / "trace").read_text().splitlines()
    return "; ".join(proof.faults(graph, trace, width)[:3])


def examined(peer: Peer | None, folder: Path, width: int) -> str:
    """Run the marked graph with a peer (None: with stepwave) and tell how it deviates."""
    here = folder / (peer.name if peer else "stepwave")
    here.mkdir(parents=True, exist_ok=True)
    graph = proof.marked_graph(here)
    one = contender(peer, graph, folder, width) if peer else ours(graph, folder, width)
    return deviation(one, graph, width) if one else ""


# --- the floor ---------------------------------------------------------------------------------------

C_FLOOR = """
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
extern char **environ;
int main(int argc, char **argv) {
    int count = atoi(argv[1]), width = atoi(argv[2]), running = 0;
    char *words[] = {"/bin/true", NULL};
    for (int i = 0; i < count; i++, running++) {
        pid_t pid;
        if (running == width) { wait(NULL); running--; }
        if (posix_spawn(&pid, words[0], NULL, NULL, words, environ)) return 1;
    }
    while (running--) wait(NULL);
    return 0;
}
"""


def floors(count: int, width: int, folder: Path) -> list[Contender]:
    """A bare loop of posix_spawn and wait: in Python, and in C where there is a compiler. It knows no dependencies."""
    folder.mkdir(parents=True, exist_ok=True)
    script = str(Path(__file__).with_name("floor.py"))
    numbers = (str(count), str(width))
    found = [Contender("bare loop, Python", (sys.executable, "-I", "-S", script, *numbers), folder)]
    compiler = shutil.which("cc")
    if compiler:
        (folder / "floor.c").write_text(C_FLOOR)
        argv = [compiler, "-O2", "-o", "floor", "floor.c"]
        if subprocess.run(argv, cwd=folder, capture_output=True, check=False).returncode == 0:
            found.append(Contender("bare loop, C", (str(folder / "floor"), *numbers), folder))
    return found
