"""What a step of type `function` runs, in a process of its own: `python -P call.py module.path:name [folder]`.

Its keyword arguments come as a JSON object on standard input, its result goes as JSON to standard output. Whatever it
prints goes to standard error, what its children print too. A coroutine is awaited.

Exit codes: 0; 1: it raised, or gave back what JSON cannot say; 2: it does not take these arguments; or what it gave to
`sys.exit`.

This file is executed by its path and imports nothing of stepwave: what a step does to PYTHONPATH is no concern of it,
and a start costs what `json` costs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable

TYPE_CHECKING = False  # typing would cost as much again as all of the above
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import IO, Any

FAILED, WRONG_CALL = 1, 2


def main() -> int:
    """The exit code. SystemExit of the function goes through."""
    target, *folder = sys.argv[1:]
    own = os.getpid()
    results, params = _take_over()
    sys.path[:0] = folder
    sys.argv[:] = [target]
    try:
        function = _find(target)
        if not callable(function):
            return _say(f"`{target}` is of type {type(function).__name__} and cannot be called")
        try:
            result = _settled(function(**params))
        except TypeError as problem:
            if wrong := _wrong_call(target, function, params):
                return _say(wrong, WRONG_CALL)
            raise problem
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as problem:
        return _tell(problem)
    if os.getpid() != own:  # the function has forked, and this is not the process that answers
        os._exit(0)
    return _give(results, target, result)


def _take_over() -> tuple[IO[bytes], dict[str, Any]]:
    """The real standard output, kept for the result alone, and the arguments: standard input is read to its end."""
    results = os.fdopen(os.dup(1), "wb")  # not inherited by children
    os.dup2(2, 1)
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with open(0, "rb", closefd=False) as stream:
        text = stream.read()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return results, json.loads(text) if text.strip() else {}


def _find(target: str) -> Any:
    module, _, name = target.partition(":")
    __import__(module)  # unlike importlib it leaves no frames of its own in a traceback
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _settled(result: Any) -> Any:
    if not isinstance(result, Awaitable):
        return result
    import asyncio

    async def settle() -> Any:
        return await result

    return asyncio.run(settle())


def _wrong_call(target: str, function: Callable[..., Any], params: dict[str, Any]) -> str | None:
    """Whether the function was not even entered, because it does not take these arguments."""
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(**params)
    except TypeError as problem:
        return f"`{target}` takes {signature}: {problem}"
    return None


# --- what comes of it ------------------------------------------------------------------------------------------------


def _give(results: IO[bytes], target: str, result: Any) -> int:
    if result is not None:
        try:
            data = _as_json(result)
        except (TypeError, ValueError, RecursionError) as problem:
            return _say(f"`{target}` gave back what JSON cannot say: {problem}")
        with results:
            results.write(data + b"\n")
    return 0


def _as_json(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # half of a character, as file names may hold it
        return json.dumps(value, allow_nan=False).encode()


def _say(sentence: str, code: int = FAILED) -> int:
    print(f"stepwave: {sentence}", file=sys.stderr)  # noqa: T201
    return code


def _tell(problem: BaseException) -> int:
    """The traceback, from the first frame on that is not ours."""
    import traceback

    traceback.print_exception(type(problem), problem, _theirs(problem.__traceback__))
    return FAILED


def _theirs(trace: TracebackType | None) -> TracebackType | None:
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    inner = trace  # below asyncio, if the function was awaited
    while inner and inner.tb_frame.f_globals.get("__name__", "").startswith("asyncio"):
        inner = inner.tb_next
    while inner and inner.tb_frame.f_code.co_filename == __file__:
        inner = inner.tb_next
    return inner


if __name__ == "__main__":
    sys.exit(main())
