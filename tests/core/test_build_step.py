"""One step: what it runs, and everything else that it may say."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.building import commands
from stepwave.core.language.interpolate import reference_spans
from stepwave.core.model import Backoff, FailurePolicy, Limits, Retry, Stdin, Step, StepType, StopRule
from tests.core.build_texts import built, codes, step_of, workflow_of

SH = ("/bin/sh", "-c")


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "argv", "script"),
    [
        ({"command": "npm"}, ("npm",), None),
        ({"command": "npm", "args": ["run", 1, True, 1.5]}, ("npm", "run", "1", "true", "1.5"), None),
        ({"command": ["npm", "a b", "*"]}, ("npm", "a b", "*"), None),
        ({"command": ["npm"], "args": ["x"]}, ("npm", "x"), None),
        ({"command": "kubectl apply -f production/"}, ("kubectl", "apply", "-f", "production/"), None),
        ({"command": "npm test", "args": []}, ("npm", "test"), None),
        ({"command": "  npm test\n"}, ("npm", "test"), None),
        ({"command": "echo 'a b' \"c d\" e\\ f"}, ("echo", "a b", "c d", "e f"), None),
        ({"command": "echo '*' '$HOME'"}, ("echo", "*", "$HOME"), None),
        ({"command": "echo a|b", "args": ["x"]}, ("echo a|b", "x"), None),
        ({"command": "a --b=1 c~d e#f"}, ("a", "--b=1", "c~d", "e#f"), None),
        ({"command": "echo a | b", "shell": False}, ("echo", "a", "|", "b"), None),
        ({"command": "echo a | b", "shell": True}, SH, "echo a | b"),
        ({"command": "echo", "args": ["a b", "*"], "shell": True}, SH, "echo 'a b' '*'"),
        ({"command": "echo a | b", "shell": "bash"}, ("bash", "-eo", "pipefail", "-c"), "echo a | b"),
        ({"run": "make\n"}, ("/bin/sh", "-e", "-c"), "make"),
        ({"script": "make"}, ("/bin/sh", "-e", "-c"), "make"),
        ({"config": {"run": "make"}}, ("/bin/sh", "-e", "-c"), "make"),
        ({"run": "make", "shell": True}, ("/bin/sh", "-e", "-c"), "make"),
        ({"run": "make", "shell": "bash"}, ("bash", "-eo", "pipefail", "-c"), "make"),
        ({"run": "make", "shell": "/usr/bin/bash -x"}, ("/usr/bin/bash", "-x", "-eo", "pipefail", "-c"), "make"),
        *[({"run": "make", "shell": name}, (name, "-e", "-c"), "make") for name in ("sh", "dash", "zsh", "ksh")],
        ({"run": "print()", "shell": "python3"}, ("python3", "-c"), "print()"),
    ],
)
def test_what_is_executed(said: dict[str, object], argv: tuple[str, ...], script: str | None) -> None:
    step = step_of(said)
    assert (step.argv, step.script) == (argv, script)


@pytest.mark.parametrize(
    ("line", "syntax"),
    [
        ("a | b", "|"), ("a && b", "&"), ("a ; b", ";"), ("a > b", ">"), ("a < b", "<"), ("echo $HOME", "$"),
        ("echo `b`", "`"), ("ls *.py", "*"), ("ls a?", "?"), ("(a)", "("), ("a\nb", "a new line"), ("ls ~/x", "~"),
        ("A=1 make", "A="), ('echo "$HOME"', "$"), ("echo \\$HOME $X", "$"), ("a # b", "#"), ("echo \"'\" $x", "$"),
    ],
)  # fmt: skip
def test_shell_syntax_is_given_to_a_shell_and_told(line: str, syntax: str) -> None:
    workflow, found = built({"steps": [{"id": "a", "command": line}]})
    assert workflow is not None
    assert (workflow.steps[0].argv, workflow.steps[0].script) == (SH, line)
    assert [d.code for d in found] == ["implicit-shell"]
    assert f"(`{syntax}`)" in found[0].message


def test_the_shell_is_that_of_the_defaults_if_it_reads_such_syntax() -> None:
    def made(shell: object) -> tuple[object, str]:
        workflow, found = built({"defaults": {"shell": shell}, "steps": [{"id": "a", "command": "echo {1..3} | cat"}]})
        assert workflow is not None
        return workflow.steps[0].argv, found[0].message.rpartition(" ")[2] if found else ""

    assert made("bash") == (("bash", "-eo", "pipefail", "-c"), "bash")
    assert made("python3") == (SH, "/bin/sh")


def test_references_are_never_cut() -> None:
    variables = {"x": "a b", "n": 1}
    said = {
        "variables": variables,
        "steps": [{"id": "a", "command": "echo {{ join(split(variables.x, ' '), '|') }} b"}],
    }
    assert workflow_of(said).steps[0].argv == ("echo", "{{ join(split(variables.x, ' '), '|') }}", "b")
    shell = step_of({"command": "echo", "args": ["a {{n}}'s"], "shell": True}, variables=variables)
    assert shell.script == "echo 'a '{{n}}''\"'\"'s'"
    escaped = step_of({"command": r"echo \{{x}} \"q\""})
    assert escaped.argv == ("echo", r"\{{x}}", '"q"')


def test_dollar_references_are_ours_in_snake_files_only() -> None:
    said = {"id": "a", "command": "echo ${env.HOME} ${x}", "depends_on": []}
    assert workflow_of({"variables": {"x": 1}, "steps": [said]}).steps[0].argv == ("echo", "${env.HOME}", "${x}")
    assert codes({"steps": [said]}) == ["implicit-shell"]
    assert codes({"dialect": "camel", "variables": {"x": 1}, "steps": [said]}) == ["implicit-shell"]


@given(st.text(max_size=40).filter(lambda text: "\0" not in text))
def test_cutting_and_asking_for_a_shell_never_raise_anything_else(text: str) -> None:
    spans = reference_spans(text, True, ())
    commands.shell_syntax(text, spans)
    try:
        words = commands.split(text, spans)
    except ValueError:
        return
    pieces = [text[start:end] for start, end in spans]
    joined = "".join(words)
    assert all(piece in joined for piece in pieces)


@given(st.lists(st.text(alphabet="ab '\"\\$*{}\n", max_size=12), min_size=1, max_size=4))
def test_arguments_survive_a_shell(args: list[str]) -> None:
    import shlex

    line = " ".join(commands.shell_word(arg, ()) for arg in args)
    assert shlex.split(line) == args


# --- aliases ---------------------------------------------------------------------------------------------------------

ALIASES: list[tuple[Mapping[str, object], Mapping[str, object]]] = [
    *[
        (canonical, alias)
        for canonical in ({"config": {"command": "x", "workingDirectory": "d"}},)
        for alias in (
            {"command": "x", "cwd": "d"}, {"cmd": "x", "workingDir": "d"}, {"command": "x", "working_directory": "d"},
            {"config": {"cmd": "x", "workdir": "d"}}, {"command": "x", "workingDirectory": "d"},
        )
    ],
    ({"config": {"command": "x", "env": {"A": 1}}}, {"command": "x", "env": {"A": "1"}}),
    ({"config": {"command": "x", "timeout": 5000}}, {"command": "x", "timeout": 5000}),
    *[
        ({"run": "x", "timeout": "5s"}, {"run": "x", **alias})
        for alias in ({"timeoutMs": 5000}, {"timeout_ms": 5000}, {"timeout_sec": 5}, {"timeout_seconds": 5.0})
    ],
    *[
        ({"run": "x", "allowedExitCodes": [0, 3]}, {"run": "x", alias: [0, 3]})
        for alias in ("allowed_exit_codes", "expect_exit_codes", "success_exit_codes")
    ],
    ({"run": "x", "memoryLimitMb": 2}, {"run": "x", "memory_limit_mb": 2}),
    ({"run": "x", "memoryLimitMb": 2}, {"run": "x", "limits": {"memory": "2MB"}}),
    *[({"run": "x", "condition": "1 == 1"}, {"run": "x", alias: "1 == 1"}) for alias in ("if", "when")],
    ({"run": "x", "continueOnError": True}, {"run": "x", "continue_on_error": True}),
    ({"run": "x", "continueOnError": True}, {"run": "x", "critical": False}),
    ({"run": "x", "onFailure": "skip_dependents"}, {"run": "x", "on_failure": "skip_dependents"}),
    ({"run": "x", "onFailure": "skip_dependents"}, {"run": "x", "on_fail": "skip"}),
    ({"run": "x", "onFailure": "continue"}, {"run": "x", "on_fail": "continue"}),
    ({"run": "x", "parallel": {"enabled": False}}, {"run": "x", "parallel": False}),
    ({"run": "x", "parallel": False}, {"run": "x", "parallel_ok": False}),
    *[
        ({"run": "x", "retries": 2}, {"run": "x", **alias})
        for alias in (
            {"max_retries": 2}, {"retry_count": 2}, {"retry": 2}, {"circuit_breaker": {"max_attempts": 3}},
            {"circuitBreaker": {"max_attempts": 3}},
        )
    ],
    ({"run": "x", "retries": 2, "retryDelay": "4s"}, {"run": "x", "retries": 2, "retry_delay_sec": 4}),
    ({"run": "x", "retries": 2, "retryDelay": "4s"}, {"run": "x", "retries": 2, "retry_delay": 4}),
    ({"run": "x", "retries": 2, "retryDelay": "4s"}, {"run": "x", "retry": {"attempts": 3, "delay": "4s"}}),
    ({"run": "x", "estimate": "4s"}, {"run": "x", "estimated": "4s"}),
    ({"run": "x", "name": "n"}, {"run": "x", "title": "n"}),
    (
        {"run": "x", "retry": {"attempts": 3, "backoff": "linear", "delay": "2s", "maxDelay": "9s"}},
        {"run": "x", "retry": {"max_attempts": 3, "strategy": "linear", "initial_delay": 2, "max_delay": 9}},
    ),
    (
        {"run": "x", "retry": {"attempts": 3, "delay": "2s", "maxDelay": "9s"}},
        {"run": "x", "retry": {"attempts": 3, "initialDelayMs": 2000, "maxDelayMs": 9000}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("canonical", "alias"), ALIASES)
def test_an_alias_means_the_same_as_its_key(canonical: Mapping[str, object], alias: Mapping[str, object]) -> None:
    one, other = step_of(canonical, dialect="camel"), step_of(alias, dialect="camel")
    assert one._replace(place=other.place) == other
    assert one != step_of({"run": "x"}, dialect="camel")._replace(place=one.place)


@pytest.mark.parametrize("key", ["dependsOn", "depends_on", "dependencies", "needs", "depends", "after"])
def test_needs_by_any_name(key: str) -> None:
    for value in ("a", ["a"]):
        workflow = workflow_of({"steps": [{"id": "a", "run": "x"}, {"id": "b", "run": "x", key: value}]})
        assert workflow.steps[1].needs == ("a",)
    assert workflow_of({"steps": [{"id": "a", "run": "x", key: None}]}).steps[0].needs == ()


@pytest.mark.parametrize("key", ["parallel", "resource", "resources"])
def test_resources_by_any_name(key: str) -> None:
    for value, taken in (("cpu", 1), (["cpu"], 1), ({"cpu": 2, "_why": "so"}, 2), (["cpu", "cpu"], 2)):
        said = {"resource": value} if key == "parallel" else value
        assert step_of({"run": "x", key: said}, resources={"cpu": 2}).resources == (("cpu", taken),)


# --- the rest --------------------------------------------------------------------------------------------------------


def test_a_step_that_says_nothing_more() -> None:
    step = step_of({"run": "x"})
    assert step == Step("a", step.place, name="a", argv=("/bin/sh", "-e", "-c"), script="x")


def test_a_step_that_says_everything() -> None:
    step = step_of(
        {
            "name": "A step", "description": "first line\nsecond", "type": "script", "run": "x",
            "parallel": {"enabled": False, "maxConcurrency": 2, "isolateErrors": True}, "conflict_group": "db",
            "priority": -3, "stdin": {"file": "in.txt"}, "kill": {"signal": "SIGINT", "grace": "1s"},
            "limits": {"memory": "1GB", "cpuTime": "1500ms", "openFiles": 64}, "estimate": 0,
        }
    )  # fmt: skip
    assert (step.name, step.description) == ("A step", "first line\nsecond")
    assert (step.exclusive, step.max_concurrency, step.isolate_errors, step.shielded) == (True, 2, True, True)
    assert step.resources == (("conflict:db", 1),)
    assert (step.priority, step.estimate_s) == (-3, 0)
    assert step.stdin == Stdin(path="in.txt")
    assert step.stop == StopRule("INT", 1.0)
    assert step.limits == Limits(1 << 30, 2, 64)
    assert step_of({"run": "x", "stdin": "hello"}).stdin == Stdin(text="hello")
    assert step_of({"run": "x", "description": "what\nit does"}).name == "what"


def test_a_conflict_group_is_a_pool_of_one() -> None:
    workflow = workflow_of({"steps": [{"id": n, "run": "x", "conflict_group": "db"} for n in "ab"]})
    assert workflow.pools == {"conflict:db": 1}


@pytest.mark.parametrize(
    ("said", "policy", "tolerant"),
    [
        ({}, None, False),
        ({"onFailure": "abort"}, FailurePolicy.ABORT, False),
        ({"on_failure": "continue"}, FailurePolicy.CONTINUE, True),
        ({"critical": False, "on_failure": "continue"}, FailurePolicy.CONTINUE, True),
        ({"critical": True, "on_failure": "abort"}, FailurePolicy.ABORT, False),
        ({"on_fail": "retry:2"}, FailurePolicy.ABORT, False),
    ],
)
def test_what_a_failure_means(said: dict[str, object], policy: FailurePolicy | None, tolerant: bool) -> None:
    step = step_of({"run": "x", **said})
    assert (step.on_failure, step.continue_on_error) == (policy, tolerant)


def test_a_step_may_take_back_what_the_workflow_tolerates() -> None:
    assert step_of({"run": "x"}, continueOnError=True).continue_on_error
    assert not step_of({"run": "x", "continueOnError": False}, continueOnError=True).continue_on_error


@pytest.mark.parametrize(
    ("said", "retry"),
    [
        ({"retries": 0}, Retry()),
        ({"max_retries": 3, "retry_count": 9}, Retry(4)),
        ({"retry": {"attempts": 1}}, Retry(1, 1.0)),
        ({"retry": {"enabled": False, "attempts": 5}}, Retry(1, 1.0)),
        ({"retry": {"backoff": "exponential"}}, Retry(3, 1.0, Backoff.EXPONENTIAL)),
        ({"retry": {"attempts": 2, "delay": 0}}, Retry(2, 0.0)),
        ({"circuit_breaker": {"max_attempts": 3, "cooldown_seconds": 7, "per_step": True}}, Retry(3, 7.0)),
        ({"on_fail": "retry:2"}, Retry(3)),
        ({"retry": {}}, Retry()),
    ],
)
def test_retries(said: dict[str, object], retry: Retry) -> None:
    assert step_of({"run": "x", **said}).retry == retry


@pytest.mark.parametrize(
    ("value", "condition"),
    [(True, None), (False, "false"), ("variables.x == 1", "variables.x == 1"), ("always()", "always()"), (None, None)],
)
def test_conditions(value: object, condition: str | None) -> None:
    assert step_of({"run": "x", "condition": value}, variables={"x": 1}).condition == condition


@pytest.mark.parametrize(
    ("said", "type"),
    [({"type": "noop"}, StepType.NOOP), ({"run": "x"}, StepType.SCRIPT), ({"tool": "t"}, StepType.AGENT)],
)
def test_types_are_inferred(said: dict[str, object], type: StepType) -> None:
    assert step_of(said).type is type


def test_agents_have_a_name_and_something_to_read() -> None:
    workflow, found = built({"variables": {"x": 1}, "steps": [
        {"id": "a", "type": "agent", "config": {"agent": "linter", "prompt": "look at {{x}}", "parameters": {"a": 1}}},
        {"id": "b", "tool": "aider", "tasks": ["one", "two"]},
        {"id": "c", "prompt": "x", "type": "agent"},
        {"id": "d", "tool": "calculator", "objective": "count", "inputs": {"value": 1}, "output": "number"},
    ]})  # fmt: skip
    assert workflow is not None
    assert [(s.agent and s.agent.name, s.stdin and s.stdin.text) for s in workflow.steps] == [
        ("linter", "look at {{x}}"),
        ("aider", "one\ntwo\n"),
        ("default", "x"),
        ("calculator", "count"),
    ]
    assert [d.code for d in found] == ["no-executor"] * 4


def test_a_step_goes_by_its_name_if_it_has_no_id() -> None:
    workflow = workflow_of(
        {"steps": [{"name": "Set Up!", "run": "x"}, {"name": "test", "run": "x", "needs": ["Set Up!"]}]}
    )
    assert [(s.id, s.name, s.needs) for s in workflow.steps] == [
        ("Set-Up", "Set Up!", ()),
        ("test", "test", ("Set-Up",)),
    ]


def test_places_are_those_of_the_id() -> None:
    step = workflow_of("steps:\n- run: x\n  id: abc\n").steps[0]
    assert (step.place.line, step.place.column, step.place.end_column) == (3, 7, 10)
    step = workflow_of("steps:\n  abc: {run: x}\n").steps[0]
    assert (step.place.line, step.place.column, step.place.end_column) == (2, 3, 6)


# --- steps that say little -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "around",
    [
        {},
        {"defaults": {"shell": "bash", "timeout": "5s", "retry": 3, "env": {"A": "1"}, "workingDirectory": "sub"}},
        {"defaults": {"shell": True, "continueOnError": True, "isolateErrors": False}, "env": {"B": "2"}},
        {"max_concurrency": 2, "onFailure": "continue"},
        {"secrets": {"TOKEN": {"env": "T"}}, "defaults": {"secrets": ["TOKEN"]}},
        {"circuit_breaker": {"enabled": True, "failure_threshold": 2}},
    ],
)
@pytest.mark.parametrize(
    "said",
    [
        {"run": "make"},
        {"run": "a\nb\n"},
        {"command": "make all"},
        {"command": "echo", "args": ["x y"]},
        {"command": ["a", "b"], "needs": ["first"]},
        {"run": "echo {{steps.first.output}}"},
        {"run": "cc a.c", "inputs": ["a.c"], "outputs": ["a.o"], "keepOutputs": True},
    ],
)
def test_a_step_that_says_little_is_the_same_in_company(
    around: Mapping[str, object], said: Mapping[str, object]
) -> None:
    """The second of two such steps is made from the first."""
    bare: dict[str, object] = {"id": "first", "run": "true"}
    other = {**bare, "priority": 0}  # says more, and so is no model
    found = []
    for one in (bare, other):
        workflow, said_of_it = built({**around, "steps": [one, {"id": "it", **said}]})
        assert workflow is not None, said_of_it
        found.append(next(step for step in workflow.steps if step.id == "it"))
    in_company, alone = found
    assert in_company._replace(place=alone.place) == alone
