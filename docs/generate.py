"""Writes docs/cli.md from the program's own commands: `python docs/generate.py`. A test checks that it is current."""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent / "cli.md"

_head = """\
# Command line

<!-- Written by docs/generate.py from the program itself; do not edit. -->

`stepwave COMMAND --help` shows the same at the terminal. Results go to standard output, talk to standard error. The
[exit codes](running.md#exit-codes) are those of all commands.
"""


def command_line() -> str:
    """The whole page."""
    from typer.main import get_command

    from stepwave.cli.app import app

    root: Any = get_command(app)
    names = [f"[`stepwave {name}`](#stepwave-{name}): {_first_sentence(c)}" for name, c in root.commands.items()]
    parts = [_head, "\n".join(f"- {line}" for line in names) + "\n"]
    parts += ["\n".join(_command(name, command)) for name, command in root.commands.items()]
    parts.append("\n".join(_options_of_all(root)))
    return "\n".join(parts)


def _first_sentence(command: Any) -> str:
    return _help(command).split("\n")[0]


def _help(command: Any) -> str:
    return inspect.cleandoc(command.help or "")


def _command(name: str, command: Any) -> Iterator[str]:
    if hasattr(command, "commands"):
        yield from _group(name, command)
        return
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    yield f"{'###' if ' ' in name else '##'} stepwave {name}"
    yield ""
    yield "```text"
    yield " ".join(["stepwave", name, "[OPTIONS]", *(_argument(p) for p in arguments)])
    yield "```"
    yield ""
    yield re.sub(r"(?<!\n)\n(?!\n)", " ", _help(command))
    yield ""
    if arguments:
        yield from _table("Argument", [(f"`{_argument(p)}`", _about(p)) for p in arguments])
    if options:
        yield from _table("Option", [(_option(p), _about(p)) for p in options])


def _group(name: str, group: Any) -> Iterator[str]:
    """A command that only holds others."""
    yield f"## stepwave {name}"
    yield ""
    yield _help(group)
    yield ""
    for inner, command in group.commands.items():
        yield from _command(f"{name} {inner}", command)


def _options_of_all(root: Any) -> Iterator[str]:
    yield "## stepwave"
    yield ""
    yield from _table("Option", [(_option(p), _about(p)) for p in root.params if _is_ours(p)])


def _is_ours(parameter: Any) -> bool:
    return parameter.param_type_name == "option" and not parameter.hidden and "completion" not in parameter.name


def _table(head: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    yield f"| {head} | Meaning |"
    yield "|---|---|"
    for left, right in rows:
        yield f"| {left.replace('|', chr(92) + '|')} | {right.replace('|', chr(92) + '|')} |"
    yield ""


def _choices(parameter: Any) -> tuple[str, ...]:
    return tuple(getattr(choice, "value", choice) for choice in getattr(parameter.type, "choices", ()))


def _argument(parameter: Any) -> str:
    shown = parameter.metavar or "|".join(_choices(parameter)) or parameter.name.upper()
    shown = shown.strip("{}")
    return shown if parameter.required or shown.startswith("[") else f"[{shown}]"


def _option(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    value = "" if parameter.is_flag else " " + (parameter.metavar or "|".join(_choices(parameter)) or "TEXT")
    return f"`{', '.join(names)}{value}`"


def _about(parameter: Any) -> str:
    default = parameter.default
    default = getattr(default, "value", default)
    silent = default is None or default is False or default == "" or callable(default) or parameter.required
    said = "Default:" in (parameter.help or "")
    return (parameter.help or "") + ("" if silent or said else f" Default: `{default}`.")


if __name__ == "__main__":
    TARGET.write_text(command_line(), "utf-8")
    print(f"wrote {TARGET}", file=sys.stderr)  # noqa: T201
