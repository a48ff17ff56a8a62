"""References that lead nowhere, and the place where they are told."""

import json

import pytest

from stepwave.core.language.scope import WORKFLOW_PROPERTIES
from stepwave.core.model import Stage
from tests.core.build_texts import built, codes, told
from tests.core.world import run, step

AROUND = """
variables: {x: {a: [1, 2]}, n: 5, t: text, big: {name: x}}
steps:
- id: a
  matrix: {system: [l], include: [{flag: f}]}
  run: x %s
"""


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("{{x.b}}", "`x.b` has no value", None),
        ("{{variables.x.a[2]}}", "`variables.x.a[2]` has no value", None),
        ("{{big.nam}}", "`big.nam` has no value", "did you mean `big.name`?"),
        ("{{n.digits}}", "`n.digits` has no value", None),
        ("{{matrix.sytsem}}", "`matrix` has no `sytsem`", "did you mean `system`?"),
        ("{{workflow.naem}}", "`workflow` has no `naem`", "did you mean `name`?"),
        ("{{item}}", "there is no variable `item`", "it stands for something in steps with `forEach:` alone"),
    ],
)
def test_a_way_that_nobody_can_go_is_told(text: str, message: str, help: str | None) -> None:
    (found,) = built(AROUND % text)[1]
    assert (found.code, found.message, found.help) == ("unknown-variable", message, help)


@pytest.mark.parametrize(
    "text",
    [
        "{{x.a[0]}} {{x.a[-1]}} {{x.a.length}} {{t.length}} {{variables['x'].a}}", "{{x.a.includes(1)}}",
        "{{default(x.b, 1)}} {{default(matrix.z, 1)}} {{default(workflow.z, 1)}}", "{{matrix.system}} {{matrix.flag}}",
        "{{x.a[n]}} {{x[t]}}", "{{t.startsWith('a')}}", "{{matrix}}",
    ],
)  # fmt: skip
def test_a_way_that_somebody_may_go_is_not(text: str) -> None:
    assert codes(AROUND % text) == []


def test_what_a_workflow_is_said_to_have_it_has() -> None:
    texts = tuple(f"{{{{workflow.{name}}}}}" for name in WORKFLOW_PROPERTIES)
    last = step("last", stage=Stage.FINALLY, argv=("x", *texts))
    launch = run(step("a", argv=("x", *texts[:-1])), last).launches[-1]
    assert launch.argv[-2:] == ("last", "completed")


@pytest.mark.parametrize(
    ("script", "line", "column"),
    [
        ("|\n    one\n    {{no}}\n", 4, 7),
        ("|-\n    one\n\n      two {{no}}\n", 5, 13),
        ("|6-\n        {{no}}\n", 3, 11),
        ("|\n    \u00e9\u4e2d {{no}}", 3, 10),
        ("|\r\n    one\r\n    {{no}}\r\n", 4, 7),
        (">\n    one\n    {{no}}\n", 2, 8),  # in folded text nobody knows
        ('"one\n    {{no}}"\n', 2, 8),
    ],
)
def test_it_is_told_in_the_line_of_a_block_where_it_stands(script: str, line: int, column: int) -> None:
    text = f"- id: a\n  run: {script}"
    assert told(text) == [("warning", "unknown-variable", line, column)]
    assert told(text.replace("no}}", "f( }}"))[0][2] == line


def test_tabs_in_front_of_a_block_are_counted_as_they_stand() -> None:
    assert told("steps:\n\t- id: a\n\t\trun: |\n\t\t\tone\n\t\t\t{{no}}\n")[-1] == ("warning", "unknown-variable", 5, 6)


@pytest.mark.parametrize("key", ["condition", "type: condition, onTrue: b, expression"])
@pytest.mark.parametrize("text", ["'${b}' == 'main'", '"${env.CI}" == "1"', "x == '${b:-y}'"])
def test_a_dollar_in_the_quotes_of_an_expression_is_not_taken_for_text(key: str, text: str) -> None:
    file = "dialect: %s\nvariables: {b: main, x: 1}\nsteps:\n- id: a\n  %s: %s\n- {id: b, run: x}\n"
    step = f"run: x\n  {key}" if key == "condition" else key.replace(", ", "\n  ")
    (found,) = told(file % ("snake", step, json.dumps(text)))
    assert found[:2] == ("error", "bad-expression")
    assert codes(file % ("camel", step, json.dumps(text))) == []
    assert codes(file % ("snake", step, json.dumps("'${other}' == '$b'"))) == []


@pytest.mark.parametrize(
    ("width", "help"),
    [
        ("${env.NOPE}", "set it, or provide for its absence: `${env.NOPE:-…}`"),
        ("{{env.NOPE}}", "set it, or provide for its absence: `{{env('NOPE', …)}}`"),
    ],
)
def test_what_to_do_where_a_setting_needs_the_environment(width: str, help: str) -> None:
    (found,) = built(f"execution: {{max_workers: '{width}'}}\nsteps: [{{id: a, run: x}}]\n")[1]
    assert (found.code, found.help) == ("unknown-variable", help)
