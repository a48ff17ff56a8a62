"""`make bench`: measure stepwave against its peers and print ratios. docs/benchmarks.md tells how to read them.

The exit code is 0 whatever the figures are: a machine that does something else at the same time is no failure.
"""

import argparse
import datetime
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # `benchmarks` itself, not its insides, is what is imported

from benchmarks import comparisons, peers  # noqa: E402
from benchmarks.table import Table, as_markdown, as_text, between_marks  # noqa: E402


def main() -> None:
    asked = _arguments()
    began = time.monotonic()
    peers.install(_tell)
    tables = [comparisons.machine()]
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="stepwave-bench-") as folder:
        setting = comparisons.Setting(Path(folder), asked.rounds, _tell)
        own = peers.examined(None, Path(folder) / "proof", comparisons.WIDTH)
        if own:
            sys.exit(f"stepwave does not do what was asked: {own}")
        for name in asked.only or comparisons.ALL:
            _tell(f"{name} …")
            tables += comparisons.ALL[name](setting)
            loads.append(os.getloadavg()[0])
    ending = f"Load average {min(loads):.1f} to {max(loads):.1f}; {time.monotonic() - began:.0f} s in all."
    _print(tables, ending, asked)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description="Measure stepwave against its peers.")
    parser.add_argument("--only", action="append", choices=comparisons.ALL, help="this comparison; repeatable")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="rounds of each comparison (default: its own)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--write", metavar="PAGE", type=Path, help="put the Markdown between the two marks of PAGE")
    asked = parser.parse_args()
    if asked.write:
        between_marks(asked.write.read_text("utf-8"), "")  # better known now than after the measurement
    return asked


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one round")
    return number


def _print(tables: list[Table], ending: str, asked: argparse.Namespace) -> None:
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    markdown = "\n".join([f"Measured on {day}. {ending}\n", *map(as_markdown, tables)])
    if asked.write:
        page = asked.write.read_text("utf-8")
        asked.write.write_text(between_marks(page, markdown), "utf-8")
    if asked.markdown:
        print(markdown)
    else:
        print("\n".join([*map(as_text, tables), ending]))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
