"""`stepwave export-ci`: from a workflow to the file of a CI system that runs it."""

import os

from stepwave import __version__, api
from stepwave.cli import terminal
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, Severity, error
from stepwave.core.text import one_line

_places = {"github": ".github/workflows/stepwave.yml", "gitlab": ".gitlab-ci.yml"}


def export_ci(system: str, file: str, *, output: str | None, name: str | None, force: bool) -> int:
    """0; 2 when there is nothing to be written, or it would overwrite something; 3 when it cannot be written."""
    path = api.locate(file)
    loaded = api.load(path, name=name)
    texts = {loaded.path: loaded.text, **loaded.texts}
    if loaded.workflow is None:
        terminal.tell_findings(loaded.diagnostics, texts, "auto")
        return 2
    terminal.tell_findings([one for one in loaded.diagnostics if one.severity is Severity.WARNING], texts, "auto")
    inside = _in_repository(path)
    if finding := _unfit(path, inside) or _in_the_way(output, force):
        terminal.tell_findings([finding], {}, "auto")
        return 2
    from stepwave.core.telling import ci_job

    job = ci_job.job_of(loaded.workflow, inside, __version__, name=name, is_folder=os.path.isdir(path))  # noqa: PTH112
    text = ci_job.github(job) if system == "github" else ci_job.gitlab(job)
    if output is None or output == "-":
        return terminal.write(text)
    code = terminal.save(output, text)
    if code == 0:
        terminal.talk([f"wrote {one_line(output)}", f"  {system} looks for it at {_places[system]}"])
    return code


def _in_repository(path: str) -> str:
    """The path from the folder on that holds `.git`; from the current one where there is none."""
    whole = os.path.realpath(path)
    top = os.path.dirname(whole)  # noqa: PTH120
    while not os.path.lexists(os.path.join(top, ".git")):  # noqa: PTH118
        if top == os.path.dirname(top):  # noqa: PTH120
            return os.path.relpath(whole)
        top = os.path.dirname(top)  # noqa: PTH120
    return os.path.relpath(whole, top)


def _unfit(path: str, inside: str) -> Diagnostic | None:
    """Why no job can run the file."""
    here = Place(COMMAND_LINE)
    if path == "-":
        return error("bad-option", "a job can run a file, but not standard input", here)
    if inside.startswith("../"):
        return error("bad-option", f"`{one_line(path)}` is not below this folder, which is no repository", here)
    if not inside.isprintable() or any(part != part.strip() for part in inside.split("/")):
        sentence = f"`{one_line(path)}` cannot be written into the file of a job"
        return error("bad-option", sentence, here, "rename it: without blanks at its ends, and without line breaks")
    return None


def _in_the_way(output: str | None, force: bool) -> Diagnostic | None:
    here = Place(COMMAND_LINE)
    if output in (None, "-"):
        return None
    assert output is not None
    if os.path.lexists(output) and not force:
        return error("file-exists", f"`{one_line(output)}` is already there", here, "--force overwrites it")
    problem = terminal.can_write(output)
    return error("cannot-write", f"`--output`: {problem}", here) if problem else None
