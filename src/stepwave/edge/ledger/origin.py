"""`Origin` as it stands in the ledger: JSON in ASCII; bytes of a path that are no UTF-8 come back as they were."""

import json

from stepwave.core.origin import Origin

__all__ = ["Origin", "as_text", "from_text"]


def as_text(origin: Origin) -> str:
    """What is as it usually is, is left out."""
    usual = Origin._field_defaults
    document = {name: value for name, value in origin._asdict().items() if value != usual[name]}
    for name in ("variables", "options"):
        if name in document:
            document[name] = dict(document[name])
    return json.dumps(document, separators=(",", ":"))


def from_text(text: str) -> Origin:
    """Names that this version does not know are left out."""
    known = {name: value for name, value in json.loads(text).items() if name in Origin._fields}
    for name in ("only", "skip", "start"):
        if name in known:
            known[name] = tuple(known[name])
    return Origin(**known)
