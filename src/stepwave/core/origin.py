"""How a run was asked for: all that it takes to ask for it again. The environment is no part of it."""

from collections.abc import Mapping
from typing import NamedTuple

from stepwave.core.model import Value, nothing


class Origin(NamedTuple):
    """`file` is the absolute path of the workflow file or folder, "" when it came from neither.

    `name` chose among several; `variables` were given from outside; `only`, `skip` and `start` selected steps;
    `options` are the other ones of the command line, under their names there; `tools` is the absolute path of the file
    of tools. `resumed_from` is the id of the run that this one continues.
    """

    file: str = ""
    name: str | None = None
    variables: Mapping[str, Value] = nothing
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    options: Mapping[str, Value] = nothing
    tools: str | None = None
    resumed_from: str | None = None
