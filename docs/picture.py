"""Draws docs/board.svg, the live board in the middle of a run, by Rich's own export, and docs/report.png, the page of a
run, by a browser where there is one: `make docs`.

The examples are run for real; what is seen is the picture.
"""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from stepwave import api
from stepwave.core.events import Entry
from stepwave.core.plan import Plan
from stepwave.core.telling.progress import Progress
from stepwave.core.telling.style import make_style
from stepwave.edge.png import browser
from stepwave.edge.screen.board import text_of
from stepwave.edge.screen.sight import Row, Sight, View

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples" / "workflows"
WIDTH, HEIGHT, MOMENT_S = 76, 30, 0.72
STYLE = make_style(color=True, unicode=True)


class Glance:
    """A listener that looks at the board once."""

    refresh_s: float | None = 0.02

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.numbers = Progress(plan)
        self.sight = Sight(self.numbers, folder, STYLE, View.FULL)
        self.now = 0.0
        self.rows: list[Row] = []

    def see(self, entry: Entry) -> None:
        self.numbers.count(entry.event, entry.elapsed_s)
        self.now = entry.elapsed_s

    def refresh(self) -> None:
        if not self.rows and self.now > MOMENT_S:
            self.rows = self.sight.rows(self.now, WIDTH, HEIGHT, 0)

    def pause(self) -> None: ...

    def close(self) -> None: ...


def picture() -> str:
    glances: list[Glance] = []

    def glance(plan: Plan, folder: Path) -> Glance:
        glances.append(Glance(plan, folder))
        return glances[0]

    api.run(EXAMPLES / "quickstart.yaml", courtesy=[glance], record=False)
    console = Console(record=True, width=WIDTH + 2, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(text_of(glances[0].rows, STYLE))
    return console.export_svg(title="stepwave run quickstart.yaml", unique_id="board")


def draw_page(program: str, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        own = {**os.environ, "STEPWAVE_STATE_DIR": f"{folder}/state"}
        stepwave = [sys.executable, "-m", "stepwave"]
        page = f"{folder}/report.html"
        subprocess.run([*stepwave, "run", "-q", str(EXAMPLES / "parallel.yaml")], env=own, check=True)
        subprocess.run([*stepwave, "report", "-o", page], env=own, check=True, stdout=subprocess.DEVNULL)
        words = ["--headless", "--disable-gpu", "--hide-scrollbars", "--window-size=1200,1160"]
        words += ["--no-sandbox"] * (os.geteuid() == 0)  # which refuses root; the page is our own
        words += [f"--user-data-dir={folder}/profile", f"--screenshot={target}", f"file://{page}"]
        subprocess.run([program, *words], check=True, capture_output=True)


if __name__ == "__main__":
    (HERE / "board.svg").write_text(picture(), "utf-8")
    print(f"wrote {HERE / 'board.svg'}", file=sys.stderr)  # noqa: T201
    if (program := browser()) is not None:
        draw_page(program, HERE / "report.png")
        print(f"wrote {HERE / 'report.png'}", file=sys.stderr)  # noqa: T201
