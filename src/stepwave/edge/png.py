"""A drawing as pixels: somebody else's program makes them, a browser or Graphviz.

Rule 1  A browser is given a file of our own, and a profile that is thrown away; it needs no network and is given none.
Rule 2  Neither is waited for longer than PATIENCE_S, and nothing that they start outlives the call.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 60.0
MAX_SIDE = 8000
"""Pixels: what a browser draws as one picture."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")


class CannotDraw(Exception):  # noqa: N818 - a sentence for a diagnostic
    """The program failed; the text says why, a lower-case sentence."""


def browser() -> str | None:
    """Where a browser is that takes pictures without a screen."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def dot() -> str | None:
    """Where Graphviz is."""
    return shutil.which("dot")


def by_browser(program: str, svg: str, width: float, height: float) -> bytes:
    """The SVG text as PNG; `width` and `height` in its own pixels. Raises CannotDraw."""
    scale = max(0.1, min(2.0, MAX_SIDE / max(width, height, 1.0)))
    with tempfile.TemporaryDirectory(prefix="stepwave-png-", ignore_cleanup_errors=True) as folder:
        drawing, picture = Path(folder, "drawing.svg"), Path(folder, "drawing.png")
        drawing.write_text(svg, "utf-8")
        words = [
            *("--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions"),
            *("--disable-dev-shm-usage", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *(f"--user-data-dir={folder}/profile", f"--force-device-scale-factor={scale:g}"),
            *(f"--window-size={round(width)},{round(height)}", f"--screenshot={picture}", drawing.as_uri()),
        ]
        if os.geteuid() == 0:  # its sandbox refuses root; the file is our own
            words.insert(0, "--no-sandbox")
        _run([program, *words], b"", {**os.environ, "HOME": folder})
        try:
            return picture.read_bytes()
        except OSError:
            raise CannotDraw(f"`{Path(program).name}` made no picture") from None


def by_dot(program: str, text: str) -> bytes:
    """The DOT text as PNG. Raises CannotDraw."""
    return _run([program, "-Tpng"], text.encode("utf-8", "replace"), dict(os.environ))


def _run(words: Sequence[str], given: bytes, environ: dict[str, str]) -> bytes:
    name = Path(words[0]).name
    try:
        process = subprocess.Popen(
            words,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as problem:
        raise CannotDraw(f"`{name}` could not be started: {(problem.strerror or '').lower()}") from None
    with process:
        try:
            made, _ = process.communicate(given, PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise CannotDraw(f"`{name}` took longer than {PATIENCE_S:g}s") from None
        finally:
            _end(process.pid)
    if process.returncode:
        raise CannotDraw(f"`{name}` ended with exit code {process.returncode}")
    return made


def _end(group: int) -> None:
    """A browser has helpers; those that are left of it go with it."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
