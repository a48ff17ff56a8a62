"""The log of what happens is a courtesy: when it cannot be written that is told once, and stands in nobody's way."""

from pathlib import Path

import pytest

from stepwave.core.events import Entry, StepRetrying
from stepwave.edge.orchestrator_log import FILE_NAME, OrchestratorLog

NEWS = Entry(1, 0.0, 0.0, "run", StepRetrying("a", 1, 0.0, "exit code 1"))


def test_the_lines_of_a_turn_are_there_at_its_end(tmp_path: Path) -> None:
    log = OrchestratorLog(tmp_path)
    log.see(NEWS)
    assert not (tmp_path / FILE_NAME).exists()
    log.settle()
    line = "1970-01-01T00:00:00.000Z [a] Retrying in 0ms (attempt 1 failed): exit code 1\n"
    assert (tmp_path / FILE_NAME).read_text() == line
    log.see(NEWS)
    log.close()
    assert (tmp_path / FILE_NAME).read_text() == 2 * line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk here is always full")
def test_a_full_disk_is_told_by_what_is_settled_and_not_by_the_end(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).symlink_to("/dev/full")
    log = OrchestratorLog(tmp_path)
    log.see(NEWS)
    with pytest.raises(OSError, match="No space left"):
        log.settle()
    log.see(NEWS)  # of a turn that the ledger could not settle either: that is what is told
    log.close()
