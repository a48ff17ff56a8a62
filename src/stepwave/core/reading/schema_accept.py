"""A JSON Schema made into functions that say yes or no, fast enough to run on every file.

Most files are valid, and to learn so from jsonschema costs its import and about a second per thousand steps.
What is refused here is looked at again by `schema.check_schema`, which explains; so the rules are:

Rule 1: nothing is accepted that jsonschema's Draft7Validator refuses, nor is anything else refused.
Rule 2: a keyword that is not known here is an error when the schema is compiled, never ignored.

A compiled schema is a table from the type of a value to the checks that bind values of that type: JSON
Schema's rule that `items` says nothing about a string comes out of the table by itself.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Accept = Callable[[object], bool]
"""Whether a value is valid. It is made of None, bool, int, float, str, list and dict, nothing derived."""

Check = Callable[[Any], bool]

_Matching = tuple[Callable[[str], object], Accept]

_all_types: tuple[type, ...] = (type(None), bool, int, float, str, list, dict)
_types_by_name: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int, float),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}
_annotations = frozenset(("$schema", "$id", "$comment", "title", "description", "default", "examples", "definitions"))


def compile_acceptor(schema: Mapping[str, Any]) -> Accept:
    """The acceptor of a schema. Raises ValueError for a keyword, or a form of one, that is not known."""
    return compile_acceptors(schema)[0]


def compile_acceptors(schema: Mapping[str, Any]) -> tuple[Accept, dict[str, Accept]]:
    """The acceptor of the schema, and those of its definitions by `$ref` (`#/definitions/step`)."""
    compiler = _Compiler(schema)
    for name in schema.get("definitions", {}):
        compiler.reference(f"#/definitions/{name}")
    return compiler.compile(schema), compiler.done


def _anything(_: object) -> bool:
    return True


def _nothing(_: object) -> bool:
    return False


class _Compiler:
    """Compiles each definition once. One that refers to itself is looked up when it is used."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._begun: set[str] = set()
        self.done: dict[str, Accept] = {}

    def reference(self, ref: str) -> Accept:
        if ref in self.done:
            return self.done[ref]
        if ref in self._begun:
            return lambda value: self.done[ref](value)  # noqa: PLW0108 - not there yet
        self._begun.add(ref)
        self.done[ref] = self.compile(_definition(self._root, ref))
        return self.done[ref]

    def compile(self, schema: Any) -> Accept:
        if isinstance(schema, bool):
            return _anything if schema else _nothing
        if "$ref" in schema:  # draft 7: everything beside it is ignored
            return self.reference(schema["$ref"])
        rules = {name: rule for name, rule in schema.items() if name not in _annotations}
        if list(rules) == ["allOf"] and len(rules["allOf"]) == 1:
            return self.compile(rules["allOf"][0])
        return _by_type(self._table(rules))

    def _table(self, rules: Mapping[str, Any]) -> dict[type, list[Check]]:
        table = _typed(rules.get("type"))
        for name, rule in rules.items():
            if name in _makers:
                bound, make = _makers[name]
                _bind(table, bound, make(self, rule, rules))
            elif name not in _companions:
                raise ValueError(f"schema keyword not supported: {name}")
        if not _about_entries.isdisjoint(rules):
            _bind(table, (dict,), _entries(self, rules))
        return table

    def compile_all(self, schemas: Iterable[Any]) -> tuple[Accept, ...]:
        return tuple(self.compile(schema) for schema in schemas)

    def compile_values(self, schemas: Mapping[str, Any]) -> dict[str, Accept]:
        return {name: self.compile(schema) for name, schema in schemas.items()}


def _definition(root: Mapping[str, Any], ref: str) -> Any:
    start, _, name = ref.rpartition("/")
    if start != "#/definitions" or name not in root.get("definitions", {}):
        raise ValueError(f"schema reference not supported: {ref}")
    return root["definitions"][name]


def _typed(names: str | list[str] | None) -> dict[type, list[Check]]:
    """An empty table of the types that `type` allows. 1.0 is an integer to JSON Schema, 1.5 is not."""
    if names is None:
        return {kind: [] for kind in _all_types}
    wanted = [names] if isinstance(names, str) else names
    if unknown := set(wanted) - _types_by_name.keys():
        raise ValueError(f"schema type not known: {sorted(unknown)}")
    table: dict[type, list[Check]] = {kind: [] for name in wanted for kind in _types_by_name[name]}
    if "integer" in wanted and "number" not in wanted:
        table[float].append(float.is_integer)
    return table


def _bind(table: dict[type, list[Check]], kinds: tuple[type, ...], check: Check) -> None:
    for kind in kinds:
        if kind in table:
            table[kind].append(check)


def _by_type(table: dict[type, list[Check]]) -> Accept:
    checks_of = {kind: tuple(checks) for kind, checks in table.items()}

    def accept(value: object) -> bool:
        checks = checks_of.get(type(value))
        if checks is None:
            return False
        for check in checks:  # noqa: SIM110 - all(…) makes a generator, at twice the price
            if not check(value):
                return False
        return True

    return accept


# --- objects -------------------------------------------------------------------------------------


def _entries(compiler: _Compiler, rules: Mapping[str, Any]) -> Check:
    known = compiler.compile_values(rules.get("properties", {})).get
    patterns: list[_Matching] = [
        (re.compile(pattern).search, compiler.compile(schema))
        for pattern, schema in rules.get("patternProperties", {}).items()
    ]
    others = compiler.compile(rules.get("additionalProperties", True))
    return _named(known) if not patterns and others is _anything else _named_or_matching(known, patterns, others)


def _named(known: Callable[[str], Accept | None]) -> Check:
    def check(value: dict[str, object]) -> bool:
        for key, item in value.items():
            accept = known(key)
            if accept is not None and not accept(item):
                return False
        return True

    return check


def _named_or_matching(
    known: Callable[[str], Accept | None],
    patterns: list[_Matching],
    others: Accept,
) -> Check:
    def accept_entry(key: str, item: object) -> bool:
        bound = [accept for search, accept in patterns if search(key)]
        named = known(key)
        if named is not None:
            bound.append(named)
        return all(accept(item) for accept in bound) if bound else others(item)

    return lambda value: all(accept_entry(key, item) for key, item in value.items())


def _required(_: _Compiler, names: list[str], rules: Mapping[str, Any]) -> Check:
    if len(names) == 1:
        name = names[0]
        return lambda value: name in value
    return lambda value: all(name in value for name in names)


# --- lists, strings, numbers, constants ------------------------------------------------------------


def _items(compiler: _Compiler, rule: Any, _: Mapping[str, Any]) -> Check:
    if isinstance(rule, list):
        raise ValueError("schema keyword not supported: items with a list")
    accept = compiler.compile(rule)

    def check(value: list[object]) -> bool:
        for item in value:  # noqa: SIM110 - as in _by_type
            if not accept(item):
                return False
        return True

    return check


def _at_least(_: _Compiler, least: int, rules: Mapping[str, Any]) -> Check:
    return lambda value: len(value) >= least


def _at_most(_: _Compiler, most: int, rules: Mapping[str, Any]) -> Check:
    return lambda value: len(value) <= most


def _pattern(_: _Compiler, pattern: str, rules: Mapping[str, Any]) -> Check:
    # Compiled when first used: all the patterns would be a third of the start, and a file needs few of them.
    compiled: list[re.Pattern[str]] = []

    def check(value: str) -> bool:
        if not compiled:
            compiled.append(re.compile(pattern))
        return compiled[0].search(value) is not None

    return check


# Written as jsonschema does: not a number (NaN) is neither below nor above any bound, and so within all.
def _minimum(_: _Compiler, least: float, rules: Mapping[str, Any]) -> Check:
    return lambda value: not value < least


def _exclusive_minimum(_: _Compiler, below: float, rules: Mapping[str, Any]) -> Check:
    return lambda value: not value <= below


def _maximum(_: _Compiler, most: float, rules: Mapping[str, Any]) -> Check:
    return lambda value: not value > most


def _enum(_: _Compiler, allowed: list[Any], rules: Mapping[str, Any]) -> Check:
    if any(isinstance(each, list | dict) for each in allowed):
        raise ValueError("schema keyword not supported: enum with lists or objects")
    # True equals 1 in Python and not in JSON; 1.0 equals 1 in both.
    pool = {(type(each) is bool, each) for each in allowed}
    return lambda value: not isinstance(value, list | dict) and (type(value) is bool, value) in pool


def _const(compiler: _Compiler, value: Any, rules: Mapping[str, Any]) -> Check:
    return _enum(compiler, [value], rules)


# --- combinations ------------------------------------------------------------------------------


def _all_of(compiler: _Compiler, schemas: list[Any], rules: Mapping[str, Any]) -> Check:
    accepts = compiler.compile_all(schemas)
    return accepts[0] if len(accepts) == 1 else lambda value: all(accept(value) for accept in accepts)


def _any_of(compiler: _Compiler, schemas: list[Any], rules: Mapping[str, Any]) -> Check:
    if names := _alternative_keys(schemas):
        return lambda value: type(value) is not dict or not names.isdisjoint(value)
    accepts = compiler.compile_all(schemas)
    return lambda value: any(accept(value) for accept in accepts)


def _alternative_keys(schemas: list[Any]) -> frozenset[str]:
    """The keys of `anyOf: [{required: [a]}, {required: [b]}]`; empty when it is anything else."""
    alike = all(isinstance(schema, dict) and list(schema) == ["required"] for schema in schemas)
    names = [schema["required"] for schema in schemas] if alike else []
    return frozenset(name for (name,) in names) if all(len(name) == 1 for name in names) else frozenset()


def _not(compiler: _Compiler, schema: Any, rules: Mapping[str, Any]) -> Check:
    accept = compiler.compile(schema)
    return lambda value: not accept(value)


def _if(compiler: _Compiler, schema: Any, rules: Mapping[str, Any]) -> Check:
    accept = compiler.compile(schema)
    then, otherwise = compiler.compile(rules.get("then", True)), compiler.compile(rules.get("else", True))
    return lambda value: then(value) if accept(value) else otherwise(value)


_Maker = Callable[[_Compiler, Any, Mapping[str, Any]], Check]
_numbers = (int, float)

_makers: dict[str, tuple[tuple[type, ...], _Maker]] = {
    "required": ((dict,), _required),
    "minProperties": ((dict,), _at_least),
    "items": ((list,), _items),
    "minItems": ((list,), _at_least),
    "minLength": ((str,), _at_least),
    "maxLength": ((str,), _at_most),
    "pattern": ((str,), _pattern),
    "minimum": (_numbers, _minimum),
    "exclusiveMinimum": (_numbers, _exclusive_minimum),
    "maximum": (_numbers, _maximum),
    "enum": (_all_types, _enum),
    "const": (_all_types, _const),
    "allOf": (_all_types, _all_of),
    "anyOf": (_all_types, _any_of),
    "not": (_all_types, _not),
    "if": (_all_types, _if),
}
"""Keyword: the types it binds, and what makes its check."""

_about_entries = frozenset(("properties", "patternProperties", "additionalProperties"))
"""Keywords that make one check together, since they look at each other's keys."""

_companions = _about_entries | {"type", "then", "else"}
"""Keywords that are read together with another one."""
