import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepwave.core.language.evaluate import BUDGET
from stepwave.core.language.interpolate import (
    asks_status,
    check_shell,
    check_text,
    fill,
    fill_shell,
    reference_spans,
    text_references,
    value_in,
    value_of,
)
from stepwave.core.language.scope import ExpressionError, Unresolved, Values, has_reference
from stepwave.core.language.values import MAX_TEXT
from stepwave.core.model import Value

scope = Values(
    variables={
        "x": 1,
        "name": "world",
        "items": [1, "b", None],
        "config": {"dir": "/d", "deep": {"n": 2.0}},
        "flag": True,
        "nothing": None,
        "half": 2.5,
        "whole": 3.0,
        "braces": "{{x}} ${x}",
        "dataDir": "/data",
    },
    env={"CI": "true", "EMPTY": ""},
    steps={"build": {"output": "{{name}}; $(touch x)", "exitCode": 0}},
    now=1_700_000_000.0,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello {{name}}!", "hello world!"),
        ("{{x}}{{ x }}{{\tx\n}}", "111"),
        ("{{items}} {{config}}", '[1,"b",null] {"dir":"/d","deep":{"n":2.0}}'),
        ("{{flag}}|{{nothing}}|{{half}}|{{whole}}", "true||2.5|3"),
        ("{{upper(name)}} {{if(flag, 'on', 'off')}}", "WORLD on"),
        ("{{joinPath(dataDir, 'raw-{{date()}}.csv')}}", "/data/raw-2023-11-14.csv"),
        ("{{joinPath(dataDir, 'raw-{{date('YYYY')}}.csv')}}", "/data/raw-2023.csv"),
        ("{{'}}'}}", "}}"),
        (r"\{{x}}", "{{x}}"),
        (r"{{'\{{'}}", "{{"),
        ("{{x", "{{x"),
        ("{{x}} {{x", "1 {{x"),
        ("}} {{x}}", "}} 1"),
        ("{{{x}}}", "{1}"),
        ('{"a":{{{x}}}}', '{"a":{1}}'),
        ("${{x}}", "$1"),
        ("{x} { {x} } {}", "{x} { {x} } {}"),
        ("${x} $x $(x)", "${x} $x $(x)"),
        # what a reference brings is not read again
        ("{{braces}}", "{{x}} ${x}"),
        ("{{steps.build.output}}", "{{name}}; $(touch x)"),
    ],
)
def test_fill(text: str, expected: str) -> None:
    assert fill(text, scope) == expected
    assert check_text(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${x} ${name}", "1 world"),
        ("${config.dir}/a ${variables.x}", "/d/a 1"),
        ("${HOME} ${UNKNOWN:-d} ${config.nope}", "${HOME} ${UNKNOWN:-d} ${config.nope}"),
        ("${name:-d}", "world"),
        ("${nothing:-d}", "d"),
        ("${env.CI} ${env.NOPE}", "true ${env.NOPE}"),
        ("${env.NOPE:-3} ${env.EMPTY:-e} ${env.NOPE:-}", "3 e "),
        ("${env.CI == 'true'} ${env.CI != 'true'} ${env.NOPE == 'x'}", "true false false"),
        ("${env.CI == 'true' && x == 1}}", "true}"),
        ("$${x} $$${x} $$ $", "${x} $${x} $$ $"),
        ("$(cmd) ${arr[@]} ${#x} ${x%.c} ${1} $x ${", "$(cmd) ${arr[@]} ${#x} ${x%.c} ${1} $x ${"),
        ("${x}{{x}}\\{{x}}", "11{{x}}"),
        ("${{x}}", "$1"),
        ("{{braces}}", "{{x}} ${x}"),
    ],
)
def test_fill_with_dollar(text: str, expected: str) -> None:
    assert fill(text, scope, dollar=True) == expected
    assert check_text(text, dollar=True) == []


@pytest.mark.parametrize(
    ("text", "dollar", "expected"),
    [
        ("{{x}}", False, 1),
        ("{{items}}", False, [1, "b", None]),
        ("{{nothing}}", False, None),
        ("{{multiply(30000, 2)}}", False, 60000),
        (" {{x}}", False, " 1"),
        ("{{x}}{{x}}", False, "11"),
        ("plain", False, "plain"),
        (r"\{{x}}", False, "{{x}}"),
        ("${x}", False, "${x}"),
        ("${x}", True, 1),
        ("${config}", True, {"dir": "/d", "deep": {"n": 2.0}}),
        ("${HOME}", True, "${HOME}"),
        ("${env.CI == 'true'}", True, True),
        ("${env.NOPE == 'true'}", True, False),
        ("${env.NOPE:-3}", True, "3"),
        ("v${env.NOPE}", True, "v${env.NOPE}"),
    ],
)
def test_value_of(text: str, dollar: bool, expected: Value) -> None:
    found = value_of(text, scope, dollar=dollar)
    assert found == expected
    assert type(found) is type(expected)


def test_unset_environment_in_a_typed_field_is_unresolved() -> None:
    with pytest.raises(Unresolved, match=r"`env.NOPE` has no value"):
        value_of("${env.NOPE}", scope, dollar=True)


def test_values_are_filled_in_all_the_way_down() -> None:
    said: Value = {"a": ["{{items}}", {"{{x}}": "{{x}}!"}], "b": "{{braces}}", "c": 5, "d": None, "e": r"\{{x}}"}
    assert value_in(said, scope) == {
        "a": [[1, "b", None], {"{{x}}": "1!"}],
        "b": "{{x}} ${x}",
        "c": 5,
        "d": None,
        "e": "{{x}}",
    }
    assert value_in(["${x}", "${nope}"], scope, dollar=True) == [1, "${nope}"]
    assert value_in(["{{nope}}"], scope, lenient=True) == [""]
    with pytest.raises(Unresolved):
        value_in({"a": ["{{nope}}"]}, scope)


def test_a_value_cannot_bring_without_end() -> None:
    big = Values(variables={"big": "x" * (MAX_TEXT - 1)})
    assert value_in(["{{big}}"] * (BUDGET // MAX_TEXT), big)
    with pytest.raises(ExpressionError, match="the references bring too much text"):
        value_in(["{{big}}"] * (BUDGET // MAX_TEXT + 1), big)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{if(failure(), 'a', 'b')}}", True),
        ("a {{x}} {{not always()}}", True),
        ("{{x}} success()", False),
        ("failure()", False),
        ("{{upper(}}", False),
    ],
)
def test_texts_that_ask_how_it_went(text: str, expected: bool) -> None:
    assert asks_status(text) is expected


def test_names_of_one_step_come_first() -> None:
    here = scope._replace(
        locals={"matrix": {"os": "linux"}, "item": {"name": "a"}, "index": 2, "name": "local", "env": 1}
    )
    assert fill("{{matrix.os}} {{item.name}} {{index}} {{name}} {{variables.name}}", here) == "linux a 2 local world"
    assert value_of("{{matrix}}", here) == {"os": "linux"}
    assert value_of("{{steps.build.exitCode}}", here) == 0
    with pytest.raises(Unresolved) as caught:
        fill("{{matrix.oss}}", here)
    assert caught.value.help == "did you mean `matrix.os`?"
    with pytest.raises(Unresolved) as caught:
        fill("{{matrx.os}}", here)
    assert caught.value.help == "did you mean `matrix`?"


def test_strict_and_lenient() -> None:
    with pytest.raises(Unresolved) as caught:
        fill("rm -rf {{dir}}/", scope)
    assert caught.value.offset == 9
    assert fill("a{{dir}}b", scope, lenient=True) == "ab"
    assert value_of("{{dir}}", scope, lenient=True) == ""


@pytest.mark.parametrize(
    ("text", "offsets"),
    [
        ("{{x}} {{}} {{x y}} {{x}} {{uper(x)}}", [8, 15, 27]),
        ("a {{json .}} b", [10]),
        ("{{x {{x}}", [4]),
        ("{{'x}} {{x}}", [2]),
    ],
)
def test_every_mistake_is_found_where_it_stands(text: str, offsets: list[int]) -> None:
    problems = check_text(text)
    assert [problem.offset for problem in problems] == offsets
    assert r"write `\{{`" in (problems[0].help or "")
    with pytest.raises(ExpressionError) as caught:
        fill(text, scope)
    assert (caught.value.message, caught.value.offset) == (problems[0].message, offsets[0])


def test_mistakes_in_dollar() -> None:
    assert [problem.offset for problem in check_text("${env.CI ==} ${env.CI = 'x'} ${HOME =}", dollar=True)] == [11, 22]
    assert check_text("${env.CI ==}") == []


def test_references_of_a_text() -> None:
    text = r"{{a.b}} \{{c}} {{d 'x{{upper(steps.e-1.output[0])}}'}} {{f('{{g}}')}} {{upper('{{h}}')}}"
    assert text_references(text) == {("a", "b"), ("h",)}
    dollar = "${x} ${HOME} ${env.CI} ${env.A:-b} ${env.B == c} {{d}}"
    assert text_references(dollar, dollar=True) == {("env", "CI"), ("env", "A"), ("env", "B"), ("c",), ("d",)}
    assert ("variables", "x") in text_references(dollar, dollar=True, declared={"x"})
    assert text_references(dollar) == {("d",)}


def test_spans_of_references() -> None:
    text = "a {{x}} ${env.CI} \\{{y}} {{bad bad}} ${HOME} {{z"
    assert [text[start:end] for start, end in reference_spans(text, dollar=True)] == [
        "{{x}}",
        "${env.CI}",
        "{{bad bad}}",
    ]


def test_has_reference_is_quick_and_may_err_on_the_safe_side() -> None:
    assert has_reference("a{{") and has_reference("${", dollar=True)
    assert not has_reference("${a}") and not has_reference("{ {", dollar=True)


def test_depth_and_size_are_bounded() -> None:
    deep = "{{x}}"
    for _ in range(10):
        deep = "{{'" + deep.replace("'", '"') + "'}}" if "'" not in deep else "{{ " + deep + " }}"
    with pytest.raises(ExpressionError, match=r"maximum interpolation depth \(10\) exceeded"):
        fill(deep, scope)
    large = Values(variables={"a": "x" * (MAX_TEXT - 1)})
    assert len(fill("{{a}}" + "y" * 100, large)) == MAX_TEXT + 99
    with pytest.raises(ExpressionError, match="longer than 1 MiB"):
        fill("{{a}}{{a}}", large)


@pytest.mark.parametrize(
    "unit", ["{{", "{{'", "{{'}}", '{{"{{', "{{x}}", "{{x ", "}}{{(", "${", "${env.", "\\{{", "$${"]
)
def test_long_hostile_texts_end(unit: str) -> None:
    text = unit * 20_000
    assert len(check_text(text, dollar=True)) <= 20
    for _ in (reference_spans(text, dollar=True), text_references(text, dollar=True)):
        pass


_bits = st.sampled_from(
    [
        "{{",
        "}}",
        "{",
        "}",
        "\\",
        "'",
        '"',
        "x",
        "name",
        " ",
        "${",
        "$",
        "env.",
        "CI",
        ":-",
        "==",
        "$(",
        ")",
        "`",
        "\n",
        "<<E",
        *("E", "#", "items[0]", ".", "case", "esac", "((", "))", "<<'E'", "$'"),
    ]
)
_texts = st.lists(_bits, max_size=30).map("".join)


@settings(max_examples=500, deadline=None)
@given(_texts, st.booleans())
@example("{{'", False)
@example("cat <<E\n{{x}}\nE\n{{x}}'{{x}}'", False)
@example("\\${x}", True)
def test_any_text_is_filled_or_refused(text: str, dollar: bool) -> None:
    problems = check_text(text, dollar)
    for form in (fill, value_of, fill_shell):
        try:
            form(text, scope, dollar=dollar)
        except ExpressionError as problem:
            assert 0 <= problem.offset <= len(text)
            assert (
                problems or problem.offset in [p.offset for p in check_shell(text, dollar)] or "number" in str(problem)
            )
        except Unresolved as problem:
            assert problem.path
        else:
            assert not problems


@given(st.text())
def test_text_without_references_is_unchanged(text: str) -> None:
    plain = text.replace("{{", "{").replace("${", "$")
    assert fill(plain, scope, dollar=True) == plain
    assert value_of(plain, scope, dollar=True) == plain
    assert fill_shell(plain, scope, dollar=True) == (plain, {})


@given(st.text(), st.text())
def test_a_value_is_put_in_as_it_is(before: str, value: str) -> None:
    plain = before.replace("{", "").replace("\\", "")
    assert fill(f"{plain}{{{{v}}}}", Values(variables={"v": value})) == plain + value


# --- shell text: what a real shell makes of it -------------------------------------------------------------

shells = [path for path in ("/bin/sh", shutil.which("bash")) if path]
hostile = [
    "",
    " ",
    "a b",
    "; echo INJECTED",
    "$(echo INJECTED)",
    "`echo INJECTED`",
    "$HOME ${HOME}",
    "'; echo INJECTED; '",
    '"; echo INJECTED; "',
    "*",
    "/*",
    "[a-z]?",
    "~",
    "-n",
    "\\",
    "a\\nb\\",
    "line\nbreak",
    "\nE\necho INJECTED",
    "\tTab\t",
    "} | echo INJECTED",
    "{{x}} ${x}",
    "#comment",
    "é→✓",
    "a[$(echo INJECTED >&2)]",
    "&& echo INJECTED",
]
# Each prints, between `<` and `>`, one word that must be the value itself.
places = {
    "bare": "printf '<%s>' {{v}}",
    "double": 'printf "<%s>" "{{v}}"',
    "single": "printf '<%s>' '{{v}}'",
    "joined": 'printf "<%s>" ""{{v}}\'\'',
    "assigned": 'y={{v}}; printf "<%s>" "$y"',
    "exported": 'export Y={{v}}; printf "<%s>" "$Y"',
    "nested": 'printf "<%s>" "$(printf "%s." {{v}})" | sed \'$s/\\.>$/>/\'',
    "nested in double quotes": 'y="$(printf "%s." "{{v}}")"; printf "<%s>" "${y%.}"',
    "backticks": 'y=`printf "%s." {{v}}`; printf "<%s>" "${y%.}"',
    "backticks in double quotes": 'y="`printf %s. {{v}}`"; printf "<%s>" "${y%.}"',
    "default": 'unset y; printf "<%s>" ${y:-{{v}}}',
    "default in double quotes": 'unset y; printf "<%s>" "${y:-{{v}}}"',
    "pattern": 'y={{v}}; z="$y"; printf "<%s>" "$y${z#{{v}}}"',
    "pattern in brackets": 'case {{v}} in "") printf "<>";; {{v}}) printf "<%s>" {{v}};; esac',
    "case in substitution": 'y="$(case a in a) printf %s. {{v}};; esac)"; printf "<%s>" "${y%.}"',
    "after a comment": "# it's {{v}} \"\nprintf '<%s>' {{v}}",
    "after an escape": "printf '<%s>' \\\n{{v}}",
    "after an escaped quote": "printf '<%s>' \"\"{{v}} # \\' \\\"",
    "after a quote in quotes": "true \"it's\" 'say \"' \\\" ; printf '<%s>' {{v}}",
    "here-document": "y=$(cat <<E\n{{v}}.\nE\n); printf '<%s>' \"${y%.}\"",
    "after a here-document": "cat <<'E' >/dev/null\nit's \"\nE\nprintf '<%s>' {{v}}",
    "after two here-documents": "cat <<A - <<-\"B\" >/dev/null\n'\nA\n\t\"\n\tB\nprintf '<%s>' {{v}}",
    "substitution in a here-document": "cat <<E\n$(printf '<%s>' {{v}})E\nE",
    "subshell": "(printf '<%s>' {{v}})",
    "function": 'f() { printf "<%s>" "$1"; }; f {{v}}',
    "loop": 'for y in {{v}}; do printf "<%s>" "$y"; done',
    "hash in a word": "y=a#'b'; printf '<%s>' {{v}}",
    "after arithmetic": "y=$(( (1 + 2) * 3 )); printf '<%s>' {{v}}",
    "nested subshells": "( (true); printf '<%s>' {{v}})",
}


def run_shell(shell: str, text: str, env: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [shell, "-e", "-c", text],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **env},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=20,
    )
    return done.stdout.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("shell", shells)
@pytest.mark.parametrize("place", places)
def test_a_shell_gets_exactly_the_value(place: str, shell: str, tmp_path: Path) -> None:
    (tmp_path / "file a").touch()
    lines: list[str] = []
    env: dict[str, str] = {}
    expected = ""
    for n, value in enumerate(hostile):
        script, refs = fill_shell(places[place], Values(variables={"v": value}), prefix=f"REF{n}_")
        assert "INJECTED" not in script
        lines.append(f"(\n{script}\n); printf '|'")
        env |= refs
        expected += "<" + value + ">" + ("E\n" if place == "substitution in a here-document" else "") + "|"
    assert run_shell(shell, "\n".join(lines), env, tmp_path) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["file a"]


_no_nul = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["{{v%d}}", '"{{v%d}}"', "'{{v%d}}'", "a{{v%d}}b"]), _no_nul), max_size=6))
def test_a_shell_prints_exactly_the_values(words: list[tuple[str, str]]) -> None:
    names = Values(variables={f"v{n}": value for n, (_, value) in enumerate(words)})
    text = "printf '<%s>' " + " ".join(form % n for n, (form, _) in enumerate(words))
    script, refs = fill_shell(text, names)
    expected = "".join("<" + ("a" + value + "b" if form[0] == "a" else value) + ">" for form, value in words) or "<>"
    assert run_shell("/bin/sh", script, refs, Path("/")) == expected


def test_equal_values_share_a_variable() -> None:
    script, refs = fill_shell("echo {{x}} '{{x}}' {{name}}", scope, prefix="R")
    assert script == 'echo "${R1}" \'\'"${R1}"\'\' "${R2}"'
    assert refs == {"R1": "1", "R2": "world"}


def test_dollar_in_shell_text() -> None:
    script, refs = fill_shell("echo ${x} \"${HOME}\" \\${x} '${name}' $${x} ${env.NOPE:-d}", scope, dollar=True)
    assert script == ('echo "${STEPWAVE_REF_1}" "${HOME}" \\${x} \'\'"${STEPWAVE_REF_2}"\'\' ${x} "${STEPWAVE_REF_3}"')
    assert refs == {"STEPWAVE_REF_1": "1", "STEPWAVE_REF_2": "world", "STEPWAVE_REF_3": "d"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat <<'E'\n{{x}}\nE", "a here-document with a quoted delimiter expands nothing"),
        ("cat <<\\E\na\n{{x}}\nE", "a here-document with a quoted delimiter expands nothing"),
        ("echo $'{{x}}'", "a reference cannot stand in $'…'"),
        ("echo ${{x}}", "a reference cannot stand right after `$`"),
    ],
)
def test_where_nothing_can_be_put(text: str, message: str) -> None:
    offset = text.index("{{")
    with pytest.raises(ExpressionError, match=re.escape(message)) as caught:
        fill_shell(text, scope)
    assert caught.value.offset == offset
    assert [(problem.offset, problem.message) for problem in check_shell(text)] == [(offset, caught.value.message)]


@pytest.mark.parametrize(
    "text",
    [
        "echo $(( {{v}} + 1 ))",
        'echo "$(( ({{v}}) + 1 ))"',
        "echo $(( ${y:-{{v}}} ))",
        "(( {{v}} > 1 ))",
        "echo ${a[{{v}}]}",
        'echo "${a["{{v}}"]}"',
        "echo ${y:{{v}}}",
        "a[{{v}}]=1",
        "[[ {{v}} -eq 1 ]]",
        '[[ "{{v}}" -gt 1 ]]',
        "[[ 1 -lt {{v}} ]]",
        "[ 1 -ne '{{v}}' ]",
    ],
)
def test_where_the_shell_does_arithmetic_only_numbers_are_let_in(text: str) -> None:
    script, refs = fill_shell(text, Values(variables={"v": 42}))
    assert "${STEPWAVE_REF_1}" in script and refs == {"STEPWAVE_REF_1": "42"}
    with pytest.raises(ExpressionError, match="the value must be a whole number here"):
        fill_shell(text, Values(variables={"v": "a[$(touch x)]"}))


def test_arithmetic_works() -> None:
    script, refs = fill_shell('echo "$(( {{v}} * 2 ))" $(({{v}}+1))', Values(variables={"v": 21}))
    assert run_shell("/bin/sh", script, refs, Path("/")) == "42 22\n"


@pytest.mark.parametrize("value", ["a\0b", "\ud800", "x" * 130_000])
def test_values_that_no_variable_can_hold(value: str) -> None:
    with pytest.raises(ExpressionError, match="variable"):
        fill_shell("echo {{v}}", Values(variables={"v": value}))


def test_shell_text_cannot_hold_a_nul() -> None:
    with pytest.raises(ExpressionError, match="NUL"):
        fill_shell("echo \0 {{x}}", scope)


def test_the_texts_of_real_files_can_be_read() -> None:
    folder = Path(__file__).resolve().parents[2] / "../shared/data/workflows"
    files = [path for path in sorted(folder.rglob("*.*")) if path.suffix in (".yaml", ".yml", ".json")]
    if not files:
        pytest.skip("the collected files are not here")
    texts = [
        line for path in files for line in path.read_text("utf-8").splitlines() if has_reference(line, dollar=True)
    ]
    problems = {text: check_text(text, dollar=True) for text in texts}
    assert {text: [str(p) for p in found] for text, found in problems.items() if found} == {}
    assert len(texts) > 20


def test_a_value_that_a_variable_holds_already_is_read_from_there() -> None:
    scope = Values(variables={"a": "s3cret", "b": "other", "c": "s3cret"})
    held = {"s3cret": "TOKEN"}
    assert fill_shell("x {{a}} {{b}} '{{c}}'", scope, held=held) == (
        'x "${TOKEN}" "${STEPWAVE_REF_2}" \'\'"${TOKEN}"\'\'',
        {"STEPWAVE_REF_2": "other"},
    )
    for text in ("echo $TOKEN {{a}}", "echo ${TOKEN}{{a}}", "echo {{a}}"):
        assert fill_shell(text, scope, held=held)[1] == {}
    for text in (
        "TOKEN=x; echo {{a}}",
        "read TOKEN; echo {{a}}",
        "echo ${TOKEN:=x} {{a}}",
        "for TOKEN in 1; do echo {{a}}",
    ):
        filled, names = fill_shell(text, scope, held=held)
        assert names == {"STEPWAVE_REF_1": "s3cret"}, filled
