"""Commands carried out by the engine of `stepwave run`, without a workflow file, a record or a folder that stays.

Rule 1  Processes are in the care of the same supervisors: what a command starts ends with it, at its time limit, and
        when this program ends, however that happens.
Rule 2  No signal handler is touched, so every thread may drive a run of its own. KeyboardInterrupt, or whatever else
        leaves `carry_out` early, kills everything that still runs.
Rule 3  Nothing in a command is a reference: texts that look like one are handed on as they are.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stepwave.api import cpu_count, start_early
from stepwave.core.diagnostics import Place
from stepwave.core.events import Entry, Interrupted, Launch
from stepwave.core.model import FailurePolicy, Step, Workflow
from stepwave.core.plan import Plan
from stepwave.core.running.graph import make_plan
from stepwave.core.running.prepare import CannotPrepare, Env, Preparation
from stepwave.core.running.schedule import Schedule
from stepwave.edge.local.launcher import LocalLauncher
from stepwave.edge.local.zygote import Zygote
from stepwave.engine import Inbox, ListenerFailed, Spine, drive

NOWHERE = Place("")
"""The place of a step that stands in no file."""

_live: set[Zygote | LocalLauncher] = set()


def carry_out(
    steps: Sequence[Step],
    *,
    width: int,
    folder: Path,
    see: Callable[[Entry], None],
    check: Callable[[Step], str | None] = lambda step: None,
    brake: "Brake | None" = None,
) -> None:
    """Run the steps, at most `width` at a time, and tell `see` everything that happens; what it raises ends the run.

    What a step prints is then in `folder`: `<id>.out` and `<id>.err`, unless it was nothing. `check` is asked when a
    step's turn has come; the sentence that it gives back fails the step. `brake` ends the run early.
    Raises OSError when no process can be started.
    """
    with ExitStack() as closing:
        # Started first, because it takes some 20 ms, and everything below up to the first order is done meanwhile.
        zygote = closing.enter_context(start_early())
        _live.add(zygote)
        closing.callback(_live.discard, zygote)
        workflow = Workflow("toolkit", NOWHERE, tuple(steps), folder=str(folder), on_failure=FailurePolicy.CONTINUE)
        plan = make_plan(workflow, cpus=cpu_count(), max_concurrency=width)
        inbox = Inbox()
        launcher = LocalLauncher(inbox, folder, zygote)
        _live.add(launcher)
        closing.callback(_live.discard, launcher)
        closing.callback(launcher.close)
        if brake is not None:
            closing.enter_context(brake.on(inbox))
        schedule = Schedule(plan, _Verbatim(plan, folder, check), ahead=True)
        try:
            drive(schedule, launcher, inbox, Spine("", [_Ear(see)], [], lambda sentence: None))
        except ListenerFailed as failed:
            raise failed.__cause__ or failed from None


def _let_go() -> None:
    """In a process that was forked while runs go on: their ends of the sockets belong to the parent alone, or else the
    supervisors would not notice its end."""
    for end in _live:
        end.close()
    _live.clear()


os.register_at_fork(after_in_child=_let_go)


class _Verbatim(Preparation):
    """Orders say what the steps say: nothing is filled in, and nothing is added to the environment."""

    def __init__(self, plan: Plan, folder: Path, check: Callable[[Step], str | None]) -> None:
        super().__init__(plan, environ={}, run="", run_folder=str(folder), now=time.time())
        self._check = check

    def launch(self, step: Step, attempt: int) -> tuple[Launch, Env]:
        if problem := self._check(step):
            raise CannotPrepare(problem)
        launch = Launch(
            step=step.id,
            attempt=attempt,
            argv=step.argv,
            cwd=step.cwd,
            env=step.env,
            stdin=step.stdin,
            limits=step.limits,
            log=f"{step.id}.log",
            keep_output=True,
        )
        return launch, {}


class _Ear:
    """A listener that is one function."""

    refresh_s: float | None = None

    def __init__(self, see: Callable[[Entry], None]) -> None:
        self.see = see

    def refresh(self) -> None: ...

    def pause(self) -> None: ...

    def close(self) -> None: ...


class Brake:
    """Ends a run from another thread: what waits is not begun, what runs is stopped (`StopRule`); pulled twice, killed.

    Pulled before the run has begun, it holds too.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may pull it in the midst of `on` or `pull`
        self._pulls = 0
        self._writer: int | None = None

    def pull(self) -> None:
        with self._lock:
            self._pulls += 1
            if self._writer is not None:
                os.write(self._writer, b"!")

    @contextmanager
    def on(self, inbox: Inbox) -> Iterator[None]:
        """While entered, pulling it comes in through this inbox."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        with self._lock:
            self._writer = writer
            os.write(writer, b"!" * self._pulls)
        inbox.watch(reader, lambda: [Interrupted(signal.SIGTERM) for _ in os.read(reader, 64)])
        try:
            yield
        finally:
            with self._lock:
                self._writer = None
            inbox.unwatch(reader)
            os.close(reader)
            os.close(writer)
