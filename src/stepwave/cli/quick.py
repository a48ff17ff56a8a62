"""A short way in for `stepwave run` as it is usually typed: importing typer takes longer than reading most workflows.

Typer stays the arbiter. What is read here is exactly what it would read, which a property test holds; whatever is in
any way unusual (help, a value that looks like an option, an option twice, a mistake) is left to it.
"""

from collections.abc import Iterator

from stepwave.cli.running import Asked

_short = {"j": "max_concurrency", "k": "keep_going", "n": "dry_run", "o": "output", "q": "quiet", "v": "verbose"}
_fields = {
    **{f"--{field.replace('_', '-')}": field for field in Asked._fields if field not in ("file", "start")},
    **{f"-{letter}": field for letter, field in _short.items()},
    "--from": "start",
    "--id": "name",
    "--ws-id": "name",
}
_choices = {
    "color": ("auto", "always", "never"),
    "board": ("full", "compact", "none"),
    "ci": ("auto", "none", "github", "gitlab"),
    "jobserver": ("auto", "both", "fifo", "pipe", "none"),
}


def spelled_out(words: list[str]) -> list[str]:
    """`run --resume` without a run means the latest one, as does `graph --run`, and `run --jobserver` every style; an
    option of typer cannot leave its value away."""
    option = {"run": "--resume", "graph": "--run"}.get(words[0] if words else "")
    if option is None:
        return words
    following = [*words[1:], ""]
    return [_spelled_out(word, after, option) for word, after in zip(words, following, strict=True)]


def _spelled_out(word: str, after: str, of_a_run: str) -> str:
    if word == of_a_run and not _is_run(after):
        return f"{word}=latest"
    if word == "--jobserver" and of_a_run == "--resume" and after not in _choices["jobserver"]:
        return f"{word}=both"
    return word


def _is_run(word: str) -> bool:
    """`20260131-142503-7f3a9c`, the beginning of it, and `latest`."""
    return word == "latest" or (word[:8].isdecimal() and len(word) >= 8 and not word.strip("0123456789abcdef-"))


def read(words: list[str]) -> Asked | None:
    """The command line `run …` without the program's name; None when typer had better look at it."""
    if not words or words[0] != "run":
        return None
    given: dict[str, object] = {}
    rest = iter(words[1:])
    for word in rest:
        if word == "-" or not word.startswith("-"):
            field, value = "file", word
        elif word == "--no-parallel":
            field, value = "parallel", ""
        else:
            name, value = _split(word)
            field = _fields.get(name, "")
        if not _take(given, field, value, rest, word):
            return None
    if not given.get("file") or any(given.get(field, all[0]) not in all for field, all in _choices.items()):
        return None
    return Asked(**given)  # type: ignore[arg-type]


def _split(word: str) -> tuple[str, str]:
    """`--timeout=5` and `-j2` hold a value; the empty text stands for none."""
    if word.startswith("--"):
        name, _, value = word.partition("=")
        return name, value
    return word[:2], word[2:]


def _take(given: dict[str, object], field: str, value: str, rest: Iterator[str], word: str) -> bool:
    """Note what a word says, with the next one where it needs a value; False when it is unusual."""
    if not field:
        return False
    default = Asked._field_defaults.get(field)
    if default is False or field == "parallel":
        if value or "=" in word or field in given:
            return False
        given[field] = word != "--no-parallel"
        return True
    if field != "file" and not value:
        value = next(rest, "") if "=" not in word else ""
        if value.startswith("-") and value != "-":
            return False
    if not value or (field in given and default != ()):
        return False
    given[field] = (*given.get(field, ()), value) if default == () else value  # type: ignore[misc]
    return True
