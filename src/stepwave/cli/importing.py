"""`stepwave import`: a file of another tool becomes a workflow, on standard output or in a file."""

import os
import shlex

from stepwave import importing
from stepwave.cli import terminal
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error
from stepwave.core.importing.kinds import Imported
from stepwave.core.text import harmless, one_line, plural


def import_file(
    file: str, *, source: str | None, wanted: tuple[str, ...], var: tuple[str, ...], output: str | None, force: bool
) -> int:
    """0; 2 when nothing could be made of the file, or something would be overwritten; 3 when it cannot be written."""
    values = {}
    for text in var:
        name, sign, value = text.partition("=")
        if not sign or not name:
            return _refuse(error("bad-option", f"`--var {one_line(text, 60)}` is not NAME=value", Place(COMMAND_LINE)))
        values[name] = value
    to_file = output not in (None, "-")
    if output is not None and to_file and os.path.lexists(output) and not force:
        return _refuse(
            error("file-exists", f"`{output}` is already there", Place(COMMAND_LINE), "--force overwrites it")
        )
    made, text = importing.import_workflow(file, source=source, wanted=wanted, values=values, output=output)
    if made.text is None:
        terminal.tell_findings(made.findings, {file: text}, "auto")
        return 2
    code = terminal.save(output, made.text) if output is not None and to_file else terminal.write(made.text)
    if code == 0:
        terminal.talk(_summary(made, file, output if to_file else None))
    return code


def _refuse(finding: Diagnostic) -> int:
    terminal.tell_findings([finding], {}, "auto")
    return 2


def _summary(made: Imported, file: str, output: str | None) -> list[str]:
    lines = [f"{one_line(file)}: {one_line(made.taken, 400)}"]
    if made.notes:
        lines.append(f"  {plural(made.notes, 'thing')} without an equivalent: see the comments")
    if made.others:
        shown = ", ".join(one_line(name, 40) for name in made.others[:12])
        more = f" and {len(made.others) - 12} more" if len(made.others) > 12 else ""
        lines.append(f"  not taken: {shown}{more} (choose with --target)")
    if output is not None:
        lines += [f"wrote {harmless(output)}", f"  try it: stepwave run {shlex.quote(harmless(output))}"]
    return lines
