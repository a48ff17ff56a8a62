"""What the commands other than `run` print, and the exit code of each."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from stepwave import __version__, api
from stepwave.cli import terminal
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error, has_errors
from stepwave.core.text import harmless, one_line, plural


def version() -> int:
    return terminal.write(f"stepwave {__version__}\n")


# --- validate ----------------------------------------------------------------------------------------------


def validate(
    paths: Sequence[str], *, strict: bool, format: str, fix: bool, name: str | None, tools: str | None, color: str
) -> int:
    """0 when no file has an error, else 2."""
    files = [file for path in paths or ["."] for file in api.workflow_files(path)]
    if not files:
        terminal.talk(["stepwave: no workflow files found"])
        return 2
    if fix:
        for file in files:
            if (code := _fix(file, color)) != 0:
                return code
    loaded = [api.load(file, strict=strict, name=name, tools=tools) for file in files]
    findings = [finding for one in loaded for finding in one.diagnostics]
    for path in paths or ["."]:
        if name is None and Path(path).is_dir():
            findings += [one for one in api.check_folder(path, strict=strict, tools=tools) if one not in findings]
    failed = has_errors(findings)
    if format == "text":
        texts = {path: text for one in loaded for path, text in {one.path: one.text, **one.texts}.items()}
        terminal.tell_findings(findings, texts, color)
        written = terminal.write("".join(_good_news(one, color) for one in loaded if one.ok))
    else:
        written = terminal.write(_machine_readable(findings, format))
    return 2 if failed else written


def _good_news(loaded: api.Loaded, color: str) -> str:
    from stepwave.core.telling.style import Role, can_show_unicode, make_style, wants_color

    style = make_style(
        color=wants_color(color, os.environ, sys.stdout.isatty()),
        unicode=can_show_unicode(sys.stdout.encoding, os.environ),
    )
    workflow = loaded.workflow
    assert workflow is not None
    plan = api.plan(workflow)
    facts = f"{plural(len(plan.steps), 'step')} in {plural(len(plan.waves), 'wave')}, {workflow.dialect.value} dialect"
    return f"{style.paint(style.ok, Role.OK)} {style.word(loaded.path)}: valid ({facts})\n"


def _machine_readable(findings: Sequence[Diagnostic], format: str) -> str:
    from stepwave.core.telling import printers
    from stepwave.core.telling.sarif import as_sarif

    if format == "json":
        return printers.as_json(findings) + "\n"
    if format == "sarif":
        return as_sarif(findings, __version__) + "\n"
    text = printers.as_github(findings)
    return text + "\n" if text and not text.endswith("\n") else text


def _fix(path: str, color: str) -> int:
    """Leading tabs to spaces: the change as a diff first, then the file."""
    from difflib import unified_diff

    from stepwave.core.reading.parse import untab

    if path == "-" or not path.endswith((".yaml", ".yml")):
        return 0
    try:
        before = Path(path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return 0  # load tells what is wrong with it
    after = untab(before)
    if after == before:
        return 0
    change = unified_diff(before.splitlines(True), after.splitlines(True), path, path, n=1)
    terminal.talk(harmless(line.rstrip("\r\n"))[:400] for line in change)
    return terminal.save(path, after)


# --- list, schema -------------------------------------------------------------------------------------


def list_workflows(path: str, *, json: bool) -> int:
    if not Path(path).is_dir():
        finding = error("cannot-read", f"`{path}` is not a folder", Place(COMMAND_LINE))
        terminal.tell_findings([finding], {}, "auto")
        return 2
    listed = api.list_workflows(path)
    if json:
        return terminal.write(_as_json(listed))
    if not listed:
        terminal.talk([f"stepwave: no workflows below {path}"])
        return 0
    return terminal.write("".join(line + "\n" for line in _table(listed)))


def _as_json(listed: Sequence[api.Listed]) -> str:
    rows = [
        {
            "path": one.path,
            "name": one.name,
            "version": one.version,
            "steps": one.steps,
            "description": one.description,
            "error": one.problem,
        }
        for one in listed
    ]
    return json.dumps({"workflows": rows}, indent=2, ensure_ascii=False) + "\n"


def _table(listed: Sequence[api.Listed]) -> list[str]:
    from stepwave.core.telling.style import cells, pad

    rows = [("NAME", "VERSION", "STEPS", "FILE", "DESCRIPTION")]
    for one in listed:
        last = f"broken: {one.problem}" if one.problem else one.description
        steps = str(one.steps) if one.steps is not None else "-"
        rows.append(
            (
                _no_command(one_line(one.name, 40)) or "-",
                one_line(one.version, 12) or "-",
                steps,
                one_line(one.path),
                one_line(last, 80),
            )
        )
    widths = [max(cells(row[n]) for row in rows) for n in range(4)]
    return ["  ".join([*(pad(cell, w) for cell, w in zip(row, widths, strict=False)), row[4]]).rstrip() for row in rows]


def _no_command(text: str) -> str:
    """What begins a line must not begin as a command to a CI system does: `::error::`, `##[error]`."""
    return f"\\x{ord(text[0]):02x}{text[1:]}" if text.startswith(("::", "##[")) else text


def schema(name: str) -> int:
    return terminal.write(api.schema_text(name))


def completion(shell: str) -> int:
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    script = get_completion_script(prog_name="stepwave", complete_var="_STEPWAVE_COMPLETE", shell=shell)
    return terminal.write(script.rstrip("\n") + "\n")


# --- init-config ---------------------------------------------------------------------------------------------


def init_config(output: str, *, type: str, format: str | None, force: bool) -> int:
    from stepwave.core.scaffold import scaffold

    format = format or ("json" if output.endswith(".json") else "yaml")
    output = output or f"workflow.{format}"
    text = scaffold(type, format)  # type: ignore[arg-type]
    if output == "-":
        return terminal.write(text)
    if os.path.lexists(output) and not force:  # a link that leads nowhere is somebody's, too
        finding = error("file-exists", f"`{output}` is already there", Place(COMMAND_LINE), "--force overwrites it")
        terminal.tell_findings([finding], {}, "auto")
        return 2
    try:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        finding = error("cannot-write", f"`{output}`: {(problem.strerror or '').lower()}", Place(COMMAND_LINE))
        terminal.tell_findings([finding], {}, "auto")
        return 2
    if (code := terminal.save(output, text)) == 0:
        terminal.talk([f"wrote {output}", f"  try it: stepwave run {output}"])
    return code
