"""What a step is told by its environment, and where its log lies."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.running.exports import ENV_VALUE_LIMIT, log_name, parsed, variables_as_env


@given(st.text(max_size=300), st.integers(0, 10**6), st.integers(1, 9), st.integers(0, 3))
def test_no_id_leads_out_of_the_folder_of_logs(id: str, index: int, attempt: int, test: int) -> None:
    name = log_name(index, id, attempt, test)
    assert re.fullmatch(r"logs/[0-9]{5,}-[A-Za-z0-9_.-]{0,110}\.log", name)


@pytest.mark.parametrize("id", ["../../evil", "/abs", "a" * 5000, "A", "a", "build[os=linux,py=3.12]", "..", ""])
def test_names_of_logs_are_files_in_that_folder_and_differ_by_number(id: str) -> None:
    first, second = log_name(0, id, 1), log_name(1, id.upper(), 1)
    assert first.lower() != second.lower()
    assert "/" not in first.removeprefix("logs/") and first.startswith("logs/00001-")


def test_a_log_says_which_attempt_and_which_test_it_is_of() -> None:
    assert log_name(6, "build", 1) == "logs/00007-build.log"
    assert log_name(6, "build", 2) == "logs/00007-build.2.log"
    assert log_name(6, "build", 2, 3) == "logs/00007-build.2.test-3.log"


def test_variables_are_flat_names_and_bounded_values() -> None:
    made = variables_as_env({"db": {"host": "x", "ports": [1, 2]}, "long": "y" * (ENV_VALUE_LIMIT + 1), "none": None})
    assert made["WORKFLOW_VAR_DB_HOST"] == "x" and made["WORKFLOW_VAR_DB_PORTS"] == "[1, 2]"
    assert len(made["WORKFLOW_VAR_LONG"] or "") < ENV_VALUE_LIMIT + 20
    assert "WORKFLOW_VAR_NONE" not in made


@pytest.mark.parametrize(
    ("text", "value"),
    [("[1, 2]", [1, 2]), ("3", 3), ("true", True), ("3 apples", "3 apples"), ("", ""), ("{", "{"), ("null", None)],
)
def test_one_json_value_is_that_value_and_anything_else_text(text: str, value: object) -> None:
    assert parsed(text) == value
