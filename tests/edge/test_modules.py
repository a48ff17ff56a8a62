"""Whether a function is there, asked of files: nothing of them is ever executed."""

from pathlib import Path

import pytest

from stepwave.edge.modules import find_lack

SOURCE = """
import os.path, json as j
from math import sin, cos as c
raise SystemExit("this module has been executed")

def plain(): ...
async def later(): ...
@decorated
def with_decorator(): global made_inside; made_inside = 1
made = lambda: 1
first, (second, *third) = 1, 2
if True:
    def in_if(): ...
else:
    def in_else(): ...
try:
    with open("x") as opened: ...
    for looped in (): ...
    while (walrus := 0): ...
except Exception as caught: ...
match made:
    case {"a": matched, **rest}: ...
    case [*starred] as whole: ...
annotated: int = 1
class Plain:
    @staticmethod
    def method(): ...
    class Inner:
        def deep(self): ...
class Derived(Plain): ...
@decorated
class Decorated: ...
class Made(metaclass=type): ...
class Patched: ...
Patched.added = plain
"""


THERE = (
    "os j sin c plain later with_decorator made_inside made first second third in_if in_else opened looped walrus"
    " caught matched rest starred whole annotated Plain Plain.method Plain.Inner.deep Derived.anything"
    " Decorated.anything Made.anything Patched.added plain.__name__ made.anything Plain.__init__ sin.anything"
)
"""What it has, or may have."""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    files = {
        "tasks.py": SOURCE,
        "broken.py": "def f(:\n",
        "latin.py": "# -*- coding: latin-1 -*-\n",
        "stars.py": "from os import *\n",
        "getter.py": "def __getattr__(name): ...\n",
        "wild.py": "globals().update(f=1)\n",
        "swapped.py": "import sys\nsys.modules[__name__] = object()\n",
        "package/__init__.py": "def here(): ...\n",
        "package/inner.py": "def there(): ...\n",
        "bare/module.py": "def f(): ...\n",
        "grown/__init__.py": "__path__ = []\n",
        "binary.abi3.so": "",
        "json.py": "def mine(): ...\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\n# \xe9\ndef f(): ...\n")
    (tmp_path / "huge.py").write_bytes(b"#" * (5 << 20))
    return str(tmp_path)


@pytest.mark.parametrize(
    "target",
    [
        *(f"tasks:{name}" for name in THERE.split()),
        "latin:f", "stars:anything", "getter:anything", "wild:anything", "swapped:anything",
        "huge:anything", "package:here", "package:inner", "package:inner.there", "package.inner:there",
        "bare.module:f", "bare:module.f", "grown.anything:f", "binary:anything", "json:mine",
        "math:sqrt", "sys:exit", "os.path:join", "time:sleep",
        "collections.abc:Mapping", "importlib.metadata:version", "xml.dom.minidom:parseString", "stepwave.api:load",
        "yaml:safe_load", "os:getcwd",
    ],
)  # fmt: skip
def test_what_is_there_is_found(folder: str, target: str) -> None:
    assert find_lack(target, folder) is None


@pytest.mark.parametrize(
    ("target", "message", "help"),
    [
        ("tasks:plian", "the module `tasks` has no `plian`", "did you mean `plain`?"),
        ("tasks:qqq", "the module `tasks` has no `qqq`", None),
        ("tasks:print", "the module `tasks` has no `print`", None),
        ("tasks:method", "the module `tasks` has no `method`", None),
        ("tasks:Plain.metod", "the module `tasks` has no `Plain.metod`", "did you mean `method`?"),
        ("tasks:Plain.Inner.x", "the module `tasks` has no `Plain.Inner.x`", None),
        ("taks:plain", "there is no module `taks`", "did you mean `tasks`?"),
        ("packge.inner:there", "there is no module `packge`", "did you mean `package`?"),
        ("package.iner:there", "there is no module `package.iner`", "did you mean `inner`?"),
        ("package.inner.more:x", "there is no module `package.inner.more`", None),
        ("package.inner:here", "the module `package.inner` has no `here`", "did you mean `there`?"),
        ("package:there", "the module `package` has no `there`", "did you mean `here`?"),
        ("bare:f", "the module `bare` has no `f`", None),
        ("bare.modul:f", "there is no module `bare.modul`", "did you mean `module`?"),
        ("nowhere_at_all_zz:x", "there is no module `nowhere_at_all_zz`", None),
        ("json:loads", "the module `json` has no `loads`", None),
        ("tasks.plain:x", "there is no module `tasks.plain`", None),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told_with_what_was_probably_meant(
    folder: str, target: str, message: str, help: str | None
) -> None:
    lack = find_lack(target, folder)
    assert lack is not None
    if help is None and "no `" in message:
        help = "write the name of a function that it defines"
    expected = help or "put it beside the workflow file, or install it for the Python of stepwave; or write `command:`"
    assert (lack.message, lack.help) == (message, expected)


def test_a_module_that_is_no_python_is_told_with_its_line(folder: str) -> None:
    lack = find_lack("broken:f", folder)
    assert lack is not None
    assert lack.message.startswith("the module `broken` is no Python (`broken.py`, line 1: ")


def test_a_folder_that_is_not_there_has_no_modules(tmp_path: Path) -> None:
    lack = find_lack("tasks:plain", str(tmp_path / "gone"))
    assert lack is not None
    assert lack.message == "there is no module `tasks`"
