"""An answer from the cache is that of looking: after edits, renames and damage, with two processes and any seed."""

import importlib
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwave.discovery import kept
from stepwave.discovery.answers import Query
from stepwave.discovery.cache import Cache, cache_path, clear_caches, kept_caches, stamp_of, young_of
from stepwave.discovery.facts import Facts
from stepwave.discovery.spread import each_file
from stepwave.discovery.usage import usage_of
from stepwave.discovery.walk import walk
from tests.cli.invoke import stepwave

WORDS = ("x", "y", "run")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("STEPWAVE_CACHE_DIR", str(tmp_path / "cache"))
    yield tmp_path / "cache"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    for number in range(6):
        write(folder / f"m{number}.py", random.Random(number))
    return folder


def write(path: Path, chance: random.Random) -> None:
    lines = [f"from m{chance.randrange(6)} import {chance.choice(WORDS)}" for _ in range(3)]
    lines += [f"def {chance.choice(WORDS)}(a): return {chance.choice(WORDS)}(a)" for _ in range(3)]
    lines += [f"class C{chance.randrange(3)}:", f"    def {chance.choice(WORDS)}(self): pass"]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def answer(folder: Path, word: str) -> bytes:
    """As `find-symbol` does it: from the cache if that holds it, else by looking."""
    walked = walk(str(folder))
    cache = Cache(str(folder))
    try:
        raw = cache.answer(word, walked, str(folder))
        if raw is None:
            young = young_of(str(folder), walked.files)
            raw = kept.packed(usage_of(str(folder), Query(word), facts=Facts(str(folder), walked, cache, young)))
            cache.keep_answer(word, walked, young, raw)
        return raw
    finally:
        cache.close()


def looked(folder: Path, word: str) -> bytes:
    return kept.packed(usage_of(str(folder), Query(word)))


def edit(folder: Path, chance: random.Random) -> None:
    """One change: the content, the content with size and times kept, a rename, a new file, one less, or nothing."""
    files = sorted(folder.glob("*.py"))
    path = chance.choice(files)
    match chance.randrange(6):
        case 0:
            write(path, chance)
        case 1:
            stat = path.stat()
            text = path.read_text("utf-8")
            path.write_text(text.replace("x", "y") if "x" in text else text.replace("y", "x"), "utf-8")
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        case 2:
            path.rename(folder / f"m{chance.randrange(9)}.py")
        case 3:
            write(folder / f"m{chance.randrange(9)}.py", chance)
        case 4 if len(files) > 2:
            path.unlink()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_changed_the_answer_is_that_of_looking(seed: int, tree: Path) -> None:
    chance = random.Random(seed)
    for _ in range(12):
        edit(tree, chance)
        word = chance.choice(WORDS)
        assert answer(tree, word) == looked(tree, word)
        assert answer(tree, word) == looked(tree, word)


def question(folder: Path, word: str, processes: int = 1) -> bytes:
    """A question that nobody has asked before, answered with what is known of the files."""
    walked = walk(str(folder))
    cache = Cache(str(folder))
    facts = Facts(str(folder), walked, cache, young_of(str(folder), walked.files))
    try:
        return kept.packed(usage_of(str(folder), Query(word, possible=True), facts=facts, processes=processes))
    finally:
        cache.close()


def without(folder: Path, word: str) -> bytes:
    return kept.packed(usage_of(str(folder), Query(word, possible=True)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("harm", ["none", "cut", "flip"])
def test_facts_of_files_change_no_answer(seed: int, harm: str, tree: Path) -> None:
    chance = random.Random(f"{seed}{harm}")
    for turn in range(8):
        edit(tree, chance)
        if turn == 5 and harm != "none":
            (cut if harm == "cut" else damage_anywhere)(Path(cache_path(str(tree))))
        for word in chance.sample([*WORDS, "C0.x", "C1.run", "m1.y", "a"], 4):
            assert question(tree, word, chance.choice([1, 2])) == without(tree, word)


def _noting(parse: Callable[..., Any], parsed: set[str]) -> Callable[..., Any]:
    def noting(path: str, data: bytes) -> Any:
        parsed.add(path)
        return parse(path, data)

    return noting


def parsed_for(tree: Path, word: str, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, set[str]]:
    """The answer, and the files that were parsed for it. None is hashed: all is as if it were of long ago."""
    parsed: set[str] = set()
    with monkeypatch.context() as patch:
        patch.setattr("stepwave.discovery.cache._YOUNG_NS", -(10**12))
        for name in ("tokens", "world"):
            module = importlib.import_module(f"stepwave.discovery.{name}")
            patch.setattr(module, "parse", _noting(module.parse, parsed))
        return question(tree, word), parsed


def test_only_what_has_changed_is_read_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = {word: parsed_for(tree, word, monkeypatch) for word in WORDS}
    assert all(parsed for _, parsed in first.values())
    for word in WORDS:
        assert parsed_for(tree, word, monkeypatch) == (first[word][0], set())
    with (tree / "m3.py").open("a", encoding="utf-8") as file:
        file.write("x = y = run\n")
    for word in WORDS:
        answer, parsed = parsed_for(tree, word, monkeypatch)
        assert answer != first[word][0]
        assert parsed == {"m3.py"}


def test_a_cache_of_another_release_is_made_anew(tree: Path) -> None:
    truth = question(tree, "x")
    with sqlite3.connect(cache_path(str(tree))) as db:
        db.execute("PRAGMA user_version = 1")
        db.execute("DROP TABLE words")
    db.close()
    assert question(tree, "x") == truth
    assert question(tree, "x") == truth
    with sqlite3.connect(cache_path(str(tree))) as db:
        assert db.execute("SELECT count(*) FROM words").fetchone() == (1,)
    db.close()


def test_a_cache_does_not_grow_without_end(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepwave.discovery.cache._MOST_BYTES", 200_000)
    path = Path(cache_path(str(tree)))
    for number in range(40):
        (tree / "more.py").write_text(f"def x{number}(a): return {'x(a), ' * 2000}1\n", "utf-8")
        answer(tree, "x")
    assert path.stat().st_size < 2_000_000
    assert answer(tree, "x") == looked(tree, "x")


def test_two_at_once(tree: Path) -> None:
    truth = {word: looked(tree, word) for word in WORDS}
    children = []
    for word in WORDS * 3:
        child = os.fork()
        if child == 0:
            os._exit(0 if all(answer(tree, each) == truth[each] for each in (word, *WORDS)) else 1)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * len(children)
    assert {word: answer(tree, word) for word in WORDS} == truth


def test_a_file_that_changed_a_moment_ago_is_compared_by_its_content(tree: Path) -> None:
    """The stamp may be the same after a change within one tick of the clock: then the content has to tell."""
    first = answer(tree, "x")
    walked = walk(str(tree))
    path = tree / "m0.py"
    text = path.read_text("utf-8")
    path.write_text(text.swapcase(), "utf-8")
    cache = Cache(str(tree))
    assert cache.answer("x", walked, str(tree)) is None  # asked with the stamps of before
    path.write_text(text, "utf-8")
    assert cache.answer("x", walked, str(tree)) == first
    cache.close()


def test_what_is_no_longer_young_is_compared_by_its_stamp(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = answer(tree, "x")
    monkeypatch.setattr("stepwave.discovery.cache._YOUNG_NS", -(10**12))  # as if it were long ago
    walked = walk(str(tree))
    cache = Cache(str(tree))
    assert cache.answer("x", walked, str(tree)) == first  # by content, once more
    monkeypatch.setattr("stepwave.discovery.cache._hashes", lambda root, paths: pytest.fail("hashed again"))
    assert cache.answer("x", walked, str(tree)) == first
    cache.close()


def damage_head(path: Path) -> None:
    path.write_bytes(b"garbage" + path.read_bytes()[7:])


def damage_anywhere(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in random.Random(1).sample(range(100, len(data)), 400):
        data[at] ^= 0xFF
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE answers (of TEXT)")
    db.close()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def of_another_tree(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE tree_root SET root = ?", (b"/elsewhere",))
    db.close()


def an_answer_of_another_question(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE answers SET answer = (SELECT answer FROM answers WHERE question = 'y') WHERE question = 'x'")
    db.close()


@pytest.mark.parametrize(
    "harm",
    [damage_head, damage_anywhere, cut, empty, foreign, folder, of_another_tree, an_answer_of_another_question],
)
def test_a_cache_that_is_damaged_or_foreign_changes_no_answer(harm: Callable[[Path], None], tree: Path) -> None:
    truth = {word: answer(tree, word) for word in WORDS}
    path = Path(cache_path(str(tree)))
    harm(path)
    before = path.read_bytes() if harm is foreign else b""
    for _ in range(2):
        assert {word: answer(tree, word) for word in WORDS} == truth
    if harm is foreign:
        assert path.read_bytes() == before, "another program's database was touched"
    if harm in (damage_head, cut, empty):  # made anew, and used again
        cache = Cache(str(tree))
        assert cache.answer("x", walk(str(tree)), str(tree)) == truth["x"]
        cache.close()


def test_a_locked_cache_is_not_waited_for(tree: Path) -> None:
    truth = answer(tree, "x")
    db = sqlite3.connect(cache_path(str(tree)), isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    assert answer(tree, "x") == truth
    db.execute("ROLLBACK")
    db.close()
    assert answer(tree, "x") == truth


def test_a_folder_that_cannot_be_made(tree: Path, own_cache: Path) -> None:
    own_cache.write_text("a file", "utf-8")
    assert answer(tree, "x") == looked(tree, "x")


def test_nothing_is_written_into_the_tree(tree: Path) -> None:
    before = stamp_of(walk(str(tree), wanted=lambda name: True))
    answer(tree, "x")
    assert stamp_of(walk(str(tree), wanted=lambda name: True)) == before


def test_caches_are_listed_and_cleared(tree: Path, own_cache: Path) -> None:
    answer(tree, "x")
    other = own_cache / "code/other.db"
    other.write_bytes(b"not a database")
    assert sorted(each.root or "" for each in kept_caches()) == ["", str(tree)]
    assert [each.root for each in clear_caches(lambda each: True)] == [str(tree)]
    assert other.exists()
    assert not Path(cache_path(str(tree))).exists()


def test_packing_keeps_everything(tree: Path) -> None:
    (tree / "bad.py").write_text("def x(:\n", "utf-8")
    usage = usage_of(str(tree), Query("x", possible=True))
    assert usage.uses
    assert usage.unread
    assert kept.unpacked(kept.packed(usage)) == usage


def test_one_process_or_two(tmp_path: Path) -> None:
    """Large enough for the second process to be worth it."""
    big = tmp_path / "big"
    big.mkdir()
    for number in range(40):
        lines = [f"from m{(number + 1) % 40} import x as z{number}", f"def x(a): return z{number}(a)"]
        (big / f"m{number}.py").write_text("\n".join(lines) + "\n" + "pad = 'pad pad pad'\n" * 700, "utf-8")
    alone = usage_of(str(big), Query("m3.x"), processes=1)
    assert usage_of(str(big), Query("m3.x"), processes=2) == alone
    assert len(alone.uses) >= 3


def test_a_second_process_that_dies_is_made_up_for() -> None:
    own = os.getpid()

    def work(path: str) -> str:
        if os.getpid() != own:
            os._exit(7)
        return path.upper()

    paths = [f"p{number}" for number in range(50)]
    assert each_file(paths, [100_000] * 50, work, 2) == [(path, path.upper()) for path in paths]


def test_an_error_in_the_work_leaves_no_process() -> None:
    def work(path: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        each_file([f"p{number}" for number in range(50)], [100_000] * 50, work, 2)


def test_cold_warm_and_every_hash_seed_print_the_same(tree: Path, tmp_path: Path) -> None:
    env = {"STEPWAVE_CACHE_DIR": str(tmp_path / "cache")}
    for words in (["find-symbol", "x", "tree", "--json", "--possible"], ["discover", "functions", "tree", "--json"]):
        outputs = {
            stepwave(*words, *more, cwd=tmp_path, env={**env, "PYTHONHASHSEED": seed}).out
            for more, seed in [([], "1"), ([], "2"), (["--no-cache"], "3"), (["--processes", "2"], "4")]
        }
        assert len(outputs) == 1
