"""`include`, and folders of workstreams: several documents, one workflow. Files are values here."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.building.build import Inputs, build, build_folder
from stepwave.core.diagnostics import Diagnostic, has_errors
from stepwave.core.model import Stage, Workflow
from stepwave.core.reading.document import Document
from stepwave.core.reading.sources import are_workstreams, asked, joined, not_included
from tests.core.build_texts import Said, parsed

Files = Mapping[str, Said | None]

ONE = "steps: [{id: one, run: echo one}]\n"


def together(root: Said, files: Files, **more: Any) -> tuple[Workflow | None, list[Diagnostic]]:
    """`files` by path from the folder of the root; None for one that cannot be read."""
    documents: dict[str, Document | str | None] = {
        path: f"`{path}` does not exist" if text is None else parsed(text, path) for path, text in files.items()
    }
    inputs = Inputs(environ=more.pop("environ", {}), folder="/w", documents=documents, **more)
    workflow, found = build(parsed(root, "root.yaml"), inputs)
    assert (workflow is None) == has_errors(found), found
    return workflow, found


def whole(root: Said, files: Files, **more: Any) -> Workflow:
    workflow, found = together(root, files, **more)
    assert workflow is not None, found
    assert not found
    return workflow


def told(root: Said, files: Files, **more: Any) -> list[tuple[str, str, str, int, int]]:
    found = together(root, files, **more)[1]
    return [(d.severity.value, d.code, d.place.path, d.place.line, d.place.column) for d in found]


# --- include ---------------------------------------------------------------------------------------------------------


def test_the_steps_of_a_file_get_its_name() -> None:
    root = "include: [lib/tools.yaml]\nsteps: [{id: a, run: x, needs: tools.one}]\n"
    workflow = whole(root, {"lib/tools.yaml": ONE})
    assert [(s.id, s.needs, s.base, s.scope, s.place.path) for s in workflow.steps] == [
        ("tools.one", (), "lib", "tools.", "lib/tools.yaml"),
        ("a", ("tools.one",), "", "", "root.yaml"),
    ]


@pytest.mark.parametrize(
    "include", ["x.yaml", ["x.yaml"], {"file": "x.yaml"}, [{"file": "x.yaml", "as": "x"}], ["./y/../x.yaml"]]
)
def test_the_ways_to_write_it(include: object) -> None:
    assert [s.id for s in whole({"include": include}, {"x.yaml": ONE}).steps] == ["x.one"]


def test_a_file_may_be_included_twice_under_two_names() -> None:
    root = "include: [{file: x.yaml, as: p}, {file: x.yaml, as: q}]\n"
    assert [s.id for s in whole(root, {"x.yaml": ONE}).steps] == ["p.one", "q.one"]


def test_ids_inside_a_file_are_its_own_first() -> None:
    inner = (
        "steps:\n- {id: a, run: x}\n- {id: b, run: 'echo {{steps.a.output}} {{a.output}}', needs: [a, root-only]}\n"
        "- {id: c, expression: 'steps.a.success', onTrue: [b], needs: a}\n"
    )
    root = "include: x.yaml\nsteps: [{id: a, run: x}, {id: root-only, run: x}]\n"
    workflow = whole(root, {"x.yaml": inner})
    needs = {s.id: s.needs for s in workflow.steps}
    assert needs["x.b"] == ("x.a", "root-only", "x.c")
    branches = [s.branch for s in workflow.steps if s.branch]
    assert [b.on_true for b in branches] == [("x.b",)]


def test_to_need_a_file_is_to_need_its_last_steps() -> None:
    inner = "steps: [{id: a, run: x}, {id: b, run: x, needs: a}, {id: c, run: x}]\n"
    root = "include: x.yaml\nsteps: [{id: z, run: 'echo {{steps.x.a.output}}', needs: [x]}]\n"
    assert whole(root, {"x.yaml": inner}).steps[-1].needs == ("x.b", "x.c")


def test_files_in_files() -> None:
    files = {
        "lib/x.yaml": "include: [y.yaml]\nsteps: [{id: a, run: x, needs: y}]\n",
        "lib/y.yaml": "steps: [{id: b, run: x}, {id: c, run: 'echo {{steps.b.output}}', needs: b}]\n",
    }
    root = "include: lib/x.yaml\nsteps: [{id: z, run: x, needs: x}, {id: y, run: x, needs: x.y.c}]\n"
    assert {s.id: (s.needs, s.base) for s in whole(root, files).steps} == {
        "x.y.b": ((), "lib"),
        "x.y.c": (("x.y.b",), "lib"),
        "x.a": (("x.y.c",), "lib"),
        "z": (("x.a",), ""),
        "y": (("x.y.c",), ""),
    }


def test_env_and_defaults_are_for_its_own_steps() -> None:
    inner = "env: {A: inner}\ndefaults: {timeout: 5s, env: {B: d}}\n" + ONE
    root = "env: {A: root}\ndefaults: {timeout: 9s}\ninclude: x.yaml\nsteps: [{id: a, run: x}]\n"
    workflow = whole(root, {"x.yaml": inner})
    assert [(dict(s.env), s.timeout_s) for s in workflow.steps] == [({"A": "inner", "B": "d"}, 5.0), ({}, 9.0)]
    assert workflow.env == {"A": "root"}


def test_a_file_has_a_dialect_of_its_own() -> None:
    inner = "steps: [{id: one, run: 'echo ${variables.v}', timeout: 90, depends_on: []}]\n"
    root = "variables: {v: 1}\ninclude: x.yaml\nsteps: [{id: a, run: x, timeout: 90000, dependsOn: []}]\n"
    assert [(s.timeout_s, s.dollar) for s in whole(root, {"x.yaml": inner}).steps] == [(90.0, True), (90.0, False)]


def test_variables_are_common_and_the_including_file_wins() -> None:
    files = {"x.yaml": "variables: {v: x, w: x, u: x}\n" + ONE, "y.yaml": "variables: {v: y, z: y}\n" + ONE}
    root = "variables: {v: root}\ninclude: [x.yaml, y.yaml]\n"
    assert whole(root, files, variables={"u": "given"}).variables == {"v": "root", "w": "x", "u": "given", "z": "y"}
    assert told("include: [x.yaml, y.yaml]\n", files) == [("error", "conflicting-include", "y.yaml", 1, 16)]
    assert whole("include: [x.yaml, y.yaml]\n", files, variables={"v": 1}).variables["v"] == 1


def test_pools_are_common() -> None:
    inner = "resources: {cpu: 2, disk: 1}\nsteps: [{id: one, run: x, resource: [cpu, net]}]\n"
    root = "resources: {cpu: 2, net: 1}\ninclude: x.yaml\nsteps: [{id: a, run: x, resource: disk}]\n"
    assert whole(root, {"x.yaml": inner}).pools == {"cpu": 2, "net": 1, "disk": 1}
    assert told(root, {"x.yaml": inner.replace("cpu: 2", "cpu: 3")}) == [
        ("error", "conflicting-include", "x.yaml", 1, 1)
    ]


def test_final_steps_phases_and_groups_of_a_file_count() -> None:
    inner = (
        "phases:\n- {id: p, steps: [{id: a, run: x}]}\n- {id: q, steps: [{id: b, run: x}]}\n"
        "step_groups: [{id: g, steps: [a, b], max_workers: 1}]\nfinally: [{id: z, run: x}]\n"
    )
    workflow = whole("include: x.yaml\n", {"x.yaml": inner})
    assert [(s.id, s.needs, s.stage, s.resources) for s in workflow.steps] == [
        ("x.a", (), Stage.MAIN, (("group:x.g", 1),)),
        ("x.b", ("x.a",), Stage.MAIN, (("group:x.g", 1),)),
        ("x.z", (), Stage.FINALLY, ()),
    ]


def test_a_file_may_be_agent_work() -> None:
    workflow, _ = together("include: x.yaml\n", {"x.yaml": "tool: t\ntasks: [do it]\n"})
    assert workflow is not None
    assert [s.id for s in workflow.steps] == ["x.main"]


def test_matrices_work_across_files() -> None:
    inner = "steps: [{id: m, run: x, matrix: {n: [1, 2]}}, {id: r, run: 'echo {{steps.m.output}}', needs: m}]\n"
    workflow = whole("include: x.yaml\nsteps: [{id: a, run: x, needs: x.m}]\n", {"x.yaml": inner})
    assert {s.id: s.needs for s in workflow.steps if s.needs} == {
        "x.r": ("x.m[n=1]", "x.m[n=2]"),
        "a": ("x.m[n=1]", "x.m[n=2]"),
    }


@pytest.mark.parametrize(
    ("root", "files", "expected"),
    [
        ("include: [x.yaml]\n", {"x.yaml": None}, [("error", "cannot-include", "root.yaml", 1, 11)]),
        ("include: root.yaml\n", {}, [("error", "include-cycle", "root.yaml", 1, 10)]),
        (
            "include: x.yaml\n",
            {"x.yaml": "include: y.yaml\n", "y.yaml": "include: x.yaml\n"},
            [("error", "include-cycle", "y.yaml", 1, 10)],
        ),
        ("include: ../w/root.yaml\n", {}, [("error", "include-cycle", "root.yaml", 1, 10)]),
        ("include: '{{x}}.yaml'\n", {}, [("error", "bad-value", "root.yaml", 1, 10)]),
        ("include: [5]\n", {}, [("error", "wrong-type", "root.yaml", 1, 11)]),
        ("include: [{as: x}]\n", {}, [("error", "missing-key", "root.yaml", 1, 12)]),
        ("include: [{file: x.yaml, of: y}]\n", {"x.yaml": ONE}, [("warning", "unknown-key", "root.yaml", 1, 26)]),
        ("include: [{file: x.yaml, as: 'a b'}]\n", {"x.yaml": ONE}, [("error", "bad-id", "root.yaml", 1, 18)]),
        ("include: [x.yaml, y/x.yaml]\n", {"x.yaml": ONE}, [("error", "duplicate-id", "root.yaml", 1, 19)]),
        (
            "include: x.yaml\nsteps: [{id: x, run: x}]\n",
            {"x.yaml": ONE},
            [("error", "duplicate-id", "root.yaml", 2, 14)],
        ),
        (
            "include: x.yaml\nsteps: [{id: x.one, run: x}]\n",
            {"x.yaml": ONE},
            [("error", "duplicate-id", "root.yaml", 2, 14)],
        ),
        ("include: x.yaml\n", {"x.yaml": "name: x\n"}, [("error", "no-steps", "x.yaml", 1, 1)]),
        (
            "include: x.yaml\n",
            {"x.yaml": [{"id": "w", "files_scope": [], "steps": [{"id": "a", "run": "x"}]}]},
            [("error", "cannot-include", "root.yaml", 1, 10)],
        ),
        (
            "include: x.yaml\n",
            {"x.yaml": "timeout: 5s\nparallel: {defaultMaxConcurrency: 2}\n" + ONE},
            [("warning", "ignored-key", "x.yaml", 1, 1), ("warning", "ignored-key", "x.yaml", 2, 12)],
        ),
        (
            "include: x.yaml\n",
            {"x.yaml": "steps: [{id: a, run: x, needs: b}]\n"},
            [("error", "unknown-step", "x.yaml", 1, 32)],
        ),
        (
            "include: x.yaml\nsteps: [{id: a, run: x, needs: x.two}]\n",
            {"x.yaml": ONE},
            [("error", "unknown-step", "root.yaml", 2, 32)],
        ),
        (
            "include: x.yaml\n",
            {"x.yaml": "depends_on: [other]\n" + ONE},
            [("info", "outside-need", "x.yaml", 1, 14)],
        ),
        (
            "include: x.yaml\nsteps: [{id: a, run: 'echo {{variables.nope}} {{steps.x.nope.output}}'}]\n",
            {"x.yaml": ONE},
            [("error", "unknown-step", "root.yaml", 2, 55), ("warning", "unknown-variable", "root.yaml", 2, 40)],
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(root: str, files: Files, expected: list[Any]) -> None:
    assert sorted(told(root, files)) == expected


def test_a_circle_is_shown() -> None:
    files = {"x.yaml": "include: y.yaml\n", "y.yaml": "include: x.yaml\n"}
    (one,) = together("include: x.yaml\n", files)[1]
    assert one.message == "`x.yaml` includes itself: x.yaml -> y.yaml -> x.yaml"


def test_a_file_that_could_not_be_parsed_is_not_told_again() -> None:
    inputs = Inputs(folder="/w", documents={"x.yaml": None})
    assert build(parsed("include: x.yaml\n" + ONE, "root.yaml"), inputs)[1] == []


def test_too_deep_and_too_many() -> None:
    deep: dict[str, Said | None] = {f"f{n}.yaml": f"include: f{n + 1}.yaml\n" + ONE for n in range(30)}
    assert [t[1:3] for t in told("include: f0.yaml\n", deep)] == [("too-many-files", "f19.yaml")]
    twice: dict[str, Said | None] = {
        f"f{n}.yaml": f"include: [{{file: f{n + 1}.yaml, as: a}}, {{file: f{n + 1}.yaml, as: b}}]\n" for n in range(15)
    }
    twice["f15.yaml"] = ONE
    assert {t[1] for t in told("include: f0.yaml\n", twice)} == {"too-many-files"}


# --- folders ---------------------------------------------------------------------------------------------------------


def in_folder(files: Mapping[str, Said], **more: Any) -> tuple[Workflow | None, list[Diagnostic]]:
    documents = [parsed(text, f"ws/{name}") for name, text in files.items()]
    return build_folder("ws", documents, Inputs(folder="/w", **more))


def test_every_file_of_a_folder_is_a_workstream() -> None:
    files = {"a.yaml": "id: a\n" + ONE, "b.yaml": "depends_on: [a]\nsteps: {two: {run: x, timeout_sec: 4}}\n"}
    workflow, found = in_folder(files)
    assert workflow is not None
    assert found == []
    assert [(s.id, s.needs, s.dollar, s.timeout_s) for s in workflow.steps] == [
        ("a.one", (), False, None),
        ("b.two", ("a.one",), True, 4.0),
    ]
    assert (workflow.id, workflow.folder) == ("w", "/w")


def test_a_list_in_a_folder_is_as_many_workstreams() -> None:
    stream = {"id": "v", "files_scope": [], "depends_on": ["a"], "steps": [{"id": "s", "type": "noop"}]}
    workflow, _ = in_folder({"a.yaml": ONE, "v.json": [stream]})
    assert workflow is not None
    assert {s.id: s.needs for s in workflow.steps} == {"a.one": (), "v.s": ("a.one",)}


def test_one_of_a_folder() -> None:
    files = {"a.yaml": ONE, "b.yaml": "depends_on: [a]\n" + ONE}
    workflow, found = in_folder(files, name="b")
    assert workflow is not None
    assert [s.id for s in workflow.steps] == ["b.one"]
    assert [d.code for d in found] == ["outside-need"]
    assert [d.code for d in in_folder(files, name="c")[1]] == ["which-workflow"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"a.yaml": "id: w\n" + ONE, "b.yaml": "id: w\n" + ONE},
            [("error", "duplicate-id", "ws/b.yaml", "Duplicate bundle id 'w' in ws/a.yaml and ws/b.yaml")],
        ),
        (
            {"a.yaml": ONE, "b.yaml": "depends_on: [aa]\n" + ONE},
            [("error", "unknown-step", "ws/b.yaml", 'Workstream "b" depends on non-existent workstream: aa')],
        ),
        (
            {"a.yaml": "depends_on: [b]\n" + ONE, "b.yaml": "depends_on: [a]\n" + ONE},
            [("error", "cycle", "ws/b.yaml", "Circular dependency detected among steps: a.one, b.one")],
        ),
        (
            {"a.yaml": ONE, "b.yaml": "timeout: 5s\n" + ONE},
            [("warning", "ignored-key", "ws/b.yaml", "`timeout` of one workstream has no effect among several")],
        ),
        (
            {"a.yaml": ONE, "b.yaml": "steps: [{id: b, run: x, needs: one}]\n"},
            [("error", "unknown-step", "ws/b.yaml", 'Step "b.b" depends on non-existent step: one')],
        ),
    ],
)
def test_what_is_wrong_between_workstreams(files: Mapping[str, Said], expected: list[Any]) -> None:
    _, found = in_folder(files)
    assert [(d.severity.value, d.code, d.place.path, d.message) for d in found] == expected


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "path", "expected"),
    [
        ("", "x.yaml", "x.yaml"),
        ("lib", "./x.yaml", "lib/x.yaml"),
        ("lib", "../x.yaml", "x.yaml"),
        ("lib", "../../x.yaml", "../x.yaml"),
        ("", "../flows/x.yaml", "x.yaml"),
        ("", "/home/flows/a/x.yaml", "a/x.yaml"),
        ("lib", "/etc/x.yaml", "/etc/x.yaml"),
        ("/etc", "x.yaml", "/etc/x.yaml"),
        ("/etc", "../../x.yaml", "/x.yaml"),
    ],
)
def test_one_file_has_one_path(base: str, path: str, expected: str) -> None:
    assert joined(base, path, "/home/flows") == expected


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["a", "b", "..", ".", ""]), max_size=6), st.sampled_from(["", "a", "a/b", "/c"]))
def test_a_path_is_settled_once_and_for_all(parts: list[str], base: str) -> None:
    path = joined(base, "/".join(parts), "/home/flows")
    assert joined("", path, "/home/flows") == path


def test_what_a_document_asks_for() -> None:
    text = (
        "include: [x.yaml, {file: y.yaml}, '{{z}}', 5]\ndotenv: [.env, .local?]\n"
        "steps: [{id: a, run: x, dotenv: a.env}]\nfinally: [{id: b, run: x, dotenv: [b.env, .env]}]\n"
    )
    found = asked(parsed(text, "root.yaml"), "lib", "/w")
    assert [(one.path, one.is_workflow) for one in found] == [
        ("lib/x.yaml", True),
        ("lib/y.yaml", True),
        ("lib/.env", False),
        ("lib/.local", False),
        ("lib/a.env", False),
        ("lib/b.env", False),
    ]
    assert asked(parsed(ONE), "", "/w") == []


def test_which_files_of_a_folder_belong_together() -> None:
    a, b = parsed("id: a\n" + ONE, "ws/a.yaml"), parsed("depends_on: a\n" + ONE, "ws/b.yaml")
    assert are_workstreams([a, b])
    assert are_workstreams([a, a])
    assert not are_workstreams([b, parsed(ONE, "ws/c.yaml")])
    uses = parsed("include: a.yaml\n", "ws/uses.yaml")
    assert not_included([a, b, uses], "/w") == [b, uses]
    assert not_included([parsed("include: a.yaml\n", "ws/a.yaml")], "/w") != []


def test_what_is_missing_with_a_file_is_not_missed_again() -> None:
    root = """
        include: [{file: gone.yaml, as: n}]
        stepGroups: [{id: g, steps: [n.x]}]
        steps:
          - {id: a, run: 'echo {{steps.n.x.output}} {{n.y.output}}', needs: [n, n.x]}
          - {id: c, expression: 'true', onTrue: [n.x], onFalse: [m.x]}
        """
    assert [t[1] for t in told(root, {"gone.yaml": None})] == ["cannot-include", "unknown-branch-target"]


def test_too_many_files_are_told_once() -> None:
    files = {
        f"f{n}.yaml": f"include: [{{file: f{n + 1}.yaml, as: a}}, {{file: f{n + 1}.yaml, as: b}}]\n" for n in range(25)
    }
    assert [t[1] for t in told("include: f0.yaml\n", {**files, "f25.yaml": ONE})] == ["too-many-files"]


def test_nothing_is_fetched() -> None:
    found = together("include: [https://example.org/a.yaml]\n" + ONE, {})[1]
    assert [(d.code, d.message) for d in found] == [
        ("cannot-include", "`https://example.org/a.yaml` is an address, and nothing is fetched from a network")
    ]


@pytest.mark.parametrize("kind", ["steps", "phases", "finally"])
def test_steps_are_counted_wherever_they_stand(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepwave.core.building.include.MAX_STEPS", 100)
    steps = "[" + ", ".join(f"{{id: s{n}, type: noop}}" for n in range(20)) + "]"
    inner = {
        "steps": f"steps: {steps}\n",
        "phases": f"phases: [{{id: p, steps: {steps}}}]\n",
        "finally": f"{ONE}finally: {steps}\n",
    }[kind]
    root = "include: [" + ", ".join(f"{{file: f.yaml, as: a{n}}}" for n in range(9)) + "]\n"
    assert [t[1] for t in told(root, {"f.yaml": inner})] == ["too-many-files"]
