"""The commands that look at recorded runs. As in `app`: three lines each, and nothing is imported here but typer."""

from enum import StrEnum
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


class CiSystem(StrEnum):
    AUTO = "auto"
    NONE = "none"
    GITHUB = "github"
    GITLAB = "gitlab"


class ExportFormat(StrEnum):
    PERFETTO = "perfetto"
    CHROME_TRACE = "chrome-trace"
    JUNIT = "junit"
    CSV = "csv"
    JSON = "json"
    OTLP_JSON = "otlp-json"
    SARIF = "sarif"
    MARKDOWN = "markdown"


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


def export(
    format: Annotated[ExportFormat, typer.Option("--format", help="What to make of it.")],
    run: RunArgument = None,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")] = None,
    file: StateOption = None,
) -> None:
    """Print a recorded run for another program: traces, test reports, tables, findings, documents."""
    from stepwave.cli import exporting

    raise typer.Exit(exporting.export(run, file, format=format.value, output=output))


def why(
    step: Annotated[str, typer.Argument(metavar="STEP", help="The id of a step.", autocompletion=complete.run_steps)],
    run: RunArgument = None,
    file: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Say why a step of a run ran, waited, was skipped, blocked or reused: in sentences, with figures.

    Of a run that is going on it says what the step waits for now.
    """
    from stepwave.cli import hindsight

    raise typer.Exit(hindsight.why(step, run, file, color="auto", json=json))


def compare(
    run1: Annotated[str, typer.Argument(metavar="RUN1", help="The run before. As RUN2.", autocompletion=complete.runs)],
    run2: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN2]",
            help="Its id or the beginning of it, `latest`, or the name of a workflow. Default: the latest.",
            autocompletion=complete.runs,
        ),
    ] = None,
    all: Annotated[bool, typer.Option("--all", "-a", help="Every step, also those that are as they were.")] = False,
    file: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Compare two runs: what changed in outcome, in time, in waiting, and on the critical path."""
    from stepwave.cli import hindsight

    raise typer.Exit(hindsight.compare(run1, run2, file, every=all, color="auto", json=json))
