"""One command whose output is wanted, and written nowhere: a supervisor runs it, as it does every step.

So it leaves nothing behind either, whatever it started and however the runner ends.
"""

import os
import select

from stepwave.edge.local.messages import receive, send
from stepwave.edge.local.sink import KEEP
from stepwave.edge.local.zygote import Zygote


def ask(zygote: Zygote, argv: tuple[str, ...], cwd: str, timeout_s: float) -> tuple[bytes, bytes, str | None]:
    """Its stdout and stderr, and why that is no answer, as the end of a sentence; None when it exited with 0.

    Standard input is empty. More than 64 KiB is no answer. Raises OSError when no process can be started.
    """
    channel = zygote.new_supervisor()
    try:
        send(channel, ("run", 1, list(argv), [], cwd, {}, None, ("", "-", None)))
        poll = select.poll()
        poll.register(channel, select.POLLIN)
        if not poll.poll(timeout_s * 1000):
            return b"", b"", f"took longer than {timeout_s:g}s"
        message = receive(channel)
    finally:
        os.close(channel)  # the supervisor ends, and everything below it
    if message is None:
        return b"", b"", "was killed"
    _, _, status, problem, _, _, _, (stdout, stderr), *_ = message
    if problem is None:
        problem = _problem(os.waitstatus_to_exitcode(status), len(stdout))
    else:
        problem = f"could not be run: {problem}"
    return stdout, stderr[:KEEP], problem


def _problem(code: int, size: int) -> str | None:
    if code:
        return f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}"
    return "printed more than 64 KiB" if size > KEEP else None
