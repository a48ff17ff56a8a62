"""Diagnostics as SARIF 2.1.0, the format in which code-scanning services take findings."""

from collections.abc import Mapping, Sequence

from stepwave.core.diagnostics import Diagnostic, Place, Severity, in_order

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_level = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}

Object = Mapping[str, object]


def as_sarif(diagnostics: Sequence[Diagnostic], version: str) -> str:
    """One SARIF 2.1.0 log in ASCII, without a newline at the end; `version` is stepwave's own."""
    import json

    found = in_order(diagnostics)
    codes = list(dict.fromkeys(d.code for d in found))
    driver = {
        "name": "stepwave",
        "version": version,
        "informationUri": "https://stepwave.dev",
        "rules": [_rule(code, [d for d in found if d.code == code]) for code in codes],
    }
    index = {code: number for number, code in enumerate(codes)}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(d, index[d.code]) for d in found],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str, found: Sequence[Diagnostic]) -> Object:
    summary = code.replace("-", " ").capitalize()
    # A help line that differs from finding to finding ("did you mean …?") says nothing about the rule.
    helps = {d.help for d in found}
    help = helps.pop() if len(helps) == 1 else None
    return {"id": code, "shortDescription": {"text": summary}, "help": {"text": _unlinked(help or summary)}}


def _result(diagnostic: Diagnostic, rule: int) -> Object:
    text = diagnostic.message if not diagnostic.help else f"{diagnostic.message}\nhelp: {diagnostic.help}"
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": _level[diagnostic.severity],
        "message": {"text": _unlinked(text)},
        "locations": [{"physicalLocation": _location(diagnostic.place)}],
    }


def _location(place: Place) -> Object:
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }
    return {"artifactLocation": {"uri": _uri(place.path)}, "region": region}


def _unlinked(text: str) -> str:
    # `[text](target)` in a SARIF message is a link; a name in a file must not become one.
    return text.replace("](", "] (")


def _uri(path: str) -> str:
    """A relative reference, or a file: URI for an absolute path, percent-encoded byte by byte."""
    from urllib.parse import quote

    try:
        raw = path.encode("utf-8", "surrogateescape")  # how the system's own odd bytes come back
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "replace")
    quoted = quote(raw, safe="/")
    return f"file://{quoted}" if quoted.startswith("/") else quoted
