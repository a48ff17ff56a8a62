"""Real files, the published schema, and whatever else may be thrown at `build`."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.building.build import Inputs, build
from stepwave.core.building.cycles import in_order
from stepwave.core.diagnostics import has_errors
from stepwave.core.reading import keys
from stepwave.core.reading.keys import Keys
from stepwave.core.reading.parse import parse
from tests.core.build_texts import built

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "../shared/data/workflows"
SCHEMA = ROOT / "schemas/workflow.schema.json"

fragment = {"no-steps"}
agents = {"no-executor"}
sentences = {"no-executor", "acceptance-not-command", "no-effect"}

EXPECTED: dict[str, set[str]] = {
    "near-dialects/codomyrmex-workflow-with-dependencies.json": set(),
    "near-dialects/plan-dag-basic.yaml": {"no-executor", "unknown-key"},
    "near-dialects/task-scheduler-nested.yaml": set(),
    "plans/test_simple.json": set(),
    "seeds/seed001-block01-line14.yaml": set(),
    "seeds/seed001-block02-line45.yaml": set(),
    "seeds/seed001-block03-line85.yaml": {"unknown-resource", "no-executor"},
    "seeds/seed001-block04-line124.yaml": set(),
    "seeds/seed001-block05-line211.yaml": set(),
    "seeds/seed001-block06-line247.yaml": set(),
    "seeds/seed003-block03-line106.json": fragment,
    "seeds/seed003-block05-line308.json": fragment,
    "seeds/seed003-block06-line333.json": fragment,
    "seeds/seed003-block07-line347.json": fragment,
    "seeds/seed003-block09-line376.json": fragment,
    "seeds/seed003-block10-line390.json": fragment,
    "seeds/seed003-block11-line444.json": fragment,
    "seeds/seed003-block12-line457.json": {*fragment, "unknown-step"},
    "seeds/seed003-block13-line474.json": fragment,
    "workstreams/01_simple_task.json": agents,
    "workstreams/02_parallel_execution.json": agents,
    "workstreams/example_multi.json": agents,
    "workstreams/openspec-test-001.yaml": {"no-steps", "unknown-key", "version-format"},
    "workstreams/ws-01-hardcoded-path-index.json": agents,
    "workstreams/ws-02-section-mapping-config.json": {*agents, "outside-need"},
    "workstreams/ws-12-error-shared-utils.json": agents,
    "workstreams/ws-13-refactor-error-plugins.json": {*agents, "outside-need"},
    "workstreams/ws-22-pipeline-plus-phase0-schema.json": {*sentences, "files-outside-scope"},
    "workstreams/ws-23-pipeline-plus-phase1a-task-queue.json": {*sentences, "outside-need"},
    "workstreams/ws-uet-phase-a-quick-wins.json": {*agents, "files-outside-scope"},
    "yaml/agent-workflow.yaml": {"no-executor", "suspicious-timeout"},
    "yaml/conditional-01.yaml": {"unknown-branch-target", "unknown-step"},
    "yaml/conditional-04.yaml": {"unknown-step", "unknown-variable"},
    "yaml/conditional-07.yaml": {"unknown-branch-target"},
    "yaml/definition-tabs-01.yaml": {
        "unknown-step-type", "wrong-type", "unknown-step", "unknown-variable", "unknown-resource",
    },
    "yaml/definition-tabs-05.yaml": {"unknown-branch-target", "unknown-step"},
    "yaml/definition-tabs-09.yaml": {"no-executor", "unknown-step", "unknown-variable"},
    "yaml/interp-02.yaml": {"unknown-variable", "not-upstream"},
    "yaml/interp-05.yaml": {"unknown-variable", "no-executor"},
    "yaml/parallel-tabs-06.yaml": set(),
    "yaml/readme-flat-01.yaml": agents,
    "yaml/readme-flat-08.yaml": set(),
    "yaml/readme-flat-15.yaml": agents,
    "yaml/readme-new-01.yaml": agents,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_real_files(name: str) -> None:
    path = DATA / name
    if not path.is_file():
        pytest.skip("the real files are not here")
    document, _ = parse(path.read_bytes(), path.name)
    assert document is not None
    workflow, found = build(document, Inputs(folder=str(path.parent)))
    assert {d.code for d in found} == EXPECTED[name]
    assert (workflow is None) == has_errors(found)
    for d in found:
        assert 1 <= d.place.line <= len(document.text.split("\n"))


def test_no_real_file_is_left_out() -> None:
    if not DATA.is_dir():
        pytest.skip("the real files are not here")
    for path in DATA.glob("*/*"):
        name = str(path.relative_to(DATA))
        assert name in EXPECTED or parse(path.read_bytes(), path.name)[0] is None, name


# --- the schema ------------------------------------------------------------------------------------------------------


def all_keys(table: Keys) -> set[str]:
    return {*table.meant, *table.passive}


@pytest.mark.parametrize(
    ("which", "table"),
    [
        ("workflow", keys.workflow),
        ("step", keys.step),
        ("config", keys.config),
        ("stepParallel", keys.step_parallel),
        ("workflowParallel", keys.parallel),
        ("execution", keys.execution),
        ("defaults", keys.defaults),
        ("retry", keys.retry),
        ("circuitBreaker", keys.circuit_breaker),
        ("limits", keys.limits),
        ("kill", keys.kill),
        ("compensation", keys.compensation),
        ("fileScope", keys.file_scope),
        ("errorHandling", keys.error_handling),
    ],
)
def test_every_key_of_the_schema_is_known_here(which: str, table: Keys) -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    assert set(schema["definitions"][which]["properties"]) - all_keys(table) == set()


def test_every_key_has_one_meaning() -> None:
    for table in (keys.workflow, keys.step, keys.config, keys.parallel, keys.step_parallel, keys.defaults):
        assert not table.passive & (set(table.leads) | set(table.inside)), table.what


# --- anything --------------------------------------------------------------------------------------------------------

words = st.sampled_from([*keys.workflow.leads, *keys.step.leads, *keys.step.inside, *keys.workflow.inside, "x"])
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8),
    st.sampled_from(["{{", "{{x}}", "{{steps.a.output}}", "${X}", "${env.X:-1}", "5s", "a", "b", "auto", "10" * 200]),
)  # fmt: skip
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5), max_leaves=25
)
plausible = st.sampled_from(
    [
        {"run": "x"}, {"command": "a b"}, {"needs": ["a"]}, {"needs": ["b", "c"]}, {"condition": "steps.a.success"},
        {"type": "noop"}, {"agent": "x"}, {"parallel": {"resource": "cpu"}}, {"resource": {"cpu": 2}},
        {"retries": 2}, {"env": {"A": "{{steps.b.output}}"}}, {"expression": "true", "onTrue": ["a"]},
        {"conflict_group": "g"}, {"depends_on": "d"}, {"circuit_breaker": {"max_attempts": 2}}, {"timeout": 5000},
    ]
)  # fmt: skip
odd = st.dictionaries(words, anything, max_size=1)
step = st.builds(
    lambda said, more: {**{key: value for part in said for key, value in part.items()}, **more},
    st.lists(plausible, max_size=3),
    st.one_of(st.just({}), st.just({}), odd),
)
# Mostly sound: ids that differ, and `run` where a step says nothing else to do.
whole = st.builds(
    lambda steps, more: {
        "resources": {"cpu": 2},
        "steps": [
            {"id": id, **({} if _does(step) else {"run": "x"}), **step} for id, step in zip("abcd", steps, strict=False)
        ],
        **more,
    },
    st.lists(step, min_size=2, max_size=4),
    st.one_of(st.just({}), odd),
)


def _does(step: dict[str, object]) -> bool:
    return not step.keys().isdisjoint(("run", "command", "agent", "expression", "type"))


@settings(max_examples=400, deadline=None)
@given(st.one_of(anything, whole, whole, st.lists(step, max_size=2)))
def test_whatever_a_file_says_there_is_an_answer(said: object) -> None:
    document, _ = parse(json.dumps(said).encode(), "any.json")
    if document is None:
        return
    for strict in (False, True):
        workflow, found = build(document, Inputs(), strict=strict)
        assert (workflow is None) == has_errors(found)
        assert found == sorted(found, key=lambda d: d.place)
        if workflow is not None:
            needs = {step.id: step.needs for step in workflow.steps}
            assert len(needs) == len(workflow.steps) > 0
            assert len(in_order(needs)) == len(needs)
            assert all(need in needs for step in workflow.steps for need in step.needs)
            assert all(units <= workflow.pools[name] for step in workflow.steps for name, units in step.resources)


def test_many_unknown_words_are_still_answered() -> None:
    steps = [{"id": f"s{n}", "run": "x", f"word{n}": 1, "needs": [f"t{n}"]} for n in range(2000)]
    _, found = built({"steps": steps})
    assert [d.code for d in found].count("unknown-step") == 2000


def test_the_collector_is_left_as_it_was() -> None:
    import gc

    assert gc.isenabled()
    built({"steps": [{"id": "a", "run": "x"}]})
    assert gc.isenabled()
    gc.disable()
    try:
        built({"steps": [{"id": "a", "run": "x"}]})
        assert not gc.isenabled()
    finally:
        gc.enable()
