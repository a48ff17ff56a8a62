"""What is said between two runs, by values."""

from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.telling.rounds import Change, affected, headline, restless, watching
from stepwave.core.telling.style import make_style
from tests.core import hostile

PLAIN = make_style(color=False, unicode=True)
ASCII = make_style(color=False, unicode=False)
GRAPH = {"a": ("b",), "b": ("c", "d"), "c": (), "d": ("e",), "e": (), "x": ()}


def changed(*paths: str, what: str = "changed") -> list[Change]:
    return [Change(path, what) for path in paths]


def test_who_reads_a_file_and_who_needs_them() -> None:
    readers = {"one": frozenset({"b", "x"}), "two": frozenset({"c"})}
    assert affected(readers, GRAPH, frozenset(), changed("one")) == (("b", "x"), 3)
    assert affected(readers, GRAPH, frozenset(), changed("two")) == (("c",), 0)
    assert affected(readers, GRAPH, frozenset(), changed("one", "two")) == (("b", "c", "x"), 2)
    assert affected(readers, GRAPH, frozenset({"d"}), changed("one")) == (("b", "x"), 2)
    assert affected(readers, GRAPH, frozenset(), changed("three")) == ((), 0)


def test_a_part_of_a_list_is_needed_by_whoever_needs_the_whole() -> None:
    assert affected({"f": frozenset({"b[1]", "b[2]"})}, GRAPH, frozenset(), changed("f")) == (("b[1]", "b[2]"), 3)
    matrix = {"t[1]": ("u",), "t[2]": (), "u": ()}
    assert affected({"f": frozenset({"t[1]"})}, matrix, frozenset(), changed("f")) == (("t[1]",), 1)


def test_headlines() -> None:
    assert headline(changed("a"), (), 0, PLAIN) == "─── a changed ───"
    assert headline(changed("a", "b"), ("x",), 1, ASCII) == "--- a and b changed: x, then 1 step that needs it ---"
    mixed = [*changed("a", "b"), *changed("c", what="is gone")]
    assert headline(mixed, ("x", "y"), 2, PLAIN) == (
        "─── a and b changed, c is gone: x and y, then 2 steps that need them ───"
    )
    assert headline(changed("a", "b", what="is new"), (), 0, PLAIN) == "─── a and b are new ───"
    many = [*changed("a", "b", "c", "d"), *changed("e", what="is new")]
    assert headline(many, tuple("vwxyz"), 0, PLAIN) == "─── a, b, c and 2 more changed: v, w, x and 2 more ───"


def test_waiting() -> None:
    assert watching(1, 1, silent=False) == ("Watching the workflow file and 1 file that its steps read. Ctrl-C ends.")
    assert watching(2, None, silent=True) == "Waiting for the 2 files of the workflow to change. Ctrl-C ends."
    assert restless(["a", "b"], PLAIN).startswith("a and b change in every run, which is no reason for another one. ")


@given(st.lists(st.sampled_from(hostile.CORPUS), min_size=1, max_size=5), st.booleans())
def test_a_headline_is_one_harmless_line(texts: list[str], unicode: bool) -> None:
    style = make_style(color=False, unicode=unicode)
    for line in (headline(changed(*texts), texts, 3, style), restless(texts, style)):
        assert "\n" not in line
        assert len(line) < 800
        assert hostile.controls(line) == []
        assert hostile.commands(line) == []
