"""`stepwave report` and the pictures of `graph`: what is written, where, and what is said when that cannot be."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.invoke import Ended, flow, stepwave

FLOW = """
    name: Ship it
    version: 1.0.0
    env: {CC: gcc}
    steps:
      - {id: build, run: "echo 'built </script>'"}
      - {id: test, needs: build, run: "echo no luck >&2; exit 3"}
      - {id: ship, needs: test, run: "true"}
"""
RUN = r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}"


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A folder with one recorded run, which has failed."""
    flow(tmp_path, FLOW)
    assert stepwave("run", "-q", "flow.yaml", cwd=tmp_path).code == 1
    return tmp_path


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, object] = json.loads(found[1])
    return data


def tools(folder: Path, *names: str) -> str:
    """A PATH with these programs and no others."""
    bin = folder / "bin"
    bin.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found
        (bin / name).symlink_to(found)
    return str(bin)


# --- report ----------------------------------------------------------------------------------------------------------


def test_a_page_is_written_and_its_place_printed(ran: Path) -> None:
    done = stepwave("report", cwd=ran)
    assert re.fullmatch(rf"stepwave-report-{RUN}\.html\n", done.out)
    assert (done.code, done.err) == (0, "")
    page = (ran / done.out.strip()).read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert re.search(rf"<title>Ship it: failed, run {RUN}</title>", page)


def test_it_holds_commands_output_and_the_environment_of_the_file(ran: Path) -> None:
    data = data_of(stepwave("report", "-o", "-", cwd=ran).out)
    assert data["tails"] == {"0": [1, "built </script>", True], "1": [1, "no luck", True]}
    texts = data["texts"]
    assert isinstance(texts, list)
    assert {"echo 'built </script>'", "CC", "gcc", "Environment that the file adds"} <= set(texts)


def test_a_named_file_and_no_output(ran: Path) -> None:
    done = stepwave("report", "latest", "-o", "page.html", "--no-logs", cwd=ran)
    assert done == Ended(0, "page.html\n", "")
    assert data_of((ran / "page.html").read_text("utf-8"))["tails"] == {}


def test_from_another_folder(ran: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = stepwave("report", "--file", ran / "flow.yaml", "-o", "page.html", cwd=elsewhere)
    assert done == Ended(0, "page.html\n", "")
    assert (elsewhere / "page.html").exists()


def test_open_shows_it_in_the_browser(ran: Path) -> None:
    shown = ran / "shown"
    browser = ran / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {shown}\n')
    browser.chmod(0o755)
    done = stepwave("report", "-o", "page.html", "--open", cwd=ran, env={"BROWSER": f"{browser} %s"})
    assert done == Ended(0, "page.html\n", "")
    assert shown.read_text() == f"{(ran / 'page.html').as_uri()}\n"


def test_where_there_is_no_run(tmp_path: Path) -> None:
    done = stepwave("report", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error[no-such-run]: no run is recorded here yet\n")
    assert list(tmp_path.iterdir()) == []


def test_where_it_cannot_be_written(ran: Path) -> None:
    done = stepwave("report", "-o", "gone/page.html", cwd=ran)
    assert done == Ended(3, "", "stepwave: gone/page.html could not be written: no such file or directory\n")


# --- graph of a run --------------------------------------------------------------------------------------------------


def test_a_run_is_drawn_in_text(ran: Path) -> None:
    done = stepwave("graph", "--run", cwd=ran)
    assert re.sub(r"\b[0-9.]+m?s\b", "<t>", done.out) == (
        "Ship it: failed (<t>): 1 failed, 1 completed, 1 skipped\n"
        "\n"
        "Wave 1 (1 step)\n"
        "  build  <t>  (critical path)\n"
        "\n"
        "Wave 2 (1 step)\n"
        "  test  failed, <t>  ← build  (critical path)\n"
        "\n"
        "Wave 3 (1 step)\n"
        "  ship  skipped  ← test\n"
    )
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("format", "begins"),
    [
        ("svg", "<svg "),
        ("html", "<!doctype html>"),
        ("dot", 'digraph "Ship it" {'),
        ("mermaid", "flowchart LR"),
        ("json", "{"),
    ],
)
def test_a_run_in_every_format(ran: Path, format: str, begins: str) -> None:
    done = stepwave("graph", "--run", "latest", "--format", format, cwd=ran)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(begins)
    assert "failed" in done.out
    if format == "svg":
        ElementTree.fromstring(done.out)


def test_the_run_of_another_folder(ran: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    done = stepwave("graph", ran / "flow.yaml", "--run", cwd=tmp_path_factory.mktemp("elsewhere"))
    assert done.out.startswith("Ship it: failed")


# --- graph of a file -------------------------------------------------------------------------------------------------


def test_a_file_as_a_picture_and_as_a_page(tmp_path: Path) -> None:
    file = flow(tmp_path, FLOW)
    svg = stepwave("graph", file, "--format", "svg", cwd=tmp_path)
    assert "Ship it" in [element.text for element in ElementTree.fromstring(svg.out).iter()]
    done = stepwave("graph", file, "--format", "html", "-o", "plan.html", cwd=tmp_path)
    assert done == Ended(0, "", "")
    data = data_of((tmp_path / "plan.html").read_text("utf-8"))
    assert data["kind"] == "plan"
    assert "echo no luck >&2; exit 3" in data["texts"]  # type: ignore[operator]
    assert not (tmp_path / ".stepwave").exists()


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("words", [["flow.yaml"], ["--run"]])
def test_graphviz_makes_pixels(ran: Path, words: list[str]) -> None:
    env = {"PATH": tools(ran, "dot")}
    done = stepwave("graph", *words, "--format", "png", "-o", "flow.png", cwd=ran, env=env)
    assert done == Ended(0, "", "")
    assert (ran / "flow.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_without_a_tool_it_says_which(ran: Path) -> None:
    done = stepwave("graph", "flow.yaml", "--format", "png", "-o", "flow.png", cwd=ran, env={"PATH": tools(ran)})
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error[cannot-draw]: neither a browser nor Graphviz is installed\n"
        " --> command line\n"
        "  = help: install `chromium` or `graphviz`; `--format svg` needs nothing\n"
        "\n"
        "1 error on the command line\n"
    )
    assert not (ran / "flow.png").exists()


@pytest.mark.parametrize("program", ["chromium", "dot"])
def test_a_tool_that_fails_is_named(ran: Path, program: str) -> None:
    path = Path(tools(ran))
    (path / program).write_text("#!/bin/sh\nexit 7\n")
    (path / program).chmod(0o755)
    done = stepwave("graph", "--run", "--format", "png", "-o", "flow.png", cwd=ran, env={"PATH": str(path)})
    assert done.code == 2
    assert f"the picture could not be made: `{program}` ended with exit code 7" in done.err


def test_a_browser_that_makes_nothing_leaves_it_to_graphviz(ran: Path) -> None:
    path = Path(tools(ran))
    for name, script in (("chromium", "exit 0"), ("dot", "printf '\\211PNG made by dot'")):
        (path / name).write_text(f"#!/bin/sh\n{script}\n")
        (path / name).chmod(0o755)
    done = stepwave("graph", "--run", "--format", "png", "-o", "flow.png", cwd=ran, env={"PATH": str(path)})
    assert done == Ended(0, "", "")
    assert (ran / "flow.png").read_bytes() == b"\x89PNG made by dot"


def test_pixels_are_not_for_a_terminal(ran: Path) -> None:
    leader, follower = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "stepwave", "graph", "flow.yaml", "--format", "png"],
            cwd=ran, stdout=follower, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == 2
    assert b"error[cannot-draw]: pixels cannot be drawn on a terminal" in done.stderr


def test_what_is_to_be_drawn(tmp_path: Path) -> None:
    done = stepwave("graph", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error[which-workflow]: which workflow is to be drawn?\n")
    done = stepwave("graph", "--run", "--name", "x", cwd=tmp_path)
    assert done.err.startswith("error[conflicting-options]: `--run` and `--name` exclude each other\n")


def test_calls_are_not_drawn_as_a_picture(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("def f():\n    g()\n\n\ndef g():\n    pass\n")
    done = stepwave("graph", "x.py", "--format", "svg", cwd=tmp_path)
    assert done.code == 2
    assert done.err.startswith("error[cannot-draw]: calls are not drawn as svg\n")
