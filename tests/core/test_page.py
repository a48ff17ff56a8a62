"""The page of a run: it is small, holds what was recorded, and nothing foreign gets out of its data."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.events import Outcome
from stepwave.core.plan import Plan
from stepwave.core.running.graph import make_plan
from stepwave.core.telling.page import embedded
from stepwave.core.telling.page.embedded import values_of_plan, values_of_run
from stepwave.core.telling.page.facts import ENVIRONMENT, MAX_ALL, MAX_FAILED, MAX_OTHER, Fact, Tail, facts_of, tails_of
from stepwave.core.telling.page.page import SCRIPTS, as_json, make_page
from stepwave.core.telling.picture import picture_of_run
from stepwave.core.telling.story import PoolStory, StepStory, Story
from stepwave.edge.assets import page_assets
from tests.core import hostile, stories
from tests.core.build_texts import workflow_of

ASSETS = page_assets()


def plan_of(text: str) -> Plan:
    return make_plan(workflow_of(dedent(text)), cpus=4)


class Reader(HTMLParser):
    """The elements of a page, and what is in its scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag in self.inside:
            self._open = tag
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.inside[self._open][-1] += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def page_of(story: Story, tails: dict[str, Tail] | None = None, title: str = "A page") -> str:
    return make_page(values_of_run(story, tails or {}, {}), title, ASSETS)


def data_of(page: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read(page).inside["script"][0])
    return found


PLAIN_TAGS = read(page_of(stories.mixed())).tags


# --- the document ----------------------------------------------------------------------------------------------------


def test_it_needs_nothing_from_anywhere() -> None:
    page = page_of(stories.mixed())
    reader = read(page)
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name in ("src", "srcset", "style") or name.startswith("on")]
    assert set(re.findall(r"https?://[^\s\"'`)]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in page
    assert "url(" not in page


def test_its_policy_allows_its_own_script_and_style_and_nothing_else() -> None:
    reader = read(page_of(stories.mixed()))
    policy = next(value for name, value in reader.attributes if name == "content" and "default-src" in (value or ""))
    digests = [
        f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
        for text in (reader.inside["script"][1], *reader.inside["style"])
    ]
    assert policy == (
        f"default-src 'none'; script-src {digests[0]}; style-src {digests[1]}; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )


def test_the_scripts_make_text_and_never_markup() -> None:
    for script in ASSETS.scripts:
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "DOMParser",
            "createContextualFragment",
        ):
            assert way not in script
    assert len(ASSETS.scripts) == len(SCRIPTS)
    assert "</script" not in "".join(ASSETS.scripts)
    assert "</style" not in ASSETS.style


def test_no_line_of_the_files_is_part_of_a_longer_text() -> None:
    for code in (*ASSETS.scripts, ASSETS.style):
        for line in code.splitlines():
            assert line.count("`") % 2 == 0, line


def test_a_thousand_steps_are_less_than_300_kb() -> None:
    assert len(page_of(stories.layered(1000)).encode()) < 300_000


# --- the data --------------------------------------------------------------------------------------------------------


def ms(seconds: float | None) -> int:
    return round((seconds or 0.0) * 1000)


def column(values: dict[str, Any], name: str, count: int) -> list[Any]:
    found: list[Any] = values[name]
    return found * count if len(found) == 1 else found


def test_all_that_was_recorded_is_in_it() -> None:
    story = stories.mixed()
    data = data_of(page_of(story))
    steps, count = data["steps"], len(story.steps)
    assert steps["id"] == [step.drawn.id for step in story.steps]
    keys = [look[0] for look in data["looks"]]
    assert [keys[look] for look in column(data["outcomes"], "look", count)] == [
        *("completed", "completed", "reused", "completed", "failed", "skipped", "completed", "completed", "completed"),
        *("skipped", "tolerated"),
    ]
    needs = [steps["needSets"][number][:-1] for number in column(steps, "needs", count)]
    assert [[steps["id"][need] for need in mine] for mine in needs] == [list(step.drawn.needs) for step in story.steps]
    assert [steps["id"][number] for number in data["critical"]] == list(story.critical_path)


def test_attempts_and_waits_keep_their_times() -> None:
    story = stories.mixed()
    data, count = data_of(page_of(story)), len(story.steps)
    attempts, waits = data["attempts"], data["waits"]
    assert column(attempts, "of", count) == [len(step.attempts) for step in story.steps]
    every = [one for step in story.steps for one in step.attempts]
    times = zip(
        attempts["begin"], column(attempts, "took", len(every)), column(attempts, "slot", len(every)), strict=True
    )
    assert list(times) == [(ms(one.begin_s), ms(one.end_s) - ms(one.begin_s), one.slot) for one in every]
    assert column(waits, "of", count) == [len(step.waits) for step in story.steps]
    total, found = sum(column(waits, "of", count)), []
    after, took, cause = (iter(column(waits, name, total)) for name in ("after", "took", "cause"))
    for many in column(waits, "of", count):
        end = 0
        for _ in range(many):
            begin = end + next(after)
            end = begin + next(took)
            found.append((begin, end, waits["causes"][next(cause)]))
    assert found == [(ms(w.begin_s), ms(w.end_s), w.cause.value) for step in story.steps for w in step.waits]


def test_commands_are_told_by_head_and_last_word() -> None:
    one = stories.ran(stories.drawn("a"), 0.0, 1.0)
    story = stories.story(
        one, one._replace(attempts=(one.attempts[0]._replace(argv=("ls",)), one.attempts[0]._replace(argv=())))
    )
    data = data_of(page_of(story))
    attempts, texts = data["attempts"], data["texts"]
    heads = [[texts[n] for n in attempts["heads"][head]] for head in column(attempts, "head", 3)]
    assert heads == [["/bin/sh", "-e", "-c"], [], []]
    assert [texts[n] if n >= 0 else n for n in attempts["last"]] == ["make", "ls", -2]


def test_lines_are_told_by_their_targets() -> None:
    story = stories.layered(100)
    plane = data_of(page_of(story))["layout"]
    found, target = set(), 0
    for step, back in zip(plane["links"][::2], plane["links"][1::2], strict=True):
        target += step
        found.add((target - back, target))
    assert found == {(link.source, link.target) for link in picture_of_run(story).layout.links}


def test_levels_are_told_by_their_changes() -> None:
    data = data_of(page_of(stories.mixed()))
    gpu = next(pool for pool in data["pools"] if pool["name"] == "gpu")
    moments, ms = [], 0
    for after, units in zip(gpu["levels"][::2], gpu["levels"][1::2], strict=True):
        ms += after
        moments.append((ms / 1000, units))
    assert tuple(moments) == next(pool for pool in stories.mixed().pools if pool.name == "gpu").levels


def test_very_many_levels_keep_their_heights() -> None:
    levels = tuple((n / 100, 7 if n == 12_345 else n % 2) for n in range(20_000))
    story = stories.mixed()._replace(pools=(PoolStory("", 7, levels),))
    found = data_of(page_of(story))["pools"][0]["levels"]
    assert len(found) <= 2 * 4001
    assert max(found[1::2]) == 7


def test_what_has_not_ended_has_no_end() -> None:
    data = data_of(page_of(stories.running()))
    assert column(data["attempts"], "took", 2) == [2000, -1]
    assert column(data["outcomes"], "ended", 3) == [2000, -1, -1]


def test_very_many_needs_are_counted_and_not_all_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_MAX_NEEDS", 100)
    ids = [f"s{n}" for n in range(120)]
    story = stories.story(*(stories.ran(stories.drawn(id, *ids[:n], wave=n), 0.0, 1.0) for n, id in enumerate(ids)))
    last = data_of(page_of(story))["steps"]["needSets"][-1]
    assert last == [*range(40), 119]


def test_a_plan_has_what_its_steps_do_and_no_times() -> None:
    plan = plan_of("name: P\nversion: 1.0.0\nsteps:\n  - {id: a, run: make a}\n  - {id: b, needs: a, run: make b}\n")
    values = values_of_plan(plan, {"a": (Fact("In the file", "run", "make a"),)})
    assert values["kind"] == "plan"
    assert values["steps"]["id"] == ["a", "b"]
    assert values["facts"]["of"] == [0, 1]
    assert [values["texts"][n] for n in values["facts"]["sets"][0]] == ["In the file", "run", "make a"]
    assert not {"attempts", "waits", "pools", "tails"} & set(values)
    assert "data-run" in make_page(values, "P", ASSETS)


# --- facts and output ------------------------------------------------------------------------------------------------


def test_facts_say_what_the_file_said() -> None:
    parts = {
        "env CC": "gcc", "no env HOME": "", "env TOKEN": "sealed:00ff", "variable who": "you", "run": "make",
        "needs": "a, b", "inputs": "blake2:1234", "condition": "x == 1",
    }  # fmt: skip
    assert facts_of(parts, ran=True) == (
        (ENVIRONMENT, "CC", "gcc"),
        (ENVIRONMENT, "HOME", "(taken away)"),
        (ENVIRONMENT, "TOKEN", "(not shown)"),
        ("Variables that it reads", "who", "you"),
        ("In the file", "inputs", "(too long for the record)"),
        ("In the file", "condition", "x == 1"),
    )
    assert ("In the file", "run", "make") in facts_of(parts, ran=False)


def step(id: str, outcome: Outcome) -> StepStory:
    return stories.ran(stories.drawn(id), 0.0, 1.0, outcome=outcome)


def test_output_loses_its_colors_and_its_teeth() -> None:
    lines = ("\x1b[31mred\x1b[0m", "10%\r20%", "bell\x07", "</script>")
    tails = tails_of([(step("a", Outcome.FAILED), lines, True)])
    assert tails == {"a": Tail(1, "red\n10%\n20%\nbell\\x07\n</script>", True)}


def test_output_is_bounded_and_failures_come_first() -> None:
    long = ("x" * (MAX_FAILED + 10),)
    good, bad = step("good", Outcome.COMPLETED), step("bad", Outcome.FAILED)
    tails = tails_of([(good, long, True), (bad, long, True)])
    assert list(tails) == ["bad", "good"]
    assert [(len(tail.text), tail.whole) for tail in tails.values()] == [(MAX_FAILED, False), (MAX_OTHER, False)]
    many = tails_of((step(f"s{n}", Outcome.FAILED), long, True) for n in range(MAX_ALL // MAX_FAILED + 50))
    assert sum(len(tail.text) for tail in many.values()) <= MAX_ALL


# --- hostile ---------------------------------------------------------------------------------------------------------


def assert_harmless(page: str) -> None:
    reader = read(page)
    assert reader.tags == PLAIN_TAGS
    assert reader.inside["script"][1] == read(page_of(stories.mixed())).inside["script"][1]
    assert not re.search(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page
    )
    json.loads(reader.inside["script"][0])


def test_the_corpus_stays_text() -> None:
    story = hostile.story()
    tails = tails_of((one, hostile.CORPUS, True) for one in story.steps if one.attempts)
    page = make_page(values_of_run(story, tails, {}), "".join(hostile.MARKUP), ASSETS)
    assert_harmless(page)


@pytest.mark.parametrize("text", hostile.MARKUP)
def test_markup_in_a_title_stays_text(text: str) -> None:
    page = page_of(stories.mixed(), title=text)
    assert_harmless(page)
    assert read(page).inside["title"] == [text]


@given(st.text())
def test_any_text_stays_text(text: str) -> None:
    story = stories.story(stories.ran(stories.drawn(text), 0.0, 1.0)._replace(reason=text), name=text, reason=text)
    assert_harmless(page_of(story, {text: Tail(1, "x", True)}))


@given(st.text())
def test_json_in_an_element_is_the_same_json(text: str) -> None:
    written = as_json({"x": text})
    assert json.loads(written) == {"x": text}
    assert not set("<>&") & set(written)
