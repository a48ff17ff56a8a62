"""The hostile corpus in every form: it stays text."""

import csv
import json
import re
import unicodedata
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from stepwave.core.telling.exporting import FORMATS, export
from stepwave.core.telling.exporting.findings import annotations
from stepwave.core.telling.exporting.mermaid import as_mermaid
from stepwave.core.telling.exporting.reading import Reading, Tail
from stepwave.core.telling.exporting.sections import Github, Gitlab
from stepwave.core.telling.exporting.texts import csv_cell, json_text, shown, xml_attribute, xml_text
from stepwave.core.telling.story import Story
from stepwave.core.telling.style import make_style
from stepwave.core.text import no_command, one_line
from tests.core import hostile

STORY = hostile.story()
each_format = pytest.mark.parametrize("format", FORMATS)
each_text = pytest.mark.parametrize("text", hostile.CORPUS, ids=range(len(hostile.CORPUS)))


def reading(story: Story, tail: tuple[str, ...] = hostile.CORPUS) -> Reading:
    tails = {attempt.log: Tail(tail, whole=False) for step in story.steps for attempt in step.attempts}
    return Reading(story, tails, root="/w")


def made(format: str, story: Story = STORY) -> str:
    return "".join(export(reading(story), format))


# --- whatever it is ----------------------------------------------------------------------------------------


@each_format
def test_nothing_is_obeyed_when_it_is_printed(format: str) -> None:
    text = made(format)
    assert hostile.controls(text) == []
    assert hostile.commands(text) == []
    text.encode("utf-8")  # and no stream refuses it


@each_format
def test_each_text_alone_is_as_harmless(format: str) -> None:
    for text, story in hostile.stories():
        found = "".join(export(reading(story, (text,)), format))
        assert hostile.controls(found) == [], text
        assert hostile.commands(found) == [], text


anything = st.text(st.characters(codec=None), max_size=60)


@settings(deadline=None)
@given(anything)
def test_no_text_whatever_becomes_a_command(text: str) -> None:
    lines = (no_command(line) for line in re.split("\r\n|[\n\r\x85\u2028\u2029]", f"##[{text}::error::{text}"))
    assert hostile.commands("\n".join(lines)) == []
    style = make_style(color=False, unicode=True)
    assert hostile.commands(style.quote(f"  ##vso[{text}")) == []
    assert hostile.commands(style.word(f"::error::{text}")) == []


# --- JSON --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["perfetto", "chrome-trace", "json", "otlp-json", "sarif"])
def test_json_stays_json(format: str) -> None:
    text = made(format)
    assert text.isascii()
    json.loads(text)


def test_the_document_gives_every_text_back_as_it_was() -> None:
    shown = json.loads(made("json"))
    assert [step["name"] for step in shown["steps"]] == list(hostile.CORPUS)
    assert [step["id"] for step in shown["steps"]] == [step.drawn.id for step in STORY.steps]


@settings(deadline=None)
@given(anything)
def test_json_text_is_what_it_says(text: str) -> None:
    assert json.loads(json_text([text])) == [text]


@pytest.mark.parametrize("format", ["perfetto", "otlp-json", "sarif"])
def test_no_text_has_half_a_character(format: str) -> None:
    """Lone surrogates: parsers of protobuf and others refuse them."""

    def texts(value: Any) -> list[str]:
        if isinstance(value, str):
            return [value]
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return [text for part in parts for text in texts(part)]

    for text in texts(json.loads(made(format))):
        text.encode("utf-8")


# --- XML ---------------------------------------------------------------------------------------------------

ELEMENTS = {
    *("testsuites", "testsuite", "testcase", "properties", "property", "failure", "error", "skipped", "system-out"),
}


def test_junit_has_no_elements_but_its_own() -> None:
    root = ElementTree.fromstring(made("junit"))
    assert {element.tag for element in root.iter()} <= ELEMENTS
    names = {case.get("name") for case in root.iter("testcase")}
    assert names == {shown(step.drawn.id) for step in STORY.steps}
    printed = shown("\n".join(hostile.CORPUS))
    for output in root.iter("system-out"):
        assert (output.text or "").partition("\n")[2] == f"{printed}\n"


@settings(deadline=None)
@given(anything)
def test_xml_gives_every_text_back(text: str) -> None:
    element = ElementTree.fromstring(f'<a b="{xml_attribute(text)}">{xml_text(text)}</a>')
    assert element.get("b") == shown(text)
    assert (element.text or "") == shown(text)


# --- CSV ---------------------------------------------------------------------------------------------------

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def test_csv_has_no_rows_but_its_own_and_no_formula() -> None:
    rows = list(csv.reader(made("csv").splitlines(keepends=True), strict=True))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert len(rows) == 1 + sum(max(len(step.attempts), 1) for step in STORY.steps)
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t")) and not NUMBER.fullmatch(cell)]


@settings(deadline=None)
@given(anything)
def test_a_cell_is_a_cell(text: str) -> None:
    ((first, second, third),) = csv.reader([f"a,{csv_cell(text)},b\r\n"], strict=True)
    assert (first, second.removeprefix("'"), third) == ("a", one_line(text, 1000).removeprefix("'"), "b")


# --- Markdown ----------------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """Which elements there are, with which attributes, and the text in `code` and `pre`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self._inside = False
        self.odd: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag in ("code", "pre"):
            self.texts.append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("code", "pre")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += data

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    def handle_decl(self, decl: str) -> None:
        self.odd.append(decl)

    def handle_pi(self, data: str) -> None:
        self.odd.append(data)


def seen(html: str) -> Seen:
    parser = Seen()
    parser.feed(html)
    parser.close()
    return parser


MARKDOWN_TAGS = {
    *("h3", "h4", "p", "code", "pre", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "span"),
}


def rendered(text: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


def test_a_summary_has_no_elements_but_its_own() -> None:
    for story in [STORY, *(story for _, story in hostile.stories())]:
        found = seen(rendered(made("markdown", story)))
        assert found.tags <= MARKDOWN_TAGS
        assert found.attributes <= {"open", "style", "class"}
        assert found.odd == []


def test_a_summary_shows_every_text() -> None:
    """In `code` and `pre` stands what was to be shown, and none of it has become anything else."""
    for text, story in hostile.stories():
        found = seen(rendered("".join(export(reading(story, (text,)), "markdown"))))
        wanted = shown(one_line(text, 200))
        assert not wanted or [one for one in found.texts if one.strip() == wanted.strip()], text
        pre = shown(text)[:500].strip("\n")
        assert not pre or pre in [one.strip("\n") for one in found.texts], text


LINE = re.compile(
    r'    n\d+\["(?:[^\W_]|[ (),/._-]|#\d+;|\s)*(?:<br/>[a-z_ 0-9.]+)?"\]:::(?:completed|failed|tolerated|other)'
    r"|    n\d+ (?:-->|-\.->) n\d+|    classDef [a-z]+ [a-z0-9:#, -]+|    class [n0-9,]+ critical|flowchart LR"
)


def test_a_graph_has_no_statements_but_its_own() -> None:
    for story in [STORY, *(story for _, story in hostile.stories())]:
        for line in as_mermaid(reading(story)):
            # Marks that are put on letters are letters here: they cannot end a quotation.
            bare = "".join(char for char in line if unicodedata.category(char) not in ("Mn", "Sk", "So"))
            assert LINE.fullmatch(bare), line


# --- CI systems --------------------------------------------------------------------------------------------


def test_annotations_are_one_command_each() -> None:
    for story in [STORY, *(story for _, story in hostile.stories())]:
        text = annotations(reading(story))
        assert hostile.controls(text) == []
        for line in text.split("\n"):
            head, _, message = line.removeprefix("::").partition("::")
            name, _, properties = head.partition(" ")
            assert name in ("error", "warning")
            keys = [pair.partition("=")[0] for pair in properties.split(",")]
            assert keys[:3] == ["file", "line", "col"]
            assert set(keys) <= {"file", "line", "col", "title"}
            assert message


@each_text
def test_a_group_on_github_holds_its_lines(text: str) -> None:
    lines = Github("f00d")(text, (*hostile.CORPUS[:5], text), 0.0)
    assert [line.split("::")[1] for line in hostile.commands("\n".join(lines))] == [
        *("group", "stop-commands", "endgroup"),
    ]
    assert (lines[1], lines[-2]) == ("::stop-commands::f00d", "::f00d::")
    assert hostile.controls(lines[0]) == []


@each_text
def test_a_section_on_gitlab_holds_its_lines(text: str) -> None:
    quoted = [make_style(color=False, unicode=True).quote(one) for one in hostile.CORPUS]
    first, *lines, last = Gitlab("stepwave")(text, quoted, 12.9)
    name = re.fullmatch(r"\x1b\[0Ksection_start:12:([\w.-]{1,100})\[collapsed=true\]\r\x1b\[0K([^\x1b\r\n]*)", first)
    assert name
    assert name[1].isascii()
    assert last == f"\x1b[0Ksection_end:12:{name[1]}\r\x1b[0K"
    assert hostile.controls("\n".join([name[2], *lines])) == []
