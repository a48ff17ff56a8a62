"""A real Slurm on this machine: munged, slurmctld and two nodes on loopback, all with files and ports of their own.

`python -m tests.edge.executors.slurm.cluster` starts one to try things with, and says how to speak to it. In Debian all
it needs is `apt-get install slurmctld slurmd slurm-client munge`; no daemon of the system is used or touched.

There is no accounting, no cgroup and no root needed: proctrack/linuxproc, task/none. The nodes have more CPUs than the
machine, which is what `config_overrides` is for; and one GPU each, as far as Slurm is told.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
SYSTEM_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin:/usr/local/sbin"
NODES = ("n1", "n2")
CPUS = 4
START_S = 20.0
STOP_S = 20.0

CONFIGURATION = """\
ClusterName=stepwave
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
GresTypes=gpu
MpiDefault=none
MailProg={true}
ReturnToService=0
KillWait=2
SchedulerParameters=batch_sched_delay=0,sched_min_interval=1000,sched_interval=1,bf_interval=1
{nodes}
PartitionName=main Nodes={names} Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes={names} MaxTime=60 State=UP
"""


class CannotStart(Exception):  # noqa: N818 - says what happened
    """Slurm cannot be started on this machine; the text says why."""


class Cluster(NamedTuple):
    """A Slurm that answers. `environ` is what a command needs in its environment to find it."""

    folder: Path
    environ: dict[str, str]

    def ask(self, *words: str) -> str:
        """What a command of Slurm prints. Raises CalledProcessError."""
        environ = {**os.environ, **self.environ}
        done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=START_S, check=False)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
        return done.stdout

    def jobs(self) -> list[str]:
        """The jobs that wait or run: `7 RUNNING n1`. Not those that are being tidied up after: their processes have
        ended, but that it is done is noticed late where a message got lost."""
        states = "--states=PENDING,CONFIGURING,RUNNING,SUSPENDED"
        return self.ask("squeue", "--noheader", states, "--format=%i %T %N").splitlines()

    def node_state(self, node: str) -> str:
        return self.ask("sinfo", "--noheader", "--Node", f"--nodes={node}", "--partition=main", "--format=%T").strip()

    def set_node(self, node: str, state: str) -> None:
        self.ask("scontrol", "update", f"nodename={node}", f"state={state}", "reason=test")


def wait_until(is_so: Callable[[], bool], patience_s: float) -> bool:
    """Whether it became so in time; nothing tells us, so it is looked at again and again."""
    give_up = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > give_up:
            return False
        select.select([], [], [], 0.05)
    return True


def missing_programs() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name, path=SYSTEM_PATH) is None]


@contextmanager
def started_cluster(folder: Path) -> Iterator[Cluster]:
    """Slurm, with all its files in `folder`, until the end of the block. Raises CannotStart."""
    if missing := missing_programs():
        raise CannotStart(f"not installed: {', '.join(missing)}")
    cluster = Cluster(folder, {"SLURM_CONF": str(folder / "slurm.conf")})
    try:
        _write_files(folder)
    except OSError as problem:
        raise CannotStart(f"its files cannot be written: {problem}") from problem
    with ExitStack() as running:
        _start(running, cluster)
        yield cluster
        _end_jobs(cluster)


def _write_files(folder: Path) -> None:
    import pwd

    folder.chmod(0o755)  # munge asks that everybody can reach its socket
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(128))
    (folder / "state").mkdir()
    host = socket.gethostname().partition(".")[0]
    port, *ports = _free_ports(1 + len(NODES))
    lines = []
    for node, its_port in zip(NODES, ports, strict=True):
        (folder / f"spool-{node}").mkdir()
        (folder / f"gpu-{node}").touch()
        size = f"CPUs={CPUS} RealMemory=1000 Gres=gpu:1 State=UNKNOWN"
        lines.append(f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={its_port} {size}")
    devices = [f"NodeName={node} Name=gpu File={folder}/gpu-{node}\n" for node in NODES]
    (folder / "gres.conf").write_text("".join(devices))
    text = CONFIGURATION.format(
        host=host,
        port=port,
        user=pwd.getpwuid(os.geteuid()).pw_name,
        folder=folder,
        true=shutil.which("true"),
        nodes="\n".join(lines),
        names=",".join(NODES),
    )
    (folder / "slurm.conf").write_text(text)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _start(running: ExitStack, cluster: Cluster) -> None:
    folder = cluster.folder
    munged = running.enter_context(_daemon(cluster, "munged", *_munge_options(folder)))
    _wait_for(munged, (folder / "munge.socket").exists, "munged made no socket", folder)
    controller = running.enter_context(_daemon(cluster, "slurmctld", "-D"))
    daemons = [running.enter_context(_daemon(cluster, "slurmd", "-D", "-N", node)) for node in NODES]
    _wait_for(controller, lambda: _all_idle(cluster), "its nodes do not become idle", folder)
    for daemon in daemons:
        _wait_for(daemon, lambda: True, "", folder)


def _munge_options(folder: Path) -> Sequence[str]:
    files = {"socket": "munge.socket", "key-file": "munge.key", "log-file": "munged.log", "pid-file": "munged.pid"}
    files["seed-file"] = "munged.seed"
    # --force: a temporary folder lies below one that others may write to.
    return ["--foreground", "--force", "--num-threads=10", *(f"--{a}={folder}/{b}" for a, b in files.items())]


def _all_idle(cluster: Cluster) -> bool:
    with suppress(subprocess.SubprocessError):
        return all(cluster.node_state(node) == "idle" for node in NODES)
    return False


def _wait_for(daemon: "_Daemon", is_so: Callable[[], bool], otherwise: str, folder: Path) -> None:
    """Raises CannotStart when the daemon ends instead, or it takes too long."""
    began = wait_until(lambda: daemon.process.poll() is not None or is_so(), START_S)
    if daemon.process.poll() is not None:
        raise CannotStart(f"{daemon.name} ended: {_last_line(folder / f'{daemon.name}.out')}")
    if not began:
        raise CannotStart(f"{otherwise}: {_last_line(folder / f'{daemon.name}.out')}")


def _last_line(file: Path) -> str:
    with suppress(OSError):
        lines = [line for line in file.read_text(errors="replace").splitlines() if "error" in line or "fatal" in line]
        return lines[-1] if lines else "it said nothing"
    return "it said nothing"


class _Daemon(NamedTuple):
    name: str
    process: "subprocess.Popen[bytes]"
    output: IO[bytes]


@contextmanager
def _daemon(cluster: Cluster, name: str, *options: str) -> Iterator[_Daemon]:
    """Stopped by its pid at the end of the block: asked first, then killed."""
    program = shutil.which(name, path=SYSTEM_PATH)
    assert program is not None
    environ = {**os.environ, **cluster.environ, "PATH": SYSTEM_PATH}
    with (cluster.folder / f"{name}.out").open("ab") as output:
        process = subprocess.Popen(
            [program, *options],
            env=environ,
            cwd=cluster.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the tests
        )
        try:
            yield _Daemon(name, process, output)
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _end_jobs(cluster: Cluster) -> None:
    """What a test left is ended before the nodes are, as nobody would do it afterwards."""
    for job in cluster.jobs():
        with suppress(subprocess.SubprocessError):
            cluster.ask("scancel", job.split()[0])
    wait_until(lambda: not cluster.jobs(), STOP_S)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="stepwave-slurm-") as folder, started_cluster(Path(folder)) as cluster:
        lines = [f"export {name}={value}" for name, value in cluster.environ.items()]
        sys.stdout.write(
            "\n".join([*lines, "# until Ctrl-C; in another shell, with these lines: sinfo, srun hostname …\n"])
        )
        sys.stdout.flush()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        signal.pause()


if __name__ == "__main__":
    main()
