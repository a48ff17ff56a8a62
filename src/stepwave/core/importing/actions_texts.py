"""Texts of a workflow of GitHub Actions: what `${{ … }}` in a `run:`, an `env:` or a folder becomes."""

import re
from collections.abc import Iterator, Mapping

from stepwave.core.importing.actions_expressions import Names, github_variables, translate
from stepwave.core.importing.flow import Note, Yaml
from stepwave.core.importing.holes import Holes, Unsayable, escaped
from stepwave.core.importing.matrices import Matrix
from stepwave.core.importing.nodes import scalar_text
from stepwave.core.importing.recipe import NOTHING
from stepwave.core.importing.shebang import program_work
from stepwave.core.reading import document as tree

_expression = re.compile(r"\$\{\{((?:'(?:[^']|'')*'|[^'}]|\}(?!\}))*)\}\}", re.DOTALL)
MAX_LENGTH = 5_000
MAX_UNREADABLE = 100
"""Beginnings of expressions without an end in one text, after which all that is left is taken as it is; and notes on
one step."""
_files = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_STATE")


def known_env(node: tree.Mapping | None) -> dict[str, str]:
    """The values of an `env:` that hold no expression."""
    return dict(_known(node)) if node else {}


def _known(node: tree.Mapping) -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        text = scalar_text(value)
        if text is not None and "${{" not in text:
            yield name, text


class Texts:
    """The texts of one step. `secrets` gathers those that it asks for."""

    def __init__(self, names: Names, matrix: Matrix | None, secrets: dict[str, None]) -> None:
        self.names = names
        self.matrix = matrix
        self.secrets = secrets
        self.holes = Holes()
        self.extra: dict[str, str] = {}

    def env(self, node: tree.Mapping | None, notes: list[Note]) -> dict[str, str]:
        found = {}
        for name, value in node.items() if node else ():
            text = scalar_text(value) or ""
            secret = re.fullmatch(r"\s*\$\{\{\s*secrets\.(\w+)\s*\}\}\s*", text)
            if secret and secret[1] == name:
                self.secrets[name] = None
            else:
                found[name] = self.plain(text, value.span.line, notes)
        return found

    def plain(self, text: str, line: int, notes: list[Note]) -> str:
        """A text that no shell reads."""
        marked = self._marked(text, line, notes)
        try:
            return self.holes.plain(marked)
        except Unsayable as problem:
            notes.append(Note(line, f"`{text[:120]}`: {problem}"))
            return escaped(text)

    def work(
        self, text: str, shell: str, elsewhere: bool, env: dict[str, str], line: int, notes: list[Note]
    ) -> Mapping[str, Yaml]:
        """The keys of a step that runs the text. `env` gets what it needs besides; `elsewhere`: it has a folder."""
        text = text.strip("\n")
        if not text.strip():
            return NOTHING
        for name in _files:
            if re.search(rf"\b{name}\b", text):
                env[name] = "/dev/null"
                notes.append(
                    Note(line, f"what is written to `${name}` reaches no other step", "print it, or write a file")
                )
        marked = self._marked(text, line, notes, in_shell=True)
        env.update(self.extra)
        try:
            return self._in_shell(marked, shell.strip(), elsewhere)
        except Unsayable as problem:
            notes.append(Note(line, f"the step is not taken over: {problem}"))
            return NOTHING

    def _in_shell(self, text: str, shell: str, elsewhere: bool) -> Mapping[str, Yaml]:
        if "GITHUB_WORKSPACE" in text and not elsewhere and shell in ("", "bash", "sh"):
            text = f': "${{GITHUB_WORKSPACE:=$PWD}}"\n{text}'
        if shell in ("", "bash", "sh"):
            script = self.holes.script(text)
            if not shell and "|" in script:
                script = f"set +o pipefail\n{script}"
            script = f"{script}\n" if "\n" in script else script
            return {"run": script} if shell == "sh" else {"shell": "bash", "run": script}
        words = shell.replace("{0}", "").split()
        if words and words[0] in ("python", "python3", "perl", "ruby", "node"):
            return program_work(f"#!/usr/bin/env {' '.join(words)}\n{text}", self.holes)
        if self.holes.of(text):
            raise Unsayable(f"what only the run knows cannot be put safely into text for `{shell[:40]}`")
        if not re.fullmatch(r"[\w./+ -]+", shell) or "{0}" in shell:
            raise Unsayable(f"nobody knows how `{shell[:40]}` takes text")
        return {"shell": shell, "run": escaped(text)}

    # --- expressions --------------------------------------------------------------------------------------------------

    def _marked(self, text: str, line: int, notes: list[Note], *, in_shell: bool = False) -> str:
        """With a hole in place of each expression."""

        def hole(match: re.Match[str]) -> str:
            written = match[1].strip()
            try:
                return self._hole(written, in_shell)
            except Unsayable as problem:
                name = re.sub(r"\W+", "_", written).strip("_").upper()[:60] or "VALUE"
                name = f"_{name}" if name[0].isdigit() else name
                if len(notes) >= MAX_UNREADABLE:
                    return self.holes.variable(name)
                at = line + text.count("\n", 0, match.start()) + (1 if in_shell and "\n" in text else 0)
                what = f"`${{{{ {written[:160]} }}}}` has no equivalent ({problem})"
                notes.append(Note(at, what, f"the step reads ${name} instead: set it"))
                return self.holes.variable(name)

        parts, at, failures = [], 0, 0
        while (start := text.find("${{", at)) >= 0 and failures < MAX_UNREADABLE:
            match = _expression.match(text, start, start + MAX_LENGTH)
            failures += match is None
            parts += [text[at:start], hole(match) if match else "${{"]
            at = match.end() if match else start + 3
        return "".join((*parts, text[at:]))

    def _hole(self, written: str, in_shell: bool) -> str:  # noqa: PLR0911 - one for each kind
        made = translate(written, self.names)
        if made.asks_status:
            raise Unsayable("a text cannot ask how steps went")
        root, *rest = made.path or ("",)
        if root in ("env", "vars") and len(rest) == 1 and (in_shell or rest[0] not in self.names.env):
            return self.holes.variable(rest[0])
        if root == "env" and rest[0] in self.names.env:
            return self.names.env[rest[0]]
        if root == "github" and rest[0] in github_variables:
            return self.holes.variable(github_variables[rest[0]])
        if root == "secrets" and in_shell:
            return self.holes.variable(rest[0])
        if root == "runner" and made.text[1:-1].isalnum():
            return made.text[1:-1]
        if root == "matrix" and in_shell and self.matrix and not self.matrix.keys[rest[0]].is_word:
            name = re.sub(r"\W", "_", f"MATRIX_{rest[0]}".upper())
            self.extra[name] = f"{{{{{made.text}}}}}"
            return self.holes.variable(name)
        return self.holes.reference(made.text)
