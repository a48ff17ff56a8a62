r"""Texts of which a part is known only when the step runs: what a command prints, a variable of the environment, a
reference of a workflow.

Such a part is a *hole*, one character that no source has. So texts with holes can be cut, joined and replaced like any
other, and only in the end is it asked what must stand there: `'$(X)'` of a Makefile is text between single quotes, in
which a shell expands nothing, and becomes `'"${X}"'`.

Rule 1: what the source wrote reaches the shell as it was: `{{` is written `\{{`. In a camelCase file nothing else is
        filled in.
Rule 2: a hole that cannot be expressed where it stands raises `Unsayable`; it is never dropped.
"""

import re
from enum import Enum
from typing import NamedTuple

from stepwave.core.language.shell_quoting import MARK, Quoting, refusals, spots

_first, _last = 0xF0000, 0xFFFFD
_is_hole = re.compile(f"[{chr(_first)}-{chr(_last)}]")
MAX_NESTED = 20


class Unsayable(Exception):  # noqa: N818 - the source is fine
    """There is no way to write this in a workflow; the text says why, a lower-case sentence."""


class Kind(Enum):
    COMMAND = "command"
    VARIABLE = "variable"
    REFERENCE = "reference"


class Hole(NamedTuple):
    """`text` is shell text (which may have holes), the name of a variable, or an expression."""

    kind: Kind
    text: str


def escaped(text: str) -> str:
    """Text of the source as it has to stand in a workflow file to mean itself."""
    return text.replace("{{", r"\{{")


def uses_private_characters(text: str) -> bool:
    return _is_hole.search(text) is not None


class Holes:
    """The holes of one source. Equal ones are one."""

    def __init__(self) -> None:
        self._holes: list[Hole] = []
        self._known: dict[Hole, str] = {}

    def command(self, text: str) -> str:
        return self._add(Hole(Kind.COMMAND, text))

    def variable(self, name: str) -> str:
        return self._add(Hole(Kind.VARIABLE, name))

    def reference(self, expression: str) -> str:
        return self._add(Hole(Kind.REFERENCE, expression))

    def _add(self, hole: Hole) -> str:
        if hole not in self._known:
            if len(self._holes) > _last - _first:
                raise Unsayable("there are too many parts that only a run can know")
            self._known[hole] = chr(_first + len(self._holes))
            self._holes.append(hole)
        return self._known[hole]

    def of(self, text: str) -> list[Hole]:
        """Those in a text, in order."""
        return [self._holes[ord(char) - _first] for char in _is_hole.findall(text)]

    def commands_in(self, text: str) -> list[str]:
        return [hole.text for hole in self.of(text) if hole.kind is Kind.COMMAND]

    def without_variables(self, text: str) -> str:
        """With nothing in place of the variables of the environment, as where it has none of them."""
        return _is_hole.sub(lambda m: "" if self._at(m[0]).kind is Kind.VARIABLE else m[0], text)

    def script(self, text: str, depth: int = 0) -> str:
        """As shell text of a step. Raises Unsayable."""
        if depth > MAX_NESTED:
            raise Unsayable(f"commands are nested more than {MAX_NESTED} levels deep")
        if not _is_hole.search(text):
            return escaped(text)
        where = iter(spots(_is_hole.sub(MARK, text)))
        parts, end = [], 0
        for match in _is_hole.finditer(text):
            before = text[end : match.start()]
            hole, spot = self._at(match[0]), next(where)
            if spot.quoting in refusals:
                raise Unsayable(refusals[spot.quoting].replace("reference", "value that only the run knows"))
            if hole.kind is Kind.REFERENCE and before.endswith("\\"):
                raise Unsayable("a backslash stands before a value that only the run knows")
            parts += [escaped(before), self._in_shell(hole, spot.quoting, depth)]
            end = match.end()
        return "".join(parts) + escaped(text[end:])

    def _in_shell(self, hole: Hole, quoting: Quoting, depth: int) -> str:
        if hole.kind is Kind.REFERENCE:
            return f"{{{{{hole.text}}}}}"
        inner = f"${{{hole.text}}}" if hole.kind is Kind.VARIABLE else f"$({self.script(hole.text, depth + 1)})"
        return f"'\"{inner}\"'" if quoting is Quoting.SINGLE else inner

    def plain(self, text: str) -> str:
        """As a text that no shell reads: a folder, a value of `env`. Raises Unsayable for what a command prints."""
        parts, end = [], 0
        for match in _is_hole.finditer(text):
            before, hole = text[end : match.start()], self._at(match[0])
            if hole.kind is Kind.COMMAND:
                raise Unsayable("what a command prints can stand only in the text of a step")
            if before.endswith("\\"):
                raise Unsayable("a backslash stands before a value that only the run knows")
            expression = hole.text if hole.kind is Kind.REFERENCE else f"default(env.{hole.text}, '')"
            parts += [escaped(before), f"{{{{{expression}}}}}"]
            end = match.end()
        return "".join(parts) + escaped(text[end:])

    def shown(self, text: str) -> str:
        """For a note: roughly as it was written."""
        return _is_hole.sub(lambda m: self._told(self._at(m[0])), text)

    def _told(self, hole: Hole) -> str:
        if hole.kind is Kind.COMMAND:
            return f"$({_is_hole.sub('…', hole.text)})"
        return f"${hole.text}" if hole.kind is Kind.VARIABLE else f"{{{{{hole.text}}}}}"

    def _at(self, char: str) -> Hole:
        return self._holes[ord(char) - _first]
