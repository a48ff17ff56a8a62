"""`--var K=V` and `--vars JSON|@FILE`: what was typed, as variables."""

import json
from collections.abc import Iterable

from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error
from stepwave.core.model import Value
from stepwave.core.written import float_as_written

invalid_format = 'Invalid variables format. Use JSON format: {"key": "value"}'


def read_variables(pairs: Iterable[str], text: str | None) -> tuple[dict[str, Value], list[Diagnostic]]:
    """`text` is a JSON object; `pairs` are laid over it, their values stay text. Bad input is a diagnostic."""
    found: list[Diagnostic] = []
    variables: dict[str, Value] = {}
    if text is not None:
        try:
            value = json.loads(text, parse_float=float_as_written, parse_constant=_refuse)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            variables.update(value)
        else:
            found.append(_wrong(invalid_format, 'quote it for your shell: --vars \'{"key": "value"}\''))
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if sign and key.strip():
            variables[key.strip()] = value
        else:
            found.append(_wrong(f"`--var {pair}` is not of the form KEY=VALUE", "for example: --var env=staging"))
    return variables, found


def _refuse(constant: str) -> Value:
    raise ValueError(f"{constant} is not JSON")


def _wrong(message: str, help: str) -> Diagnostic:
    return error("bad-variable", message, Place(COMMAND_LINE), help)
