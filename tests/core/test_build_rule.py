"""What a condition step says, made into a rule."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.building.rule import MAX_DEPTH
from stepwave.core.language.rules import OPERATORS, PRESENCE, holds
from stepwave.core.language.scope import ExpressionError, Unresolved, Values
from stepwave.core.model import Rule
from stepwave.core.reading import keys
from tests.core.build_texts import built, workflow_of

SCHEMA = Path(__file__).resolve().parents[2] / "schemas/workflow.schema.json"


def flow(expression: object, **more: object) -> dict[str, object]:
    """A step that others follow, and a condition that says this."""
    steps = [
        {"id": "before", "run": "x"},
        {"id": "c", "type": "condition", "needs": "before", "expression": expression, "onTrue": ["after"]},
        {"id": "after", "run": "x"},
    ]
    return {"steps": steps, **more}


def rule_of(expression: object, **more: object) -> Rule:
    branch = workflow_of(flow(expression, **more)).steps[1].branch
    assert branch is not None
    return branch.rule


def told(expression: object, **more: object) -> list[tuple[str, str, str | None]]:
    return [(d.code, d.message, d.help) for d in built(flow(expression, **more))[1]]


@pytest.mark.parametrize(
    ("expression", "rule"),
    [
        ("steps.before.success", Rule("expression", "steps.before.success")),
        ("{{steps.before.exitCode}} == 0", Rule("expression", "{{steps.before.exitCode}} == 0")),
        (True, Rule("expression", "true")),
        (False, Rule("expression", "false")),
        ({"type": "equals", "left": "a", "right": 1}, Rule("equals", "a", 1)),
        ({"operator": "equals", "left": "a", "right": 1}, Rule("equals", "a", 1)),
        ({"type": "equals", "left": [1, {"k": None}], "right": None}, Rule("equals", [1, {"k": None}], None)),
        ({"type": "exists", "left": "{{variables.nope}}"}, Rule("exists", "{{variables.nope}}")),
        ({"type": "not_exists", "left": "{{env.NOPE}}", "_note": 1}, Rule("not_exists", "{{env.NOPE}}")),
        ({"type": "matches", "left": "a", "right": "^a$"}, Rule("matches", "a", "^a$")),
        ({"type": "matches", "left": "a", "right": "{{env.P}}("}, Rule("matches", "a", "{{env.P}}(")),
        ({"type": "greater_than", "left": 1.5, "right": "{{env.P}}"}, Rule("greater_than", 1.5, "{{env.P}}")),
        (
            {
                "type": "and",
                "conditions": [
                    "steps.before.success",
                    {"type": "not", "conditions": [{"type": "less_than", "left": "a", "right": "b"}]},
                    True,
                ],
            },
            Rule(
                "and",
                rules=(
                    Rule("expression", "steps.before.success"),
                    Rule("not", rules=(Rule("less_than", "a", "b"),)),
                    Rule("expression", "true"),
                ),
            ),
        ),
    ],
)
def test_rules(expression: object, rule: Rule) -> None:
    assert rule_of(expression) == rule


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_is_read(operator: str) -> None:
    inner = {"type": "equals", "left": 1, "right": 1}
    said = (
        {"type": operator, "conditions": [inner]} if operator in ("and", "or", "not") else {"type": operator, "left": 1}
    )
    if operator not in ("and", "or", "not", *PRESENCE):
        said["right"] = "1"
    assert rule_of(said).operator == operator


INNER = {"type": "equals", "left": 1, "right": 1}


@pytest.mark.parametrize(
    ("expression", "code", "message", "help"),
    [
        ({"left": 1}, "missing-key", "`expression` does not say how to compare", "give it a `type`, such as `equals`"),
        ({"type": "equal", "left": 1}, "unknown-operator", "there is no operator `equal`", "did you mean `equals`?"),
        (
            {"type": "between", "left": 1},
            "unknown-operator",
            "there is no operator `between`",
            f"write one of {', '.join(OPERATORS[:-1])} and not",
        ),
        ({"type": 5, "left": 1}, "wrong-type", "`expression.type` must be text, not an integer", 'write "5" in quotes'),
        ({"type": "equals", "right": 1}, "missing-key", "`equals` needs `left`", None),
        ({"type": "contains", "left": 1}, "missing-key", "`contains` needs `right`", None),
        ({"type": "exists"}, "missing-key", "`exists` needs `left`", None),
        ({"type": "and"}, "missing-key", "`and` needs `conditions`, a list", None),
        ({"type": "or", "conditions": []}, "too-few-items", "`expression.conditions` must not be empty", None),
        ({"type": "not", "conditions": []}, "too-few-items", "`expression.conditions` must not be empty", None),
        (
            {"type": "not", "conditions": [INNER, INNER]},
            "too-many-conditions",
            "`not` takes exactly one condition, not 2",
            "join them with `and` or `or` inside it",
        ),
        (
            {"type": "and", "conditions": INNER},
            "wrong-type",
            "`expression.conditions` must be a list of conditions, not a mapping",
            None,
        ),
        (
            {"type": "and", "conditions": [INNER, 5]},
            "wrong-type",
            "`expression.conditions[1]` must be an expression, or a mapping with `type`, `left` and `right`,"
            " not an integer",
            None,
        ),
        (
            {"type": "or", "conditions": [{"type": "not", "conditions": [{"type": "equals", "right": 1}]}]},
            "missing-key",
            "`equals` needs `left`",
            None,
        ),
        (["a"], "wrong-type", ..., None),
        ("a ==", "bad-expression", "expected a value, found the end", None),
        ({"type": "equals", "left": "{{upper(}}", "right": 1}, "bad-expression", "expected a value, found `}}`", ...),
        ({"type": "exists", "left": "{{upper(}}"}, "bad-expression", "expected a value, found `}}`", ...),
        (
            {"type": "matches", "left": "a", "right": "("},
            "bad-pattern",
            "Invalid regex pattern: ( (missing ) at position 1)",
            "write it as for Python's `re`",
        ),
        (
            {"type": "not_matches", "left": "a", "right": 5},
            "wrong-type",
            "`expression.right` must be a regular expression, not an integer",
            "write it in quotes",
        ),
        (
            {"type": "matches", "left": "a", "right": ["a"]},
            "wrong-type",
            "`expression.right` must be a regular expression, not a list",
            None,
        ),
        (
            {"type": "less_than", "left": 1, "right": True},
            "wrong-type",
            "`expression.right` must be a number or text, not a boolean",
            None,
        ),
        (
            {"type": "less_than", "left": 1, "right": {}},
            "wrong-type",
            "`expression.right` must be a number or text, not a mapping",
            None,
        ),
        (
            {"type": "equals", "lefft": 1, "right": 1, "left": 1},
            "unknown-key",
            "a condition has no key `lefft`",
            "did you mean `left`?",
        ),
        (
            {"type": "equals", "left": "{{steps.nope.output}}", "right": 1},
            "unknown-step",
            "there is no step `nope` to refer to",
            None,
        ),
        (
            {"type": "exists", "left": "{{steps.nope.output}}"},
            "unknown-step",
            "there is no step `nope` to refer to",
            None,
        ),
        (
            {"type": "equals", "left": 1, "right": ["{{variables.nope}}"]},
            "unknown-variable",
            "there is no variable `nope`",
            ...,
        ),
        ({"type": "equals", "left": "{{steps.after.output}}", "right": 1}, "not-upstream", ..., ...),
        (
            {"type": "equals", "left": "steps.before.output", "right": 1},
            "plain-name",
            "`steps.before.output` is a text here, and not what it names",
            "write `{{steps.before.output}}`",
        ),
        ({**INNER, "conditions": []}, "ignored-key", "`conditions` has no effect with `equals`", None),
        ({"type": "exists", "left": 1, "right": 1}, "ignored-key", "`right` has no effect with `exists`", None),
        ({"type": "not", "left": 1, "conditions": [INNER]}, "ignored-key", "`left` has no effect with `not`", None),
    ],
)
def test_what_is_told(expression: object, code: str, message: object, help: object) -> None:
    found = told(expression)
    assert [one[0] for one in found] == [code]
    assert message in (..., found[0][1])
    assert help in (..., found[0][2])


def test_faults_are_told_at_once_and_where_they_stand() -> None:
    text = (
        "steps:\n"
        "- id: c\n"
        "  type: condition\n"
        "  expression:\n"
        "    type: and\n"
        "    conditions:\n"
        "      - {type: equls, left: 1, right: 1}\n"
        "      - {type: equals, left: 1}\n"
        "      - {type: matches, left: x, right: '['}\n"
        "      - {type: not, conditions: [{type: exists, left: '{{a b}}'}, true]}\n"
        "  onTrue: [a]\n"
        "- {id: a, run: x}\n"
    )
    found = [(d.code, d.place.line, d.place.column) for d in built(text)[1]]
    assert found == [
        ("unknown-operator", 7, 16),
        ("missing-key", 8, 10),
        ("bad-pattern", 9, 41),
        ("too-many-conditions", 10, 21),
    ]


def test_conditions_are_nested_no_deeper_than_they_can_be_asked() -> None:
    def nested(levels: int) -> object:
        said: object = INNER
        for _ in range(levels - 1):
            said = {"type": "not", "conditions": [said]}
        return said

    rule = rule_of(nested(MAX_DEPTH))
    assert holds(rule, Values()) is (MAX_DEPTH % 2 == 1)
    assert [code for code, _, _ in told(nested(MAX_DEPTH + 1))] == ["too-deep"]


def test_the_schema_knows_the_same_operators_and_keys() -> None:
    expression = json.loads(SCHEMA.read_text("utf-8"))["definitions"]["expression"]
    assert expression["properties"]["type"]["enum"] == [*OPERATORS, None]
    assert expression["properties"]["operator"]["enum"] == [*OPERATORS, None]
    assert set(expression["properties"]) == set(keys.rule.leads)


_words = st.sampled_from(["type", "operator", "left", "right", "conditions", "x"])
_said = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [*OPERATORS, "expression", "{{x}}", "{{steps.before.output}}", "{{", "(", "${x}", "steps.a.b", ""]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_words, inner, max_size=4)
        | st.fixed_dictionaries({"type": st.sampled_from(OPERATORS), "left": inner, "right": inner})
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["and", "or", "not"]), "conditions": st.lists(inner, max_size=2)}
        )
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(_said, st.sampled_from(["camel", "snake"]))
def test_a_rule_that_is_read_can_be_asked(said: object, dialect: str) -> None:
    workflow, found = built(flow(said, dialect=dialect))
    assert all(d.place.line >= 1 for d in found)
    if workflow is None or workflow.steps[1].branch is None:
        return
    try:
        assert holds(workflow.steps[1].branch.rule, Values(), dollar=dialect == "snake") in (True, False)
    except (ExpressionError, Unresolved) as problem:
        assert problem.message
