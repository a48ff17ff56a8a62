"""A file of environment variables, once it has been read."""

from collections.abc import Mapping
from typing import NamedTuple

from stepwave.core.model import nothing


class EnvFile(NamedTuple):
    """What a file of `dotenv` says; `faults` are lines that cannot be read, with what is wrong there. `path` is how
    people write it."""

    values: Mapping[str, str] = nothing
    faults: tuple[tuple[int, str], ...] = ()
    path: str = ""


EnvFiles = Mapping[str, EnvFile | str | None]
"""Files by path, as `reading/sources.py` writes it. A text is why one cannot be read; None: it is not there."""
