"""The door: from the command line in, to the exit code out."""

import gc
import os
import sys
from contextlib import suppress

_asks_version = (["--version"], ["-V"])


def main() -> None:
    """The command `stepwave`. Ends the process with the run's exit code."""
    if sys.argv[1:] not in _asks_version:
        _let_interrupts_end_us()
    code = door()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # Everything that was started has ended and everything written is on its way: taking the interpreter apart, object
    # by object, would only cost the person who waits.
    os._exit(code)


def door() -> int:
    """Do what the command line says; the exit code. Never raises."""
    _repair_descriptors()
    # What is made until a run begins lives on, and hardly anything of it is a cycle: see `running._settle_down`.
    gc.disable()
    try:
        if sys.argv[1:] in _asks_version:
            from stepwave import __version__

            os.write(1, f"stepwave {__version__}\n".encode())
            return 0
        words = sys.argv[1:]
        if words[:1] == ["run"] and "_STEPWAVE_COMPLETE" not in os.environ:
            from stepwave.cli import quick, running

            words = quick.spelled_out(words)
            if (asked := quick.read(words)) is not None:
                return running.run(asked)
        if words[:1] == ["find-symbol"] and "_STEPWAVE_COMPLETE" not in os.environ:
            from stepwave.cli.code import finding

            if (wanted := finding.read(words)) is not None:
                gc.disable()
                return finding.run(wanted)
        if words[:1] == ["graph"] and "_STEPWAVE_COMPLETE" not in os.environ:
            from stepwave.cli import quick

            words = quick.spelled_out(words)
        from stepwave.cli.app import app

        app(words, prog_name="stepwave")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as problem:
        return _broken(problem)
    return 0


def _repair_descriptors() -> None:
    """A closed 0, 1 or 2 would become the next pipe or log that is opened; /dev/null takes its place."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - stays open as long as the process


def _let_interrupts_end_us() -> None:
    """Until a run takes the signals over, Ctrl-C ends this process at once: 130 to a shell, and no traceback."""
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _broken(problem: BaseException) -> int:
    """The tool itself has failed: one sentence, and the traceback for whoever asks for it."""
    if isinstance(problem, KeyboardInterrupt):
        return 130
    if isinstance(problem, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the flush at exit must not fail again
        return 141
    if os.environ.get("STEPWAVE_DEBUG"):
        import traceback

        traceback.print_exc()
    told = _told(problem)
    more = [f"  {note}" for note in getattr(told, "__notes__", ())]
    lines = [
        f"stepwave: {_sentence(told)}",
        *(more or ["  (the runner itself failed; STEPWAVE_DEBUG=1 shows where)"]),
    ]
    with suppress(OSError):
        print(*lines, sep="\n", file=sys.stderr, flush=True)  # noqa: T201
    return 3


def _told(problem: BaseException) -> BaseException:
    """When a listener failed, what it could not do says more than its name."""
    cause = problem.__cause__
    return cause if isinstance(cause, OSError) and not isinstance(problem, OSError) else problem


def _sentence(problem: BaseException) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        reason = problem.strerror[:1].lower() + problem.strerror[1:]
        return f"`{problem.filename}`: {reason}" if problem.filename else reason
    return f"{type(problem).__name__}: {problem}".removesuffix(": ")
