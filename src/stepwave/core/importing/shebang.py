"""A script that names its interpreter in its first line, as the work of a step."""

import re
from collections.abc import Mapping

from stepwave.core.importing.flow import Yaml
from stepwave.core.importing.holes import Holes, Unsayable, escaped

_takes_text = {
    "sh": "-c", "bash": "-c", "dash": "-c", "zsh": "-c", "ksh": "-c", "fish": "-c", "python": "-c", "python3": "-c",
    "node": "-e", "perl": "-e", "ruby": "-e", "deno": "eval",
}  # fmt: skip
_shells = frozenset(("sh", "bash", "dash", "zsh", "ksh"))


def program_work(text: str, holes: Holes) -> Mapping[str, Yaml]:
    """The keys of a step that runs it; `text` begins with `#!`. Raises Unsayable."""
    first, _, body = text.partition("\n")
    words = first.removeprefix("#!").split()
    if words and words[0].rpartition("/")[2] == "env":
        words = [word for word in words[1:] if word != "-S"]
    if not words:
        raise Unsayable("its first line names no program")
    if any(map(holes.of, words)):
        raise Unsayable("its interpreter is known only to the run")
    name = words[0].rpartition("/")[2]
    if holes.of(text) and name not in _shells:
        raise Unsayable(f"what only the run knows cannot be put safely into text for {name[:40]}")
    body = body.rstrip()
    body += "\n" if "\n" in body else ""
    script = holes.script(body) if name in _shells else escaped(body)
    flag = _takes_text.get(re.sub(r"[0-9.]+$", "", name) if name.startswith("python") else name)
    if flag and not any("=" in word for word in words):
        return {"command": (*words, flag, script)}
    return {"run": _through_file(text, holes)}


def _through_file(text: str, holes: Holes) -> str:
    """Of other programs nobody knows how they take text: written to a file, which is then run."""
    mark = "END_OF_SCRIPT"
    while mark in text:
        mark += "_"
    head = "file=$(mktemp)\ntrap 'rm -f \"$file\"' EXIT\n"
    return f'{head}cat > "$file" <<\'{mark}\'\n{escaped(text.rstrip())}\n{mark}\nchmod +x "$file"\n"$file"\n'
