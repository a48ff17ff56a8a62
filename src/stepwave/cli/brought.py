"""The command that takes files of other tools over, as typer has it. Nothing but typer is imported here."""

from enum import StrEnum
from typing import Annotated

import typer


class SourceKind(StrEnum):
    MAKE = "make"
    TASK = "task"
    JUST = "just"
    NPM = "npm"
    GITHUB = "github"


def import_file(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A Makefile, Taskfile.yml, justfile, package.json or .github/workflows/x.yml."
        ),
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write the workflow here, not to stdout.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            "--task",
            "--recipe",
            "--script",
            "--job",
            "--name",
            "-t",
            metavar="NAME",
            help="What to take of the file, with all that it needs; for just with arguments. Repeatable.",
        ),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(
            "--var", metavar="K=V", help="A variable, as on the command line of make, task, just. Repeatable."
        ),
    ] = None,
    kind: Annotated[
        SourceKind | None, typer.Option("--from", help="What the file is. Default: by its name and content.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write the workflow that a file of another tool describes.

    Nothing of the file is executed. Comments say what has no equivalent.
    """
    from stepwave.cli import importing

    raise typer.Exit(
        importing.import_file(
            file,
            source=kind.value if kind else None,
            wanted=tuple(target or ()),
            var=tuple(var or ()),
            output=output,
            force=force,
        )
    )
