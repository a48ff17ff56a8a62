"""A document checked against a published schema: every fault as a diagnostic with its place, in our own words.

A valid file never gets past `schema_accept` and never imports jsonschema. For the others jsonschema finds the
faults and `schema_tell` tells them: its own messages repeat the faulty value, which may be a megabyte, and speak
of patterns where a person wants to know what to write. Nothing is ever fetched: references are local.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from stepwave.core.diagnostics import Diagnostic, error, in_order
from stepwave.core.reading.document import Document, plain
from stepwave.core.reading.pointer import Part, locate
from stepwave.core.reading.schema_accept import Accept, compile_acceptors

if TYPE_CHECKING:
    from jsonschema import ValidationError

    from stepwave.core.reading.schema_tell import Fault

MAX_SHOWN = 50
"""So many faults are told; one more diagnostic says how many there were besides."""

MAX_FOUND = 1000
"""After so many faults nobody looks for more."""

Path = tuple[Part, ...]


def check_schema(document: Document, schema: dict[str, Any], value: object | None = None) -> list[Diagnostic]:
    """Every fault of the document against the schema, sorted by place; at most `MAX_SHOWN` and one more.

    `value` is `plain(document.root)` where the caller has it already. Raises ValueError when the schema
    uses a keyword that `schema_accept` does not know.
    """
    whole, parts = _compiled(schema)
    try:
        instance = plain(document.root) if value is None else value
        if whole(instance):
            return []
        return _tell(document, _find(document, schema, instance, parts))
    except RecursionError:
        return [error("too-deep", "the file is nested too deeply", document.place(document.root.span))]


_schemas: dict[int, tuple[Mapping[str, Any], tuple[Accept, dict[str, Accept]]]] = {}


def _compiled(schema: Mapping[str, Any]) -> tuple[Accept, dict[str, Accept]]:
    """Compiled once per schema object. The entry holds the schema too, so that its id is not given to another."""
    if id(schema) not in _schemas:
        if len(_schemas) >= 8:
            _schemas.clear()
        _schemas[id(schema)] = schema, compile_acceptors(schema)
    return _schemas[id(schema)][1]


# --- finding -------------------------------------------------------------------------------------


def _find(
    document: Document, schema: dict[str, Any], instance: object, parts: Mapping[str, Accept]
) -> Iterator["Fault"]:
    from stepwave.core.reading.schema_tell import Fault

    names = {id(definition): name for name, definition in schema.get("definitions", {}).items()}
    for found in islice(_errors(schema, instance, parts), MAX_FOUND):
        path = tuple(found.absolute_path)
        node, key = locate(document.root, path)
        yield Fault(
            keyword=str(found.validator),
            rule=found.validator_value,
            definition=names.get(id(found.schema), ""),
            schema=found.schema,
            path=path,
            value=found.instance,
            node=node,
            span=key if found.validator in _groups else node.span,
        )


def _errors(schema: dict[str, Any], instance: Any, parts: Mapping[str, Accept]) -> Iterator["ValidationError"]:
    """jsonschema's own findings, but for one thing: what our acceptor takes is not walked through again.

    One wrong step among ten thousand would cost ten seconds otherwise.
    """
    import jsonschema  # 40 ms, for files that are wrong
    import jsonschema.validators
    from referencing import Registry

    follow = jsonschema.Draft7Validator.VALIDATORS["$ref"]

    def reference(validator: Any, ref: str, value: object, subschema: Any) -> Iterator["ValidationError"]:
        if not parts[ref](value):
            yield from follow(validator, ref, value, subschema)

    make: Any = jsonschema.validators.extend
    validator = make(jsonschema.Draft7Validator, {"$ref": reference})(schema, registry=Registry())
    yield from validator.iter_errors(instance)


# --- telling --------------------------------------------------------------------------------------


def _tell(document: Document, faults: Iterator["Fault"]) -> list[Diagnostic]:
    """One diagnostic for one fault, though several keywords may have refused the same value."""
    from stepwave.core.reading.schema_tell import diagnose

    told: dict[tuple[Path, str], list[Diagnostic]] = {}
    count = 0
    for count, fault in enumerate(faults, 1):  # noqa: B007 - wanted afterwards
        group = _groups.get(fault.keyword, "value")
        if (fault.path, group) not in told:
            told[fault.path, group] = list(diagnose(document, fault))
    found = in_order(diagnostic for group in told.values() for diagnostic in group)
    return _bounded(found, " or more" if count == MAX_FOUND else "")


_groups = {"required": "keys", "anyOf": "keys", "additionalProperties": "names"}
"""What a keyword is about, where it is not the value as such: these faults stand beside each other."""


def _bounded(found: list[Diagnostic], or_more: str) -> list[Diagnostic]:
    if len(found) <= MAX_SHOWN:
        return found
    message = f"{len(found) - MAX_SHOWN}{or_more} further errors are not shown"
    return [*found[:MAX_SHOWN], error("more-errors", message, found[MAX_SHOWN].place, "mend these first")]
