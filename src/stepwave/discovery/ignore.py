""".gitignore (https://git-scm.com/docs/gitignore): which paths a person has told git to leave alone.

Most lines name something (`dist/`, `*.pyc`, `/out`) and are answered without `re`, which takes longer to import than
a question over a thousand files; the rest become one regular expression each, when the first path gets to them.
"""

import os
from typing import Any, NamedTuple

_MAGIC = "*?[\\"


class Rule(NamedTuple):
    """A line: `text` is compared with the name, or from `base` on with the path when it has a slash in it."""

    base: str
    text: str
    negated: bool
    folders_only: bool
    by_path: bool


class Rules:
    """The lines that hold in a folder: its own, and before them those of the folders above."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self.literal = {r.text for r in rules if _is_name(r) and not r.folders_only}
        self.folders = {r.text for r in rules if _is_name(r)}
        self._slow = tuple(r for r in rules if not _is_name(r))
        self._any_negated = any(r.negated for r in rules)
        self._patterns: dict[Rule, Any] = {}

    def extended(self, more: tuple[Rule, ...]) -> "Rules":
        return Rules(self._rules + more)

    def ignored(self, path: str, name: str, is_folder: bool) -> bool:
        """Whether the last line that speaks of a path takes it out. Its folder is taken for not ignored."""
        if not self._any_negated:
            if name in (self.folders if is_folder else self.literal):
                return True
            return any(self._speaks(rule, path, name, is_folder) for rule in self._slow)
        for rule in reversed(self._rules):
            if self._speaks(rule, path, name, is_folder):
                return not rule.negated
        return False

    def _speaks(self, rule: Rule, path: str, name: str, is_folder: bool) -> bool:
        if rule.folders_only and not is_folder:
            return False
        if not rule.by_path:
            if rule.base and not path.startswith(rule.base):
                return False
            return self._fits(rule, name)
        return path.startswith(rule.base) and self._fits(rule, path[len(rule.base) :])

    def _fits(self, rule: Rule, text: str) -> bool:
        pattern = rule.text
        if not any(mark in pattern for mark in _MAGIC):
            return text == pattern
        rest = pattern[1:]
        if not rule.by_path and pattern[0] == "*" and not any(mark in rest for mark in _MAGIC):
            return text.endswith(rest)
        compiled = self._patterns.get(rule)
        if compiled is None:
            compiled = self._patterns[rule] = _compiled(pattern)
        return compiled.fullmatch(text) is not None


def _is_name(rule: Rule) -> bool:
    """The plainest of all: a word that is compared with names everywhere."""
    return not (rule.by_path or rule.base or rule.negated) and not any(mark in rule.text for mark in _MAGIC)


def rules_of(root: str, folder: str, above: Rules | None) -> Rules | None:
    """With the .gitignore of a folder below the root added; a file that cannot be read says nothing."""
    more = _read(f"{root}/{folder}/.gitignore" if folder else f"{root}/.gitignore", f"{folder}/" if folder else "")
    if not more:
        return above
    return above.extended(more) if above else Rules(more)


def rules_above(root: str) -> Rules | None:
    """What the repository says that the root lies in: the .gitignore files of the folders above it, and its exclude."""
    here = os.path.abspath(root)  # noqa: PTH100 - pathlib is not loaded yet
    folders = [here]
    while not os.path.exists(f"{folders[-1]}/.git"):  # noqa: PTH110
        parent = os.path.dirname(folders[-1])  # noqa: PTH120
        if parent == folders[-1]:
            return None
        folders.append(parent)
    rules = _read(f"{folders[-1]}/.git/info/exclude", "", _below(folders[-1], here))
    for folder in reversed(folders[1:]):
        rules += _read(f"{folder}/.gitignore", "", _below(folder, here))
    return Rules(rules) if rules else None


def _below(folder: str, root: str) -> str:
    """The path of the root below a folder, with a slash at its end, or nothing."""
    rest = root[len(folder) :].strip("/")
    return f"{rest}/" if rest else ""


def _read(file: str, base: str, root_below: str = "") -> tuple[Rule, ...]:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as lines:  # noqa: PTH123
            text = lines.read(1 << 20)
    except OSError:
        return ()
    found = (_rule(line, base, root_below) for line in text.split("\n"))
    return tuple(rule for rule in found if rule)


def _rule(line: str, base: str, root_below: str) -> Rule | None:
    text = line.rstrip("\r")
    text = text if text.endswith("\\ ") else text.rstrip(" ")
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    text = text[negated:]
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    by_path = "/" in text
    text = text.removeprefix("/")
    if text.startswith("**/") and "/" not in text[3:]:
        text, by_path = text[3:], False
    if not text:
        return None
    if by_path and root_below:
        # Said in a folder above: it speaks of what lies below the root only when it begins with the way to it.
        if text.startswith("**/"):
            return Rule("", text, negated, folders_only, True)
        if not text.startswith(root_below):
            return None
        text = text[len(root_below) :]
    return Rule(base, text, negated, folders_only, by_path)


def _compiled(pattern: str) -> Any:
    """A pattern of git as a regular expression over a path, or a name."""
    import re

    try:
        return re.compile("".join(_translated(pattern)), re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))


def _translated(pattern: str) -> list[str]:
    import re

    parts: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            parts.append("(?:[^/]+/)*")
            at += 3
        elif pattern.startswith("/**", at) and at + 3 == len(pattern):
            parts.append("/.+")
            at += 3
        elif pattern[at] == "*":
            while pattern.startswith("*", at):
                at += 1
            parts.append("[^/]*")
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\")
            parts.append(f"[{'^' + inside[1:] if inside[0] in '!^' else inside}]")
            at = end + 1
        else:
            at += pattern[at] == "\\" and at + 1 < len(pattern)
            parts.append("[^/]" if pattern[at] == "?" and pattern[at - 1 : at] != "\\" else re.escape(pattern[at]))
            at += 1
    return parts
