"""`stepwave run`: what it says, whole, and what the steps of a workflow find around them."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cli.invoke import Gate, clean_environment, end, flow, normal, run_folders, say, started, stepwave

# --- what is said ------------------------------------------------------------------------------------------


def test_success_in_the_words_of_the_seed(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Build it
        steps:
          - id: compile
            run: echo compiled
          - id: link
            dependsOn: [compile]
            run: echo linked
        """,
    )
    ended = stepwave("run", "flow.yaml", "-j", "2", cwd=tmp_path)
    assert ended.code == 0
    assert ended.out == ""
    assert normal(ended.err, tmp_path) == say(
        """
        X
        """
    )


def test_failure_is_told_last_with_command_output_and_log(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Fails
        env: {COLOR: "dark red"}
        steps:
          - id: prepare
            run: echo ready
          - id: work
            dependsOn: [prepare]
            command: [sh, -c, 'echo "$COLOR"; seq 25; exit 3']
          - id: after
            dependsOn: [work]
            run: echo never
        """,
    )
    ended = stepwave("run", "flow.yaml", "-j", "2", cwd=tmp_path)
    assert ended.code == 1
    assert ended.out == ""
    assert normal(ended.err, tmp_path) == say(
        """
        X
        """
    )


def test_every_other_way_to_end(tmp_path: Path) -> None:
    flow(
        tmp_path,
        """
        name: Ends
        onFailure: skip_dependents
        steps:
          - {id: mild, continueOnError: true, run: exit 9}
          - {id: after-mild, dependsOn: [mild], run: echo goes on}
          - {id: never, dependsOn: [after-mild], condition: "1 > 2", run: exit 1}
          - {id: after-never, dependsOn: [never], run: echo goes on}
          - {id: slow, dependsOn: [after-never], timeout: 100ms, run: exec sleep 60}
          - {id: after-slow, dependsOn: [slow], run: echo never}
          - {id: flaky, dependsOn: [after-never], retry: {attempts: 2, delay: 10ms}, run: 'test -e mark || { >mark; exit 1; }'}
          - {id: missing, dependsOn: [flaky], command: no-such-program, args: [x]}
          - {id: shot, dependsOn: [missing], condition: always(), run: 'kill -9 $$'}
          - {id: last, dependsOn: [slow, shot], condition: failure(), run: echo always}
        """,
    )
    ended = stepwave("run", "flow.yaml", "-j", "1", cwd=tmp_path)
    assert ended.code == 1
    assert normal(ended.err, tmp_path) == say(
        """
        X
        """
    )
