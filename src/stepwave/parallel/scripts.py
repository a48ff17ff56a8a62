"""Python scripts as processes of their own, and what became of each as a dictionary.

Rule 1  A result has the same keys, in the same order, whatever became of the script.
Rule 2  Output comes back whole, as text (UTF-8; what is not is replaced), after a time-out too. Nothing is added to it.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from stepwave.core.diagnostics import did_you_mean
from stepwave.core.events import Entry, Outcome, StepFinished, StepLeftProcesses, StepQueued, StepStarted
from stepwave.core.model import Limits, Step, StopRule
from stepwave.core.text import one_line
from stepwave.parallel.checks import at_least_one, seconds_or_none
from stepwave.parallel.commands import NOWHERE, Brake, carry_out

DEFAULT_TIMEOUT_S = 60
STOP = StopRule(grace_s=1.0)
"""How what runs is ended: SIGTERM, and a second later SIGKILL, to the whole tree."""

Result = dict[str, Any]

log = logging.getLogger("stepwave.parallel")

_config_keys = ("timeout", "args", "env", "allowed_exit_codes")
_levels = 5
_words = {
    Outcome.COMPLETED: "passed",
    Outcome.FAILED: "failed",
    Outcome.TIMEOUT: "timeout",
    Outcome.SKIPPED: "skipped",
    Outcome.CANCELLED: "cancelled",
}


def run_script(
    script_path: str | os.PathLike[str],
    timeout: float | None = DEFAULT_TIMEOUT_S,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    config: Mapping[str, Any] | None = None,
    memory_limit_mb: int | None = None,
) -> Result:
    """Run a Python script in a process of its own, and wait for it.

    `timeout` is in seconds, None for no limit: then the script and all that it has started are ended (SIGTERM, a second
    later SIGKILL). `env` is laid over the environment; `cwd` is the script's own folder unless given. Standard input is
    empty. A folder `src` beside the script, or in one of the four folders above, goes in front of PYTHONPATH, with a
    `scripts` beside it. `memory_limit_mb` is a limit of address space (RLIMIT_AS), set in the script's process only.
    `config` may hold `timeout` (instead of the parameter), `args`, `env` and `allowed_exit_codes` (default `[0]`).

    The result has the keys script, name, status, exit_code, stdout, stderr, execution_time, error, subdirectory,
    start_time, end_time and note. `status` is `passed`, `failed`, `timeout`, or `error` for a script that could not be
    started; `exit_code` is negative for one that a signal has ended, and None where there is none; times are seconds,
    moments ISO 8601 in local time; `error` says what went wrong and `note` what else there is to know.

    Raises ValueError for a time or a limit that is not positive and for an unknown key of `config`, TypeError for
    values of the wrong type, OSError when no process can be started at all.
    """
    script = read_script(script_path, timeout, env, cwd, config, memory_limit_mb)
    return run_all([script], width=1)[0]


class Script(NamedTuple):
    """What is to be run, checked and absolute. `given` is the path as the caller wrote it."""

    given: str
    path: Path
    args: tuple[str, ...] = ()
    timeout_s: float | None = DEFAULT_TIMEOUT_S
    env: Mapping[str, str] = {}
    cwd: str = ""
    allowed_exit_codes: tuple[int, ...] = (0,)
    memory_limit_mb: int | None = None


def read_script(
    script_path: str | os.PathLike[str],
    timeout: float | None,
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    config: Mapping[str, Any] | None,
    memory_limit_mb: int | None = None,
) -> Script:
    """Check what a caller has given. Raises ValueError and TypeError as `run_script` says."""
    if not isinstance(config, Mapping | None):
        raise TypeError(f"a config must be a mapping, not {type(config).__name__}")
    config = config or {}
    for key in config:
        if key not in _config_keys:
            hint = did_you_mean(str(key), _config_keys) or f"known are {', '.join(_config_keys)}"
            raise ValueError(f"unknown key `{key}` in the config of {os.fspath(script_path)}: {hint}")
    given = os.fspath(script_path)
    path = Path(os.path.abspath(given))  # noqa: PTH100 - resolve() would follow a link, and find another folder
    if memory_limit_mb is not None:
        at_least_one("memory_limit_mb", memory_limit_mb)
    return Script(
        given=given,
        path=path,
        args=tuple(str(word) for word in _listed(config, "args", ())),
        timeout_s=seconds_or_none("timeout", config.get("timeout", timeout)),
        env=_environment(path, {**(env or {}), **config.get("env", {})}),
        cwd=os.path.abspath(cwd) if cwd is not None else str(path.parent),  # noqa: PTH100
        allowed_exit_codes=tuple(int(code) for code in _listed(config, "allowed_exit_codes", (0,))),
        memory_limit_mb=memory_limit_mb,
    )


def _listed(config: Mapping[str, Any], key: str, otherwise: tuple[object, ...]) -> Iterable[Any]:
    found = config.get(key, otherwise)
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise TypeError(f"`{key}` in a config must be a list, not {type(found).__name__}")
    return found


def _environment(path: Path, given: dict[str, str]) -> dict[str, str]:
    """What is laid over the environment of the caller, PYTHONPATH included."""
    for name, value in given.items():
        if not isinstance(name, str):
            raise TypeError(f"the name of an environment variable must be text, not {type(name).__name__}")
        if not isinstance(value, str):
            raise TypeError(f"env[{name!r}] must be text, not {type(value).__name__}")
    found = project_folders(path)
    if not found:
        return given
    before = given.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    return {**given, "PYTHONPATH": os.pathsep.join([*found, *([before] if before else [])])}


def project_folders(path: Path) -> list[str]:
    """`src` and `scripts` of the project that a script belongs to: its own folder, or one of the four above."""
    for folder in list(path.parents)[:_levels]:
        if (folder / "src").is_dir():
            return [str(found) for found in (folder / "src", folder / "scripts") if found.is_dir()]
    return []


# --- running ---------------------------------------------------------------------------------------------------------

Told = Callable[[Script, str, Result], None]


def run_all(
    scripts: Sequence[Script],
    *,
    width: int,
    fail_fast: bool = False,
    brake: Brake | None = None,
    tell: Told = lambda script, status, result: None,
) -> list[Result]:
    """Run scripts, at most `width` at a time. Results come in the order in which the scripts ended.

    With `fail_fast` the first one that does not pass ends the rest: what waits is skipped, what runs is cancelled.
    `tell` hears of each script when it is `submitted`, with an empty result, and when it has ended, with the result.
    """
    with TemporaryDirectory(prefix="stepwave-", ignore_cleanup_errors=True) as folder:
        watch = _Watch(scripts, Path(folder), tell)
        steps = [_step(number, script, fail_fast) for number, script in enumerate(scripts)]
        if steps:
            by_id = dict(zip((step.id for step in steps), scripts, strict=True))
            carry_out(
                steps,
                width=width,
                folder=Path(folder),
                see=watch.see,
                check=lambda step: _cannot_run(by_id[step.id].path),
                brake=brake,
            )
    return watch.results


def _step(number: int, script: Script, fail_fast: bool) -> Step:
    return Step(
        id=str(number),
        place=NOWHERE,
        argv=(sys.executable, str(script.path), *script.args),
        cwd=script.cwd,
        env=script.env,
        timeout_s=script.timeout_s,
        allowed_exit_codes=script.allowed_exit_codes,
        isolate_errors=not fail_fast,
        stop=STOP,
        limits=memory_limits(script.memory_limit_mb),
    )


def memory_limits(limit_mb: int | None) -> Limits:
    """Of address space, where the system has that."""
    return Limits() if limit_mb is None or not has_memory_limits() else Limits(memory_bytes=limit_mb << 20)


def has_memory_limits() -> bool:
    """Whether this system heeds RLIMIT_AS: macOS has it and does not."""
    return sys.platform.startswith("linux")


def _cannot_run(path: Path) -> str | None:
    try:
        if path.is_dir():
            return f"`{path}` is a folder, not a script"
        return None if path.exists() else f"script not found: `{path}`"
    except OSError as problem:
        return f"`{one_line(str(path))}` cannot be read: {(problem.strerror or '').lower()}"


class _Watch:
    """From the events of a run to results."""

    def __init__(self, scripts: Sequence[Script], folder: Path, tell: Told) -> None:
        self.results: list[Result] = []
        self._scripts = scripts
        self._folder = folder
        self._tell = tell
        self._started: dict[str, float] = {}
        self._left: dict[str, tuple[str, ...]] = {}

    def see(self, entry: Entry) -> None:
        event = entry.event
        if isinstance(event, StepQueued):
            self._tell(self._scripts[int(event.step)], "submitted", {})
        elif isinstance(event, StepStarted):
            self._started[event.step] = entry.at
            _log_start(self._scripts[int(event.step)])
        elif isinstance(event, StepLeftProcesses):
            self._left[event.step] = event.processes
        elif isinstance(event, StepFinished):
            script = self._scripts[int(event.step)]
            result = self._result(script, event, entry.at)
            self.results.append(result)
            _log_end(result)
            self._tell(script, result["status"], result)

    def _result(self, script: Script, event: StepFinished, at: float) -> Result:
        stderr = take_output(self._folder / f"{event.step}.err")
        status = _status(event)
        started = self._started.pop(event.step, None)
        return {
            "script": str(script.path),
            "name": script.path.name,
            "status": status,
            "exit_code": _exit_code(event),
            "stdout": take_output(self._folder / f"{event.step}.out"),
            "stderr": stderr,
            "execution_time": event.duration_s,
            "error": _error(status, script, event, stderr),
            "subdirectory": script.path.parent.name,
            "start_time": None if started is None else moment(started),
            "end_time": moment(at),
            "note": _note(status, script, event, self._left.pop(event.step, ())),
        }


def take_output(path: Path) -> str:
    """What a command has printed. A file is made with the first byte, and is not needed any more."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    path.unlink()
    path.with_suffix(".log").unlink(missing_ok=True)
    return text


def moment(at: float) -> str:
    """ISO 8601, in local time, from seconds since the epoch."""
    return datetime.fromtimestamp(at).isoformat()


def _status(event: StepFinished) -> str:
    if event.outcome is Outcome.FAILED and event.exit_code is None and event.signal is None:
        return "error"
    return _words[event.outcome]


def _exit_code(event: StepFinished) -> int | None:
    if event.outcome is Outcome.TIMEOUT:
        return None
    return event.exit_code if event.signal is None else -event.signal


def _error(status: str, script: Script, event: StepFinished, stderr: str) -> str | None:
    if status == "passed":
        return None
    if status == "timeout":
        return f"Script timed out after {script.timeout_s}s"
    if status == "failed" and (limit := script.memory_limit_mb) and is_out_of_memory(event, stderr):
        return f"memory limit {limit} MB exceeded ({event.reason})"
    if status in ("skipped", "cancelled"):
        return _why_not(status, event)
    return event.reason


def is_out_of_memory(event: StepFinished, stderr: str) -> bool:
    """Whether a process that has a memory limit shows one of the usual ends of one that meets it."""
    if event.signal in (6, 9, 11) or event.exit_code in (134, 137, 139):  # SIGABRT, SIGKILL, SIGSEGV; also by a shell
        return True
    last = stderr.rstrip().rpartition("\n")[2]
    return last.startswith("MemoryError") or "annot allocate memory" in stderr


def _why_not(status: str, event: StepFinished) -> str:
    if (event.reason or "").startswith("sibling_failed:"):
        return "another script failed first"
    return status


def _note(status: str, script: Script, event: StepFinished, left: tuple[str, ...]) -> str | None:
    allowed = status == "passed" and event.exit_code
    said = f"[INFO] Script exited with code {event.exit_code} (ALLOWED)" if allowed else ""
    return "; ".join(filter(None, [said, *notes(left, script.memory_limit_mb)])) or None


def notes(left: tuple[str, ...], memory_limit_mb: int | None) -> list[str]:
    """What is worth knowing of any process, as sentences: `left` are those that it has left behind."""
    found = []
    if left:
        found.append(f"left {len(left)} process{'es' * (len(left) != 1)} behind: {'; '.join(left)}")
    if memory_limit_mb and not has_memory_limits():
        found.append("the memory limit was not applied: this system has none for processes")
    return found


def _log_start(script: Script) -> None:
    extra = {"event": "SCRIPT_START", "script": str(script.path), "subdirectory": script.path.parent.name}
    log.info("script started: %s", script.path.name, extra=extra)


def _log_end(result: Result) -> None:
    facts = {key: result[key] for key in ("script", "subdirectory", "status", "exit_code", "execution_time")}
    log.info("script ended: %s: %s", result["name"], result["status"], extra={"event": "SCRIPT_END", **facts})
