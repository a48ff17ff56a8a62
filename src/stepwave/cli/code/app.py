"""The commands that read code. As in `app`: three lines each, and nothing is imported here but typer."""

from enum import StrEnum
from typing import Annotated

import typer


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    VIMGREP = "vimgrep"
    COUNT = "count"
    FILES = "files"
    MARKDOWN = "markdown"
    SARIF = "sarif"
    CTAGS = "ctags"


class CallFormat(StrEnum):
    TREE = "tree"
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    VIMGREP = "vimgrep"
    COUNT = "count"
    FILES = "files"
    MARKDOWN = "markdown"
    SARIF = "sarif"
    PYCG = "pycg"
    DOT = "dot"
    MERMAID = "mermaid"
    GRAPHML = "graphml"


class SymbolType(StrEnum):
    ANY = "any"
    FUNCTION = "function"
    CLASS = "class"
    VARIABLE = "variable"
    MODULE = "module"


class DefinitionKind(StrEnum):
    FUNCTION = "function"
    METHOD = "method"
    CLASSMETHOD = "classmethod"
    STATICMETHOD = "staticmethod"
    PROPERTY = "property"
    CLASS = "class"
    NESTED = "nested"


class Sort(StrEnum):
    PATH = "path"
    NAME = "name"
    COMPLEXITY = "complexity"
    LINES = "lines"


class Coloring(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


FormatOption = Annotated[
    OutputFormat | None,
    typer.Option("--format", "-f", help="Default: a table on a terminal, else lines as vimgrep has them."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
IgnoreOption = Annotated[
    bool,
    typer.Option("--no-ignore", help="Read what .gitignore names too, and environments, caches and build folders."),
]
CacheOption = Annotated[bool, typer.Option("--no-cache", help="Neither use nor keep what was found before.")]
ProcessesOption = Annotated[
    int,
    typer.Option(
        "--processes", metavar="N", min=0, max=2, help="Read with one or two; 0: two where there are two CPUs."
    ),
]
ColorOption = Annotated[Coloring, typer.Option("--color", help="Colour: when it is a terminal, always, or never.")]
RootArgument = Annotated[str, typer.Argument(metavar="[ROOT]", help="A folder.")]

discover = typer.Typer(
    help="Show what is in a tree of code. Exit code 1 when nothing was found, 2 for an error.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
cache = typer.Typer(
    help="What was found in code is kept, so that it is found faster.", no_args_is_help=True, rich_markup_mode=None
)


def _format(format: OutputFormat | None, json: bool) -> str:
    return "json" if json else format.value if format else ""


@discover.command()
def functions(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Python files or folders.")],
    pattern: Annotated[
        str, typer.Option("--pattern", metavar="REGEX", help="Only those whose name this is found in.")
    ] = "",
    private: Annotated[
        bool, typer.Option("--private", help="Also `_names`, what is nested, and what `__all__` leaves out.")
    ] = False,
    kind: Annotated[list[DefinitionKind] | None, typer.Option("--kind", help="Only of this kind. Repeatable.")] = None,
    missing_docs: Annotated[bool, typer.Option("--missing-docs", help="Only those without a docstring.")] = False,
    untyped: Annotated[
        bool, typer.Option("--untyped", help="Only functions that leave a type of theirs unsaid.")
    ] = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Only functions of three lines or more that stand there twice.")
    ] = False,
    unused: Annotated[
        bool, typer.Option("--unused", help="Only those whose name stands nowhere else in these files.")
    ] = False,
    sort: Annotated[Sort, typer.Option("--sort", help="In which order.")] = Sort.PATH,
    format: FormatOption = None,
    json: JsonOption = False,
    no_ignore: IgnoreOption = False,
    no_cache: CacheOption = False,
    processes: ProcessesOption = 0,
    color: ColorOption = Coloring.AUTO,
) -> None:
    """List the functions, methods and classes of Python files."""
    from stepwave.cli.code import listed
    from stepwave.discovery.listing import Wanted

    kinds = tuple(each.value for each in kind or ())
    wanted = Wanted(pattern, private, kinds, missing_docs, untyped, duplicates, unused, sort.value)
    raise typer.Exit(
        listed.functions(
            paths,
            wanted,
            format=_format(format, json),
            ignore=not no_ignore,
            cached=not no_cache,
            processes=processes,
            color=color.value,
        )
    )


@discover.command()
def configs(
    root: RootArgument = ".",
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="D", help="Only files of which a word of the path is this.")
    ] = None,
    format: FormatOption = None,
    json: JsonOption = False,
    no_ignore: IgnoreOption = False,
    color: ColorOption = Coloring.AUTO,
) -> None:
    """List the configuration files below a folder: YAML, TOML, JSON, INI and .env."""
    from stepwave.cli.code import listed

    raise typer.Exit(
        listed.configs(root, domain, format=_format(format, json), ignore=not no_ignore, color=color.value)
    )


@discover.command()
def workflows(
    root: RootArgument = ".",
    format: FormatOption = None,
    json: JsonOption = False,
    no_ignore: IgnoreOption = False,
    color: ColorOption = Coloring.AUTO,
) -> None:
    """List the files below a folder that hold workflows, workstreams or plans."""
    from stepwave.cli.code import listed

    raise typer.Exit(listed.workflows(root, format=_format(format, json), ignore=not no_ignore, color=color.value))


@discover.command()
def calls(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    entry: Annotated[
        str, typer.Argument(metavar="ENTRY", help="`file.py`, `file.py:function`, `module:function`, or a folder.")
    ],
    root: Annotated[
        str | None,
        typer.Option("--root", metavar="R", help="The tree that is read. Default: the folder of the entry's package."),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Also the functions of the tree that no call reaches.")] = False,
    callers: Annotated[bool, typer.Option("--callers", help="Who calls the entry, instead of whom it calls.")] = False,
    depth: Annotated[
        int | None, typer.Option("--depth", metavar="N", min=1, help="Only so many calls away from the entry.")
    ] = None,
    fuzzy: Annotated[
        bool, typer.Option("--fuzzy", help="Link calls of unknown objects by name, where three or fewer fit.")
    ] = False,
    to: Annotated[
        str | None, typer.Option("--to", metavar="NAME", help="A shortest way of calls from the entry to this one.")
    ] = None,
    cycles: Annotated[bool, typer.Option("--cycles", help="The functions that call each other in a circle.")] = False,
    unreachable: Annotated[
        bool, typer.Option("--unreachable", help="The functions of the tree that the entry does not lead to.")
    ] = False,
    format: Annotated[CallFormat, typer.Option("--format", "-f", help="How it is printed.")] = CallFormat.TREE,
    json: JsonOption = False,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")] = None,
    color: ColorOption = Coloring.AUTO,
) -> None:
    """Show what a program calls, from an entry point on."""
    from stepwave.cli.code import calling

    asked = calling.Asked(
        entry,
        root,
        everything=all,
        callers=callers,
        depth=depth,
        fuzzy=fuzzy,
        to=to,
        cycles=cycles,
        unreachable=unreachable,
        format="json" if json else format.value,
        output=output,
        color=color.value,
    )
    raise typer.Exit(calling.run(asked))


def find_symbol(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="A name, or a dotted one: `package.Class.method`.")],
    root: RootArgument = ".",
    type: Annotated[SymbolType, typer.Option("--type", help="Only what is of this type.")] = SymbolType.ANY,
    possible: Annotated[
        bool, typer.Option("--possible", help="Also attributes of that name of objects whose type nobody knows.")
    ] = False,
    text: Annotated[bool, typer.Option("--text", help="Also where strings and comments hold the word.")] = False,
    fuzzy: Annotated[
        bool, typer.Option("--fuzzy", help="Definitions whose names are near, the nearest first.")
    ] = False,
    refs: Annotated[
        bool | None,
        typer.Option(
            "--refs/--no-refs", help="With all uses, or definitions alone. Default: --refs, with --fuzzy --no-refs."
        ),
    ] = None,
    format: FormatOption = None,
    json: JsonOption = False,
    no_ignore: IgnoreOption = False,
    no_cache: CacheOption = False,
    processes: ProcessesOption = 0,
    color: ColorOption = Coloring.AUTO,
) -> None:
    """Find where a symbol is defined and used, under whatever name it goes there.

    Exit code 0 when it was found, 1 when not, 2 for an error.
    """
    from stepwave.cli.code import finding

    asked = finding.Asked(
        symbol,
        root,
        format=_format(format, json),
        type=type.value,
        possible=possible,
        text=text,
        fuzzy=fuzzy,
        refs=refs,
        ignore=not no_ignore,
        cache=not no_cache,
        processes=processes,
        color=color.value,
    )
    raise typer.Exit(finding.run(asked))


@cache.command()
def info(json: JsonOption = False) -> None:
    """List what is kept, for which tree, and how large it is."""
    from stepwave.cli.code import listed

    raise typer.Exit(listed.cache_info(json=json))


@cache.command()
def clear(
    root: Annotated[str | None, typer.Argument(metavar="[ROOT]", help="Only of this folder. Default: all.")] = None,
) -> None:
    """Delete what is kept."""
    from stepwave.cli.code import listed

    raise typer.Exit(listed.cache_clear(root))
