"""Pools and rate limits of the whole machine, as they stand in a file."""

import pytest

from tests.core.build_texts import codes, workflow_of
from tests.core.test_build_include import together, whole

STEPS = {"steps": [{"id": "a", "run": "x", "resource": "gpu"}]}


def test_a_pool_says_whose_it_is() -> None:
    flow = workflow_of({"parallel": {"resources": {"gpu": {"limit": 2, "scope": "host"}, "db": 3}}, **STEPS})
    assert flow.pools == {"gpu": 2, "db": 3} and flow.host_pools == {"gpu"}
    flow = workflow_of({"resources": {"gpu": {"limit": "{{variables.n}}"}}, "variables": {"n": 4}, **STEPS})
    assert flow.pools == {"gpu": 4} and flow.host_pools == frozenset()
    assert (
        workflow_of({"resources": {"gpu": {"limit": 1, "scope": "run", "_why": "x"}}, **STEPS}).host_pools
        == frozenset()
    )


@pytest.mark.parametrize(
    ("pool", "code"),
    [
        ({"limit": 0, "scope": "host"}, "out-of-range"),
        ({"limit": "two", "scope": "host"}, "wrong-type"),
        ({"scope": "host"}, "missing-key"),
        ({"limit": 1, "scope": "machine"}, "bad-value"),
        ({"limit": 1, "scope": ["host"]}, "wrong-type"),
        ({"limit": 1, "skope": "host"}, "unknown-key"),
        ([1], "wrong-type"),
    ],
)
def test_what_is_wrong_with_a_pool_is_told(pool: object, code: str) -> None:
    assert code in codes({"resources": {"gpu": pool}, **STEPS})


def test_a_rate_limit_says_whose_it_is() -> None:
    for around in ({"parallel": {"rateLimitDelay": 250}}, {"parallel": {"rateLimitDelay": {"delay": 250}}}):
        flow = workflow_of({**around, "resources": {"gpu": 1}, **STEPS})
        assert flow.rate_limit_s == 0.25 and flow.rate_limit_host == ""
    shared = {"delay": 2, "scope": "host"}
    flow = workflow_of({"id": "mine", "execution": {"rate_limit_delay": shared}, "resources": {"gpu": 1}, **STEPS})
    assert flow.rate_limit_s == 2 and flow.rate_limit_host == "mine"
    named = {"delay": "1s", "scope": "host", "name": "api"}
    flow = workflow_of({"parallel": {"rateLimitDelay": named, "resources": {"gpu": 1}}, **STEPS})
    assert flow.rate_limit_s == 1 and flow.rate_limit_host == "api"
    nothing = {"delay": 0, "scope": "host"}
    assert (
        workflow_of({"parallel": {"rateLimitDelay": nothing, "resources": {"gpu": 1}}, **STEPS}).rate_limit_host == ""
    )


@pytest.mark.parametrize(
    ("rate", "code"),
    [
        ({"scope": "host"}, "missing-key"),
        ({"name": "api"}, "missing-key"),
        ({"delay": -1, "scope": "host"}, "out-of-range"),
        ({"delay": "1s", "scope": "all"}, "bad-value"),
        ({"delay": "1s", "name": "api"}, "ignored-key"),
        ({"dealy": "1s", "scope": "host"}, "unknown-key"),
    ],
)
def test_what_is_wrong_with_a_rate_limit_is_told(rate: object, code: str) -> None:
    assert code in codes({"parallel": {"rateLimitDelay": rate, "resources": {"gpu": 1}}, **STEPS})


def test_files_that_belong_together_agree_on_whose_it_is() -> None:
    shared, own = (
        "{resources: {gpu: {limit: 1, scope: host}}, steps: [{id: b, run: x}]}",
        "{resources: {gpu: 1}, steps: [{id: c, run: x}]}",
    )
    files = {"x.yaml": shared, "y.yaml": own, "z.yaml": shared}
    text = "include: [{0}, {1}]\nsteps: [{{id: a, run: x, resource: gpu}}]\n"
    assert [d.code for d in together(text.format("x.yaml", "y.yaml"), files)[1]] == ["conflicting-include"]
    assert [d.code for d in together(text.format("y.yaml", "x.yaml"), files)[1]] == ["conflicting-include"]
    assert whole(text.format("x.yaml", "z.yaml"), files).host_pools == {"gpu"}
