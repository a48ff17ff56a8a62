"""Whatever becomes of its steps, a run tells of each of them exactly once, and what it counts adds up."""

import asyncio
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.events import Outcome, StepFinished
from stepwave.workflow import Workflow
from tests.workflow.gather import Ear


class Shape(NamedTuple):
    """A step: how it goes, what it needs, and what its failure means."""

    goes: str
    needs: tuple[int, ...]
    tolerated: bool
    retries: int
    pool: bool


def completes(**brought: Any) -> int:
    return len(brought)


def fails(**brought: Any) -> None:
    raise RuntimeError(str(brought))


async def waits(**brought: Any) -> None:
    await asyncio.Event().wait()


async def soon(**brought: Any) -> int:
    await asyncio.sleep(0)
    return len(brought)


functions: dict[str, Callable[..., Any]] = {"completes": completes, "fails": fails, "waits": waits, "soon": soon}
commands = {"true": ["true"], "false": ["false"]}


def graphs(kinds: list[str], most: int) -> st.SearchStrategy[list[Shape]]:
    shapes = [
        st.builds(
            Shape,
            goes=st.sampled_from(kinds),
            needs=st.lists(st.integers(0, n - 1), unique=True, max_size=3).map(tuple) if n else st.just(()),
            tolerated=st.booleans(),
            retries=st.integers(0, 1),
            pool=st.booleans(),
        )
        for n in range(most)
    ]
    return st.integers(1, most).flatmap(lambda size: st.tuples(*shapes[:size])).map(list)


def hold_run(shapes: list[Shape], policy: str, width: int) -> None:
    ear = Ear()
    with tempfile.TemporaryDirectory() as folder:
        flow = Workflow("any", folder=folder, resources={"one": 1}, on_failure=policy)
        for n, shape in enumerate(shapes):
            flow.step(
                f"s{n}",
                functions.get(shape.goes) or commands[shape.goes],
                needs=[f"s{need}" for need in shape.needs],
                timeout=0.001 if shape.goes == "waits" else None,
                retries=shape.retries,
                continue_on_error=shape.tolerated,
                resource="one" if shape.pool else None,
            )
        result = flow.run(max_concurrency=width, courtesy=[ear.listen], record=False)
    steps = {step.id: step for step in result.summary.steps}
    told = [event.step for event in ear.events if isinstance(event, StepFinished)]
    assert sorted(told) == sorted(steps) == sorted(f"s{n}" for n in range(len(shapes)))
    assert sum(result.summary.count(outcome) for outcome in Outcome) == len(shapes)
    completed = {id for id, step in steps.items() if step.outcome is Outcome.COMPLETED}
    assert set(result.results) == completed
    untolerated = [step for step in steps.values() if step.is_failure and not step.tolerated]
    assert result.success == (not untolerated)
    for n, shape in enumerate(shapes):
        step = steps[f"s{n}"]
        expected = {"fails": Outcome.FAILED, "false": Outcome.FAILED, "waits": Outcome.TIMEOUT}
        if step.attempts:
            assert step.outcome is expected.get(shape.goes, Outcome.COMPLETED)
            held = untolerated and policy == "abort"
            assert step.outcome is Outcome.COMPLETED or held or step.attempts == 1 + shape.retries
        else:
            assert step.outcome is Outcome.SKIPPED
        if shape.goes == "completes" and step.attempts:
            assert result.results[step.id] == sum(f"s{need}" in completed for need in shape.needs)
        if shape.goes == "fails" and step.attempts:
            assert isinstance(result.errors[step.id], RuntimeError)


policies = st.sampled_from(["abort", "skip_dependents", "continue"])


@settings(deadline=None, max_examples=60)
@given(graphs([*functions], 8), policies, st.integers(1, 5))
def test_functions(shapes: list[Shape], policy: str, width: int) -> None:
    hold_run(shapes, policy, width)


@settings(deadline=None, max_examples=12)
@given(graphs([*functions, *commands], 7), policies, st.integers(1, 5))
def test_functions_and_commands(shapes: list[Shape], policy: str, width: int) -> None:
    hold_run(shapes, policy, width)
