"""What a step's process is told by its environment, and where its log lies: pure names and texts."""

import json
import re
from collections.abc import Mapping
from typing import cast

from stepwave.core.model import Value

ENV_VALUE_LIMIT = 32 * 1024  # characters; Linux refuses a single string of 128 KiB, and all of them beyond 2 MiB
_truncated = "… (truncated)"
_no_letter = re.compile("[^A-Za-z0-9]")
_no_file_name = re.compile("[^A-Za-z0-9_.-]")
_exported = ("stdout", "stderr", "exitCode", "executionTime", "result")


def parsed(stdout: str) -> Value:
    """The one JSON value that the text is, else the text itself: of `NaN`, `1e999`, numbers of thousands of digits."""
    head = stdout.lstrip()[:1]
    if head and head in '{["-0123456789tfn':
        from stepwave.core.written import float_as_written

        try:
            return cast("Value", json.loads(stdout, parse_float=float_as_written, parse_constant=_refuse))
        except (ValueError, RecursionError):
            return stdout
    return stdout


def _refuse(constant: str) -> Value:
    raise ValueError(constant)


def env_name(name: str) -> str:
    """`build-app.v2` as part of the name of an environment variable: `BUILD_APP_V2`."""
    return _no_letter.sub("_", name).upper()


def variables_as_env(variables: Mapping[str, Value]) -> dict[str, str | None]:
    """`{db: {host: x}}` as `WORKFLOW_VAR_DB_HOST=x`; lists as JSON; each value at most 32 KiB."""
    flat: dict[str, str | None] = {}
    todo: list[tuple[str, Value]] = [(env_name(name), value) for name, value in variables.items()]
    while todo:
        name, value = todo.pop(0)
        if isinstance(value, dict):
            todo += [(f"{name}_{env_name(key)}", inner) for key, inner in value.items()]
        elif value is not None:
            flat[f"WORKFLOW_VAR_{name}"] = shortened(_plain(value))
    return flat


def facts_as_env(id: str, facts: Mapping[str, Value]) -> dict[str, str]:
    """`WORKFLOW_OUTPUT_<STEP>_RESULT`, `_EXITCODE`, `_EXECUTIONTIME`, and `_STDOUT`, `_STDERR` where they are known."""
    begin = f"WORKFLOW_OUTPUT_{env_name(id)}_"
    return {begin + key.upper(): shortened(_plain(facts[key])) for key in _exported if facts.get(key) is not None}


def shortened(text: str) -> str:
    return text if len(text) <= ENV_VALUE_LIMIT else text[:ENV_VALUE_LIMIT] + _truncated


def log_name(index: int, id: str, attempt: int, test: int = 0) -> str:
    """`logs/00007-build.log`; of the second attempt `logs/00007-build.2.log`, of a test `logs/00007-build.test-1.log`.

    The number keeps ids apart that differ only in case; an id that is no file name is cut and cleaned.
    """
    safe = _no_file_name.sub("_", id)[:80]
    again = f".{attempt}" if attempt > 1 else ""
    part = f".test-{test}" if test else ""
    return f"logs/{index + 1:05d}-{safe}{again}{part}.log"


def _plain(value: Value) -> str:
    if isinstance(value, str):
        return value.replace("\0", "")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else json.dumps(value, ensure_ascii=False)
