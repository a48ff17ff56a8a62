"""What makes a step the step that it is: its named parts as they stand in the file, so that two runs can be compared
and the difference told in words.

Rule 1  References are not filled in: a part is the text of the file, and each variable that it reads is a part of its
        own. So nothing of the caller's environment is in it; variables that the file takes from there are sealed.
Rule 2  What changes only when and how often a step runs (timeouts, retries, pools, priority), or what it is called, is
        no part of it.
Rule 3  A part that a person cannot read at a glance is a digest. It says that there is a difference, not which.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from zlib import crc32

from stepwave.core.building.commands import SH_STRICT
from stepwave.core.digest import hex_digest
from stepwave.core.language.scope import VARIABLE_ROOTS, has_reference
from stepwave.core.language.step_texts import texts, texts_of
from stepwave.core.model import Agent, Dialect, Private, Step, StepType, Workflow
from stepwave.core.running.exports import env_name

MAX_SHOWN = 200
"""Characters of a part that is kept as it is; a longer one is a digest."""
MAX_TOLD = 60
"""Characters of a value that is shown in a difference."""

Definition = Mapping[str, str]
"""The parts by name: `command`, `env CC`, `variable version`."""
Seal = Callable[[str], str]
"""Makes a digest of what must not be readable, with a key that nobody else has: `sealed:` and hexadecimal digits."""

_digest = "blake2:"
_sealed = "sealed:"
_none = "(none)"


def digest_of(text: str) -> str:
    """A BLAKE2b digest of 16 bytes (RFC 7693), in hexadecimal digits; `blake2:` before it."""
    return _digest + hex_digest(text, 16)


def unkeyed(text: str) -> str:
    """A seal for those who have no key."""
    return _sealed + digest_of(text).removeprefix(_digest)


def definition(step: Step, workflow: Workflow, seal: Seal = unkeyed) -> Definition:
    """The parts of one step. Of many steps take `definer`."""
    return definer(workflow, seal)(step)


def definitions(workflow: Workflow, seal: Seal = unkeyed) -> dict[str, Definition]:
    """Those of all steps, by id."""
    define = definer(workflow, seal)
    return {step.id: define(step) for step in workflow.steps}


def definer(workflow: Workflow, seal: Seal = unkeyed) -> Callable[[Step], Definition]:
    """What tells the parts of a step of this workflow; what they share is worked out once."""
    variables = _Variables(workflow, seal)
    dollar = workflow.dialect is not Dialect.CAMEL
    shared = _env_parts(workflow.env, seal)
    shared |= variables.parts(texts(workflow.env), dollar, ())

    def define(step: Step) -> Definition:
        parts = dict(shared)
        if step.env:
            _lay_over(parts, step.env, seal)
        _work(parts, step)
        _surroundings(parts, step)
        if variables.any:
            parts |= variables.parts(_all_texts(step), step.dollar, step.bindings)
            if step.condition is not None:
                parts |= variables.read_by(step.condition, step.bindings)
        return {name: text if len(text) <= MAX_SHOWN else digest_of(text) for name, text in parts.items()}

    return define


_not_work = frozenset(
    ("needs", "condition", "allowed exit codes", "success pattern", "failure pattern", "outputs", "secrets")
)


def print_of(definition: Definition) -> str:
    """A short digest of the parts that decide how long a step takes: its command, and what it is done to. Steps with
    equal ones are expected to take equally long; if two meet by accident (a CRC-32 and a length) a guess is wrong."""
    text = "\0".join([f"{name}={part}" for name, part in definition.items() if name not in _not_work])
    data = text.encode("utf-8", "surrogatepass")
    return f"{crc32(data):08x}-{len(data):x}"


# --- the parts -----------------------------------------------------------------------------------------------------


def _work(parts: dict[str, str], step: Step) -> None:
    """What is executed."""
    if step.script is not None:
        parts["run"] = step.script
        if step.argv != SH_STRICT:
            parts["shell"] = _line(step.argv)
    elif step.function is not None:
        parts["function"] = step.function.target
        parts["params"] = _json(step.function.params)
    elif step.argv:
        parts["command"] = _line(step.argv)
    if step.agent is not None:
        _asked(parts, step.agent)
    if step.branch is not None:
        parts["expression"] = _json(step.branch)
    if step.stdin is not None:
        text, path = step.stdin
        parts["stdin" if path is None else "stdin file"] = (text if path is None else path) or ""
    if step.tests:
        parts["tests"] = "\n".join(test.script for test in step.tests)


def _asked(parts: dict[str, str], agent: Agent) -> None:
    parts["agent"] = agent.name
    for name, value in (("prompt", agent.prompt), ("tasks", [*agent.tasks]), ("parameters", agent.parameters)):
        if value:
            parts[name] = _text(value)


def _surroundings(parts: dict[str, str], step: Step) -> None:
    """Where it runs, what of, and what counts as its success."""
    if step.type is not StepType.SCRIPT:
        parts["type"] = step.type.value
    if step.cwd != "." or step.base:
        parts["cwd"] = f"{step.base}/{step.cwd}" if step.base else step.cwd
    if step.needs:
        parts["needs"] = ", ".join(sorted(step.needs))
    if step.allowed_exit_codes != (0,):
        parts["allowed exit codes"] = ", ".join(map(str, sorted(step.allowed_exit_codes)))
    if step.secrets:
        parts["secrets"] = ", ".join(step.secrets)
    if step.inputs is not None:
        parts["inputs"] = _line(step.inputs)
    if step.outputs:
        parts["outputs"] = _line(step.outputs)
    said = {
        "condition": step.condition,
        "success pattern": step.success_pattern,
        "failure pattern": step.failure_pattern,
        "for each": step.for_each,
    }
    parts |= {name: text for name, text in said.items() if text is not None}
    if step.bindings:
        _bound(parts, step)


def _bound(parts: dict[str, str], step: Step) -> None:
    """What is one of a list is the same wherever it stands there, unless it asks where."""
    for name, value in step.bindings.items():
        if name == "matrix" and isinstance(value, dict):
            parts |= {f"matrix {axis}": _text(one) for axis, one in value.items()}
        elif name != "index" or any("index" in text for text in (*_all_texts(step), step.condition or "")):
            parts[name] = _text(value)


def _env_parts(env: Mapping[str, str | None], seal: Seal) -> dict[str, str]:
    parts: dict[str, str] = {}
    _lay_over(parts, env, seal)
    return parts


def _lay_over(parts: dict[str, str], env: Mapping[str, str | None], seal: Seal) -> None:
    """A name that is taken away is a part under another name, for every text is a value that it might have."""
    for name, text in env.items():
        if text is None:
            parts.pop(f"env {name}", None)
            parts[f"no env {name}"] = ""
        else:
            parts.pop(f"no env {name}", None)
            parts[f"env {name}"] = seal(text) if isinstance(text, Private) else text


_plain_word = re.compile(r"[\w@%+=:,./{}*?\[\]-]+\Z").match


def _line(words: Iterable[str]) -> str:
    """The words so that they can be told apart; most of them are readable as they are."""
    return " ".join(word if _plain_word(word) else json.dumps(word, ensure_ascii=False) for word in words)


def _text(value: object) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


# --- the variables -------------------------------------------------------------------------------------------------


def _all_texts(step: Step) -> Iterable[str]:
    yield from texts_of(step)
    if step.branch is not None:
        yield from _rule_texts(step)


def _rule_texts(step: Step) -> Iterable[str]:
    from stepwave.core.language.rules import parts
    from stepwave.core.language.step_texts import texts_in

    assert step.branch is not None
    for rule in parts(step.branch.rule):
        if rule.operator == "expression":
            yield f"{{{{{rule.left}}}}}"
        else:
            yield from texts_in([rule.left, rule.right])


class _Variables:
    """Which variables a text reads, and their values. The steps of a matrix have the same texts: each is read once."""

    def __init__(self, workflow: Workflow, seal: Seal) -> None:
        self.any = bool(workflow.variables)
        self._workflow = workflow
        self._seal = seal
        self._read: dict[tuple[str, bool], frozenset[str]] = {}
        self._shown: dict[str, str] = {}
        self._exported: dict[str, str] | None = None

    def parts(self, texts: Iterable[str], dollar: bool, bound: Iterable[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for text in texts:
            if has_reference(text, dollar) or "WORKFLOW_VAR_" in text:
                for name in self._names(text, dollar):
                    if name not in bound:
                        found[f"variable {name}"] = self._value(name)
        return found

    def read_by(self, expression: str, bound: Iterable[str]) -> dict[str, str]:
        from stepwave.core.language.expressions import compile_expression

        names = self._of(compile_expression(expression).references)
        return {f"variable {name}": self._value(name) for name in names if name not in bound}

    def _names(self, text: str, dollar: bool) -> frozenset[str]:
        key = text, dollar
        if key not in self._read:
            names = self._in_environment(text) if "WORKFLOW_VAR_" in text else frozenset[str]()
            if has_reference(text, dollar):
                from stepwave.core.language.interpolate import text_references

                names |= self._of(text_references(text, dollar, self._workflow.variables))
            self._read[key] = names
        return self._read[key]

    def _of(self, paths: Iterable[tuple[str, ...]]) -> frozenset[str]:
        """A path that ends before the name, because that is worked out (`variables[x]`), may mean any of them."""
        known, found = self._workflow.variables, set[str]()
        for path in paths:
            if path[0] not in VARIABLE_ROOTS:
                found |= {path[0]} & known.keys()
            elif len(path) > 1:
                found |= {path[1]} & known.keys()
            else:
                found |= known.keys()
        return frozenset(found)

    def _in_environment(self, text: str) -> frozenset[str]:
        """`$WORKFLOW_VAR_DB_HOST` reads `db`, and `db_host`: every command has all variables in its environment."""
        if self._exported is None:
            self._exported = {f"WORKFLOW_VAR_{env_name(name)}": name for name in self._workflow.variables}
        written = set(re.findall(r"WORKFLOW_VAR_\w+", text))
        return frozenset(
            name
            for exported, name in self._exported.items()
            if any(word == exported or word.startswith(f"{exported}_") for word in written)
        )

    def _value(self, name: str) -> str:
        if name not in self._shown:
            text = _text(self._workflow.variables[name])
            self._shown[name] = self._seal(text) if name in self._workflow.private else text
        return self._shown[name]


# --- differences ---------------------------------------------------------------------------------------------------


def changed(before: Definition, now: Definition) -> tuple[str, ...]:
    """The differences in words: `env CC: gcc -> clang`, `command changed`, `variable version: 1 -> 2`."""
    names = [*now, *(name for name in before if name not in now)]
    return tuple(
        _difference(name, before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)
    )


_named = ("env ", "variable ", "matrix ")
_values = frozenset(("cwd", "item", "index", "agent", "function", "shell", "type", "needs", "allowed exit codes"))


def _difference(name: str, before: str | None, now: str | None) -> str:
    if name.startswith("no env "):
        return f"{name.removeprefix('no ')} is {'no longer ' if now is None else ''}taken away"
    if name.startswith(_named) or name in _values:
        old, new = _shown(before), _shown(now)
        return f"{name} changed" if old is None or new is None else f"{name}: {old} -> {new}"
    return f"{name} changed" if None not in (before, now) else f"{name} is {'new' if before is None else 'gone'}"


def _shown(value: str | None) -> str | None:
    """A value as it is told; None for one that is too long to be, or sealed."""
    if value is None:
        return _none
    if value.startswith((_digest, _sealed)) or len(value) > MAX_TOLD or not value.isprintable():
        return None
    return value or '""'
