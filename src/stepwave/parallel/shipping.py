"""How a function gets into another process: by its name in a module, as pickle has it.

Where the module is what was typed at a prompt, came through standard input or with `-c`, there is nothing that another
process could import. Then the code of the function is sent, with the functions, modules and values that it names.
"""

import pickle
import sys
from collections.abc import Callable
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from stepwave.core.text import words_of
from stepwave.parallel.asking import name_of


class Shipment(NamedTuple):
    """The first two frames for a worker: see there."""

    preamble: bytes
    func: bytes


def ship(func: Callable[[Any], Any], *, memory_bytes: int | None, wants_times: bool) -> Shipment:
    """Raises TypeError for a function that cannot be sent, RuntimeError in a worker that reads its caller's script."""
    main = sys.modules.get("__main__")
    if getattr(main, "__stepwave_state__", "") == "being read":
        words = "a map or run_function was called by the script itself while a worker process read it for its functions"
        raise RuntimeError(f'{words}; put that call below `if __name__ == "__main__":`')
    script, module = _where_from(main)
    names: list[tuple[str, str, Any]] = []
    if main is not None and not script and not module:
        _gather(func, main, names, set())
    elif main is not None:
        sys.modules.setdefault("__mp_main__", main)  # what comes back from there is ours
    try:
        blob = pickle.dumps(func, protocol=5)
    except Exception as error:
        words = f"{name_of(func)} cannot be sent to another process: {words_of(error)}"
        raise TypeError(f"{words}; a function that is defined with `def` at the top level of a module can") from error
    preamble = (sys.path, sys.argv, script, module, names, memory_bytes, wants_times)
    return Shipment(pickle.dumps(preamble, protocol=5), blob)


_as_options = (
    ("optimize", "-O"),
    ("ignore_environment", "-E"),
    ("no_user_site", "-s"),
    ("no_site", "-S"),
    ("dont_write_bytecode", "-B"),
    ("bytes_warning", "-b"),
)


def flags() -> list[str]:
    """The options of this interpreter that change how code runs, for another one."""
    found = [option for name, option in _as_options for _ in range(getattr(sys.flags, name))]
    found += [f"-W{option}" for option in sys.warnoptions]
    for name, value in sys._xoptions.items():
        found.append(f"-X{name}" if value is True else f"-X{name}={value}")
    return found


def _where_from(main: ModuleType | None) -> tuple[str | None, str | None]:
    """The file or the module that is the main one; neither for a prompt. As multiprocessing does it."""
    from pathlib import Path

    if told := getattr(main, "__stepwave_main__", None):
        return told  # type: ignore[no-any-return]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if spec is not None and spec.name != "__main__":
        return None, str(spec.name)
    return (str(Path(file).absolute()), None) if file and Path(file).is_file() else (None, None)


def _gather(sent: Any, main: ModuleType, names: list[tuple[str, str, Any]], seen: set[str]) -> None:
    """What a function names of `main`, itself included, in an order in which it can be defined."""
    func: Any = sent.func if isinstance(sent, partial) else sent
    if not isinstance(func, FunctionType):
        return
    known: object = main.__dict__.get(func.__name__)
    if known is not func:
        return
    seen.add(func.__name__)
    if func.__code__.co_freevars:
        words = "uses what a function around it had, and cannot be sent to another process; define it in a file"
        raise TypeError(f"{name_of(func)} {words}")
    for name in sorted(_global_names(func.__code__) - seen):
        if name in seen or name not in main.__dict__:
            continue  # a builtin, or not there yet
        value = main.__dict__[name]
        if isinstance(value, FunctionType) and value.__module__ == "__main__":
            _gather(value, main, names, seen)
        else:
            seen.add(name)
            names.append(_named(name, value, func))
    names.append((func.__name__, "function", _code(func)))


def _code(func: FunctionType) -> tuple[bytes, bytes]:
    import marshal

    try:
        defaults = pickle.dumps((func.__defaults__, func.__kwdefaults__), protocol=5)
    except Exception as error:
        raise TypeError(f"{name_of(func)} cannot be sent to another process: {words_of(error)}") from error
    return marshal.dumps(func.__code__), defaults


def _named(name: str, value: Any, func: FunctionType) -> tuple[str, str, Any]:
    if isinstance(value, ModuleType):
        return name, "module", value.__name__
    if getattr(value, "__module__", None) == "__main__":
        words = "was typed at a prompt, and only functions can be sent from there"
        raise TypeError(f"{name_of(func)} uses {name}, which {words}; define both in a file")
    try:
        return name, "value", pickle.dumps(value, protocol=5)
    except Exception as error:
        raise TypeError(
            f"{name_of(func)} uses {name}, which cannot be sent to another process: {words_of(error)}"
        ) from error


def _global_names(code: CodeType) -> set[str]:
    from dis import get_instructions

    found = {step.argval for step in get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _global_names(constant)
    return found
