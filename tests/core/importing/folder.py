"""`Surroundings` of a few files that are only named."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from stepwave.core.importing.flow import Asked
from stepwave.core.importing.kinds import Imported, Kind, import_source


class Folder:
    system = "Linux"
    machine = "x86_64"

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def exists(self, path: str) -> bool:
        return path in self.files or any(name.startswith(f"{path}/") for name in self.files)

    def is_folder(self, path: str) -> bool:
        return path not in self.files and self.exists(path)

    def matches(self, pattern: str) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.files if fnmatchcase(name, pattern)))

    def read(self, path: str) -> str | None:
        return self.files.get(path)


def imported(
    text: str | bytes,
    name: str = "Makefile",
    *wanted: str,
    kind: Kind | None = None,
    files: Mapping[str, str] | None = None,
    base: str = "",
    **values: str,
) -> Imported:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return import_source(data, kind, Asked(name, wanted, values), Folder(files or {}), base)
