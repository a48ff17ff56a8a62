"""What is written reads back as the values it was made of, and what the source wrote reaches the shell as it was."""

import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.importing.flow import Flow, Note, Step
from stepwave.core.importing.holes import Holes, Unsayable, escaped
from stepwave.core.importing.recipe import Form, Line, form_of, work_of
from stepwave.core.importing.writer import written
from stepwave.core.language.interpolate import check_shell, fill, fill_shell
from stepwave.core.language.scope import ExpressionError, Values
from stepwave.core.reading.document import Syntax, plain
from stepwave.core.reading.parse import parse

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0", max_codepoint=0xEFFFF), max_size=40)
odd_texts = st.lists(
    st.sampled_from(
        [*"{}$\\'\"` \n\t#:-,[]&*!|>%@?=~", "{{", "}}", "${", "${{", "\\{{", "a", "true", "1e3", "\x85", "\ufeff"]
    ),
    max_size=12,
).map("".join)
any_texts = texts | odd_texts
values: Any = st.recursive(
    any_texts | st.booleans() | st.integers(-(2**60), 2**60) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_texts.filter(bool), inner, max_size=3),
    max_leaves=8,
)


def read_back(flow: Flow) -> Any:
    document, found = parse(written(flow, "Makefile").encode("utf-8"), "flow.yaml", Syntax.YAML)
    assert document is not None, found
    return plain(document.root)


@given(st.dictionaries(any_texts.filter(lambda text: text not in ("", "<<", "id")), values, max_size=4), any_texts)
def test_what_is_written_reads_back(keys: dict[str, Any], name: str) -> None:
    step = Step("one", keys, notes=(Note(3, name, name),))
    found = read_back(Flow(name, (step, step), notes=(Note(0, name),)))
    expected = {"id": "one", **keys}
    assert found["steps"] == [expected, expected]
    assert found["name"] == name


@given(any_texts)
def test_escaped_text_means_itself(text: str) -> None:
    assert fill(escaped(text), Values()) == text
    assert fill_shell(escaped(text), Values()) == (text, {})
    assert check_shell(escaped(text)) == []


@given(odd_texts, odd_texts, st.sampled_from(["a b", "x'y\"z", "$(no)", "{{x}}", "\\"]))
def test_a_reference_reaches_the_shell_or_is_refused(before: str, after: str, value: str) -> None:
    """Whatever stands around a hole: it is filled in as one text, and the rest stays as it was."""
    holes = Holes()
    try:
        script = holes.script(before + holes.reference("variables.x") + after)
    except Unsayable:
        return
    assert check_shell(script) == []
    try:
        done, names = fill_shell(script, Values(variables={"x": value}))
    except ExpressionError as problem:
        assert "whole number" in problem.message  # where a shell computes, the language itself takes nothing else
        return
    assert list(names.values()) == [value]
    assert done.startswith(before) and done.endswith(after)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("echo {}", "a b\n"),
        ('echo "{}"', "a  b\n"),
        ("echo '{}'", "a  b\n"),
        ("echo x{}y 'p{}q'", "xa by pa  bq\n"),
        ("cat <<E\n{}\nE", "a  b\n"),
        ('echo "$(echo {})"', "a b\n"),
        ("true # {}", ""),
    ],
)
def test_a_command_is_put_in_wherever_it_stands(template: str, expected: str) -> None:
    """As text that make or task would have put there before the shell saw it."""
    holes = Holes()
    for hole in (holes.command("printf 'a  b'"), holes.variable("VALUE")):
        script = holes.script(template.replace("{}", hole))
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            env={"VALUE": "a  b", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == expected


@pytest.mark.parametrize("template", ["cat <<'E'\n{}\nE", "echo ${}"])
def test_where_a_shell_expands_nothing_it_is_refused(template: str) -> None:
    holes = Holes()
    with pytest.raises(Unsayable):
        holes.script(template.replace("{}", holes.command("date")))


# --- lines that each have a shell of their own ------------------------------------------------------------------------

pieces = st.sampled_from([
    "echo a", "false", "true", "exit 0", "exit 3", "cd /", "X=1", "echo $X", "pwd | cat", "! true", "! false",
    "(exit 2)", "echo 'a;b'", 'echo "&& c"', "test -d /", "{ false; }", ": # no", "X=2 true", "set +e", "false & wait",
    "echo a\\\nb",
    "if false; then echo no; fi", "for i in 1 2; do echo $i; done", "echo 2>&1", "echo `echo q`", "echo $(cd /; pwd)",
])  # fmt: skip
shell_lines = st.lists(pieces, min_size=1, max_size=3).flatmap(
    lambda some: st.sampled_from(["; ", " && ", " || "]).map(lambda sign: sign.join(some))
)


@given(st.lists(st.tuples(shell_lines, st.booleans()), min_size=1, max_size=4))
def test_lines_do_together_what_they_do_each_in_a_shell_of_its_own(lines: list[tuple[str, bool]]) -> None:
    work = work_of([Line(text, ignored) for text, ignored in lines], Holes())
    expected, code = "", 0
    for text, ignored in lines:
        done = _sh("-c", text)
        expected += done.stdout
        if done.returncode and not ignored:
            code = done.returncode
            break
    script = work.get("run", work.get("command", ""))
    done = _sh(*(("-c",) if work.get("shell") else ("-e", "-c")), str(script))
    assert (done.stdout, done.returncode) == (expected, code), script


def _sh(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/sh", *words], cwd="/tmp", capture_output=True, text=True, check=False, env={"PATH": "/bin"}
    )


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("cc -o a b.c", Form.SIMPLE),
        ("echo 'a;b' \"c && d\"", Form.SIMPLE),
        ("# only a comment", Form.EMPTY),
        ("cd x && make", Form.LAST),
        ("false || true", Form.LAST),
        ("a; b", Form.COMPOUND),
        ("if a; then b; fi", Form.COMPOUND),
        ("a &", Form.COMPOUND),
        ("echo 'open", Form.ODD),
        ("echo \\", Form.ODD),
    ],
)
def test_forms(text: str, form: Form) -> None:
    assert form_of(text) is form
