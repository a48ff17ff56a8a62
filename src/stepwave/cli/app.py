"""The commands. Each body is three lines: call `api`, call `present`, raise the exit code.

Nothing but typer is imported here at module level: `--help`, completion and a mistyped option start no machinery.
"""

from enum import StrEnum
from typing import Annotated

import typer

from stepwave.cli import brought, complete, foreseen, hosted, pictured, recorded
from stepwave.cli.code import app as code

app = typer.Typer(
    name="stepwave",
    help="Run workflow files: steps in parallel waves, within limits, with the right exit code.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: no name is cut off at 80 columns, and rich is not loaded for it
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success, 1 a step failed, 2 nothing was started, 3 the runner failed, 124 timed out,"
    " 130 interrupted.",
)


class Color(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class ReportFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


class ConfigType(StrEnum):
    BASIC = "basic"
    PARALLEL = "parallel"
    WORKSTREAM = "workstream"
    CI = "ci"
    DATA = "data"


class FileFormat(StrEnum):
    YAML = "yaml"
    JSON = "json"


class BoardView(StrEnum):
    FULL = "full"
    COMPACT = "compact"
    NONE = "none"


class JobServer(StrEnum):
    AUTO = "auto"
    BOTH = "both"
    FIFO = "fifo"
    PIPE = "pipe"
    NONE = "none"


class SchemaName(StrEnum):
    WORKFLOW = "workflow"
    EVENT = "event"
    RESULT = "result"
    RUN = "run"


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


ColorOption = Annotated[Color, typer.Option("--color", help="Colour: when it is a terminal, always, or never.")]
FileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A workflow file, a folder of workstreams, `-` for standard input, or the name of a workflow below here.",
        autocompletion=complete.workflows,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name",
        "--id",
        "--ws-id",
        metavar="NAME",
        help="Which workflow or workstream, of a file or folder that holds several.",
    ),
]

ToolsOption = Annotated[
    str | None,
    typer.Option(
        "--tools",
        metavar="FILE",
        help="Profiles of agents and tools; they go before those of the workflow.",
        autocompletion=complete.workflows,
    ),
]


@app.callback(invoke_without_command=True)
def stepwave(
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and exit.")] = False,
) -> None:
    """Run workflow files: steps in parallel waves, within limits, with the right exit code."""
    if version:
        from stepwave.cli import present

        raise typer.Exit(present.version())


@app.command()
def run(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    file: FileArgument,
    max_concurrency: Annotated[
        str | None,
        typer.Option("--max-concurrency", "-j", metavar="N|auto", help="Steps at a time; auto: the CPUs, at least 4."),
    ] = None,
    parallel: Annotated[
        bool | None, typer.Option("--parallel/--no-parallel", help="In parallel, or one step at a time.")
    ] = None,
    barrier: Annotated[
        bool, typer.Option("--barrier", help="A wave starts when the one before has ended, whatever the file says.")
    ] = False,
    order: foreseen.OrderOption = "critical-path",
    jobserver: Annotated[
        JobServer,
        typer.Option(
            "--jobserver",
            metavar="[both|fifo|pipe|none]",
            help="Share the slots with make, ninja and cargo in steps, as GNU make does; none: not even with the make"
            " that called.",
        ),
    ] = JobServer.AUTO,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="DURATION", help="For the whole run: seconds, or 30s, 5m, 1h30m; 0: none."),
    ] = None,
    min_free_memory: Annotated[
        str | None,
        typer.Option(
            "--min-free-memory", metavar="SIZE", help="Start steps only while so much stays free: 512MB, 2GB, or bytes."
        ),
    ] = None,
    continue_on_error: Annotated[
        bool, typer.Option("--continue-on-error", help="Tolerate every failure: dependents run, exit code 0.")
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", "-k", help="After a failure, run all that does not depend on it.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="After a failure, start nothing new, whatever the file says.")
    ] = False,
    var: Annotated[
        list[str] | None, typer.Option("--var", metavar="K=V", help="Set a variable (text). Repeatable.")
    ] = None,
    vars: Annotated[
        str | None, typer.Option("--vars", metavar="JSON|@FILE", help='Set variables from JSON: {"key": "value"}.')
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="STEP", help="This step and all that it needs. Repeatable.", autocompletion=complete.steps
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(
            "--skip",
            metavar="STEP",
            help="Not this step; what needs it runs. Repeatable.",
            autocompletion=complete.steps,
        ),
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="STEP", help="This step and all that need it. Repeatable.", autocompletion=complete.steps
        ),
    ] = None,
    name: NameOption = None,
    tools: ToolsOption = None,
    skip_agents: Annotated[
        bool, typer.Option("--skip-agents", help="Skip the steps of agents that have no profile, and do not fail.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Show waves, commands, folders, limits; run nothing.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Then wait for files to change, and run again what they affect.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Unknown keys are errors; a tolerated failure fails the run.")
    ] = False,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="A reference that leads nowhere becomes empty text.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result document, and nothing else, on stdout.")
    ] = False,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write the result document to a file.")
    ] = None,
    events: Annotated[
        str | None,
        typer.Option("--events", metavar="FILE", help="Every event as a line of JSON (NDJSON); `-`: to stdout."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", metavar="[RUN]", help="Go on with a run: this one, or the latest that did not succeed."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run every step, also those of which nothing has changed.")
    ] = False,
    no_ledger: Annotated[
        bool, typer.Option("--no-ledger", help="Keep no record: the run cannot be looked up or resumed.")
    ] = False,
    durable: Annotated[
        bool, typer.Option("--durable", help="Keep the record through a loss of power; 0.2 ms more for each step.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Failures and the verdict only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Plain lines with commands, waiting times and output.")
    ] = False,
    executor: foreseen.ExecutorOption = None,
    board: Annotated[
        BoardView, typer.Option("--board", help="The live board: by wave, a row for each slot, or plain lines.")
    ] = BoardView.FULL,
    junit: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="In the end, write the steps as JUnit XML.")
    ] = None,
    trace: Annotated[
        str | None, typer.Option("--trace", metavar="FILE", help="In the end, write a trace for ui.perfetto.dev.")
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FILE", help="In the end, write the page of the run (HTML).")
    ] = None,
    ci: Annotated[
        recorded.CiSystem, typer.Option("--ci", help="Groups, annotations and summaries as this CI system has them.")
    ] = recorded.CiSystem.AUTO,
    color: ColorOption = Color.AUTO,
) -> None:
    """Run a workflow.

    Steps whose needs are met run in parallel, within the pools and limits of the file. On a terminal a live board shows
    them, elsewhere plain lines. The first Ctrl-C stops gently, the second at once.
    """
    from stepwave.cli import running

    asked = running.Asked(
        file=file,
        max_concurrency=max_concurrency,
        parallel=parallel,
        barrier=barrier,
        order=order,
        jobserver=jobserver.value,
        timeout=timeout,
        min_free_memory=min_free_memory,
        continue_on_error=continue_on_error,
        keep_going=keep_going,
        fail_fast=fail_fast,
        var=tuple(var or ()),
        vars=vars,
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        start=tuple(start or ()),
        name=name,
        tools=tools,
        skip_agents=skip_agents,
        dry_run=dry_run,
        watch=watch,
        strict=strict,
        lenient=lenient,
        json=json,
        output=output,
        events=events,
        resume=resume,
        force=force,
        no_ledger=no_ledger,
        durable=durable,
        quiet=quiet,
        verbose=verbose,
        executor=executor,
        board=board.value,
        junit=junit,
        trace=trace,
        report=report,
        ci=ci.value,
        color=color.value,
    )
    raise typer.Exit(running.run(asked))


@app.command()
def retry(
    run: recorded.RunArgument = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="All that did not succeed; so it is without --step.")
    ] = False,
    step: Annotated[
        list[str] | None,
        typer.Option(
            "--step",
            metavar="STEP",
            help="This step and all that need it. Repeatable.",
            autocompletion=complete.run_steps,
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="The workflow, where the run is not of this folder, or its file was moved.",
            autocompletion=complete.workflows,
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result document, and nothing else, on stdout.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Failures and the verdict only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Plain lines with commands, waiting times and output.")
    ] = False,
    color: ColorOption = Color.AUTO,
) -> None:
    """Run steps of an earlier run again, and take over all others.

    With the variables, the selection of steps and the options of that run.
    """
    from stepwave.cli import resuming
    from stepwave.cli.running import Asked

    asked = Asked("", json=json, quiet=quiet, verbose=verbose, color=color.value)
    raise typer.Exit(resuming.retry(run, failed=failed, steps=tuple(step or ()), file=file, asked=asked))


@app.command()
def explain(
    step: Annotated[str, typer.Argument(metavar="STEP", help="The id of a step.", autocompletion=complete.steps)],
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="The workflow. Default: that of the latest run here.",
            autocompletion=complete.workflows,
        ),
    ] = None,
    var: Annotated[
        list[str] | None, typer.Option("--var", metavar="K=V", help="A variable that `run` would be given. Repeatable.")
    ] = None,
    name: NameOption = None,
    tools: ToolsOption = None,
    color: ColorOption = Color.AUTO,
) -> None:
    """Say why a step would run now, or be reused."""
    from stepwave.cli import explaining

    raise typer.Exit(
        explaining.explain(step, file=file, var=tuple(var or ()), name=name, tools=tools, color=color.value)
    )


@app.command()
def validate(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Files or folders; `-` for standard input. Default: this folder.",
            autocompletion=complete.workflows,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Unknown keys are errors, a name is required.")] = False,
    format: Annotated[ReportFormat, typer.Option("--format", help="How findings are printed.")] = ReportFormat.TEXT,
    fix: Annotated[
        bool, typer.Option("--fix", help="Turn leading tabs into spaces; the change is printed first.")
    ] = False,
    name: NameOption = None,
    tools: ToolsOption = None,
    color: ColorOption = Color.AUTO,
) -> None:
    """Check workflow files and run nothing. Exit code 2 when one has an error."""
    from stepwave.cli import present

    raise typer.Exit(
        present.validate(
            tuple(paths or ()),
            strict=strict,
            format=format.value,
            fix=fix,
            name=name,
            tools=tools,
            color=color.value,
        )
    )


app.command()(pictured.graph)


@app.command("list")
def list_workflows(
    path: Annotated[str, typer.Argument(metavar="[PATH]", help="A folder.")] = ".",
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False,
) -> None:
    """List the workflows below a folder, broken ones too."""
    from stepwave.cli import present

    raise typer.Exit(present.list_workflows(path, json=json))


@app.command("init-config")
def init_config(
    output: Annotated[str, typer.Argument(metavar="[OUTPUT]", help="The file to write; `-` for standard output.")] = "",
    type: Annotated[ConfigType, typer.Option("--type", "-t", help="What kind of workflow.")] = ConfigType.BASIC,
    format: Annotated[
        FileFormat | None, typer.Option("--format", help="Default: by the file's name, else YAML.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a commented workflow file to start from."""
    from stepwave.cli import present

    raise typer.Exit(present.init_config(output, type=type.value, format=format.value if format else None, force=force))


looking = (recorded.runs, recorded.status, recorded.logs, recorded.why, recorded.compare)
for command in (*looking, pictured.report, recorded.export, recorded.cancel, recorded.prune):
    app.command()(command)
app.command()(foreseen.plan)
app.command()(foreseen.simulate)
app.command("import")(brought.import_file)
app.command("export-ci")(hosted.export_ci)
app.add_typer(code.discover, name="discover")
app.command("find-symbol")(code.find_symbol)
app.add_typer(code.cache, name="cache")


@app.command()
def schema(
    name: Annotated[SchemaName, typer.Argument(help="Which schema.")] = SchemaName.WORKFLOW,
) -> None:
    """Print a JSON Schema: of workflow files, events, results or recorded runs."""
    from stepwave.cli import present

    raise typer.Exit(present.schema(name.value))


@app.command()
def completion(
    shell: Annotated[Shell, typer.Argument(help="Which shell.")],
) -> None:
    """Print the completion script of a shell.

    For bash, add this line to ~/.bashrc: eval "$(stepwave completion bash)"
    """
    from stepwave.cli import present

    raise typer.Exit(present.completion(shell.value))
