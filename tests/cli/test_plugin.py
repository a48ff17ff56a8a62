"""The example plugin, installed by pip and run by the real program."""

import base64
import hashlib
import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.cli.invoke import ROOT, Ended, flow, say, stepwave

PLUGIN = ROOT / "examples" / "plugin"


def wheel(project: Path, folder: Path) -> Path:
    """The package as its build backend would make it. That one would have to be downloaded; this needs no network."""
    about = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = about["name"].replace("-", "_"), about["version"]
    info = f"{name}-{version}.dist-info"
    points = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in about["entry-points"].items()
    )
    files = {
        **{file.name: file.read_bytes() for file in project.glob("*.py")},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": points.encode(),
    }
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in files.items())
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return made


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the plugin is installed."""
    folder = tmp_path_factory.mktemp("plugin")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", folder / "lib", wheel(PLUGIN, folder)], check=True, timeout=300)
    return str(folder / "lib")


def run(installed: str, *words: str, cwd: Path) -> Ended:
    return stepwave(*words, cwd=cwd, env={"PYTHONPATH": f"{installed}:{ROOT / 'src'}"})


def test_the_example_of_its_page_runs(installed: str, tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Release notes
        variables: {version: 1.2.0}
        steps:
          - id: notes
            type: template
            config:
              from: notes.txt
              to: NOTES.md
              values: {version: "{{variables.version}}"}
          - id: tell
            dependsOn: notes
            run: echo "{{steps.notes.output.characters}} in {{steps.notes.output.file}}"
        """,
    )
    (tmp_path / "notes.txt").write_text("Version $version\n")
    assert run(installed, "validate", "--strict", "flow.yaml", cwd=tmp_path).code == 0
    ended = run(installed, "run", "flow.yaml", "--json", "--quiet", cwd=tmp_path)
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)["stepResults"]
    assert (tmp_path / "NOTES.md").read_text() == "Version 1.2.0\n"
    assert found["tell"]["output"] == "14 in NOTES.md\n"
    assert "wrote NOTES.md" in Path(found["notes"]["stderrPath"]).read_text()


class Page(BaseHTTPRequestHandler):
    """One page, and no other."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/page" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_command_of_a_plugin_is_a_command_like_any_other(installed: str, tmp_path: Path, address: str) -> None:
    flow(
        tmp_path,
        """
        variables: {page: page}
        steps:
          - {id: there, type: http-check, config: {url: "ADDRESS/{{variables.page}}"}}
          - {id: gone, type: http-check, config: {url: "ADDRESS/gone"}, continueOnError: true}
          - {id: expected, type: http-check, config: {url: "ADDRESS/gone", status: 404, attempts: 2}}
        """.replace("ADDRESS", address),
    )
    shown = run(installed, "run", "flow.yaml", "--dry-run", cwd=tmp_path)
    assert f"-m stepwave_examples {address}/page 200 1" in shown.out
    ended = run(installed, "run", "flow.yaml", "--json", "--quiet", cwd=tmp_path)
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)["stepResults"]
    assert [(step["exitCode"], step["output"]) for step in found.values()] == [
        (0, f"{address}/page: 200\n"), (1, f"{address}/gone: 404\n"), (0, f"{address}/gone: 404\n")
    ]  # fmt: skip


def test_what_is_wrong_with_a_config_is_shown_where_it_stands(installed: str, tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        steps:
          - id: a
            type: http-check
            config:
              url: "https://example.org"
              status: {{variables.x}}
              attempts: 0
          - {id: b, type: htp-check}
        """.replace("{{variables.x}}", "many"),
    )
    ended = run(installed, "validate", "flow.yaml", cwd=tmp_path)
    assert ended == Ended(
        2,
        "",
        say(
            """
            error[bad-config]: `config.status` of a step of type `http-check`: 'many' is not of type 'integer'
             --> flow.yaml:7:15
              |
            7 |       status: many
              |               ^^^^

            error[bad-config]: `config.attempts` of a step of type `http-check`: 0 is less than the minimum of 1
             --> flow.yaml:8:17
              |
            8 |       attempts: 0
              |                 ^

            error[unknown-step-type]: step `b` is of type `htp-check`, which does not exist
             --> flow.yaml:9:19
              |
            9 |   - {id: b, type: htp-check}
              |                   ^^^^^^^^^
              = help: did you mean `http-check`?

            3 errors in flow.yaml
            """
        ),
    )


def test_without_the_plugin_its_types_do_not_exist(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, type: http-check, config: {url: x}}]")
    ended = stepwave("validate", "flow.yaml", cwd=tmp_path)
    assert ended.code == 2
    assert "error[unknown-step-type]: step `a` is of type `http-check`, which does not exist" in ended.err


def test_a_plugin_that_cannot_be_imported_is_told_not_traced(tmp_path: Path) -> None:
    info = tmp_path / "lib" / "broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stepwave.steps]\nbroken = broken:x\n")
    (tmp_path / "lib" / "broken.py").write_text("raise RuntimeError('not today')\n")
    flow(tmp_path, "steps: [{id: a, type: broken}]")
    ended = run(str(tmp_path / "lib"), "validate", "flow.yaml", cwd=tmp_path)
    assert ended.code == 2
    assert (
        "error[bad-plugin]: the plugin for steps of type `broken` cannot be imported: RuntimeError: not today"
        in ended.err
    )


def test_a_file_without_such_a_type_looks_for_no_plugins(tmp_path: Path) -> None:
    flow(tmp_path, "steps: [{id: a, run: 'true'}]")
    program = (
        "import sys; sys.argv = ['stepwave', 'run', '-q', 'flow.yaml']\n"
        "from stepwave.cli import door\n"
        "door()\n"
        "building = {f'stepwave.core.building.{name}' for name in ('agent', 'function', 'plugin', 'profiles')}\n"
        "seen = {'importlib.metadata', 'stepwave.edge.plugins', 'stepwave.edge.modules', 'jsonschema', *building}\n"
        "print('LOADED', sorted(seen & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "LOADED []" in done.stdout, done.stdout + done.stderr
