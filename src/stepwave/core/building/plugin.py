"""A step of a type that a plugin provides: its `config` is the plugin's, and so is what comes of it.

The protocol stands in docs/plugins.md; `edge/plugins.py` finds plugins and keeps their faults to themselves.
"""

from stepwave.core.building.command import Work
from stepwave.core.building.fields import Found, Given, Reading, one, quoted
from stepwave.core.building.fields_many import nested, template
from stepwave.core.building.means import Command, Kind, Kinds, Refused, Wrong
from stepwave.core.model import Function, Stdin, Value
from stepwave.core.reading.document import Mapping, Node, Sequence, Span, plain
from stepwave.core.text import one_line


def plugin_work(r: Reading, step: str, kinds: Kinds, found: Found) -> Work:
    """A command of the plugin's, or a call of its `run`, with `config` as it stands: references are filled in later."""
    given = found["type"]
    name = str(plain(given.node))
    kind = kinds.get(name)
    if isinstance(kind, Refused):
        return _refused(r, name, given.node.span, kind)
    config: dict[str, Value] = one(r, found, "config", lambda r, g: nested(r, g, step)) or {}
    if _is_wrong(r, name, kind, config, found):
        return Work()
    if kind.target is not None:
        function = Function(kind.target, r.document.place(given.node.span), {"config": config})
        return Work(argv=(*r.means.caller, kind.target), function=function)
    command = kind.command(config)
    if isinstance(command, Refused):
        return _refused(r, name, given.node.span, command)
    return _started(r, step, command, given.node)


def _refused(r: Reading, name: str, span: Span, refused: Refused) -> Work:
    message = f"the plugin for steps of type {quoted(name)} {refused.reason}"
    r.error("bad-plugin", message, span, "that is a fault of the plugin, not of this file")
    return Work()


def _is_wrong(r: Reading, name: str, kind: Kind, config: dict[str, Value], found: Found) -> bool:
    """Whether the plugin's schema has something against the `config`; tells what and where."""
    given = found.get("config", found["type"])
    wrongs = [] if "config" in found and not isinstance(given.node, Mapping) else list(kind.faults(config))
    for wrong in wrongs:
        span = _spot(given, wrong)
        where = ".".join(map(str, ("config", *wrong.path)))
        message = f"`{one_line(where, 80)}` of a step of type {quoted(name)}: {wrong.reason}"
        r.error("bad-config", message, span)
    return bool(wrongs)


def _spot(given: Given, wrong: Wrong) -> Span:
    node, span = given.node, given.span
    for part in wrong.path:
        child: Node | None = None
        if isinstance(node, Mapping) and isinstance(part, str):
            child = node.get(part)
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            child = node.items[part]
        if child is None:
            break
        node, span = child, child.span
    return span


def _started(r: Reading, step: str, command: Command, node: Node) -> Work:
    """The texts of the command were made of those of `config`, and are checked at the type of the step."""
    texts = [*command.argv, command.stdin, *command.env.values()]
    for text in texts:
        if text:
            template(r, step, text, node)
    return Work(
        argv=tuple(command.argv),
        env=command.env,
        stdin=None if command.stdin is None else Stdin(text=command.stdin),
        timeout_s=command.timeout_s,
    )
