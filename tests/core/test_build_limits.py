"""What a step may use, how long it may be silent, how it is stopped."""

import pytest

from stepwave.core.model import Limits, StopRule
from tests.core.build_texts import built, codes, step_of


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        ({}, Limits()),
        ({"limits": {"memory": "1GB"}}, Limits(memory_bytes=1 << 30)),
        ({"memory_limit_mb": 3}, Limits(memory_bytes=3 << 20)),
        ({"limits": {"cpuTime": "1500ms"}}, Limits(cpu_s=2)),
        ({"limits": {"cpu_time": 3}}, Limits(cpu_s=3)),
        ({"limits": {"open_files": 64}}, Limits(open_files=64)),
        ({"limits": {"outputSize": "2KB"}}, Limits(output_bytes=2048)),
        ({"limits": {"output_size": 7}}, Limits(output_bytes=7)),
    ],
)
def test_limits(said: dict[str, object], limits: Limits) -> None:
    assert step_of({"run": "x", **said}).limits == limits


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, None),
        ({"idleTimeout": "5s"}, 5.0),
        ({"idle_timeout": "2m"}, 120.0),
        ({"idleTimeout": 1500}, 1.5),
        ({"idleTimeout": 0}, None),
        ({"config": {"idleTimeout": 1500}}, 1.5),
        ({"config": {"idle_timeout": 1500}, "depends_on": []}, 1.5),
        ({"idle_timeout": 3, "depends_on": []}, 3.0),
    ],
)
def test_idle_time(said: dict[str, object], seconds: float | None) -> None:
    assert step_of({"run": "x", **said}).idle_s == seconds


def test_how_a_step_is_stopped() -> None:
    assert step_of({"run": "x", "kill": {"signal": "sigint", "grace": "1s"}}).stop == StopRule("INT", 1.0)
    assert step_of({"run": "x", "kill": {"grace": 0}}).stop == StopRule("TERM", 0.0)
    assert step_of({"run": "x"}).stop == StopRule()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"limits": {"outputSize": "much"}}, "bad-size"),
        ({"limits": {"outputSize": 0}}, "out-of-range"),
        ({"limits": {"memory": "1GB"}, "memoryLimitMb": 3}, "conflicting-keys"),
        ({"idleTimeout": "soon"}, "bad-duration"),
        ({"idleTimeout": "5s", "config": {"idleTimeout": "6s"}}, "conflicting-keys"),
        ({"kill": {"signal": "NOPE"}}, "bad-value"),
    ],
)
def test_what_is_wrong(said: dict[str, object], code: str) -> None:
    assert codes({"steps": [{"id": "a", "run": "x", **said}]}) == [code]


def test_the_width_may_follow_the_machine() -> None:
    for said in ({"execution": {"adaptive_scaling": True}}, {"parallel": {"adaptive": True}}):
        workflow, found = built({**said, "steps": [{"id": "a", "run": "x"}]})
        assert workflow is not None, found
        assert workflow.adaptive
    workflow, _ = built({"execution": {"adaptive_scaling": False}, "steps": [{"id": "a", "run": "x"}]})
    assert workflow is not None
    assert not workflow.adaptive
