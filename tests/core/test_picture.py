"""Plans and runs as SVG and Graphviz: all that matters is told, and nothing foreign becomes markup."""

import re
import shutil
import subprocess
from textwrap import dedent
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.plan import Plan
from stepwave.core.running.graph import make_plan
from stepwave.core.telling import draw_run
from stepwave.core.telling.layout.columns import PASS
from stepwave.core.telling.looks import LOOKS, look_of
from stepwave.core.telling.picture import picture_of_plan, picture_of_run
from stepwave.core.telling.style import make_style
from stepwave.core.telling.svg import as_svg, size_of_svg
from tests.core import hostile, stories
from tests.core.build_texts import workflow_of

SVG = "{http://www.w3.org/2000/svg}"
KNOWN = {"svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text", "g", "circle", "polygon"}
PLAIN = make_style(color=False, unicode=True)


def plan_of(text: str) -> Plan:
    return make_plan(workflow_of(dedent(text)), cpus=4)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


# --- what is told ----------------------------------------------------------------------------------------------------


def test_every_step_has_its_words_and_its_tip() -> None:
    story = stories.mixed()
    root = parsed(as_svg(picture_of_run(story)))
    shown = texts(root)
    for step in story.steps:
        assert step.drawn.id in shown
    for words in (
        "2.0s",
        "failed, 3.0s, 2 attempts",
        "reused",
        "skipped",
        "failed (tolerated), 3.0s",
        "wave 1",
        "finally",
    ):
        assert words in shown
    tips = [element.text for element in root.iter(f"{SVG}title")]
    assert "build\nBuild <all>\nfailed, 3.0s, 2 attempts\nexit code 3" in tips


def test_the_heading_counts_the_outcomes() -> None:
    assert texts(parsed(as_svg(picture_of_run(stories.mixed()))))[:2] == [
        "A flow",
        "failed (10.0s): 1 failed, 1 failed (tolerated), 6 completed, 1 reused, 2 skipped",
    ]


@pytest.mark.parametrize(("story", "words"), [(stories.running(), "running, 3.0s"), (stories.died(), "lost, 3.0s")])
def test_what_has_not_ended(story: object, words: str) -> None:
    assert words in texts(parsed(as_svg(picture_of_run(story))))  # type: ignore[arg-type]


def test_answers_stand_at_the_lines() -> None:
    assert {"true", "false"} <= set(texts(parsed(as_svg(picture_of_run(stories.mixed())))))


def test_the_critical_path_is_drawn_where_one_step_needs_the_other() -> None:
    root = parsed(as_svg(picture_of_run(stories.mixed())))
    boxes = [g for g in root.iter(f"{SVG}g") if "critical" in g.get("class", "")]
    assert len(boxes) == 4
    heavy = [p for p in root.iter(f"{SVG}path") if "heavy" in p.get("class", "")]
    through = picture_of_run(stories.mixed()).layout.kinds.count(PASS)
    assert 2 <= len(heavy) <= 2 + through  # fetch → choose → build; `tidy` needs none of them


def test_an_outcome_is_told_by_mark_color_and_word() -> None:
    looks = list(LOOKS.values())
    for kind in ("key", "word"):
        assert len({getattr(look, kind) for look in looks}) == len(looks)
    ends = [look for look in looks if look.key not in ("unstarted", "planned", "waiting", "retrying")]
    assert len({look.mark for look in ends}) == len(ends)
    assert {look_of(step, False).key for step in stories.mixed().steps} <= {look.key for look in looks}


def brightness(color: str) -> float:
    """Relative luminance: https://www.w3.org/TR/WCAG21/#dfn-relative-luminance"""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((brightness(one), brightness(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("key", LOOKS)
def test_colors_can_be_read_on_their_paper(key: str) -> None:
    assert contrast(LOOKS[key].light, "#ffffff") >= 4.5
    assert contrast(LOOKS[key].dark, "#1d2026") >= 4.5


def test_light_dark_or_as_whoever_looks_prefers() -> None:
    picture = picture_of_run(stories.mixed())
    either, light, dark = as_svg(picture), as_svg(picture, dark=False), as_svg(picture, dark=True)
    assert "prefers-color-scheme" in either
    assert "prefers-color-scheme" not in light + dark
    assert "#fbfbfa" in light
    assert "#fbfbfa" not in dark


def test_the_size_is_that_of_the_drawing() -> None:
    picture = picture_of_run(stories.layered(200))
    width, height = size_of_svg(picture)
    assert parsed(as_svg(picture)).get("viewBox") == f"0 0 {width:.1f} {height:.1f}".replace(".0 ", " ").removesuffix(
        ".0"
    )
    assert width > picture.layout.width
    assert height > picture.layout.height


def test_a_plan_shows_what_is_asked_and_what_is_needed() -> None:
    plan = plan_of(
        """
        name: Ship
        version: 1.0.0
        parallel: {resources: {gpu: 2}}
        steps:
          - {id: build, name: Build all, run: "true"}
          - {id: train, needs: build, resources: {gpu: 2}, run: "true"}
        """
    )
    shown = texts(parsed(as_svg(picture_of_plan(plan))))
    assert shown[0] == "Ship"
    assert shown[1].startswith("2 steps in 2 waves, 1 dependency, at most ")
    assert {"build", "Build all", "train", "gpu x2", "wave 1", "wave 2"} <= set(shown)


def test_long_ids_are_cut_in_the_middle() -> None:
    names = [f"integration-tests-of-the-large-module-number-{n}" for n in range(3)]
    boxes = picture_of_run(stories.story(*(stories.ran(stories.drawn(name), 0.0, 1.0) for name in names))).boxes
    assert [box.title for box in boxes] == [f"integration-tes…odule-number-{n}" for n in range(3)]


def test_the_same_run_gives_the_same_bytes() -> None:
    assert as_svg(picture_of_run(stories.mixed())) == as_svg(picture_of_run(stories.mixed()))


# --- hostile ---------------------------------------------------------------------------------------------------------


def assert_harmless(svg: str) -> None:
    root = parsed(svg)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= KNOWN
    for element in root.iter():
        assert not [name for name in element.attrib if name.startswith("on") or "href" in name or name == "style"]
    assert svg.count("<style>") == 1
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", svg)


def test_the_corpus_stays_text() -> None:
    assert_harmless(as_svg(picture_of_run(hostile.story())))


@given(st.text(), st.text())
def test_any_text_stays_text(id: str, reason: str) -> None:
    step = stories.ran(stories.drawn(id), 0.0, 1.0)._replace(reason=reason)
    assert_harmless(as_svg(picture_of_run(stories.story(step, name=reason))))


# --- in text ---------------------------------------------------------------------------------------------------------


def test_a_run_as_text() -> None:
    assert "\n".join(draw_run.as_text(stories.mixed(), PLAIN)) == (
        "A flow: failed (10.0s): 1 failed, 1 failed (tolerated), 6 completed, 1 reused, 2 skipped\n"
        "\n"
        "Wave 1 (3 steps)\n"
        "  fetch  2.0s  (critical path)\n"
        "  docs   3.0s\n"
        "  lint   reused\n"
        "\n"
        "Wave 2 (4 steps)\n"
        "  choose    0ms  ← fetch  (critical path)\n"
        "  parts     4.0s  ← fetch\n"
        "  parts[1]  1.0s\n"
        "  parts[2]  1.0s\n"
        "\n"
        "Wave 3 (2 steps)\n"
        "  build  failed, 3.0s, 2 attempts  ← choose  (critical path)\n"
        "  rest   skipped  ← choose\n"
        "\n"
        "Wave 4 (1 step)\n"
        "  ship  skipped  ← build, parts\n"
        "\n"
        "Wave 5 (1 step): finally\n"
        "  tidy  failed (tolerated), 3.0s  (critical path)"
    )


def test_a_run_as_a_document() -> None:
    document = draw_run.as_document(stories.mixed())
    build = next(node for node in document["nodes"] if node["id"] == "build")
    assert (build["outcome"], build["attempts"], build["durationMs"], build["reason"]) == (
        "failed",
        2,
        3000,
        "exit code 3",
    )
    assert {"from": "build", "to": "ship"} in document["edges"]
    assert document["metadata"]["criticalPath"] == ["fetch", "choose", "build", "tidy"]


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("story", [stories.mixed(), hostile.story()], ids=["mixed", "hostile"])
def test_graphviz_draws_a_run(story: object) -> None:
    text = "\n".join(draw_run.as_dot(story))  # type: ignore[arg-type]
    done = subprocess.run(["dot", "-Tsvg"], input=text.encode(), capture_output=True, timeout=60, check=True)
    root = parsed(done.stdout.decode())
    nodes = [g for g in root.iter(f"{SVG}g") if g.get("class") == "node"]
    assert len(nodes) == len(story.steps)  # type: ignore[attr-defined]
    assert not [e for e in root.iter() if e.tag.endswith(("}a", "}script", "}image"))]
