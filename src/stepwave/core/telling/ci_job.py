"""The job of a CI system that runs a workflow, as the text of its file.

Rule 1  Every text that comes from the workflow is a quoted scalar, and means itself: what the CI system would fill in
        (`${{`), what its runner would (`$`), and what the shell would, is kept from them.
Rule 2  No text of the workflow is put into a command but the path of the file, and that is quoted.
"""

import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from stepwave.core.language.scope import has_reference
from stepwave.core.model import Secret, Step, Value, Workflow
from stepwave.core.text import one_line

INSTALLING_MIN = 10
"""Minutes that checkout, installation and clean-up may take beside the workflow's own time limit."""
MAX_INPUTS = 10
"""Inputs that every release of GitHub takes."""
MAX_OUTPUTS = 50
"""Patterns of outputs that go into the cache."""

_junit, _report = "stepwave-junit.xml", "stepwave-report.html"
_name = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z", re.ASCII)


class Job(NamedTuple):
    """What is to be told of a workflow. `file` is its path from the top of the repository on, `folder` that in which
    its state lies, `outputs` what else a run has to find there to be reused; `reuses`: whether any of it can be."""

    file: str
    name: str | None
    title: str
    folder: str
    version: str
    timeout_min: int | None
    secrets: tuple[Secret, ...]
    variables: Mapping[str, Value]
    reuses: bool
    outputs: tuple[str, ...]
    functions: bool


def job_of(workflow: Workflow, file: str, version: str, *, name: str | None = None, is_folder: bool = False) -> Job:
    """`file` is relative, with `/` between its names; `version` that of stepwave, `name` that of the
    workflow, where the file has several."""
    folder = file if is_folder else file.rpartition("/")[0]
    timeout_s = workflow.timeout_s
    return Job(
        file=file,
        name=name,
        title=_shown(workflow.name or workflow.id, 80),
        folder=folder,
        version=version,
        timeout_min=math.ceil(timeout_s / 60) + INSTALLING_MIN if timeout_s else None,
        secrets=workflow.secrets,
        variables={name: value for name, value in workflow.variables.items() if name not in workflow.private},
        reuses=any(step.inputs is not None for step in workflow.steps),
        outputs=tuple(dict.fromkeys(_outputs(workflow.steps, folder)))[:MAX_OUTPUTS],
        functions=any(step.function is not None for step in workflow.steps),
    )


def _outputs(steps: Iterable[Step], folder: str) -> Iterator[str]:
    """What lies in the repository, and is known beforehand."""
    for step in steps:
        for pattern in step.outputs if step.inputs is not None else ():
            inside = not pattern.startswith(("/", "!", "#", "~")) and ".." not in pattern.split("/")
            plain = pattern.isprintable() and pattern == pattern.strip() and not has_reference(pattern, step.dollar)
            if inside and plain and not step.base:
                yield _joined(folder, pattern)


def _joined(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder else path


# --- GitHub --------------------------------------------------------------------------------------------------------


def github(job: Job) -> str:
    """`.github/workflows/x.yml`: https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax"""
    inputs = _inputs(job.variables)
    return _text(
        _head(job, "github"),
        f"name: {_for_github(job.title)}",
        "on:",
        "  push:",
        "    branches: [main, master]",
        "  pull_request:",
        "  workflow_dispatch:",
        *_dispatch(inputs),
        "permissions:",
        "  contents: read",
        "concurrency:",
        "  group: ${{ github.workflow }}-${{ github.ref }}",
        "  cancel-in-progress: ${{ github.event_name == 'pull_request' }}",
        "jobs:",
        "  stepwave:",
        "    runs-on: ubuntu-latest",
        *([f"    timeout-minutes: {job.timeout_min}"] if job.timeout_min else []),
        "    steps:",
        "      - uses: actions/checkout@v4",
        "      - uses: actions/setup-python@v5",
        "        with:",
        '          python-version: "3.13"',
        "      - uses: actions/cache@v4",
        "        with:",
        "          path: ~/.cache/pip",
        f"          key: pip-${{{{ runner.os }}}}-stepwave-{job.version}",
        *_github_state(job),
        *(f"      # {line}" for line in _functions(job)),
        f"      - run: {_for_github(_install(job))}",
        *_github_run(job, bool(inputs)),
        "      - uses: actions/upload-artifact@v4",
        "        if: ${{ !cancelled() }}",
        "        with:",
        "          name: stepwave",
        "          include-hidden-files: true",
        "          if-no-files-found: ignore",
        "          path: |",
        f"            {_junit}",
        f"            {_report}",
        f"            {_github_value(_plain_glob(_joined(job.folder, '.stepwave')) + '/runs/*/logs')}",
    )


def _inputs(variables: Mapping[str, Value]) -> dict[str, Value]:
    """Those that a form can ask for."""
    plain = {
        name: value
        for name, value in variables.items()
        if _name.match(name) and (value is None or isinstance(value, (str, bool, int, float)))
    }
    return dict(list(plain.items())[:MAX_INPUTS])


def _dispatch(inputs: Mapping[str, Value]) -> Iterator[str]:
    if inputs:
        yield "    inputs:"
    for name, value in inputs.items():
        yield f"      {name}:"
        yield f"        description: variable {name} of the workflow"
        yield f"        required: {str(value is None).lower()}"
        if isinstance(value, bool):
            yield "        type: boolean"
            yield f"        default: {str(value).lower()}"
        elif isinstance(value, (int, float)) and math.isfinite(value):
            yield "        type: number"
            yield f"        default: {value}"
        else:
            yield "        type: string"
            yield from () if value is None else [f"        default: {_quoted(str(value))}"]


def _github_state(job: Job) -> Iterator[str]:
    """What makes that only what has changed is run: the ledger, and what the steps have made."""
    if not job.reuses:
        return
    yield "      - uses: actions/cache@v4"
    yield "        with:"
    yield "          path: |"
    for path in (_plain_glob(_joined(job.folder, ".stepwave")), *job.outputs):
        yield f"            {_github_value(path)}"
    # A cache is never written twice, so every attempt has a key of its own, and begins with the latest one.
    key = f"stepwave-${{{{ runner.os }}}}-{_slug(job.file)}-"
    yield f"          key: {key}${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}"
    yield f"          restore-keys: {key}"


def _github_run(job: Job, has_inputs: bool) -> Iterator[str]:
    mapped = [secret for secret in job.secrets if secret.env and _is_secret_of_github(secret.env)]
    yield from (f"      # {line}" for line in _unmapped([one for one in job.secrets if one not in mapped]))
    yield "      - name: stepwave run"
    if mapped or has_inputs:
        yield "        env:"
    for name in dict.fromkeys(secret.env for secret in mapped):
        yield f"          {name}: ${{{{ secrets.{name} }}}}"
    if has_inputs:
        yield "          STEPWAVE_VARIABLES: ${{ inputs && toJSON(inputs) || '{}' }}"
    yield f"        run: {_for_github(_run(job, has_inputs))}"


def _slug(path: str) -> str:
    return re.sub("[^A-Za-z0-9]+", "-", path).strip("-")[:80]


def _is_secret_of_github(name: str) -> bool:
    return bool(_name.match(name)) and (name == "GITHUB_TOKEN" or not name.upper().startswith("GITHUB_"))


def _for_github(text: str) -> str:
    return _quoted(_github_value(text))


def _github_value(text: str) -> str:
    """`${{` begins an expression wherever it stands; so it is the value of one."""
    return text.replace("${{", "${{ '${{' }}")


def _plain_glob(path: str) -> str:
    """A path as a pattern that means it."""
    path = re.sub(r"[*?\[]", lambda sign: f"[{sign[0]}]", path)
    return f"./{path}" if path.startswith(("!", "#", "~")) else path


# --- GitLab --------------------------------------------------------------------------------------------------------


def gitlab(job: Job) -> str:
    """`.gitlab-ci.yml`: https://docs.gitlab.com/ci/yaml/"""
    state = _for_gitlab(_joined(job.folder, ".stepwave"))
    logs = _for_gitlab(f"{_joined(job.folder, '.stepwave')}/runs/*/logs")
    return _text(
        _head(job, "gitlab"),
        *_gitlab_variables(job),
        "stepwave:",
        "  image: python:3.13",
        *([f"  timeout: {job.timeout_min} minutes"] if job.timeout_min else []),
        "  interruptible: true # a newer pipeline of the branch may take its place",
        "  variables:",
        '    PIP_CACHE_DIR: "$CI_PROJECT_DIR/.cache/pip"',
        "  cache:",
        f"    - key: pip-stepwave-{job.version}",
        "      paths: [.cache/pip]",
        *_gitlab_state(job, state),
        "  script:",
        *(f"    # {line}" for line in _functions(job)),
        f"    - {_quoted(_install(job))}",
        *(f"    # {line}" for line in _of_gitlab(job.secrets)),
        f"    - {_quoted(_run(job, bool(job.variables)))}",
        "  artifacts:",
        "    when: always",
        "    expire_in: 1 week",
        f"    paths: [{_report}, {logs}]",
        "    reports:",
        f"      junit: {_junit}",
    )


def _gitlab_variables(job: Job) -> Iterator[str]:
    if job.variables:
        names = ", ".join(_shown(name, 40) for name in list(job.variables)[:MAX_INPUTS])
        yield "variables:"
        yield "  STEPWAVE_VARIABLES:"
        yield '    value: "{}"'
        yield f"    description: {_quoted(f'Variables of the workflow, as JSON; it has {names}')}"


def _gitlab_state(job: Job, state: str) -> Iterator[str]:
    if job.reuses:
        yield '    - key: "stepwave-$CI_COMMIT_REF_SLUG"'
        yield "      when: always"
        yield "      paths:"
        yield f"        - {state}"
        yield from (f"        - {_for_gitlab(path)}" for path in job.outputs)


def _of_gitlab(secrets: Iterable[Secret]) -> Iterator[str]:
    known = [secret for secret in secrets if secret.env]
    if known:
        names = ", ".join(dict.fromkeys(_shown(secret.env or "", 80) for secret in known))
        yield f"From Settings > CI/CD > Variables, masked: {names}"
    yield from _unmapped([secret for secret in secrets if not secret.env])


def _for_gitlab(path: str) -> str:
    """The runner fills in variables in paths."""
    return _quoted(path.replace("$", "$$"))


# --- both ----------------------------------------------------------------------------------------------------------


def _head(job: Job, system: str) -> str:
    return f"# Written by `stepwave export-ci {system} {_shown(job.file, 120)}`. Change it as you like."


def _install(job: Job) -> str:
    """This version, and those that fix it."""
    major, minor = job.version.split(".")[:2]
    return f"python -m pip install 'stepwave>={job.version},<{major}.{int(minor) + 1}'"


def _run(job: Job, has_variables: bool) -> str:
    variables = ' --vars "$STEPWAVE_VARIABLES"' if has_variables else ""
    file = f"./{job.file}" if job.file.startswith("-") else job.file
    name = f" --name={shlex.quote(job.name)}" if job.name else ""
    return f"stepwave run {shlex.quote(file)}{name}{variables} --junit {_junit} --report {_report}"


def _functions(job: Job) -> Iterator[str]:
    if job.functions:
        yield "What the functions of the workflow import must be installed as well."


def _unmapped(secrets: Iterable[Secret]) -> Iterator[str]:
    """Secrets for which somebody has to do something."""
    for secret in secrets:
        name = _shown(secret.name, 80)
        if secret.path is not None:
            yield f"The secret {name} is read from the file {_shown(secret.path, 120)}: something has to write it."
        elif secret.argv:
            yield f"The secret {name} is what a command prints, which must be able to run here."
        else:
            variable = _shown(secret.env or "", 80)
            yield f"The secret {name} comes from {variable}, and no secret of GitHub can have that name."


# What YAML does not take as it is, and what a terminal or an editor obeys: see `core.text`.
_unseen = re.compile(
    "[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
    "|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def _shown(text: str, limit: int) -> str:
    """For a comment, or within a text for people."""
    return _escaped(one_line(text, limit))


def _escaped(text: str) -> str:
    return _unseen.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def _quoted(text: str) -> str:
    """A double-quoted scalar of YAML. Half of a surrogate pair is no character, and is shown as none."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    for sign, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        text = text.replace(sign, escape)
    return f'"{_escaped(text)}"'


def _text(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)
