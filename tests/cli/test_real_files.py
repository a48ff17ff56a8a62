"""The files that people really wrote: each gets the outcome that was judged right for it, and no other finding.

They are not part of the repository; where they are not there is nothing to test.
"""

import json
import re
from pathlib import Path

import pytest

from tests.cli.invoke import ROOT, stepwave

REAL = ROOT / "../shared/data/workflows"

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the collected files are not here")

# Exit code of `validate`, exit code of `run` (where it would begin), and the codes of all findings.
# 2 and 0 differ for a file that is valid but asks for what is not built yet: `run` leaves out nothing in silence.
# - seed 001 is published with tabs; block 3 names resources that it does not declare
# - the blocks of seed 003 are pieces of files: two are no JSON, one says `...`, the others have no steps
# - the workstreams name the `tool` aider, which is known, but not installed; `bundle-id` is a near miss of `bundle_id`
# - codomyrmex calls modules of its own project, which are not here
# - conditional-*.yaml and definition-tabs-*.yaml are excerpts that name steps which they do not contain
EXPECTED: dict[str, tuple[int, int, str]] = {
    "near-dialects/codomyrmex-workflow-with-dependencies.json": (2, 2, "unknown-function"),
    "near-dialects/plan-dag-basic.yaml": (0, 0, "no-executor unknown-key"),
    "near-dialects/task-scheduler-nested.yaml": (0, 0, ""),
    "plans/test_simple.json": (0, 0, ""),
    "seeds/seed001-block01-line14.yaml": (0, 0, "tab-indent"),
    "seeds/seed001-block02-line45.yaml": (0, 0, "tab-indent"),
    "seeds/seed001-block03-line85.yaml": (2, 2, "no-executor tab-indent unknown-resource"),
    "seeds/seed001-block04-line124.yaml": (0, 0, "tab-indent"),
    "seeds/seed001-block05-line211.yaml": (0, 0, "tab-indent"),
    "seeds/seed001-block06-line247.yaml": (0, 0, "tab-indent"),
    "seeds/seed003-block01-line69.json": (2, 2, "ellipsis"),
    "seeds/seed003-block02-line86.json": (2, 2, "json-syntax"),
    "seeds/seed003-block03-line106.json": (2, 2, "jsonc no-steps"),
    "seeds/seed003-block04-line127.json": (2, 2, "json-syntax"),
    "seeds/seed003-block05-line308.json": (2, 2, "jsonc no-steps"),
    "seeds/seed003-block06-line333.json": (2, 2, "jsonc no-steps"),
    "seeds/seed003-block07-line347.json": (2, 2, "jsonc no-steps"),
    "seeds/seed003-block08-line362.json": (2, 2, "json-syntax"),
    "seeds/seed003-block09-line376.json": (2, 2, "jsonc no-steps"),
    "seeds/seed003-block10-line390.json": (2, 2, "jsonc no-steps"),
    "seeds/seed003-block11-line444.json": (2, 2, "jsonc no-steps"),
    "seeds/seed003-block12-line457.json": (2, 2, "no-steps unknown-step"),
    "seeds/seed003-block13-line474.json": (2, 2, "jsonc no-steps"),
    "workstreams/01_simple_task.json": (0, 0, "agent-not-installed"),
    "workstreams/02_parallel_execution.json": (0, 0, "agent-not-installed"),
    "workstreams/example_multi.json": (0, 0, "agent-not-installed jsonc"),
    "workstreams/openspec-test-001.yaml": (2, 2, "no-steps unknown-key version-format"),
    "workstreams/ws-01-hardcoded-path-index.json": (0, 0, "agent-not-installed"),
    "workstreams/ws-02-section-mapping-config.json": (0, 0, "agent-not-installed outside-need"),
    "workstreams/ws-12-error-shared-utils.json": (0, 0, "agent-not-installed"),
    "workstreams/ws-13-refactor-error-plugins.json": (0, 0, "agent-not-installed outside-need"),
    "workstreams/ws-22-pipeline-plus-phase0-schema.json": (
        0,
        0,
        "acceptance-not-command agent-not-installed files-outside-scope no-effect",
    ),
    "workstreams/ws-23-pipeline-plus-phase1a-task-queue.json": (
        0,
        0,
        "acceptance-not-command agent-not-installed no-effect outside-need",
    ),
    "workstreams/ws-abs-003-process-executor.json": (2, 2, "python-set"),
    "workstreams/ws-uet-phase-a-quick-wins.json": (0, 0, "agent-not-installed files-outside-scope"),
    "yaml/agent-workflow.yaml": (0, 0, "no-executor suspicious-timeout"),
    "yaml/conditional-01.yaml": (2, 2, "unknown-branch-target unknown-step"),
    "yaml/conditional-04.yaml": (2, 2, "unknown-step unknown-variable"),
    "yaml/conditional-07.yaml": (2, 2, "unknown-branch-target"),
    "yaml/definition-tabs-01.yaml": (
        2,
        2,
        "tab-indent unknown-resource unknown-step unknown-step-type unknown-variable wrong-type",
    ),
    "yaml/definition-tabs-05.yaml": (2, 2, "tab-indent unknown-branch-target unknown-step"),
    "yaml/definition-tabs-09.yaml": (2, 2, "no-executor tab-indent unknown-step unknown-variable"),
    "yaml/interp-02.yaml": (0, 0, "not-upstream unknown-variable"),
    "yaml/interp-05.yaml": (0, 0, "no-executor unknown-variable"),
    "yaml/parallel-tabs-06.yaml": (0, 0, "tab-indent"),
    "yaml/readme-flat-01.yaml": (0, 0, "no-executor"),
    "yaml/readme-flat-08.yaml": (0, 0, ""),
    "yaml/readme-flat-15.yaml": (0, 0, "no-executor"),
    "yaml/readme-new-01.yaml": (0, 0, "no-executor"),
}

NO_AGENTS = "/usr/bin:/bin"
"""Where no agent is installed."""


def files() -> list[Path]:
    return sorted(file for file in REAL.rglob("*") if file.is_file())


def test_every_file_has_been_judged() -> None:
    assert [str(file.relative_to(REAL)) for file in files()] == list(EXPECTED)


def test_all_of_them_at_once(tmp_path: Path) -> None:
    ended = stepwave("validate", "--format", "json", *files(), cwd=tmp_path, env={"PATH": NO_AGENTS})
    assert (ended.code, ended.err) == (2, "")
    codes: dict[str, set[str]] = {name: set() for name in EXPECTED}
    errors: dict[str, int] = dict.fromkeys(EXPECTED, 0)
    for finding in json.loads(ended.out)["diagnostics"]:
        name = str(Path(finding["path"]).relative_to(REAL))
        codes[name].add(finding["code"])
        assert finding["line"] >= 1
        assert finding["message"]
        if finding["severity"] == "error":
            errors[name] = 2
    found = {name: (errors[name], " ".join(sorted(codes[name]))) for name in EXPECTED}
    assert found == {name: (code, words) for name, (code, _, words) in EXPECTED.items()}


@pytest.mark.parametrize("name", EXPECTED)
def test_run_begins_or_refuses(name: str, tmp_path: Path) -> None:
    """As far as a run gets without running what strangers wrote."""
    _, code, _ = EXPECTED[name]
    env = {"STEPWAVE_STATE_DIR": str(tmp_path / "state"), "PATH": NO_AGENTS}
    ended = stepwave("run", "--dry-run", REAL / name, cwd=tmp_path, env=env)
    assert ended.code == code, ended.err
    assert bool(ended.out) is (code == 0)
    assert ("error[" in ended.err) is (code == 2)
    assert not list(tmp_path.iterdir())


def test_the_workstream_of_the_seed_prints_what_the_seed_expects(tmp_path: Path) -> None:
    """All lines of the published output; steps end in whatever order they end."""
    text = (REAL / "../../spec/seeds/seed-003-workstream-json.txt").read_text("utf-8")
    expected = text.partition("**Expected Output**:\n```\n")[2].partition("\n```")[0]
    (tmp_path / "examples").mkdir()
    for module, code in (("math", "add = lambda a, b: a + b"), ("string", "reverse = lambda s: s[::-1]")):
        (tmp_path / f"examples/{module}_utils.py").write_text(code)
    (tmp_path / "examples/file_utils.py").write_text("ensure_dir = lambda path: None")
    profile = {"command": "sleep 0.1", "workingDirectory": str(tmp_path), "env": {"PYTHONPATH": str(tmp_path)}}
    (tmp_path / "tools.json").write_text(json.dumps({"aider": profile}))
    ended = stepwave(
        "run", str(REAL / "workstreams/02_parallel_execution.json"), "--tools", "tools.json", cwd=tmp_path,
        env={"STEPWAVE_STATE_DIR": str(tmp_path / "state")},
    )  # fmt: skip
    assert ended.code == 0, ended.err

    def shape(output: str) -> list[str]:
        output = re.sub(r"~?\b[\d.]+(m|ms|s|min)\b( \d\ds)?", "<t>", re.sub(r"\d+%", "<n>%", output))
        return [line.strip() for line in re.sub(r"(step-0\d)[a-z-]+", r"\1", output).splitlines() if line.strip()]

    wanted, found = shape(expected), shape(ended.err)
    assert set(wanted) <= set(found)
    in_order = [line for line in wanted if "Complete" not in line]
    assert [line for line in found if line in in_order] == in_order
