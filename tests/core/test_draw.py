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
from stepwave.core.model import AcceptanceTest, Agent, Branch, Function, Retry, Rule, Stage, Step, StepType, Workflow
from stepwave.core.plan import Plan
from stepwave.core.running.graph import make_plan
from stepwave.core.telling.draw import FORMATS, Format, draw

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


def staged() -> Plan:
    rule = Rule("and", rules=(Rule("greater_than_or_equal", "{{steps.a.coverage}}", 80), Rule("exists", "{{env.CI}}")))
    build = Step("build[os=linux,py=3.12]", here, family="build", bindings={"matrix": {"os": "linux", "py": "3.12"}})
    branch = Branch(rule, ("up", "both"), ("both",))
    undo = Step("up.undo", here, stage=Stage.ROLLBACK)
    return plan_of(
        build,
        Step("choose", here, type=StepType.CONDITION, needs=(build.id,), branch=branch),
        Step("up", here, needs=("choose",), tests=(AcceptanceTest("1", "x"), AcceptanceTest("2", "x")), undo=undo),
        Step("both", here, needs=("choose", build.id)),
        Step("fan", here, type=StepType.FAN_OUT, needs=("up",), for_each="{{steps.up.output}}"),
        Step("sweep", here, stage=Stage.FINALLY, needs=("mop",)),
        Step("mop", here, stage=Stage.FINALLY, function=Function("tools:mop", here)),
        Step("check.1", here, name="docker info", stage=Stage.CHECK),
        Step("test.1", here, name="1", stage=Stage.ACCEPT, script="curl -f x\nexit 1"),
        Step("ask", here, needs=("up",), type=StepType.AGENT, agent=Agent("critic")),
    )


def test_conditions_fan_outs_and_the_parts_of_a_run_as_text() -> None:
    assert draw(staged(), "text").split("\n")[2:] == [
        "Wave 1/8 (1 step): pre-flight checks",
        "  check.1  docker info",
        "",
        "Wave 2/8 (1 step)",
        "  build[os=linux,py=3.12]",
        "",
        "Wave 3/8 (1 step)",
        "  choose  ← build[os=linux,py=3.12]  (condition: {{steps.a.coverage}} is at least 80 and {{env.CI}} exists, "
        "true → up, both, false → both)",
        "",
        "Wave 4/8 (2 steps)",
        "  up    ← choose  (2 tests, can be undone)",
        "  both  ← choose, build[os=linux,py=3.12]",
        "",
        "Wave 5/8 (2 steps)",
        "  fan  ← up  (for each of {{steps.up.output}})",
        "  ask  ← up  (agent)",
        "",
        "Wave 6/8 (1 step): acceptance tests",
        "  test.1  curl -f x",
        "",
        "Wave 7/8 (1 step): finally",
        "  mop",
        "",
        "Wave 8/8 (1 step): finally",
        "  sweep  ← mop",
    ]


def test_conditions_fan_outs_and_the_parts_of_a_run_as_mermaid() -> None:
    assert draw(staged(), "mermaid").split("\n") == [
        "flowchart LR",
        '    subgraph check_steps["pre-flight checks"]',
        '        n7["check.1<br/>docker info"]',
        "    end",
        '    n0["build#91;os#61;linux,py#61;3.12#93;"]',
        '    n1{"choose<br/>#123;#123;steps.a.coverage#125;#125; is at least 80'
        ' and #123;#123;env.CI#125;#125; exists"}',
        '    n2["up"]',
        '    n3["both"]',
        '    n4[["fan<br/>for each of #123;#123;steps.up.output#125;#125;"]]',
        '    n9["ask"]',
        '    subgraph accept_steps["acceptance tests"]',
        '        n8["test.1<br/>curl #45;f x"]',
        "    end",
        '    subgraph finally_steps["finally"]',
        '        n5["sweep"]',
        '        n6["mop"]',
        "    end",
        "    n0 --> n1",
        "    n1 -->|true| n2",
        "    n1 -->|true or false| n3",
        "    n0 --> n3",
        "    n2 --> n4",
        "    n6 --> n5",
        "    n2 --> n9",
    ]


def test_conditions_fan_outs_and_the_parts_of_a_run_as_dot() -> None:
    assert draw(staged(), "dot").split("\n")[3:-1] == [
        "    subgraph cluster_check {",
        '        label="pre-flight checks";',
        '        n7 [label="check.1\\ndocker info"];',
        "        { rank=same; n7; }",
        "    }",
        '    n0 [label="build[os=linux,py=3.12]"];',
        '    n1 [label="choose\\n{{steps.a.coverage}} is at least 80 and {{env.CI}} exists",'
        " shape=diamond, style=solid];",
        '    n2 [label="up"];',
        '    n3 [label="both"];',
        '    n4 [label="fan\\nfor each of {{steps.up.output}}", peripheries=2];',
        '    n9 [label="ask"];',
        "    { rank=same; n0; }",
        "    { rank=same; n1; }",
        "    { rank=same; n2; n3; }",
        "    { rank=same; n4; n9; }",
        "    subgraph cluster_accept {",
        '        label="acceptance tests";',
        '        n8 [label="test.1\\ncurl -f x"];',
        "        { rank=same; n8; }",
        "    }",
        "    subgraph cluster_finally {",
        '        label="finally";',
        '        n5 [label="sweep"];',
        '        n6 [label="mop"];',
        "        { rank=same; n6; }",
        "        { rank=same; n5; }",
        "    }",
        "    n0 -> n1;",
        '    n1 -> n2 [label="true"];',
        '    n1 -> n3 [label="true or false"];',
        "    n0 -> n3;",
        "    n2 -> n4;",
        "    n6 -> n5;",
        "    n2 -> n9;",
    ]


def test_conditions_fan_outs_and_the_parts_of_a_run_as_json() -> None:
    document = json.loads(draw(staged(), "json"))
    common = json.loads(draw(plan_of(Step("x", here)), "json"))["nodes"][0]
    assert {node["id"]: {k: v for k, v in node.items() if k not in common} for node in document["nodes"]} == {
        "build[os=linux,py=3.12]": {"family": "build", "bindings": {"matrix": {"os": "linux", "py": "3.12"}}},
        "choose": {
            "rule": "{{steps.a.coverage}} is at least 80 and {{env.CI}} exists",
            "onTrue": ["up", "both"],
            "onFalse": ["both"],
        },
        "up": {"tests": ["1", "2"], "compensation": "up.undo"},
        "both": {},
        "fan": {"forEach": "{{steps.up.output}}"},
        "sweep": {"stage": "finally"},
        "mop": {"stage": "finally", "function": "tools:mop"},
        "check.1": {"stage": "check"},
        "test.1": {"stage": "accept"},
        "ask": {"agent": "critic"},
    }
    assert document["edges"][:3] == [
        {"from": "build[os=linux,py=3.12]", "to": "choose"},
        {"from": "choose", "to": "up", "when": "true"},
        {"from": "choose", "to": "both", "when": "true or false"},
    ]


@given(names)
def test_no_rule_breaks_out_of_its_diamond(text: str) -> None:
    branch = Branch(Rule("equals", text, [text, {text: 1}]), ("b",), ())
    plan = plan_of(Step("a", here, branch=branch, type=StepType.CONDITION), Step("b", here, needs=("a",)))
    lines = draw(plan, "mermaid").split("\n")
    label = re.fullmatch(r'    n0\{"(.*)"\}', lines[1])
    assert label
    rest = re.sub(r"#\d+;|<br/>", "", label[1])
    assert all(char.isalnum() or char.isspace() or char in "-_.(),/" or char > "\x7f" for char in rest)
    dot = draw(plan, "dot").split("\n")
    assert re.fullmatch(r'    n0 \[label="(?:[^"\\]|\\.)*", shape=diamond, style=solid\];', dot[3])
    assert len(dot) == 9


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
def test_graphviz_draws_the_parts_of_a_run_without_edges_between_them() -> None:
    read = subprocess.run(["dot", "-Tsvg"], input=draw(staged(), "dot"), capture_output=True, text=True, check=True)
    assert read.stderr == ""
    assert [read.stdout.count(f'class="{kind}"') for kind in ("node", "edge", "cluster")] == [10, 7, 3]
    assert "build[os=linux,py=3.12]" in read.stdout


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_the_label_as_it_was_written() -> None:
    drawing = draw(plan_of(Step("a", here, name=hostile), Step("b", here, needs=("a",))), "dot")
    read = subprocess.run(["dot", "-Tsvg"], input=drawing, capture_output=True, text=True, check=True)
    assert read.stderr == ""
    assert "&lt;script&gt; `x` #quot; \\&quot; \\N &amp;lt;" in read.stdout
    assert read.stdout.count('class="node"') == 2
    assert read.stdout.count('class="edge"') == 1
