"""The process of a function step: what it takes, what it gives back, what it prints where, how it ends."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
CALL = ROOT / "src/stepwave/call.py"

TASKS = """
import asyncio, os, subprocess, sys
print("imported")

def give(**params): return params
def greet(name, times=1, *, loud: bool = False): return name * times
def only(value, /): return value
async def later(value):
    await asyncio.sleep(0)
    if value is None:
        raise LookupError("nothing there")
    return [value]
def awaited():
    return asyncio.sleep(0, "settled")
def loud():
    print("to stdout")
    print("to stderr", file=sys.stderr)
    os.write(1, b"to descriptor 1\\n")
    subprocess.run(["echo", "from a child"], check=True)
    return "result"
def reads():
    return [sys.stdin.read(), subprocess.run(["cat"], capture_output=True, check=True).stdout.decode()]
def fails():
    return inner()
def inner():
    raise ValueError("bad number\\n" + "é")
def chained():
    try:
        inner()
    except ValueError as problem:
        raise RuntimeError("outer") from problem
def type_error(a): return len(a)
def nothing(): return None
def forks():
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    return "once"
def ends(code): sys.exit(code)
def stopped(): raise KeyboardInterrupt
def odd(kind):
    loop = []
    loop.append(loop)
    return {"set": {1}, "nan": float("nan"), "loop": loop, "object": object()}[kind]
def half(): return "a\\udc80é"
def around(): return {"path": sys.path[0], "argv": sys.argv, "folder": os.getcwd()}
class Tools:
    @staticmethod
    def build(): return "built"
    def bare(self): return "bare"
number = 5
"""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS, "utf-8")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "sub").mkdir()
    return tmp_path


def call(folder: Path, target: str, params: object = None, **more: str) -> Ended:
    """Call a function of tasks.py in another folder than its own."""
    given = b"" if params is None else json.dumps(params).encode()
    done = subprocess.run(
        [sys.executable, "-P", str(CALL), target, str(folder)],
        cwd=folder / "sub",
        input=given,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **more},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize(
    ("target", "params", "result"),
    [
        ("tasks:give", {"a": [1, None, {"b": "é\n"}], "c": True}, {"a": [1, None, {"b": "é\n"}], "c": True}),
        ("tasks:give", None, {}),
        ("tasks:greet", {"name": "a", "times": 3}, "aaa"),
        ("tasks:later", {"value": 1}, [1]),
        ("tasks:awaited", None, "settled"),
        ("tasks:Tools.build", {}, "built"),
        ("json:dumps", {"obj": [1]}, "[1]"),
    ],
)
def test_arguments_come_as_json_and_the_result_goes_as_json(
    folder: Path, target: str, params: object, result: object
) -> None:
    ended = call(folder, target, params)
    assert (ended.code, json.loads(ended.out)) == (0, result)
    assert ended.out.count("\n") == 1


def test_a_process_that_the_function_forks_does_not_answer_too(folder: Path) -> None:
    assert call(folder, "tasks:forks")[:2] == (0, '"once"\n')


def test_no_result_prints_nothing(folder: Path) -> None:
    assert call(folder, "tasks:nothing") == (0, "", "imported\n")


def test_standard_output_is_for_the_result_alone(folder: Path) -> None:
    ended = call(folder, "tasks:loud")
    assert ended == (
        0,
        '"result"\n',
        "imported\nto stdout\nto stderr\nto descriptor 1\nfrom a child\n",
    )


def test_the_arguments_are_all_that_stood_on_standard_input(folder: Path) -> None:
    assert json.loads(call(folder, "tasks:reads", {}).out) == ["", ""]


def test_the_folder_of_the_workflow_is_looked_through_first(folder: Path) -> None:
    assert json.loads(call(folder, "tasks:around", {}).out) == {
        "path": str(folder), "argv": ["tasks:around"], "folder": str(folder / "sub")
    }  # fmt: skip


def test_the_path_for_modules_that_the_step_has_counts(folder: Path) -> None:
    (folder / "sub" / "elsewhere.py").write_text("def f(): return 1\n")
    assert call(folder, "elsewhere:f").code == 1
    assert call(folder, "elsewhere:f", PYTHONPATH=str(folder / "sub")).out == "1\n"


@pytest.mark.parametrize(
    ("target", "params", "trace"),
    [
        (
            "tasks:fails",
            {},
            """
            Traceback (most recent call last):
              File "tasks.py", in fails
              File "tasks.py", in inner
            ValueError: bad number
            é
            """,
        ),
        (
            "tasks:later",
            {"value": None},
            """
            Traceback (most recent call last):
              File "tasks.py", in later
            LookupError: nothing there
            """,
        ),
        (
            "tasks:type_error",
            {"a": 5},
            """
            Traceback (most recent call last):
              File "tasks.py", in type_error
            TypeError: object of type 'int' has no len()
            """,
        ),
        ("nowhere:f", {}, "ModuleNotFoundError: No module named 'nowhere'\n"),
        ("tasks:absent", {}, "AttributeError: module 'tasks' has no attribute 'absent'\n"),
    ],
)
def test_an_exception_is_shown_without_the_frames_of_the_runner(
    folder: Path, target: str, params: object, trace: str
) -> None:
    ended = call(folder, target, params)
    assert (ended.code, ended.out) == (1, "")
    shown = [line for line in ended.err.splitlines() if line != "imported"]
    kept = [
        line.replace(f"{folder}/", "").replace(line.partition(", line ")[2].partition(",")[0], "N")
        if line.startswith("  File")
        else line
        for line in shown
        if not line.startswith("    ")
    ]
    assert "\n".join(line.replace(", line N", "") for line in kept) == dedent(trace).strip("\n")


def test_a_cause_is_shown_too(folder: Path) -> None:
    ended = call(folder, "tasks:chained")
    assert ended.code == 1
    assert "ValueError: bad number" in ended.err
    assert ended.err.endswith("RuntimeError: outer\n")
    assert "call.py" not in ended.err


def test_a_module_that_is_no_python_is_shown_with_its_line(folder: Path) -> None:
    ended = call(folder, "broken:f")
    assert ended.code == 1
    assert f'File "{folder}/broken.py", line 1' in ended.err
    assert "call.py" not in ended.err


@pytest.mark.parametrize(
    ("target", "params", "sentence"),
    [
        ("greet", {}, "takes (name, times=1, *, loud: bool = False): missing a required argument: 'name'"),
        ("greet", {"name": "a", "tims": 2}, "takes (name, times=1, *, loud: bool = False): got an unexpected keyword"
         " argument 'tims'"),
        ("later", {}, "takes (value): missing a required argument: 'value'"),
        ("Tools.bare", {}, "takes (self): missing a required argument: 'self'"),
        ("nothing", {"a": 1}, "takes (): got an unexpected keyword argument 'a'"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_a_sentence_with_the_signature(
    folder: Path, target: str, params: object, sentence: str
) -> None:
    ended = call(folder, f"tasks:{target}", params)
    assert ended == (2, "", f"imported\nstepwave: `tasks:{target}` {sentence}\n")


def test_an_argument_without_a_name_cannot_be_given(folder: Path) -> None:
    ended = call(folder, "tasks:only", {"value": 1})
    assert (ended.code, ended.out) == (2, "")
    assert "`tasks:only` takes (value, /): " in ended.err


@pytest.mark.parametrize("code", [0, 7, None])
def test_an_exit_code_of_its_own_counts(folder: Path, code: int | None) -> None:
    assert call(folder, "tasks:ends", {"code": code}) == (code or 0, "", "imported\n")


def test_an_exit_with_words_says_them(folder: Path) -> None:
    assert call(folder, "tasks:ends", {"code": "enough"}) == (1, "", "imported\nenough\n")


@pytest.mark.parametrize("kind", ["set", "nan", "loop", "object"])
def test_what_json_cannot_say_is_a_failure(folder: Path, kind: str) -> None:
    ended = call(folder, "tasks:odd", {"kind": kind})
    assert (ended.code, ended.out) == (1, "")
    assert "stepwave: `tasks:odd` gave back what JSON cannot say: " in ended.err


def test_half_a_character_is_written_as_json_writes_it(folder: Path) -> None:
    assert call(folder, "tasks:half").out == '"a\\udc80\\u00e9"\n'


def test_what_is_no_function_is_a_sentence(folder: Path) -> None:
    ended = call(folder, "tasks:number")
    assert ended == (1, "", "imported\nstepwave: `tasks:number` is of type int and cannot be called\n")


def test_it_imports_nothing_of_stepwave_and_little_else(folder: Path) -> None:
    (folder / "look.py").write_text("import sys\ndef f(): return sorted(sys.modules)\n")
    loaded = json.loads(call(folder, "look:f").out)
    heavy = ("stepwave", "typing", "dataclasses", "inspect", "asyncio", "importlib.metadata", "pathlib", "subprocess")
    assert [name for name in loaded if name.partition(".")[0] in heavy or name in heavy] == []
