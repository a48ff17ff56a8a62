"""process_map: real worker processes, that return, fail, hang, and are killed."""

import itertools
import os
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwave.parallel import Status, Totals, WorkerDied, process_map, thread_map, totals
from stepwave.parallel.child import WorkerTraceback
from tests.parallel import map_functions as functions
from tests.parallel.map_functions import OnlyThere

untyped_map: Any = process_map


def await_end(process: int) -> None:
    """Until the system has no such process, or only its corpse. Not for ever."""
    for _ in range(5000):
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except FileNotFoundError:
            return
        time.sleep(0.005)
    raise AssertionError(f"process {process} is still there")


# --- results -----------------------------------------------------------------------------------------------


def test_a_map_is_a_map() -> None:
    assert process_map(functions.increment, range(30_000), max_workers=2) == list(range(1, 30_001))
    assert process_map(functions.increment, []) == []
    assert process_map(functions.increment, iter([1]), max_workers=5) == [2]


def test_an_infinite_input() -> None:
    numbers = process_map(functions.increment, itertools.count(), results="iterator", max_workers=2)
    assert list(itertools.islice(numbers, 10_000)) == list(range(1, 10_001))


def test_unordered_results_come_as_they_are_ready() -> None:
    assert process_map(functions.nap, [0.3, 0.0], max_workers=2, ordered=False, chunk_size=1) == [0.0, 0.3]
    assert process_map(functions.nap, [0.1, 0.0], max_workers=2, chunk_size=1) == [0.1, 0.0]


def test_workers_are_as_many_as_was_said_and_not_this_process() -> None:
    processes = set(process_map(functions.slow_pid, range(20), max_workers=2, chunk_size=1))
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_items_that_take_longer_than_those_before_are_shared_out() -> None:
    """All slow items came in one list, because those before were quick: the other worker gets its share."""
    found = process_map(functions.nap, [0.0] * 2000 + [0.02] * 20, max_workers=2, errors="collect")
    assert totals(found).passed == 2020


def test_a_large_result_and_a_large_item() -> None:
    assert [len(found) for found in process_map(functions.zeros, [200_000_000, 1])] == [200_000_000, 1]
    assert process_map(len, [bytes(50_000_000), b""]) == [50_000_000, 0]


def test_on_complete_and_outcomes() -> None:
    told: list[tuple[int, int, int]] = []
    process_map(functions.increment, range(100), on_complete=lambda *words: told.append(words))
    assert sorted(told) == [(n, n, n + 1) for n in range(100)]
    found = process_map(functions.nap, [0.01], errors="collect")
    assert (found[0].index, found[0].item, found[0].status, found[0].value) == (0, 0.01, Status.PASSED, 0.01)
    assert found[0].duration_s >= 0.01


def test_a_map_in_a_thread() -> None:
    assert thread_map(lambda n: process_map(functions.increment, [n]), range(3), max_workers=3) == [[1], [2], [3]]


# --- errors ------------------------------------------------------------------------------------------------


def test_an_error_is_raised_with_the_traceback_of_the_worker() -> None:
    with pytest.raises(KeyError) as caught:
        process_map(functions.fail_at_three, range(5), max_workers=1)
    assert isinstance(caught.value.__cause__, WorkerTraceback)
    assert "in fail_at_three" in str(caught.value.__cause__)
    assert caught.value.__notes__ == [
        "process_map: item 0; 2 items of 5 failed, also:",
        "process_map: item 3: KeyError: 3",
    ]


@pytest.mark.parametrize("func", [lambda n: n, threading.Lock().__enter__], ids=["lambda", "lock"])
def test_a_function_that_cannot_be_sent(func: Any) -> None:
    with pytest.raises(TypeError, match=r"(<lambda>|__enter__) cannot be sent to another process: .*`def` at the top"):
        process_map(func, [1])


def test_a_function_that_the_worker_cannot_import(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    module = ModuleType("only_in_this_process")
    exec("def func(n): return n", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_in_this_process", module)
    with pytest.raises(RuntimeError, match="cannot get at the function: No module named 'only_in_this_process'"):
        process_map(module.func, [1])


def test_items_and_results_that_cannot_be_sent_fail_alone() -> None:
    found = process_map(type, [1, lambda: 0, OnlyThere(), 2], errors="collect", chunk_size=4)
    assert [o.status for o in found] == ["passed", "failed", "failed", "passed"]
    assert "item 1, a function, cannot be sent to a worker process: " in str(found[1].error)
    assert "item 2, a OnlyThere, cannot be read by a worker process: not in this process" in str(found[2].error)
    results = process_map(functions.as_told, ["value", "lambda", "odd", "value"], errors="collect", chunk_size=4)
    assert [o.status for o in results] == ["passed", "failed", "failed", "passed"]
    assert "the result, a function, cannot be sent: " in str(results[1].error)
    assert str(results[2].error) == "Odd: ab"
    assert "Odd: ab" in str(results[2].error.__cause__) if results[2].error else False
    here = process_map(functions.give_only_here, range(3), errors="collect", chunk_size=1)
    assert [o.status for o in here] == ["passed", "failed", "passed"]
    assert "the result cannot be put together again: LookupError" in str(here[1].error)


def test_a_worker_that_is_killed_costs_its_item() -> None:
    found = process_map(
        functions.as_told, ["value", "kill", "value", "_exit", "value"], errors="collect", max_workers=1
    )
    assert [o.status for o in found] == ["passed", "failed", "passed", "failed", "passed"]
    assert isinstance(found[1].error, WorkerDied)
    assert str(found[1].error) == "worker was killed by SIGKILL while it ran item 1"
    assert str(found[3].error) == "worker ended with exit code 7 while it ran item 3"
    with pytest.raises(WorkerDied, match="worker was killed by SIGKILL while it ran item 0"):
        process_map(functions.as_told, ["kill"])


def test_workers_that_die_before_they_begin_are_no_endless_loop(tmp_path: Path) -> None:
    source = f"import os\ndef func(n): ...\nif {os.getpid()} != os.getpid(): os._exit(5)\n"
    (tmp_path / "deadly_to_import.py").write_text(source)
    import sys

    sys.path.insert(0, str(tmp_path))
    try:
        from deadly_to_import import func  # type: ignore[import-not-found]

        with pytest.raises(
            WorkerDied, match="3 workers in a row died before they had begun an item; the last ended with exit code 5"
        ):
            process_map(func, [1])
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("deadly_to_import", None)


def test_in_lists_of_one_nothing_runs_twice(tmp_path: Path) -> None:
    found = process_map(
        functions.note_or_die, [str(tmp_path)] * 5 + [""] + [str(tmp_path)] * 5, errors="collect", chunk_size=1
    )
    assert totals(found) == Totals(10, 1, 0, 0, 0, 11)
    assert len(list(tmp_path.iterdir())) == 10


# --- limits ------------------------------------------------------------------------------------------------


def test_an_item_that_hangs_is_killed_with_all_that_it_has_started(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    found = process_map(functions.spawn_and_hang, [str(file)], item_timeout=1, errors="collect")
    assert found[0].status is Status.TIMEOUT
    assert str(found[0].error) == "item 0 timed out after 1.0s"
    for process in file.read_text().split():
        await_end(int(process))


def test_the_overall_timeout_kills_too() -> None:
    with pytest.raises(TimeoutError, match=r"^process_map timed out after 0\.3s: 0 of 2 task\(s\) finished$"):
        process_map(functions.nap, [1000, 1000], timeout=0.3)
    found = process_map(functions.nap, [0, 1000, 0, 1000], timeout=0.5, errors="collect", max_workers=1)
    assert totals(found) == Totals(passed=1, failed=0, timeout=1, skipped=2, cancelled=0, total=4)


def test_a_memory_limit_holds_in_the_worker_only() -> None:
    before = functions.address_space(None)
    found = process_map(functions.address_space, [1], memory_limit_mb=300)
    assert found == [(300 << 20, 300 << 20)]
    assert functions.address_space(None) == before
    outcomes = process_map(functions.too_much, [10, 1 << 30, 20], memory_limit_mb=300, errors="collect")
    assert [o.value for o in outcomes] == [10, None, 20]
    assert isinstance(outcomes[1].error, MemoryError)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.sampled_from(["value", "value", "raise", "exit", "cancel", "_exit", "kill", "hang", "lambda", "odd"]),
        max_size=8,
    ),
    st.booleans(),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, 0.1]),
)
def test_every_total_adds_up(words: list[str], ordered: bool, chunk_size: int | None, timeout: float | None) -> None:
    found = process_map(
        functions.as_told, words, max_workers=2, errors="collect", ordered=ordered, chunk_size=chunk_size,
        item_timeout=0.06, timeout=timeout,
    )  # fmt: skip
    sums = totals(found)
    assert sum(sums[:5]) == sums.total == len(words)
    assert sorted(o.index for o in found) == list(range(len(words)))
    assert [words[o.index] for o in found] == [o.item for o in found]
    if timeout is None:
        assert sums.passed <= words.count("value")  # fewer, where the machine itself stands still for too long
        assert sums.timeout >= words.count("hang")
        assert sums.cancelled <= words.count("cancel")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_workers": 0}, "max_workers must be at least 1"),
        ({"timeout": -1}, "timeout must be greater than 0"),
        ({"item_timeout": 0}, "item_timeout must be greater than 0"),
        ({"chunk_size": 0}, "chunk_size must be at least 1"),
        ({"memory_limit_mb": 0}, "memory_limit_mb must be greater than 0"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_begins(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        untyped_map(functions.increment, [1], **options)


def test_pickle_of_the_standard_library_reads_what_workers_send() -> None:
    """They use its C half alone, which is quicker to import."""
    from stepwave.parallel import worker

    blob, words, told = worker.fault(KeyError("k"))
    assert blob is not None
    assert repr(pickle.loads(blob)) == "KeyError('k')"
    assert words == told.strip() == "KeyError: 'k'"
