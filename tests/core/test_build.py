"""What a file is, and what it says for all its steps."""

import pytest

from stepwave.core.building.build import detect_dialect
from stepwave.core.model import Backoff, Dialect, FailurePolicy, Retry, Scheduling, StepType
from stepwave.core.reading import keys
from tests.core.build_texts import built, codes, step_of, told, workflow_of

RUN = {"id": "a", "command": "true"}


# --- shapes ----------------------------------------------------------------------------------------------------------


def ids(text: object, **more: object) -> list[str]:
    return [step.id for step in workflow_of(text, **more).steps]  # type: ignore[arg-type]


@pytest.mark.parametrize("key", keys.step_lists)
def test_steps_by_any_name(key: str) -> None:
    assert ids({key: [RUN, {"id": "b", "command": "true"}]}) == ["a", "b"]


def test_steps_as_a_mapping_keep_their_order_and_take_the_key_as_id() -> None:
    assert ids("steps:\n  z: {run: make}\n  a: {run: make, needs: z}\n  x-note: hello\n") == ["z", "a"]


def test_a_list_of_steps() -> None:
    workflow = workflow_of("- name: root\n  cmd: ./x.sh\n- name: child\n  cmd: y\n  depends_on: [root]\n")
    assert [(step.id, step.argv, step.needs) for step in workflow.steps] == [
        ("root", ("./x.sh",), ()),
        ("child", ("y",), ("root",)),
    ]
    assert (workflow.id, workflow.dialect) == ("ci", Dialect.SNAKE)


def test_an_empty_file_and_others_without_steps() -> None:
    for text in ("~\n", "just text\n", "[]\n", "steps: []\n", "steps:\n", "execution: {max_workers: 5}\n", "{}\n"):
        assert codes(text) == ["no-steps"], text


def test_a_single_step_is_told_where_it_belongs() -> None:
    found = built("id: a\nrun: make\n")[1]
    assert next(d for d in found if d.code == "no-steps").help == (
        "this looks like a single step: put it into a list under `steps:`"
    )


def test_a_workstream_without_steps_is_one_agent() -> None:
    workflow, found = built({"id": "ws-1", "tool": "aider", "tasks": ["write it", "test it"], "files_scope": ["a.py"]})
    assert workflow is not None
    (step,) = workflow.steps
    assert (step.id, step.type, step.agent and step.agent.name) == ("main", StepType.AGENT, "aider")
    assert step.stdin is not None and step.stdin.text == "write it\ntest it\n"
    assert workflow.metadata == {"files_scope": ["a.py"]}
    assert [d.code for d in found] == ["no-executor"]


WORKSTREAMS: list[dict[str, object]] = [
    {"id": "lib", "tool": "t", "tasks": ["x"]},
    {"id": "api", "depends_on": ["lib"], "files_scope": ["api"], "steps": [
        {"id": "one", "command": "true"},
        {"id": "two", "command": "true"},
        {"id": "end", "command": "true", "depends_on": ["one"]},
    ]},
    {"id": "cli", "tool": "t", "tasks": ["y"], "depends_on": ["api"]},
]  # fmt: skip


def test_a_list_of_workstreams_is_one_graph() -> None:
    workflow, _ = built(WORKSTREAMS)
    assert workflow is not None
    assert {step.id: step.needs for step in workflow.steps} == {
        "lib": (),
        "api.one": ("lib",),
        "api.two": ("lib",),
        "api.end": ("api.one",),
        "cli": ("api.two", "api.end"),
    }


def test_one_workstream_of_a_list() -> None:
    workflow, found = built(WORKSTREAMS, name="cli")
    assert workflow is not None
    assert [step.id for step in workflow.steps] == ["cli"]
    assert "outside-need" in [d.code for d in found]
    assert "which-workflow" in codes(WORKSTREAMS, name="clj")


def test_a_workstream_of_a_list_must_not_need_an_unknown_one() -> None:
    wrong = [*WORKSTREAMS[:1], {**WORKSTREAMS[2], "depends_on": ["api"]}]
    assert "unknown-step" in codes(wrong)


def test_workstreams_in_a_ring() -> None:
    ring = [{"id": n, "tool": "t", "tasks": ["x"], "depends_on": [m]} for n, m in ("ab", "bc", "ca")]
    assert "cycle" in codes(ring)


def test_workflows_by_name() -> None:
    text = "env: {A: '1'}\nworkflows:\n  build: {steps: [{id: b, run: make}]}\n  test: {steps: [{id: t, run: make}]}\n"
    workflow = workflow_of(text, name="test")
    assert (workflow.id, workflow.env, [step.id for step in workflow.steps]) == ("test", {"A": "1"}, ["t"])
    missing = built(text)[1][0]
    assert (missing.code, missing.message) == (
        "which-workflow",
        "this file holds several workflows: `build`, `test`",
    )
    assert (missing.place.line, missing.place.column) == (2, 1)
    assert built(text, name="tets")[1][0].help == "did you mean `test`?"
    assert ids("workflows: {only: {steps: [{id: a, run: make}]}}\n") == ["a"]
    assert codes({"id": "x", "steps": [RUN]}, name="y") == ["which-workflow"]
    assert ids({"id": "x", "steps": [RUN]}, name="x") == ["a"]


# --- identity --------------------------------------------------------------------------------------------------------


def test_what_a_workflow_is_called() -> None:
    plain = workflow_of({"steps": [RUN]})
    assert (plain.id, plain.name, plain.version, plain.folder) == ("ci", "ci", "1.0.0", "/w")
    named = workflow_of({"name": "My Big Build!", "description": "d", "steps": [RUN]})
    assert (named.id, named.name, named.description) == ("my-big-build", "My Big Build!", "d")
    assert workflow_of({"id": "X.1", "steps": [RUN]}).id == "X.1"
    assert workflow_of("version: 1.10.0\nsteps: [{id: a, run: x}]\n").version == "1.10.0"
    assert told("version: 1.10\nsteps: [{id: a, run: x}]\n") == [("warning", "version-format", 1, 10)]
    assert workflow_of("version: v1\nsteps: [{id: a, run: x, depends_on: []}]\n").version == "v1"


def test_strict_wants_a_name_in_camel_files() -> None:
    assert codes({"steps": [RUN]}, strict=True) == ["missing-key"]
    assert codes({"steps": [{**RUN, "depends_on": []}]}, strict=True) == []


# --- dialects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("steps: [{id: a, run: x}]", Dialect.CAMEL),
        ("steps: [{id: a, run: x, dependsOn: []}]", Dialect.CAMEL),
        ("steps: [{id: a, run: x, config: {workingDirectory: y}}]", Dialect.CAMEL),
        ("parallel: {enabled: true}\nsteps: []", Dialect.CAMEL),
        ("steps: [{id: a, run: x, depends_on: []}]", Dialect.SNAKE),
        ("execution: {}\nsteps: []", Dialect.SNAKE),
        ("steps: {a: {run: x, max_retries: 2}}", Dialect.SNAKE),
        ("plan_id: x\nsteps: [{id: a, run: x, depends_on: []}]", Dialect.PLAN),
        ("globals: {}\nsteps: []", Dialect.PLAN),
        ("dialect: snake\nsteps: [{id: a, run: x, dependsOn: []}]", Dialect.SNAKE),
        ("- {id: a, cmd: x, dependencies: []}", Dialect.SNAKE),
        ("nothing", Dialect.CAMEL),
    ],
)
def test_dialects(text: str, dialect: Dialect) -> None:
    from tests.core.build_texts import parsed

    assert detect_dialect(parsed(text).root) is dialect


@pytest.mark.parametrize(
    ("around", "seconds"),
    [("", 2.0), ("execution: {}\n", 2000.0), ("plan_id: p\n", 2000.0), ("dialect: plan\n", 2000.0)],
)
def test_a_bare_timeout_has_the_unit_of_its_dialect(around: str, seconds: float) -> None:
    workflow = workflow_of(around + "timeout: 2000\nsteps: [{id: a, run: x, timeout: 2000}]\n")
    assert (workflow.timeout_s, workflow.steps[0].timeout_s) == (seconds, seconds)


def test_in_a_mixed_file_a_bare_timeout_has_none() -> None:
    mixed = "parallel: {enabled: true}\nsteps:\n- {id: a, run: x, depends_on: [], timeout: %s}\n"
    assert told(mixed % "30") == [("error", "ambiguous-unit", 3, 44)]
    assert workflow_of(mixed % "30s").steps[0].timeout_s == 30
    assert workflow_of("dialect: camel\n" + mixed % "3000").steps[0].timeout_s == 3
    config = "parallel: {enabled: true}\nsteps:\n- {id: a, depends_on: [], config: {command: x, timeout: 3000}}\n"
    assert workflow_of(config).steps[0].timeout_s == 3


def test_a_plan_runs_one_step_at_a_time_unless_it_says_more() -> None:
    assert workflow_of({"plan_id": "p", "steps": [RUN]}).max_concurrency == 1
    assert workflow_of({"plan_id": "p", "globals": {"max_concurrency": 3}, "steps": [RUN]}).max_concurrency == 3
    assert workflow_of({"steps": [{**RUN, "timeout_sec": 5}]}).max_concurrency is None


# --- for all steps ---------------------------------------------------------------------------------------------------

WORKFLOW_ALIASES = [
    ({"timeout": "5s"}, {"timeout_sec": 5}),
    ({"timeout": "5s"}, {"timeout_seconds": 5.0}),
    ({"timeout": "5s"}, {"timeoutMs": 5000}),
    ({"timeout": "5s"}, {"saga": {"enabled": False, "timeout": 5}}),
    ({"env": {"A": "1"}}, {"default_env": {"A": "1"}}),
    ({"env": {"A": "1"}, "dialect": "plan"}, {"globals": {"env": {"A": "1"}}, "dialect": "plan"}),
    ({"variables": {"a": [1]}}, {"vars": {"a": [1]}}),
    ({"variables": {"a": [1]}}, {"inputs": {"a": [1]}}),
    ({"variables": {"a": [1]}}, {"parameters": {"a": [1]}}),
    ({"parallel": False}, {"parallel": {"enabled": False}}),
    ({"parallel": False, "dialect": "snake"}, {"execution": {"parallel": False}}),
    *[
        ({"parallel": {"defaultMaxConcurrency": 3}, "dialect": "camel"}, {**other, "dialect": "camel"})
        for other in (
            {"execution": {"max_workers": 3}},
            {"globals": {"max_concurrency": 3}},
            {"max_workers": 3},
            {"max_concurrency": 3},
            {"max_parallel": 3},
            {"concurrency": {"max_parallel": 3}},
            {"limits": {"max_concurrency": 3}},
            {"execution_profile": {"concurrency": 3}},
        )
    ],
    ({"parallel": {"resources": {"cpu": 2}}}, {"resources": {"cpu": 2}}),
    ({"defaults": {"timeout": "7s"}, "dialect": "snake"}, {"execution": {"timeout_per_step": 7}}),
    ({"defaults": {"timeout": "7s"}}, {"default_timeout": 7}),
    ({"defaults": {"timeout": "7s"}, "dialect": "plan"}, {"globals": {"default_timeout_sec": 7}, "dialect": "plan"}),
    ({"defaults": {"retries": 2}, "dialect": "plan"}, {"globals": {"default_retries": 2}, "dialect": "plan"}),
    ({"defaults": {"retries": 2}}, {"retry": 2}),
    ({"defaults": {"workingDirectory": "d"}}, {"default_cwd": "d"}),
    ({"parallel": {"rateLimitDelay": 500}}, {"execution": {"rate_limit_delay": 0.5}, "dialect": "camel"}),
    ({"onFailure": "skip_dependents"}, {"on_failure": "skip_dependents"}),
    ({"onFailure": "skip_dependents"}, {"error_handling": {"strategy": "continue"}}),
    ({"onFailure": "abort"}, {"error_handling": {"strategy": "escalate"}}),
    ({"onFailure": "skip_dependents"}, {"error_handling": {"on_failure": {"action": "log_and_continue"}}}),
    ({"onFailure": "skip_dependents"}, {"config": {"stop_on_failure": False}}),
    ({"onFailure": "skip_dependents", "dialect": "snake"}, {"execution": {"fail_fast": False}}),
    ({"continueOnError": True}, {"continue_on_error": True}),
    ({"name": "n"}, {"title": "n"}),
    ({"name": "n"}, {"bundle_name": "n"}),
    ({"id": "n"}, {"workstream_id": "n"}),
    ({"id": "n"}, {"bundle_id": "n"}),
    ({"description": "n"}, {"objective": "n"}),
    ({"description": "n"}, {"purpose": "n"}),
    ({"circuit_breaker": {"max_attempts": 3}}, {"circuitBreaker": {"max_attempts": 3}, "dialect": "snake"}),
]


@pytest.mark.parametrize(("canonical", "alias"), WORKFLOW_ALIASES)
def test_an_alias_means_the_same_as_its_key(canonical: dict[str, object], alias: dict[str, object]) -> None:
    one, other = (
        workflow_of({**said, "steps": [RUN]})._replace(dialect=Dialect.CAMEL, place=PLACE)
        for said in (canonical, alias)
    )
    steps = [step._replace(place=PLACE, dollar=False) for workflow in (one, other) for step in workflow.steps]
    assert one._replace(steps=()) == other._replace(steps=())
    assert steps[0] == steps[1]


PLACE = workflow_of({"steps": [RUN]}).place


def test_defaults_reach_every_step() -> None:
    defaults = {
        "timeout": "9s", "retries": 2, "retryDelay": "3s", "workingDirectory": "d", "env": {"A": "d", "B": None},
        "isolateErrors": False, "shell": "bash",
    }  # fmt: skip
    workflow = workflow_of(
        {"defaults": defaults, "steps": [{"id": "a", "run": "x"}, {"id": "b", "run": "x", "env": {"A": "s"}}]}
    )
    first, second = workflow.steps
    assert (first.timeout_s, first.cwd, first.env) == (9, "d", {"A": "d", "B": None})
    assert first.retry == Retry(attempts=3, delay_s=3)
    assert first.argv == ("bash", "-eo", "pipefail", "-c")
    assert (first.isolate_errors, first.shielded) == (False, False)
    assert second.env == {"A": "s", "B": None}


def test_a_retry_of_the_workflow_is_what_steps_start_from() -> None:
    retry = {"attempts": 4, "strategy": "exponential", "initial_delay": 2, "max_delay": 30, "jitter": True}
    workflow = workflow_of({"retry": retry, "steps": [{"id": "a", "run": "x"}, {"id": "b", "run": "x", "retries": 0}]})
    assert workflow.steps[0].retry == Retry(4, 2.0, Backoff.EXPONENTIAL, 30.0, True)
    assert workflow.steps[1].retry.attempts == 1


def test_the_rest_of_a_workflow() -> None:
    workflow = workflow_of(
        "parallel: {scheduling: waves, defaultMaxConcurrency: auto, isolateErrors: false}\n"
        "onFailure: continue\nmetadata: {owner: me}\ntags: [x]\nsteps: [{id: a, run: x}]\n"
    )
    assert (workflow.scheduling, workflow.max_concurrency) == (Scheduling.WAVES, None)
    assert workflow.on_failure is FailurePolicy.CONTINUE
    assert workflow.metadata == {"tags": ["x"], "owner": "me"}
    assert workflow.steps[0].isolate_errors is False


def test_environments_keep_what_was_written() -> None:
    text = "env: {A: 1.10, B: true, C: no, D: '010', E: null, F: 22:22, G: 0x1F}\nsteps: [{id: a, run: x}]\n"
    assert workflow_of(text).env == {
        "A": "1.10", "B": "true", "C": "no", "D": "010", "E": None, "F": "22:22", "G": "0x1F",
    }  # fmt: skip


# --- expressions in typed fields -------------------------------------------------------------------------------------


def test_expressions_are_settled_at_once() -> None:
    text = (
        "execution: {parallel: \"${env.CI == 'true'}\", max_workers: '${env.MAX_WORKERS:-3}'}\n"
        "steps: [{id: a, run: x, timeout: '{{multiply(3, 2)}}', continueOnError: '{{variables.lax}}'}]\n"
        "variables: {lax: true}\ndialect: snake\n"
    )
    here = workflow_of(text)
    assert (here.parallel, here.max_concurrency, here.steps[0].timeout_s) == (False, 3, 6)
    assert here.steps[0].continue_on_error
    there = workflow_of(text, environ={"CI": "true", "MAX_WORKERS": "7"}, variables={"lax": False})
    assert (there.parallel, there.max_concurrency, there.steps[0].continue_on_error) == (True, 7, False)


def test_the_environment_of_the_file_counts_too() -> None:
    text = "env: {N: '4'}\nparallel: {defaultMaxConcurrency: '{{env.N}}'}\nsteps: [{id: a, run: x}]\n"
    assert workflow_of(text).max_concurrency == 4


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("{{steps.a.output}}", "known-too-late"),
        ("{{variables.nope}}", "unknown-variable"),
        ("{{env.NOPE}}", "unknown-variable"),
        ("{{multiply(3}}", "bad-expression"),
        ("{{divide(1, 0)}}", "bad-expression"),
        ("{{variables.word}}", "bad-duration"),
        ("{{variables.list}}", "wrong-type"),
        ("{{subtract(1, 2)}}", "out-of-range"),
    ],
)
def test_expressions_that_come_to_nothing(value: str, code: str) -> None:
    said = {"variables": {"word": "soon", "list": [1]}, "steps": [{**RUN, "timeout": value}]}
    assert codes(said) == [code]


def test_dollar_references_belong_to_the_shell_in_camel_files() -> None:
    found = built({"parallel": {"enabled": "${env.CI == 'true'}"}, "steps": [RUN]})[1]
    assert [(d.code, d.help) for d in found] == [("wrong-type", "in this dialect a reference is written `{{…}}`")]


def test_step_of_helper_sees_defaults() -> None:
    assert step_of({"run": "x"}, timeout="3s", defaults={"timeout": "2s"}).timeout_s == 2
