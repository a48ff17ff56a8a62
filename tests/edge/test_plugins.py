"""Plugins of every kind, good and bad, as installed packages; each test looks in an interpreter of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODULE = """
from pathlib import Path
Path(__file__).with_suffix(".imported").touch()

class Good:
    name = "good"
    schema = {
        "type": "object", "required": ["url"], "additionalProperties": False,
        "properties": {
            "url": {"type": "string", "minLength": 5}, "port": {"type": "integer"}, "kind": {"enum": ["a", {"b": "c"}]},
            "deep": {"type": "object", "properties": {"n": {"type": "array", "items": {"type": "number"}}}},
        },
    }
    def command(self, config):
        return ["check", config["url"]]

class Rich(Good):
    name = "rich"
    def command(self, config):
        from stepwave import Command
        return Command(["check"], {"A": config["url"], "B": None}, stdin="in", timeout_s=3)

class Wary(Good):
    name = "wary"
    def command(self, config):
        return ["check"]

class Runs:
    name = "runs"
    schema = {}
    def run(self, config):
        return config

class Odd(Good):
    def __init__(self, name, made):
        self.name, self.made = name, made
    def command(self, config):
        if isinstance(self.made, BaseException):
            raise self.made
        return self.made

class Bare:
    name = "no-schema"
    def command(self, config): ...

class Lazy:
    name = "no-methods"
    schema = {}

good, rich, wary, runs = Good(), Rich(), Wary(), Runs()
class_ = Good
other_name = Odd("another", ["x"])
no_schema, no_methods = Bare(), Lazy()
bad_schema = Odd("bad-schema", ["x"]); bad_schema.schema = {"type": "strong"}
far_schema = Odd("far-schema", ["x"]); far_schema.schema = {"$ref": "http://127.0.0.1:9/x"}
raises = Odd("raises", RuntimeError("no\\x1b[31m luck"))
leaves = Odd("leaves", SystemExit(3))
class Mute(Exception):
    def __str__(self): raise ValueError
mute = Odd("mute", Mute())
class Loud(Good):
    name = "loud"
    def command(self, config):
        print("said")
        return ["check"]
loud = Loud()
makes_text = Odd("makes-text", "check it")
makes_numbers = Odd("makes-numbers", ["check", 1])
makes_nothing = Odd("makes-nothing", [])
makes_nul = Odd("makes-nul", ["check", "\\0"])
"""

NAMES = {
    "good": "good", "rich": "rich", "wary": "wary", "runs": "runs", "class": "class_", "other-name": "other_name",
    "no-schema": "no_schema", "no-methods": "no_methods", "bad-schema": "bad_schema", "far-schema": "far_schema",
    "raises": "raises", "leaves": "leaves", "makes-text": "makes_text", "makes-numbers": "makes_numbers",
    "makes-nothing": "makes_nothing", "makes-nul": "makes_nul", "absent": "absent",
    "mute": "mute", "loud": "loud",
}  # fmt: skip

LOOK = """
import json, sys
from stepwave.edge.plugins import Plugins
plugins = Plugins()
name, config = json.loads(sys.argv[1])
if name is None:
    print(json.dumps(sorted(plugins.names)))
    sys.exit()
kind = plugins.get(name)
if not hasattr(kind, "target"):
    print(json.dumps({"refused": kind.reason}))
    sys.exit()
faults = kind.faults(config)
print(json.dumps({
    "target": kind.target,
    "faults": [[list(fault.path), fault.reason] for fault in faults],
    "command": None if kind.target else list(kind.command(config)),
}))
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder of packages with plugins of every kind, and one that cannot be imported."""
    (tmp_path / "manyplugs.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import nowhere_at_all\n")
    info = tmp_path / "manyplugs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: manyplugs\nVersion: 1.0\n")
    points = "".join(f"{name} = manyplugs:{attribute}\n" for name, attribute in NAMES.items())
    (info / "entry_points.txt").write_text(f"[stepwave.steps]\n{points}broken = broken:x\n")
    return tmp_path


def look(folder: Path, name: str | None, config: object = None) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, json.dumps([name, config or {}])],
        env={"PYTHONPATH": f"{folder}:{Path(__file__).resolve().parents[2] / 'src'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_names_are_known_without_importing_anything(installed: Path) -> None:
    assert set(look(installed, None)) >= {*NAMES, "broken"}
    assert not (installed / "manyplugs.imported").exists()
    look(installed, "broken")
    assert not (installed / "manyplugs.imported").exists()


def test_a_plugin_makes_a_command(installed: Path) -> None:
    assert look(installed, "good", {"url": "x://{{y}}"}) == {
        "target": None, "faults": [], "command": [["check", "x://{{y}}"], {}, None, None]
    }  # fmt: skip
    assert look(installed, "rich", {"url": "http"})["command"] == [["check"], {"A": "http", "B": None}, "in", 3]


def test_a_plugin_that_works_itself_has_a_target(installed: Path) -> None:
    assert look(installed, "runs") == {"target": "manyplugs:runs.run", "faults": [], "command": None}


@pytest.mark.parametrize(
    ("config", "faults"),
    [
        ({"url": "http", "port": 1}, [[["url"], "'http' is too short"]]),
        ({}, [[[], "'url' is a required property"]]),
        ({"ulr": "{{x}}"}, [[[], "Additional properties are not allowed ('ulr' was unexpected)"],
                            [[], "'url' is a required property"]]),
        ({"url": "{{x}}", "port": "{{y}}", "kind": "${z}"}, []),
        ({"url": "https", "port": "80"}, [[["port"], "'80' is not of type 'integer'"]]),
        ({"url": "https", "deep": {"n": [1, "{{x}}", "y"]}}, [[["deep", "n", 2], "'y' is not of type 'number'"]]),
        ({"url": "https", "kind": {"b": "{{x}}"}}, []),
        ({"url": "https", "deep": "{{x}}"}, []),
    ],
)  # fmt: skip
def test_the_schema_judges_all_but_what_is_not_known_yet(
    installed: Path, config: dict[str, object], faults: list[object]
) -> None:
    found = look(installed, "wary", config)["faults"]
    assert sorted(found, key=str) == sorted(faults, key=str)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "cannot be imported: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("absent", "cannot be imported: AttributeError: module 'manyplugs' has no attribute 'absent'"),
        ("class", "is the class Good: the entry point must name an object of it"),
        ("other-name", "calls itself 'another': it must have that `name`"),
        ("no-schema", "has no `schema`, a dict with the JSON Schema of its `config`"),
        ("no-methods", "has neither a method `command` nor a method `run`"),
        ("bad-schema", "has a `schema` that is no JSON Schema: 'strong' is not valid under any of the given schemas"),
    ],
)
def test_what_is_no_plugin_is_a_sentence(installed: Path, name: str, reason: str) -> None:
    assert look(installed, name) == {"refused": reason}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "has failed to make a command: RuntimeError: no\\x1b[31m luck"),
        ("leaves", "has failed to make a command: SystemExit: 3"),
        ("makes-text", "made a command that cannot be used: AttributeError: 'str' object has no attribute 'argv'"),
        ("makes-numbers", "made no command: it must be a list of texts, or a `stepwave.Command` with such an `argv`"),
        ("makes-nothing", "made no command: it must be a list of texts, or a `stepwave.Command` with such an `argv`"),
        ("makes-nul", "made no command: it must be a list of texts, or a `stepwave.Command` with such an `argv`"),
    ],
)
def test_a_plugin_that_fails_is_a_sentence(installed: Path, name: str, reason: str) -> None:
    assert look(installed, name, {"url": "https"})["command"] == [reason]


def test_a_schema_is_never_fetched(installed: Path) -> None:
    (fault,) = look(installed, "far-schema", {"url": "https"})["faults"]
    assert fault[1].startswith("the plugin has a `schema` that cannot be followed: ")


def test_what_a_plugin_prints_does_not_get_among_the_results(installed: Path) -> None:
    assert look(installed, "loud", {"url": "x://y"})["command"] == [["check"], {}, None, None]


def test_an_exception_that_cannot_be_printed_is_told_all_the_same(installed: Path) -> None:
    assert look(installed, "mute", {"url": "x://y"})["command"] == [
        "has failed to make a command: Mute: it cannot even say what is wrong"
    ]
