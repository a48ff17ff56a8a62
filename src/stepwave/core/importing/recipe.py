"""Lines of which each is for a shell of its own, as one step: what make, just and npm do with their recipes.

Rule 1: what a line does to its shell (`cd`, a variable, `exit`) is gone in the next line.
Rule 2: the first line that fails ends the step with its exit code; one that is `ignored` does not.
Rule 3: within a line the shell goes on after a failure, as `sh -c` does. `run` says `sh -e -c`, so lines in which that
        makes a difference are written apart.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from stepwave.core.importing.flow import Yaml
from stepwave.core.importing.holes import Holes

SH = ("/bin/sh", "-c")
NOTHING: Mapping[str, Yaml] = {"type": "noop"}


class Line(NamedTuple):
    """Shell text, which may have holes. `ignored`: its failure is none. `deferred`: it runs in the end, whatever
    happened. `stays`: what it does to its shell is for the lines after it, and its text is ready as it is.
    """

    text: str
    ignored: bool = False
    deferred: bool = False
    stays: bool = False


class Form(Enum):
    EMPTY = "nothing is done"
    SIMPLE = "the same wherever it stands"
    LAST = "the same as the last line"
    COMPOUND = "in a shell of its own"
    ODD = "nobody knows where it ends"


_quoted = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""", re.DOTALL)
_nested = re.compile(r"\$\{[^{}\n]*\}|`[^`\n]*`|\$\([^()\n]*\)|\$\(\([^()\n]*\)\)")
_redirection = re.compile(r"[0-9]*[<>]+&[0-9-]*|&>>?")
_changes_shell = re.compile(
    r"\s*(?:[A-Za-z_]\w*\+?=|(?:cd|pushd|popd|exit|exec|export|unset|umask|ulimit|trap|alias|read|eval|shift|set|source"
    r"|local|wait|return|break|continue|readonly|getopts|command|builtin|hash|declare|typeset|\.)(?:\s|$))"
)
_reserved = re.compile(r"\s*(?:if|for|while|until|case|select|function|time|\{|!|\[\[)(?:\s|$)")


def form_of(text: str) -> Form:
    """What has to be minded when the line is written among others."""
    bare = _quoted.sub("q", text)
    for _ in range(4):
        bare = _nested.sub("q", bare)
    if not bare.strip() or bare.lstrip().startswith("#"):
        return Form.EMPTY if "\n" not in bare.strip() else Form.ODD
    if re.search(r"[\\'\"`\0]|<<", bare):
        return Form.ODD
    bare = _redirection.sub(" ", bare)
    joined = bare.replace("&&", " ").replace("||", " ")
    if re.search(r"[;&()\n#]", joined) or _reserved.match(bare) or re.search(r"(?:&&|\|\|?)\s*(?:!|\{)\s", bare):
        return Form.COMPOUND
    return Form.LAST if joined != bare or _changes_shell.match(bare) else Form.SIMPLE


def work_of(
    lines: Sequence[Line], holes: Holes, shell: tuple[str, ...] = SH, *, strict: bool = False
) -> Mapping[str, Yaml]:
    """The keys of a step that runs the lines. `strict`: within a line, too, the first failure ends it. Raises
    `holes.Unsayable`.
    """
    lines = [line for line in lines if line.stays or form_of(line.text) is not Form.EMPTY]
    if not lines:
        return NOTHING
    lines, before = with_fixed_folder(lines, holes)
    if len(lines) == 1 and not (lines[0].ignored or lines[0].stays or before):
        return _single(holes.script(lines[0].text.strip()), Form.LAST if strict else form_of(lines[0].text), shell)
    texts = [_among_others(line, n == len(lines) - 1, holes, shell, strict) for n, line in enumerate(lines)]
    script = "\n".join((*before, *texts))
    return {"run": script + "\n" if "\n" in script else script}


def with_fixed_folder(lines: Sequence[Line], holes: Holes) -> tuple[Sequence[Line], tuple[str, ...]]:
    """Where a line leaves the folder and speaks of it all the same, `$PWD` would be another one."""
    here = holes.variable("PWD")
    if not any(here in line.text and _leaves.search(line.text) for line in lines):
        return lines, ()
    fixed = holes.variable("HERE")
    return [line._replace(text=line.text.replace(here, fixed)) for line in lines], ('export HERE="$PWD"',)


_leaves = re.compile(r"(?<![\w-])(?:cd|pushd)\s")


def _single(script: str, form: Form, shell: tuple[str, ...]) -> Mapping[str, Yaml]:
    if shell != SH:
        return {"command": (*shell, script)}
    if form in (Form.SIMPLE, Form.LAST):
        return {"run": script + "\n" if "\n" in script else script}
    return {"shell": True, "command": script}


def _among_others(line: Line, is_last: bool, holes: Holes, shell: tuple[str, ...], strict: bool) -> str:
    if line.stays:
        return line.text
    form = form_of(line.text)
    script = holes.script(line.text.strip())
    suffix = " || true" if line.ignored else ""
    if shell != SH or form is Form.ODD:
        words = ("/bin/sh", "-e", "-c") if strict and shell == SH else shell
        return shlex.join(words) + " " + shlex.quote(script) + suffix
    if form is Form.SIMPLE or (form is Form.LAST and is_last and not line.ignored):
        return script + suffix
    return f"(\n{_indented(script, form is Form.COMPOUND and not (line.ignored or strict))}\n){suffix}"


def _indented(script: str, goes_on: bool) -> str:
    lines = (["set +e"] if goes_on else []) + [script]
    return "\n".join(f"  {line}" for line in lines)
