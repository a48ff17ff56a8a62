"""Claims of files: who may touch the same ones at the same time, and who says so."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.building.scopes import MAX_TOLD
from stepwave.core.building.together import together
from stepwave.core.diagnostics import Diagnostic, Place
from stepwave.core.model import Branch, Rule, Stage, Step
from tests.core.build_texts import built

A, B = {"id": "a", "run": "x"}, {"id": "b", "run": "x"}


def found(said: object, **more: object) -> list[Diagnostic]:
    return built(said, **more)[1]  # type: ignore[arg-type]


def conflicts(*steps: Mapping[str, object], strict: bool = False, **around: object) -> list[str]:
    """The ends of the sentences about conflicts."""
    said = {"name": "x", **around, "steps": list(steps)}
    return [d.message for d in found(said, strict=strict) if d.code == "files-conflict"]


# --- which claims meet -----------------------------------------------------------------------------------------------


def test_a_conflict_names_both_the_path_and_the_place() -> None:
    text = """
steps:
- {id: one, run: x, files_scope: [docs/, src/]}
- {id: two, run: x, files_scope: [tests/, "src/*.py"]}
"""
    (told,) = found(text)
    assert (told.severity.value, told.code) == ("error", "files-conflict")
    assert told.place == Place("ci.yaml", 4, 43, 4, 53)
    assert told.message == (
        "steps `one` and `two` can run at the same time, and both claim `src/x.py` (`src/` and `src/*.py`)"
    )
    assert told.help == "let one depend on the other, or give both the same `conflict_group`"


@pytest.mark.parametrize(
    "key",
    [
        "files_scope", "filesScope", "files_create", "filesCreate", "files_modify", "filesModify", "file_scope.modify",
        "file_scope.create",
    ],
)  # fmt: skip
def test_every_key_claims(key: str) -> None:
    outer, _, inner = key.partition(".")
    claim = {outer: {inner: ["a.py"]}} if inner else {outer: ["a.py"]}
    assert conflicts({**A, "files_scope": "a.py"}, {**B, **claim}) == [
        "steps `a` and `b` can run at the same time, and both claim `a.py`"
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["src/a.py"], ["src/a.py"]),
        (["src/"], ["src/core/a.py"]),
        (["src/core/a.py"], ["src"]),
        (["src/**/*.py"], ["src/core/a.py"]),
        (["src/core/*.py"], ["src/"]),
        (["**/*.py"], ["src/core/a*"]),
        (["*.py", "docs/"], ["docs/x.md"]),
        (["a/b/c/*.py"], ["a/**"]),
        (["."], ["x"]),
    ],
)
def test_these_meet(one: list[str], other: list[str]) -> None:
    assert len(conflicts({**A, "files_scope": one}, {**B, "files_scope": other})) == 1
    assert len(conflicts({**A, "files_scope": other}, {**B, "files_scope": one})) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["src/a.py"], ["src/b.py"]),
        (["src/"], ["srcs/"]),
        (["src/*.py"], ["src/*.md", "docs/*.py"]),
        (["**/*.py"], ["README.md"]),
        ([], ["src/"]),
    ],
)
def test_these_do_not(one: list[str], other: list[str]) -> None:
    assert conflicts({**A, "files_scope": one}, {**B, "files_scope": other}) == []
    assert conflicts({**A, "files_scope": other}, {**B, "files_scope": one}) == []


def test_two_steps_are_told_of_once_and_one_step_never() -> None:
    same = ["a.py", "b.py", "src/", "src/x", "src/*"]
    assert len(conflicts({**A, "files_scope": same}, {**B, "files_scope": same})) == 1
    assert conflicts({**A, "files_scope": same, "files_create": same}) == []


def test_names_that_differ_in_case_are_a_warning() -> None:
    said = {"steps": [{**A, "files_scope": ["README.md"]}, {**B, "files_scope": ["readme.md"]}]}
    assert [(d.severity.value, d.code) for d in found(said)] == [("warning", "files-similar")]


# --- which steps can run at the same time ----------------------------------------------------------------------------

CLAIM = {"files_scope": ["src/"]}


@pytest.mark.parametrize(
    ("one", "other", "around"),
    [
        ({}, {"needs": ["a"]}, {}),
        ({"needs": ["b"]}, {}, {}),
        ({"conflict_group": "g"}, {"conflict_group": "g"}, {}),
        ({"resource": "r"}, {"resource": "r"}, {"resources": {"r": 1}}),
        ({"resource": {"r": 2}}, {"resource": {"r": 3}}, {"resources": {"r": 4}}),
        ({"parallel": False}, {}, {}),
        ({}, {"parallel_ok": False}, {}),
        ({}, {}, {"parallel": False}),
        ({}, {}, {"parallel": {"defaultMaxConcurrency": 1}}),
    ],
)
def test_those_that_cannot_meet_do_not_conflict(
    one: dict[str, object], other: dict[str, object], around: dict[str, object]
) -> None:
    assert conflicts({**A, **CLAIM, **one}, {**B, **CLAIM, **other}, **around) == []
    told = conflicts({**A, **CLAIM, **one}, {**B, **CLAIM, **other}, strict=True, **around)
    assert told == ["steps `a` and `b` both claim `src/x` (`src/` and `src/`)"]


@pytest.mark.parametrize(
    ("one", "other", "around"),
    [
        ({"resource": {"r": 2}}, {"resource": {"r": 2}}, {"resources": {"r": 4}}),
        ({"conflict_group": "g"}, {"conflict_group": "h"}, {}),
        ({}, {"needs": ["c"]}, {}),
    ],
)
def test_those_that_can_do(one: dict[str, object], other: dict[str, object], around: dict[str, object]) -> None:
    assert conflicts({**A, **CLAIM, **one}, {**B, **CLAIM, **other}, {"id": "c", "run": "x"}, **around)


def test_stages_and_branches_keep_steps_apart() -> None:
    last = {"finally": [{**B, **CLAIM}]}
    assert conflicts({**A, **CLAIM}, **last) == []
    branch = {"id": "c", "expression": "true", "onTrue": ["a"], "onFalse": ["b"]}
    assert conflicts(branch, {**A, **CLAIM}, {**B, **CLAIM}) == []
    both = {"id": "d", "expression": "true", "onTrue": ["a", "b"]}
    assert len(conflicts(branch, both, {**A, **CLAIM}, {**B, **CLAIM})) == 1


def test_the_steps_of_a_matrix_are_many() -> None:
    step = {"id": "a", "run": "x", "matrix": {"os": ["linux", "mac"]}}
    assert len(conflicts({**step, "files_scope": ["dist/"]})) == 1
    assert conflicts({**step, "files_scope": ["dist/{{matrix.os}}/"]}) == []
    assert conflicts({**step, "files_scope": ["dist/"], "maxConcurrency": 1}) == []


def test_items_that_are_not_known_yet_may_be_anything() -> None:
    fan = {"id": "f", "needs": ["a"], "forEach": "{{steps.a.output}}", "run": "x", "files_scope": ["out/{{item}}.txt"]}
    other = {**B, "files_scope": ["out/one.txt"]}
    assert len(conflicts(A, fan, other)) == 1
    assert conflicts(A, fan, {**B, "files_scope": ["out/one.md"]}) == []


# --- workstreams -----------------------------------------------------------------------------------------------------


def stream(id: str, *steps: Mapping[str, object], **more: object) -> dict[str, object]:
    return {"id": id, "steps": list(steps), **more}


def test_a_workflow_shares_what_it_claims_among_its_steps() -> None:
    assert conflicts(A, B, files_scope=["src/"]) == []
    assert conflicts({**A, "files_scope": ["src/a"]}, {**B, "files_scope": ["src/b"]}, files_scope=["src/"]) == []


def test_workstreams_conflict_unless_they_are_ordered() -> None:
    one, two = stream("one", A, B, files_scope=["src/"]), stream("two", A, files_scope=["src/a.py"])
    (told,) = found([one, two])
    assert told.message == (
        "workstreams `one` and `two` can run at the same time, and both claim `src/a.py` (`src/` and `src/a.py`)"
    )
    assert found([one, {**two, "depends_on": ["one"]}]) == []
    group = {"conflict_group": "g"}
    assert found([{**one, **group}, {**two, **group}]) == []
    assert found([one, {**two, "parallel_ok": False}]) == []


def test_what_a_step_claims_its_workstream_claims() -> None:
    one, two = stream("one", {**A, "files_scope": ["src/a.py"]}), stream("two", B, files_scope=["src/"])
    assert [d.code for d in found([one, two])] == ["files-conflict"]
    inside = stream("one", {**A, "files_scope": ["src/a.py"]}, B, files_scope=["src/"])
    assert found([inside, stream("two", A, files_scope=["docs/"])]) == []


def test_agents_are_workstreams_too() -> None:
    said = [{"id": name, "tool": "t", "tasks": ["x"], "files_scope": ["a.py"]} for name in ("one", "two")]
    assert [d.code for d in found(said) if d.severity.value == "error"] == ["files-conflict"]


# --- what one step says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["step", "workflow"])
def test_files_are_created_within_the_scope(place: str) -> None:
    claim = {"files_scope": ["src/", "docs/*.md"], "files_create": ["src/new.py", "docs/a.md", "docs/a.txt", "tests/"]}
    said = {"steps": [{**A, **claim}]} if place == "step" else {**claim, "steps": [A]}
    told = found(said)
    assert {(d.severity.value, d.code) for d in told} == {("warning", "files-outside-scope")}
    assert [d.message.split("`")[1] for d in told] == ["docs/a.txt", "tests/"]
    assert found({"steps": [{**A, "files_create": ["x"]}]}) == []


@pytest.mark.parametrize("place", ["step", "workflow", "around"])
def test_what_is_forbidden_is_not_claimed(place: str) -> None:
    scope: dict[str, object] = {"modify": ["src/"], "create": ["out/x"]}
    no: dict[str, object] = {"forbidden_paths": ["src/secret/*", "outer/"]}
    said = {
        "step": {"steps": [{**A, "file_scope": {**scope, **no}}]},
        "workflow": {"file_scope": {**scope, **no}, "steps": [A]},
        "around": {"file_scope": no, "steps": [{**A, "file_scope": scope}]},
    }[place]
    (told,) = found(said)
    assert (told.severity.value, told.code) == ("warning", "files-forbidden")
    assert "`src/secret/x` is in both" in told.message


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"a": 1}, "wrong-type"),
        ([1], "wrong-type"),
        (["x" * 1001], "bad-value"),
        (["{{nope}}/x"], "unknown-variable"),
        (["{{steps.b.output}}/x"], "known-too-late"),
        (["{{ 1 + }}"], "bad-expression"),
    ],
)
def test_what_is_wrong(value: object, code: str) -> None:
    assert code in [d.code for d in found({"steps": [{**A, "files_scope": value}, B]})]


def test_patterns_may_hold_variables() -> None:
    around = {"variables": {"dir": "src"}}
    assert conflicts({**A, "files_scope": ["{{dir}}/a"]}, {**B, "files_scope": ["src/a"]}, **around)
    assert not conflicts({**A, "files_scope": ["{{dir}}/a"]}, {**B, "files_scope": ["{{dir}}/b"]}, **around)


# --- many ------------------------------------------------------------------------------------------------------------


def test_thousands_of_steps_with_files_of_their_own() -> None:
    steps = [{"id": f"s{n}", "run": "x", "files_scope": [f"src/{n % 50}/f{n}.py", f"docs/{n}.md"]} for n in range(4000)]
    assert found({"steps": steps}) == []
    steps[3999]["files_scope"] = ["docs/17.md"]
    assert [d.code for d in found({"steps": steps})] == ["files-conflict"]


def test_thousands_of_steps_in_a_row_share_one_folder() -> None:
    chain = [
        {
            "id": f"s{n}",
            "run": "x",
            "files_scope": ["out/", f"out/{n}", "out/**/*.o"],
            "needs": [f"s{n - 1}"] if n else [],
        }
        for n in range(2000)
    ]
    assert found({"steps": chain}) == []


def test_not_more_than_a_hundred_are_told() -> None:
    steps = [{"id": f"s{n}", "run": "x", "files_scope": ["out/"]} for n in range(1000)]
    assert len(conflicts(*steps)) == MAX_TOLD


def test_too_many_patterns_are_given_up_and_that_is_told() -> None:
    steps = [{"id": f"s{n}", "run": "x", "files_scope": [f"*{n:04d}x"]} for n in range(400)]
    assert {d.code for d in found({"steps": steps})} == {"files-unchecked"}


# --- against a plain count -------------------------------------------------------------------------------------------

HERE = Place("x")
texts = st.sampled_from(["a", "b", "a/b", "a/", "a/*", "*", "*/b", "b/*", "a/b/c", "**", "a/**", "B", "a/[bc]"])
plain_steps = st.lists(
    st.tuples(st.lists(texts, max_size=2), st.sets(st.integers(0, 4), max_size=2), st.sampled_from(["", "g"])),
    max_size=5,
)


def upstream(needs: list[set[int]], n: int) -> set[int]:
    todo, seen = list(needs[n]), set[int]()
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo += needs[at]
    return seen


@settings(max_examples=150)
@given(plain_steps)
def test_conflicts_are_those_of_every_pair_alone(drawn: list[tuple[list[str], set[int], str]]) -> None:
    """A file says of two steps what a file with only these two would say, if nothing orders or groups them."""
    needs = [{m for m in wanted if m < n} for n, (_, wanted, _) in enumerate(drawn)]
    steps = [
        {"id": f"s{n}", "run": "x", "files_scope": claims, "needs": [f"s{m}" for m in sorted(needs[n])]}
        | ({"conflict_group": group} if group else {})
        for n, (claims, _, group) in enumerate(drawn)
    ]
    pairs = {
        (n, m)
        for m in range(len(steps))
        for n in range(m)
        if n not in upstream(needs, m)
        and not (drawn[n][2] and drawn[m][2])
        and conflicts({**A, "files_scope": drawn[n][0]}, {**B, "files_scope": drawn[m][0]})
    }
    told = {tuple(sorted(int(word[1:]) for word in message.split("`")[1:4:2])) for message in conflicts(*steps)}
    assert told == pairs


def test_who_can_run_beside_whom() -> None:
    steps = {
        "a": Step("a", HERE),
        "b": Step("b", HERE, needs=("a",)),
        "c": Step("c", HERE, resources=(("r", 2),)),
        "d": Step("d", HERE, resources=(("r", 3),)),
        "e": Step("e", HERE, exclusive=True),
        "f": Step("f", HERE, stage=Stage.FINALLY),
        "g": Step("g", HERE, branch=Branch(Rule("expression", "true"), ("h",), ("i",))),
        "h": Step("h", HERE, needs=("g",)),
        "i": Step("i", HERE, needs=("g",)),
    }
    ids = list(steps)
    beside = together(steps, {"r": 4}, ids)
    assert beside is not None
    names = {
        id: "".join(other for n, other in enumerate(ids) if mask >> n & 1) for id, mask in zip(ids, beside, strict=True)
    }
    assert names == {
        "a": "cdghi", "b": "cdghi", "c": "abghi", "d": "abghi", "e": "", "f": "", "g": "abcd", "h": "abcd", "i": "abcd",
    }  # fmt: skip
    assert together(steps, {"r": 5}, ["c", "d"]) == [2, 1]
    assert together(steps, {"r": 4}, ["d", "b"]) == [2, 1]
