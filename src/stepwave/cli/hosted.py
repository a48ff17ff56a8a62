"""The command that writes jobs of CI systems. As in `app`: three lines, and nothing is imported here but typer."""

from enum import StrEnum
from typing import Annotated

import typer

from stepwave.cli import complete


class CiTarget(StrEnum):
    GITHUB = "github"
    GITLAB = "gitlab"


def export_ci(
    system: Annotated[CiTarget, typer.Argument(metavar="github|gitlab", help="Which CI system.")],
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A workflow file, or a folder of workstreams.", autocompletion=complete.workflows
        ),
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file, not to stdout.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Which workflow or workstream, of a file or folder of several."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write the job of GitHub Actions or GitLab CI that runs a workflow.

    With its secrets, its time limit, test reports, and a cache of what it reuses.
    """
    from stepwave.cli import hosting

    raise typer.Exit(hosting.export_ci(system.value, file, output=output, name=name, force=force))
