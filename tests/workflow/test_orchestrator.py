"""`BaseWorkflowOrchestrator` and `WorkflowStep`: what their table says, line by line."""

import dataclasses
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepwave.workflow import BaseWorkflowOrchestrator, WorkflowStep
from tests.conftest import children
from tests.workflow.gather import PATIENCE_S


def add(a: int = 0, b: int = 0, **_: Any) -> int:
    return a + b


def boom(**_: Any) -> None:
    raise RuntimeError("boom")


def noop() -> str:
    return "done"


Made = Callable[..., BaseWorkflowOrchestrator]


@pytest.fixture
def make(tmp_path: Path) -> Made:
    return lambda config=None: BaseWorkflowOrchestrator({} if config is None else config, tmp_path)


# --- a step by itself ------------------------------------------------------------------------------------------------


def test_a_step_is_a_dataclass_with_these_fields() -> None:
    assert dataclasses.is_dataclass(WorkflowStep)
    assert [one.name for one in dataclasses.fields(WorkflowStep)] == [
        *("name", "function", "config", "depends_on", "status", "result", "error", "start_time", "end_time"),
    ]
    step = WorkflowStep("s", noop)
    assert step == WorkflowStep("s", noop, {}, [], "pending", None, None, None, None)
    assert step.duration() == 0.0
    assert WorkflowStep("t", noop).depends_on is not step.depends_on


def test_execute_calls_the_function_with_its_config_and_more() -> None:
    step = WorkflowStep(name="calc", function=add, config={"a": 10, "b": 20})
    before = time.monotonic()
    assert step.execute() == 30
    assert (step.status, step.result, step.error) == ("completed", 30, None)
    assert step.start_time is not None
    assert step.end_time is not None
    assert before <= step.start_time <= step.end_time <= time.monotonic()
    assert step.duration() == step.end_time - step.start_time
    assert step.execute(b=100) == 110
    assert step.config == {"a": 10, "b": 20}


def test_execute_is_running_meanwhile_and_raises_again() -> None:
    seen = []

    def look() -> None:
        seen.append((step.status, step.duration()))
        raise RuntimeError("exploded")

    step = WorkflowStep("f", look)
    with pytest.raises(RuntimeError, match="exploded"):
        step.execute()
    assert seen == [("running", 0.0)]
    assert (step.status, step.error, step.result) == ("failed", "exploded", None)
    assert step.end_time is not None
    step.reset()
    assert step == WorkflowStep("f", look)


# --- the answer ------------------------------------------------------------------------------------------------------


def test_nothing_to_do(make: Made) -> None:
    for config in ({}, {"steps": None}, {"steps": {}}, {"steps": []}):
        answer = make(config).run_workflow()
        assert answer.pop("total_duration") >= 0.0
        assert answer == {"success": True, "results": {}, "errors": [], "execution_order": []}


def test_a_chain(make: Made) -> None:
    work = make()
    assert work.add_step("download", lambda: "fastq") is work
    work.add_step("qc", lambda download: f"clean:{download}", depends_on=["download"])
    work.add_step("quantify", lambda qc: len(qc) + 1, depends_on="qc")
    assert work.get_step_status() == dict.fromkeys(("download", "qc", "quantify"), "pending")
    answer = work.run_workflow()
    assert answer.pop("total_duration") > 0.0
    assert answer == {
        "success": True,
        "results": {"download": "fastq", "qc": "clean:fastq", "quantify": 12},
        "errors": [],
        "execution_order": ["download", "qc", "quantify"],
    }
    assert work.get_step_status() == dict.fromkeys(("download", "qc", "quantify"), "completed")
    step = work.steps["qc"]
    assert (step.result, step.error) == ("clean:fastq", None)
    assert step.start_time is not None
    assert step.end_time is not None
    assert step.start_time <= step.end_time


def test_the_order_is_that_of_insertion_where_nothing_else_decides(make: Made) -> None:
    work = make()
    work.add_step("d", noop, depends_on=["b", "c"]).add_step("c", noop, depends_on=["a"])
    work.add_step("z", noop).add_step("a", noop).add_step("b", noop, depends_on=["a"])
    assert work.run_workflow()["execution_order"] == ["z", "a", "c", "b", "d"]


def test_a_failure_skips_what_depends_on_it_and_nothing_else(make: Made) -> None:
    called: list[str] = []
    work = make()
    work.add_step("root", add, config={"a": 1, "b": 1})
    work.add_step("bad", boom, depends_on=["root"])
    work.add_step("good", noop, depends_on=["root"])
    work.add_step("child", lambda: called.append("child"), depends_on=["bad"])
    work.add_step("grandchild", lambda: called.append("grandchild"), depends_on=["child", "good"])
    answer = work.run_workflow()
    assert answer["success"] is False
    assert answer["results"] == {"root": 2, "good": "done"}
    assert answer["errors"] == [
        "Step 'bad' failed: boom",
        "Step 'child' skipped due to failed dependency: bad",
        "Step 'grandchild' skipped due to failed dependency: child",
    ]
    assert answer["execution_order"] == ["root", "bad", "good", "child", "grandchild"]
    assert work.get_step_status() == {
        "root": "completed", "bad": "failed", "good": "completed", "child": "skipped", "grandchild": "skipped",
    }  # fmt: skip
    assert work.steps["bad"].error == "boom"
    assert called == []


def test_stop_on_failure_starts_nothing_new(make: Made) -> None:
    work = make({"stop_on_failure": True, "max_workers": 1})
    work.add_step("bad", boom).add_step("other", noop)
    answer = work.run_workflow()
    assert answer["errors"] == ["Step 'bad' failed: boom", "Step 'other' skipped due to previous failure"]
    assert work.get_step_status() == {"bad": "failed", "other": "skipped"}
    work = make({"stop_on_failure": False, "max_workers": 1}).add_step("bad", boom).add_step("other", noop)
    assert work.run_workflow()["results"] == {"other": "done"}


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ({"solo": ["ghost"]}, "Step 'solo' depends on unknown step 'ghost'"),
        ({"load": [], "save": ["loda"]}, "Step 'save' depends on unknown step 'loda' (did you mean `load`?)"),
        ({"a": ["b"], "b": ["a"]}, "Cycle detected among steps: a -> b -> a"),
        ({"a": ["c"], "b": ["a"], "c": ["b"]}, "Cycle detected among steps: a -> c -> b -> a"),
        ({"a": ["a"]}, "Cycle detected among steps: a -> a"),
    ],
)
def test_a_graph_that_cannot_be_is_refused_and_nothing_runs(
    edges: dict[str, list[str]], words: str, make: Made
) -> None:
    called: list[str] = []
    work = make()
    for name, needs in edges.items():
        work.add_step(name, lambda: called.append("ran"), depends_on=needs)
    answer = work.run_workflow()
    assert answer["total_duration"] >= 0.0
    assert (answer["success"], answer["results"], answer["execution_order"]) == (False, {}, [])
    assert answer["errors"] == [words]
    assert called == []
    assert set(work.get_step_status().values()) == {"pending"}


def test_every_unknown_dependency_is_told(make: Made) -> None:
    answer = make().add_step("a", noop, depends_on=["x1", "y2"]).add_step("b", noop, depends_on="z3").run_workflow()
    assert [sentence.rpartition(" ")[2] for sentence in answer["errors"]] == ["'x1'", "'y2'", "'z3'"]


def test_a_second_run_is_as_the_first(make: Made) -> None:
    numbers = iter(range(10))
    work = make().add_step("counter", lambda: next(numbers)).add_step("b", boom, depends_on="counter")
    first, second = work.run_workflow(), work.run_workflow()
    assert (first["results"], second["results"]) == ({"counter": 0}, {"counter": 1})
    assert first["errors"] == second["errors"]


# --- what functions are given ----------------------------------------------------------------------------------------


def test_results_go_only_where_they_are_taken(make: Made) -> None:
    work = make()
    work.add_step("a", add, config={"a": 10, "b": 5}).add_step("b", lambda: "hello")
    work.add_step("all", lambda **kw: kw, depends_on=["a", "b"], config={"more": 1})
    work.add_step("one", lambda b, x: b + x, depends_on=["a", "b"], config={"x": "!"})
    work.add_step("none", noop, depends_on=["a", "b"])
    work.add_step("over", lambda b: b, depends_on=["b"], config={"b": "config"})
    answer = work.run_workflow()
    assert answer["errors"] == []
    assert answer["results"] == {
        "a": 15, "b": "hello", "all": {"a": 15, "b": "hello", "more": 1}, "one": "hello!", "none": "done",
        "over": "hello",
    }  # fmt: skip


def test_steps_run_side_by_side(make: Made) -> None:
    meet = threading.Barrier(3)
    work = make({"max_workers": 3})
    for name in "abc":
        work.add_step(name, lambda: meet.wait(PATIENCE_S) >= 0)
    assert work.run_workflow()["results"] == {"a": True, "b": True, "c": True}


def test_the_status_can_be_asked_for_meanwhile(make: Made) -> None:
    seen: list[dict[str, str]] = []
    work = make()
    work.add_step("a", noop).add_step("b", lambda: seen.append(work.get_step_status()), depends_on="a")
    work.add_step("c", noop, depends_on="b").run_workflow()
    assert seen == [{"a": "completed", "b": "running", "c": "pending"}]


def test_coroutines_are_awaited(make: Made) -> None:
    async def later() -> int:
        return 5

    assert make().add_step("a", later).run_workflow()["results"] == {"a": 5}


def test_any_name_will_do(make: Made) -> None:
    work = (
        make().add_step("step one: {{x}}/\n", lambda: 1).add_step("", lambda **kw: kw, depends_on="step one: {{x}}/\n")
    )
    assert work.run_workflow()["results"][""] == {"step one: {{x}}/\n": 1}


def test_a_wide_graph_and_a_long_one(make: Made) -> None:
    wide = make().add_step("root", add)
    for n in range(200):
        wide.add_step(f"child_{n}", add, config={"a": n, "b": 1}, depends_on=["root"])
    assert len(wide.run_workflow(record=False)["results"]) == 201
    long = make()
    for n in range(500):
        long.add_step(f"step_{n}", add, config={"a": n}, depends_on=[f"step_{n - 1}"] if n else [])
    assert long.run_workflow(record=False)["execution_order"] == [f"step_{n}" for n in range(500)]


def test_no_process_is_started(make: Made) -> None:
    before = children(os.getpid())  # another test's, which go on beside this one
    assert make().add_step("a", lambda: children(os.getpid()) - before).run_workflow()["results"]["a"] == set()


# --- steps of the config ---------------------------------------------------------------------------------------------


def test_steps_of_the_config_by_name(make: Made) -> None:
    config = {
        "steps": {
            "parse": {"function": "json:loads", "params": {"s": '{"key": "value"}'}},
            "again": {"function": "json:dumps", "config": {"obj": [1]}, "depends_on": []},
            "mine": {"function": "json:loads", "params": {"s": "1"}},
        }
    }
    work = make(config).add_step("mine", noop).add_step("after", lambda parse: parse["key"], depends_on=["parse"])
    answer = work.run_workflow()
    assert answer["results"] == {"mine": "done", "parse": {"key": "value"}, "again": "[1]", "after": "value"}
    assert list(config["steps"]["parse"]) == ["function", "params"]


def test_steps_of_the_config_as_a_list(make: Made) -> None:
    config = {
        "steps": [
            {"id": "a", "function": "json:loads", "params": {"s": "[1]"}},
            {"name": "b", "function": "builtins:dict", "depends_on": "a"},
        ]
    }
    answer = make(config).run_workflow()
    assert answer["errors"] == []
    assert answer["execution_order"] == ["a", "b"]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("all", "neither a mapping nor a list"),
        ({"a": "json:loads"}, "must be a mapping"),
        (["a"], "must be a mapping"),
        ([{"function": "json:loads"}], "its name a text"),
        ({"a": {}}, "step 'a' has no function"),
        ({"a": {"function": "json:loads", "dependson": []}}, "no key 'dependson' (did you mean `depends_on`?)"),
        ({"a": {"function": "json.loads"}}, "must be in 'module.path:function_name' format"),
        ({"a": {"function": "no_such_module_xyz:f"}}, "No module named 'no_such_module_xyz'"),
        ({"a": {"function": "json:no_such"}}, "has no attribute 'no_such'"),
    ],
)
def test_steps_that_cannot_be(steps: object, words: str, make: Made) -> None:
    answer = make({"steps": steps}).run_workflow()
    assert answer["success"] is False
    (sentence,) = answer["errors"]
    assert sentence.startswith("Failed to load steps from config: ")
    assert words in sentence


@pytest.mark.parametrize("width", [0, -1, 1.5, True, "auto"])
def test_a_width_that_cannot_be(width: object, make: Made) -> None:
    answer = make({"max_workers": width}).add_step("a", noop).run_workflow()
    assert answer["errors"] == [f"max_workers must be a whole number from 1, not {width!r}"]


# --- names of functions ----------------------------------------------------------------------------------------------


def test_functions_by_name(make: Made) -> None:
    find = BaseWorkflowOrchestrator._resolve_function
    assert find("json:loads")('{"a": 1}') == {"a": 1}
    assert find("os.path:basename")("/usr/bin/python") == "python"
    assert make().add_step("p", "json:loads", config={"s": "[1,2,3]"}).run_workflow()["results"] == {"p": [1, 2, 3]}
    for wrong in ("json.loads", "json:", ":loads", "json:loads()", ".json:loads", "a b:c", ""):
        with pytest.raises(ValueError, match=r"must be in 'module.path:function_name' format"):
            find(wrong)
    with pytest.raises(ImportError):
        find("nonexistent_module_xyz:func")
    with pytest.raises(AttributeError):
        find("json:nonexistent_function_xyz")
    with pytest.raises(AttributeError, match="cannot be called"):
        find("os:name")
    with pytest.raises(TypeError, match="cannot be called"):
        make().add_step("a", 3)  # type: ignore[arg-type]


# --- where it keeps things -------------------------------------------------------------------------------------------


def test_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert BaseWorkflowOrchestrator({}).working_dir == Path("output")
    assert BaseWorkflowOrchestrator(config={}, working_dir=tmp_path).working_dir == tmp_path
    monkeypatch.chdir(tmp_path)
    assert BaseWorkflowOrchestrator().add_step("where", os.getcwd).run_workflow()["results"] == {"where": str(tmp_path)}
    assert [path.name for path in (tmp_path / "output").iterdir()] == [".stepwave"]
    assert len(list((tmp_path / "output/.stepwave").glob("ledger.*"))) >= 1


def test_a_subclass_with_steps_of_its_own(tmp_path: Path) -> None:
    class Assembly(BaseWorkflowOrchestrator):
        def __init__(self, sample: str) -> None:
            super().__init__({"name": sample}, tmp_path)
            self.add_step("fetch", self.fetch).add_step("trim", self.trim, depends_on=["fetch"])

        def fetch(self) -> str:
            return str(self.config["name"])

        def trim(self, fetch: str) -> str:
            return fetch.strip()

    assert Assembly(" s1 ").run_workflow()["results"] == {"fetch": " s1 ", "trim": "s1"}
