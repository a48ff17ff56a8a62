"""The documents are tried out: what they show is run, what they promise is looked up.

A fence of a Markdown file may say more than its language:

    ```sh run exit=1          run by `sh -e` in a folder of the document's own; `exit=` is the code it ends with, or 0
    ```text output            all that the `run` block before it printed; numbers that change are not compared
    ```yaml file=ci.yaml      written into that folder; every YAML block, written or not, must be strictly valid,
    ```yaml invalid           unless it says so
    ```python run             run by this Python

In docs/diagnostics.md a fence says `triggers`: the example triggers the code that is its heading, and nothing else but
what `with=` names.
"""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from stepwave import api
from stepwave.core.reading import keys
from tests.core.test_schedule import TRUTH

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SHOWN = "/home/you/tour"
"""How documents write the folder in which their examples run."""


class Block(NamedTuple):
    """A fenced block: its line, its heading, its language, the words behind that, and its text."""

    line: int
    heading: str
    language: str
    words: tuple[str, ...]
    text: str

    def option(self, name: str) -> str | None:
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")), None)


@cache
def blocks(path: Path) -> tuple[Block, ...]:
    found, heading, opened, text = [], "", None, list[str]()
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if opened is not None:
            if line.startswith("```"):
                language, *words = opened[1].split() or [""]
                found.append(Block(opened[0], heading, language, tuple(words), "\n".join(text) + "\n"))
                opened, text = None, []
            else:
                text.append(line)
        elif line.startswith("```"):
            opened = number, line[3:]
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
    assert opened is None, f"{path}:{opened}: never closed"
    return tuple(found)


def names(paths: Sequence[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


# --- running them ------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, with the command `stepwave` of this checkout beside it."""
    program = tmp_path / "bin" / "stepwave"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m stepwave "$@"\n')
    program.chmod(0o755)
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    (tmp_path / "tour").mkdir()
    return tmp_path / "tour"


def run(folder: Path, block: Block) -> tuple[int, str]:
    """Exit code and all that was printed, in the order of the lines."""
    command = ["sh", "-e", "-c", block.text] if block.language == "sh" else [sys.executable, "-c", block.text]
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            "PATH": f"{folder.parent / 'bin'}:/usr/bin:/bin",
            "HOME": str(folder.parent),
            "PYTHONPATH": str(ROOT / "src"),
            "LANG": "C.UTF-8",
            "COLUMNS": "100",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout


def settled(text: str, folder: Path) -> list[str]:
    """The lines without what differs from run to run: times, percentages, run and process ids, CPUs, the folder."""
    text = text.replace(str(folder), SHOWN)
    text = re.sub(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}", "<run>", text)
    text = re.sub(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "<time>", text)
    text = re.sub(r"\b[0-9]+h [0-9]+m\b|\b[0-9]+m [0-9]+s\b|\b[0-9.]+m?s\b", "<t>", text)
    text = re.sub(r"(?<=[pP]id )[0-9]+", "<pid>", text)
    text = re.sub(
        r'("(?:elapsed|pid|maxConcurrency|peakRssBytes|executionTime|\w+Ms|\w+S)": ?)[0-9.e-]+', r"\1<n>", text
    )
    text = re.sub(r"[0-9.]+%", "<n>%", text)
    text = re.sub(r"max_workers=[0-9]+|peak concurrency +[0-9]+ of [0-9]+|at most [0-9]+ at a time", "<width>", text)
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines() if line.strip()]


def matches(shown: Sequence[str], real: Sequence[str]) -> bool:
    """Line by line; a line `…` in the document stands for any number of lines."""
    if not shown:
        return not real
    if shown[0] in ("…", "..."):
        return any(matches(shown[1:], real[n:]) for n in range(len(real) + 1))
    return bool(real) and shown[0] == real[0] and matches(shown[1:], real[1:])


@pytest.mark.parametrize("name", names([path for path in DOCS if path.name != "diagnostics.md"]))
def test_examples_do_what_the_document_says(name: str, folder: Path) -> None:
    printed = ""
    for block in blocks(ROOT / name):
        where = f"{name}:{block.line}"
        if file := block.option("file"):
            (folder / file).write_text(block.text, "utf-8")
        elif "run" in block.words:
            code, printed = run(folder, block)
            assert code == int(block.option("exit") or 0), f"{where}: exit code {code}\n{printed}"
        elif "output" in block.words:
            shown, real = settled(block.text, folder), settled(printed, folder)
            assert matches(shown, real), f"{where}: really printed\n{printed}\n{real}\nnot\n{shown}"


@pytest.mark.parametrize("name", names([path for path in DOCS if path.name != "diagnostics.md"]))
def test_workflows_in_documents_are_strictly_valid(name: str, tmp_path: Path) -> None:
    for block in blocks(ROOT / name):
        if block.language in ("yaml", "json") and not {"invalid", "output"} & set(block.words):
            findings = told(tmp_path, block, strict=True)
            assert not findings, f"{name}:{block.line}: {findings}"


def told(folder: Path, block: Block, *, strict: bool = False) -> set[str]:
    """The codes of what `validate` has to say."""
    file = folder / f"example.{block.language}"
    file.write_text(block.text, "utf-8")
    return {finding.code for finding in api.load(file, strict=strict, environ={}).diagnostics}


# --- the diagnostics ---------------------------------------------------------------------------------------

DIAGNOSTICS = blocks(ROOT / "docs/diagnostics.md")
EXAMPLES = [block for block in DIAGNOSTICS if "triggers" in block.words]
NO_CODES = {
    "dry-run", "site-packages", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be",
    "fan-out",  # the type of a step
    "chrome-trace", "otlp-json",  # forms of a run
    "critical-path",  # an order of steps
    "find-symbol", "not-read", "positional-only", "keyword-only", "var-positional", "var-keyword",  # of the code reader
    "failed-outputs",  # a folder
    "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge",  # programs
    "not-here",  # takes two machines
    "too-long",  # in case the schema should one day limit a text that is not an id
}  # fmt: skip
# Words with a dash in them that are names of keys and commands.
ELSEWHERE = {"keys.py", "scaffold.py", "app.py", "slurm.py", "slurm_commands.py", "dask.py"}


def of_others(path: Path) -> bool:
    """Whether words with a dash in a file are names of keys and commands, here or of the tools that are imported."""
    return path.name in ELSEWHERE or path.parent.name == "importing"


def codes_in_source() -> Iterator[str]:
    """What the reporting functions are called with, and every other text that is written like a code."""
    for path in sorted((ROOT / "src/stepwave").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                is_logged = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "log"
                if called in ("error", "warning", "info", "fatal") and not is_logged:
                    yield str(node.args[0].value)
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and not of_others(path)
            if is_text and re.fullmatch("[a-z]+(-[a-z0-9]+)+", node.value):  # type: ignore[attr-defined]
                yield node.value  # type: ignore[attr-defined]


def code_of(block: Block) -> str:
    return block.heading.split()[0]


def test_every_code_has_its_example() -> None:
    assert {code_of(block) for block in EXAMPLES} == set(codes_in_source()) - NO_CODES


@pytest.mark.parametrize("block", EXAMPLES, ids=code_of)
def test_an_example_triggers_its_code_and_no_other(block: Block, folder: Path) -> None:
    expected = {code_of(block), *filter(None, (block.option("with") or "").split(","))}
    if block.language != "sh":
        assert told(folder, block) == expected
        return
    code, printed = run(folder, block)
    assert (code, set(re.findall(r"^(?:error|warning|info)\[([a-z0-9-]+)\]", printed, re.M))) == (
        int(block.option("exit") or 0),
        expected,
    ), printed


@pytest.mark.parametrize("block", [b for b in EXAMPLES if b.language != "sh"], ids=code_of)
def test_a_heading_says_how_bad_it_is(block: Block, tmp_path: Path) -> None:
    file = tmp_path / f"example.{block.language}"
    file.write_text(block.text, "utf-8")
    severities = {f.severity.value for f in api.load(file, environ={}).diagnostics if f.code == code_of(block)}
    said = re.search(r"\((\w+)\)", block.heading)
    assert severities == {said[1] if said else "error"} or code_of(block) == "unknown-variable"


# --- what is promised --------------------------------------------------------------------------------------


def generated() -> str:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.command_line())


def test_the_command_line_reference_is_current() -> None:
    current = (ROOT / "docs/cli.md").read_text("utf-8")
    assert current == generated(), "run `python docs/generate.py`"


def test_every_command_is_described() -> None:
    from typer.main import get_command

    from stepwave.cli.app import app

    sections = re.findall(r"^## stepwave (\S+)$", (ROOT / "docs/cli.md").read_text("utf-8"), re.M)
    assert sections == list(get_command(app).commands)  # type: ignore[attr-defined]


def test_the_truth_table_is_that_of_the_tests() -> None:
    rows = re.findall(r"^\| (yes|no) \| (yes|no) \| (yes|no) \|(.*)\|$", (ROOT / "docs/failures.md").read_text(), re.M)
    words = {"yes": True, "no": False}
    shown = [(*(words[w] for w in row[:3]), tuple(cell.strip() for cell in row[3].split("|"))) for row in rows]
    assert shown == [(*row[:3], tuple(map(str, row[3]))) for row in TRUTH]


def anchors(path: Path) -> set[str]:
    """The anchors that a Markdown renderer makes of the headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.S)
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", names(DOCS))
def test_links_resolve(name: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / name).read_text("utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), f"{name}: {target}"
        assert not anchor or anchor in anchors(path), f"{name}: {target}"


def test_documents_name_no_machine() -> None:
    for path in DOCS:
        assert not re.search(r"/work/|/tmp/bash|/root/", path.read_text("utf-8")), path


def test_every_page_can_be_reached_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if f"docs/{path.name}" not in text]
    assert not missing, os.linesep.join(missing)


def test_every_key_that_works_is_described() -> None:
    text = "".join((ROOT / "docs" / name).read_text("utf-8") for name in ("workflow-file.md", "dialects.md"))
    described = {part for word in re.findall(r"`([\w.]+)", text) for part in word.split(".")}
    known = {*keys.workflow.leads, *keys.step.leads, *keys.step_parallel.leads, *keys.limits.leads, *keys.kill.leads}
    assert not camel(known) - camel(described)


def camel(names: Iterable[str]) -> set[str]:
    return {re.sub(r"_([a-z])", lambda match: match[1].upper(), name) for name in names}


def test_no_key_is_described_that_does_not_exist() -> None:
    text = (ROOT / "docs/workflow-file.md").read_text("utf-8")
    known: set[str] = set()
    for table in (keys.workflow, keys.step, keys.config):
        for kind in (table, *table.inside.values()):
            known |= {*kind.leads, *kind.inside, *kind.passive}
    known |= {*keys.phase.leads, *keys.step_group.leads, *keys.include.leads, "exclude"}
    known |= {*keys.compensation.leads, *keys.retry.inside["on"].leads}
    rows = re.findall(r"^\| ((?:`[\w.]+`(?:, )?)+) \|", text, re.M)
    named = {part for row in rows for word in re.findall(r"`([\w.]+)`", row) for part in word.split(".")}
    assert named
    assert not named - known
