"""What is called: found by its name, shown by its name, and given what it takes."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from stepwave.core.text import one_line

Function = Callable[..., Any]

_target = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")


class Takes(NamedTuple):
    """The names that a function takes arguments by. `anything`: it has `**kwargs`."""

    names: frozenset[str] = frozenset()
    anything: bool = False


class Task(NamedTuple):
    """A function as a step: `params` are its keyword arguments, besides what the steps that it needs have brought."""

    function: Function
    params: Mapping[str, Any]
    takes: Takes


def task(function: Function, params: Mapping[str, Any] | None = None) -> Task:
    return Task(function, dict(params or {}), takes(function))


def is_target(text: str) -> bool:
    return _target.fullmatch(text) is not None


def resolve(target: str) -> Function:
    """The function that `module.path:name` names; the name may have dots, for what a class holds. Imports the module.

    Raises ValueError when it is not written so, ImportError when there is no such module, AttributeError when the
    module has no such name, or nothing by it that can be called.
    """
    if not is_target(target):
        raise ValueError(
            f"a function must be in 'module.path:function_name' format, which {one_line(repr(target))} is not"
        )
    module, _, name = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise AttributeError(f"{target!r} is of type {type(found).__name__} and cannot be called")
    return found  # type: ignore[no-any-return]


def label(function: Function) -> str:
    """How a step is shown that calls it: `tasks:build`."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', None) or 'builtins'}:{name}"


def names(given: str | Iterable[str], what: str) -> tuple[str, ...]:
    """Each of them once; a single one may stand for itself. Raises TypeError for what is none."""
    found = (given,) if isinstance(given, str) else given
    if not isinstance(found, Iterable):
        raise TypeError(f"{what} are names, not {type(given).__name__}")
    found = tuple(found)
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"{what} are names, not {type(name).__name__}")
    return tuple(dict.fromkeys(found))


def takes(function: Function) -> Takes:
    """A function that does not tell (some that are written in C) takes no names."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return Takes()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return Takes(
        frozenset(one.name for one in parameters if one.kind in named),
        any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters),
    )


def parameter_of(step: str, takes: Takes) -> str | None:
    """The parameter that what `step` brings is handed over by: of its name, of its name with `_` for what no parameter
    can have in its name, or one among the `**kwargs`. None: it is not wanted."""
    if step in takes.names:
        return step
    near = re.sub(r"\W", "_", step)
    if near in takes.names:
        return near
    return step if takes.anything else None


def arguments(task: Task, brought: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a call. What a step has brought goes before a parameter of the same name."""
    found = dict(task.params)
    for step, value in brought.items():
        if (name := parameter_of(step, task.takes)) is not None:
            found[name] = value
    return found
