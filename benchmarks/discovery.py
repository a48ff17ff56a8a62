"""`make bench-discovery`: how fast code is read, beside other tools, as ratios taken in one run.

    python benchmarks/discovery.py [--rounds N] [--only warm|facts|cold|definitions|references|all-files|calls]

The tree is the standard library of this Python (without site-packages); Django and SQLAlchemy come from PyPI into
`.venv-bench`, as does jedi; ripgrep and ctags are those of the system. What is not there is said and left out.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.measure import Contender, race, ratio, walls  # noqa: E402
from benchmarks.peers import STEPWAVE, VENV  # noqa: E402
from benchmarks.table import Table, Verdict, as_text, at_most, below_mb, times, verdicts  # noqa: E402

PACKAGES = ("django", "sqlalchemy", "jedi")
PYTHON = sys.executable
COMMON, RARE = "TestCase", "OrderedDict"
NEVER_ASKED = (
    "ensure_future", "Barrier", "ChainMap", "Semaphore", "namedtuple", "TextWrapper", "Fraction", "PurePath",
    "SequenceMatcher", "StreamReader", "deepcopy", "lru_cache", "HTTPConnection", "MIMEText", "ZipFile",
    "RawConfigParser",
)  # fmt: skip

PARSE_ALL = """
import ast, os, sys, warnings
warnings.simplefilter("ignore")
word = sys.argv[2].encode() if len(sys.argv) > 2 else b""
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        if name.endswith(".py"):
            with open(f"{folder}/{name}", "rb") as file:
                data = file.read()
            if word in data:
                try:
                    ast.parse(data)
                except (SyntaxError, ValueError):
                    pass
"""
"""Every file that holds a word, or every file, is parsed by Python: what a reader in Python cannot avoid."""

Tables = list[Table]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/discovery.py", description="Measure how fast code is read.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=ALL, action="append")
    asked = parser.parse_args()
    _install()
    with tempfile.TemporaryDirectory(prefix="stepwave-bench-") as name:
        folder = Path(name)
        library = _library(folder)
        count = sum(1 for _ in library.rglob("*.py"))
        print(f"{count:,} files of the standard library; load {os.getloadavg()[0]:.1f}\n")
        for what in asked.only or ALL:
            for table in ALL[what](folder, asked.rounds):
                print(as_text(table))


def _install() -> None:
    if not (VENV / "bin/python").exists():
        subprocess.run([PYTHON, "-m", "venv", str(VENV)], check=True)
        (VENV / ".gitignore").write_text("*\n")
    command = [str(VENV / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
    subprocess.run(command, check=False)


def _library(folder: Path) -> Path:
    skip = shutil.ignore_patterns("site-packages", "__pycache__", "*.so", "*.a")
    return Path(shutil.copytree(sysconfig.get_path("stdlib"), folder / "lib", ignore=skip, symlinks=True))


def _own(name: str, folder: Path, *words: str, litter: tuple[str, ...] = ()) -> Contender:
    return Contender(name, (str(STEPWAVE), *words), folder, litter)


def _peer(name: str, folder: Path, program: str, *words: str) -> list[Contender]:
    path = shutil.which(program)
    return [Contender(name, (path, *words), folder)] if path else []


def _parse(name: str, folder: Path, *words: str) -> Contender:
    return Contender(name, (PYTHON, "-c", PARSE_ALL, *words), folder)


def warm(folder: Path, rounds: int) -> Tables:
    """The same question again, with nothing changed."""
    tables: Tables = []
    for word in (COMMON, RARE):
        own = _own("stepwave, warm", folder, "find-symbol", word, "lib")
        peers = _peer("ripgrep", folder, "rg", "-nw", word, "lib")
        subprocess.run([*own.argv], cwd=folder, env={"HOME": str(folder)}, capture_output=True, check=False)
        samples = race([own, *peers], rounds * 3)
        tables.append(times(f"find-symbol {word}, warm", [own, *peers], samples))
        if "ripgrep" in samples:
            found = ratio(walls(samples[own.name]), walls(samples["ripgrep"]))
            tables.append(verdicts("", [at_most("warm, against rg -nw", found, 2.0)]))
    return tables


def facts(folder: Path, rounds: int) -> Tables:
    """Names that nobody has asked for before, and a question after a change: both from what is known of the files."""
    shell = 'n=$(head -n 1 {0}); sed -i 1d {0}; exec {1} "$n" lib'
    for who in ("own", "peer"):
        (folder / who).write_text("".join(f"{name}\n" for name in NEVER_ASKED))
    first = [str(STEPWAVE), "find-symbol", COMMON, "lib"]
    subprocess.run(first, cwd=folder, env={"HOME": str(folder)}, capture_output=True, check=False)
    times_each = min(len(NEVER_ASKED) - 2, rounds * 3)
    new = Contender("stepwave, another name", ("/bin/sh", "-c", shell.format("own", f"{STEPWAVE} find-symbol")), folder)
    grep = Contender("ripgrep, another name", ("/bin/sh", "-c", shell.format("peer", "rg -nw")), folder)
    edit = f"echo '#' >> lib/this.py; exec {STEPWAVE} find-symbol {COMMON} lib"
    after = Contender("stepwave, one file changed", ("/bin/sh", "-c", edit), folder)
    peers = [grep] if shutil.which("rg") else []
    samples = race([new, after, *peers], times_each)
    tables = [times("find-symbol, from the facts of files", [new, after, *peers], samples)]
    if peers:
        floor = walls(samples[grep.name])
        tables.append(
            verdicts(
                "",
                [
                    at_most("another name, against rg -nw", ratio(walls(samples[new.name]), floor), 2.0),
                    at_most(f"{COMMON} after a change, against rg -nw", ratio(walls(samples[after.name]), floor), 2.0),
                ],
            )
        )
    return tables


def cold(folder: Path, rounds: int) -> Tables:
    """Nothing known beforehand."""
    tables: Tables = []
    for word in (COMMON, RARE):
        own = _own("stepwave, cold", folder, "find-symbol", word, "lib", litter=(".cache",))
        base = _parse("parse the files that hold it", folder, "lib", word)
        samples = race([own, base], rounds)
        found = ratio(walls(samples[own.name]), walls(samples[base.name]))
        tables.append(times(f"find-symbol {word}, cold", [own, base], samples))
        tables.append(verdicts("", [at_most("cold, against parsing the files that hold the word", found, 0.6)]))
    return tables


def definitions(folder: Path, rounds: int) -> Tables:
    """All functions and classes, as CSV, beside parsing alone and beside ctags."""
    words = ("discover", "functions", "lib", "--private", "--format", "count", "--no-cache")
    one = _own("stepwave, one process", folder, *words, "--processes", "1")
    two = _own("stepwave, two processes", folder, *words, "--processes", "2")
    base = _parse("ast.parse of everything", folder, "lib")
    peers = _peer("ctags", folder, "ctags", "-R", "--languages=Python", "-f", "tags", "lib")
    samples = race([one, two, base, *peers], rounds, warm_up=False)
    floor = walls(samples[base.name])
    found = [
        at_most("one process, against ast.parse", ratio(walls(samples[one.name]), floor), 1.25),
        at_most("two processes, against ast.parse", ratio(walls(samples[two.name]), floor), 0.6),
    ]
    return [times("definitions of the standard library", [one, two, base, *peers], samples), verdicts("", found)]


def references(folder: Path, rounds: int) -> Tables:
    """A method, whose receivers have to be understood; jedi is asked for the same."""
    site = next((VENV / "lib").glob("*/site-packages"), VENV)
    if not (site / "sqlalchemy").is_dir():
        print("SQLAlchemy is not here")
        return []
    shutil.copytree(site / "sqlalchemy", folder / "alchemy/sqlalchemy", dirs_exist_ok=True)
    own = _own("stepwave, cold", folder, "find-symbol", "Session.execute", "alchemy", "--no-cache")
    text = (
        "import jedi, pathlib, re\n"
        "path = pathlib.Path('alchemy/sqlalchemy/orm/session.py').resolve()\n"
        "code = path.read_text()\n"
        "line = code[:code.index('class Session(')].count('\\n')\n"
        "rows = code.split('\\n')\n"
        "at = max(n for n, row in enumerate(rows) if row.startswith('    def execute(') and n > line)\n"
        "script = jedi.Script(code, path=path, project=jedi.Project('alchemy'))\n"
        "print(len(script.get_references(at + 1, 8)))\n"
    )
    jedi = Contender("jedi", (str(VENV / "bin/python"), "-c", text), folder, remark="stops after 30 files")
    samples = race([own, jedi], max(rounds // 2, 1), warm_up=False)
    peaks = [sample.rss_bytes for sample in samples[own.name]]
    found: list[Verdict] = [below_mb("peak memory on SQLAlchemy", peaks, 500)]
    return [times("references of Session.execute in SQLAlchemy", [own, jedi], samples), verdicts("", found)]


def all_files(folder: Path, rounds: int) -> Tables:
    """Everything installed here is read, and nothing crashes: exit code 0 is asserted by the race."""
    site = sysconfig.get_path("purelib")
    words = ("discover", "functions", site, "--private", "--no-ignore", "--format", "count", "--no-cache")
    own = _own("site-packages, all definitions", folder, *words)
    search = _own("site-packages, uses of `get`", folder, "find-symbol", "get", site, "--no-ignore", "--no-cache")
    samples = race([own, search], 1, warm_up=False)
    return [times("what is installed here", [own, search], samples)]


def calls(folder: Path, rounds: int) -> Tables:
    """Call graphs: edges against those that a run shows, whole packages against parsing them."""
    from benchmarks.call_graphs import call_graphs

    return call_graphs(next((VENV / "lib").glob("*/site-packages"), None), rounds)


ALL: dict[str, Callable[[Path, int], Tables]] = {
    "warm": warm,
    "facts": facts,
    "cold": cold,
    "definitions": definitions,
    "references": references,
    "all-files": all_files,
    "calls": calls,
}

if __name__ == "__main__":
    main()
