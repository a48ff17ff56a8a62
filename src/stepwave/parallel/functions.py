"""A function in a process of its own, with a time limit and a memory limit, and what became of it as a dictionary.

The function and its arguments travel as a pickle in a private folder, the result comes back the same way: a file knows
no size that is too large, and nobody waits for a pipe. `answer.py` is the other end.
"""

import os
import pickle
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from stepwave.core.events import Entry, Outcome, StepFinished, StepLeftProcesses, StepStarted
from stepwave.core.model import Step
from stepwave.core.text import words_of
from stepwave.parallel import answer
from stepwave.parallel.asking import name_of
from stepwave.parallel.checks import at_least_one, seconds_or_none
from stepwave.parallel.commands import NOWHERE, carry_out
from stepwave.parallel.scripts import (
    DEFAULT_TIMEOUT_S,
    STOP,
    Result,
    is_out_of_memory,
    memory_limits,
    moment,
    notes,
    take_output,
)
from stepwave.parallel.shipping import flags, ship

_id = "function"


def run_function(
    func: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    timeout: float | None = DEFAULT_TIMEOUT_S,
    memory_limit_mb: int | None = None,
) -> Result:
    """Call a function in a process of its own, and wait for it.

    The function must be one that can be imported, as `pickle` wants it: not a lambda, not one inside another. In a
    program, the part that calls this belongs below `if __name__ == "__main__":`. `timeout` is in seconds, None for no
    limit: then the function and all that it has started are ended (SIGTERM, a second later SIGKILL).
    `memory_limit_mb` is a limit of address space (RLIMIT_AS) in that process only.

    The result has the keys name, type, start_time, status, execution_time, result, error, stdout, end_time, stderr and
    note. `status` is `passed`; `error`: it has raised something (`error` is the traceback), or it could not be sent
    there, or its result back; `timeout`; or `failed`: its process ended without an answer, and `error` says how.

    Raises ValueError for a time or a limit that is not positive, TypeError for values of the wrong kind, OSError when
    no process can be started at all.
    """
    if not callable(func):
        raise TypeError(f"func must be something that can be called, not {type(func).__name__}")
    limit = None if memory_limit_mb is None else at_least_one("memory_limit_mb", memory_limit_mb)
    limit_s = seconds_or_none("timeout", timeout)
    if not isinstance(args, Iterable) or isinstance(args, str):
        raise TypeError(f"args must be a sequence, not {type(args).__name__}")
    if not isinstance(kwargs, Mapping | None):
        raise TypeError(f"kwargs must be a mapping, not {type(kwargs).__name__}")
    name = str(getattr(func, "__name__", None) or type(func).__name__)
    try:
        task = _task(func, tuple(args), dict(kwargs or {}))
    except TypeError as problem:
        return _result(name, _Course(), "error", None, str(problem))
    with TemporaryDirectory(prefix="stepwave-", ignore_cleanup_errors=True) as folder:
        course = _call(Path(folder), task, limit_s, limit)
        return _result(name, course, *_outcome(Path(folder) / "answer", course, limit_s))


def _task(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """The frames that `worker.prepare` reads. Raises TypeError for what cannot be sent."""
    call = partial(func, *args, **kwargs)
    call.__qualname__ = name_of(func)  # type: ignore[attr-defined]  # what it is called when it cannot be sent
    shipment = ship(call, memory_bytes=None, wants_times=False)
    return b"".join(len(frame).to_bytes(8, "little") + frame for frame in shipment)


class _Course(NamedTuple):
    """What was seen of the process from here. `started` and `ended` are seconds since the epoch."""

    started: float | None = None
    ended: float | None = None
    end: StepFinished | None = None
    left: tuple[str, ...] = ()
    stdout: str = ""
    stderr: str = ""
    memory_limit_mb: int | None = None


def _call(folder: Path, task: bytes, timeout_s: float | None, memory_limit_mb: int | None) -> _Course:
    (folder / "task").write_bytes(task)
    step = Step(
        id=_id,
        place=NOWHERE,
        argv=(sys.executable, *flags(), "-P", answer.__file__, str(folder / "task"), str(folder / "answer")),
        cwd=os.getcwd(),  # noqa: PTH109
        timeout_s=timeout_s,
        stop=STOP,
        limits=memory_limits(memory_limit_mb),
    )
    course = _Course(memory_limit_mb=memory_limit_mb)

    def see(entry: Entry) -> None:
        nonlocal course
        if isinstance(entry.event, StepStarted):
            course = course._replace(started=entry.at)
        elif isinstance(entry.event, StepLeftProcesses):
            course = course._replace(left=entry.event.processes)
        elif isinstance(entry.event, StepFinished):
            course = course._replace(ended=entry.at, end=entry.event)

    carry_out([step], width=1, folder=folder, see=see)
    return course._replace(stdout=take_output(folder / f"{_id}.out"), stderr=take_output(folder / f"{_id}.err"))


def _outcome(path: Path, course: _Course, timeout_s: float | None) -> tuple[str, Any, str | None]:
    """Status, result and error."""
    end, memory_limit_mb = course.end, course.memory_limit_mb
    assert end is not None
    if end.outcome is Outcome.TIMEOUT:
        return "timeout", None, f"Function timed out after {timeout_s}s"
    try:
        kind, content = pickle.loads(path.read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError):
        return "failed", None, _no_answer(end, course.stderr, memory_limit_mb)
    if kind == answer.RESULT:
        return _received(content)
    exceeded = f"memory limit {memory_limit_mb} MB exceeded\n" if kind == answer.NO_MEMORY and memory_limit_mb else ""
    return "error", None, f"{exceeded}{content}"


def _no_answer(end: StepFinished, stderr: str, memory_limit_mb: int | None) -> str:
    if memory_limit_mb and is_out_of_memory(end, stderr):
        return f"memory limit {memory_limit_mb} MB exceeded ({end.reason})"
    return f"its process ended without an answer: {end.reason or 'exit code 0'}"


def _received(content: bytes) -> tuple[str, Any, str | None]:
    try:
        return "passed", pickle.loads(content), None
    except Exception as problem:  # whatever the classes of the caller raise while they are built
        return "error", None, f"its result cannot be read back: {type(problem).__name__}: {words_of(problem)}"


def _result(name: str, course: _Course, status: str, result: Any, error: str | None) -> Result:
    return {
        "name": name,
        "type": "function",
        "start_time": None if course.started is None else moment(course.started),
        "status": status,
        "execution_time": course.end.duration_s if course.end else 0.0,
        "result": result,
        "error": error,
        "stdout": course.stdout,
        "end_time": None if course.ended is None else moment(course.ended),
        "stderr": course.stderr,
        "note": "; ".join(notes(course.left, course.memory_limit_mb)) or None,
    }
