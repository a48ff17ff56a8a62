"""Events, findings and texts without secrets: the one place that everything goes through which is shown or recorded.

What a step prints is masked before it is written down (`masking.py`, in the supervisors). What is left are the texts of
stepwave itself: arguments, reasons, names.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stepwave.core.diagnostics import Diagnostic
from stepwave.core.events import Event, Launch
from stepwave.core.masking import MASK, Forms, masked
from stepwave.core.model import Secret
from stepwave.core.secret_forms import SHORTEST, forms_of

_identities = frozenset((
    "step", "workflow", "waves", "pools", "id", "after", "needs", "resources", "steps", "chosen", "test", "breaker",
    "log", "stage", "taken_from", "inputs", "outputs", "path",
))  # fmt: skip
"""Fields whose texts are names, by which things are found, steps and files; they come from the workflow file."""


def stand_ins(secrets: Iterable[Secret]) -> dict[str, str]:
    """In place of values that are not known, or not needed: as different as those are, and masked like them."""
    return {secret.name: f"<secret {secret.name}>" for secret in secrets}


_cut = "…".encode()


def _overlap(text: bytes, form: bytes) -> int:
    """How many bytes of the beginning of a form stand at the end of the text."""
    return next((n for n in range(min(len(text), len(form)), 0, -1) if text.endswith(form[:n])), 0)


class Masks:
    """`secrets` maps names to values. `forms` is what a supervisor needs to know of them."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.forms = forms_of(secrets.values())
        self._hidden = dict.fromkeys(secrets, MASK.decode())
        self._forms = Forms(self.forms)

    def text(self, text: str) -> str:
        data = text.encode("utf-8", "surrogatepass")
        shown = masked(self._forms, data)
        if _cut in shown:
            shown = self._without_beginnings(shown)
        return text if shown is data else shown.decode("utf-8", "surrogatepass")

    def _without_beginnings(self, data: bytes) -> bytes:
        """What had been shortened to `tok_7f…` before it came here is no whole form any more."""
        *parts, last = data.split(_cut)
        for at, part in enumerate(parts):
            longest = max((_overlap(part, form) for form, _ in self.forms), default=0)
            if longest >= SHORTEST:
                parts[at] = part[:-longest] + MASK
        return _cut.join([*parts, last])

    def event(self, event: Event) -> Event:
        shown: Event = self._value(event)
        return shown

    def launch(self, launch: Launch) -> Launch:
        """For whoever remembers what a step was started with."""
        shown: Launch = self._value(launch)
        return shown._replace(
            env={**shown.env, **{name: self._hidden[name] for name in shown.env if name in self._hidden}}
        )

    def finding(self, finding: Diagnostic) -> Diagnostic:
        help = None if finding.help is None else self.text(finding.help)
        return finding._replace(message=self.text(finding.message), help=help)

    def _value(self, value: Any, is_name: bool = False) -> Any:
        if isinstance(value, str):
            return value if is_name else self.text(value)
        if isinstance(value, tuple):
            if hasattr(value, "_fields"):
                fields = zip(value._fields, value, strict=True)
                return type(value)(*(self._value(item, name in _identities) for name, item in fields))
            return tuple(self._value(item, is_name) for item in value)
        if isinstance(value, Mapping):
            return {name: self._value(item, is_name) for name, item in value.items()}
        return value
