"""Workflows put together in Python: functions and commands in one graph."""

import asyncio
import contextvars
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stepwave import api
from stepwave.core.events import Outcome, Status, StepFinished, StepRetrying, StepStarted
from stepwave.workflow import Workflow, WorkflowFailed
from tests.cli.invoke import stepwave
from tests.conftest import children
from tests.workflow.gather import PATIENCE_S, Ear, Stuck


def outcomes(result: Any) -> dict[str, str]:
    return {step.id: step.outcome.value for step in result.summary.steps}


# --- what is brought, and to whom ------------------------------------------------------------------------------------


class Opaque:
    """Does not tell what it takes, as some functions do that are written in C: it is given nothing."""

    __signature__ = "unknown"

    def __call__(self, **given: Any) -> dict[str, Any]:
        return given


def test_results_go_to_the_parameters_of_their_names(tmp_path: Path) -> None:
    def consume(one: int, *, two: str, factor: int = 2) -> str:
        return two * one * factor

    flow = (
        Workflow("named", folder=tmp_path)
        .step("one", lambda: 3)
        .step("two", lambda: "x")
        .step("three", consume, needs=["one", "two"], params={"factor": 1})
        .step("opaque", Opaque(), needs=["one", "three"])
        .step("none", lambda: "nothing", needs="opaque")
        .step("rest", lambda one, **others: (one, others), needs=["two", "one"])
    )
    result = flow.run(record=False)
    assert result.success
    assert result.exit_code == 0
    assert result.results == {
        "one": 3, "two": "x", "three": "xxx", "opaque": {}, "none": "nothing", "rest": (3, {"two": "x"}),
    }  # fmt: skip
    assert list(result.results) == ["one", "two", "three", "opaque", "none", "rest"]
    assert result.check() is result


def test_a_result_is_handed_over_as_it_is(tmp_path: Path) -> None:
    made = object()
    result = Workflow("same", folder=tmp_path).step("a", lambda: made).step("b", lambda a: a, needs="a").run()
    assert result.results["b"] is made


def test_a_step_whose_name_no_parameter_can_have(tmp_path: Path) -> None:
    flow = Workflow("dashes", folder=tmp_path).step("fetch-data.v2", lambda: [1, 2])
    flow.step("sum", lambda fetch_data_v2: [*fetch_data_v2, 3], needs=["fetch-data.v2"])
    flow.step("rest", lambda **rest: rest, needs=["fetch-data.v2"])
    assert flow.run().results["sum"] == [1, 2, 3]
    assert flow.run().results["rest"] == {"fetch-data.v2": [1, 2]}


def test_functions_and_commands_bring_things_to_each_other(tmp_path: Path) -> None:
    flow = (
        Workflow("mixed", folder=tmp_path, env={"GREETING": "hello"})
        .step("who", lambda: {"name": "Ada Lovelace"})
        .step("greet", shell='echo "$GREETING" {{steps.who.output.name}}; echo aside >&2', needs="who")
        .step("words", ["printf", "%s", "{{steps.greet.output}}"], needs="greet")
        .step("shout", lambda greet, words: [greet.upper(), words], needs=["greet", "words"])
        .step("json", ["echo", '{"n": 3}'])
        .step("twice", lambda json: json["n"] * 2, needs="json")
        .step("silent", ["true"])
        .step("heard", lambda silent: silent, needs="silent")
    )
    result = flow.run()
    assert result.check().results == {
        "who": {"name": "Ada Lovelace"},
        "greet": "hello Ada Lovelace",
        "words": "hello Ada Lovelace",
        "shout": ["HELLO ADA LOVELACE", "hello Ada Lovelace"],
        "json": {"n": 3},
        "twice": 6,
        "silent": "",
        "heard": "",
    }
    who = result.summary.steps[0]
    assert (Path(result.summary.folder) / (who.stdout_log or "")).read_text() == '{"name": "Ada Lovelace"}\n'


def test_a_command_that_prints_very_much_brings_its_path(tmp_path: Path) -> None:
    flow = Workflow("much", folder=tmp_path).step("much", shell="head -c 2000000 /dev/zero | tr '\\0' x")
    flow.step("size", lambda much: much.stat().st_size, needs="much")
    result = flow.run().check()
    assert result.results["size"] == 2_000_000
    assert isinstance(result.results["much"], Path)


def test_what_a_text_refers_to_must_be_something_that_json_can_say(tmp_path: Path) -> None:
    flow = Workflow("odd", folder=tmp_path).step("a", lambda: {1, 2}).step("b", lambda a: a | {3}, needs="a")
    assert flow.run().results == {"a": {1, 2}, "b": {1, 2, 3}}
    flow.step("c", ["echo", "{{steps.a.output}}"], needs="a")
    result = flow.run()
    assert outcomes(result) == {"a": "failed", "b": "skipped", "c": "skipped"}
    assert "JSON cannot say" in (result.summary.steps[0].reason or "")


def test_a_large_result_is_read_from_its_file(tmp_path: Path) -> None:
    flow = Workflow("large", folder=tmp_path).step("a", lambda: "x" * 100_000)
    flow.step("b", ["wc", "-c", "{{steps.a.stdoutPath}}"], needs="a")
    assert flow.run().check().results["b"].startswith("100003 ")


def test_a_tolerated_failure_brings_nothing(tmp_path: Path) -> None:
    flow = Workflow("tolerant", folder=tmp_path).step("a", lambda: 1 / 0, continue_on_error=True)
    flow.step("b", lambda a="nothing came": a, needs="a")
    result = flow.run()
    assert result.success
    assert result.results == {"b": "nothing came"}
    assert isinstance(result.errors["a"], ZeroDivisionError)


def test_the_surroundings_of_the_caller_are_those_of_the_function(tmp_path: Path) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")
    tenant.set("acme")
    assert Workflow("tenant", folder=tmp_path).step("a", tenant.get).run().results == {"a": "acme"}


# --- what can be called ----------------------------------------------------------------------------------------------


class Greeter:
    def __init__(self, word: str) -> None:
        self.word = word

    def __call__(self, who: str = "you") -> str:
        return f"{self.word}, {who}"

    def loudly(self, who: str) -> str:
        return self(who).upper()


async def later(text: str = "later") -> str:
    await asyncio.sleep(0)
    return text


def test_everything_that_can_be_called(tmp_path: Path) -> None:
    ear = Ear()
    flow = (
        Workflow("calls", folder=tmp_path)
        .step("object", Greeter("hi"))
        .step("method", Greeter("hi").loudly, params={"who": "all"})
        .step("partial", partial(partial(int, base=2), "101"))
        .step("named", "os.path:basename", params={"p": "/a/b"})
        .step("inner", "pathlib:Path.cwd")
        .step("async", later)
        .step("awaits", lambda: later("awaited"))
    )
    assert flow.run(courtesy=[ear.listen]).check().results == {
        "object": "hi, you",
        "method": "HI, ALL",
        "partial": 5,
        "named": "b",
        "inner": Path.cwd(),
        "async": "later",
        "awaits": "awaited",
    }
    shown = {event.step: event.argv[0] for event in ear.events if isinstance(event, StepStarted)}
    assert shown["object"] == "tests.workflow.test_builder:Greeter"
    assert shown["method"] == "tests.workflow.test_builder:Greeter.loudly"
    assert shown["partial"] == "builtins:int"
    assert shown["awaits"].endswith("test_everything_that_can_be_called.<locals>.<lambda>")


@pytest.mark.parametrize(("code", "outcome"), [(None, "completed"), (0, "completed"), (3, "failed"), ("no", "failed")])
def test_sys_exit_means_what_it_says(code: int | str | None, outcome: str, tmp_path: Path) -> None:
    def leave() -> None:
        raise SystemExit(code)

    result = Workflow("leave", folder=tmp_path).step("a", leave).run()
    (step,) = result.summary.steps
    assert step.outcome.value == outcome
    assert step.exit_code == (None if code == "no" else code or 0)
    assert (outcome == "completed") == ("a" in result.results)


# --- failures --------------------------------------------------------------------------------------------------------


def broken(path: str) -> None:
    raise ValueError(f"cannot read {path}\nat all")


def test_an_exception_is_kept_and_its_traceback_is_the_log(tmp_path: Path) -> None:
    flow = Workflow("broken", folder=tmp_path).step("a", broken, params={"path": "x.csv"})
    flow.step("b", lambda: 1, needs="a")
    result = flow.run()
    first, second = result.summary.steps
    assert (first.outcome, first.reason) == (Outcome.FAILED, "ValueError: cannot read x.csv at all")
    assert (second.outcome, second.reason) == (Outcome.SKIPPED, "Skipped due to previous failure")
    assert (result.success, result.exit_code, result.summary.status) == (False, 1, Status.FAILED)
    error = result.errors["a"]
    assert isinstance(error, ValueError)
    assert error.__traceback__ is not None
    trace = "\n".join(api.log_tail(result.summary, first))
    assert trace.startswith("Traceback (most recent call last):\n")
    assert "in broken" in trace
    assert "stepwave/" not in trace, "our own frames are nobody's concern"
    with pytest.raises(WorkflowFailed, match=r"broken: Failed steps: a \(its logs are in ") as raised:
        result.check()
    assert raised.value.__cause__ is error
    assert raised.value.result is result


def test_several_exceptions_are_a_group(tmp_path: Path) -> None:
    flow = Workflow("two", folder=tmp_path, on_failure="skip_dependents")
    flow.step("a", broken, params={"path": "a"}).step("b", lambda: 1 / 0).step("c", lambda: 1)
    with pytest.raises(WorkflowFailed) as raised:
        flow.run().check()
    cause = raised.value.__cause__
    assert isinstance(cause, BaseExceptionGroup)
    assert {type(one) for one in cause.exceptions} == {ValueError, ZeroDivisionError}


def test_arguments_that_do_not_fit_fail_the_step(tmp_path: Path) -> None:
    result = Workflow("unfit", folder=tmp_path).step("a", broken).run()
    assert "missing 1 required positional argument: 'path'" in (result.summary.steps[0].reason or "")


class Silent(Exception):  # noqa: N818 - as somebody else may call it
    def __str__(self) -> str:
        raise RuntimeError("not even that")


def test_an_exception_that_cannot_be_shown_is_a_failure_like_any_other(tmp_path: Path) -> None:
    def worse() -> None:
        raise Silent

    def escape() -> None:
        raise ValueError("\x1b[2J\u202e")

    result = Workflow("worse", folder=tmp_path, on_failure="continue").step("a", worse).step("b", escape).run()
    assert [step.reason for step in result.summary.steps] == [
        "Silent: (what it says cannot be shown)",
        "ValueError: \\x1b[2J\\u202e",
    ]


def test_a_failing_function_is_tried_again(tmp_path: Path) -> None:
    ear, tried = Ear(), []

    def flaky() -> str:
        tried.append(threading.current_thread())
        if len(tried) < 3:
            raise ConnectionError("not yet")
        return "at last"

    result = Workflow("flaky", folder=tmp_path).step("a", flaky, retries=2).run(courtesy=[ear.listen])
    assert result.check().results == {"a": "at last"}
    assert result.errors == {}
    assert result.summary.steps[0].attempts == 3
    assert ear.of("a") == ["StepQueued", *["StepStarted", "StepRetrying"] * 2, "StepStarted", "StepFinished"]
    assert [e.reason for e in ear.events if isinstance(e, StepRetrying)] == ["ConnectionError: not yet"] * 2


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_function_whose_time_is_up_is_left_to_itself(tmp_path: Path) -> None:
    stuck, ear = Stuck(), Ear()
    flow = Workflow("stuck", folder=tmp_path, on_failure="skip_dependents").step("a", stuck, timeout=0.05)
    flow.step("b", lambda: "b").step("c", lambda a: a, needs="a")
    result = flow.run(courtesy=[ear.listen])
    before = dict(result.results)
    stuck.let_go()
    assert outcomes(result) == {"a": "timeout", "b": "completed", "c": "skipped"}
    assert result.summary.steps[0].reason == "timed out after 50ms"
    assert before == result.results == {"b": "b"}, "what comes too late counts for nothing"
    assert ear.of("a") == ["StepQueued", "StepStarted", "StepStopping", "StepFinished"]


def test_a_late_attempt_does_not_speak_for_the_next_one(tmp_path: Path) -> None:
    """The first attempt is let go while the second one runs: its answer is not taken for the second one's."""
    first, calls = Stuck(), []

    def twice() -> str:
        calls.append(None)
        if len(calls) == 1:
            return first()
        first.let_go()
        return "the second one"

    result = Workflow("late", folder=tmp_path).step("a", twice, timeout=0.3, retries=1).run()
    assert result.check().results == {"a": "the second one"}
    assert result.summary.steps[0].attempts == 2


def test_a_coroutine_whose_time_is_up_is_cancelled(tmp_path: Path) -> None:
    put_away = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            put_away.append(threading.current_thread().name)

    result = Workflow("coroutine", folder=tmp_path).step("a", waits, timeout=0.05).run()
    assert outcomes(result) == {"a": "timeout"}
    assert put_away == ["stepwave a"]


def test_the_time_of_the_whole(tmp_path: Path) -> None:
    stuck = Stuck()
    flow = Workflow("whole", folder=tmp_path, timeout=0.05).step("a", stuck).step("b", lambda: 1, needs="a")
    result = flow.run()
    stuck.let_go()
    assert outcomes(result) == {"a": "timeout", "b": "cancelled"}
    assert (result.exit_code, result.summary.status) == (124, Status.TIMEOUT)


# --- pools -----------------------------------------------------------------------------------------------------------


def test_a_pool_holds_functions_back_and_no_more_than_it_says(tmp_path: Path) -> None:
    pair, lock = threading.Barrier(2), threading.Lock()
    here, most = 0, 0

    def work() -> None:
        nonlocal here, most
        with lock:
            here += 1
            most = max(most, here)
        pair.wait(PATIENCE_S)
        with lock:
            here -= 1
        pair.wait(PATIENCE_S)

    flow = Workflow("pool", folder=tmp_path, resources={"db": 2})
    for n in range(8):
        flow.step(f"s{n}", work, resource="db")
    result = flow.run(max_concurrency=8).check()
    assert most == 2
    assert result.summary.statistics.peak_utilization == {"db": 1.0}


def test_functions_and_commands_share_a_pool(tmp_path: Path) -> None:
    """Whoever comes while somebody else is there finds the folder, and fails."""
    there = tmp_path / "there"

    def visit() -> None:
        there.mkdir()
        there.rmdir()

    flow = Workflow("door", folder=tmp_path, resources={"door": 1})
    for n in range(6):
        flow.step(f"function-{n}", visit, resource={"door": 1})
        flow.step(f"command-{n}", shell="mkdir there; rmdir there", resource=["door"])
    assert flow.run(max_concurrency=12).check().summary.count(Outcome.COMPLETED) == 12


def test_one_at_a_time_in_the_order_of_priority(tmp_path: Path) -> None:
    order: list[str] = []
    flow = Workflow("queue", folder=tmp_path)
    for name, priority in (("late", 5), ("middle", 0), ("early", -5)):
        flow.step(name, partial(order.append, name), priority=priority)
    flow.run(max_concurrency=1).check()
    assert order == ["early", "middle", "late"]


def test_an_exclusive_step_is_alone(tmp_path: Path) -> None:
    ear = Ear()
    flow = Workflow("alone", folder=tmp_path).step("a", lambda: 1).step("x", lambda: 2, exclusive=True)
    flow.step("b", lambda: 3)
    flow.run(courtesy=[ear.listen]).check()
    around = [
        (type(event).__name__, event.step) for event in ear.events if isinstance(event, StepStarted | StepFinished)
    ]
    at = around.index(("StepStarted", "x"))
    assert around[at + 1] == ("StepFinished", "x")


# --- the rest of a step ----------------------------------------------------------------------------------------------


def test_conditions_ask_what_functions_have_brought(tmp_path: Path) -> None:
    flow = (
        Workflow("conditions", folder=tmp_path)
        .step("count", lambda: {"rows": 3})
        .step("few", lambda: "few", needs="count", condition="steps.count.output.rows < 5")
        .step("many", lambda: "many", needs="count", condition="steps.count.output.rows >= 5")
        .step("after", lambda many=None: many, needs=["few", "many"])
    )
    result = flow.run().check()
    assert result.results == {"count": {"rows": 3}, "few": "few", "after": None}
    assert outcomes(result)["many"] == "skipped"


def test_a_command_has_a_folder_and_an_environment(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    flow = Workflow("place", folder=tmp_path, env={"A": "1", "B": "2"})
    flow.step("a", shell='echo "$A-${B-none}-$C-$D"; pwd', env={"B": None, "C": "3"}, cwd="inner")
    result = flow.run(environ={"PATH": os.environ["PATH"], "B": "9", "D": "4"})
    assert result.check().results["a"] == f"1-none-3-4\n{tmp_path}/inner"


def test_braces_in_the_name_of_a_function_are_no_reference(tmp_path: Path) -> None:
    def odd() -> int:
        return 1

    odd.__qualname__ = "{{steps.nobody.output}}"
    ear = Ear()
    assert Workflow("odd", folder=tmp_path).step("a", odd).run(courtesy=[ear.listen]).results == {"a": 1}
    (started,) = [event for event in ear.events if isinstance(event, StepStarted)]
    assert started.argv == ("tests.workflow.test_builder:{{steps.nobody.output}}",)


def test_a_workflow_without_steps(tmp_path: Path) -> None:
    result = Workflow("empty", folder=tmp_path).run()
    assert (result.success, result.results, result.summary.steps) == (True, {}, ())


def test_a_workflow_can_be_run_again(tmp_path: Path) -> None:
    numbers = iter(range(10))
    flow = Workflow("again", folder=tmp_path).step("a", lambda: next(numbers))
    assert [flow.run(record=False).results["a"] for _ in range(3)] == [0, 1, 2]


def test_a_plan_can_be_looked_at(tmp_path: Path) -> None:
    flow = Workflow("plan", folder=tmp_path).step("b", ["true"], needs="a").step("a", len, params={"obj": ()})
    assert flow.plan().waves == (("a",), ("b",))
    assert "builtins:len" in api.dry_run(flow.plan())


# --- where it runs ---------------------------------------------------------------------------------------------------


def test_functions_alone_start_no_process(tmp_path: Path) -> None:
    before = children(os.getpid())  # another test's, which go on beside this one
    flow = Workflow("alone", folder=tmp_path).step("a", lambda: children(os.getpid()) - before)
    assert flow.run().results["a"] == set()
    flow.step("b", ["true"])
    assert len(flow.run().results["a"]) >= 1


def test_in_a_thread_and_inside_a_running_loop(tmp_path: Path) -> None:
    flow = Workflow("anywhere", folder=tmp_path).step("a", later).step("b", shell="echo b")

    async def main() -> tuple[Any, Any]:
        return flow.run(record=False).results, (await asyncio.to_thread(flow.run, record=False)).results

    expected = {"a": "later", "b": "b"}
    assert asyncio.run(main()) == (expected, expected)


def test_a_workflow_within_a_workflow(tmp_path: Path) -> None:
    inner = Workflow("inner", folder=tmp_path).step("x", lambda: 20).step("y", lambda x: x + 1, needs="x")
    outer = Workflow("outer", folder=tmp_path).step("a", lambda: inner.run().check().results["y"])
    assert outer.step("b", lambda a: a * 2, needs="a").run().check().results["b"] == 42


def test_a_run_is_recorded_unless_it_is_not(tmp_path: Path) -> None:
    flow = Workflow("kept", folder=tmp_path).step("a", lambda: 1).step("b", shell="echo oops; false")
    flow.run(record=False)
    nothing = stepwave("runs", cwd=tmp_path)
    assert "kept" not in nothing.out
    run = flow.run().summary.run
    listed = stepwave("runs", cwd=tmp_path)
    assert run in listed.out
    assert stepwave("logs", "b", run, cwd=tmp_path).out == "oops\n"


def test_threads_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    result = Workflow("crowded", folder=tmp_path).step("a", lambda: 1).run()
    assert result.summary.steps[0].reason == "no thread could be started: can't start new thread"


# --- what cannot be --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({}, TypeError, "either `work` or `shell`"),
        ({"work": len, "shell": "true"}, TypeError, "either `work` or `shell`"),
        ({"work": "echo hi"}, ValueError, "the words of a command are a list"),
        ({"work": "json.loads"}, ValueError, "not of the form 'module.path:name'"),
        ({"work": "no_such_module_anywhere:f"}, ImportError, "no_such_module_anywhere"),
        ({"work": "json:no_such_function"}, AttributeError, "no_such_function"),
        ({"work": "json:__name__"}, AttributeError, "cannot be called"),
        ({"work": []}, ValueError, "names no program"),
        ({"work": [b"ls", 3]}, TypeError, "texts and paths, not bytes"),
        ({"work": 3}, TypeError, "int"),
        ({"shell": " "}, ValueError, "empty"),
        ({"work": ["ls"], "params": {}}, TypeError, "a command takes no params"),
        ({"work": len, "env": {}}, TypeError, "no env or cwd of its own"),
        ({"work": len, "cwd": "/"}, TypeError, "no env or cwd of its own"),
        ({"shell": "true", "env": {"A": 3}}, TypeError, "env has texts"),
        ({"work": len, "timeout": 0}, ValueError, "more than 0 seconds"),
        ({"work": len, "timeout": -1}, ValueError, "more than 0 seconds"),
        ({"work": len, "timeout": float("nan")}, ValueError, "more than 0 seconds"),
        ({"work": len, "timeout": 1e300}, ValueError, "at most a year"),
        ({"work": len, "timeout": "30s"}, TypeError, "a number of seconds, not str"),
        ({"work": len, "retries": -1}, ValueError, "at least 0"),
        ({"work": len, "retries": 1.5}, TypeError, "whole number"),
        ({"work": len, "retry_delay": -1}, ValueError, "at least 0 seconds"),
        ({"work": len, "backoff": "random"}, ValueError, "fixed, linear, exponential"),
        ({"work": len, "resource": "dbb"}, ValueError, "did you mean `db`"),
        ({"work": len, "resource": {"db": 3}}, ValueError, "2 at most, not 3"),
        ({"work": len, "resource": {"db": 0}}, ValueError, "at least 1, not 0"),
        ({"work": len, "priority": "high"}, TypeError, "whole number"),
        ({"work": len, "condition": "1 +* 2"}, ValueError, "the condition '1 +* 2'"),
        ({"work": len, "needs": [3]}, TypeError, "names, not int"),
        ({"work": broken, "needs": "path", "params": {"path": "x"}}, ValueError, "'path' is a parameter, and a step"),
    ],
)
def test_what_cannot_be_is_said_where_it_is_added(wrong: dict[str, Any], kind: type[Exception], words: str) -> None:
    flow = Workflow("wrong", resources={"db": 2})
    with pytest.raises(kind, match=words.replace("+", r"\+").replace("*", r"\*")):
        flow.step("a", **wrong)
    assert flow.plan().steps == {}, "nothing of it is left"


@pytest.mark.parametrize("id", ["", "a b", "ä", "x" * 201, 3, "a/b", "a\n"])
def test_ids_are_those_of_a_file(id: Any) -> None:
    with pytest.raises(ValueError, match="a step id has letters"):
        Workflow("ids").step(id, len)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"resources": {"db": 0}},
        {"timeout": 0},
        {"on_failure": "explode"},
    ],
)
def test_a_workflow_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"name|at least 1|more than 0|abort, skip_dependents, continue"):
        Workflow(**{"name": "x", **wrong})


def test_a_graph_that_cannot_be_is_said_before_anything_runs(tmp_path: Path) -> None:
    ran: list[int] = []
    flow = Workflow("graph", folder=tmp_path).step("a", partial(ran.append, 1), needs="b")
    with pytest.raises(ValueError, match='Step "a" depends on non-existent step: b'):
        flow.run()
    flow.step("b", partial(ran.append, 2), needs="a")
    with pytest.raises(ValueError, match="Circular dependency"):
        flow.run()
    with pytest.raises(ValueError, match="Duplicate step ID: a"):
        flow.step("a", len)
    with pytest.raises(ValueError, match="max_concurrency must be at least 1"):
        Workflow("none", folder=tmp_path).run(max_concurrency=0)
    assert ran == []
    assert not (tmp_path / ".stepwave").exists()
