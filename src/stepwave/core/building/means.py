"""What can carry out a step besides a command in the file itself: profiles of agents and tools, types that plugins add.

Light on purpose: `fields` imports this, and every file is read with it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from stepwave.core.model import Value, nothing
from stepwave.core.reading.document import Document


class Shelf(NamedTuple):
    """A file of profiles outside of the workflow.

    `above`: its profiles go before those of the workflow itself (`--tools`). `absent` are the programs of it that are
    not installed; None: nobody has looked.
    """

    document: Document
    above: bool = False
    absent: frozenset[str] | None = None


class Command(NamedTuple):
    """What a plugin makes of the `config` of a step. `env` is laid over the environment; None takes a name away."""

    argv: Sequence[str]
    env: Mapping[str, str | None] = nothing
    stdin: str | None = None
    timeout_s: float | None = None


class Refused(NamedTuple):
    """Why a plugin cannot be used: a lower-case sentence that goes on after its name."""

    reason: str


class Wrong(NamedTuple):
    """A place in a `config` and what is wrong there: a lower-case sentence."""

    path: tuple[str | int, ...]
    reason: str


class Kind(Protocol):
    """A step type that a plugin provides. Raises nothing, whatever the plugin does."""

    @property
    def target(self) -> str | None:
        """`module:attribute.run` of a plugin that is called in a process of its own; None: it makes commands."""

    def faults(self, config: Mapping[str, Value]) -> Sequence[Wrong]:
        """What its schema has against a `config`."""

    def command(self, config: Mapping[str, Value]) -> Command | Refused:
        """The command for a `config`; references stay in its texts."""


class Kinds(Protocol):
    """The step types of all plugins that are installed. A plugin is imported when it is asked for."""

    @property
    def names(self) -> Collection[str]: ...

    def get(self, name: str) -> Kind | Refused: ...


class Lack(NamedTuple):
    """Why a function cannot be called: a lower-case sentence, and what to do about it."""

    message: str
    help: str


class Means(NamedTuple):
    """`caller` are the words before the name of a function that make up its command. `lack` tells whether there is
    such a function, `module.path:name`, for a folder in which modules are looked for first; None: nobody knows.
    """

    shelves: tuple[Shelf, ...] = ()
    kinds: Kinds | None = None
    caller: tuple[str, ...] = ("python3", "-m", "stepwave.call")
    lack: Callable[[str, str], Lack | None] | None = None


none = Means()
