"""The commands that draw: `graph` and `report`. As in `app`: few lines each, and nothing is imported here but typer."""

from enum import StrEnum
from typing import Annotated

import typer

from stepwave.cli import complete, recorded


class GraphFormat(StrEnum):
    TEXT = "text"
    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"
    SVG = "svg"
    HTML = "html"
    PNG = "png"


class GraphColor(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def graph(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="A workflow file, a folder of workstreams, `-` for standard input, or the name of a workflow below"
            " here; or a Python file. With --run: the workflow whose runs are meant; default: those of this folder.",
            autocompletion=complete.workflows,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="[RUN]",
            help="A recorded run instead, with outcomes and times: this one, or the latest.",
            autocompletion=complete.runs,
        ),
    ] = None,
    format: Annotated[
        GraphFormat, typer.Option("--format", help="Text, Mermaid, Graphviz DOT, JSON, a picture, or a page.")
    ] = GraphFormat.TEXT,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", "--id", "--ws-id", metavar="NAME", help="Which workflow, of a file that holds several."),
    ] = None,
    color: Annotated[
        GraphColor, typer.Option("--color", help="Colour: when it is a terminal, always, or never.")
    ] = GraphColor.AUTO,
) -> None:
    """Draw the waves and dependencies of a workflow or, with --run, what became of them in a run.

    Of a Python file, `x.py` or `x.py:function`, it draws what calls what.
    """
    from stepwave.cli import drawing

    raise typer.Exit(drawing.draw(file, run, format=format.value, output=output, name=name, color=color.value))


def report(
    run: recorded.RunArgument = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Default: stepwave-report-RUN.html in this folder; `-`: to stdout."
        ),
    ] = None,
    no_logs: Annotated[bool, typer.Option("--no-logs", help="Without what the steps have printed.")] = False,
    open: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    file: recorded.StateOption = None,
) -> None:
    """Write a run as one HTML page: timeline, graph, pools, steps with commands and output. Prints where it is."""
    from stepwave.cli import drawing

    raise typer.Exit(drawing.report(run, file, output=output, logs=not no_logs, show=open))
