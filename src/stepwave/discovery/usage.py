"""Where a symbol is used: every token that denotes it, under whatever name it goes there.

First the files whose bytes hold the word are read and their tokens looked at (`tokens`); then it is worked out what
each of them denotes (`world`, `infer`). A file that gives the symbol another name (`import x as y`) adds a word, and
the files that take it from there by that name are looked at too, until no new name turns up.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from stepwave.discovery.answers import TYPES, Query, Target, Usage, Use
from stepwave.discovery.infer import Inference
from stepwave.discovery.modules import Modules, packages_above
from stepwave.discovery.occurrences import plain, word_pattern
from stepwave.discovery.source import column_of, decoded, lines_of, read
from stepwave.discovery.spread import Progress, collector_off, each_file
from stepwave.discovery.terms import Term
from stepwave.discovery.tokens import Bound, Token, Tokens, tokens_in
from stepwave.discovery.values import Entity, Value
from stepwave.discovery.walk import Unread, Walked, walk
from stepwave.discovery.world import World

_PASSING = ("parameter", "local")
_TEXT_LIMIT = 1000


def usage_of(
    root: str,
    query: Query,
    *,
    processes: int = 1,
    walked: Walked | None = None,
    progress: Progress | None = None,
) -> Usage:
    """Find a symbol in a tree. Raises OSError when the root cannot be looked into."""
    with collector_off():
        return _Search(root, query, walked or walk(root, ignore=query.ignore), processes, progress).answer()


class _Search:
    def __init__(self, root: str, query: Query, walked: Walked, processes: int, progress: Progress | None) -> None:
        self.root = root
        self.query = query
        self.walked = walked
        self.processes = processes
        self.progress = progress
        self.modules = Modules([found.path for found in walked.files], packages_above(root))
        self.world = World(self.modules, lambda path: read(root, path))
        self.inference = Inference(self.world)
        self.word = query.symbol.rpartition(".")[2]
        self.tokens: dict[str, Tokens] = {}
        self.unread: dict[str, Unread] = {found.path: found for found in walked.unread}
        self.aliases: dict[Entity, bool] = {}

    def answer(self) -> Usage:
        sizes = {found.path: found.size for found in self.walked.files}
        self._look([found.path for found in self.walked.files], sizes, {}, [self.word])
        self.in_classes = True
        self.targets = self._targets()
        self.in_classes = any("." in e.qualname or not e.path for e in self.targets)
        if self.query.uses:
            self._follow_renames(sizes)
        uses, possible = self._uses()
        targets = sorted(Target(self._dotted(e), *rest) for e, rest in self.targets.items())
        unread = tuple(sorted(self.unread.values()))
        return Usage(tuple(targets), tuple(sorted(uses)), possible, len(self.walked.files), unread)

    # --- reading -----------------------------------------------------------------------------------------------

    def _look(
        self, paths: Sequence[str], sizes: dict[str, int], also: dict[str, list[str]], words: Sequence[str]
    ) -> None:
        """Look for words in files; `also` are more words for some of them."""
        pattern = word_pattern(words)
        needle = words[0].encode() if len(words) == 1 and words[0].isascii() else b""

        def work(path: str) -> Any:
            data = read(self.root, path)
            if isinstance(data, Unread):
                return tuple(data)
            if needle not in data or not pattern.search(plain(data)):
                return None
            found = tokens_in(path, data, [*words, *also.get(path, ())])
            if isinstance(found, Unread):
                return tuple(found)
            return [[tuple(t) for t in found.found], [tuple(b) for b in found.bound], *found[2:]]

        for path, result in each_file(paths, [sizes[path] for path in paths], work, self.processes, self.progress):
            if isinstance(result, tuple):
                self.unread[path] = Unread(*result)
            else:
                found, bound, *rest = result
                self.tokens[path] = Tokens([Token(*t) for t in found], [Bound(*b) for b in bound], *rest)
                self.world.known.setdefault(path, {}).update(self.tokens[path].exports)

    def _follow_renames(self, sizes: dict[str, int]) -> None:
        """Files that take the symbol from where it goes by another name."""
        asked: set[tuple[str, str]] = set()
        while True:
            fresh = [
                (path, name)
                for path, tokens in sorted(self.tokens.items())
                for name in tokens.renames
                if (path, name) not in asked
            ]
            asked.update(fresh)
            names = {name for path, name in fresh if self._is_target(self.world.exports(path, name))}
            if not names:
                return
            for name in sorted(names):
                paths = [p for p in sizes if not self._knows(p, name) and self._takes(p, name)]
                words = {p: self._words_of(p) for p in paths}
                self._look(paths, sizes, words, [name])

    def _knows(self, path: str, name: str) -> bool:
        return path in self.tokens and name in self.tokens[path].renames

    def _words_of(self, path: str) -> list[str]:
        tokens = self.tokens.get(path)
        return list(dict.fromkeys([self.word, *tokens.renames, *(t.word for t in tokens.found)])) if tokens else []

    def _takes(self, path: str, name: str) -> bool:
        """Whether a file may take a name from another one: by `from m import name`, or as `m.name`."""
        data = read(self.root, path)
        raw = re.escape(name.encode("utf-8", "surrogatepass"))
        if isinstance(data, Unread) or name.encode("utf-8", "surrogatepass") not in data:
            return False
        end = rb"(?![\w\x80-\xff])"
        taken = (
            rb"\bimport\b(?:[ \t\\\r\n]*\((?:[^()#]|#[^\n]*)*?|(?:[^\n#(\\]|\\\r?\n)*?)(?<![\w\x80-\xff])" + raw + end
        )
        return re.search(taken + rb"|\.[ \t\\\r\n]*" + raw + end, data) is not None

    # --- what is asked for -------------------------------------------------------------------------------------

    def _targets(self) -> dict[Entity, tuple[str, str, int]]:
        """The things that the question is about, with what they are and where."""
        bound = [(path, b) for path, tokens in sorted(self.tokens.items()) for b in tokens.bound]
        found = self._named(bound, passing=False) or self._resolved()
        if not found:
            found = self._modules_called() or self._external() or self._named(bound, passing=True)
        wanted = TYPES.get(self.query.type)
        return {e: rest for e, rest in found.items() if wanted is None or rest[0] in wanted}

    def _named(self, bound: Iterable[tuple[str, Bound]], passing: bool) -> dict[Entity, tuple[str, str, int]]:
        """Definitions whose dotted name is the one asked for, or ends in it."""
        exact: dict[Entity, tuple[str, str, int]] = {}
        ending: dict[Entity, tuple[str, str, int]] = {}
        asked = self.query.symbol
        for path, (qualname, what, line) in bound:
            if what in _PASSING and not passing and "." not in asked:
                continue
            if qualname.rpartition(".")[2] != self.word:
                continue
            names = [f"{self.modules.name_of[path]}.{qualname}", f"{_as_module(path)}.{qualname}"]
            if any(full == asked or full.endswith(f".{asked}") for full in names):
                into = exact if asked in names else ending
                into.setdefault(Entity(path, qualname), (what, path, line))
        return exact or ending

    def _resolved(self) -> dict[Entity, tuple[str, str, int]]:
        """A dotted name that leads somewhere by imports or inheritance: `django.forms.CharField`, `Sub.method`."""
        parts = self.query.symbol.split(".")
        found: dict[Entity, tuple[str, str, int]] = {}
        for split in range(len(parts) - 1, 0, -1):
            head = ".".join(parts[:split])
            names = self.modules.name_of
            paths = [p for p, n in names.items() if n == head] or [
                p for p, n in names.items() if n.endswith(f".{head}")
            ]
            for path in paths:
                for entity in self._along(path, parts[split:]):
                    found.setdefault(entity, self._described(entity))
            if found:
                break
        return found or self._inherited(parts)

    def _along(self, path: str, parts: Sequence[str]) -> list[Entity]:
        entities = list(self.world.exports(path, parts[0]))
        for part in parts[1:]:
            values = [value for e in entities for value in self.inference.value_of(e)]
            entities = [e for value in values for e in self.inference.members(value, part)]
        return list(dict.fromkeys(entities))

    def _inherited(self, parts: Sequence[str]) -> dict[Entity, tuple[str, str, int]]:
        if len(parts) != 2:
            return {}
        found: dict[Entity, tuple[str, str, int]] = {}
        for path in self.world.modules.name_of:
            data = read(self.root, path)
            if isinstance(data, Unread) or f"class {parts[0]}".encode() not in data:
                continue
            for entity in self.inference.members(Value("class", path, parts[0]), parts[1]):
                found.setdefault(entity, self._described(entity))
        return found

    def _described(self, entity: Entity) -> tuple[str, str, int]:
        tokens = self.tokens.get(entity.path)
        for bound in tokens.bound if tokens else ():
            if bound.qualname == entity.qualname:
                return bound.what, entity.path, bound.line
        return ("module" if entity.path and not entity.qualname else "external"), entity.path, int(bool(entity.path))

    def _modules_called(self) -> dict[Entity, tuple[str, str, int]]:
        asked = self.query.symbol
        exact = [p for p, n in self.modules.name_of.items() if n == asked]
        paths = exact or [p for p, n in self.modules.name_of.items() if n.endswith(f".{asked}")]
        return {Entity(path, ""): ("module", path, 1) for path in paths}

    def _external(self) -> dict[Entity, tuple[str, str, int]]:
        """What no file of the tree defines, but some use."""
        asked = self.query.symbol
        found: dict[Entity, tuple[str, str, int]] = {}
        for path, tokens in sorted(self.tokens.items()):
            for token in tokens.found:
                for entity in self.inference.denoted(path, token.term):
                    name = entity.qualname
                    if not entity.path and (name == asked or name.endswith(f".{asked}")):
                        found.setdefault(entity, ("external", "", 0))
        exact = {e: rest for e, rest in found.items() if e.qualname == asked}
        return exact or found

    # --- what is found -----------------------------------------------------------------------------------------

    def _uses(self) -> tuple[list[Use], int]:
        uses: list[Use] = []
        possible = 0
        for path, tokens in sorted(self.tokens.items()) if self.targets else ():
            kept: list[tuple[Token, Entity | None]] = []
            for token in tokens.found:
                meant = self._meant(path, token)
                if meant is not None and (self.query.uses or token.kind == "definition"):
                    kept.append((token, meant))
                elif meant is None and self._may_be(path, token):
                    possible += 1
                    if self.query.possible and self.query.uses:
                        kept.append((token, None))
            loose = tokens.loose if self.query.loose else []
            kept += [(Token(line, offset, kind, word, ()), None) for line, offset, kind, word in loose]
            uses += self._placed(path, kept)
        return uses, possible

    def _meant(self, path: str, token: Token) -> Entity | None:
        if self._out_of_reach(token):
            return None
        entities = self.inference.denoted(path, token.term)
        return next((e for e in entities if e in self.targets), None) or self._through_alias(entities)

    def _through_alias(self, entities: Sequence[Entity]) -> Entity | None:
        for entity in entities:
            if entity.path in self.tokens and entity.qualname in self.tokens[entity.path].renames and self.query.uses:
                named = self.world.named(entity)
                for origin in self.inference.denoted(entity.path, named.alias) if named and named.alias else ():
                    what = self.world.named(origin) if origin in self.targets else None
                    if what is not None and what.is_code:
                        return origin
        return None

    def _is_target(self, entities: Sequence[Entity]) -> bool:
        return any(e in self.targets for e in entities) or self._through_alias(entities) is not None

    def _may_be(self, path: str, token: Token) -> bool:
        if token.term[0] != "." or token.word != self.word or self._out_of_reach(token):
            return False
        return not self.inference.denoted(path, token.term)

    def _out_of_reach(self, token: Token) -> bool:
        """An attribute of anything but a chain of names, when no class is asked about: only modules can give it."""
        return token.term[0] == "." and not self.in_classes and not _is_chain(token.term)

    def _placed(self, path: str, kept: Sequence[tuple[Token, Entity | None]]) -> list[Use]:
        if not kept:
            return []
        data = read(self.root, path)
        lines = lines_of(decoded(data)) if isinstance(data, bytes) else []
        found = []
        for token, meant in kept:
            column = column_of(lines, token.line, token.offset)
            text = lines[token.line - 1].strip() if token.line <= len(lines) else ""
            text = text if len(text) <= _TEXT_LIMIT else f"{text[:_TEXT_LIMIT]}…"
            symbol = self._dotted(meant) if meant else self.word
            certain = meant is not None
            found.append(Use(path, token.line, column, column + len(token.word), token.kind, symbol, certain, text))
        return found

    def _dotted(self, entity: Entity) -> str:
        if not entity.path:
            return entity.qualname
        module = self.modules.name_of.get(entity.path, entity.path)
        return f"{module}.{entity.qualname}" if entity.qualname else module


def _as_module(path: str) -> str:
    """`tests.a.util` for `tests/a/util.py`, for whoever wants one of several modules that are called so."""
    return path.rpartition(".")[0].removesuffix("/__init__").replace("/", ".")


def _is_chain(term: Term) -> bool:
    while term[0] == ".":
        term = term[1]
    return term[0] in ("g", "i", "|")
