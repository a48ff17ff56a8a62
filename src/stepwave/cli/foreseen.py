"""The commands that look ahead. As in `app`: three lines each, and nothing is imported here but typer."""

from typing import Annotated

import typer

from stepwave.cli import complete
from stepwave.cli.recorded import JsonOption

ExecutorOption = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="ENGINE",
        help="Where steps run: local, dask, dask://host:port, slurm, or python:module:factory.",
        autocompletion=complete.executors,
    ),
]
OrderOption = Annotated[
    str,
    typer.Option(
        "--order",
        metavar="critical-path|file|shuffle:SEED",
        help="Of ready steps: the longest remaining path first, as in the file, or by lot.",
        autocompletion=complete.orders,
    ),
]


def plan(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A workflow file or folder, or the name of a workflow below here.",
            autocompletion=complete.workflows,
        ),
    ],
    max_concurrency: Annotated[
        str | None, typer.Option("--max-concurrency", "-j", metavar="N|auto", help="Steps at a time, as for `run`.")
    ] = None,
    order: OrderOption = "critical-path",
    var: Annotated[
        list[str] | None, typer.Option("--var", metavar="K=V", help="A variable that `run` would be given. Repeatable.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Which workflow, of a file that holds several.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print the timeline that a run is expected to have: when each step starts and ends, and on which slot.

    From the times that earlier runs took, or else from the estimates of the file. Runs nothing.
    """
    from stepwave.cli import foreseeing

    asked = foreseeing.Asked(file, (max_concurrency,) if max_concurrency else (), (), order, tuple(var or ()), name)
    raise typer.Exit(foreseeing.plan(asked, json=json))


def simulate(
    what: Annotated[
        str,
        typer.Argument(
            metavar="[FILE|RUN]",
            help="A workflow file, or a run: its id or the beginning of it, or `latest`.",
            autocompletion=complete.workflows_and_runs,
        ),
    ] = "latest",
    max_concurrency: Annotated[
        list[str] | None,
        typer.Option("--max-concurrency", "-j", metavar="N", help="Steps at a time. Repeatable: a row for each."),
    ] = None,
    resource: Annotated[
        list[str] | None,
        typer.Option("--resource", metavar="POOL=N", help="Units of a pool. Repeatable."),
    ] = None,
    order: OrderOption = "critical-path",
    var: Annotated[
        list[str] | None, typer.Option("--var", metavar="K=V", help="A variable that `run` would be given. Repeatable.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Which workflow, of a file that holds several.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say how long a run would have taken with other limits, from the times that its steps took. Runs nothing."""
    from stepwave.cli import foreseeing

    widths, units = tuple(max_concurrency or ()), tuple(resource or ())
    asked = foreseeing.Asked(what, widths, units, order, tuple(var or ()), name)
    raise typer.Exit(foreseeing.simulate(asked, json=json))
