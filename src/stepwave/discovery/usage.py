"""Where a symbol is used: every token that denotes it, under whatever name it goes there.

First the files whose bytes hold the word are read and their tokens looked at (`tokens`); then it is worked out what
each of them denotes (`world`, `infer`). A file that gives the symbol another name (`import x as y`) adds a word, and
the files that take it from there by that name are looked at too, until no new name turns up.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from stepwave.discovery.answers import TYPES, Query, Target, Usage, Use
from stepwave.discovery.facts import Facts
from stepwave.discovery.infer import Inference
from stepwave.discovery.modules import Modules, packages_above
from stepwave.discovery.occurrences import plain, word_places
from stepwave.discovery.source import column_of, decoded, lines_of, read
from stepwave.discovery.spread import Progress, Work, collector_off, each_file
from stepwave.discovery.terms import Term
from stepwave.discovery.tokens import Bound, Token, Tokens, tokens_in
from stepwave.discovery.values import Entity, Value
from stepwave.discovery.walk import Unread, walk
from stepwave.discovery.world import World

_PASSING = ("parameter", "local")
_TEXT_LIMIT = 1000


def usage_of(
    root: str,
    query: Query,
    *,
    processes: int = 1,
    facts: Facts | None = None,
    progress: Progress | None = None,
) -> Usage:
    """Find a symbol in a tree; `facts` are those of earlier questions, of the tree as it is now.

    Raises OSError when the root cannot be looked into.
    """
    with collector_off():
        known = facts or Facts(root, walk(root, ignore=query.ignore), None, b"")
        search = _Search(root, query, known, processes, progress)
        usage = search.answer()
        known.keep({p: o for p, o in search.world.outlines.items() if p not in search.world.unreadable})
        return usage


class _Search:
    def __init__(self, root: str, query: Query, facts: Facts, processes: int, progress: Progress | None) -> None:
        self.root = root
        self.query = query
        self.facts = facts
        self.processes = processes
        self.progress = progress
        self.sizes = {found.path: found.size for found in facts.walked.files}
        self.modules = Modules(self.sizes, packages_above(root))
        self.world = World(self.modules, lambda path: read(root, path), facts.outline)
        self.inference = Inference(self.world)
        self.word = query.symbol.rpartition(".")[2]
        self.tokens: dict[str, Tokens] = {}
        self.unread: dict[str, Unread] = {found.path: found for found in facts.walked.unread}
        self.aliases: dict[Entity, bool] = {}

    def answer(self) -> Usage:
        self._look(self._holding(self.word), {}, self.word)
        self.in_classes = True
        self.targets = self._targets()
        self.in_classes = any("." in e.qualname or not e.path for e in self.targets)
        if self.query.uses:
            self._follow_renames()
        uses, possible = self._uses()
        targets = sorted(Target(self._dotted(e), *rest) for e, rest in self.targets.items())
        unread = tuple(sorted(self.unread.values()))
        return Usage(tuple(targets), tuple(sorted(uses)), possible, len(self.sizes), unread)

    # --- reading -----------------------------------------------------------------------------------------------

    def _holding(self, word: str) -> list[str]:
        return self.facts.holding(word, self.processes, self.progress)

    def _look(self, paths: Sequence[str], also: dict[str, list[str]], word: str) -> None:
        """Look for a word in files; `also` are more words for some of them."""
        rest = []
        for path in paths:
            known = self.facts.tokens(path, [word, *also.get(path, ())])
            if known is not None:
                self._add(path, known)
            else:
                rest.append(path)
        work = _looking(self.root, word, also)
        for path, result in each_file(rest, [self.sizes[p] for p in rest], work, self.processes, self.progress):
            if isinstance(result, tuple):
                self.unread[path] = Unread(*result)
            else:
                self.facts.keep_tokens(path, [word, *also.get(path, ())], result)
                self._add(path, result)

    def _add(self, path: str, result: Any) -> None:
        found, bound, *rest = result
        tokens = self.tokens[path] = Tokens([Token(*t) for t in found], [Bound(*b) for b in bound], *rest)
        self.world.known.setdefault(path, {}).update(tokens.exports)

    def _follow_renames(self) -> None:
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
                paths = [p for p in self._holding(name) if not self._knows(p, name) and self._takes(p, name)]
                self._look(paths, {p: self._words_of(p) for p in paths}, name)

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
        for path in sorted(self._holding(parts[0])):
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


def _looking(root: str, word: str, also: dict[str, list[str]]) -> Work:
    """What is done with a file that may hold a word: plain lists, as they are kept and sent."""
    needle = word.encode() if word.isascii() else b""

    def work(path: str) -> Any:
        data = read(root, path)
        if isinstance(data, Unread):
            return tuple(data)
        if (needle not in data and b"coding" not in data[:400]) or not word_places(plain(data), [word]):
            return None
        found = tokens_in(path, data, [word, *also.get(path, ())])
        if isinstance(found, Unread):
            return tuple(found)
        return [[tuple(t) for t in found.found], [tuple(b) for b in found.bound], *found[2:]]

    return work


def _as_module(path: str) -> str:
    """`tests.a.util` for `tests/a/util.py`, for whoever wants one of several modules that are called so."""
    return path.rpartition(".")[0].removesuffix("/__init__").replace("/", ".")


def _is_chain(term: Term) -> bool:
    while term[0] == ".":
        term = term[1]
    return term[0] in ("g", "i", "|")
