"""Profiles: what an agent or a tool is carried out by. `agents: {reviewer: {command: review, args: [--fast]}}`.

Where two of them have one name, the first of these counts: the file of `--tools`, the workflow itself, a file of tools
beside it, those that come with stepwave. In each of them `agent:` looks among the agents first, `tool:` among the
tools.

Rule 1  All profiles of the workflow itself are read, used or not. Of other files only those are that a step names: what
        is wrong with the rest of them is no concern of this workflow.
Rule 2  `{{prompt}}`, `{{tasks}}` and `{{parameters}}` stay in the texts; they are filled in when the step starts.
"""

from collections.abc import Iterator
from collections.abc import Mapping as Map
from typing import NamedTuple

from stepwave.core.building import commands
from stepwave.core.building.command import reference_spans, stdin_of
from stepwave.core.building.fields import (
    Found,
    Given,
    Reading,
    gather,
    is_missed,
    is_null,
    one,
    quoted,
    text,
    wrong_type,
)
from stepwave.core.building.fields_many import arguments, environment, template
from stepwave.core.building.fields_units import duration
from stepwave.core.building.means import Shelf
from stepwave.core.model import Stdin
from stepwave.core.model import nothing as empty
from stepwave.core.reading import keys
from stepwave.core.reading.document import Mapping, Scalar, Sequence, kind
from stepwave.core.text import one_line

PROMPT = Stdin(text="{{prompt}}")
"""What an agent reads, unless its profile says otherwise."""

KNOWN = frozenset(("prompt", "tasks", "parameters"))
"""Names that stand for something in the texts of a profile."""

SECTIONS = ("agents", "tools")


class Profile(NamedTuple):
    """How an agent is started. The fields are those of a `Step`; None is: as for any other step.

    `timeout_s` 0 is no limit.
    """

    argv: tuple[str, ...]
    env: Map[str, str | None] = empty
    stdin: Stdin | None = PROMPT
    cwd: str | None = None
    timeout_s: float | None = None
    success_pattern: str | None = None
    failure_pattern: str | None = None


Section = Map[str, Profile | None]
"""Profiles by name; None for one that cannot be read, which has been told."""

Own = Map[str, Section]
"""The profiles of the workflow itself: `agents` and `tools`."""


class Match(NamedTuple):
    """What stands under a name. `profile` is None where it cannot be read; `absent`: its program is not installed."""

    profile: Profile | None
    absent: bool = False


# --- looking one up --------------------------------------------------------------------------------------------------


def find_profile(r: Reading, own: Own, section: str, name: str) -> Match | None:
    """The profile of this name, its texts checked; None: there is none. `section` is the one to look in first."""
    order = sorted(SECTIONS, key=lambda each: each != section)
    above = (shelf for shelf in r.means.shelves if shelf.above)
    below = (shelf for shelf in r.means.shelves if not shelf.above)
    for shelf in above:
        if found := _on_shelf(r, shelf, order, name):
            return found
    for each in order:
        if name in own.get(each, empty):
            return Match(own[each][name])
    for shelf in below:
        if found := _on_shelf(r, shelf, order, name):
            return found
    return None


def names_of(r: Reading, own: Own) -> list[str]:
    """The names of all profiles that are known."""
    shelved = (mapping.entries for shelf in r.means.shelves for mapping in sections_of(shelf).values())
    return [name for names in (*own.values(), *shelved) for name in names]


def _on_shelf(r: Reading, shelf: Shelf, order: list[str], name: str) -> Match | None:
    sections = sections_of(shelf)
    for section in order:
        mapping = sections.get(section)
        node = mapping.get(name) if mapping else None
        if mapping is not None and node is not None:
            profile = _shelved(r, shelf, Given(name, node, mapping.keys[name]))
            return Match(profile, _is_absent(shelf, profile))
    return None


def _is_absent(shelf: Shelf, profile: Profile | None) -> bool:
    return profile is not None and shelf.absent is not None and profile.argv[0] in shelf.absent


def _shelved(r: Reading, shelf: Shelf, given: Given) -> Profile | None:
    """A profile of another file, for any workflow: it may speak of variables and the environment, but of no step."""
    place = shelf.document.place(given.span)
    if place not in r.shelved:
        from stepwave.core.building.graph import Graph
        from stepwave.core.building.references import check_references

        other = r.beside(shelf.document, None, dollar=r.dollar, base="")
        r.shelved[place] = _profile(other, given)
        check_references([other], Graph({}, {}, {}, {}, sound=False), r.scope.variables)
    return r.shelved[place]  # type: ignore[return-value]


# --- the workflow's own ----------------------------------------------------------------------------------------------


def own_profiles(r: Reading, found: Found, around: Own = empty) -> Own:
    """Those under `agents` and `tools`, laid over those of the file `around` it."""
    own: dict[str, Section] = dict(around)
    for name in SECTIONS:
        section = one(r, found, name, _section)
        if section is not None:
            own[name] = {**own.get(name, empty), **section}
    return own


def _section(r: Reading, given: Given) -> Section | None:
    if not isinstance(given.node, Mapping):
        help = f"write `{given.key}: {{NAME: {{command: …}}}}`"
        wrong_type(r, given, "a mapping from names to profiles", help)
        return None
    return {name: _profile(r, inner) for name, inner in _entries(given.node, f"{given.key}.")}


def _entries(mapping: Mapping, prefix: str) -> Iterator[tuple[str, Given]]:
    for name, node in mapping.items():
        if not name.startswith(("_", "x-")):
            yield name, Given(prefix + one_line(name, 40), node, mapping.keys[name])


# --- other files -----------------------------------------------------------------------------------------------------


def sections_of(shelf: Shelf) -> dict[str, Mapping]:
    """Where the profiles of a file of tools stand: under `agents` and `tools`, or all of them at its top."""
    root = shelf.document.root
    if not isinstance(root, Mapping):
        return {}
    inner = {name: node for name in SECTIONS if isinstance(node := root.get(name), Mapping) and _holds_profiles(node)}
    return inner or dict.fromkeys(SECTIONS, root)


def _holds_profiles(mapping: Mapping) -> bool:
    """Not so the profile of a tool that is called `tools`."""
    return "command" not in mapping.entries and "cmd" not in mapping.entries


def check_shelf(shelf: Shelf) -> str | None:
    """What is wrong with a file of tools as a whole: the rest of a sentence; None: nothing."""
    root = shelf.document.root
    return None if isinstance(root, Mapping) else f"holds {kind(root)}, not profiles by name"


def programs_of(shelf: Shelf) -> frozenset[str]:
    """The programs that its profiles start, where that can be told without reading them."""
    found = set()
    for section in sections_of(shelf).values():
        for node in section.entries.values():
            command = node.get("command") if isinstance(node, Mapping) else node
            first = command.items[0] if isinstance(command, Sequence) and command.items else command
            if isinstance(first, Scalar) and first.text.split():
                found.add(first.text.split()[0])
    return frozenset(found)


# --- one profile -----------------------------------------------------------------------------------------------------


def _profile(r: Reading, given: Given) -> Profile | None:
    """A mapping, or its command alone."""
    found: Found = {}
    if isinstance(given.node, Scalar) and isinstance(given.node.value, str):
        found["command"] = given
    elif isinstance(given.node, Mapping):
        gather(r, given.node, keys.profile, found, f"{given.key}.")
    else:
        wrong_type(r, given, "a command, or a mapping with a `command`")
        return None
    before = len(r.templates)
    profile = _read(r, given, found)
    for at in range(before, len(r.templates)):
        r.templates[at] = r.templates[at]._replace(known=r.templates[at].known | KNOWN)
    return profile


def _read(r: Reading, given: Given, found: Found) -> Profile | None:
    argv = one(r, found, "command", _words)
    args = one(r, found, "args", lambda r, g: arguments(r, g, "")) or ()
    cwd = one(r, found, "cwd", text)
    if cwd:
        template(r, "", cwd, found["cwd"].node)
    profile = Profile(
        argv=(*(argv or ()), *args),
        env=one(r, found, "env", environment) or empty,
        stdin=_stdin(r, found),
        cwd=cwd or None,
        timeout_s=one(r, found, "timeout", duration),
        success_pattern=one(r, found, "successPattern", pattern),
        failure_pattern=one(r, found, "failurePattern", pattern),
    )
    if is_missed(found, "command"):
        r.error("missing-key", f"{quoted(given.key)} has no `command`", given.span, "name the program that it starts")
    return profile if argv else None


def _words(r: Reading, given: Given) -> tuple[str, ...] | None:
    """A command line, cut into words, or a list of them. No shell reads it."""
    if isinstance(given.node, Sequence):
        argv = arguments(r, given, "")
        if argv is not None and (not argv or not argv[0]):
            r.error("too-few-items", f"`{given.key}` names no program", given.node.span)
            return None
        return _checked(r, given, argv)
    line = text(r, given)
    if line is None:
        return None
    template(r, "", line, given.node)
    return _checked(r, given, _cut(r, given, line.strip()))


def _checked(r: Reading, given: Given, argv: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """A prompt within shell text would be read by the shell: `[sh, -c, "ask '{{prompt}}'"]`. Behind the text it is
    an argument: `[sh, -c, 'ask "$1"', ask, "{{prompt}}"]`.
    """
    if argv and argv[0].rpartition("/")[2] in _shells:
        flags = next((at for at, word in enumerate(argv[1:], 1) if word[:1] == "-" and "c" in word), len(argv))
        if any(reference_spans(r, word) for word in argv[flags + 1 : flags + 2]):
            message = f"`{given.key}` puts a reference into the text of a shell, which could take it for commands"
            r.error("unsafe-reference", message, given.node.span, 'write "$AGENT_PROMPT" or "$AGENT_PARAMETERS" there')
    return argv


_shells = frozenset(("sh", "bash", "dash", "zsh", "ksh", "fish"))


def _cut(r: Reading, given: Given, line: str) -> tuple[str, ...] | None:
    spans = reference_spans(r, line)
    if not line:
        r.error("too-short", f"`{given.key}` must not be empty", given.node.span)
    elif syntax := commands.shell_syntax(line, spans):
        message = f"`{given.key}` has shell syntax ({quoted(syntax)}), but no shell reads a profile"
        help = "put it into a script of its own, or write the command as a list: [sh, -c, …]"
        r.error("bad-value", message, given.node.span, help)
    else:
        try:
            return commands.split(line, spans)
        except ValueError as problem:
            message = f"`{given.key}` cannot be cut into words: {str(problem).lower()}"
            r.error("bad-value", message, given.node.span, "close the quote, or write the words as a list")
    return None


def _stdin(r: Reading, found: Found) -> Stdin | None:
    """`none` and false: nothing; true: the prompt, which it is anyway."""
    given = found.get("stdin")
    value = given.node.value if given and isinstance(given.node, Scalar) else None
    if given is None or value is True:
        return PROMPT
    if value is False or value == "none":
        return None
    return one(r, found, "stdin", lambda r, g: stdin_of(r, g, ""))


def pattern(r: Reading, given: Given) -> str | None:
    """A regular expression, as `regexes.search` takes it."""
    value = text(r, given)
    if value is None or is_null(given.node):
        return None
    from stepwave.core.language.regexes import BadPattern, check_pattern

    try:
        check_pattern(value)
    except BadPattern as problem:
        r.error("bad-pattern", str(problem), given.node.span, problem.help)
        return None
    return value
