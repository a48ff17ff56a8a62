"""`discover functions`: the definitions of files and folders, from the cache where nothing has changed."""

import marshal
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from stepwave.discovery.cache import Cache, by_path, young_of
from stepwave.discovery.definitions import Definition, as_definition, definitions_of
from stepwave.discovery.modules import Modules, packages_above
from stepwave.discovery.source import parse, read
from stepwave.discovery.spread import collector_off, each_file
from stepwave.discovery.walk import Found, Unread, walk

SORTS = ("path", "name", "complexity", "lines")
DEFINITION_KINDS = ("function", "method", "classmethod", "staticmethod", "property", "class", "nested")
_word = re.compile(rb"[A-Za-z_\x80-\xff][\w\x80-\xff]*")
_KIND = f"definitions:1:{sys.version_info[0]}.{sys.version_info[1]}"


class Wanted(NamedTuple):
    """Which definitions are wanted; every one that is given has to hold."""

    pattern: str = ""
    private: bool = False
    kinds: tuple[str, ...] = ()
    missing_docs: bool = False
    untyped: bool = False
    duplicates: bool = False
    unused: bool = False
    sort: str = "path"


class Listing(NamedTuple):
    """Definitions, the number of files scanned and those that could not be read or parsed."""

    definitions: tuple[Definition, ...]
    scanned: int
    unread: tuple[Unread, ...]


class _Place(NamedTuple):
    """What one path of the question leads to: the folder that is read, and how paths in it are shown."""

    root: str
    shown: str
    files: list[Found]
    unread: list[Unread]
    is_file: bool


def list_definitions(
    paths: Sequence[str],
    wanted: Wanted = Wanted(),  # noqa: B008 - a value
    *,
    ignore: bool = True,
    cached: bool = False,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Listing:
    """The definitions of files and folders. Raises OSError for a path that cannot be read, re.error for a pattern."""
    pattern = re.compile(wanted.pattern) if wanted.pattern else None
    places = [_place(path, ignore) for path in dict.fromkeys(paths)]
    found: dict[tuple[str, int, int, str], Definition] = {}
    unread: dict[str, Unread] = {}
    scanned: set[str] = set()
    with collector_off():
        for place in places:
            scanned.update([f"{place.shown}{file.path}" for file in place.files])
            for item in _of_place(place, cached and not place.is_file, processes, progress):
                if isinstance(item, Unread):
                    unread[item.path] = item
                else:
                    found[item.path, item.line, item.column, item.qualname] = item
    chosen = [d for d in found.values() if _is_wanted(d, wanted, pattern)]
    if wanted.duplicates:
        chosen = _repeated(chosen)
    if wanted.unused:
        chosen = _unnamed(chosen, found.values(), places)
    return Listing(tuple(_sorted(chosen, wanted.sort)), len(scanned), tuple(sorted(unread.values())))


def shown_prefix(root: str) -> str:
    """What goes before a path below a root, for a person whose folder is another one."""
    return "" if root in (".", "./") else f"{root.rstrip('/')}/" if root.rstrip("/") else "/"


def _place(path: str, ignore: bool) -> _Place:
    if os.path.isdir(path):  # noqa: PTH112
        walked = walk(path, ignore=ignore)
        prefix = shown_prefix(path)
        return _Place(path, prefix, walked.files, [u._replace(path=f"{prefix}{u.path}") for u in walked.unread], False)
    stat = os.stat(path)  # noqa: PTH116
    folder, slash, name = path.rpartition("/")
    found = Found(name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    return _Place(folder or slash or ".", f"{folder}{slash}", [found], [], True)


def _of_place(
    place: _Place, cached: bool, processes: int, progress: Callable[[int, int], None] | None
) -> Iterator[Definition | Unread]:
    modules = Modules([found.path for found in place.files], packages_above(place.root))
    yield from place.unread
    for path, record in _records(place, cached, processes, progress):
        shown = f"{place.shown}{path}"
        if isinstance(record, tuple):
            yield Unread(shown, *record[1:])
        else:
            for each in record:
                yield as_definition(shown, modules.name_of[path], each)


def _records(
    place: _Place, cached: bool, processes: int, progress: Callable[[int, int], None] | None
) -> list[tuple[str, Any]]:
    """For each file its definitions, or the fields of an Unread."""
    cache = Cache(place.root) if cached else None
    known = cache.facts(_KIND, place.files, place.root) if cache else {}
    rest = [found for found in place.files if found.path not in known]
    young = by_path(young_of(place.root, rest)) if cache else {}

    def work(path: str) -> Any:
        data = read(place.root, path)
        tree = parse(path, data) if isinstance(data, bytes) else data
        if isinstance(tree, Unread):
            return tuple(tree)
        return definitions_of(tree, data if isinstance(data, bytes) else b"")

    sizes = [found.size for found in rest]
    fresh = each_file([found.path for found in rest], sizes, work, processes, progress)
    if cache:
        by_name = {found.path: found for found in rest}
        cache.keep_facts([(_KIND, by_name[path], marshal.dumps(record)) for path, record in fresh], young)
        cache.close()
    return sorted([*((path, marshal.loads(raw)) for path, raw in known.items()), *fresh], key=lambda pair: pair[0])


def _is_wanted(definition: Definition, wanted: Wanted, pattern: "re.Pattern[str] | None") -> bool:
    if not (definition.is_public or wanted.private):
        return False
    if wanted.kinds and definition.kind not in wanted.kinds:
        return False
    if pattern and not pattern.search(definition.name):
        return False
    if wanted.missing_docs and definition.docstring:
        return False
    return not wanted.untyped or _is_untyped(definition)


def _is_untyped(definition: Definition) -> bool:
    if definition.kind == "class":
        return False
    parameters = definition.parameters
    if definition.kind in ("method", "classmethod", "property"):
        parameters = parameters[1:]
    return not definition.returns or any(not parameter.annotation for parameter in parameters)


def _repeated(definitions: Iterable[Definition]) -> list[Definition]:
    """Functions of three lines or more that stand in the tree more than once, but for name and indentation."""
    longer = [d for d in definitions if d.kind != "class" and d.end_line - d.line >= 2]
    counts = Counter(d.hash for d in longer)
    return [d for d in longer if counts[d.hash] > 1]


def _unnamed(chosen: Iterable[Definition], every: Iterable[Definition], places: Sequence[_Place]) -> list[Definition]:
    """Definitions whose name stands nowhere in the files but where it is defined, strings and comments included.

    What is decorated, `__x__` or `test…` may be called by others and is left out.
    """
    counts: Counter[bytes] = Counter()
    for place in places:
        for found in place.files:
            data = read(place.root, found.path)
            if isinstance(data, bytes):
                counts.update(_word.findall(data))
    defined = Counter(d.name for d in every)
    return [
        d
        for d in chosen
        if counts[d.name.encode()] <= defined[d.name]
        and not d.decorators
        and not d.name.startswith(("test", "Test", "__"))
    ]


def _sorted(definitions: Iterable[Definition], by: str) -> list[Definition]:
    in_order = sorted(definitions, key=lambda d: (d.path, d.line, d.column, d.qualname))
    if by == "name":
        in_order.sort(key=lambda d: d.qualname)
    elif by == "complexity":
        in_order.sort(key=lambda d: -d.complexity)
    elif by == "lines":
        in_order.sort(key=lambda d: d.line - d.end_line)
    return in_order


def near_definitions(
    root: str, name: str, threshold: float, *, ignore: bool = True, cached: bool = False, processes: int = 1
) -> tuple[list[tuple[Definition, float]], Listing]:
    """Definitions whose names are near to one, with how near (0 to 1), the nearest first; and where they are from."""
    from stepwave.discovery.near import nearest

    listing = list_definitions([root], Wanted(private=True), ignore=ignore, cached=cached, processes=processes)
    scores = dict(nearest(name, {d.name for d in listing.definitions}, threshold))
    scores[name] = 1.0
    found = [(d, scores[d.name]) for d in listing.definitions if d.name in scores]
    return sorted(found, key=lambda pair: (-pair[1], pair[0].path, pair[0].line, pair[0].column)), listing
