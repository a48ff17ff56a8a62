"""run_function: real functions in real processes, and every way in which one can end."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stepwave.parallel import run_function

from .places import Program, is_alive

KEYS = [
    "name", "type", "start_time", "status", "execution_time", "result", "error", "stdout", "end_time", "stderr",
    "note",
]  # fmt: skip


class Point(NamedTuple):
    x: int
    y: int


def mirrored(point: Point, *, scale: int = 1) -> Point:
    sys.stdout.write(f"mirroring {point.x}\n")
    sys.stderr.write("quietly\n")
    return Point(point.y * scale, point.x * scale)


def large() -> bytes:
    return bytes(5 << 20)


def raises_key_error() -> None:
    raise KeyError("missing")


def exits() -> None:
    sys.exit(3)


def exits_at_once() -> None:
    os._exit(4)


def kills_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crashes() -> None:
    ctypes.string_at(0)


def never_ends() -> None:
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    os.write(1, f"{os.getpid()} {child.pid}".encode())
    signal.pause()


def leaves_a_process() -> int:
    return subprocess.Popen(["sleep", "300"], start_new_session=True).pid


def takes_memory() -> int:
    return len(bytearray(600 << 20))


def gives_back_a_lambda() -> Callable[[], int]:
    return lambda: 1


class Unreadable:
    """Goes into a pickle and does not come out again."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (int, ("not a number",))


def gives_back_the_unreadable() -> Unreadable:
    return Unreadable()


def forks() -> str:
    if os.fork() == 0:
        return "the child"
    os.wait()
    return "the parent"


def reads() -> str:
    return sys.stdin.read()


def test_a_function_that_gives_something_back() -> None:
    result = run_function(mirrored, (Point(1, 2),), {"scale": 10})
    assert list(result) == KEYS
    assert (result["name"], result["type"], result["status"]) == ("mirrored", "function", "passed")
    assert result["result"] == Point(20, 10)
    assert (result["error"], result["stdout"], result["stderr"]) == (None, "mirroring 1\n", "quietly\n")
    assert result["start_time"] <= result["end_time"]
    assert result["execution_time"] > 0


def test_a_large_result_is_no_timeout() -> None:
    result = run_function(large, timeout=30)
    assert (result["status"], len(result["result"])) == ("passed", 5 << 20)


def test_any_exception_comes_back_with_its_traceback() -> None:
    result = run_function(raises_key_error, timeout=30)
    assert (result["status"], result["result"]) == ("error", None)
    assert result["error"].startswith("Traceback (most recent call last):\n")
    assert "in raises_key_error" in result["error"]
    assert result["error"].endswith("KeyError: 'missing'\n")
    assert "answer.py" not in result["error"]


def test_an_exit_is_told() -> None:
    result = run_function(exits)
    assert (result["status"], result["error"].splitlines()[-1]) == ("error", "SystemExit: 3")


@pytest.mark.parametrize(
    ("function", "cause"),
    [(exits_at_once, "exit code 4"), (kills_itself, "killed by SIGKILL"), (crashes, "killed by SIGSEGV")],
)
def test_a_process_that_ends_without_an_answer_is_told_with_its_cause(function: Callable[[], None], cause: str) -> None:
    result = run_function(function)
    assert (result["status"], result["result"]) == ("failed", None)
    assert result["error"] == f"its process ended without an answer: {cause}"


def test_a_timeout_ends_the_whole_tree() -> None:
    result = run_function(never_ends, timeout=1)
    assert (result["status"], result["error"]) == ("timeout", "Function timed out after 1s")
    assert [pid for pid in map(int, result["stdout"].split()) if is_alive(pid)] == []


def test_a_memory_limit_holds_there_and_only_there() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    result = run_function(takes_memory, memory_limit_mb=300)
    assert result["status"] == "error"
    assert result["error"].startswith("memory limit 300 MB exceeded\nTraceback")
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert run_function(takes_memory)["result"] == 600 << 20


def test_what_cannot_be_sent_is_an_error_that_says_so() -> None:
    result = run_function(lambda: 1)
    assert list(result) == KEYS
    assert (result["status"], result["name"]) == ("error", "<lambda>")
    assert "<lambda> cannot be sent to another process: " in result["error"]
    assert run_function(len, (iter(lambda: 1, 2),))["status"] == "error"


def test_what_cannot_be_sent_back_is_an_error_that_says_so() -> None:
    back = run_function(gives_back_a_lambda)
    assert back["status"] == "error"
    assert back["error"].startswith("its result, of type function, cannot be sent back: ")
    unreadable = run_function(gives_back_the_unreadable)
    assert unreadable["status"] == "error"
    assert unreadable["error"].startswith("its result cannot be read back: ValueError: invalid literal")


def test_a_function_that_forks_answers_once() -> None:
    assert run_function(forks)["result"] == "the parent"


def test_what_a_function_leaves_behind_is_ended_and_noted() -> None:
    result = run_function(leaves_a_process)
    assert (result["status"], result["note"]) == ("passed", f"left 1 process behind: pid {result['result']}: sleep 300")
    assert not is_alive(result["result"])


def test_standard_input_is_empty() -> None:
    assert run_function(reads, timeout=10)["result"] == ""


def test_values_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="timeout must be greater than 0 seconds, not 0"):
        run_function(large, timeout=0)
    with pytest.raises(ValueError, match="memory_limit_mb must be at least 1, not -5"):
        run_function(large, memory_limit_mb=-5)
    with pytest.raises(TypeError, match="func must be something that can be called, not int"):
        run_function(5)  # type: ignore[arg-type]


def test_functions_and_classes_of_the_program_itself(tmp_path: Path) -> None:
    program = Program(
        """
        import sys
        from typing import NamedTuple
        from stepwave.parallel import run_function

        class Pair(NamedTuple):
            a: int
            b: int

        def turned(pair):
            return Pair(pair.b, pair.a)

        if __name__ == "__main__":
            result = run_function(turned, (Pair(1, 2),))
            print(result["status"], result["result"], type(result["result"]) is Pair, result["error"], flush=True)
        """,
        tmp_path,
    )
    assert program.line() == "passed Pair(a=2, b=1) True None"
    assert program.end() == (0, "")


def test_functions_of_a_program_without_a_file(tmp_path: Path) -> None:
    text = """
from stepwave.parallel import run_function
BASE = 40
def add(n): return BASE + n
print(run_function(add, (2,))["result"])
class Own: ...
print(run_function(add, (Own(),))["error"])
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.startswith("42\n"), done.stderr
    assert "Own" in done.stdout


def test_a_program_without_a_guard_is_told_so(tmp_path: Path) -> None:
    program = Program(
        """
        from stepwave.parallel import run_function

        def one():
            return 1

        print(" ".join(str(run_function(one)["error"]).split()), flush=True)
        """,
        tmp_path,
    )
    assert 'put that call below `if __name__ == "__main__":`' in program.line()
    assert program.end() == (0, "")
