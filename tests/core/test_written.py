"""What somebody wrote as a number comes out of a text as it was written."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.language.interpolate import fill, value_of
from stepwave.core.language.scope import Values
from stepwave.core.running.exports import parsed, variables_as_env
from stepwave.core.variables import read_variables
from stepwave.core.written import as_written
from tests.core.build_texts import workflow_of
from tests.core.world import Acts, run, step

SPELLINGS = ["3.10", "1.0", "010", "1e5", "+7", "0x1F", "-0.50", "12345678901234567890"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("text", ["{{v}}", "v{{v}}", "{{variables.list[0]}}", "{{toString(v)}}", "{{other}}"])
def test_a_variable_stays_as_it_is_written(spelling: str, text: str) -> None:
    flow = workflow_of(
        f"variables: {{v: {spelling}, list: [{spelling}], other: '{{{{v}}}}'}}\nsteps: [{{id: a, run: x}}]\n"
    )
    assert fill(text, Values(variables=flow.variables)) == text.partition("{{")[0] + spelling
    assert variables_as_env(flow.variables)["WORKFLOW_VAR_V"] == spelling


@pytest.mark.parametrize("spelling", ["3.10", "1.0", "1e5", "12e4", "-0.50", "6E+2"])
def test_so_does_what_a_step_prints_and_what_is_given_as_json(spelling: str) -> None:
    second = step("b", "a", argv=("x", "{{steps.a.output}}", "{{a.output}}"))
    assert run(step("a"), second, acts={"a": Acts(output=spelling)}).launches[1].argv[1:] == (spelling, spelling)
    second = step("b", "a", argv=("x", "{{steps.a.n}}"))
    assert run(step("a"), second, acts={"a": Acts(output=f'{{"n": {spelling}}}')}).launches[1].argv[1] == spelling
    variables, _ = read_variables([], f'{{"n": {spelling}}}')
    assert fill("{{n}} {{parseJson(t).n}}", Values(variables={**variables, "t": f'{{"n": {spelling}}}'})) == (
        f"{spelling} {spelling}"
    )


@pytest.mark.parametrize("text", ["1234e5678", '{"hash": 1234e5678}', "-Infinity", "[NaN]"])
def test_what_is_no_number_that_there_could_be_is_text(text: str) -> None:
    assert parsed(text) == text


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(), st.text("0123456789.e", min_size=1))
def test_it_is_the_same_number_to_everybody_else(number: int | float, text: str) -> None:
    kept = as_written(number, text)
    assert kept == number and hash(kept) == hash(number) and kept + 1 == number + 1
    assert json.dumps([kept]) == json.dumps([number])
    assert value_of("{{n}}", Values(variables={"n": kept})) == number
    assert fill("{{add(n, 0)}}{{toJson(all)}}", Values(variables={"n": kept, "all": [kept]})).endswith(
        json.dumps([number], separators=(",", ":"))
    ) or math.isinf(number + 0)
