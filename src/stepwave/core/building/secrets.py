"""`secrets`: which there are, where each comes from, and which steps get it. The values are nobody's business here.

Rule 1  A name stands for one secret in the whole workflow, whoever declares it.
Rule 2  What is worked out when the file is read knows no secret, not even one from the environment of the caller.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from stepwave.core.building.fields import Found, Given, Reading, every, gather, quoted, settled, text, wrong_type
from stepwave.core.building.fields_many import Word, arguments
from stepwave.core.diagnostics import error
from stepwave.core.model import Secret, Workflow
from stepwave.core.reading import keys
from stepwave.core.reading.document import Document, Mapping, Node, Scalar, Span
from stepwave.core.reading.document import Sequence as List
from stepwave.core.reading.sources import joined
from stepwave.core.text import one_line

SH = ("/bin/sh", "-c")

_name = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_elsewhere = frozenset("metadata variables vars inputs parameters params config env".split())  # noqa: SIM905 - reads better


def secrets_of(r: Reading, found: Found, known: Sequence[str] = ()) -> tuple[str, ...]:
    """The names that a workflow or a step declares; what they stand for is kept in `r.secrets`. `known` are those that
    the step gets without saying so."""
    names = list(known)
    for given in every(found, "secrets"):
        if isinstance(given.node, Mapping):
            declared = [*_of_mapping(r, given, given.node)]
        elif isinstance(given.node, List):
            declared = [*_of_list(r, given, given.node)]
        else:
            wrong_type(r, given, "a list of names, or a mapping from names to `{env | file | command}`")
            continue
        for name, span in declared:
            if name in names:
                message = (
                    f"every step gets {quoted(name)} already" if name in known else f"{quoted(name)} is here twice"
                )
                r.warning("redundant-key", message, span, "take one away")
            names.append(name)
    return tuple(dict.fromkeys(names))


def _of_list(r: Reading, given: Given, node: List) -> Iterator[Word]:
    for item in node.items:
        name = text(r, Given(given.key, item, item.span))
        if name is not None and _is_name(r, name, item.span):
            secret = Secret(name, r.document.place(item.span), env=name)
            r.secrets.setdefault(name, (secret, False))
            yield name, item.span


def _of_mapping(r: Reading, given: Given, node: Mapping) -> Iterator[Word]:
    for name, source in node.entries.items():
        if name.startswith(("_", "x-")):
            continue
        span = node.keys[name]
        if not _is_name(r, name, span):
            continue
        secret = _secret(r, Given(f"{given.key}.{one_line(name, 40)}", source, span), name)
        if secret is not None:
            _enter(r, secret, span)
            yield name, span


def _is_name(r: Reading, name: str, span: Span) -> bool:
    if _name.match(name):
        return True
    message = f"{quoted(name)} cannot name a secret"
    r.error("bad-name", message, span, "it becomes an environment variable: letters, digits and `_`, no digit first")
    return False


def _enter(r: Reading, secret: Secret, span: Span) -> None:
    """Into the book of all secrets; a bare name in a list speaks of the one that is declared in full."""
    before, in_full = r.secrets.get(secret.name, (secret, False))
    if in_full and before._replace(place=secret.place) != secret:
        line = before.place.line
        message = (
            f"secret {quoted(secret.name)} comes from somewhere else in line {line} of {one_line(before.place.path)}"
        )
        r.error("conflicting-keys", message, span, "a name is one secret for all steps: give one of them another")
    elif not in_full:
        r.secrets[secret.name] = (secret, True)


# --- one source ------------------------------------------------------------------------------------------------------


def _secret(r: Reading, given: Given, name: str) -> Secret | None:
    if not isinstance(given.node, Mapping):
        wrong_type(r, given, "a mapping with `env`, `file` or `command`")
        return None
    found: Found = {}
    gather(r, given.node, keys.secret, found, f"{given.key}.")
    if len(found) != 1:
        if found:
            message = f"secret {quoted(name)} has {len(found)} sources"
            r.error("conflicting-keys", message, [*found.values()][1].span, "keep one of `env`, `file` and `command`")
        else:
            message = f"secret {quoted(name)} has no source"
            r.error("missing-key", message, given.span, "write `{env: NAME}`, `{file: PATH}` or `{command: …}`")
        return None
    source = next(iter(found.values()))
    place = r.document.place(given.span)
    if "env" in found:
        variable = text(r, source)
        return Secret(name, place, env=variable) if variable and _is_name(r, variable, source.node.span) else None
    if "file" in found:
        path = _path(r, source)
        return None if path is None else Secret(name, place, path=joined(r.base, path, r.folder))
    argv = _argv(r, source)
    return Secret(name, place, argv=argv, base=r.base) if argv else None


def _path(r: Reading, given: Given) -> str | None:
    """References to variables and the environment are filled in at once."""
    value = settled(r, given)
    if isinstance(value, str) and value.strip() and "\0" not in value:
        return value
    if value is not None:
        wrong_type(r, given, "the path of a file")
    return None


def _argv(r: Reading, given: Given) -> tuple[str, ...]:
    """Text is for `/bin/sh`; a list is program and arguments."""
    if isinstance(given.node, List):
        argv = arguments(r, given, "")
    else:
        script = text(r, given)
        argv = None if script is None else (*SH, script)
    if argv is None:
        return ()
    if not argv or not argv[-1 if argv[:2] == SH else 0].strip():
        r.error("too-short", f"`{given.key}` must not be empty", given.node.span)
        return ()
    if any("{{" in word and _refers(word) for word in argv):
        message = f"nothing is filled into `{given.key}`"
        r.error("known-too-late", message, given.node.span, "read it from the environment: `$NAME`")
        return ()
    return argv


def _refers(word: str) -> bool:
    from stepwave.core.language.interpolate import text_references

    return bool(text_references(word))


# --- of the whole ----------------------------------------------------------------------------------------------------


def names_in(documents: Iterable[Document]) -> frozenset[str]:
    """The variables of the caller's environment that any `secrets` of these files speaks of, as names or as sources."""
    found: set[str] = set()
    for document in documents:
        if "secrets" in document.text:
            found.update(_names_below(document.root))
    return frozenset(found)


def _names_below(root: Node) -> Iterator[str]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, List):
            waiting += node.items
        elif isinstance(node, Mapping):
            for key, item in node.entries.items():
                if key == "secrets":
                    yield from _named(item)
                elif key not in _elsewhere:
                    waiting.append(item)


def _named(node: Node) -> Iterator[str]:
    if isinstance(node, List):
        yield from (item.value for item in node.items if isinstance(item, Scalar) and isinstance(item.value, str))
    elif isinstance(node, Mapping):
        for name, source in node.entries.items():
            yield name
            variable = source.get("env") if isinstance(source, Mapping) else None
            if isinstance(variable, Scalar) and isinstance(variable.value, str):
                yield variable.value


def with_secrets(r: Reading, workflow: Workflow) -> Workflow:
    """With all that its steps get. Tells of those to which `env` gives a value, too."""
    rivals: dict[str, str] = {}
    for step in workflow.steps:
        for name in step.secrets:
            if name in workflow.env:
                rivals.setdefault(name, "`env`")
            elif name in step.env:
                rivals.setdefault(name, f"`env` of step {quoted(step.id)}")
    for name, where in rivals.items():
        message = f"{quoted(name)} is a secret, and {where} gives it another value"
        r.found.append(error("conflicting-keys", message, r.secrets[name][0].place, "take one of them away"))
    return workflow._replace(secrets=tuple(secret for secret, _ in r.secrets.values()))
