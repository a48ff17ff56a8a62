"""What an engine is, and how one plugs in.

An engine only *places*: it has a job carried out somewhere, once, and says how that went. Who is next, how many at a
time, timeouts, retries: all of that stays in the schedule, and an engine has its own of these switched off.

`placing.Placing` is the launcher in front. It makes a `Job` (core/job.py) of each `Launch` and gives it to the engine.
On the worker `work.carry_out(job, tell)` runs it and returns a `Brought`: below supervisors that the worker process
keeps, so that cwd, environment, limits, logs, masking and the care for processes are those of a local step. The
functions of `Work` are picklable by name, so an engine may send them; they are handed in, as no edge imports another.

An engine is a module with

    def open_engine(rest: str, width: int | None) -> Engine

where `rest` is what follows the name in `--executor name:rest` (`dask://host:port` gives `//host:port`; "" for none)
and `width` how many attempts the run may have at a time, None where neither file nor command line says. It imports what
it needs itself, connects, makes sure that there is somebody who can carry out jobs, and raises `Refused` with a
sentence and a line of help when that cannot be: before anything runs. `choose.py` has the table of names.

Then, in the order of the calls:

    engine.begin(desk, work)      once
    engine.submit(jobs)           any number of times; all that is to begin in one turn of the loop comes at once
    engine.stop(key, number)      end this job with this signal; 9 (SIGKILL) means: at once, whatever it takes
    engine.close()                whatever has happened: nothing of the run is left, neither here nor there; it may be
                                  called again, and without `begin`

All calls come from the thread of the loop, and none but `close` blocks. The engine answers through the `Desk`, from any
thread, exactly once for each job:

    desk.ended(key, brought)      what `carry_out` has returned
    desk.lost(key, reason)        its worker is gone, and the processes of the job with it: the step is tried again, at
                                  most `MOST_LOSSES` times, beside its own retries
    desk.failed(key, reason)      it cannot be carried out, and will not be by trying again

Before, it may call `desk.held(key)` for a job that has to wait in its queue, and `desk.begun(key)` when it does so no
longer: the time limit of the step does not count meanwhile.

A job that is stopped ends as all do: `carry_out` returns with `end.stopped`. One that has not begun (it waits in a
queue of the engine) is answered with `desk.withdrawn(key)`. What the desk is told of a job that has been answered is
ignored.

How a stop reaches the worker is the engine's affair: in the process that carries the job out `work.stop(key, number)`
does it, from any thread; it may come before the job, which is then not begun. When that process ends in whatever way,
so do the processes of its jobs: its supervisors read end of file. So an engine has to see to two things: that `stop`
gets there, and that the worker's process ends, or hears a `work.stop`, when the runner is gone (kill -9).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from stepwave.core.job import Brought, Job

Tell = Callable[[], None]
"""Called on the worker, from the thread that carries the job out, when it has been silent for `Launch.idle_s`."""


class Work(NamedTuple):
    """The functions that run on a worker: `edge/local/afar.py`.

    `carry_out(job, tell)` blocks until the job and every process of it has ended. `stop(key, number)` returns whether
    the job is at work in this process; if not, a job with this key that comes later is answered as stopped.
    `freeze(keys, still)` lets those of the jobs that are at work in this process stand still, or go on. `end()` takes
    down the supervisors of this process: for an engine that carries jobs out in the process of the runner.
    """

    carry_out: Callable[[Job, Tell | None], Brought]
    stop: Callable[[str, int], bool]
    freeze: Callable[[tuple[str, ...], bool], None]
    end: Callable[[], None]


class Desk(Protocol):
    """Where an engine reports; from any thread. See the top of this file."""

    def ended(self, key: str, brought: Brought) -> None: ...

    def lost(self, key: str, reason: str) -> None: ...

    def failed(self, key: str, reason: str) -> None: ...

    def withdrawn(self, key: str) -> None: ...

    def silent(self, key: str) -> None: ...

    def held(self, key: str) -> None: ...

    def begun(self, key: str) -> None: ...


class Engine(Protocol):
    """`name` is shown in sentences. `slots`: attempts that it can carry out at a time, as far as known when it was
    opened; None: nobody can tell. `ahead`: so many times as many wait in its queue where nobody has said how many
    attempts there may be at a time: the next is there when one ends. `pools`: the most units of each that one worker
    declares; only those are asked of the engine, by `Launch.pools`. `hears_silence`: it calls `desk.silent`; without,
    a step with a limit for silence is refused before the run.
    """

    name: str
    slots: int | None
    ahead: int
    pools: Mapping[str, int]
    hears_silence: bool

    def begin(self, desk: Desk, work: Work) -> None: ...

    def submit(self, jobs: Sequence[Job]) -> None: ...

    def stop(self, key: str, number: int) -> None: ...

    def freeze(self, keys: tuple[str, ...], still: bool) -> None:
        """The runner is about to stand still (Ctrl-Z), or goes on, and so do these jobs as far as the engine can."""

    def close(self) -> None: ...


class Refused(Exception):  # noqa: N818 - says what happened
    """The engine cannot be used. `help` is one line that says what to do."""

    def __init__(self, sentence: str, help: str = "") -> None:
        super().__init__(sentence)
        self.help = help
