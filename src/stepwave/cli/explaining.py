"""`explain`: why a step would run now, or be reused."""

import os

from stepwave import api, past
from stepwave.cli import terminal
from stepwave.core import adjust
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error, has_errors
from stepwave.core.text import harmless
from stepwave.core.variables import read_variables


def explain(
    step: str, *, file: str | None, var: tuple[str, ...], name: str | None, tools: str | None, color: str
) -> int:
    """Prints a sentence, and a line for each reason. 0, or 2 when there is no such step or file."""
    variables, findings = read_variables(var, None)
    path, missing = _path(file)
    if missing is not None:
        terminal.tell_findings([*findings, missing], {}, color)
        return 2
    loaded = api.load(path, variables=variables, name=name, tools=tools)
    findings += loaded.diagnostics
    if loaded.workflow is not None:
        findings += adjust.check_names(loaded.workflow, "explain", [step])
    if loaded.workflow is None or has_errors(findings):
        terminal.tell_findings(findings, {loaded.path: loaded.text, **loaded.texts}, color)
        return 2
    reasons = past.explain(api.plan(loaded.workflow), past.file_of(path), step, os.environ)
    return terminal.write("".join(f"{harmless(line)}\n" for line in reasons))


def _path(file: str | None) -> tuple[str, Diagnostic | None]:
    if file is not None:
        return api.locate(file), None
    latest = past.latest_file(os.environ)
    if latest is not None:
        return latest, None
    here = api.workflow_files(".")
    if len(here) == 1:
        return here[0], None
    return "", error("which-workflow", "which workflow is the step of?", Place(COMMAND_LINE), "name it: `--file FILE`")
