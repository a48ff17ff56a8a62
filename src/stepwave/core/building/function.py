"""A step that calls a Python function, in a process of its own: `function: module.path:name`, with `params`.

What the process does stands in `stepwave/call.py`. Whether there is such a function is asked by `edge/modules.py`,
which looks into files.
"""

import re

from stepwave.core.building.command import Work
from stepwave.core.building.fields import Found, Given, Reading, every, is_missed, one, quoted, text
from stepwave.core.building.fields_many import nested
from stepwave.core.model import Function
from stepwave.core.model import nothing as empty
from stepwave.core.reading.document import Span
from stepwave.core.reading.env_file import EnvFile
from stepwave.core.text import one_line

_target = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*+:[^\W\d]\w*(?:\.[^\W\d]\w*)*+\Z")
_takes_names = "arguments have names: write them under `params:`"


def function_work(r: Reading, step: str, span: Span, found: Found) -> Work:
    """The words of `Means.caller`, the function, and the folder in which its module is looked for first."""
    target, place = _called(r, step, span, found)
    params = one(r, found, "params", lambda r, given: nested(r, given, step)) or empty
    for key in ("command", "run", "args", "shell", "stdin"):
        for given in every(found, key):
            help = _takes_names if key in ("args", "stdin") else None
            r.error("conflicting-keys", f"`{given.key}` cannot stand beside a function", given.span, help)
    if target is None:
        return Work()
    _look_up(r, target, place)
    function = Function(target, r.document.place(place), params)
    return Work(argv=(*r.means.caller, target, literal(home(r), r.dollar)), function=function)


def _called(r: Reading, step: str, span: Span, found: Found) -> tuple[str | None, Span]:
    """`module.path:func` and where it stands; `module` and `action` are the two halves of it."""
    given = found.get("function")
    module, action = found.get("module"), found.get("action")
    if given:
        for other in (*every(found, "module"), *every(found, "action")):
            r.error("conflicting-keys", f"`{other.key}` cannot stand beside `{given.key}`", other.span)
        return _checked(r, given, one(r, found, "function", text)), given.node.span
    if module and action:
        halves = one(r, found, "module", text), one(r, found, "action", text)
        return _checked(r, module, None if None in halves else ":".join(map(str, halves))), module.node.span
    missing = "action" if module else "module" if action else "function"
    if is_missed(found, missing):
        message = f"step {quoted(step)} calls a function, but has no `{missing}`"
        r.error("missing-key", message, span, "write `function: module.path:name`")
    return None, span


def _checked(r: Reading, given: Given, target: str | None) -> str | None:
    """The target, if it is written as one."""
    if target is None or (len(target) <= 500 and _target.match(target) and ".py:" not in target):
        return target
    message = f"`{given.key}` is {quoted(target)}, which is not of the form `module.path:name`"
    near = re.sub(r"[./]+(?=\w+\Z)", ":", target.removesuffix("()").replace(".py:", ":")).replace("/", ".")
    help = f"write `{one_line(near, 80)}`" if near != target and _target.match(near) else None
    r.error(
        "bad-function", message, given.node.span, help or "for example `tasks:build`, for `def build()` in tasks.py"
    )
    return None


def _look_up(r: Reading, target: str, place: Span) -> None:
    """Is there such a function? Nobody knows where the file changes the place where Python looks for modules."""
    elsewhere = "PYTHONPATH" in r.document.text or any(
        isinstance(file, EnvFile) and "PYTHONPATH" in file.values for file in r.files.values()
    )
    if r.means.lack is None or elsewhere:
        return
    lack = r.means.lack(target, home(r))
    if lack is not None:
        r.error("unknown-function", lack.message, place, lack.help)


def home(r: Reading) -> str:
    """The folder of the file that the step stands in."""
    if r.base.startswith("/"):
        return r.base
    return f"{r.folder}/{r.base}" if r.base else r.folder


def literal(text: str, dollar: bool) -> str:
    """The text as a template that says just this."""
    text = text.replace("{{", "\\{{")
    return text.replace("${", "$${") if dollar else text
