"""Is there such a function? Asked of the files of a module, which is not executed: importing one may do anything.

What cannot be known without executing it (names from `import *`, a module's `__getattr__`, a compiled module) is taken
for there. So a problem that is told here is one.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import NamedTuple

from stepwave.core.building.means import Lack
from stepwave.core.diagnostics import did_you_mean
from stepwave.core.text import one_line

MAX_BYTES = 4 << 20


class _Spot(NamedTuple):
    """Where a module is: its file, if it is one that can be read, and the folders of its submodules."""

    file: Path | None
    folders: tuple[Path, ...] = ()


def find_lack(target: str, folder: str) -> Lack | None:
    """`target` is `module.path:name`, `folder` where its module is looked for before `sys.path`. None: all is well."""
    module, _, name = target.partition(":")
    parts = module.split(".")
    spot = _top(parts[0], folder)
    for at, part in enumerate(parts):
        found = _below(part, spot.folders) if at and spot else spot
        if found is None:
            if spot and _is_wild(spot):
                return None
            return _no_module(parts[: at + 1], spot.folders if spot else (Path(folder),))
        if not found.file and not found.folders:
            return None  # built in, compiled, or found by an importer of its own
        spot = found
    return _look_inside(module, name, spot) if spot else None


# --- finding modules -------------------------------------------------------------------------------------------------


def _top(name: str, folder: str) -> _Spot | None:
    if name in sys.builtin_module_names:
        return _Spot(None)
    return _below(name, [Path(folder)]) or _installed(name)


def _below(name: str, folders: Iterable[Path]) -> _Spot | None:
    """The module of this name in the first folder that has it; folders without an `__init__.py` make one together."""
    bare = []
    for folder in folders:
        inner = folder / name
        if (inner / "__init__.py").is_file():
            return _Spot(inner / "__init__.py", (inner,))
        if (file := folder / f"{name}.py").is_file():
            return _Spot(file)
        if any((folder / f"{name}{suffix}").is_file() for suffix in EXTENSION_SUFFIXES):
            return _Spot(None)
        if inner.is_dir():
            bare.append(inner)
    return _Spot(None, tuple(bare)) if bare else None


def _installed(name: str) -> _Spot | None:
    """A module that Python would find. The finders of a top module execute none."""
    from importlib.util import find_spec

    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return _Spot(None)
    if spec is None:
        return None
    folders: list[Path] = []
    with suppress(Exception):  # the folders of a package without a file are worked out when they are asked for
        folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    file = Path(spec.origin) if spec.has_location and spec.origin and spec.origin.endswith(".py") else None
    return _Spot(file, tuple(folders))


def _is_wild(package: _Spot) -> bool:
    """Whether it may have submodules that lie elsewhere."""
    source = _source(package.file) if package.file else b""
    return source is None or b"__path__" in source or b"modules" in source


def _no_module(parts: list[str], folders: Iterable[Path]) -> Lack:
    known = {_module_name(entry) for folder in folders for entry in _entries(folder)}
    near = did_you_mean(parts[-1], [name for name in known if name and name != parts[-1]])
    help = near or "put it beside the workflow file, or install it for the Python of stepwave; or write `command:`"
    return Lack(f"there is no module `{one_line('.'.join(parts), 80)}`", help)


def _entries(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from folder.iterdir()


def _module_name(entry: Path) -> str:
    name = entry.name.removesuffix(".py")
    is_module = entry.suffix == ".py" or (entry / "__init__.py").is_file()
    return name if is_module and name.isidentifier() and not name.startswith("__") else ""


# --- looking inside --------------------------------------------------------------------------------------------------


def _look_inside(module: str, name: str, spot: _Spot) -> Lack | None:
    first, *rest = name.split(".")
    if spot.file is None:
        return None if spot.folders == () or _below(first, spot.folders) else _no_function(module, name, ())
    try:
        tree = _parsed(spot.file)
    except SyntaxError as problem:
        where = f"`{one_line(spot.file.name, 80)}`, line {problem.lineno or 1}"
        return Lack(f"the module `{module}` is no Python ({where}: {problem.msg})", "mend it first")
    if tree is None or (spot.folders and _below(first, spot.folders)):
        return None
    return _missing(module, name, [first, *rest], tree.body)


def _source(file: Path) -> bytes | None:
    with suppress(OSError), file.open("rb") as stream:
        source = stream.read(MAX_BYTES + 1)
        return source if len(source) <= MAX_BYTES else None
    return None


def _parsed(file: Path) -> ast.Module | None:
    """The module as a tree; None for one that is too much for that. Raises SyntaxError."""
    import warnings

    with suppress(ValueError, RecursionError, MemoryError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes in it: not our concern
        source = _source(file)
        return None if source is None else ast.parse(source)
    return None


def _missing(module: str, name: str, parts: list[str], body: list[ast.stmt]) -> Lack | None:
    """Follows the parts of a name into classes, as far as these say all that they have."""
    for part in parts:
        names = _names(body)
        if names is None or part.startswith("__"):
            return None
        if part not in names:
            return _no_function(module, name, names)
        found = names[part]
        if not isinstance(found, ast.ClassDef) or found.bases or found.keywords or found.decorator_list:
            return None
        body = found.body
    return None


def _no_function(module: str, name: str, names: Iterable[str]) -> Lack:
    near = did_you_mean(name.rpartition(".")[2], [known for known in names if not known.startswith("__")])
    message = f"the module `{one_line(module, 80)}` has no `{one_line(name, 80)}`"
    return Lack(message, near or "write the name of a function that it defines")


def _names(body: list[ast.stmt]) -> dict[str, ast.AST] | None:
    """Every name that the statements bind, with the class that it is, if it is one. None: there may be others."""
    names: dict[str, ast.AST] = {}
    changed: dict[str, ast.AST] = {}
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        match node:
            case ast.FunctionDef(name="__getattr__") | ast.alias(name="*") | ast.Attribute(attr="modules"):
                return None
            case ast.Name(ctx=ast.Load(), id=id) if id in _wild:
                return None
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names[name] = node
                names |= {
                    known: part for part in ast.walk(node) if isinstance(part, ast.Global) for known in part.names
                }
                continue
            case ast.alias():
                names[node.asname or node.name.partition(".")[0]] = node
            case ast.Name(ctx=ast.Store(), id=name) | ast.ExceptHandler(name=str(name)):
                names[name] = node
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                names[name] = node
            case ast.Attribute(ctx=ast.Store(), value=ast.Name(id=name)):
                changed[name] = node
        todo += ast.iter_child_nodes(node)
    return {**names, **changed}


_wild = frozenset(("exec", "eval", "globals", "locals", "vars", "setattr"))
"""Whoever calls these may bind anything, and who reads `sys.modules` replace the module itself."""
