"""Which file is which module, and which file an import means.

A module is known by its path below the root, for names may collide (`tests/a/utils.py`, `tests/b/utils.py`).
"""

from collections.abc import Iterable
from typing import NamedTuple

from stepwave.discovery.walk import SUFFIXES


class Missing(NamedTuple):
    """A module outside of the tree, by its dotted name."""

    name: str


class Modules:
    """The modules of a tree. `prefix` are the packages above the root, when the root is itself inside of one.

    `name_of[path]` is the dotted name, `packages` the paths that are an `__init__.py`.
    """

    def __init__(self, paths: Iterable[str], prefix: tuple[str, ...] = ()) -> None:
        self._paths = set(paths)
        self._prefix = prefix
        self._folders = {""}
        for path in self._paths:
            folder = path.rpartition("/")[0]
            while folder and folder not in self._folders:
                self._folders.add(folder)
                folder = folder.rpartition("/")[0]
        self._tops: dict[str, str] = {}
        self.name_of = {path: self._name(path) for path in sorted(self._paths)}
        self.packages = {path for path in self._paths if _stem(path) == "__init__"}
        self._roots = self._search_roots()
        self._found: dict[tuple[str, str], str | None] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._paths

    def package_of(self, path: str) -> str:
        """The dotted name of the package that relative imports of a file start from; empty outside of packages."""
        name = self.name_of[path]
        return name if path in self.packages else name.rpartition(".")[0]

    def absolute(self, importer: str, module: str | None, level: int) -> str:
        """The dotted name that `from ..module import …` means in a file."""
        if not level:
            return module or ""
        base = self.package_of(importer).split(".")
        if not base[0]:  # a relative import of a script: Python refuses, a reader need not
            base = []
        base = base[: len(base) - level + 1] if level > 1 else base
        return ".".join([*base, *(module.split(".") if module else ())])

    def find(self, name: str, importer: str = "") -> str | None:
        """The file of a dotted name as a file of the tree would import it; None when it lies outside of the tree.

        The importer's own top folder goes first, then the root, `src` and `lib`, then all other folders that hold
        a package or module at their top. A folder without `__init__.py` is found as itself, with `/` at its end.
        """
        own = self.top_of(importer) if importer else ""
        key = (own, name)
        if key not in self._found:
            self._found[key] = self._look(own, name)
        return self._found[key]

    def find_from(self, importer: str, module: str | None, level: int) -> str | Missing:
        """The file that the module part of an import means, relative or not."""
        if level:
            folder = importer.rpartition("/")[0]
            for _ in range(level - 1):
                folder = folder.rpartition("/")[0]
            steps = module.split(".") if module else []
            found = self._at("/".join([part for part in (folder, *steps) if part]))
        else:
            found = self.find(module or "", importer)
        return found if found is not None else Missing(self.absolute(importer, module, level))

    def submodule(self, module: str, name: str) -> str | None:
        """The file of `name` in the package whose `__init__.py` or folder `module` is."""
        if not module.endswith("/") and module not in self.packages:
            return None
        folder = module.rpartition("/")[0]
        return self._at(f"{folder}/{name}" if folder else name)

    def top_of(self, path: str) -> str:
        """The folder that has to be on Python's path for a file to be imported by its name."""
        folder = path.rpartition("/")[0]
        if folder not in self._tops:
            self._tops[folder] = self._climb(folder)
        return self._tops[folder]

    def _climb(self, folder: str) -> str:
        while folder and self._is_package(folder):
            folder = folder.rpartition("/")[0]
        return folder

    def _is_package(self, folder: str) -> bool:
        return any(f"{folder}/__init__{suffix}" in self._paths for suffix in SUFFIXES)

    def _name(self, path: str) -> str:
        top = self.top_of(path)
        parts = path[len(top) + 1 if top else 0 :].split("/")
        parts[-1] = _stem(path)
        if parts[-1] == "__init__" and len(parts) + len(self._prefix) > 1:
            parts.pop()
        return ".".join([*(() if top else self._prefix), *parts])

    def _search_roots(self) -> list[str]:
        tops = {self.top_of(path) for path in self._paths}
        first = [folder for folder in ("", "src", "lib") if folder in self._folders]
        return [*first, *sorted(tops - set(first), key=lambda top: (top.count("/"), top))]

    def _look(self, own: str, name: str) -> str | None:
        parts = name.split(".")
        count = len(self._prefix)
        if count and tuple(parts[:count]) == self._prefix[: len(parts)]:
            return self._at("/".join(parts[count:])) if len(parts) >= count else None
        spaces = None
        for top in [own, *self._roots]:
            found = self._at("/".join([top, *parts] if top else parts))
            if found is not None and not found.endswith("/"):
                return found
            spaces = spaces or found
        return spaces

    def _at(self, stem: str) -> str | None:
        """The module at a path without its suffix: a package goes before a module, both before a bare folder."""
        for suffix in SUFFIXES:
            path = f"{stem}/__init__{suffix}" if stem else f"__init__{suffix}"
            if path in self._paths:
                return path
        for suffix in SUFFIXES:
            if f"{stem}{suffix}" in self._paths:
                return f"{stem}{suffix}"
        return f"{stem}/" if stem in self._folders else None


def packages_above(root: str) -> tuple[str, ...]:
    """The names of the packages that the root itself lies in, outermost first: `("django", "utils")`."""
    import os

    folder = os.path.abspath(root)  # noqa: PTH100 - pathlib is not loaded yet
    names: list[str] = []
    while os.path.isfile(f"{folder}/__init__.py"):  # noqa: PTH113
        folder, _, name = folder.rpartition("/")
        names.insert(0, name)
    return tuple(names)


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]
