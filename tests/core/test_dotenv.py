"""Values of environment files: text and nothing else, laid over each other in a known order."""

from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepwave.core.building.build import Inputs, build
from stepwave.core.building.dotenv import literal
from stepwave.core.diagnostics import Diagnostic
from stepwave.core.language.interpolate import fill, text_references
from stepwave.core.language.scope import Values
from stepwave.core.model import Workflow
from stepwave.core.reading.env_file import EnvFile, EnvFiles
from tests.core.build_texts import Said, parsed


def read(
    said: Said, files: EnvFiles, environ: Mapping[str, str] | None = None
) -> tuple[Workflow | None, list[Diagnostic]]:
    return build(parsed(said), Inputs(files=files, environ=environ or {}, folder="/w"))


def env_of(said: Said, files: EnvFiles) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """The environment of the workflow, and that of its first step."""
    workflow, found = read(said, files)
    assert workflow is not None, found
    return dict(workflow.env), dict(workflow.steps[0].env)


@given(st.text("{}$\\ax.:-' \n", max_size=12), st.booleans())
@example("{{{x}}}", False)
@example("$${X} ${env.X:-{{x}}}", True)
@example("\\{{", True)
def test_a_value_comes_out_as_it_went_in(value: str, dollar: bool) -> None:
    escaped = literal(value, dollar=dollar)
    assert text_references(escaped, dollar, ("x",)) == frozenset()
    assert fill(escaped, Values(variables={"x": "wrong"}, env={"X": "wrong"}), dollar=dollar) == value


FILES = {
    "one.env": EnvFile({"A": "1", "B": "1", "C": "1", "D": "1", "E": "1", "F": "1"}),
    "two.env": EnvFile({"B": "2"}),
    "step.env": EnvFile({"E": "5", "F": "5"}),
}


def test_each_layer_lies_over_the_one_before() -> None:
    said = {
        "dotenv": ["one.env", "two.env"],
        "env": {"C": "3", "D": "3", "E": "3", "F": "3"},
        "defaults": {"env": {"D": "4", "E": "4", "F": "4"}},
        "steps": [{"id": "a", "run": "x", "dotenv": "step.env", "env": {"F": "6"}}],
    }
    whole, step = env_of(said, FILES)
    assert whole == {"A": "1", "B": "2", "C": "3", "D": "3", "E": "3", "F": "3"}
    assert step == {"D": "4", "E": "5", "F": "6"}


def test_a_profile_lies_between_defaults_and_files() -> None:
    said = {
        "agents": {"me": {"command": "x", "env": {"D": "p", "E": "p", "P": "p"}}},
        "defaults": {"env": {"D": "4", "E": "4"}},
        "steps": [{"id": "a", "agent": "me", "prompt": "do", "dotenv": "step.env"}],
    }
    assert env_of(said, FILES)[1] == {"D": "p", "E": "5", "F": "5", "P": "p"}


def test_values_are_no_references() -> None:
    files = {".env": EnvFile({"A": "{{steps.b.output}} ${env.HOME} ${HOME}"})}
    for dialect, escaped in (
        ("camel", r"\{{steps.b.output}} ${env.HOME} ${HOME}"),
        ("snake", r"\{{steps.b.output}} $${env.HOME} $${HOME}"),
    ):
        said = {"dialect": dialect, "dotenv": ".env", "steps": [{"id": "a", "run": "x", "dotenv": ".env"}]}
        workflow, found = read(said, files)
        assert workflow is not None, found
        assert found == []
        assert (workflow.env, workflow.steps[0].env) == ({"A": escaped}, {"A": escaped})


def test_references_before_the_run_see_them() -> None:
    files = {".env": EnvFile({"WIDTH": "3", "BOTH": "4"})}
    said = {
        "dotenv": [".env"],
        "env": {"BOTH": "5"},
        "parallel": {"defaultMaxConcurrency": "{{env.WIDTH}}"},
        "steps": [{"id": "a", "run": "x", "retries": "{{env.BOTH}}"}],
    }
    workflow, found = read(said, files, {"WIDTH": "9"})
    assert workflow is not None, found
    assert (workflow.max_concurrency, workflow.steps[0].retry.attempts) == (3, 6)


def test_workstreams_have_files_of_their_own() -> None:
    files = {"one.env": EnvFile({"A": "1"}), "two.env": EnvFile({"A": "2"})}
    streams = [
        {"id": name, "dotenv": f"{name}.env", "steps": [{"id": "a", "run": "x"}], "env": {"B": name}}
        for name in ("one", "two")
    ]
    workflow, found = read(streams, files)
    assert workflow is not None, found
    assert {step.id: dict(step.env) for step in workflow.steps} == {
        "one.a": {"A": "1", "B": "one"},
        "two.a": {"A": "2", "B": "two"},
    }


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        ("dotenv: gone.env", "cannot-read", 9),
        ("dotenv: [one.env, gone.env]", "cannot-read", 19),
        ("dotenv: broken.env", "cannot-read", 9),
        ("dotenv: [broken.env?]", "cannot-read", 10),
        ("dotenv: ['']", "cannot-read", 10),
        ("dotenv: '{{x}}.env'", "cannot-read", 9),
        ("dotenv: {a: b}", "wrong-type", 9),
        ("dotenv: [1]", "wrong-type", 10),
    ],
)
def test_what_cannot_be_read_is_told_where_it_is_asked_for(line: str, code: str, column: int) -> None:
    files = {**FILES, "gone.env": None, "broken.env": "`broken.env` is a folder, not a file"}
    found = read(f"{line}\nsteps: [{{id: a, run: x}}]\n", files)[1]
    assert [(d.severity.value, d.code, d.place.line, d.place.column) for d in found] == [("error", code, 1, column)]


def test_one_that_may_be_missing_may_be() -> None:
    assert env_of({"dotenv": ["gone.env?"], "steps": [{"id": "a", "run": "x", "dotenv": "gone.env?"}]}, {}) == ({}, {})


def test_lines_that_cannot_be_read_are_told_with_their_place() -> None:
    files = {".env": EnvFile({"A": "1"}, ((3, "the line has no `=`"),), "flows/.env")}
    workflow, found = read({"dotenv": ".env", "steps": [{"id": "a", "run": "x"}]}, files)
    assert workflow is None
    assert [(d.code, d.place.path, d.place.line, d.message) for d in found] == [
        ("bad-dotenv", "flows/.env", 3, "the line has no `=`")
    ]
