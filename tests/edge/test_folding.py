"""Plain lines where a CI system folds what steps printed together."""

import io
import os
from pathlib import Path

from stepwave.core.events import Entry, Outcome, StepFinished, StepTested
from stepwave.core.telling.exporting.sections import Github, Gitlab
from stepwave.edge.screen.lines import FOLDED_LINES, Lines
from stepwave.edge.screen.outlet import Outlet
from tests.core import hostile
from tests.edge.test_lines import PRETTY, a_plan, entries, started

FAILED = StepFinished("a", Outcome.FAILED, 1, 3, reason="exit code 3", duration_s=0.012)


def told(folder: Path, *events: Entry, verbose: bool = False, quiet: bool = False) -> list[str]:
    stream = io.StringIO()
    lines = Lines(a_plan("a", "b"), folder, stream, PRETTY, verbose, quiet, fold=Github("t0"))
    for entry in events:
        lines.see(entry)
    lines.close()
    return stream.getvalue().splitlines()


def test_the_output_of_a_failed_step_is_a_group(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("one\n  two\n")
    assert told(tmp_path, *entries([started("a"), FAILED])) == [
        "  → [a] Starting...",
        "  ✗ [a] Failed (12ms): exit code 3",
        "::group::[a] output",
        "::stop-commands::t0",
        "one",
        "  two",
        "::t0::",
        "::endgroup::",
    ]


def test_quiet_has_it_and_success_has_not(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.log").write_text("said\n")
    done = StepFinished("b", Outcome.COMPLETED, 1, 0)
    seen = entries([started("a"), started("b"), done, FAILED])
    assert [line for line in told(tmp_path, *seen, quiet=True) if line.startswith("::g")] == ["::group::[a] output"]
    assert [line for line in told(tmp_path, *seen, verbose=True) if line.startswith("::g")] == [
        "::group::[b] output",
        "::group::[a] output",
    ]


def test_silence_is_no_group(tmp_path: Path) -> None:
    assert told(tmp_path, *entries([started("a"), FAILED]))[-1] == "  ✗ [a] Failed (12ms): exit code 3"


def test_of_much_output_the_end(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("".join(f"{n}\n" for n in range(2 * FOLDED_LINES)))
    lines = told(tmp_path, *entries([started("a"), FAILED]))
    first = lines.index("::stop-commands::t0") + 1
    assert lines[first] == f"… all of it: {tmp_path}/a.log"
    assert lines[first + 1 :] == [*map(str, range(FOLDED_LINES, 2 * FOLDED_LINES)), "::t0::", "::endgroup::"]


def test_a_failed_test_has_a_group(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("made\n")
    (tmp_path / "t.log").write_text("tried\n")
    test = StepTested("a", 1, "t", False, "exit code 1", 0.1, "t.log", 6)
    lines = told(tmp_path, *entries([started("a"), test, FAILED]))
    assert [line for line in lines if line in ("made", "tried")] == ["tried", "made"]
    assert lines.count("::group::[a] output") == 2


def test_whatever_was_printed_stays_in_its_section(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n".join(hostile.CORPUS), "utf-8", errors="surrogatepass")
    stream = io.StringIO()
    lines = Lines(a_plan("a"), tmp_path, stream, PRETTY, fold=Gitlab("s"))
    for entry in entries([started("a"), FAILED]):
        lines.see(entry)
    lines.close()
    text = stream.getvalue()
    assert text.count("\x1b") == 4
    assert hostile.commands(text) == []
    assert "\x1b[0Ksection_start:0:s__a__output[collapsed=true]\r\x1b[0K[a] output\n" in text


def test_a_block_is_taken_as_a_whole_or_not_at_all() -> None:
    """A reader that does not read must not find commands stopped for ever."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with os.fdopen(writer, "w", encoding="utf-8") as stream, os.fdopen(reader, "rb", buffering=0) as pipe:
        outlet = Outlet(stream)
        for number in range(20_000):
            outlet.put_all([f"begin {number:06}", "x" * 20, f"end {number:06}"])
        got = b""
        while part := pipe.read(1 << 20):
            got += part
            outlet.pump()
        lines = got.decode().splitlines()
    begun = [line[6:] for line in lines if line.startswith("begin")]
    ended = [line[4:] for line in lines if line.startswith("end")]
    assert 0 < len(begun) < 20_000
    assert begun == ended
