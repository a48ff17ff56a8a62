"""Whatever a source holds: a workflow, or a diagnostic that says why not; in bounded time."""

# ruff: noqa: E501 - files as they are, one after the other

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.building.build import Inputs, build
from stepwave.core.importing.kinds import Imported, Kind, kind_of
from stepwave.core.reading.document import Syntax
from stepwave.core.reading.parse import parse
from tests.core.importing.folder import imported

NAMES = {
    Kind.MAKE: "Makefile",
    Kind.TASK: "Taskfile.yml",
    Kind.JUST: "justfile",
    Kind.NPM: "package.json",
    Kind.GITHUB: ".github/workflows/ci.yml",
}
PATIENCE_S = 60
"""A bound and no measurement: what runs away takes hours, or all memory."""


def check(made: Imported) -> Imported:
    """Valid, or refused with a reason."""
    if made.text is None:
        assert len(made.findings) == 1 and made.findings[0].help != ""
        return made
    assert not made.findings
    document, found = parse(made.text.encode("utf-8", "surrogatepass"), "w.yaml", Syntax.YAML)
    assert document is not None, (found[:3], made.text[:2000])
    workflow, wrong = build(document, Inputs())
    errors = [one for one in wrong if one.severity.value == "error"]
    assert workflow is not None and not errors, (errors[:3], made.text[:2000])
    return made


makes = [
    "a:\n\techo $(", "a: $(B\n\ttrue", "define A\n", "ifeq (a,b)\na:\n", "endif\n", "else\n", "ifeq (a\na:\nendif", "A = $(A)\na:\n\t$(A)",
    "A := $(A)x\nB = $(C)\nC = $(B)\na:\n\t$(B)$(A)", "a: b\nb: a\n\ttrue\na:\n\ttrue", "a: a\n\ttrue", ": b\n\ttrue", "a", "\tfoo", "%: %\n\ttrue\na: b",
    "include Makefile\na:\n\ttrue", "include a.mk\na:\n\ttrue", "$(eval $(eval $(eval a:;true)))", "define E\n$(eval $(E))\nendef\n$(E)\na:;true",
    "E = $(eval $(E))\n$(E)\na:;true", "a: | | |\n\ttrue", "a:: b\n\ttrue\na::\n\tfalse", "a b &: c\n\ttrue", "a: ; @-+true", "a:\n\t@\n\t-\n\n\t+",
    "x%y%z: %\n\ttrue\nall: xqy%z", "a(b.o): c\n\ttrue", "a: A += b\na: A := c\na: export B = d\na:\n\t$(A)$(B)", "export\nA=1\na:\n\ttrue", "a: 'b\n\techo '",
    ".ONESHELL:\na:\n\tcd /\n\tpwd", "SHELL = /bin/bash\n.SHELLFLAGS = -eu -c\na:\n\t[[ a ]]\n\techo {{a}}", "a:\n\techo \\", "a: \\", "\\", "a:\n\t\\\n",
    "$(foreach x,a b,$(foreach y,1 2,$(eval t-$(x)-$(y):;true)))", "a: $$(b)\n\ttrue", ".SECONDEXPANSION:\na: $$@.c\n\ttrue", "vpath %.c src\na.o: a.c\n\tcc",
    "a: b c\n.c.o:\n\tcc\n.SUFFIXES:\nb c:", "$(A):\n\ttrue", "a: $(shell ls)\n\ttrue", "$(shell echo a): b\n\ttrue", "ifdef A B\nendif", "A B = c", "a:\n\t$(call ,)$(call x)",
    "a:\n\t$(word x,y)$(word 0,a)$(wordlist 1)$(subst)$(if)$(or)$(and)$(foreach)$(call)$(eval)$(value)$(origin)$(wildcard)$(error)",
]  # fmt: skip
others = {
    Kind.TASK: [
        "version: '3'\ntasks: {a: {deps: [a]}}", "version: '3'\ntasks: {a: {cmds: [{task: b}]}, b: [{task: a}]}", "tasks: []", "version: 2\ntasks: {a: b}", "[]", "version: 3",
        "version: 3\ntasks: {a: {cmds: ['{{.A']}}", "version: 3\ntasks: {a: {cmds: ['{{if}}', '{{end}}', '{{range .}}{{end}}', '{{else}}']}}", "version: 3\ntasks: {a: {deps: [b]}}",
        "version: 3\nvars: {A: '{{.B}}', B: '{{.A}}'}\ntasks: {a: 'echo {{.A}}{{.B}}'}", "version: 3\nincludes: {x: Taskfile.yml, y: {taskfile: 'https://x/y'}, z: }\ntasks: {a: x}",
        "version: 3\ntasks: {a: {cmds: [{for: {var: X}, cmd: 'x'}, {for: [1, {a: b}], task: a}, {for: sources, cmd: y}, 5, null, {}, []]}}", "version: 3\ntasks: {a: , b: 5, c: [], d: {}}",
        "version: 3\ntasks: {a: {cmds: [{for: {matrix: {A: [1, 2], B: [x]}}, cmd: 'echo {{.ITEM.A}}{{.ITEM.B}}'}, {defer: x}, {defer: {task: a}}]}}", "version: 3\ntasks: {a: {dir: '{{.X}}', cmds: [x]}}",
        "version: 3\nenv: {A: {sh: date}, B: [1], 'C D': x}\ntasks: {a: 'x'}", "version: 3\ntasks: {a: {vars: {A: {sh: x}}, sources: ['{{.A}}'], cmds: [y]}}", "version: 3\ntasks: {a: {requires: {vars: [X]}, cmds: [x]}}",
    ],
    Kind.JUST: [
        "a:\n  {{", "a:\n  {{ b }}", "a: a\n", "a: b\nb: a\n", "a b:\n  x", "a +b='' *c:\n  {{b}}{{c}}", "a := a\nb:\n  {{a}}", "x", "  x", "a:\n  #!/bin/foo\n  x", "a:\n  #!\n", "set x\n", "set shell := ['a'\nb:\n c",
        "[", "[private]\n", "a := '''", 'a := "\\q"\nb:\n {{a}}', "a := if b == c { d }\nb:\n {{a}}", "a: (b c d) && (e)\nb x y:\nc:\n", "import 'justfile'\na:\n x", "import 'a.just'\na:\n x", "mod x\na:\n x", "alias a := b\n", "alias a := a\na:\n x",
        "a := `x` + `y`\nb:\n if {{a}} '{{a}}' $'{{a}}'", "a:\n {{{{}}", "a:\n  {{ 'x' + if 'a' == 'b' { 'c' } else if 'd' =~ '[' { 'e' } else { 'f' } }}", "a:\n  @-@x\n  -\n  @\n", "export A := `b`\na:\n  x", "a:\n  {{env('X')}}{{env_var_or_default('Y', '}')}}",
        "[script('python3')]\na:\n  {{`x`}}", "[script]\na:\n  x", "a x=`date`:\n  {{x}}", "set export\nset dotenv-load\nA := 'b'\nc d='e':\n  x",
    ],
    Kind.NPM: [
        "{}", '{"scripts": {}}', '{"scripts": []}', '{"scripts": {"a": 1}}', "[]", "{", '{"scripts": {"a": "npm run a"}}', '{"scripts": {"a": "npm run b", "b": "npm run a && npm run a"}}', '{"scripts": {"a": "run-p a b", "b": "\'"}}',
        '{"scripts": {"a": "npm-run-all -p *"}}', '{"scripts": {"a": "concurrently \\"npm:*\\" -k"}}', '{"name": "{{x}}", "scripts": {"{{a}}": "echo ${{x}} {{y}}"}}', '{"scripts": {"": "x", " ": "y"}}', '{"scripts": {"a": "echo $npm_package_x_y $npm_config_z"}}',
    ],
    Kind.GITHUB: [
        "jobs: {}", "jobs: []", "jobs: {a: {}}", "jobs: {a: }", "jobs: {a: {steps: [{}]}}", "jobs: {a: {needs: a, steps: [{run: x}]}}", "jobs: {a: {needs: b}}", "jobs: {a: {needs: [b]}, b: {needs: a}}", "jobs: {a: {steps: [{run: '${{'}, {run: '}}'}, {run: ''}, {run: }, {run: [x]}]}}",
        "jobs: {a: {strategy: {matrix: '${{ x }}'}, steps: [{run: 'echo ${{ matrix.x }}'}]}}", "jobs: {a: {strategy: {matrix: {a: [], b: [{c: d}]}}, steps: [{run: x}]}}", "jobs: {a: {strategy: {matrix: {a: [1, 2], include: [{b: 3}, {a: 1, b: 4}], exclude: [{a: 9}, {}]}}, steps: [{run: 'echo ${{ matrix.b }}'}]}}",
        "jobs: {a: {if: '', steps: [{run: x, if: '${{ a && }}'}, {run: y, if: true}, {run: z, if: 5}]}}", "jobs: {a: {steps: [{run: 'x ${{ secrets.A }} ${{ github.token }}', env: {B: '${{ secrets.B }}', A: '${{ secrets.A }}', 'C D': '${{ 5 }}'}}]}}",
        "jobs: {a: {strategy: {matrix: {a: [x y, \"'\", '$(b)']}}, steps: [{run: \"echo '${{ matrix.a }}' ${{ matrix.a }}\"}]}}", "jobs: {a: {steps: [{run: \"cat <<'E'\\n${{ env.X }}\\nE\"}, {run: x, shell: 'perl {0}'}, {run: x, shell: pwsh}, {run: '${{ env.X }}', shell: python}]}}",
        "jobs: {a: {timeout-minutes: '${{ 5 }}', continue-on-error: '${{ x }}', steps: [{run: x, timeout-minutes: 0.5, continue-on-error: maybe, working-directory: '${{ env.D }}'}]}}", "jobs: {'a b': {name: '${{ x }}', steps: [{run: x, name: '{{x}} ${{ y }}', id: 'q r'}]}}",
    ],
}  # fmt: skip


@pytest.mark.parametrize("text", makes)
def test_odd_makefiles(text: str) -> None:
    check(imported(text, files={"a.mk": "include a.mk b.mk\nx:;true", "b.mk": "include a.mk", "Makefile": text}))


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in others.items() for text in texts])
def test_odd_files(kind: Kind, text: str) -> None:
    files = {"Taskfile.yml": text, "justfile": text, "a.just": "import 'a.just'\nimport 'b.just'\n", "b.just": "x:\n"}
    check(imported(text, NAMES[kind], kind=kind, files=files))


scraps = st.lists(
    st.sampled_from([
        "a", "b", ":", "::", "=", ":=", "+=", "\n", "\n\t", "\n  ", "$(", ")", "${", "}", "{{", "}}", "${{", "$$", "$@", "$^", "%", "|", "#", "\\", "'", '"', "`", ",", " ", "- ", ": ", "[", "]", "{", "}", "&&", "ifeq (", "endif", "else", "define ", "endef",
        "include ", "tasks:", "version: 3", "cmds:", "deps:", "jobs:", "steps:", "run: ", "needs: ", "if: ", "matrix:", "scripts", "set shell := ", "alias ", "(", "shell x", "foreach x,a b,", "eval ", "call x,", "é", "\x85", "\x1b[0m", "true", "5",
    ]),
    max_size=40,
).map("".join)  # fmt: skip


@given(scraps, st.sampled_from(Kind))
def test_scraps(text: str, kind: Kind) -> None:
    check(imported(text, NAMES[kind], kind=kind, files={"a": "b:\n\ttrue", "a.mk": text}))


@given(st.binary(max_size=200), st.sampled_from(Kind))
def test_bytes(data: bytes, kind: Kind) -> None:
    check(imported(data, NAMES[kind], kind=kind))


LONG = 100_000
huge = {
    "a long line": (Kind.MAKE, "a: " + "b " * (LONG // 2) + "\n\ttrue"),
    "a long recipe": (Kind.MAKE, "a:\n\techo " + "$(X)'" * (LONG // 5)),
    "open brackets": (Kind.MAKE, "A = " + "$(" * (LONG // 2)),
    "nested brackets": (Kind.MAKE, "A := " + "$(" * 10_000 + ")" * 10_000),
    "doubled": (Kind.MAKE, "A0 = x\n" + "".join(f"A{n + 1} = $(A{n})$(A{n})\n" for n in range(60)) + "a:\n\t$(A60)"),
    "substituted": (Kind.MAKE, f"A := $(subst x,{'y' * 20000},{'x' * 20000})\nB := $(subst y,$(A),$(A))\na:\n\t$(B)"),
    "prefixed": (Kind.MAKE, f"A := $(addprefix {'p' * 9999},{'x ' * 9999})\na:\n\t$(addprefix $(A),$(A))"),
    "looped": (Kind.MAKE, "L := " + "a " * 500 + "\nX := $(foreach a,$(L),$(foreach b,$(L),$(foreach c,$(L),y)))\na:;true"),
    "a long chain": (Kind.MAKE, "all: a1500\na0:\n\ttrue\n" + "".join(f"a{n + 1}: a{n}\n\ttrue\n" for n in range(1_500))),
    "all need all": (Kind.MAKE, "all: " + " ".join(f"a{n}" for n in range(1000)) + "\n" + "".join(f"a{n}: {' '.join(f'b{m}' for m in range(100))}\n" for n in range(1000))),
    "many patterns": (Kind.MAKE, "".join(f"%.{n}: %.{n + 1}\n\ttrue\n" for n in range(500)) + "all: " + " ".join(f"x{n}.0" for n in range(500))),
    "many conditions": (Kind.MAKE, "ifdef A\n" * 20_000 + "endif\n" * 20_000 + "a:;true"),
    "many assignments": (Kind.MAKE, "A += x\n" * 60_000 + "a:\n\techo $(A)"),
    "continued": (Kind.MAKE, "a: b \\\n" * 50_000),
    "stars": (Kind.MAKE, "A := $(wildcard " + "*" * 10_000 + ")\na:;true"),
    "deep templates": (Kind.TASK, "version: 3\ntasks: {a: '" + "{{if 1}}" * 20_000 + "'}"),
    "nested ranges": (Kind.TASK, "version: 3\nvars: {L: [" + "1, " * 300 + "1]}\ntasks: {a: '" + "{{range .L}}" * 6 + "x" + "{{end}}" * 6 + "'}"),
    "looped tasks": (Kind.TASK, "version: 3\ntasks: {a: {cmds: [{for: {matrix: {" + ", ".join(f"A{n}: [1, 2, 3, 4]" for n in range(12)) + "}}, cmd: x}]}}"),
    "doubled tasks": (Kind.TASK, "version: 3\ntasks:\n  a0: x\n" + "".join(f"  a{n + 1}: {{cmds: [{{task: a{n}}}, {{task: a{n}}}]}}\n" for n in range(40)) + "  default: [{task: a40}]\n"),
    "doubled texts": (Kind.TASK, "version: 3\nvars:\n  A0: xxxxxxxxxx\n" + "".join(f"  A{n + 1}: '{{{{.A{n}}}}}{{{{.A{n}}}}}'\n" for n in range(40)) + "tasks: {a: 'echo {{.A40}}'}"),
    "doubled recipes": (Kind.JUST, "a40:\n" + "".join(f"a{n}: && a{n + 1} a{n + 1}\n" for n in range(39, -1, -1)) + "\n"),
    "deep just": (Kind.JUST, "a := " + "(" * 50_000 + "\nb:\n  {{a}}"),
    "open text": (Kind.JUST, "a := '''" + "x\n" * 200_000),
    "many quotes": (Kind.JUST, 'a := """' + '""" + """' * 50_000 + "\nb:\n  {{a}}"),
    "doubled variables": (Kind.JUST, "a0 := 'xxxxxxxx'\n" + "".join(f"a{n + 1} := a{n} + a{n}\n" for n in range(40)) + "b:\n  {{a40}}"),
    "doubled scripts": (Kind.NPM, '{"scripts": {' + "".join(f'"a{n}": "npm run a{n + 1} && npm run a{n + 1}", ' for n in range(40)) + '"a40": "true"}}'),
    "a long script": (Kind.NPM, '{"scripts": {"a": "' + "npm run b && " * 11_000 + 'true", "b": "x"}}'),
    "a long expression": (Kind.GITHUB, "jobs: {a: {steps: [{run: x, if: '" + "(" * LONG + "'}]}}"),
    "many expressions": (Kind.GITHUB, "jobs: {a: {steps: [{run: '" + "${{ github.sha }} ${{ x }}" * 20_000 + "'}]}}"),
    "many open ones": (Kind.GITHUB, "jobs: {a: {steps: [{run: '" + "${{ a " * 50_000 + "'}]}}"),
    "jobs in a chain": (Kind.GITHUB, "jobs:\n" + "".join(f"  a{n}: {{needs: a{n + 1}, steps: [{{run: x}}]}}\n" for n in range(3000)) + "  a3000: {steps: [{run: x}]}\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", huge)
def test_huge_files(name: str) -> None:
    kind, text = huge[name]
    start = time.monotonic()
    check(imported(text, NAMES[kind], kind=kind, files={"Makefile": text}))
    assert time.monotonic() - start < PATIENCE_S


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty-file"),
        (b"a:\n\t\xff", "not-utf8"),
        (b"a:\n\t\0", "control-character"),
        ("a:\n\t\U000f0000".encode(), "control-character"),
        (b"x" * ((16 << 20) + 1), "file-too-large"),
        (b"what is this", "unknown-source"),
    ],
)
def test_what_is_no_text(data: bytes, code: str) -> None:
    assert [one.code for one in imported(data, "some.file").findings] == [code]


def test_kinds_are_told_by_name_and_content() -> None:
    assert {kind_of(name, "") for name in ("Makefile", "GNUmakefile", "x.mk", "sub/makefile")} == {Kind.MAKE}
    assert all(kind_of(name, "") is kind for kind, name in NAMES.items() if kind is not Kind.GITHUB)
    assert kind_of("x.yml", "on: push\njobs:\n  a:\n    runs-on: x\n") is Kind.GITHUB
    assert kind_of("x.yml", "version: '3'\ntasks:\n  a: x\n") is Kind.TASK
    assert kind_of("-", "a: b\n\ttrue\n") is Kind.MAKE
    assert kind_of("-", '{"scripts": {"a": "x"}}') is Kind.NPM
    assert kind_of("-", "version := '1'\na:\n  echo {{version}}\n") is Kind.JUST
    assert kind_of("x.yml", "name: x\n") is None


PLACES = ("/usr/share", "/usr/lib", "/usr/local/lib", "/usr/src")


def real_files() -> list[Path]:
    """Files of other people that are on this machine, a bounded number of each kind."""
    from itertools import islice

    patterns = (
        "*/Makefile",
        "*/*/Makefile",
        "*/*/*/Makefile",
        "*/*/*.mk",
        "*/*/*/package.json",
        "*/*/*/*/package.json",
    )
    return [path for place in PLACES for pattern in patterns for path in islice(Path(place).glob(pattern), 2)]


def test_real_files() -> None:
    from stepwave.importing import import_workflow

    found = real_files()
    if not found:
        pytest.skip("no Makefile and no package.json is installed here")
    for path in found:
        made, _ = import_workflow(str(path), source=None, wanted=(), values={}, output=None)
        assert re.fullmatch(
            "bad-source|cannot-read|empty-file", check(made).findings[0].code if made.findings else "bad-source"
        ), path
