"""The functions of make that only look at text. Names as make has them."""

import posixpath
import re
from collections.abc import Callable

MAX_COUNT = 1_000_000


def arguments(text: str, opener: str, most: int) -> list[str]:
    """The arguments of a call, cut at commas outside of brackets; the last of `most` has all that is left."""
    closer = ")" if opener == "(" else "}"
    args: list[str] = []
    depth, start = 0, 0
    for match in re.compile(f"[,{re.escape(opener + closer)}]").finditer(text):
        sign = match[0]
        if sign != ",":
            depth += 1 if sign == opener else -1
        elif depth == 0 and (most == 0 or len(args) < most - 1):
            args.append(text[start : match.start()])
            start = match.end()
    return [*args, text[start:]]


# --- patterns ---------------------------------------------------------------------------------------------------------


def stem_of(pattern: str, word: str) -> str | None:
    """What `%` stands for, or None where the pattern does not fit. Without `%` the stem is empty."""
    before, sign, after = pattern.partition("%")
    if not sign:
        return "" if pattern == word else None
    if len(word) < len(before) + len(after) or not word.startswith(before) or not word.endswith(after):
        return None
    return word[len(before) : len(word) - len(after)]


def patsubst(pattern: str, replacement: str, text: str) -> str:
    made = []
    for word in text.split():
        stem = stem_of(pattern, word)
        if stem is None:
            made.append(word)
        else:
            made.append(replacement.replace("%", stem, 1) if "%" in pattern else replacement)
    return " ".join(made)


def _fits(patterns: str) -> Callable[[str], bool]:
    plain = {one for one in patterns.split() if "%" not in one}
    wild = [one for one in patterns.split() if "%" in one][:1000]
    return lambda word: word in plain or any(stem_of(one, word) is not None for one in wild)


def _filter(patterns: str, text: str) -> str:
    fits = _fits(patterns)
    return " ".join(word for word in text.split() if fits(word))


def _filter_out(patterns: str, text: str) -> str:
    fits = _fits(patterns)
    return " ".join(word for word in text.split() if not fits(word))


# --- names of files ---------------------------------------------------------------------------------------------------


def _each(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: " ".join(made for made in map(change, text.split()) if made)


def _dir(name: str) -> str:
    return name[: name.rfind("/") + 1] or "./"


def _notdir(name: str) -> str:
    return name[name.rfind("/") + 1 :]


def _suffix(name: str) -> str:
    last = _notdir(name)
    return last[last.rfind(".") :] if "." in last else ""


def _basename(name: str) -> str:
    suffix = _suffix(name)
    return name[: len(name) - len(suffix)] if suffix else name


def part_of_names(text: str, part: str) -> str:
    """`$(@D)` and `$(@F)` of what `$@` is."""
    change = (lambda name: _dir(name)[:-1] or "/") if part == "D" else _notdir
    return " ".join(change(name) for name in text.split())


def absolute(here: str, name: str) -> str:
    if name.startswith("/"):
        return posixpath.normpath(name)
    path = posixpath.normpath(name)
    return here if path == "." else f"{here}/{path}"


# --- words ------------------------------------------------------------------------------------------------------------


def _number(text: str) -> int:
    text = text.strip()
    return min(int(text), MAX_COUNT) if text.isascii() and text.isdigit() and len(text) < 10 else MAX_COUNT


def _word(number: str, text: str) -> str:
    words, n = text.split(), _number(number)
    return words[n - 1] if 0 < n <= len(words) else ""


def _wordlist(first: str, last: str, text: str) -> str:
    return " ".join(text.split()[max(_number(first), 1) - 1 : _number(last)])


def _join(left: str, right: str) -> str:
    one, other = left.split(), right.split()
    longest = max(len(one), len(other))
    pairs = zip(one + [""] * (longest - len(one)), other + [""] * (longest - len(other)), strict=True)
    return " ".join(a + b for a, b in pairs)


def _subst(old: str, new: str, text: str) -> str:
    return text.replace(old, new) if old else text + new


def _nothing(*_: str) -> str:
    return ""


def growth(name: str, values: list[str]) -> int:
    """About how much work or text a call makes beyond the length of what it is given: known before it is done."""
    if name == "subst":
        return values[2].count(values[0]) * len(values[1]) if values[0] else len(values[1])
    if name in ("patsubst", "addprefix", "addsuffix"):
        return len(values[-1].split()) * sum(map(len, values[:-1]))
    if name in ("filter", "filter-out"):
        return len(values[1].split()) * min(values[0].count("%"), 1000)
    return 0


Function = Callable[..., str]
least = {
    "subst": 3, "patsubst": 3, "findstring": 2, "filter": 2, "filter-out": 2, "word": 2, "wordlist": 3, "join": 2,
    "addprefix": 2, "addsuffix": 2,
}  # fmt: skip
"""Arguments that must be there; any other function has one."""
known: dict[str, tuple[int, Function | None]] = {
    "subst": (3, _subst),
    "patsubst": (3, patsubst),
    "strip": (1, lambda text: " ".join(text.split())),
    "findstring": (2, lambda wanted, text: wanted if wanted in text else ""),
    "filter": (2, _filter),
    "filter-out": (2, _filter_out),
    "sort": (1, lambda text: " ".join(sorted(set(text.split())))),
    "word": (2, _word),
    "wordlist": (3, _wordlist),
    "words": (1, lambda text: str(len(text.split()))),
    "firstword": (1, lambda text: _word("1", text)),
    "lastword": (1, lambda text: " ".join(text.split()[-1:])),
    "dir": (1, _each(_dir)),
    "notdir": (1, _each(_notdir)),
    "suffix": (1, _each(_suffix)),
    "basename": (1, _each(_basename)),
    "addsuffix": (2, lambda suffix, text: " ".join(word + suffix for word in text.split())),
    "addprefix": (2, lambda prefix, text: " ".join(prefix + word for word in text.split())),
    "join": (2, _join),
    "info": (1, _nothing),
    "warning": (1, _nothing),
    # These are carried out by `make_expand`, or by nobody.
    **{name: (count, None) for name, count in (
        ("if", 3), ("or", 0), ("and", 0), ("foreach", 3), ("call", 0), ("eval", 1), ("value", 1), ("origin", 1),
        ("flavor", 1), ("wildcard", 1), ("shell", 1), ("abspath", 1), ("realpath", 1), ("error", 1), ("file", 2),
        ("guile", 1), ("intcmp", 0), ("let", 3),
    )},
}  # fmt: skip
