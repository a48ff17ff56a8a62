"""The commands that look at recorded runs. As in `app`: three lines each, and nothing is imported here but typer."""

from typing import Annotated

import typer

from stepwave.cli import complete

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="Its id or the beginning of it, `latest`, or the name of a workflow. Default: the latest.",
        autocompletion=complete.runs,
    ),
]
StateOption = Annotated[
    str | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="The runs of the folder of this workflow. Default: of this folder.",
        autocompletion=complete.workflows,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a JSON document.")]


def runs(
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="The latest N; 0: all of them.")] = 20,
    workflow: Annotated[
        str | None, typer.Option("--workflow", metavar="NAME", help="Of this workflow only: its id, name or file.")
    ] = None,
    file: StateOption = None,
    json: JsonOption = False,
) -> None:
    """List the recorded runs, the latest first."""
    from stepwave.cli import history

    raise typer.Exit(history.runs(file, limit=limit, workflow=workflow, json=json))


def status(run: RunArgument = None, file: StateOption = None, json: JsonOption = False) -> None:
    """Show a run and its steps as they are now, of a running one too."""
    from stepwave.cli import history

    raise typer.Exit(history.status(run, file, json=json))


def logs(
    step: Annotated[str, typer.Argument(metavar="STEP", help="Which step.", autocompletion=complete.run_steps)],
    run: RunArgument = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the step has ended.")] = False,
    stdout: Annotated[bool, typer.Option("--stdout", help="Only what it wrote to stdout, where kept apart.")] = False,
    stderr: Annotated[bool, typer.Option("--stderr", help="Only what it wrote to stderr, where kept apart.")] = False,
    attempt: Annotated[int | None, typer.Option("--attempt", metavar="N", min=1, help="Default: the last.")] = None,
    file: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Print what a step has printed."""
    from stepwave.cli import history

    stream = "" if stdout == stderr else "stdout" if stdout else "stderr"
    raise typer.Exit(history.logs(step, run, file, follow=follow, attempt=attempt, stream=stream, json=json))


def cancel(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="Its id or the beginning of it, `latest`, or the name of a workflow. Default: the one that runs.",
            autocompletion=complete.runs,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Kill its steps at once.")] = False,
    file: StateOption = None,
    json: JsonOption = False,
) -> None:
    """End a running run as Ctrl-C would, and wait for its end."""
    from stepwave.cli import history

    raise typer.Exit(history.cancel(run, file, force=force, json=json))


def prune(
    keep: Annotated[int | None, typer.Option("--keep", metavar="N", min=0, help="All but the latest N.")] = None,
    older: Annotated[
        str | None, typer.Option("--older", metavar="DURATION", help="Those that began longer ago: 30d, 12h.")
    ] = None,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Move a damaged ledger aside; the next run begins a new one.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say which, and delete nothing.")] = False,
    file: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Delete old runs with their logs. What is running stays."""
    from stepwave.cli import history

    raise typer.Exit(history.prune(file, keep=keep, older=older, damaged=damaged, dry_run=dry_run, json=json))
