"""Step types that installed packages provide, through the entry-point group `stepwave.steps` (docs/plugins.md).

Rule 1  A package is looked at only when a file has a step of a type that is not built in; its module is imported only
        when a step is of its type.
Rule 2  Whatever a plugin does comes back as a sentence, never as an exception.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from stepwave.core.building.means import Command, Kind, Refused, Wrong
from stepwave.core.model import Value
from stepwave.core.text import one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "stepwave.steps"
MAX_WRONGS = 20
T = TypeVar("T")


class Plugins:
    """The step types of installed packages, by name."""

    def __init__(self) -> None:
        from importlib.metadata import entry_points

        self._points = {point.name: point for point in entry_points(group=GROUP)}
        self._kinds: dict[str, Kind | Refused] = {}

    @property
    def names(self) -> Collection[str]:
        return self._points.keys()

    def get(self, name: str) -> Kind | Refused:
        """The type of this name, one of `names`, imported; or why it cannot be used."""
        if name not in self._kinds:
            self._kinds[name] = _kind_of(self._points[name])
        return self._kinds[name]


def _kind_of(point: "EntryPoint") -> Kind | Refused:
    plugin = _tried("cannot be imported", point.load)
    if isinstance(plugin, Refused):
        return plugin
    refused = _tried("cannot be used", lambda: _shape(plugin, point.name))
    if refused is not None:
        return refused
    target = None if callable(getattr(plugin, "command", None)) else f"{point.module}:{point.attr}.run"
    return _Plugin(plugin, target)


def _shape(plugin: Any, name: str) -> Refused | None:
    """What it lacks of the protocol."""
    if isinstance(plugin, type):
        return Refused(f"is the class {plugin.__name__}: the entry point must name an object of it")
    if getattr(plugin, "name", None) != name:
        return Refused(f"calls itself {one_line(repr(getattr(plugin, 'name', None)), 60)}: it must have that `name`")
    if not isinstance(getattr(plugin, "schema", None), dict):
        return Refused("has no `schema`, a dict with the JSON Schema of its `config`")
    if not callable(getattr(plugin, "command", None)) and not callable(getattr(plugin, "run", None)):
        return Refused("has neither a method `command` nor a method `run`")
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(plugin.schema, default=Draft202012Validator).check_schema(plugin.schema)
    except SchemaError as problem:
        return Refused(f"has a `schema` that is no JSON Schema: {one_line(problem.message, 120)}")
    return None


def _tried(what: str, do: Callable[[], T]) -> T | Refused:
    """What it prints is talk: standard output is for results."""
    try:
        with redirect_stdout(sys.stderr):
            return do()
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        return Refused(f"{what}: {type(problem).__name__}: {_said_by(problem)}".removesuffix(": "))


def _said_by(problem: BaseException) -> str:
    try:
        return one_line(str(problem), 200)
    except Exception:
        return "it cannot even say what is wrong"


class _Plugin:
    """A plugin behind the protocol `Kind`."""

    def __init__(self, plugin: Any, target: str | None) -> None:
        self._plugin = plugin
        self._target = target

    @property
    def target(self) -> str | None:
        return self._target

    def faults(self, config: Mapping[str, Value]) -> Sequence[Wrong]:
        """A text with a reference may become anything, so nothing is said of it."""
        from jsonschema import Draft202012Validator
        from jsonschema.validators import validator_for
        from referencing import Registry

        schema = self._plugin.schema
        validator = validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())
        found = _tried(
            "has a `schema` that cannot be followed", lambda: list(islice(_wrongs(validator, config), MAX_WRONGS))
        )
        return [Wrong((), f"the plugin {found.reason}")] if isinstance(found, Refused) else found

    def command(self, config: Mapping[str, Value]) -> Command | Refused:
        made = _tried("has failed to make a command", lambda: self._plugin.command(dict(config)))
        if isinstance(made, Refused):
            return made
        command = _tried("made a command that cannot be used", lambda: _as_command(made))
        return command or Refused(
            "made no command: it must be a list of texts, or a `stepwave.Command` with such an `argv`"
        )


def _wrongs(validator: Any, config: Mapping[str, Value]) -> Iterator[Wrong]:
    for found in validator.iter_errors(config):
        whole = isinstance(found.instance, str) or found.validator in _of_values
        if not (whole and _is_open(found.instance)):
            yield Wrong(tuple(found.absolute_path), one_line(found.message, 160))


_of_values = frozenset(("allOf", "anyOf", "oneOf", "not", "if", "const", "enum", "contains", "uniqueItems"))
"""Keywords that look at all that a list or an object holds."""


def _is_open(value: object) -> bool:
    """Whether a reference stands in it, so that its value is not known yet."""
    if isinstance(value, str):
        return "{{" in value or "${" in value
    if isinstance(value, dict):
        return any(map(_is_open, value.values()))
    return isinstance(value, list) and any(map(_is_open, value))


def _as_command(made: Any) -> Command | None:
    """What `command` gave back, every part of it looked at."""
    if isinstance(made, list | tuple) and not hasattr(made, "argv"):
        made = Command(made)
    argv = [*made.argv]
    env = dict(getattr(made, "env", None) or {})
    stdin, timeout = getattr(made, "stdin", None), getattr(made, "timeout_s", None)
    words = (*argv, *env, *(value for value in env.values() if value is not None), *([] if stdin is None else [stdin]))
    if not argv or not argv[0] or not all(isinstance(word, str) and "\0" not in word for word in words):
        return None
    if timeout is not None and not (isinstance(timeout, int | float) and 0 <= timeout < 1e9):
        return None
    return Command(tuple(argv), env, cast("str | None", stdin), timeout)
