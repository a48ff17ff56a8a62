"""The other end of `functions.py`: `python -P answer.py TASK ANSWER` calls what is in the one file, and writes to the
other what has come of it.

Executed by its path, it imports nothing of stepwave but the module beside it that knows how a function gets here. The
answer is a pickled pair: RESULT and the pickled result, or
PROBLEM or NO_MEMORY and a text. It appears under its name only once it is whole.
"""

from __future__ import annotations

import os
import pickle
import sys

TYPE_CHECKING = False  # typing would cost more than the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, TracebackType
    from typing import Any

RESULT, PROBLEM, NO_MEMORY = "result", "problem", "no memory"


def main() -> int:
    task, answer = sys.argv[1:]
    own = os.getpid()
    kind, content = _called(task)
    if os.getpid() == own:  # otherwise the function has forked, and this is not the process that answers
        with open(f"{answer}.part", "wb") as file:  # noqa: PTH123
            pickle.dump((kind, content), file)
        os.rename(f"{answer}.part", answer)  # noqa: PTH104
    return 0


def _called(task: str) -> tuple[str, bytes | str]:
    try:
        func = _read(task)
    except Exception as problem:
        sentence = "the function, or one of its arguments, cannot be found in another process"
        return PROBLEM, f"{sentence}: {type(problem).__name__}: {problem}"
    try:
        result = func()
    except MemoryError as problem:
        return NO_MEMORY, _told(problem)
    except BaseException as problem:
        return PROBLEM, _told(problem)
    try:
        return RESULT, pickle.dumps(result)
    except MemoryError as problem:
        return NO_MEMORY, _told(problem)
    except Exception as problem:
        return PROBLEM, f"its result, of type {type(result).__name__}, cannot be sent back: {problem}"


def _read(task: str) -> Callable[[], Any]:
    with open(task, "rb") as file:  # noqa: PTH123
        func: Callable[[], Any] = _worker().prepare(file)[0]
    return func


def _worker() -> ModuleType:
    """The module, without a trace of it: a program may have a `worker` of its own."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    worker: ModuleType = __import__("worker")
    del sys.path[0], sys.modules["worker"]
    return worker


def _told(problem: BaseException) -> str:
    """The traceback, from the first frame on that is not ours."""
    import traceback

    trace: TracebackType | None = problem.__traceback__
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(problem), problem, trace))


if __name__ == "__main__":
    sys.exit(main())
