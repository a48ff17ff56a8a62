"""Which failures are tried again, and whose failures count together."""

import pytest

from stepwave.core.model import Retry, RetryOn
from tests.core.build_texts import built, codes, step_of, told, workflow_of


@pytest.mark.parametrize(
    ("said", "retry"),
    [
        ({"retry": {"attempts": 2, "on": {"exitCodes": [1, 75, 1]}}}, Retry(2, 1.0, on=RetryOn((1, 75)))),
        ({"retry": {"attempts": 2, "on": {"exit_codes": 75}}}, Retry(2, 1.0, on=RetryOn((75,)))),
        ({"retry": {"on": {"timeout": True}}}, Retry(3, 1.0, on=RetryOn(timeout=True))),
        ({"retry": {"on": {"match": "50[234]"}}}, Retry(3, 1.0, on=RetryOn(patterns=("50[234]",)))),
        (
            {"retry": {"on": {"match": ["a", "b"], "timeout": False}}},
            Retry(3, 1.0, on=RetryOn(patterns=("a", "b"))),
        ),
        ({"retry": {"attempts": 2, "on": {}}}, Retry(2, 1.0)),
        (
            {"circuit_breaker": {"max_attempts": 4, "error_patterns": ["a", "b"]}},
            Retry(4, on=RetryOn(patterns=("a", "b"))),
        ),
        (
            {"retry": {"on": {"match": "a", "exitCodes": [2]}}, "circuitBreaker": {"errorPatterns": ["b", "a"]}},
            Retry(3, 1.0, on=RetryOn((2,), patterns=("a", "b"))),
        ),
        ({"circuit_breaker": {"max_attempts": 4, "max_error_repeats": 2}}, Retry(4, max_repeats=2)),
        ({"circuit_breaker": {"maxErrorRepeats": 0}}, Retry(max_repeats=0)),
        ({"circuit_breaker": {"enabled": False, "max_attempts": 4, "max_error_repeats": 2}}, Retry()),
        ({"circuit_breaker": {"enabled": False, "max_attempts": 4}, "retries": 1}, Retry(2)),
    ],
)
def test_which_failures_are_tried_again(said: dict[str, object], retry: Retry) -> None:
    assert step_of({"run": "x", **said}).retry == retry


def test_a_step_takes_over_what_it_does_not_say() -> None:
    text = """
        circuit_breaker: {max_attempts: 4, max_error_repeats: 1, error_patterns: [x]}
        steps:
        - {id: a, run: x}
        - {id: b, run: x, max_retries: 1, retry: {on: {timeout: true}}}
        - {id: c, run: x, circuit_breaker: {max_error_repeats: 2}}
        """
    a, b, c = (step.retry for step in workflow_of(text).steps)
    assert a == Retry(4, max_repeats=1, on=RetryOn(patterns=("x",)))
    assert (b.attempts, b.on, b.max_repeats) == (2, RetryOn(timeout=True), 1)
    assert c == a._replace(max_repeats=2)


@pytest.mark.parametrize(
    ("said", "code", "column"),
    [
        ("retry: {on: {match: '('}}", "bad-pattern", 39),
        ("retry: {on: {match: [a, '[']}}", "bad-pattern", 43),
        ("circuit_breaker: {error_patterns: ['(a']}", "bad-pattern", 54),
        ("retry: {on: {exitCodes: []}}", "too-few-items", 43),
        ("retry: {on: {exitCodes: [256]}}", "out-of-range", 44),
        ("retry: {on: {exitCodes: x}}", "wrong-type", 43),
        ("retry: {on: {timeout: 5s}}", "wrong-type", 41),
        ("retry: {on: {timeout: false}}", "bad-value", 32),
        ("retry: {on: [1]}", "wrong-type", 31),
        ("retry: {on: {macth: x}}", "unknown-key", 32),
        ("circuit_breaker: {max_error_repeats: -1}", "out-of-range", 56),
        ("circuit_breaker: {per_step: 1}", "wrong-type", 47),
    ],
)
def test_what_is_wrong(said: str, code: str, column: int) -> None:
    assert ("error", code, 2, column) in told("steps:\n- {id: a, run: x, %s}\n" % said)  # noqa: UP031


# --- breakers --------------------------------------------------------------------------------------------------------


def breakers(above: str, steps: str = "") -> tuple[dict[str, str], dict[str, int]]:
    """The key of each step, and the limit of each key."""
    workflow, found = built(f"{above}\nsteps:\n- {{id: a, run: x}}\n- {{id: b, run: x{steps}}}\n")
    assert workflow is not None, found
    return {step.id: step.breaker for step in workflow.steps}, dict(workflow.breakers)


def test_each_step_counts_for_itself_unless_the_file_says_otherwise() -> None:
    alone = {"a": "", "b": ""}
    assert breakers("circuit_breaker: {max_attempts: 5}") == (alone, {})
    assert breakers("circuit_breaker: {max_attempts: 5, per_step: true}") == (alone, {})
    assert breakers("circuit_breaker: {enabled: false, per_step: false}") == (alone, {})
    assert breakers("circuit_breaker: {per_phase: true}") == (alone, {})  # no phases


def test_one_count_for_the_whole_run() -> None:
    run = {"a": "run", "b": "run"}
    assert breakers("circuit_breaker: {max_attempts: 5, per_step: false}") == (run, {"run": 5})
    assert breakers("circuitBreaker: {perStep: false}") == (run, {"run": 3})
    assert breakers("circuit_breaker: {per_step: false}\nretries: 6") == (run, {"run": 3})


def test_a_step_may_leave_the_count_or_join_it() -> None:
    above = "circuit_breaker: {max_attempts: 5, per_step: false}"
    assert breakers(above, ", circuit_breaker: {per_step: true}") == ({"a": "run", "b": ""}, {"run": 5})
    assert breakers(above, ", circuit_breaker: {enabled: false}") == ({"a": "run", "b": ""}, {"run": 5})
    joins = ", circuit_breaker: {per_step: false, max_attempts: 2}"
    assert breakers("", joins) == ({"a": "", "b": "run"}, {"run": 2})
    assert breakers(above, joins) == ({"a": "run", "b": "run"}, {"run": 2})


def test_one_count_for_each_phase() -> None:
    text = """
        circuit_breaker: {max_attempts: 2, per_phase: true}
        phases:
        - {id: build, steps: [{id: a, run: x}, {id: b, run: x}]}
        - {id: ship, steps: [{id: c, run: x}, {id: d, run: x, circuit_breaker: {perPhase: false}}]}
        """
    workflow = workflow_of(text)
    assert {step.id: step.breaker for step in workflow.steps} == {
        "a": "phase:build", "b": "phase:build", "c": "phase:ship", "d": "",
    }  # fmt: skip
    assert workflow.breakers == {"phase:build": 2, "phase:ship": 2}


def test_without_phases_there_is_nothing_to_count_by() -> None:
    text = "circuit_breaker: {max_attempts: 2, per_phase: true}\nsteps: [{id: a, run: x}]\n"
    assert told(text) == [("info", "no-effect", 1, 36)]
    assert told(text.replace("true", "false")) == []


def test_workstreams_count_apart() -> None:
    stream = {"circuit_breaker": {"per_step": False, "max_attempts": 2}, "steps": [{"id": "a", "run": "x"}]}
    workflow = workflow_of([{"id": "one", **stream}, {"id": "two", **stream}])
    assert workflow.breakers == {"run:one": 2, "run:two": 2}


def test_what_only_an_agent_could_do_is_told() -> None:
    said = "oscillation_threshold: 2, oscillation_window: 4, escalation_strategy: stop, max_fix_attempts: 2"
    found = built(f"circuit_breaker: {{max_attempts: 3, {said}}}\nsteps: [{{id: a, run: x}}]\n")[1]
    assert [(d.severity.value, d.code, d.place.column) for d in found] == [
        ("info", "no-effect", column) for column in (36, 62, 85, 112)
    ]
    assert codes(f"circuit_breaker: {{enabled: false, {said}}}\nsteps: [{{id: a, run: x}}]\n") == []


def test_a_delay_that_is_written_is_not_cut_by_a_bound_that_is_not() -> None:
    assert step_of({"run": "x", "retry": {"delay": "5m"}}).retry == Retry(3, 300.0, max_delay_s=300.0)
    assert step_of({"run": "x", "retries": 1, "retryDelay": "5m"}).retry == Retry(2, 300.0, max_delay_s=300.0)
    step = step_of({"run": "x", "retries": 1}, defaults={"retryDelay": "2m"})
    assert step.retry == Retry(2, 120.0, max_delay_s=120.0)
    assert told("steps: [{id: a, run: x, retry: {delay: 5m, maxDelay: 1m}}]\n") == [("warning", "ignored-key", 1, 33)]
