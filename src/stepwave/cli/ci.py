"""CI systems: which one this is, and what it is told of a run without being asked.

GitHub Actions: groups around what steps printed, annotations at the lines of failed steps, and a summary on the page
of the job. GitLab: sections that can be folded. Others get the plain lines and nothing more.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from stepwave.cli import terminal
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error
from stepwave.core.telling.exporting.reading import Reading
from stepwave.core.telling.exporting.sections import Github, Gitlab

CHOICES = ("auto", "none", "github", "gitlab")
SUMMARY_BYTES = 1_000_000
"""GitHub takes 1 MiB from each step of a job, and else shows nothing."""

System = Github | Gitlab


def check(environ: Mapping[str, str]) -> list[Diagnostic]:
    """What is wrong with STEPWAVE_CI."""
    named = environ.get("STEPWAVE_CI", "")
    if not named or named in CHOICES:
        return []
    return [error("bad-option", f"`STEPWAVE_CI={named}` is none of {', '.join(CHOICES)}", Place(COMMAND_LINE))]


def system(choice: str, environ: Mapping[str, str]) -> System | None:
    """What `--ci` says, else STEPWAVE_CI, else the system that says it is there."""
    name = environ.get("STEPWAVE_CI", "") if choice == "auto" else choice
    if name in ("", "auto"):
        name = _found(environ)
    if name == "github":
        return Github(os.urandom(16).hex())
    return Gitlab("stepwave") if name == "gitlab" else None


_our_run = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


def _found(environ: Mapping[str, str]) -> str:
    """What a run prints that is itself a step goes into the log of a step, where nobody would understand it."""
    if _our_run.fullmatch(environ.get("WORKFLOW_RUN_ID", "")):
        return "none"
    if environ.get("GITHUB_ACTIONS") == "true":
        return "github"
    return "gitlab" if environ.get("GITLAB_CI") == "true" else "none"


def root(environ: Mapping[str, str]) -> str:
    """The folder of the checkout, from which the system names files."""
    return environ.get("GITHUB_WORKSPACE") or environ.get("CI_PROJECT_DIR") or str(Path.cwd())


def tell(reading: Reading, environ: Mapping[str, str]) -> None:
    """What GitHub wants to know of a run that has ended. That it cannot be told is said, and no failure of the run."""
    from stepwave.core.telling.exporting.findings import annotations

    if lines := annotations(reading):
        terminal.talk([lines])
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        try:
            _summarize(reading, Path(path))
        except OSError as problem:
            reason = (problem.strerror or str(problem)).lower()
            terminal.talk([f"stepwave: the summary of the job could not be written: {reason}"])


def _summarize(reading: Reading, path: Path) -> None:
    """Added to what other commands of the job's step have written."""
    from stepwave.core.telling.exporting.markdown import as_markdown

    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        left = SUMMARY_BYTES - file.tell()
        if left > 1000:
            file.writelines(as_markdown(reading._replace(room=left)))
