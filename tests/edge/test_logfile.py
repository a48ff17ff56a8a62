"""A log that may not grow for ever keeps the newest, and knows how much is gone."""

import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.events import older_log
from stepwave.core.model import Limits
from stepwave.edge.ledger.logs import Log, _Reading, read
from stepwave.edge.local.logfile import LogFile
from tests.edge.test_local import Bench

needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="process trees are followed through /proc")


def test_a_log_is_made_with_its_first_byte(tmp_path: Path) -> None:
    log = LogFile(str(tmp_path / "a.log"), 100)
    log.write(memoryview(b""))
    assert list(tmp_path.iterdir()) == []
    log.write(memoryview(b"x"))
    log.close()
    assert [(file.name, file.read_bytes(), file.stat().st_mode & 0o777) for file in tmp_path.iterdir()] == [
        ("a.log", b"x", 0o600)
    ]


def test_it_is_turned_over_where_a_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log = LogFile(str(path), 20)
    for line in (b"one\n", b"two\n", b"three\n"):
        log.write(memoryview(line))
    log.close()
    assert (Path(older_log(str(path))).read_bytes(), path.read_bytes(), log.dropped) == (b"one\ntwo\n", b"three\n", 0)


@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([b"line\n", b"x" * 90, b"\n"]), max_size=20), st.integers(1, 60)
)
def test_the_newest_bytes_are_kept_and_the_others_counted(chunks: list[bytes], most: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.log"
        log = LogFile(str(path), most)
        for chunk in chunks:
            log.write(memoryview(chunk))
        log.close()
        kept, printed = b"".join(read(Log("run", "a", 1, path, ended=True))), b"".join(chunks)
        assert len(kept) <= max(2, most)
        assert kept == printed[len(printed) - len(kept) :]
        assert log.dropped == len(printed) - len(kept)
        if len(printed) <= most // 2:
            assert log.dropped == 0
        elif printed:
            assert kept


@needs_proc
def test_a_step_that_prints_much_goes_on_and_its_log_does_not_grow(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    end = bench.shell("seq 300000; seq 5 >&2", limits=Limits(output_bytes=1000), keep_output=True)
    bench.launcher.close()
    printed = "".join(f"{n}\n" for n in range(1, 300_001))
    assert (end.code, end.problem) == (0, None)
    assert (end.log_bytes, end.stdout_bytes) == (len(printed) + 10, len(printed))
    assert end.stderr == "1\n2\n3\n4\n5\n"
    logs = bench.folder / "logs"
    both = b"".join(read(Log("run", "a", 1, logs / f"{end.step}.log", ended=True))).decode()
    assert 500 < len(both) <= 1000
    assert end.dropped_bytes == end.log_bytes - len(both)
    out = b"".join(read(Log("run", "a", 1, logs / f"{end.step}.out", ended=True))).decode()
    assert printed.endswith(out)
    assert (logs / f"{end.step}.err").read_text() == end.stderr


@needs_proc
def test_without_a_limit_every_byte_is_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    end = bench.shell("seq 300000")
    bench.launcher.close()
    assert bench.log(end) == "".join(f"{n}\n" for n in range(1, 300_001))
    assert end.dropped_bytes == 0


def test_a_log_is_read_while_it_is_turned_over(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log = LogFile(str(path), 8)

    def write(text: bytes) -> None:
        log.write(memoryview(text))

    with closing(_Reading(path)) as reading:
        seen = [b"".join(reading.news())]
        for text in (b"one\n", b"two\n", b"3", b"\n", b"four\n5\n", b"", b"6\n7\n8\n"):
            write(text)
            seen.append(b"".join(reading.news()))
        assert seen == [b"", b"one\n", b"two\n", b"3", b"\n", b"four\n5\n", b"", b"6\n7\n8\n"]
        for n in range(1000, 1010):  # nobody looks for a while: what is gone is gone
            write(b"%d\n" % n)
        assert b"".join(reading.news()) == b"1009\n"
    log.close()
