"""What a step would do now, and to which files, as digests: two runs of it can be compared by them.

Rule 1  The contents of files count, not their times.
Rule 2  What was filled in is recorded as a digest with the key of the ledger: it may hang on the environment, on a
        secret, on what another step printed.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from stepwave.core.events import Launch
from stepwave.core.model import Step, Workflow
from stepwave.core.running.fingerprint import Definition, changed
from stepwave.edge.ledger.expand import Found, expand
from stepwave.edge.ledger.hashes import Digests, Hashes, combined

if TYPE_CHECKING:
    import sqlite3


_REFERENCE = "STEPWAVE_REF_"
"""What a shell gets a reference as: see `interpolate.fill_shell`."""


class Known(NamedTuple):
    """A row of `successes`, without its details. `outputs` is "" where one was not made."""

    run: str
    fingerprint: str
    outputs: str
    exit_code: int | None


class Details(NamedTuple):
    """What is needed only to say what is different: the definition, the digests of what was filled in, and of files."""

    definition: Definition
    filled: Mapping[str, str]
    inputs: Digests
    outputs: Digests


def known_successes(db: "sqlite3.Connection", file: str) -> dict[str, Known]:
    """The last success of every step of a file, all at once."""
    rows = db.execute("SELECT step, run, fingerprint, outputs, exit_code FROM successes WHERE file = ?", (file,))
    return {step: Known(*rest) for step, *rest in rows}


def key_of(db: "sqlite3.Connection") -> bytes:
    """The key of a ledger."""
    (key,) = db.execute("SELECT key FROM seal").fetchone() or (b"",)
    return bytes(key)


def sealed(key: bytes, text: str) -> str:
    """A digest that only this ledger can make: keyed BLAKE2b (RFC 7693)."""
    return "sealed:" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=key).hexdigest()


def seal_of(db: "sqlite3.Connection") -> Callable[[str], str]:
    """What seals with the key of a ledger."""
    return partial(sealed, key_of(db))


class Prints:
    """Fingerprints of the steps of one workflow. Its methods may raise TooManyFiles."""

    def __init__(self, workflow: Workflow, db: "sqlite3.Connection") -> None:
        self.top = os.path.abspath(workflow.folder)  # noqa: PTH100
        self.seal = seal_of(db)
        self.hashes = Hashes(db)
        self._declared = frozenset(workflow.env)

    def read(self, launch: Launch) -> tuple[Found, Digests]:
        """The inputs; what the step itself makes among them is none, unless it is named."""
        named = launch.inputs or ()
        found = expand(named)
        if launch.outputs and len(found.files) > len(named):
            own = expand(launch.outputs).files.keys() - frozenset(named)
            found = found._replace(files={path: at for path, at in found.files.items() if path not in own})
        return found, self.digests(found)

    def made(self, launch: Launch) -> tuple[Found, Digests]:
        """The outputs."""
        found = expand(launch.outputs)
        return found, self.digests(found)

    def digests(self, found: Found) -> Digests:
        """By path, from the folder of the workflow on, so that it may be moved."""
        return {self.inside(path): digest for path, digest in self.hashes.digests(found).items()}

    def inside(self, path: str) -> str:
        return path[len(self.top) + 1 :] if path.startswith(f"{self.top}/") else path

    def of(self, step: Step, launch: Launch, inputs: Digests) -> str:
        """Of everything that decides what the step does, with all references filled in."""
        said = (
            launch.argv,
            self._relative(launch.cwd),
            self._environment(step, launch),
            launch.stdin,
            self._digest_of_stdin(launch),
            step.allowed_exit_codes,
            [test.script for test in step.tests],
            (step.success_pattern, step.failure_pattern),
            step.outputs,
            combined(inputs),
        )
        return self.seal(repr(said))

    def filled(self, step: Step, launch: Launch) -> dict[str, str]:
        """Digests of what was filled in, by what it was filled into."""
        env = self._environment(step, launch)
        brought = [value for name, value in env if name.startswith(_REFERENCE)]
        filled = {
            "command": self.seal(repr((launch.argv, brought))),
            "cwd": self.seal(self._relative(launch.cwd)),
            **{f"env {name}": self.seal(str(value)) for name, value in env if not name.startswith(_REFERENCE)},
        }
        if launch.stdin is not None:
            filled["stdin"] = self.seal(repr(launch.stdin) + self._digest_of_stdin(launch))
        return filled

    def _environment(self, step: Step, launch: Launch) -> list[tuple[str, str | None]]:
        """What the file declares, and of what stepwave adds the names that stand in the command."""
        words = "\0".join(launch.argv)
        ours = "WORKFLOW_" in words
        return sorted(
            (name, value)
            for name, value in launch.env.items()
            if not name.startswith("WORKFLOW_")
            or name in self._declared
            or name in step.env
            or (ours and name in words)
        )

    def _digest_of_stdin(self, launch: Launch) -> str:
        if launch.stdin is None or launch.stdin.path is None:
            return ""
        return combined(self.hashes.digests(expand((launch.stdin.path,))))

    def _relative(self, path: str) -> str:
        return f".{path[len(self.top) :]}" if path == self.top or path.startswith(f"{self.top}/") else path


# --- differences ---------------------------------------------------------------------------------------------------


def differences(before: Details, now: Details) -> tuple[str, ...]:
    """What is different, in words: `input src/a.c changed`, `env CC: gcc -> clang`, `output out/x is missing`."""
    told = [*changed(before.definition, now.definition)]
    if not told:
        told += [
            f"{name} changed" if name.startswith("env ") else f"what is filled into its {name} changed"
            for name in sorted(now.filled.keys() | before.filled.keys())
            if now.filled.get(name) != before.filled.get(name)
        ]
    told += _files("input", before.inputs, now.inputs, "is gone")
    told += _files("output", before.outputs, now.outputs, "is missing")
    return tuple(told)


def _files(what: str, before: Digests, now: Digests, gone: str) -> list[str]:
    told = [f"{what} {path} {gone}" for path in before if path not in now]
    for path, digest in now.items():
        if path not in before:
            told.append(f"{what} {path} is new")
        elif before[path] != digest:
            told.append(f"{what} {path} changed")
    return sorted(told)
