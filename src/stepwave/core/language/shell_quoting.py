"""Where a position in shell text stands: between words, in quotes, in a comment, in a here-document …

Knows what POSIX shells and bash share. A mistake here can split a value into words at worst: what is put into the
text is always the name of an environment variable, never its value, so a value cannot become a command.
"""

import re
from enum import Enum
from typing import NamedTuple

MARK = "\0"
"""Stands for a value in the text; no shell text can hold this character itself."""


class Quoting(Enum):
    BARE = "between words"
    DOUBLE = "in double quotes, or a here-document that expands"
    SINGLE = "in single quotes"
    RAW_HERE = "in a here-document whose delimiter is quoted"
    ANSI = "in $'…'"
    AFTER_DOLLAR = "right after a dollar sign"


class Spot(NamedTuple):
    """`number`: the shell does arithmetic with what stands here; bash even runs commands in it (`a[$(…)]`)."""

    quoting: Quoting
    number: bool = False


forms = {Quoting.BARE: '"${%s}"', Quoting.DOUBLE: "${%s}", Quoting.SINGLE: "'\"${%s}\"'"}
"""How a variable is expanded there, as one word whatever it holds."""
refusals = {
    Quoting.RAW_HERE: "a here-document with a quoted delimiter expands nothing, so no reference can stand in it",
    Quoting.ANSI: "a reference cannot stand in $'…', which expands nothing",
    Quoting.AFTER_DOLLAR: "a reference cannot stand right after `$`",
}


def spots(text: str) -> list[Spot]:
    """Where each `MARK` in the text stands, in order."""
    scanner = _Scanner(text)
    found = scanner.run()
    return [_with_comparison(text, spot, at) for spot, at in zip(found, scanner.places, strict=True)]


_compared_before = re.compile(r"-(?:eq|ne|lt|le|gt|ge)\s+[\"']?$")
_compared_after = re.compile(r"[\"']?\s+-(?:eq|ne|lt|le|gt|ge)\b")


def _with_comparison(text: str, spot: Spot, at: int) -> Spot:
    """`[[ x -eq 3 ]]` is arithmetic too."""
    compared = _compared_before.search(text[max(0, at - 20) : at]) or _compared_after.match(text, at + 1)
    return spot._replace(number=True) if compared else spot


class _Kind(Enum):
    CODE = "code"
    DOUBLE = "double"
    SINGLE = "single"
    ANSI = "ansi"
    BRACE = "brace"
    ARITHMETIC = "arithmetic"
    HERE = "here"


class _Frame:
    """One level of nesting. `closer` ends CODE: `)`, a backtick, `esac`, or the end of the text.

    A here-document has a `delimiter`, and `tabs` when they are taken off its lines.
    """

    __slots__ = ("closer", "delimiter", "kind", "parens", "quoted", "start", "tabs")

    def __init__(self, kind: _Kind, closer: str = "", quoted: bool = False, start: int = 0) -> None:
        self.kind = kind
        self.closer = closer
        self.quoted = quoted
        self.start = start
        self.delimiter = ""
        self.tabs = False
        self.parens = 0


_plain = {
    _Kind.CODE: re.compile(r"[^\s\\'\"`$()<;&|\0]+"),
    _Kind.DOUBLE: re.compile(r"[^\\\"`$\0]+"),
    _Kind.SINGLE: re.compile(r"[^'\0]+"),
    _Kind.ANSI: re.compile(r"[^\\'\0]+"),
    _Kind.BRACE: re.compile(r"[^\\'\"`$}\0]+"),
    _Kind.ARITHMETIC: re.compile(r"[^\\'\"`$()\0]+"),
    _Kind.HERE: re.compile(r"[^\\`$\n\0]+"),
}
_here_document = re.compile(r"<<(-?)[ \t]*((?:'[^'\n\0]*'|\"[^\"\n\0]*\"|\\[^\0]|[^\s;&|<>()'\"\\\0])+)")
_command_begins = re.compile(r"(?:^|[;&|(){`!\n]|\b(?:then|do|else))[ \t]*$")
_takes_word = re.compile(r"(?:\w+|[@*])(?:\[[@*0-9]*\])?(?::?[-=?+]|[#%/^,])")
_takes_pattern = re.compile(r"(?:\w+|[@*])(?:\[[@*0-9]*\])?[#%/^,]")
_subscript = re.compile(r"[A-Za-z_]\w*\[[\"']?$")


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.stack = [_Frame(_Kind.CODE)]
        self.pending: list[_Frame] = []
        self.found: list[Spot] = []
        self.places: list[int] = []

    def run(self) -> list[Spot]:
        special = {_Kind.CODE: self._code, _Kind.HERE: self._here, _Kind.ARITHMETIC: self._arithmetic}
        while self.pos < len(self.text):
            kind = self.stack[-1].kind
            if kind is _Kind.HERE and self._line_of_here():
                continue
            plain = _plain[kind].match(self.text, self.pos)
            if plain:
                self._word(plain)
            elif self.text[self.pos] == MARK:
                self._mark()
            elif kind in special:
                special[kind](self.text[self.pos])
            else:
                self._quoted(self.text[self.pos])
        return self.found

    # --- what stands where ---------------------------------------------------------------------------

    def _mark(self) -> None:
        frame = self.stack[-1]
        number = self._computes()
        if frame.kind is _Kind.CODE:
            quoting = Quoting.BARE
        elif frame.kind is _Kind.BRACE:
            pattern = _takes_pattern.match(self.text, frame.start, self.pos)  # quoted, or `*` would mean anything
            quoting = Quoting.DOUBLE if (frame.quoted and not pattern) or number else Quoting.BARE
        elif frame.kind in (_Kind.SINGLE, _Kind.ANSI):
            quoting = Quoting[frame.kind.name]
        else:
            quoting = Quoting.DOUBLE
        self._spot(quoting, number)

    def _computes(self) -> bool:
        """Whether the shell works out a number from what stands here: `$((…))`, `${a[…]}`, `${a:…}`, `a[…]=`."""
        if _subscript.search(self.text[max(0, self.pos - 80) : self.pos]):
            return True
        for frame in reversed(self.stack):
            if frame.kind is _Kind.ARITHMETIC:
                return True
            if frame.kind is _Kind.BRACE and not _takes_word.match(self.text, frame.start, self.pos):
                return True
            if frame.kind in (_Kind.CODE, _Kind.HERE):
                break
        return False

    def _spot(self, quoting: Quoting, number: bool = False) -> None:
        self.found.append(Spot(quoting, number))
        self.places.append(self.pos)
        self.pos += 1

    # --- moving on -------------------------------------------------------------------------------------

    def _push(self, kind: _Kind, length: int, closer: str = "", quoted: bool = False) -> None:
        self.pos += length
        self.stack.append(_Frame(kind, closer, quoted, self.pos))

    def _pop(self, length: int = 1) -> None:
        self.pos += length
        if len(self.stack) > 1:
            self.stack.pop()

    def _escape(self) -> None:
        self.pos += 1 if self.text.startswith(MARK, self.pos + 1) else 2

    def _dollar(self, quoted: bool) -> None:
        after = self.text[self.pos + 1 : self.pos + 2]
        if self.text.startswith("$((", self.pos):
            self._push(_Kind.ARITHMETIC, 3)
        elif after == "(":
            self._push(_Kind.CODE, 2, ")")
        elif after == "{":
            self._push(_Kind.BRACE, 2, quoted=quoted)
        elif after == "'" and not quoted:
            self._push(_Kind.ANSI, 2)
        elif after == MARK:
            self.pos += 1
            self._spot(Quoting.AFTER_DOLLAR)
        else:
            self.pos += 2 if after == "$" else 1

    def _shared(self, char: str, quoted: bool) -> None:
        """What means the same in every place that expands anything."""
        if char == "\\":
            self._escape()
        elif char == "$":
            self._dollar(quoted)
        elif char == "`":
            self._push(_Kind.CODE, 1, "`")
        elif char == '"':
            self._push(_Kind.DOUBLE, 1)
        elif char == "'" and not quoted:
            self._push(_Kind.SINGLE, 1)
        else:
            self.pos += 1

    # --- one character in each kind of place -------------------------------------------------------------

    def _code(self, char: str) -> None:
        frame = self.stack[-1]
        if char == frame.closer:
            self._pop()
        elif char == "(" and self.text.startswith("((", self.pos):
            self._push(_Kind.ARITHMETIC, 2)
        elif char == "(":
            self._push(_Kind.CODE, 1, ")")
        elif char == "<":
            self._redirection()
        elif char == "\n":
            self.pos += 1
            self.stack.extend(reversed(self.pending))
            self.pending = []
        else:
            self._shared(char, quoted=False)

    def _word(self, plain: re.Match[str]) -> None:
        """A run of plain characters; in code it may be a comment, or `case`, whose patterns end in `)`."""
        word, before = plain[0], self.text[max(0, self.pos - 40) : self.pos]
        in_code = self.stack[-1].kind is _Kind.CODE
        if in_code and word[0] == "#" and (not before or before[-1] in " \t\n;&|()`"):
            self._comment()
            return
        self.pos = plain.end()
        if in_code and word in ("case", "esac") and _command_begins.search(before):
            if word == "case":
                self._push(_Kind.CODE, 0, "esac")
            elif self.stack[-1].closer == "esac":
                self._pop(0)

    def _comment(self) -> None:
        end = self.text.find("\n", self.pos)
        end = len(self.text) if end < 0 else end
        while self.pos < end:
            if self.text[self.pos] == MARK:
                self._spot(Quoting.DOUBLE)
            else:
                self.pos += 1

    def _redirection(self) -> None:
        here = None if self.text.startswith("<<<", self.pos) else _here_document.match(self.text, self.pos)
        if not here:
            self.pos += 3 if self.text.startswith("<<<", self.pos) else 1
            return
        frame = _Frame(_Kind.HERE)
        frame.delimiter, marks = re.subn(r"['\"\\]", "", here[2])
        frame.quoted, frame.tabs = marks > 0, bool(here[1])
        self.pending.append(frame)
        self.pos = here.end()

    def _line_of_here(self) -> bool:
        """At the start of a line: the delimiter ends the document; a quoted document is read line by line."""
        frame = self.stack[-1]
        if self.text[self.pos - 1] != "\n":
            return False
        end = self.text.find("\n", self.pos)
        end = len(self.text) if end < 0 else end
        line = self.text[self.pos : end]
        if (line.lstrip("\t") if frame.tabs else line) == frame.delimiter:
            self._pop(len(line) + 1)
            return True
        if frame.quoted:
            self.found += [Spot(Quoting.RAW_HERE)] * line.count(MARK)
            self.places += [self.pos + n for n, char in enumerate(line) if char == MARK]
            self.pos = end + 1
        return frame.quoted

    def _here(self, char: str) -> None:
        if char == "\n":
            self.pos += 1
        else:
            self._shared(char, quoted=True)

    def _arithmetic(self, char: str) -> None:
        frame = self.stack[-1]
        if char == "(":
            frame.parens += 1
            self.pos += 1
        elif char == ")" and frame.parens:
            frame.parens -= 1
            self.pos += 1
        elif char == ")" and self.text.startswith("))", self.pos):
            self._pop(2)
        elif char == ")":  # it was no arithmetic, but a subshell in a subshell
            frame.kind, frame.closer = _Kind.CODE, ")"
            self.pos += 1
        else:
            self._shared(char, quoted=False)

    def _quoted(self, char: str) -> None:
        frame = self.stack[-1]
        closers = {_Kind.DOUBLE: '"', _Kind.SINGLE: "'", _Kind.ANSI: "'", _Kind.BRACE: "}"}
        if char == closers[frame.kind]:
            self._pop()
        elif frame.kind is _Kind.ANSI:
            self._escape()
        else:
            self._shared(char, quoted=frame.kind is _Kind.DOUBLE or frame.quoted)
