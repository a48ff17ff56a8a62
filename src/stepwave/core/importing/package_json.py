"""Scripts of a package.json → a workflow. A script that only calls others becomes those, in the order and the width
that it asks for; any other is shell text, as npm takes it.

Rule 1: only plain calls are taken apart: `npm run x && npm run y`, run-s, run-p, npm-run-all, concurrently. What has
        anything else in it stays text, and the tool that it calls does its work as before.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stepwave.core.importing.flow import (
    MAX_STEPS,
    Asked,
    Flow,
    Ids,
    Note,
    Refused,
    Step,
    Surroundings,
    bad_source,
    too_large,
    unknown_target,
)
from stepwave.core.importing.holes import Holes, escaped
from stepwave.core.importing.recipe import Form, Line, form_of, work_of
from stepwave.core.reading import document as tree
from stepwave.core.reading.document import Syntax
from stepwave.core.text import plural

MAX_DEPTH = 40


class Shell(NamedTuple):
    """Text for the shell."""

    text: str


class Script(NamedTuple):
    """A call of another script, with further words."""

    name: str
    words: tuple[str, ...] = ()


class Together(NamedTuple):
    """Parts that run side by side."""

    parts: tuple["Part", ...]


class InOrder(NamedTuple):
    parts: tuple["Part", ...]


Part = Shell | Script | Together | InOrder


def import_package(text: str, asked: Asked, around: Surroundings) -> Flow:
    """Raises `flow.Refused`."""
    root = _root(text, asked.path)
    scripts = _scripts(root, asked.path)
    wanted = asked.wanted or _default(scripts)
    maker = _Maker(asked, root, scripts)
    ends: tuple[str, ...] = ()
    for name in wanted:
        if name not in scripts:
            raise unknown_target("script", name, list(scripts))
        ends = maker.run(Script(name), ends, ())
    keys = {"env": {"PATH": "node_modules/.bin:{{default(env.PATH, '/usr/bin:/bin')}}"}}
    others = tuple(name for name in scripts if name not in maker.called and not _is_hook(name, scripts))
    taken = f"script {', '.join(wanted)} with {plural(len(maker.steps), 'step')}"
    named = root.get("name")
    title = f"{named.value} " if isinstance(named, tree.Scalar) and isinstance(named.value, str) else ""
    return Flow(escaped(title + " ".join(wanted)), tuple(maker.steps), keys, (), (), taken, others)


def _root(text: str, path: str) -> tree.Mapping:
    from stepwave.core.diagnostics import Severity
    from stepwave.core.reading.parse import parse

    document, found = parse(text.encode("utf-8", "surrogatepass"), path, Syntax.JSON)
    if document is None:
        raise Refused(next(one for one in found if one.severity is Severity.ERROR))
    if not isinstance(document.root, tree.Mapping):
        raise bad_source(path, 1, "a package.json is an object")
    return document.root


def _scripts(root: tree.Mapping, path: str) -> Mapping[str, tuple[str, int]]:
    """The text of each script, and its line."""
    node = root.get("scripts")
    found = {}
    if isinstance(node, tree.Mapping):
        for name, value in node.items():
            if isinstance(value, tree.Scalar) and isinstance(value.value, str) and value.value.strip():
                found[name] = (value.value, value.span.line)
    if not found:
        raise bad_source(path, 1, "there are no `scripts` in it", "only scripts can become steps")
    return found


def _default(scripts: Mapping[str, object]) -> tuple[str, ...]:
    return (next((name for name in ("build", "test", "start") if name in scripts), next(iter(scripts))),)


def _is_hook(name: str, scripts: Mapping[str, object]) -> bool:
    return any(name.startswith(hook) and name.removeprefix(hook) in scripts for hook in ("pre", "post"))


class _Maker:
    """From calls to steps. What it returns are the ids that whoever comes next waits for."""

    def __init__(self, asked: Asked, root: tree.Mapping, scripts: Mapping[str, tuple[str, int]]) -> None:
        self.asked = asked
        self.root = root
        self.scripts = scripts
        self.ids = Ids()
        self.steps: list[Step] = []
        self.called: set[str] = set()
        self.holes = Holes()

    def run(self, part: Part, after: tuple[str, ...], within: tuple[str, ...]) -> tuple[str, ...]:
        if isinstance(part, Together):
            ends = [self.run(one, after, within) for one in part.parts]
            return tuple(dict.fromkeys(end for one in ends for end in one))
        if isinstance(part, InOrder):
            for one in part.parts:
                after = self.run(one, after, within)
            return after
        if isinstance(part, Shell):
            return self._step(within[-1], part.text, after, ())
        for name in (f"pre{part.name}", part.name, f"post{part.name}"):
            if name in self.scripts:
                words = part.words if name == part.name else ()
                after = self._script(name, words, after, within)
        return after

    def _script(
        self, name: str, words: tuple[str, ...], after: tuple[str, ...], within: tuple[str, ...]
    ) -> tuple[str, ...]:
        self.called.add(name)
        text, line = self.scripts[name]
        text = " ".join((text, *map(shlex.quote, words))).strip()
        if name in within or len(within) >= MAX_DEPTH:
            note = Note(line, f"script `{name}` calls itself, and is left to npm from here on")
            return self._step(name, f"npm run {shlex.quote(name)}", after, (note,))
        return self.run(parts_of(text, self.scripts), after, (*within, name))

    def _step(self, script: str, text: str, after: tuple[str, ...], notes: tuple[Note, ...]) -> tuple[str, ...]:
        if len(self.steps) >= MAX_STEPS:
            raise too_large(self.asked.path, f"it would become more than {MAX_STEPS:,} steps")
        env, more = self._npm_variables(script, text)
        lines = [Line(text)]
        if re.search(r"\b(cd|pushd)\s", text):
            lines = [Line('PATH="$PWD/node_modules/.bin:$PATH"; ' + text)]
        work = work_of(lines, self.holes)
        id = self.ids.make(script.replace(":", "-"))
        name = escaped(script)
        self.steps.append(Step(id, work, after, name, env=env, notes=(*notes, *more)))
        return (id,)

    def _npm_variables(self, script: str, text: str) -> tuple[dict[str, str], list[Note]]:
        """What npm puts into the environment, as far as the script asks for it."""
        env, notes = {}, []
        for name in dict.fromkeys(re.findall(r"\bnpm_\w+|\bINIT_CWD\b", text)[:100]):
            value = self._known(name, script)
            if value is None:
                notes.append(Note(self.scripts[script][1], f"`{name}` is set by npm alone", "set it in `env:`"))
            else:
                env[name] = escaped(value)
        return env, notes

    def _known(self, name: str, script: str) -> str | None:
        if name == "npm_lifecycle_event":
            return script
        if not name.startswith("npm_package_"):
            return None
        node: tree.Node | None = self.root
        for key in name.removeprefix("npm_package_").split("_"):
            node = node.get(key) if isinstance(node, tree.Mapping) else None
        return node.text if isinstance(node, tree.Scalar) else None


# --- what a script calls ----------------------------------------------------------------------------------------------


def parts_of(text: str, scripts: Mapping[str, object]) -> Part:
    """What the text of a script asks for."""
    form = form_of(text)
    if form not in (Form.SIMPLE, Form.LAST):
        return Shell(text)
    pieces = _pieces(text)
    if pieces is None or any(form_of(piece) is not Form.SIMPLE for piece in pieces):
        return Shell(text)
    parts = [_call(piece, scripts) for piece in pieces]
    if all(isinstance(part, Shell) for part in parts):
        return Shell(text)
    joined: list[Part] = []
    for part in parts:  # what is text stays together
        if isinstance(part, Shell) and joined and isinstance(joined[-1], Shell):
            joined[-1] = Shell(f"{joined[-1].text} && {part.text}")
        else:
            joined.append(part)
    return joined[0] if len(joined) == 1 else InOrder(tuple(joined))


_token = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|&&|\|\||[|<>`$]|[^'"\\&|<>`$]+|.""", re.DOTALL)


def _pieces(text: str) -> list[str] | None:
    """The text cut at `&&`; None where there is a `||`."""
    pieces = [""]
    for match in _token.finditer(text):
        if match[0] == "&&":
            pieces.append("")
        elif match[0] == "||":
            return None
        else:
            pieces[-1] += match[0]
    return [piece.strip() for piece in pieces]


def _call(text: str, scripts: Mapping[str, object]) -> Part:
    if re.search(r"[|<>`$*?~]", re.sub(r"'[^']*'", "", text)) and not re.match(r"(npm-run-all|run-[sp])\b", text):
        return Shell(text)
    try:
        words = shlex.split(text)
    except ValueError:
        return Shell(text)
    program = words[0] if words else ""
    found: Part | None = None
    if program in ("npm", "yarn", "pnpm"):
        found = _package_manager(program, words[1:], scripts)
    elif program in ("run-s", "run-p", "npm-run-all", "npm-run-all2"):
        found = _run_all(program, words[1:], scripts)
    elif program == "concurrently":
        found = _concurrently(words[1:], scripts)
    return found or Shell(text)


_own_commands = {"npm": ("test", "t", "start", "stop", "restart")}


def _package_manager(program: str, words: Sequence[str], scripts: Mapping[str, object]) -> Script | None:
    words = [word for n, word in enumerate(words) if word not in ("-s", "--silent") or "--" in words[:n]]
    if words and words[0] in ("run", "run-script"):
        words = words[1:]
    elif not words or (program == "npm" and words[0] not in _own_commands["npm"]):
        return None
    name, *more = words or [""]
    name = "test" if name == "t" and program == "npm" else name
    if more and more[0] == "--":
        more = more[1:]
    elif more:
        return None
    return Script(name, tuple(more)) if name in scripts else None


_harmless = ("-l", "--print-label", "-n", "--print-name", "--silent", "--aggregate-output")


def _run_all(program: str, words: Sequence[str], scripts: Mapping[str, object]) -> Part | None:
    """Groups of scripts, one group after the other. `{@}` behind a name is what follows `--`."""
    words, given = _cut(words)
    side_by_side = program == "run-p"
    groups: list[tuple[bool, list[Part]]] = [(side_by_side, [])]
    for word in words:
        if word in ("-p", "--parallel", "-s", "--serial", "--sequential") and program.startswith("npm-run-all"):
            groups.append((word in ("-p", "--parallel"), []))
        elif word.startswith("-"):
            if word not in _harmless:
                return None
        else:
            pattern, _, more = word.partition(" ")
            names = _matching(pattern, scripts)
            if not names or more not in ("", "{@}"):
                return None
            groups[-1][1].extend(Script(name, given if more else ()) for name in names)
    made: list[Part] = [Together(tuple(ones)) if wide else InOrder(tuple(ones)) for wide, ones in groups if ones]
    return InOrder(tuple(made)) if made else None


def _cut(words: Sequence[str]) -> tuple[Sequence[str], tuple[str, ...]]:
    """What stands before `--`, and what behind it."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], tuple(words[at + 1 :])


def _matching(pattern: str, scripts: Mapping[str, object]) -> list[str]:
    """`build:*` is all scripts with one more part, `build:**` with any number of them."""
    if "*" not in pattern:
        return [pattern] if pattern in scripts else []
    regex = re.escape(pattern).replace(r"\*\*", ".+").replace(r"\*", "[^:]+")
    return [name for name in scripts if re.fullmatch(regex, name)] if pattern.count("*") <= 4 else []


def _concurrently(words: Sequence[str], scripts: Mapping[str, object]) -> Part | None:
    parts: list[Part] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word in ("-n", "--names", "-c", "--prefix-colors", "-p", "--prefix") and waiting:
            waiting.pop(0)
        elif word in ("--raw", "-r", "--no-color", "-g", "--group"):
            continue
        elif word.startswith("-"):
            return None
        elif word.startswith(("npm:", "yarn:", "pnpm:")):
            names = _matching(word.partition(":")[2], scripts)
            if not names:
                return None
            parts += [Script(name) for name in names]
        else:
            parts.append(parts_of(word, scripts))
    return Together(tuple(parts)) if parts else None
