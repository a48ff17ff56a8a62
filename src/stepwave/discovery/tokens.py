"""What each occurrence of some words is in its file: a call, an import, an annotation …, and the term of what it means.

Terms, not trees, leave this module: a tree takes seventy times the memory of its text.
"""

import ast
from collections.abc import Sequence
from contextlib import suppress

from stepwave.discovery.occurrences import Occurrences, plain, word_places
from stepwave.discovery.scopes import Scope, module_scope
from stepwave.discovery.skeleton import skeleton
from stepwave.discovery.source import parse
from stepwave.discovery.terms import Term, export_terms
from stepwave.discovery.token_reader import Reader
from stepwave.discovery.token_walk import Bound, Token, Tokens
from stepwave.discovery.walk import Unread


def tokens_in(path: str, data: bytes, words: Sequence[str]) -> Tokens | Unread:
    """Look for words; and for the names that the file gives to what it imports by them, until there are no more.

    Only the parts of the file that hold one are parsed, where that will do.
    """
    text = plain(data)
    known = list(words)
    while True:
        tree = _tree(path, data, text, known)
        if isinstance(tree, Unread):
            return tree
        scope = module_scope(tree, data)
        reader = Reader(Occurrences(text, known), known, scope)
        reader.visit_all(tree.body, scope)
        renames = list(dict.fromkeys(reader.renames))
        more = [name for name in renames if name not in known]
        if not more:
            break
        known += more
    found = sorted(set(reader.found))
    claimed = {(token.line, token.offset) for token in found}
    loose = [
        (*place, "string" if reader.in_string(place) else "comment", word)
        for place, word in reader.at.places.items()
        if place not in claimed and word in words
    ]
    return Tokens(found, list(dict.fromkeys(reader.bound)), renames, loose, _exports(found, known, scope))


def _tree(path: str, data: bytes, text: bytes, words: Sequence[str]) -> ast.Module | Unread:
    """The tree of all that holds a word, or a `global` that may bind one; of the whole file where that is no less."""
    reduced = skeleton(text, [at for at, _ in word_places(text, [*words, "global"])])
    if reduced is not None:
        with suppress(UnicodeDecodeError):
            tree = parse(path, reduced.decode("utf-8"))
            if isinstance(tree, ast.Module):
                return tree
    return parse(path, data)


def _exports(found: Sequence[Token], words: Sequence[str], scope: Scope) -> dict[str, list[Term]]:
    """So much of the module's table as the terms need, so that nobody has to parse the file again for it."""
    names = dict.fromkeys(words)
    for token in found:
        _add_globals(token.term, names)
    return {name: export_terms(scope, name) for name in names}


def _add_globals(term: Term, names: dict[str, None]) -> None:
    if term and term[0] == "g":
        names[term[1]] = None
    for part in term:
        if isinstance(part, tuple):
            _add_globals(part, names)


__all__ = ["Bound", "Token", "Tokens", "tokens_in"]
