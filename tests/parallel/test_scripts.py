"""run_script with real scripts: what comes back, what is left behind, what is refused."""

import logging
import os
import signal
import threading
from datetime import datetime
from pathlib import Path

import pytest

from stepwave.parallel import run_script
from stepwave.parallel.scripts import project_folders

from .places import WITH_GRANDCHILD, Program, is_alive, script, wait_until_gone

KEYS = [
    "script", "name", "status", "exit_code", "stdout", "stderr", "execution_time", "error",
    "subdirectory", "start_time", "end_time", "note",
]  # fmt: skip


def test_a_script_that_passes(tmp_path: Path) -> None:
    path = script(tmp_path, "sub/hello.py", "import sys; print('out'); print('err', file=sys.stderr)")
    result = run_script(path)
    assert list(result) == KEYS
    assert {key: result[key] for key in KEYS[:6]} == {
        "script": str(path),
        "name": "hello.py",
        "status": "passed",
        "exit_code": 0,
        "stdout": "out\n",
        "stderr": "err\n",
    }
    assert (result["error"], result["note"], result["subdirectory"]) == (None, None, "sub")
    assert datetime.fromisoformat(result["start_time"]) <= datetime.fromisoformat(result["end_time"])
    assert result["execution_time"] > 0


def test_the_exit_code_decides(tmp_path: Path) -> None:
    path = script(tmp_path, "three.py", "import sys; print('x'); sys.exit(3)")
    failed = run_script(path)
    assert (failed["status"], failed["exit_code"], failed["error"]) == ("failed", 3, "exit code 3")
    allowed = run_script(path, config={"allowed_exit_codes": [0, 3]})
    assert (allowed["status"], allowed["exit_code"], allowed["error"]) == ("passed", 3, None)
    assert (allowed["stdout"], allowed["note"]) == ("x\n", "[INFO] Script exited with code 3 (ALLOWED)")


def test_a_signal_is_a_negative_exit_code(tmp_path: Path) -> None:
    path = script(tmp_path, "kill.py", "import os; os.kill(os.getpid(), 9)")
    result = run_script(path)
    assert (result["status"], result["exit_code"], result["error"]) == ("failed", -9, "killed by SIGKILL")


def test_a_timeout_ends_grandchildren_too_and_keeps_what_was_printed(tmp_path: Path) -> None:
    result = run_script(script(tmp_path, "slow.py", WITH_GRANDCHILD), timeout=0.5)
    assert (result["status"], result["exit_code"]) == ("timeout", None)
    assert result["error"] == "Script timed out after 0.5s"
    assert isinstance(result["stdout"], str)
    assert not is_alive(int(result["stdout"]))


def test_a_script_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    text = """
        import os, signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(os.getpid(), flush=True)
        signal.pause()
    """
    result = run_script(script(tmp_path, "deaf.py", text), timeout=0.3)
    assert result["status"] == "timeout"
    assert not is_alive(int(result["stdout"]))


def test_what_a_script_leaves_behind_is_ended_and_noted(tmp_path: Path) -> None:
    text = "import subprocess; print(subprocess.Popen(['sleep', '300'], start_new_session=True).pid)"
    result = run_script(script(tmp_path, "careless.py", text))
    pid = int(result["stdout"])
    assert result["status"] == "passed"
    assert result["note"] == f"left 1 process behind: pid {pid}: sleep 300"
    assert not is_alive(pid)


def test_output_comes_back_whole_and_as_text(tmp_path: Path) -> None:
    text = "import sys; sys.stdout.buffer.write(b'\\xff' + 'ä'.encode() * 200_000); sys.stderr.write('e' * 100_000)"
    result = run_script(script(tmp_path, "loud.py", text))
    assert result["stdout"] == "\ufffd" + "ä" * 200_000
    assert result["stderr"] == "e" * 100_000


def test_a_time_limit_may_be_endless(tmp_path: Path) -> None:
    path = script(tmp_path, "x.py", "")
    assert [run_script(path, timeout=limit)["status"] for limit in (None, float("inf"), 1e300)] == ["passed"] * 3


def test_standard_input_is_empty(tmp_path: Path) -> None:
    result = run_script(script(tmp_path, "reads.py", "import sys; print(repr(sys.stdin.read()))"), timeout=10)
    assert result["stdout"] == "''\n"


def test_a_relative_path_is_run_in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path, "a/where.py", "import os; print(os.getcwd())")
    monkeypatch.chdir(tmp_path)
    assert run_script("a/where.py")["stdout"] == f"{tmp_path}/a\n"
    assert run_script(Path("a/where.py"), cwd=".")["stdout"] == f"{tmp_path}\n"


def test_arguments_are_handed_on_as_they_are(tmp_path: Path) -> None:
    path = script(tmp_path, "args.py", "import sys; print(sys.argv[1:])")
    words = ["{{ steps.x.output }}", "${HOME}", "a b", "", "$(x)"]
    assert run_script(path, config={"args": [*words, 7]})["stdout"] == f"{[*words, '7']}\n"


def test_the_environment_is_laid_over_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script(tmp_path, "env.py", "import os; print([os.environ.get(n) for n in ('A', 'B', 'C', 'WORKFLOW_ID')])")
    monkeypatch.setenv("A", "caller")
    monkeypatch.setenv("B", "caller")
    result = run_script(path, env={"B": "given", "C": "given"}, config={"env": {"C": "{{config}}"}})
    assert result["stdout"] == "['caller', 'given', '{{config}}', None]\n"


def test_the_project_of_a_script_is_on_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path, "src/lib_of_project.py", "VALUE = 42")
    path = script(tmp_path, "scripts/deep/er/use.py", "import lib_of_project, sys, os; print(os.environ['PYTHONPATH'])")
    monkeypatch.setenv("PYTHONPATH", "/before")
    assert run_script(path)["stdout"] == f"{tmp_path}/src:{tmp_path}/scripts:/before\n"
    assert run_script(path, env={"PYTHONPATH": "/x"})["stdout"] == f"{tmp_path}/src:{tmp_path}/scripts:/x\n"


def test_the_search_for_a_project_ends_after_five_folders(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    assert project_folders(tmp_path / "1/2/3/4/x.py") == [str(tmp_path / "src")]
    assert project_folders(tmp_path / "1/2/3/4/5/x.py") == []


def test_a_memory_limit_is_the_childs_alone(tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    path = script(tmp_path, "large.py", "x = bytearray(600 << 20)")
    result = run_script(path, memory_limit_mb=200)
    assert (result["status"], result["exit_code"]) == ("failed", 1)
    assert result["error"] == "memory limit 200 MB exceeded (exit code 1)"
    assert "MemoryError" in result["stderr"]
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert run_script(path)["status"] == "passed"
    assert (
        run_script(script(tmp_path, "fails.py", "raise SystemExit(1)"), memory_limit_mb=200)["error"] == "exit code 1"
    )


def test_what_cannot_be_started_is_an_error_with_its_cause(tmp_path: Path) -> None:
    missing = run_script(tmp_path / "not there.py")
    assert (missing["status"], missing["exit_code"]) == ("error", None)
    assert missing["error"] == f"script not found: `{tmp_path}/not there.py`"
    folder = run_script(tmp_path)
    assert (folder["status"], folder["error"]) == ("error", f"`{tmp_path}` is a folder, not a script")
    nowhere = run_script(script(tmp_path, "x.py", ""), cwd=tmp_path / "gone")
    assert nowhere["error"] == f"working directory `{tmp_path}/gone`: no such file or directory"
    nul = run_script(tmp_path / "x.py", config={"args": ["a\0b"]})
    assert nul["status"] == "error"
    assert "null byte" in nul["error"]


@pytest.mark.parametrize(
    ("wrong", "raised", "sentence"),
    [
        ({"timeout": 0}, ValueError, "timeout must be greater than 0 seconds, not 0"),
        ({"timeout": -1}, ValueError, "timeout must be greater than 0 seconds, not -1"),
        ({"timeout": float("nan")}, ValueError, "timeout must be greater than 0 seconds, not nan"),
        ({"timeout": "60"}, TypeError, "timeout must be a number of seconds or None, not str"),
        ({"config": {"timeout": -1}}, ValueError, "timeout must be greater than 0 seconds, not -1"),
        ({"memory_limit_mb": 0}, ValueError, "memory_limit_mb must be at least 1, not 0"),
        ({"memory_limit_mb": 1.5}, TypeError, "memory_limit_mb must be a whole number, not float"),
        ({"env": {"A": 1}}, TypeError, "env['A'] must be text, not int"),
        ({"config": {"args": "--all"}}, TypeError, "`args` in a config must be a list, not str"),
        ({"config": {"arg": []}}, ValueError, "unknown key `arg` in the config of x.py: did you mean `args`?"),
    ],
)
def test_values_that_make_no_sense_are_refused(
    wrong: dict[str, object], raised: type[Exception], sentence: str
) -> None:
    with pytest.raises(raised) as refused:
        run_script("x.py", **wrong)  # type: ignore[arg-type]
    assert str(refused.value) == sentence


def test_start_and_end_are_logged_with_their_facts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stepwave.parallel")
    path = script(tmp_path, "two.py", "raise SystemExit(2)")
    run_script(path)
    start, end = (vars(record) for record in caplog.records)
    assert (start["event"], start["script"]) == ("SCRIPT_START", str(path))
    assert (end["event"], end["status"], end["exit_code"]) == ("SCRIPT_END", "failed", 2)
    assert end["execution_time"] > 0


def test_several_threads_at_once(tmp_path: Path) -> None:
    paths = [script(tmp_path, f"{n}.py", f"print({n})") for n in range(6)]
    found: dict[int, str] = {}

    def run(n: int) -> None:
        found[n] = run_script(paths[n])["stdout"]

    threads = [threading.Thread(target=run, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: f"{n}\n" for n in range(6)}


def test_nothing_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    path = script(tmp_path, "a/x.py", "print(1)")
    assert run_script(path)["status"] == "passed"
    assert not list((tmp_path / "tmp").iterdir())
    assert [entry.name for entry in path.parent.iterdir()] == ["x.py"]


# --- when the caller ends ---------------------------------------------------------------------------------------------

CALLER = """
    import multiprocessing, os, signal, sys, threading
    from stepwave.parallel import run_script

    if __name__ == "__main__":
        run_script({path!r}, timeout=None, env={{"REPORT": {fifo!r}}})
"""

REPORTS = """
    import os, subprocess
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    with open(os.environ["REPORT"], "w") as report:
        report.write(f"{os.getpid()} {child.pid}")
    child.wait()
"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report"
    os.mkfifo(path)
    return path


def test_ctrl_c_is_keyboard_interrupt_and_leaves_nothing(tmp_path: Path, report: Path) -> None:
    path = script(tmp_path, "reports.py", REPORTS)
    program = Program(CALLER.format(path=str(path), fifo=str(report)), tmp_path)
    pids = [int(pid) for pid in report.read_text().split()]
    program.send(signal.SIGINT)
    code, stderr = program.end()
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in stderr
    assert [pid for pid in pids if is_alive(pid)] == []


def test_kill_9_of_the_caller_ends_the_script(tmp_path: Path, report: Path) -> None:
    path = script(tmp_path, "reports.py", REPORTS)
    program = Program(CALLER.format(path=str(path), fifo=str(report)), tmp_path)
    pids = [int(pid) for pid in report.read_text().split()]
    program.send(signal.SIGKILL)
    program.end()
    assert all(wait_until_gone(pid) for pid in pids)


FORKING = """
    import os, signal, threading
    from stepwave.parallel import run_script

    arguments = ({path!r},), {{"timeout": None, "env": {{"REPORT": {fifo!r}}}}}
    threading.Thread(target=run_script, args=arguments[0], kwargs=arguments[1], daemon=True).start()
    print("go", flush=True)
    input_of_parent = open({go!r}).read()
    pid = os.fork()
    if pid == 0:
        os.close(1), os.close(2)
        signal.pause()
    print(pid, flush=True)
    signal.pause()
"""


@pytest.mark.filterwarnings("ignore")
def test_a_forked_child_of_the_caller_does_not_keep_the_script_alive(tmp_path: Path, report: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    path = script(tmp_path, "reports.py", REPORTS)
    program = Program(FORKING.format(path=str(path), fifo=str(report), go=str(go)), tmp_path)
    assert program.line() == "go"
    pids = [int(pid) for pid in report.read_text().split()]
    go.write_text("")
    forked = int(program.line())
    try:
        program.send(signal.SIGKILL)
        program.end()
        assert is_alive(forked)
        assert all(wait_until_gone(pid) for pid in pids)
    finally:
        os.kill(forked, signal.SIGKILL)
