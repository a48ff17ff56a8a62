"""The real command as a process of its own: exit code, stdout, stderr, and the proof that nothing is left of it.

Every invocation carries a mark of its own in its environment; no living process may carry it once the command has
ended. Times, ids and paths are replaced by `normal`, so that a test compares everything else as a whole.
"""

import os
import re
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import dedent
from typing import IO, Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MODULE = (sys.executable, "-m", "stepwave")
MARK = "STEPWAVE_TEST_MARK"
PATIENCE_S = 60.0
"""Longer than anything here takes: only a hang gets there."""


class Ended(NamedTuple):
    """What a person sees of a command that has ended."""

    code: int
    out: str
    err: str


def clean_environment(home: Path | str, **more: str) -> dict[str, str]:
    """Little, and always the same: UTF-8, no colours asked for, no state folder, a home in the test's folder."""
    kept = {name: os.environ[name] for name in ("PYTHONPATH", "PYTHONWARNINGS") if name in os.environ}
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return {**kept, "PATH": path, "HOME": str(home), "LANG": "C.UTF-8", MARK: uuid.uuid4().hex, **more}


def stepwave(
    *words: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    command: tuple[str, ...] = MODULE,
) -> Ended:
    """Run `stepwave WORDS` in `cwd`. `env` is laid over the clean environment."""
    environ = clean_environment(cwd, **(env or {}))
    done = subprocess.run(
        [*command, *map(str, words)],
        cwd=cwd,
        env=environ,
        input=stdin.encode(),
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    ended = Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert_polite(ended)
    assert survivors(environ[MARK]) == []
    return ended


def assert_polite(ended: Ended) -> None:
    """What holds for every command, whatever it is asked."""
    for text in (ended.out, ended.err):
        assert not re.search(r"^(Traceback|Exception ignored)", text, re.MULTILINE), text


@contextmanager
def started(
    *words: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    command: tuple[str, ...] = MODULE,
    **popen: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """The command while it runs; killed at the end of the block if it still does."""
    environ = clean_environment(cwd, **(env or {}))
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([*command, *map(str, words)], cwd=cwd, env=environ, **{**options, **popen})
    try:
        yield process
        if process.returncode is not None:
            assert_alone(environ[MARK], at_once=process.returncode >= 0)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE_S)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


def end(process: subprocess.Popen[bytes]) -> Ended:
    """Wait for a started command."""
    out, err = process.communicate(timeout=PATIENCE_S)
    ended = Ended(process.returncode, (out or b"").decode(), (err or b"").decode())
    assert_polite(ended)
    return ended


def assert_alone(mark: str, at_once: bool = True) -> None:
    """Nothing with this mark is alive; of a command that was killed, soon."""
    give_up = time.monotonic() + PATIENCE_S
    while not at_once and survivors(mark) and time.monotonic() < give_up:
        select.select([], [], [], 0.01)
    assert survivors(mark) == []


def survivors(mark: str) -> list[str]:
    """The living processes that carry the mark in their environment or on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            words = (entry / "cmdline").read_bytes()
            if state not in "ZX" and mark.encode() in (entry / "environ").read_bytes() + words:
                found.append(f"{entry.name}: {words.replace(bytes(1), b' ').decode()}")
    return found


# --- workflows ---------------------------------------------------------------------------------------------


def flow(folder: Path, text: str, name: str = "flow.yaml") -> Path:
    """Write a workflow file; the text may be indented as the test is."""
    path = folder / name
    path.write_text(dedent(text), encoding="utf-8")
    return path


class Gate:
    """A pair of FIFOs: a step says that it is there and holds one end, the test lets it go on.

    A step of `hold` keeps the writing end open in everything it starts: end of file means that all of it is dead.
    """

    def __init__(self, folder: Path, name: str = "gate") -> None:
        self.there, self.go = folder / f"{name}.there", folder / f"{name}.go"
        os.mkfifo(self.there)
        os.mkfifo(self.go)
        self._reader: int | None = None

    @property
    def hold(self) -> str:
        """Shell text: say `there`, keep hold."""
        return f"exec 9>'{self.there}'; echo there >&9"

    @property
    def wait(self) -> str:
        """Shell text: wait until the test opens the gate."""
        return f"read -r go < '{self.go}'"

    def arrived(self) -> None:
        """Wait until the step has said that it is there."""
        self._reader = os.open(self.there, os.O_RDONLY)
        assert self.read(6) == b"there\n"

    def read(self, size: int) -> bytes:
        """What the step says next, or nothing at end of file."""
        assert self._reader is not None
        data = b""
        while len(data) < size:
            ready, _, _ = select.select([self._reader], [], [], PATIENCE_S)
            assert ready, "nobody speaks, and nobody lets go"
            part = os.read(self._reader, size - len(data))
            if not part:
                break
            data += part
        return data

    def all_gone(self) -> None:
        """Wait until the last process that held the gate is dead."""
        assert self.read(1) == b""
        os.close(self._reader or 0)
        self._reader = None

    def open(self) -> None:
        """Let the waiting step go on."""
        self.go.write_text("go\n")


def first_lines(stream: IO[bytes] | None, wanted: Callable[[str], bool]) -> list[str]:
    """Read lines until one is wanted."""
    assert stream is not None
    lines: list[str] = []
    while not lines or not wanted(lines[-1]):
        line = stream.readline()
        assert line, f"the stream ended after {lines}"
        lines.append(line.decode().rstrip("\n"))
    return lines


# --- what changes from run to run ----------------------------------------------------------------------------

_run_id = re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{6}\b")
_time = re.compile(r"(?<![\w.-])(?:\d+h )?(?:\d+m )?\d+(?:\.\d+)?(?:ms|s|m|h)\b")


def run_folders(beside: Path) -> list[Path]:
    """The runs of the workflows in a folder, the latest last; their names only sort to the second."""
    return sorted((beside / ".stepwave" / "runs").glob("*"), key=lambda folder: folder.stat().st_mtime_ns)


def normal(text: str, folder: Path | None = None) -> str:
    """Durations as <t>, run ids as <run>, the folder as <here>; columns closed up; no line about time saved, or
    about the lower bound that only runs of a second have."""
    if folder is not None:
        text = text.replace(str(folder), "<here>")
    text = _run_id.sub("<run>", text)
    text = re.sub(r"pid \d+", "pid <n>", text)
    lines = []
    for line in _time.sub("<t>", text).split("\n"):
        if "(Sequential would have taken" in line or line.startswith(("    queued for", "  took <t>; lower bound")):
            continue
        beginning = re.match(r" *", line)
        indent = beginning[0] if beginning else ""
        lines.append(indent + re.sub(r" {2,}", "  ", re.sub(r" +<t>", " <t>", line[len(indent) :])))
    return re.sub(r"\(\d+% saved\)", "(<n>% saved)", "\n".join(lines))


def say(text: str) -> str:
    """Expected output, indented as the test is."""
    return dedent(text).removeprefix("\n")


def send(process: subprocess.Popen[bytes], *numbers: signal.Signals) -> None:
    for number in numbers:
        process.send_signal(number)
