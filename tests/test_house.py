"""The rules of the house that a machine can check; ARCHITECTURE.md tells why."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "stepwave"

FLOORS = {
    "cli": 4,
    "api": 3,
    "workflow": 3.5,
    "loading": 2.75,
    "outfit": 2.5,
    "keyring": 2.5,
    "sharing": 2.5,
    "slots": 2.5,
    "elsewhere": 2.5,
    "hands": 2.6,
    "past": 2.5,
    "records": 2.8,
    "pages": 2.9,
    "watching": 2.9,
    "importing": 2.9,
    "gather": 2.5,
    "listeners": 2.5,
    "engine": 2,
    "edge": 2,
    "discovery": 2,
    "parallel": 3.5,
    "machine": 1,
    "core": 1,
}
FLOORS_OF_CORE = {"language": 1, "reading": 2, "building": 3, "importing": 3, "running": 4, "telling": 5}
"""What stands beside them in `core` is what all of them speak of, and knows none of them."""
FORBIDDEN_IN_CORE = {
    "asyncio", "io", "os", "queue", "random", "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading",
    "time", "rich", "typer", "dask",
}  # fmt: skip
HEAVY = {"yaml", "jsonschema", "rich", "psutil", "regex", "sqlite3"}
TELLING = {
    "core.telling.exporting", "core.telling.witness", "core.telling.page", "core.telling.layout", "cli.ci",
    "cli.exporting", "cli.drawing", "pages",
}  # fmt: skip
SECRETIVE = {"keyring", "core.masked", "core.masking", "core.secret_forms", "edge.secrets", "core.running.discreet"}
MINDFUL = {"core.running.needs", "core.running.room", "edge.sensor", "edge.local.weigh"}
"""Where steps may have to wait for memory."""
SHARING = {"sharing", "core.running.leases", "edge.leasing", "edge.host_pools"}
"""Where steps take what is not the run's own."""
BESIDE_MAKE = {
    "core.makeflags", "cli.slots", "slots", "edge.jobserver", "edge.leasing", "core.running.leases",
}  # fmt: skip
"""Where units are not the run's own."""
WATCHING = {"watching", "cli.watching", "edge.watch", "core.telling.rounds"}
LISTENED_TO = {"engine"}  # an edge may know the loop it is plugged into


def sources() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def room(path: Path) -> str:
    """`core`, `edge.local`, `engine` …: an edge that is a package is one outside thing."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:2]) if parts[0] == "edge" else parts[0]


def imports(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Line, module and whether it stands at the top of the module."""
    tree = ast.parse(path.read_text("utf-8"))
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            yield node.lineno, name, id(node) in top


def test_imports_point_down() -> None:
    wrong = []
    for path in sources():
        here = room(path)
        if here.split(".")[0] not in FLOORS:
            continue  # stepwave/__init__ and __main__ stand outside
        for line, name, _ in imports(path):
            if not name.startswith("stepwave.") or name == "stepwave.cli":
                continue
            parts = name.split(".")[1:]
            there = ".".join(parts[:2]) if parts[0] == "edge" else parts[0]
            own, other = here.split(".")[0], there.split(".")[0]
            down = FLOORS[other] < FLOORS[own] or there == here or (own == "edge" and other in LISTENED_TO)
            if not down:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong


def test_imports_within_core_point_down() -> None:
    wrong = []
    for path in sorted((SRC / "core").rglob("*.py")):
        own = FLOORS_OF_CORE.get(path.relative_to(SRC / "core").parts[0], 0)
        for line, name, _ in imports(path):
            parts = name.split(".")
            if parts[:2] == ["stepwave", "core"] and FLOORS_OF_CORE.get(parts[2], 0) > own:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong


def test_core_decides_and_touches_nothing() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted((SRC / "core").rglob("*.py"))
        for line, name, _ in imports(path)
        if name.split(".")[0] in FORBIDDEN_IN_CORE
    ]
    assert not wrong


def test_heavy_modules_are_imported_where_they_are_needed() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name} at module level"
        for path in sources()
        for line, name, at_top in imports(path)
        if at_top and name.split(".")[0] in HEAVY and "board.py" not in path.name
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("arguments", "not_loaded"),
    [
        (["--version"], {"typer", *HEAVY}),
        (["schema"], HEAVY),
        (["validate", "examples/workflows/quickstart.yaml"], HEAVY - {"yaml"}),
        (["graph", "examples/workflows/plan.json"], HEAVY),
        (["graph", "examples/workflows/plan.json", "--format", "svg"], HEAVY),
        (["run", "-q", "examples/workflows/plan.json"], {"typer", "dataclasses", "inspect", *HEAVY} - {"sqlite3"}),
        (["run", "-q", "--no-ledger", "examples/workflows/plan.json"], {"typer", "dataclasses", "inspect", *HEAVY}),
        (["run", "-q", "examples/workflows/plan.json"], {f"stepwave.{name}" for name in SECRETIVE | TELLING}),
        (["run", "-q", "examples/workflows/plan.json"], {f"stepwave.{name}" for name in MINDFUL | SHARING}),
        (["run", "-q", "examples/workflows/plan.json"], {f"stepwave.{name}" for name in BESIDE_MAKE}),
        (["run", "-q", "examples/workflows/resources.yaml"], {"typer", "dataclasses", *HEAVY} - {"yaml", "sqlite3"}),
        (["run", "-q", "examples/workflows/plan.json"], {f"stepwave.{name}" for name in WATCHING} | {"watchfiles"}),
        (["run", "-q", "examples/workflows/plan.json"], {"stepwave.importing", "stepwave.cli.brought"}),
        (["import", "Makefile"], HEAVY),
        (["plan", "examples/workflows/plan.json"], HEAVY - {"sqlite3"}),
        (["export-ci", "github", "examples/workflows/plan.json"], HEAVY),
        (["simulate", "examples/workflows/plan.json"], HEAVY - {"sqlite3"}),
        (["runs"], HEAVY - {"sqlite3"}),
        (["status", "--json"], HEAVY - {"sqlite3"}),
    ],
)
def test_a_command_loads_only_what_it_needs(arguments: list[str], not_loaded: set[str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        f"sys.argv = ['stepwave', *{arguments!r}]\n"
        "from stepwave.cli import door\n"
        "door()\n"
        f"print('LOADED', sorted({not_loaded!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "STEPWAVE_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "LOADED []" in done.stdout, done.stdout[-500:] + done.stderr[-500:]


def test_files_stay_small() -> None:
    long = {
        str(path.relative_to(ROOT)): size
        for path in sources()
        if (size := len(path.read_text("utf-8").splitlines())) > 500
    }
    assert not long


def test_nothing_is_left_to_do() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X:")
    wrong = [str(path) for path in sources() if any(mark in path.read_text("utf-8") for mark in marks)]
    assert not wrong


def test_every_promise_names_tests_that_are_there() -> None:
    text = (ROOT / "docs/promises.md").read_text("utf-8")
    promises = re.split(r"^(\d+)\. ", text, flags=re.MULTILINE)[1:]
    for number, promise in zip(promises[::2], promises[1::2], strict=True):
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", promise)
        assert named, f"promise {number} names no test"
        for file, test in named:
            assert f"def {test}(" in (ROOT / file).read_text("utf-8"), f"{file} has no {test}"
    assert [int(number) for number in promises[::2]] == list(range(1, 23))
