"""What a step executes: its command line or script, and the shell that reads it."""

import re
from collections.abc import Mapping as Map
from typing import NamedTuple

from stepwave.core.building import commands
from stepwave.core.building.commands import SH, SH_STRICT
from stepwave.core.building.fields import Found, Given, Reading, gather, is_missed, one, quoted, text, wrong_type
from stepwave.core.building.fields_many import arguments, template
from stepwave.core.model import Agent, Function, Stdin
from stepwave.core.reading.document import Mapping, Node, Scalar, Sequence, Span
from stepwave.core.reading.keys import Keys
from stepwave.core.text import one_line

Argv = tuple[str, ...]


class Work(NamedTuple):
    """The fields of a `Step` that say what is executed (see `stepwave.core.model`).

    `env`, `cwd`, `stdin` and `timeout_s` are what the step gets that does not say otherwise, where they are not None.
    """

    argv: Argv = ()
    script: str | None = None
    agent: Agent | None = None
    function: Function | None = None
    env: Map[str, str | None] | None = None
    cwd: str | None = None
    stdin: Stdin | None = None
    timeout_s: float | None = None
    success_pattern: str | None = None
    failure_pattern: str | None = None


nothing = Work()


class Shell(NamedTuple):
    """What `shell:` says: whether, and which."""

    wanted: bool
    name: str | None = None


# --- scripts ---------------------------------------------------------------------------------------------------------


def script_work(r: Reading, step: str, span: Span, found: Found, default: Shell | None) -> Work:
    """`run` is shell text; `command` words for the system, unless a shell is asked for or needed."""
    run, command, args = (found.get(name) for name in ("run", "command", "args"))
    shell = one(r, found, "shell", shell_choice)
    if run and (command or args):
        conflict_of_kinds(r, run, command or args or run)
        return nothing
    if run:
        return _run(r, step, found, shell, default)
    if command:
        return _command(r, step, found, shell, default)
    if is_missed(found, "run", "command"):
        message = f"step {quoted(step)} is a script, but has neither `command` nor `run`"
        r.error("missing-key", message, span)
    return nothing


def conflict_of_kinds(r: Reading, run: Given, other: Given) -> None:
    message = f"`{run.key}` is shell text of its own and cannot stand beside `{other.key}`"
    r.error("conflicting-keys", message, other.span, "take one away; `command` and `args` need no shell")


def shell_choice(r: Reading, given: Given) -> Shell | None:
    """true, false, or the command of a shell."""
    node = given.node
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return Shell(node.value)
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or node.value in ("true", "false"):
        wrong_type(r, given, "true, false or the name of a shell")
        return None
    name = text(r, given)
    if name is None or _shell(name) is not None:
        return None if name is None else Shell(True, name)
    r.error("bad-value", f"`{given.key}` is {quoted(node.value)}, which names no shell", node.span)
    return None


def _shell(name: str) -> tuple[Argv, bool] | None:
    try:
        return commands.shell_for(name)
    except ValueError:
        return None


def _run(r: Reading, step: str, found: Found, shell: Shell | None, default: Shell | None) -> Work:
    given = found["run"]
    script = one(r, found, "run", text)
    if script is None:
        return nothing
    if not script.strip():
        r.error("too-short", f"`{given.key}` must not be empty", given.node.span)
    if shell and not shell.wanted:
        conflict_of_kinds(r, given, found["shell"])
    chosen = shell or default
    return _in_shell(r, step, given.node, script, chosen.name if chosen else None, SH_STRICT)


def _in_shell(r: Reading, step: str, node: Node, script: str, name: str | None, plain: Argv) -> Work:
    """Script and shell. The quoting of an unknown shell is unknown: no reference can be handed over safely."""
    argv, safe = (_shell(name) if name else None) or (plain, True)
    if not safe and reference_spans(r, script):
        message = f"a reference cannot be put safely into text for {quoted(argv[0])}"
        r.error("unsafe-reference", message, node.span, "hand it over in `env:` and read it from there")
    template(r, step, script, node, shell=True)
    # The newline that ends a block scalar means nothing to a shell, and would stand in every command shown.
    return Work(argv=argv, script=script if script.endswith("\\\n") else script.removesuffix("\n"))


def _command(r: Reading, step: str, found: Found, shell: Shell | None, default: Shell | None) -> Work:
    given = found["command"]
    args = one(r, found, "args", lambda r, g: arguments(r, g, step)) or ()
    if isinstance(given.node, Sequence):
        return _argument_list(r, step, found, shell, args)
    line = one(r, found, "command", text)
    if line is None:
        return nothing
    line = line.strip()
    if not line:
        r.error("too-short", f"`{given.key}` must not be empty", given.node.span)
        return nothing
    if shell is None and default and not default.name and not args:
        shell = default
    if shell and shell.wanted:
        script = " ".join((line, *(commands.shell_word(arg, reference_spans(r, arg)) for arg in args)))
        return _in_shell(r, step, given.node, script, shell.name, SH)
    return _line(r, step, given, line, args, shell, default)


def _line(
    r: Reading, step: str, given: Given, line: str, args: Argv, shell: Shell | None, default: Shell | None
) -> Work:
    """A command without a shell; with one after all where it has shell syntax and nothing says that it has none."""
    spans = reference_spans(r, line)
    syntax = None if args or shell else commands.shell_syntax(line, spans)
    if syntax:
        known = _shell(default.name) if default and default.name else None
        name = default.name if default and known and known[1] else None
        message = f"`{given.key}` has shell syntax ({quoted(syntax)}), so it is given to {one_line(name or SH[0], 40)}"
        r.warning("implicit-shell", message, given.node.span, "write it as `run:`, or the words as `args:`")
        return _in_shell(r, step, given.node, line, name, SH)
    template(r, step, line, given.node)
    if args:
        if len(line.split()) > 1 and not spans:
            message = f"`{given.key}` holds blanks: with `args` all of it is the name of one program"
            r.warning("space-in-command", message, given.node.span, "move what follows the program to `args`")
        return Work(argv=(line, *args))
    try:
        return Work(argv=commands.split(line, spans))
    except ValueError as problem:
        message = f"`{given.key}` cannot be cut into words: {str(problem).lower()}"
        r.error("bad-value", message, given.node.span, "close the quote, or write the words as a list")
        return nothing


_escaped = re.compile(r"\\\{\{|\$\$\{")


def reference_spans(r: Reading, line: str) -> list[tuple[int, int]]:
    """What must stay in one piece: references, and escaped braces, whose sign `split` would eat."""
    if "{{" not in line and "${" not in line:
        return []
    from stepwave.core.language import interpolate

    spans = interpolate.reference_spans(line, r.dollar, r.scope.variables)
    within = {at for start, end in spans for at in range(start, end)}
    escaped = [match.span() for match in _escaped.finditer(line) if r.dollar or match[0] != "$${"]
    return sorted([*spans, *(span for span in escaped if span[0] not in within)])


def _argument_list(r: Reading, step: str, found: Found, shell: Shell | None, args: Argv) -> Work:
    given = found["command"]
    argv = one(r, found, "command", lambda r, g: arguments(r, g, step))
    if argv is not None and (not argv or not argv[0]):
        r.error("too-few-items", f"`{given.key}` names no program", given.node.span)
    if shell and shell.wanted:
        message = f"`{given.key}` is a list of arguments, which no shell reads"
        r.error("conflicting-keys", message, found["shell"].span, "write the command as text, or leave this out")
    return Work(argv=(*(argv or ()), *args))


# --- what it reads ---------------------------------------------------------------------------------------------------

_stdin = Keys("`stdin`", {"file": "file"})


def stdin_of(r: Reading, given: Given, step: str) -> Stdin | None:
    """Text, or `{file: path}`."""
    if isinstance(given.node, Mapping):
        inner: Found = {}
        gather(r, given.node, _stdin, inner, f"{given.key}.")
        path = one(r, inner, "file", text)
        if path is None:
            if is_missed(inner, "file"):
                r.error("missing-key", f"`{given.key}` needs a `file`, or text", given.span)
            return None
        template(r, step, path, inner["file"].node)
        return Stdin(path=path)
    value = text(r, given)
    if value is None:
        return None
    template(r, step, value, given.node)
    return Stdin(text=value)
