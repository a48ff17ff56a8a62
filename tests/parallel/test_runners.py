"""ParallelRunner and its company with real scripts: everything counted, everything ended."""

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.parallel import BatchRunner, ExecutionResult, ParallelRunner, cpu_count, run_parallel, run_parallel_async
from stepwave.parallel.runners import config_of, count

from .places import Program, is_alive, script

STATUSES = ["passed", "failed", "timeout", "error", "skipped", "cancelled"]
WAITS = "import os, signal; print(os.getpid(), flush=True); signal.pause()"


def adds_up(result: ExecutionResult) -> bool:
    parts = result.passed + result.failed + result.timeout + result.skipped + result.cancelled
    return parts == result.total == len(result.results)


@pytest.fixture
def four(tmp_path: Path) -> list[Path]:
    """One that passes, one that fails, one that takes too long, one that is not there."""
    return [
        script(tmp_path, "good.py", "print('good')"),
        script(tmp_path, "bad.py", "raise SystemExit(1)"),
        script(tmp_path, "slow.py", WAITS),
        tmp_path / "missing.py",
    ]


def test_every_script_is_counted_once(four: list[Path]) -> None:
    result = ParallelRunner(max_workers=4).run_scripts(four, timeout=1)
    assert (result.total, result.passed, result.failed, result.timeout) == (4, 1, 2, 1)
    assert adds_up(result)
    assert {r["name"]: r["status"] for r in result.results} == {
        "good.py": "passed",
        "bad.py": "failed",
        "slow.py": "timeout",
        "missing.py": "error",
    }
    assert result.results[-1]["name"] == "slow.py"  # in the order in which they ended
    assert not result.success
    assert result.to_dict() == {
        "total": 4,
        "passed": 1,
        "failed": 2,
        "timeout": 1,
        "skipped": 0,
        "cancelled": 0,
        "execution_time": result.execution_time,
        "success": False,
    }


@given(st.lists(st.sampled_from(STATUSES)))
def test_counts_add_up_whatever_happened(statuses: list[str]) -> None:
    result = count([{"status": status} for status in statuses])
    assert adds_up(result)
    assert result.failed == statuses.count("failed") + statuses.count("error")
    assert result.success == (not {"failed", "timeout", "error", "cancelled"} & set(statuses))


def test_no_scripts_are_a_success() -> None:
    result = run_parallel([])
    assert (result.total, result.success, result.results) == (0, True, [])


def test_fail_fast_stops_what_runs_and_what_waits(tmp_path: Path) -> None:
    fails = "open(os.environ['GO']).read(); raise SystemExit(1)"
    bad = script(tmp_path, "bad.py", f"import os; {fails}")
    waits = [
        script(tmp_path, f"waits{n}.py", "import os; open(os.environ['GO'], 'w').close(); " + WAITS) for n in range(4)
    ]
    os.mkfifo(tmp_path / "go")  # the first of the others lets the bad one fail: both run by then
    result = ParallelRunner(max_workers=2, fail_fast=True).run_scripts([bad, *waits], env={"GO": str(tmp_path / "go")})
    assert (result.total, result.failed, result.cancelled, result.skipped) == (5, 1, 1, 3)
    assert adds_up(result)
    by_status = {r["status"]: r for r in result.results}
    assert by_status["skipped"]["error"] == by_status["cancelled"]["error"] == "another script failed first"
    assert (by_status["skipped"]["start_time"], by_status["skipped"]["execution_time"]) == (None, 0.0)
    pid = by_status["cancelled"]["stdout"]  # nothing, when it was stopped before it could print it
    assert not (pid and is_alive(int(pid)))


@pytest.mark.parametrize(("first", "counted"), [("slow.py", "timeout"), ("missing.py", "failed")])
def test_fail_fast_knows_every_kind_of_failure(tmp_path: Path, four: list[Path], first: str, counted: str) -> None:
    scripts = [tmp_path / first, *[script(tmp_path, f"{n}.py", "") for n in range(5)]]
    result = ParallelRunner(max_workers=1, fail_fast=True).run_scripts(scripts, timeout=0.2)
    assert (getattr(result, counted), result.skipped, result.total) == (1, 5, 6)
    assert adds_up(result)


def test_progress_is_told_in_the_seeds_words(tmp_path: Path) -> None:
    told: list[tuple[str, str, dict[str, Any]]] = []
    runner = ParallelRunner(1, lambda name, status, details: told.append((name, status, details)))
    result = runner.run_scripts([script(tmp_path, "a.py", ""), script(tmp_path, "b.py", "raise SystemExit(1)")])
    assert [(name, status) for name, status, _ in told] == [
        ("batch", "started"),
        ("a.py", "submitted"),
        ("b.py", "submitted"),
        ("a.py", "passed"),
        ("b.py", "failed"),
        ("batch", "completed"),
    ]
    assert told[0][2] == {"total": 2, "workers": 1}
    assert told[1][2] == {}
    assert told[3][2] == {"execution_time": result.results[0]["execution_time"]}
    assert told[-1][2] == result.to_dict()


def test_a_progress_callback_that_fails_disturbs_nothing(four: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    def broken(name: str, status: str, details: dict[str, Any]) -> None:
        raise ZeroDivisionError

    assert ParallelRunner(2, broken).run_scripts(four[:2]).passed == 1
    assert "the progress callback failed at good.py (passed)" in caplog.messages


def test_cancel_from_another_thread_is_prompt(tmp_path: Path) -> None:
    running = threading.Event()

    def progress(name: str, status: str, details: dict[str, Any]) -> None:
        if (name, status) == ("quick.py", "passed"):
            running.set()

    scripts = [
        script(tmp_path, "waits.py", "import os; open(os.environ['GO'], 'w').close(); " + WAITS),
        script(tmp_path, "quick.py", "import os; open(os.environ['GO']).read()"),
        *[script(tmp_path, f"later{n}.py", WAITS) for n in range(3)],
    ]
    os.mkfifo(tmp_path / "go")
    runner = ParallelRunner(2, progress)

    def cancel() -> None:
        running.wait()
        runner.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    result = runner.run_scripts(scripts, env={"GO": str(tmp_path / "go")})
    canceller.join()
    assert (result.passed, result.cancelled, result.total) == (1, 4, 5)
    assert adds_up(result)
    assert not result.success
    pids = [int(r["stdout"]) for r in result.results if r["name"] != "quick.py" and r["stdout"]]
    assert [pid for pid in pids if is_alive(pid)] == []
    assert runner.run_scripts(scripts[1:2], env={"GO": os.devnull}).success  # and it can be used again


def test_cancelling_twice_kills(tmp_path: Path) -> None:
    text = """
        import os, signal
        signal.signal(signal.SIGTERM, lambda *_: open(os.environ["TERM_SEEN"], "w").close())
        open(os.environ["GO"], "w").close()
        while True:
            signal.pause()
    """
    for name in ("go", "seen"):
        os.mkfifo(tmp_path / name)
    runner = ParallelRunner(1)

    def cancel() -> None:
        (tmp_path / "go").read_text()
        runner.cancel()
        (tmp_path / "seen").read_text()
        runner.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    env = {"GO": str(tmp_path / "go"), "TERM_SEEN": str(tmp_path / "seen")}
    result = runner.run_scripts([script(tmp_path, "deaf.py", text)], timeout=None, env=env)
    canceller.join()
    assert (result.cancelled, result.results[0]["exit_code"]) == (1, -signal.SIGKILL)


def test_cancel_without_a_run_is_nothing() -> None:
    runner = ParallelRunner()
    runner.cancel()
    assert runner.run_scripts([]).success


def test_configs_go_by_path_before_name(tmp_path: Path) -> None:
    text = "import sys; print(sys.argv[1:])"
    paths = [script(tmp_path, name, text) for name in ("a/x.py", "b/x.py", "c/x.py")]
    configs = {"x.py": {"args": ["by name"]}, "b/x.py": {"args": ["by path"]}, paths[2]: {"args": ["absolute"]}}
    result = ParallelRunner(1).run_scripts(paths, cwd=tmp_path, configs=configs)
    assert [r["stdout"] for r in result.results] == ["['by name']\n", "['by path']\n", "['absolute']\n"]


def test_a_config_is_found_by_every_way_to_say_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = {"args": ["x"]}
    for key in ("sub/x.py", "./sub/x.py", str(tmp_path / "sub/x.py"), "x.py"):
        assert config_of("./sub/x.py", {key: own}) is own, key
    assert config_of("sub/x.py", {"y.py": own}) is None


def test_bad_input_is_refused_before_anything_runs(tmp_path: Path) -> None:
    for workers in (0, -1):
        with pytest.raises(ValueError, match=f"max_workers must be at least 1, not {workers}"):
            ParallelRunner(max_workers=workers)
    with pytest.raises(ValueError, match="default_timeout must be greater than 0 seconds, not -1"):
        ParallelRunner(default_timeout=-1)
    marker = tmp_path / "marker"
    path = script(tmp_path, "marks.py", f"open({str(marker)!r}, 'w')")
    with pytest.raises(ValueError, match="unknown key `retries` in the config of"):
        ParallelRunner().run_scripts([path, tmp_path / "b.py"], configs={"b.py": {"retries": 1}})
    with pytest.raises(TypeError, match="scripts must be a list of paths, not the path"):
        ParallelRunner().run_scripts(str(path))
    assert not marker.exists()


def test_workers_are_the_cpus_but_at_most_eight() -> None:
    assert ParallelRunner().max_workers == min(cpu_count(), 8)


def test_batches_stop_at_the_first_that_fails(tmp_path: Path, four: list[Path]) -> None:
    good, bad = four[:2]
    stopped = BatchRunner(max_workers=2).run_batches([[good], [bad, good], [good]])
    assert [(r.total, r.passed, r.success) for r in stopped] == [(1, 1, True), (2, 1, False)]
    all_of_them = BatchRunner(max_workers=2).run_batches([[bad], [good]], stop_on_batch_failure=False)
    assert [r.success for r in all_of_them] == [False, True]


def test_a_batch_begins_when_the_one_before_has_ended(tmp_path: Path) -> None:
    text = "import os, sys; open('log', 'a').write(os.path.basename(sys.argv[0]) + ' ')"
    a, b, c = (script(tmp_path, f"{name}.py", text) for name in "abc")
    BatchRunner(max_workers=3).run_batches([[a], [b], [c]], timeout=None, cwd=tmp_path)
    assert (tmp_path / "log").read_text() == "a.py b.py c.py "


def test_several_threads_may_share_a_runner(four: list[Path]) -> None:
    runner = ParallelRunner(max_workers=2)
    found: list[ExecutionResult] = []
    threads = [threading.Thread(target=lambda: found.append(runner.run_scripts(four[:2]))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(r.passed, r.failed) for r in found] == [(1, 1)] * 3


# --- from coroutines -------------------------------------------------------------------------------------------------


def test_the_event_loop_goes_on_meanwhile(tmp_path: Path) -> None:
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    path = script(tmp_path, "waits.py", f"print(open({str(fifo)!r}).read())")

    async def main() -> ExecutionResult:
        running = asyncio.create_task(run_parallel_async([path], max_workers=1))
        await asyncio.to_thread(fifo.write_text, "from the loop")
        return await running

    result = asyncio.run(main())
    assert (result.passed, result.results[0]["stdout"]) == (1, "from the loop\n")


def test_a_cancelled_coroutine_ends_its_scripts(tmp_path: Path) -> None:
    fifo = tmp_path / "pids"
    os.mkfifo(fifo)
    path = script(
        tmp_path, "waits.py", f"import os, signal; open({str(fifo)!r}, 'w').write(str(os.getpid())); signal.pause()"
    )

    async def main() -> int:
        running = asyncio.create_task(ParallelRunner(1).run_scripts_async([path], timeout=60))
        pid = int(await asyncio.to_thread(fifo.read_text))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return pid

    assert not is_alive(asyncio.run(main()))


def test_ctrl_c_of_a_program_that_runs_scripts_leaves_nothing(tmp_path: Path) -> None:
    fifo = tmp_path / "pids"
    os.mkfifo(fifo)
    path = script(
        tmp_path, "waits.py", f"import os, signal; open({str(fifo)!r}, 'w').write(str(os.getpid())); signal.pause()"
    )
    for call in ("run_parallel([path])", "asyncio.run(run_parallel_async([path]))"):
        program = Program(
            f"""
            import asyncio
            from stepwave.parallel import run_parallel, run_parallel_async
            path = {str(path)!r}
            {call}
            """,
            tmp_path,
        )
        pid = int(fifo.read_text())
        program.send(signal.SIGINT)
        code, stderr = program.end()
        assert code == -signal.SIGINT
        assert "KeyboardInterrupt" in stderr
        assert not is_alive(pid), call
