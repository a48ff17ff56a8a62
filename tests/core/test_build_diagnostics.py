"""Every finding of `build`: its code, and the line and column where it stands."""

import re
from pathlib import Path

import pytest

from tests.core.build_texts import built, codes, told

SRC = Path(__file__).resolve().parents[2] / "src/stepwave/core"

STEPS = "steps:\n- {id: a, run: x, %s}\n"  # what is put in stands from line 2, column 19 on
ABOVE = "%s\nsteps: [{id: a, run: x}]\n"

ERRORS = [
    # values
    (STEPS % "timeout: '300'", "ambiguous-unit", 2, 28),
    (STEPS % "timeout: -1", "out-of-range", 2, 28),
    (STEPS % "timeout: 400d", "out-of-range", 2, 28),
    (STEPS % "timeout: 1e300", "out-of-range", 2, 28),
    (STEPS % "timeout: soon", "bad-duration", 2, 28),
    (STEPS % "timeout: [1]", "wrong-type", 2, 28),
    (STEPS % "timeout: true", "wrong-type", 2, 28),
    (STEPS % "retries: -1", "out-of-range", 2, 28),
    (STEPS % "retries: 1.5", "wrong-type", 2, 28),
    (STEPS % "retries: '1'", "wrong-type", 2, 28),
    (STEPS % "retry: {attempts: 0}", "out-of-range", 2, 37),
    (STEPS % "retry: {backoff: quick}", "bad-value", 2, 36),
    (STEPS % "continueOnError: yes", "wrong-type", 2, 36),
    (STEPS % "name: [x]", "wrong-type", 2, 25),
    (STEPS % "name: 5", "wrong-type", 2, 25),
    (STEPS % 'cwd: "a\\0b"', "bad-text", 2, 24),
    (STEPS % "env: [A=1]", "wrong-type", 2, 24),
    (STEPS % "env: {A: [1]}", "wrong-type", 2, 28),
    (STEPS % "env: {A=B: 1}", "bad-name", 2, 25),
    (STEPS % "allowedExitCodes: [0, 256]", "out-of-range", 2, 41),
    (STEPS % "allowedExitCodes: []", "too-few-items", 2, 37),
    (STEPS % "allowedExitCodes: [x]", "wrong-type", 2, 38),
    (STEPS % "memoryLimitMb: 0", "out-of-range", 2, 34),
    (STEPS % "limits: {memory: lots}", "bad-size", 2, 36),
    (STEPS % "kill: {signal: TREM}", "bad-value", 2, 34),
    (STEPS % "kill: TERM", "wrong-type", 2, 25),
    (STEPS % "stdin: [x]", "wrong-type", 2, 26),
    (STEPS % "stdin: {}", "missing-key", 2, 19),
    (STEPS % "onFailure: explode", "bad-value", 2, 30),
    (STEPS % "on_fail: 'retry:x'", "bad-value", 2, 28),
    (STEPS % "shell: ''", "bad-value", 2, 26),
    (STEPS % "shell: 'true'", "wrong-type", 2, 26),
    (STEPS % "priority: high", "wrong-type", 2, 29),
    (STEPS % "parallel: {maxConcurrency: 0}", "out-of-range", 2, 46),
    (ABOVE % "parallel: {resources: {cpu: 0}}", "out-of-range", 1, 29),
    (ABOVE % "parallel: {resources: [cpu]}", "wrong-type", 1, 23),
    (ABOVE % "parallel: {defaultMaxConcurrency: 0}", "out-of-range", 1, 35),
    (ABOVE % "parallel: {defaultMaxConcurrency: many}", "wrong-type", 1, 35),
    (ABOVE % "parallel: {scheduling: lazy}", "bad-value", 1, 24),
    (ABOVE % "parallel: maybe", "wrong-type", 1, 11),
    (ABOVE % "onFailure: panic", "bad-value", 1, 12),
    (ABOVE % "error_handling: {strategy: hope}", "bad-value", 1, 28),
    (ABOVE % "dialect: french", "bad-value", 1, 10),
    (ABOVE % "variables: [x]", "wrong-type", 1, 12),
    (ABOVE % "id: 'a b'", "bad-id", 1, 5),
    (ABOVE % "execution: 5", "wrong-type", 1, 12),
    # steps
    ("steps: hello\n", "wrong-type", 1, 8),
    ("steps: [hello]\n", "wrong-type", 1, 9),
    ("steps:\n- run: x\n", "missing-key", 2, 3),
    ("steps:\n- {id: 'a b', run: x}\n", "bad-id", 2, 8),
    ("steps:\n- {id: '../../evil', run: x}\n", "bad-id", 2, 8),
    (f"steps:\n- {{id: {'x' * 201}, run: x}}\n", "bad-id", 2, 8),
    ("steps:\n- {id: a}\n", "missing-key", 2, 8),
    ("steps:\n- {id: a, type: script}\n", "missing-key", 2, 8),
    ("steps:\n- {id: a, type: condition}\n", "missing-key", 2, 8),
    ("steps:\n- {id: a, type: skript, run: x}\n", "unknown-step-type", 2, 17),
    ("steps:\n- {id: a, type: pyton}\n", "unknown-step-type", 2, 17),
    ("steps:\n- {id: a, function: build}\n", "bad-function", 2, 21),
    ("steps:\n- {id: a, command: ''}\n", "too-short", 2, 20),
    ("steps:\n- {id: a, command: []}\n", "too-few-items", 2, 20),
    ('steps:\n- {id: a, command: "echo \'x"}\n', "bad-value", 2, 20),
    ("steps:\n- {id: a, run: ' '}\n", "too-short", 2, 16),
    ("steps:\n- {id: a, run: 'echo {{env.X}}', shell: perl}\n", "unsafe-reference", 2, 16),
    ("steps:\n- {id: a, command: x, args: y}\n", "wrong-type", 2, 29),
    ("steps:\n- {id: a, command: x, args: [[y]]}\n", "wrong-type", 2, 30),
    # keys that contradict each other
    (STEPS % "timeout: 5s, timeout_sec: 6", "conflicting-keys", 2, 32),
    (STEPS % "config: {timeout: 5s}, timeout: 6s", "conflicting-keys", 2, 42),
    (STEPS % "command: y", "conflicting-keys", 2, 19),
    (STEPS % "args: [y]", "conflicting-keys", 2, 19),
    (STEPS % "shell: false", "conflicting-keys", 2, 19),
    (STEPS % "retries: 2, circuit_breaker: {max_attempts: 3}", "conflicting-keys", 2, 49),
    (STEPS % "continueOnError: false, critical: false", "conflicting-keys", 2, 43),
    (STEPS % "memoryLimitMb: 1, limits: {memory: 2MB}", "conflicting-keys", 2, 19),
    (STEPS % "on_failure: abort, on_fail: skip", "conflicting-keys", 2, 38),
    ("steps:\n- {id: a, command: [x], shell: true}\n", "conflicting-keys", 2, 25),
    ("onFailure: abort\nexecution: {fail_fast: false}\nsteps: [{id: a, run: x}]\n", "conflicting-keys", 2, 13),
    ("steps: [{id: a, run: x}]\nnodes: [{id: b, run: x}]\n", "conflicting-keys", 2, 1),
    # keys that do not exist
    (STEPS % "dependson: [b]", "unknown-key", 2, 19),
    (STEPS % "config: {comand: y}", "unknown-key", 2, 28),
    (STEPS % "parallel: {maxConcurency: 1}", "unknown-key", 2, 30),
    (STEPS % "retry: {atempts: 1}", "unknown-key", 2, 27),
    (ABOVE % "execution: {max_worker: 2}", "unknown-key", 1, 13),
    (ABOVE % "defaults: {timeuot: 2s}", "unknown-key", 1, 12),
    # the graph
    ("steps:\n- {id: a, run: x}\n- {id: a, run: y}\n", "duplicate-id", 3, 8),
    (STEPS % "needs: [b]", "unknown-step", 2, 27),
    (STEPS % "needs: a", "self-dependency", 2, 26),
    ("steps:\n- {id: a, run: x, needs: [b]}\n- {id: b, run: x, needs: [a]}\n", "cycle", 3, 27),
    ("steps:\n- {id: a, expression: 'true', onTrue: [b]}\n", "unknown-branch-target", 2, 40),
    (STEPS % "resource: gpu", "unknown-resource", 2, 29),
    ("resources: {cpu: 2}\nsteps:\n- {id: a, run: x, resource: {cpu: 3}}\n", "out-of-range", 3, 35),
    # references
    (STEPS % "condition: 'a =='", "bad-expression", 2, 35),
    (STEPS % "condition: ''", "bad-expression", 2, 30),
    (STEPS % "cwd: 'x/{{1 2}}'", "bad-expression", 2, 31),
    (STEPS % "condition: steps.b.success", "unknown-step", 2, 36),
    (STEPS % "env: {A: 'x {{steps.b.output}}'}", "unknown-step", 2, 39),
    (STEPS % "timeout: '{{steps.a.output}}'", "known-too-late", 2, 28),
    (STEPS % "timeout: '{{env.X}}'", "unknown-variable", 2, 31),
    # the file
    ("workflows: {a: {steps: []}, b: {steps: []}}\n", "which-workflow", 1, 1),
    ("name: x\n", "no-steps", 1, 1),
    ("- {id: a, tool: t, tasks: [x]}\n- {tool: t, tasks: [x]}\n", "missing-key", 2, 4),
]

WARNINGS = [
    (STEPS % "timeout: 900", "suspicious-timeout", 2, 28),
    (STEPS % "config: {timeout: 900}", "suspicious-timeout", 2, 37),
    ("dialect: snake\n" + STEPS % "timeout: 300000", "suspicious-timeout", 3, 28),
    ("steps:\n- {id: a, command: 'a | b'}\n", "implicit-shell", 2, 20),
    ("steps:\n- {id: a, command: 'npm run', args: [x]}\n", "space-in-command", 2, 20),
    (STEPS % "colour: red", "unknown-key", 2, 19),
    (STEPS % "timeout: 5s, timeout_sec: 5", "redundant-key", 2, 32),
    (ABOVE % "version: 2", "version-format", 1, 10),
    ("steps:\n- {id: a, run: x}\n- {id: A, run: x}\n", "similar-ids", 3, 8),
    ("steps:\n- {id: a, run: x}\n- {id: b, run: x, needs: [a, a]}\n", "duplicate-need", 3, 30),
    ("steps:\n- {id: a, run: x}\n- {id: b, run: 'echo {{steps.a.stdout}}'}\n", "not-upstream", 3, 30),
    (STEPS % "cwd: '{{variables.nope}}'", "unknown-variable", 2, 37),
    (STEPS % "condition: nope == 1", "unknown-variable", 2, 30),
    ("steps:\n- {id: a, agent: x}\n", "no-executor", 2, 18),
    ("steps:\n- {id: a, type: noop, run: x}\n", "ignored-key", 2, 23),
    ("- {id: a, tool: t, tasks: [x], timeout: 5s}\n", "ignored-key", 1, 32),
]


@pytest.mark.parametrize(("text", "code", "line", "column"), ERRORS)
def test_errors(text: str, code: str, line: int, column: int) -> None:
    assert ("error", code, line, column) in told(text)
    assert [found[1] for found in told(text) if found[0] == "error"] == [code]


@pytest.mark.parametrize(("text", "code", "line", "column"), WARNINGS)
def test_warnings(text: str, code: str, line: int, column: int) -> None:
    found = told(text)
    assert ("warning", code, line, column) in found
    assert not [severity for severity, *_ in found if severity == "error"]


@pytest.mark.parametrize(
    "text",
    [
        STEPS % "acceptance_tests: [], inputs: [], secrets: [], dotenv: null, circuit_breaker: {per_step: true}",
        STEPS % "circuit_breaker: {max_attempts: 3, max_error_repeats: 2}",
        STEPS % "x-note: 1, _comment: 2, metadata: {a: 1}, tags: [x], ui_hints: {a: 1}, provides: [x], consumes: [y]",
        ABOVE % "finally: []\nexecution: {adaptive_scaling: false}\nsaga: {enabled: false}\nx-a: 1\n_b: 2",
        ABOVE % "gate: 1\nccpm_issue: 2\nopenspec_change: x\nfiles_scope: [a]\npriority: high\ndoc_id: x\n$schema: x",
        STEPS % "timeout: 0, condition: null, dependsOn: null, name: null",
    ],
)
def test_what_is_passed_over_in_silence(text: str) -> None:
    assert told(text) == []


def test_outside_needs_are_told_quietly() -> None:
    assert told("depends_on: [other]\nsteps: [{id: a, run: x}]\n") == [("info", "outside-need", 1, 14)]


def test_strict_makes_errors_of_unknown_keys() -> None:
    text = "name: x\nsteps:\n- {id: a, run: x, colour: red, x-mine: 1}\n"
    assert told(text, strict=True) == [("error", "unknown-key", 3, 19)]


def test_branches_are_edges() -> None:
    text = "steps:\n- {id: c, expression: 'true', onTrue: [a], onFalse: b}\n- {id: a, run: x}\n- {id: b, run: x}\n"
    workflow, _ = built(text)
    assert workflow is not None
    assert {step.id: step.needs for step in workflow.steps} == {"c": (), "a": ("c",), "b": ("c",)}


def test_the_sentences_of_the_originals() -> None:
    text = (
        "steps:\n- {id: x, run: x, needs: [yy, x]}\n- {id: x, run: x}\n- {id: y, run: x, needs: [z]}\n"
        "- {id: z, run: x, needs: [w]}\n- {id: w, run: x, needs: [y]}\n"
    )
    found = {d.code: d for d in built(text)[1]}
    assert found["unknown-step"].message == 'Step "x" depends on non-existent step: yy'
    assert found["self-dependency"].message == 'Step "x" cannot depend on itself'
    assert found["duplicate-id"].message == "Duplicate step ID: x"
    assert found["cycle"].message == "Circular dependency detected among steps: y, z, w"
    assert found["cycle"].help == "y -> z -> w -> y: take one of these needs away"


def test_help_says_what_to_write() -> None:
    helps = {
        STEPS % "timeout: '300'": "write `300s` or `300ms`",
        STEPS % "timeout: 900": "did you mean `900s`?",
        STEPS % "dependson: [b]": "did you mean `dependsOn`?",
        STEPS % "continueOnError: yes": "write `true`, without quotes",
        STEPS % "name: 5": 'write "5" in quotes',
        STEPS % "kill: {signal: TREM}": "did you mean `TERM`?",
        "resources: {cpu: 1}\n" + STEPS % "resource: cpuu": "did you mean `cpu`?",
        "variables: {name1: 1}\n" + STEPS % "cwd: '{{variables.nmae1}}'": "did you mean `name1`?",
        STEPS.replace("a,", "build,") % "needs: [biuld]": "did you mean `build`?",
        STEPS % "depends_on: [], contineu_on_error: true": "did you mean `continue_on_error`?",
        STEPS % "condition: 'x = 1'": "write `==` to compare",
    }
    for text, help in helps.items():
        assert help in [d.help for d in built(text)[1]], text


def test_what_default_provides_for_need_not_exist() -> None:
    text = STEPS % 'cwd: "{{default(variables.x, \'d\')}}", env: {A: "{{env.NOPE}}"}'
    assert codes(text) == []
    assert codes(STEPS % "condition: 'default(x, 1) == 1'") == []


def test_everything_wrong_is_told_at_once_and_in_order() -> None:
    text = (
        "timeout: soon\nparallel: {resources: {cpu: 0}}\nsteps:\n- {id: a, comand: x}\n"
        "- {id: a, run: x, needs: [q]}\n- {id: c, run: '{{', timeout: '5'}\n"
    )
    found = built(text)[1]
    assert [d.code for d in found] == [
        "bad-duration", "out-of-range", "unknown-key", "duplicate-id", "ambiguous-unit",
    ]  # fmt: skip
    assert [d.place.line for d in found] == sorted(d.place.line for d in found)


def test_hostile_words_are_shown_harmless() -> None:
    bad = "\\u001b]52;c;x\\u0007"
    text = (
        f'"k{bad}": 1\nresources: {{"r{bad}": 0}}\nsteps:\n- {{id: "i{bad}", run: x, needs: ["n{bad}"], '
        f'env: {{"e{bad}": [1]}}, resource: "r{bad}x", type: "t{bad}"}}\n'
    )
    for d in built(text)[1]:
        assert not re.search("[\x00-\x1f\x7f]", d.message + (d.help or "")), d


def test_every_code_is_tested() -> None:
    """A code that no test names cannot be relied on."""
    sources = "".join(p.read_text("utf-8") for p in SRC.glob("building/*.py"))
    used = set(re.findall(r'(?:error|warning|info|report)\(\s*"([a-z-]+)"', sources))
    tests = "".join(p.read_text("utf-8") for p in Path(__file__).parent.glob("test_*.py"))
    tested = set(re.findall('"([a-z]+(?:-[a-z0-9]+)*)"', tests))
    assert len(used) > 30
    assert used <= tested


@pytest.mark.parametrize(
    "text",
    [
        "phsaes: [{id: p, steps: [{id: a, run: x}]}]\n",
        "phases: [{id: p, stesp: [{id: a, run: x}]}]\n",
        "include: [{flie: x.yaml}]\nsteps: [{id: a, run: x}]\n",
        "stepGroups: [{ids: g, steps: [a]}]\nsteps: [{id: a, run: x}]\n",
        "agents: {x: {comand: cat}}\nsteps: [{id: a, run: x}]\n",
        "steps: [{id: a, comand: x}]\n",
        "steps: [{id: a, agnet: x}]\n",
        "steps: [{id: a, type: script, comand: x}]\n",
        "steps: [{step_idd: a, run: x}]\n",
        "steps: [{id: a, function: 'json:dumps', parms: {}}]\n",
        "steps: [{id: a, module: json, acton: dumps}]\n",
        STEPS % "stdin: {fle: x}",
        STEPS % "compensation: {comand: x}",
        STEPS % "acceptanceTests: [{comand: x}]",
        "steps: [{id: c, type: condition, expresion: 'true', onTrue: [a]}, {id: a, run: x}]\n",
        "steps: [{id: c, type: condition, expression: 'true', onTreu: [a]}, {id: a, run: x}]\n",
        "steps: [{id: c, expression: {tpye: equals, left: 1, right: 1}, onTrue: [a]}, {id: a, run: x}]\n",
        "steps: [{id: c, expression: {type: equals, lfet: 1, right: 1}, onTrue: [a]}, {id: a, run: x}]\n",
        "steps: [{id: c, expression: {type: and, condition: [x]}, onTrue: [a]}, {id: a, run: x}]\n",
    ],
)
def test_a_misspelt_key_is_told_once_and_not_missed_again(text: str) -> None:
    assert codes(text) == ["unknown-key"]


def test_what_is_wrong_with_a_matrix_is_told_once() -> None:
    """The names that it should have brought are not missed, too."""
    step = "steps: [{id: a, run: 'echo {{%s}}', %s}]\n"
    assert codes(step % ("matrix.os", "matrix: {os: linux}")) == ["not-a-list"]
    assert codes(step % ("matrix.os", "matrix: [linux]")) == ["wrong-type"]
    assert codes(step % ("matrix.os", "matrix: {os: [a], exclude: [{os: a}]}")) == ["no-combinations"]
    assert codes(step % ("item", "forEach: 5")) == ["not-a-list"]
    assert codes("steps: [{id: a, run: x, forEach: '{{steps.a.output}}'}]\n") == ["self-dependency"]


def test_names_of_a_matrix_are_known() -> None:
    step = "steps: [{id: a, run: 'echo {{%s}}', %s}]\n"
    found = built(step % ("matrix.oss", "matrix: {oss2: [a, b]}"))[1]
    assert [(d.code, d.message, d.help) for d in found] == [
        ("unknown-variable", "`matrix` has no `oss`", "did you mean `oss2`?")
    ]
    assert codes(step % ("default(matrix.flag, 1)", "matrix: {os: [a, b]}")) == []
    assert codes(step % ("matrix.flag", "matrix: {os: [a, b], include: [{os: a, flag: c}]}")) == []
    helps = {
        ("matrix.os", "id: a"): "it stands for something in steps with `matrix:` alone",
        ("item", "id: a"): "it stands for something in steps with `forEach:` alone",
        ("itme", "forEach: [a]"): "did you mean `item`?",
    }
    for (name, key), help in helps.items():
        assert [d.help for d in built(step.replace("id: a, ", "") % (name, f"name: a, {key}"))[1]] == [help]


def test_a_key_of_another_type_of_step_is_told() -> None:
    assert codes(STEPS % "onTrue: [a], prompt: p, agent: x") == ["ignored-key"] * 3
    assert codes("steps: [{id: a, type: noop, run: x, retries: 2, stdin: x, idleTimeout: 5s}]\n") == ["ignored-key"] * 4
    assert codes("steps: [{id: c, expression: 'true', onTrue: [a], cwd: /}, {id: a, run: x}]\n") == ["ignored-key"]
    assert codes("steps: [{id: a, matrix: {x: [1, 2]}, type: noop, run: x}]\n") == ["ignored-key"]
    text = "steps: [{id: a, run: x}]\nfinally: [{id: f, run: x, compensation: {command: x}}]\n"
    assert told(text) == [("warning", "ignored-key", 2, 27)]


def test_tests_that_would_never_run_are_refused() -> None:
    text = "steps: [{id: a, type: noop, acceptanceTests: ['false']}]\n"
    assert told(text) == [("error", "misplaced-key", 1, 29)]
    text = "steps: [{id: c, expression: 'true', onTrue: [a], acceptanceTests: ['x y']}, {id: a, run: x}]\n"
    assert codes(text) == ["misplaced-key"]


def test_the_same_mistake_is_told_once() -> None:
    text = "steps: [{id: c, expression: 'true', onTrue: [a], onFalse: [a, a]}, {id: a, run: x}]\n"
    assert codes(text) == ["both-branches"]
    assert codes("stepGroups: [{steps: []}]\nsteps: [{id: a, run: x}]\n") == ["missing-key"]
    assert codes("phases: [{id: p, steps: 5}]\n") == ["wrong-type"]
    assert codes("steps: [{id: a, agent: [x]}]\n") == ["wrong-type"]


def test_phases_and_steps_are_told_apart() -> None:
    text = "phases: [{id: p, steps: [{id: a, run: x}]}, {id: q, %s, steps: [{id: b, run: x, %s}]}]\n"
    found = built(text % ("depends_on: [a]", "name: b"))[1]
    assert [d.help for d in found] == ["`a` is a step, and a phase depends on phases"]
    found = built(text % ("name: q", "needs: [p]"))[1]
    assert [d.help for d in found] == [
        "`p` is a phase: let the phase of the step depend on it, or name one of its steps"
    ]


def test_a_slip_of_a_thousand_is_suspected_of_every_time_limit() -> None:
    assert told(STEPS % "idleTimeout: 5") == [("warning", "suspicious-timeout", 2, 32)]
    assert told(STEPS % "kill: {grace: 5}") == [("warning", "suspicious-timeout", 2, 33)]


def test_an_agent_that_is_misspelt() -> None:
    found = built("agents: {reviewer: cat}\nsteps: [{id: a, agent: reviwer, prompt: x}]\n")[1]
    assert [(d.code, d.help) for d in found] == [("no-executor", "did you mean `reviewer`?")]


def test_what_a_step_of_an_unknown_type_is_told_to_do_is_nobody_s_business() -> None:
    assert codes("steps: [{id: a, type: htpt, config: {url: x, port: 80}}]\n") == ["unknown-step-type"]
