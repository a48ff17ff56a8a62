"""Ids of steps as texts name them, in a file whose steps have a prefix: the nearest step of that name is meant."""

from collections.abc import Container, Iterator

MAX_PARTS = 24
"""Parts of a path that one id may be written with: `lib.tools.build`. More than includes can be nested."""


def prefixes(scope: str) -> Iterator[str]:
    """Where an id is looked for, nearest first: `a.b.` gives `a.b.`, `a.` and ``."""
    while scope:
        yield scope
        scope = scope[: scope.rfind(".", 0, -1) + 1]
    yield ""


def step_in(path: tuple[str | int, ...], at: int, scope: str, ids: Container[str]) -> tuple[str, int] | None:
    """The step that a path names from part `at` on, and where what follows begins; None when there is none.

    ("steps", "build", "output") in a file with the scope `lib.` is the step `lib.build` if there is one, else `build`;
    ("steps", "lib", "build", "output") is `lib.build` from outside of it.
    """
    for prefix in prefixes(scope):
        name = prefix
        for end in range(at, min(len(path), at + MAX_PARTS)):
            part = path[end]
            if not isinstance(part, str):
                break
            name = f"{name}.{part}" if end > at else prefix + part
            if name in ids:
                return name, end + 1
    return None
