"""What Tab offers: workflow files, and the steps of the file that is already on the line."""

from collections.abc import Iterator

import typer


def workflows(incomplete: str) -> list[str]:
    """Workflow files and folders that begin with what has been typed."""
    from pathlib import Path

    folder, _, beginning = incomplete.rpartition("/")
    base = Path(folder or ("/" if incomplete.startswith("/") else "."))
    return sorted(_offers(base, f"{folder}/" if folder or incomplete.startswith("/") else "", beginning))


def _offers(base: "Path", prefix: str, beginning: str) -> "Iterator[str]":  # type: ignore[name-defined]  # noqa: F821
    try:
        entries = list(base.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(beginning) and (beginning.startswith(".") or not entry.name.startswith(".")):
            if entry.is_dir():
                yield f"{prefix}{entry.name}/"
            elif entry.suffix in (".yaml", ".yml", ".json"):
                yield f"{prefix}{entry.name}"


def steps(context: typer.Context, incomplete: str) -> list[str]:
    """Step ids of the named file that begin with what has been typed."""
    from pathlib import Path

    from stepwave import api

    # A command line that ends in an option without its value has not been sorted into parameters yet.
    file = next((word for word in (context.params.get("file"), *context.args) if word and word[0] != "-"), "")
    if not Path(file).is_file():  # a FIFO would be waited for
        return []
    loaded = api.load(file)
    ids = [step.id for step in loaded.workflow.steps] if loaded.workflow else []
    return [id for id in ids if id.startswith(incomplete)]


def orders(incomplete: str) -> list[str]:
    """The orders of ready steps."""
    return [order for order in ("critical-path", "file", "shuffle:1") if order.startswith(incomplete)]


def executors(incomplete: str) -> list[str]:
    """Where steps may run."""
    known = ("local", "dask", "dask://", "slurm", "python:concurrent.futures:ProcessPoolExecutor")
    return [name for name in known if name.startswith(incomplete)]


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of recorded runs that begin with what has been typed."""
    from stepwave import records

    try:
        found = records.runs(context.params.get("file"), limit=200)
    except OSError:  # a ledger that cannot be used: the command says so
        return []
    return [id for id in ("latest", *(one.run.id for one in found)) if id.startswith(incomplete)]


def workflows_and_runs(context: typer.Context, incomplete: str) -> list[str]:
    """Workflow files, and ids of recorded runs."""
    return [*workflows(incomplete), *runs(context, incomplete)]


def run_steps(context: typer.Context, incomplete: str) -> list[str]:
    """Step ids of the latest run, or of the one that is already on the line."""
    from stepwave import records
    from stepwave.core.diagnostics import Diagnostic

    try:
        found = records.status(context.params.get("run"), context.params.get("file"))
    except OSError:
        return []
    return [] if isinstance(found, Diagnostic) else [step.id for step in found[1] if step.id.startswith(incomplete)]
