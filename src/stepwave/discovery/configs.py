"""Configuration files of a tree: what they are, which keys stand at their top, and whether they parse at all.

A light reading of its own: nothing of what runs workflows is needed to see that a file holds one.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from stepwave.discovery.source import decoded, read
from stepwave.discovery.walk import Found, Unread, walk

FORMATS = {
    ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json", ".ini": "ini", ".cfg": "cfg", ".env": "env",
}  # fmt: skip
CONFIG_KINDS = ("workflow", "workstream", "plan", "other")
_DEEPEST = 6
_domain_folders = ("config", "configs", "conf", "configuration")
_words = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+")


class ConfigInfo(NamedTuple):
    """A configuration file. `size` is in bytes, `modified_time` in seconds since 1970.

    `domain` is the one that was asked for, else the folder below `config`, else the file's own folder, else None.
    `kind` is workflow, workstream, plan or other; `steps` the number of its steps, as far as they stand in the file.
    `error` says why a file does not parse, at `error_line`; it is empty and 0 for one that does.
    """

    path: str
    domain: str | None
    format: str
    size: int
    modified_time: float
    kind: str
    keys: tuple[str, ...]
    name: str
    steps: int
    error: str
    error_line: int

    @property
    def modified(self) -> datetime:
        return datetime.fromtimestamp(self.modified_time, UTC)


class Configs(NamedTuple):
    """Files in the order of their paths, how many were looked at, and what could not be read."""

    configs: tuple[ConfigInfo, ...]
    scanned: int
    unread: tuple[Unread, ...]


def list_configs(root: str, domain: str | None = None, *, ignore: bool = True, prefix: str = "") -> Configs:
    """The configuration files below a folder, of one domain or of all. Raises OSError when the root cannot be read.

    A domain is a whole word of a folder's name below the root or of the file's own: `train` fits `train/a.yaml` and
    `train_model.yaml`, not `training.yaml`. Upper and lower case are the same. `prefix` goes before every path.
    """
    walked = walk(root, ignore=ignore, wanted=lambda name: format_of(name) != "")
    files = [file for file in walked.files if domain is None or has_word(file.path, domain)]
    found = [_look(root, file, domain, prefix) for file in files]
    unread = [u._replace(path=f"{prefix}{u.path}") for u in walked.unread]
    unread += [Unread(c.path, max(c.error_line, 1), 1, c.error) for c in found if c.error]
    return Configs(tuple(found), len(walked.files), tuple(sorted(unread)))


def format_of(name: str) -> str:
    """`yaml`, `toml` …, or nothing for a file that is no configuration; `.env.local` is one."""
    if name == ".env" or name.startswith(".env."):
        return "env"
    dot = name.rfind(".")
    return FORMATS.get(name[dot:].lower(), "") if dot >= 0 else ""


def has_word(path: str, domain: str) -> bool:
    """Whether a part of a path, without the suffix of the file, is a domain or holds it as whole words."""
    wanted = split_words(domain)
    folders, _, name = path.rpartition("/")
    stem = name.partition(".")[0] or name
    for part in [*folders.split("/"), stem]:
        words = split_words(part)
        if wanted and any(words[at : at + len(wanted)] == wanted for at in range(len(words))):
            return True
    return False


def split_words(text: str) -> list[str]:
    """`trainModel-v2` is train, model, v2."""
    return [word.lower() for word in _words.findall(text)]


def _look(root: str, file: Found, domain: str | None, prefix: str) -> ConfigInfo:
    format = format_of(file.path.rpartition("/")[2])
    data = read(root, file.path)
    tree: Any = None
    error, line = "", 0
    if isinstance(data, Unread):
        error, line = data.reason, 1
    else:
        try:
            tree = _parsers[format](decoded(data))
        except _Broken as problem:
            error, line = problem.args
        except (RecursionError, MemoryError):
            error, line = "does not parse: too deeply nested", 1
    steps = steps_of(tree)
    return ConfigInfo(
        f"{prefix}{file.path}",
        domain if domain is not None else _own_domain(file.path),
        format,
        file.size,
        file.mtime_ns / 1e9,
        kind_of(tree, steps),
        tuple(tree) if isinstance(tree, dict) else (),
        _name_of(tree),
        len(steps),
        error,
        line,
    )


def _own_domain(path: str) -> str | None:
    folders = path.split("/")[:-1]
    for index, folder in enumerate(folders[:-1]):
        if folder in _domain_folders:
            return folders[index + 1]
    return folders[-1] if folders and folders[-1] not in _domain_folders else None


def kind_of(tree: Any, steps: Iterable[Any]) -> str:
    """What a file is, by the keys at its top."""
    if not isinstance(tree, dict):
        return "workflow" if list(steps) else "other"
    if "plan_id" in tree:
        return "plan"
    has_tasks = "tasks" in tree and ("tool" in tree or "agent" in tree)
    if has_tasks or "files_scope" in tree or "filesScope" in tree or "workstreams" in tree:
        return "workstream"
    return "workflow" if list(steps) else "other"


def steps_of(tree: Any) -> list[Any]:
    """The steps that stand in a file: in `steps`, in phases, in `workflows`, and in a list of workflows."""
    if isinstance(tree, list):
        return [step for item in tree if isinstance(item, dict) for step in [*steps_of(item), *_inside(item)]]
    if not isinstance(tree, dict) or "json-schema.org" in str(tree.get("$schema", "")):
        return []
    found = [step for key in ("steps", "finally") for step in _mappings(tree.get(key))]
    for key in ("phases", "workflows", "workstreams"):
        for inner in _mappings(tree.get(key)):
            found += steps_of(inner)
    return found


def _inside(item: Mapping[str, Any]) -> list[Any]:
    return steps_of(item.get("config"))


def _mappings(node: Any) -> Iterator[dict[str, Any]]:
    items = node if isinstance(node, list) else node.values() if isinstance(node, dict) else ()
    return (item for item in items if isinstance(item, dict))


def _name_of(tree: Any) -> str:
    for key in ("name", "id", "plan_id"):
        value = tree.get(key) if isinstance(tree, dict) else None
        if isinstance(value, str):
            return value
    return ""


class _Broken(Exception):  # noqa: N818 - a sentence and a line
    """A file does not parse."""


def _yaml(text: str) -> Any:
    """The nodes of a document, so far down as anything is told of them; no tag is obeyed, no alias multiplied."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        documents = [node for node in yaml.compose_all(text, loader) if node is not None]
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        raise _Broken(f"does not parse: {problem.problem or problem.context}", mark.line + 1 if mark else 1) from None
    except (yaml.YAMLError, ValueError) as problem:
        raise _Broken(f"does not parse: {str(problem).partition(chr(10))[0]}", 1) from None
    trees = [_shallow(node, _DEEPEST) for node in documents]
    return trees[0] if len(trees) == 1 else trees if trees else None


def _shallow(node: Any, depth: int) -> Any:
    import yaml

    if isinstance(node, yaml.ScalarNode):
        return node.value
    if depth == 0:
        return None
    if isinstance(node, yaml.SequenceNode):
        return [_shallow(item, depth - 1) for item in node.value]
    pairs = [(key.value, _shallow(value, depth - 1)) for key, value in node.value if isinstance(key.value, str)]
    return dict(pairs)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        raise _Broken(f"does not parse: {problem.msg[:1].lower()}{problem.msg[1:]}", problem.lineno) from None
    except ValueError as problem:
        raise _Broken(f"does not parse: {problem}", 1) from None


def _toml(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as problem:
        at = re.search(r"at line (\d+)", str(problem))
        sentence = str(problem).partition(" (at ")[0]
        raise _Broken(f"does not parse: {sentence[:1].lower()}{sentence[1:]}", int(at[1]) if at else 1) from None


def _ini(text: str) -> Any:
    from configparser import Error, MissingSectionHeaderError, ParsingError, RawConfigParser

    parser = RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except MissingSectionHeaderError as problem:
        raise _Broken("does not parse: no section has begun", problem.lineno) from None
    except ParsingError as problem:
        raise _Broken("does not parse: no key and no section", problem.errors[0][0] if problem.errors else 1) from None
    except (Error, AttributeError) as problem:
        raise _Broken(f"does not parse: {str(problem).partition(chr(10))[0]}", getattr(problem, "lineno", 1)) from None
    return {section: dict.fromkeys(parser.options(section)) for section in parser.sections()}


def _env(text: str) -> Any:
    keys: dict[str, None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip().removeprefix("export ").strip()
        if bare and not bare.startswith("#"):
            name, equals, _ = bare.partition("=")
            if not equals or not re.fullmatch(r"[A-Za-z_][\w.]*", name.strip()):
                raise _Broken("does not parse: no `NAME=value`", number)
            keys[name.strip()] = None
    return keys


_parsers: dict[str, Callable[[str], Any]] = {
    "yaml": _yaml, "json": _json, "toml": _toml, "ini": _ini, "cfg": _ini, "env": _env,
}  # fmt: skip
