"""One attempt that another process carries out, perhaps on another machine: what goes there, and what comes back.

Both ends are the same stepwave, which `Around.version` proves.
"""

from collections.abc import Mapping
from typing import NamedTuple

from stepwave.core.events import Exited, Launch

MOST_BROUGHT = 16 * 1024 * 1024
"""Bytes of the newest output of an attempt that come back from a worker that does not see the run's folder."""
MOST_LOSSES = 3
"""So many attempts of a step may be lost with their worker, and are tried again beside its own retries."""


class Around(NamedTuple):
    """What all attempts of a run have in common.

    `folder` is that of the run; a worker that finds `proof` in the file `token` there sees the same folder. `environ`
    is the environment of the caller. `forms` is what is masked in all that is printed.
    """

    version: str
    folder: str
    token: str
    proof: str
    environ: Mapping[str, str]
    forms: tuple[tuple[bytes, bool], ...] = ()


class Job(NamedTuple):
    """`key` is its name among all jobs of all runs. `launch` is complete: its `env` has all that is laid over
    `Around.environ`. `around` is a pickled `Around`; bytes, since it is the same for all of them.
    """

    key: str
    launch: Launch
    around: bytes


class Brought(NamedTuple):
    """What has become of a job. `files`: its logs, by their names in the run's folder, where the worker does not see
    that; else they are there already. `host`: the name of the machine.
    """

    end: Exited
    files: tuple[tuple[str, bytes], ...] = ()
    host: str = ""
