"""Maps in whole programs: Ctrl-C, the end of the interpreter, functions that are defined where there is no module."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.parallel.test_map_processes import await_end

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc")


def run(*argv: str, folder: Path, source: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv],
        cwd=folder,
        input=source,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT / "src"), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def script(folder: Path, text: str) -> str:
    file = folder / "script.py"
    file.write_text(textwrap.dedent(text))
    return str(file)


# --- Ctrl-C ------------------------------------------------------------------------------------------------

THREADS = """\
    import itertools, threading, time
    from stepwave.parallel import thread_map

    def wait(number):
        if number == 0:
            print("ready", flush=True)
        (time.sleep if number < 2 else busy.wait)(0)

    busy = threading.Event()
    try:
        thread_map(wait, itertools.count(), max_workers=4{more})
    except KeyboardInterrupt:
        print("interrupted", time.monotonic(), flush=True)
        deadline = time.monotonic() + 10
        while threading.active_count() > 1 and time.monotonic() < deadline:
            time.sleep(0.001)
        print("threads", threading.active_count(), flush=True)
"""

BUSY_THREADS = """\
    import threading, time
    from stepwave.parallel import thread_map

    def hang(number):
        if number == 3:
            print("ready", flush=True)
        threading.Event().wait()

    try:
        thread_map(hang, range(100), max_workers=4)
    except KeyboardInterrupt:
        print("interrupted", time.monotonic(), flush=True)
"""

PROCESSES = """\
    import os, subprocess, time
    from stepwave.parallel import process_map

    def hang(number):
        child = subprocess.Popen(["/bin/sleep", "1000"])
        print("pids", os.getpid(), child.pid, flush=True)
        child.wait()

    if __name__ == "__main__":
        try:
            process_map(hang, range(10), max_workers=2)
        except KeyboardInterrupt:
            print("interrupted", time.monotonic(), flush=True)
"""


def started(path: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, path],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(program: subprocess.Popen[str]) -> list[str]:
    out, err = program.communicate(timeout=30)
    assert err == ""
    return out.splitlines()


@pytest.mark.parametrize("more", ["", ", errors='collect'", ", item_timeout=60", ", timeout=60"])
def test_ctrl_c_ends_a_map_over_threads_and_its_threads(tmp_path: Path, more: str) -> None:
    program = started(script(tmp_path, THREADS.format(more=more)))
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    lines = ended(program)
    assert lines[0].startswith("interrupted")
    assert lines[1] == "threads 1"
    assert program.returncode == 0


def test_ctrl_c_does_not_wait_for_functions_that_hang(tmp_path: Path) -> None:
    program = started(script(tmp_path, BUSY_THREADS))
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    assert ended(program)[0].startswith("interrupted")
    assert program.returncode == 0


def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    program = started(script(tmp_path, PROCESSES))
    assert program.stdout is not None
    pids = [int(word) for _ in range(2) for word in program.stdout.readline().split()[1:]]
    program.send_signal(signal.SIGINT)
    assert ended(program)[0].startswith("interrupted")
    for process in pids:
        await_end(process)


def test_workers_do_not_outlive_a_caller_that_is_killed(tmp_path: Path) -> None:
    program = started(script(tmp_path, PROCESSES))
    assert program.stdout is not None
    pids = [int(word) for _ in range(2) for word in program.stdout.readline().split()[1:]]
    program.kill()
    program.communicate()
    for process in pids:
        await_end(process)


# --- the end of the interpreter ----------------------------------------------------------------------------


def test_a_hanging_thread_does_not_hold_up_the_end_of_the_interpreter(tmp_path: Path) -> None:
    text = """\
        import threading
        from stepwave.parallel import thread_map
        try:
            thread_map(lambda _: threading.Event().wait(), range(3), timeout=0.1)
        except TimeoutError as error:
            print(error)
    """
    done = run(script(tmp_path, text), folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "thread_map timed out after 0.1s: 0 of 3 task(s) finished\n",
        "",
    )


def test_an_iterator_that_is_open_at_the_end(tmp_path: Path) -> None:
    text = """\
        import itertools
        from stepwave.parallel import process_map, thread_map
        if __name__ == "__main__":
            maps = [each(abs, itertools.count(), results="iterator") for each in (thread_map, process_map)]
            print([next(one) for one in maps])
    """
    done = run(script(tmp_path, text), folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 0]\n", "")


# --- where functions come from -----------------------------------------------------------------------------

TYPED = """\
import math
from stepwave.parallel import process_map
FACTOR = 3
def inner(n, plus=1): return n * FACTOR + plus
def outer(n): return [math.floor(inner(m)) for m in range(n)]
print(process_map(outer, [1, 2]))
"""


@pytest.mark.parametrize("argv", [["-"], ["-i"], ["-c", TYPED]])
def test_functions_that_stand_in_no_file(argv: list[str], tmp_path: Path) -> None:
    done = run(*argv, folder=tmp_path, source=re.sub("(def .*)", "\\1\n", TYPED))
    assert done.stdout == "[[1], [1, 4]]\n", done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("lock = __import__('threading').Lock()\ndef f(n): return lock", "f uses lock, which cannot be sent to"),
        ("class C: pass\ndef f(n): return C", "f uses C, which was typed at a prompt, and only functions can be sent"),
        ("f = lambda n: n", "<lambda> cannot be sent to another process"),
    ],
)
def test_what_stands_in_no_file_and_cannot_be_sent(lines: str, words: str, tmp_path: Path) -> None:
    source = f"from stepwave.parallel import process_map\n{lines}\nprocess_map(f, [1])\n"
    done = run("-", folder=tmp_path, source=source)
    assert done.returncode == 1
    assert words in done.stderr


MAIN = """\
    print("read as", __name__, flush=True)
    from stepwave.parallel import process_map

    class Pair:
        def __init__(self, one):
            self.one = one

    def pair(one):
        return Pair(one)

    def within(n):
        return process_map(pair, [n])[0].one

    if __name__ == "__main__":
        found = process_map(pair, [1, 2])
        print([type(each) is Pair for each in found], [each.one for each in found])
        print(process_map(abs, [-1]))
        print(process_map(within, [5]))
"""


def test_functions_and_classes_of_a_script(tmp_path: Path) -> None:
    done = run(script(tmp_path, MAIN), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "read as __main__"
    assert [line for line in lines if not line.startswith("read as")] == ["[True, True] [1, 2]", "[1]", "[5]"]
    # One worker, for pair; none for abs, which is no function of the script; for within one, and one within that.
    assert lines.count("read as __mp_main__") == 3


def test_functions_of_a_module_that_is_run(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").write_text("")
    (tmp_path / "package/other.py").write_text("FACTOR = 2")
    (tmp_path / "package/tool.py").write_text(
        "from .other import FACTOR\nfrom stepwave.parallel import process_map\ndef f(n): return n * FACTOR\n"
        "if __name__ == '__main__': print(process_map(f, [1, 2]))\n"
    )
    done = run("-m", "package.tool", folder=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("[2, 4]\n", "", 0)


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    text = "from stepwave.parallel import process_map\ndef f(n): return n\nprint(process_map(f, [1]))\n"
    done = run(script(tmp_path, text), folder=tmp_path)
    assert done.returncode == 1
    assert 'put that call below `if __name__ == "__main__":`' in done.stderr


def test_flags_of_the_interpreter_are_those_of_the_workers(tmp_path: Path) -> None:
    text = """\
        import sys
        from stepwave.parallel import process_map
        def flags(_):
            return sys.flags.optimize, sys.warnoptions, sys._xoptions, sys.path == PATH, sys.argv[1:]
        PATH = sys.path
        if __name__ == "__main__":
            print(process_map(flags, [1]) == [flags(1)])
    """
    done = run("-O", "-Werror", "-Xutf8=1", script(tmp_path, text), "argument", folder=tmp_path)
    assert (done.stdout, done.stderr) == ("True\n", "")


# --- the seed ----------------------------------------------------------------------------------------------


def test_the_example_of_the_seed(tmp_path: Path) -> None:
    text = """\
        from stepwave.parallel import thread_map, resource_aware_workers

        def process_sample(sample):
            return sample.upper()

        samples = ["a", "b"]
        results = thread_map(process_sample, samples, max_workers=resource_aware_workers())
        print(results)
    """
    done = run(script(tmp_path, text), folder=tmp_path)
    assert (done.stdout, done.stderr) == ("['A', 'B']\n", "")


def test_importing_the_package_imports_nothing_else(tmp_path: Path) -> None:
    text = """\
        import sys
        before = set(sys.modules)
        import stepwave.parallel
        print(sorted(set(sys.modules) - before))
        stepwave.parallel.thread_map(abs, [1])
        slow = {"rich", "psutil", "asyncio", "multiprocessing", "concurrent.futures", "subprocess", "typer", "yaml"}
        print(sorted(slow & set(sys.modules)))
    """
    done = run(script(tmp_path, text), folder=tmp_path)
    assert done.stdout.splitlines() == ["['stepwave', 'stepwave.parallel']", "[]"], done.stderr
