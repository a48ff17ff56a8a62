"""Drawings by whole outputs; hostile names by what they must not become; Graphviz itself where it is."""

import json
import re
import shutil
import subprocess
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.diagnostics import Place
from stepwave.core.draw import FORMATS, Format, draw
from stepwave.core.graph import make_plan
from stepwave.core.model import Retry, Step, StepType, Workflow
from stepwave.core.plan import Plan

here = Place("w.yaml")
hostile = 'a"]; click n0 "javascript:x" %% <script> `x` #quot; \\" \\N &lt; 1. x\n- fa:fa-car --> \x1b[31m\x9b'
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def plan_of(*steps: Step, pools: dict[str, int] | None = None, width: int | None = None) -> Plan:
    flow = Workflow("demo", here, steps, name="Demo", pools=pools or {}, max_concurrency=width)
    return make_plan(flow, cpus=2)


def diamond() -> Plan:
    return plan_of(
        Step("fetch", here, name="Fetch the sources", resources=(("net", 1),), retry=Retry(3), timeout_s=30.0),
        Step("lint", here, needs=("fetch",), continue_on_error=True, max_concurrency=2),
        Step("test", here, needs=("fetch",), resources=(("cpu", 2), ("net", 1)), isolate_errors=False),
        Step(
            "ship",
            here,
            type=StepType.NOOP,
            needs=("lint", "test"),
            condition="variables.ship",
            exclusive=True,
        ),
        pools={"cpu": 2, "net": 4},
    )


def test_text() -> None:
    assert draw(diamond(), "text") == (
        "Demo: 4 steps in 3 waves, 4 dependencies, at most 4 at once\n"
        "pools: cpu 2, net 4\n"
        "\n"
        "Wave 1/3 (1 step)\n"
        "  fetch  Fetch the sources  [net]  (timeout 30.0s, up to 3 attempts)\n"
        "\n"
        "Wave 2/3 (2 steps)\n"
        "  lint  ← fetch  (at most 2 of its wave at once, may fail)\n"
        "  test  ← fetch  [cpu x2, net]  (failure stops its wave)\n"
        "\n"
        "Wave 3/3 (1 step)\n"
        "  ship  ← lint, test  (noop, if variables.ship, runs alone)"
    )


def test_a_thousand_steps_stay_one_line_each() -> None:
    many = [Step(f"part-{n}", here) for n in range(999)]
    shown = draw(plan_of(*many, Step("merge", here, needs=tuple(step.id for step in many)), width=1), "text")
    lines = shown.split("\n")
    assert lines[0] == "Demo: 1000 steps in 2 waves, 999 dependencies, one at a time"
    assert lines[2] == "Wave 1/2 (999 steps)"
    assert lines[-1] == f"  merge  ← {', '.join(f'part-{n}' for n in range(8))}, … and 991 more"
    assert len(lines) == 1000 + 5
    assert max(map(len, lines)) < 120


def test_mermaid() -> None:
    assert draw(diamond(), "mermaid") == (
        "flowchart LR\n"
        '    n0["fetch<br/>Fetch the sources"]\n'
        '    n1["lint"]\n'
        '    n2["test"]\n'
        '    n3["ship"]\n'
        "    n0 --> n1\n"
        "    n0 --> n2\n"
        "    n1 --> n3\n"
        "    n2 --> n3"
    )


def test_mermaid_says_so_when_there_are_more_edges_than_it_draws() -> None:
    many = [Step(f"s{n}", here) for n in range(501)]
    shown = draw(plan_of(*many, Step("end", here, needs=tuple(step.id for step in many))), "mermaid")
    assert shown.split("\n")[1] == "    %% 501 edges: above 500, Mermaid wants its maxEdges raised"


def test_dot() -> None:
    assert draw(diamond(), "dot") == (
        'digraph "Demo" {\n'
        "    rankdir=LR;\n"
        '    node [shape=box, style=rounded, fontname="sans-serif"];\n'
        '    n0 [label="fetch\\nFetch the sources"];\n'
        '    n1 [label="lint"];\n'
        '    n2 [label="test"];\n'
        '    n3 [label="ship"];\n'
        "    { rank=same; n0; }\n"
        "    { rank=same; n1; n2; }\n"
        "    { rank=same; n3; }\n"
        "    n0 -> n1;\n"
        "    n0 -> n2;\n"
        "    n1 -> n3;\n"
        "    n2 -> n3;\n"
        "}"
    )


def test_json() -> None:
    document = json.loads(draw(diamond(), "json"))
    assert document["edges"] == [
        {"from": "fetch", "to": "lint"},
        {"from": "fetch", "to": "test"},
        {"from": "lint", "to": "ship"},
        {"from": "test", "to": "ship"},
    ]
    assert [(node["id"], node["wave"]) for node in document["nodes"]] == [
        ("fetch", 0),
        ("lint", 1),
        ("test", 1),
        ("ship", 2),
    ]
    assert document["nodes"][2]["resources"] == {"cpu": 2, "net": 1}
    assert document["nodes"][0] | {"timeoutMs": 30000, "attempts": 3} == document["nodes"][0]
    assert document["metadata"] == {
        "id": "demo",
        "name": "Demo",
        "version": "1.0.0",
        "steps": 4,
        "dependencies": 4,
        "waves": 3,
        "maxConcurrency": 4,
        "resources": {"cpu": 2, "net": 4},
    }


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="one of text, mermaid, dot, json"):
        draw(diamond(), cast(Format, "svg"))


@given(names, names)
def test_no_name_breaks_out_of_a_mermaid_label(id: str, name: str) -> None:
    lines = draw(plan_of(Step(id, here, name=name), Step(id + "2", here, needs=(id,))), "mermaid").split("\n")
    assert len(lines) == 4
    assert lines[3] == "    n0 --> n1"
    for line in lines[1:3]:
        label = re.fullmatch(r'    n[01]\["(.*)"\]', line)
        assert label
        rest = re.sub(r"#\d+;|<br/>", "", label[1])
        assert all(char.isalnum() or char.isspace() or char in "-_.(),/" or char > "\x7f" for char in rest)


@given(names, names)
def test_no_name_breaks_out_of_a_dot_label(id: str, name: str) -> None:
    lines = draw(plan_of(Step(id, here, name=name)), "dot").split("\n")
    assert len(lines) == 6
    assert re.fullmatch(r'    n0 \[label="(?:[^"\\]|\\.)*"\];', lines[3])


@pytest.mark.parametrize("format", FORMATS)
def test_hostile_names_are_shown_not_obeyed(format: Format) -> None:
    shown = draw(plan_of(Step("a", here, name=hostile), Step(hostile, here, needs=("a",))), format)
    assert not set(shown) & {"\x1b", "\x9b"}
    assert "javascript" in shown


@pytest.mark.parametrize("format", FORMATS)
def test_a_workflow_without_steps_can_be_drawn(format: Format) -> None:
    assert "Demo" in draw(plan_of(), format) or format == "mermaid"


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_the_label_as_it_was_written() -> None:
    drawing = draw(plan_of(Step("a", here, name=hostile), Step("b", here, needs=("a",))), "dot")
    read = subprocess.run(["dot", "-Tsvg"], input=drawing, capture_output=True, text=True, check=True)
    assert read.stderr == ""
    assert "&lt;script&gt; `x` #quot; \\&quot; \\N &amp;lt;" in read.stdout
    assert read.stdout.count('class="node"') == 2
    assert read.stdout.count('class="edge"') == 1
