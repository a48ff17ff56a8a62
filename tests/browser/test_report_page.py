"""The page of a run in a real browser: a person clicks, types, scrolls and prints, and sees what was recorded.

Wanted: the package `selenium`, and a Chromium with its driver (Debian: chromium, chromium-driver). Where one is missing
the tests are skipped. STEPWAVE_SCREENSHOTS names a folder for pictures of what was seen.
"""

import base64
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwave.core.telling.page.embedded import values_of_run
from stepwave.core.telling.page.facts import Fact, Tail, tails_of
from stepwave.core.telling.page.page import make_page
from stepwave.core.telling.story import Story
from stepwave.core.text import one_line
from stepwave.edge.assets import page_assets
from tests.cli.invoke import flow, stepwave
from tests.core import hostile, stories

webdriver = pytest.importorskip("selenium.webdriver")
keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
waiting = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait

BROWSER = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(BROWSER is None or DRIVER is None, reason="needs Chromium and chromedriver")

PATIENCE_S = 30
MANY = 1000
FAILING = 500


class Seen:
    """A page in the browser, and what can be asked of it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def show(self, page: Path, width: int = 1440, height: int = 1000) -> None:
        self.driver.set_window_size(width, height)
        self.driver.get("about:blank")
        self.driver.get(page.as_uri())
        self.until(lambda: self.run("return document.documentElement.dataset.ready") == "yes")
        self.frame()  # and has looked once how much room there is

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, holds: Any) -> Any:
        return waiting(self.driver, PATIENCE_S, 0.05).until(lambda _: holds())

    def frame(self) -> None:
        """Wait until what was asked for has been drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));"
        )

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def text(self, selector: str) -> str:
        return str(self.one(selector).get_attribute("textContent"))

    def click(self, selector: str) -> None:
        element = self.one(selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        self.frame()  # scrolled tables have new rows
        self.one(selector).click()
        self.frame()

    def press(self, *what: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*what).perform()
        self.frame()

    def rows(self) -> list[str]:
        """The ids in the table that are in the document now."""
        found: list[str] = self.run(
            "return [...document.querySelectorAll('tr[data-step] td.step')].map((e) => e.textContent)"
        )
        return found

    def shown(self) -> str:
        return self.text("#shown")

    def panel(self) -> str | None:
        """The id of the step that is shown beside the page."""
        panel = self.one("#panel")
        return self.text("#panel h2") if panel.is_displayed() else None

    def colors(self, selector: str) -> int:
        """How many colours a canvas shows: one is an empty canvas."""
        return int(
            self.run(
                """const canvas = document.querySelector(arguments[0]);
                const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                const found = new Set();
                for (const color of new Uint32Array(all.buffer)) found.add(color);
                return found.size;""",
                selector,
            )
        )

    def point(self, selector: str, x: float, y: float) -> None:
        """The pointer to a place in an element, counted from its upper left corner."""
        element = self.one(selector)
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        size = element.size
        actions = webdriver.ActionChains(self.driver, duration=0)
        actions.move_to_element_with_offset(
            element, round(x - size["width"] / 2), round(y - size["height"] / 2)
        ).perform()
        self.frame()

    def find(self, selector: str, step: str) -> tuple[float, float]:
        """Where in a canvas the pointer meets a step, as a person would look for it; the pointer is there then."""
        place = self.run(
            """const canvas = document.querySelector(arguments[0]);
            canvas.scrollIntoView({block: "center", behavior: "instant"});
            const box = canvas.getBoundingClientRect();
            for (let y = 6; y < box.height; y += 8) for (let x = 6; x < box.width; x += 12) {
              const place = { clientX: box.left + x, clientY: box.top + y, bubbles: true };
              canvas.dispatchEvent(new PointerEvent("pointermove", place));
              const hint = document.getElementById("hint");
              if (!hint.hidden && hint.querySelector("b").textContent === arguments[1]) return [x, y];
            }
            return null;""",
            selector,
            step,
        )
        assert place is not None, f"{step} is not to be seen in {selector}"
        self.point(selector, place[0] + 2, place[1] + 2)
        assert self.text("#hint b") == step
        return place[0] + 2, place[1] + 2

    def keep(self, name: str) -> None:
        if folder := os.environ.get("STEPWAVE_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    with tempfile.TemporaryDirectory(prefix="stepwave-browser-", ignore_cleanup_errors=True) as profile:
        quiet = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
        for word in (*quiet, "--force-device-scale-factor=1", f"--user-data-dir={profile}"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=DRIVER)
        made = webdriver.Chrome(options=options, service=service)
        try:
            yield made
        finally:
            made.quit()


@pytest.fixture
def seen(driver: Any) -> Iterator[Seen]:
    """After every test: the page has made no request and met no error, and its own policy has refused nothing."""
    seen = Seen(driver)
    seen.complaints()
    yield seen
    assert seen.complaints() == []
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def written(folder: Path, story: Story, tails: dict[str, Tail] | None = None, facts: Any = None) -> Path:
    page = folder / "page.html"
    page.write_text(
        make_page(values_of_run(story, tails or {}, facts or {}), story.name, page_assets()), "utf-8", "replace"
    )
    return page


@pytest.fixture
def mixed(seen: Seen, tmp_path: Path) -> Seen:
    tails = {"build": Tail(2, "cc main.c\nmain.c:12: error", True)}
    seen.show(written(tmp_path, stories.mixed(), tails, {"build": (Fact("Environment", "CC", "gcc"),)}))
    return seen


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a real run of a thousand steps in ten waves, of which one fails and is tolerated."""
    folder = tmp_path_factory.mktemp("thousand")
    lines = ["name: A thousand", "version: 1.0.0", "parallel: {defaultMaxConcurrency: 8, resources: {db: 2}}", "steps:"]
    for n in range(MANY):
        needs = f"needs: [s{n - 100}], " if n >= 100 else ""
        pool = "resources: {db: 1}, " if n % 20 == 0 else ""
        work = "exit 3" if n == FAILING else f"echo {n}"
        lines.append(f'  - {{id: s{n}, {needs}{pool}continueOnError: {str(n == FAILING).lower()}, run: "{work}"}}')
    flow(folder, "\n".join(lines))
    assert stepwave("run", "-q", "flow.yaml", cwd=folder).code == 0
    assert stepwave("report", "--no-logs", "-o", "small.html", cwd=folder).code == 0
    assert stepwave("report", "-o", "page.html", cwd=folder).code == 0
    return folder / "page.html"


# --- a small run: everything that is told ----------------------------------------------------------------------------


def test_the_overview_says_what_happened(mixed: Seen) -> None:
    assert mixed.text("h1") == "A flow"
    assert mixed.text("#verdict") == "failed"
    assert mixed.text("#reason") == "Failed steps: build"
    assert [each.text for each in mixed.all("#counts li")] == [
        *("1 failed", "1 failed (tolerated)", "6 completed", "1 reused", "2 skipped"),
    ]
    figures = dict(
        zip((e.text for e in mixed.all("#figures dt")), (e.text for e in mixed.all("#figures dd")), strict=True)
    )
    assert figures["Time"] == "10.0s"
    assert figures["Exit code"] == "1"
    assert figures["Steps"].startswith("11")
    mixed.keep("small-light")


def test_what_went_wrong_is_one_click_away(mixed: Seen) -> None:
    assert [each.text.split("\n")[0] for each in mixed.all(".failures button")] == ["build"]
    mixed.click(".failures button")
    assert mixed.panel() == "build"


def test_the_panel_tells_all_of_a_step(mixed: Seen) -> None:
    mixed.click("tr[data-step='4']")
    told = mixed.one("#panel").text
    for words in (
        *("failed", "exit code 3", "Build <all>", "/w/flow.yaml:12", "gpu", "choose", "ship", "for choose"),
        *("for units of pool gpu", "before its next attempt", "Attempt 1", "Attempt 2", "make", "main.c:12: error"),
        *("CC=gcc", f"stepwave logs build {stories.RUN}", "it is on it"),
    ):
        assert words in told, words
    mixed.keep("small-panel")
    mixed.click("#panel .links button")
    assert mixed.panel() == "choose"
    assert "true; these go on:" in mixed.one("#panel").text


def test_the_address_names_the_step_and_opens_it(mixed: Seen) -> None:
    mixed.click("tr[data-step='6']")
    assert mixed.driver.current_url.endswith("#step=parts")
    assert "parts[1]" in mixed.one("#panel").text
    mixed.run("location.hash = '#step=parts%5B2%5D'")
    mixed.until(lambda: mixed.panel() == "parts[2]")


def test_rows_of_steps_show_waiting_apart_from_running(mixed: Seen) -> None:
    mixed.click("[data-rows='steps']")
    assert mixed.one("[data-rows='steps']").get_attribute("aria-pressed") == "true"
    x, y = mixed.find("#rows canvas", "build")
    wide = mixed.one("#rows canvas").size["width"]
    mixed.point("#rows canvas", 168 + (wide - 182) * 0.45, y)  # between its attempts, at 4.5s of 10s
    assert "waits 1.0s before its next attempt" in mixed.text("#hint")
    mixed.keep("small-by-step")
    assert x < wide


def test_pools_say_how_much_is_held(mixed: Seen) -> None:
    wide = mixed.one("#pools canvas").size["width"]
    mixed.point("#pools canvas", 168 + (wide - 182) * 0.3, 62 + 30)  # the second chart, at 3s of 10s
    assert mixed.text("#hint b") == "gpu"
    assert "1 of 1 held at " in mixed.text("#hint")
    assert "gpu: " in mixed.text("#pool-figures")


def test_the_graph_is_clicked_and_walked_by_keys(mixed: Seen) -> None:
    x, y = mixed.find("#drawing canvas", "choose")
    mixed.point("#drawing canvas", x, y)
    webdriver.ActionChains(mixed.driver).click().perform()
    mixed.frame()
    assert mixed.panel() == "choose"
    mixed.run("document.getElementById('drawing').focus()")
    mixed.press(keys.ARROW_LEFT)
    assert mixed.panel() == "fetch"
    mixed.press(keys.ARROW_RIGHT)
    mixed.press(keys.ARROW_RIGHT)
    assert mixed.panel() == "build"
    mixed.press(keys.ARROW_DOWN)
    assert mixed.panel() == "rest"
    mixed.press(keys.ESCAPE)
    assert mixed.panel() is None


def test_the_graph_is_moved_and_zoomed(mixed: Seen) -> None:
    x, y = mixed.find("#drawing canvas", "docs")
    mixed.point("#drawing canvas", x, y)
    webdriver.ActionChains(mixed.driver).click_and_hold().move_by_offset(60, 30).release().perform()
    mixed.frame()
    assert mixed.panel() is None  # a drag is no click
    mixed.point("#drawing canvas", x + 60, y + 30)
    assert mixed.text("#hint b") == "docs"
    before = mixed.one("#drawing canvas").screenshot_as_base64
    mixed.click("#graph [data-zoom='in']")
    assert mixed.one("#drawing canvas").screenshot_as_base64 != before


def test_keys_alone_are_enough(mixed: Seen) -> None:
    mixed.press("/")
    assert mixed.driver.switch_to.active_element.get_attribute("id") == "filter"
    mixed.press("parts")
    assert mixed.shown() == "3 of 11 steps"
    mixed.press(keys.ESCAPE)
    assert mixed.shown() == "11 steps"
    mixed.press(keys.ESCAPE)
    mixed.run("document.getElementById('table').focus()")
    mixed.press(keys.ARROW_DOWN)
    mixed.press(keys.ARROW_DOWN)
    assert mixed.panel() == "docs"
    mixed.press(keys.ENTER)
    assert mixed.driver.switch_to.active_element.text == "Close"
    mixed.press(keys.ESCAPE)
    assert mixed.panel() is None
    assert mixed.driver.switch_to.active_element.get_attribute("id") == "table"


def test_every_control_can_be_reached_and_has_a_name(mixed: Seen) -> None:
    names = mixed.run(
        """return [...document.querySelectorAll("button, input, [tabindex='0']")].filter((e) => e.checkVisibility())
        .map((e) => (e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent).trim());"""
    )
    assert len(names) > 20
    assert all(names)


def test_light_and_dark(mixed: Seen) -> None:
    def paper() -> str:
        return str(mixed.run("return getComputedStyle(document.body).backgroundColor"))

    light = paper()
    mixed.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    mixed.until(lambda: paper() != light)
    dark = paper()
    mixed.frame()
    mixed.keep("small-dark")
    drawn = mixed.one("#drawing canvas").screenshot_as_base64
    mixed.click("#theme")
    assert (mixed.text("#theme"), paper()) == ("Theme: light", light)
    assert mixed.one("#drawing canvas").screenshot_as_base64 != drawn
    mixed.click("#theme")
    assert (mixed.text("#theme"), paper()) == ("Theme: dark", dark)
    mixed.click("#theme")
    assert mixed.text("#theme") == "Theme: system"


def test_it_is_printed_whole_and_in_light(mixed: Seen) -> None:
    mixed.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    mixed.frame()
    printed = mixed.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    paper = base64.b64decode(printed["data"])
    assert paper.startswith(b"%PDF-")
    mixed.frame()
    assert mixed.run("return document.documentElement.dataset.theme ?? ''") == ""  # as it was before
    assert mixed.run("return document.getElementById('page').style.width") == ""
    assert mixed.colors("#drawing canvas") > 20


def test_a_narrow_window_scrolls_one_way_only(mixed: Seen, tmp_path: Path) -> None:
    mixed.show(tmp_path / "page.html", width=500)
    assert mixed.run("return document.documentElement.scrollWidth <= window.innerWidth")
    assert "build" in mixed.rows()
    mixed.click("tr[data-step='4']")
    assert mixed.panel() == "build"
    assert mixed.run("return document.getElementById('panel').getBoundingClientRect().width <= window.innerWidth")
    mixed.keep("small-narrow")


@pytest.mark.parametrize(("story", "verdict", "count"), [
    (stories.running(), "still running", "1 running"), (stories.died(), "died", "1 lost"),
])  # fmt: skip
def test_what_has_not_ended(seen: Seen, tmp_path: Path, story: Story, verdict: str, count: str) -> None:
    seen.show(written(tmp_path, story))
    assert seen.text("#verdict") == verdict
    assert count in [each.text for each in seen.all("#counts li")]
    seen.click("tr[data-step='1']")
    assert "3.0s, from 2.000s to now" in seen.one("#panel").text


@pytest.mark.parametrize("story", [stories.story(), stories.story(stories.ran(stories.drawn("only"), 0.0, 0.0))])
def test_next_to_nothing(seen: Seen, tmp_path: Path, story: Story) -> None:
    seen.show(written(tmp_path, story))
    assert len(seen.rows()) == len(story.steps)


def test_a_plan(seen: Seen, tmp_path: Path) -> None:
    flow(tmp_path, "name: P\nversion: 1.0.0\nsteps:\n  - {id: a, run: make a}\n  - {id: b, needs: a, run: make b}\n")
    assert stepwave("graph", "flow.yaml", "--format", "html", "-o", "plan.html", cwd=tmp_path).code == 0
    seen.show(tmp_path / "plan.html")
    assert not seen.one("#timeline").is_displayed()
    assert seen.rows() == ["a", "b"]
    seen.click("tr[data-step='1']")
    assert "make b" in seen.one("#panel").text


# --- a large run: nothing freezes ------------------------------------------------------------------------------------


def test_a_real_run_of_a_thousand_steps(seen: Seen, thousand: Path) -> None:
    assert len(thousand.with_name("small.html").read_bytes()) < 300_000
    seen.show(thousand)
    assert seen.text("#verdict") == "completed"
    assert [each.text for each in seen.all("#counts li")] == ["1 failed (tolerated)", "999 completed"]
    assert seen.shown() == "1,000 steps"
    assert len(seen.rows()) < 120  # of the table only what is in sight is in the document
    for canvas in ("#rows canvas", "#pools canvas", "#drawing canvas"):
        assert seen.colors(canvas) > 5, canvas
    seen.keep("thousand-light")


def test_filtering_and_sorting(seen: Seen, thousand: Path) -> None:
    seen.show(thousand)
    seen.click("[data-look='tolerated']")
    assert (seen.shown(), seen.rows()) == ("1 of 1,000 steps", [f"s{FAILING}"])
    seen.click("[data-look='tolerated']")
    seen.click("#filter")
    seen.press("s99")
    assert seen.shown() == "11 of 1,000 steps"  # s99, s990 … s999
    seen.press(" gone")
    assert (seen.rows(), seen.text("tr.empty")) == ([], "No step is like that.")
    seen.press(keys.ESCAPE)
    seen.click("[data-sort='ran']")
    assert seen.one("th:has([data-sort='ran'])").get_attribute("aria-sort") == "descending"
    times = seen.run("return [...document.querySelectorAll('tr[data-step]')].map((r) => r.cells[5].textContent)")
    assert len({time for time in times if time}) > 1
    seen.click("[data-sort='id']")
    assert seen.rows()[:3] == ["s0", "s1", "s2"]
    seen.click("[data-sort='id']")
    assert seen.rows()[:3] == ["s999", "s998", "s997"]
    seen.click("[data-sort='id']")
    assert seen.rows()[:3] == ["s0", "s1", "s2"]


def test_scrolling_the_table_to_its_end(seen: Seen, thousand: Path) -> None:
    seen.show(thousand)
    seen.run("const t = document.getElementById('table'); t.scrollTop = t.scrollHeight")
    seen.frame()
    assert seen.rows()[-1] == f"s{MANY - 1}"
    assert len(seen.rows()) < 120
    seen.run("document.getElementById('table').focus()")
    seen.press(keys.HOME)
    assert seen.panel() == "s0"
    seen.press(keys.END)
    assert seen.panel() == f"s{MANY - 1}"


def test_a_step_is_found_in_graph_and_timeline(seen: Seen, thousand: Path) -> None:
    seen.show(thousand)
    seen.run(f"location.hash = '#step=s{FAILING}'")
    seen.until(lambda: seen.panel() == f"s{FAILING}")
    seen.frame()
    seen.find("#drawing canvas", f"s{FAILING}")
    seen.click("[data-rows='steps']")
    seen.run("document.getElementById('rows').focus()")
    seen.press(keys.ARROW_DOWN)
    seen.press(keys.ARROW_UP)
    seen.find("#rows canvas", f"s{FAILING}")
    seen.keep("thousand-chosen")


def test_zooming_the_timeline_finds_single_steps(seen: Seen, thousand: Path) -> None:
    seen.show(thousand)
    for _ in range(8):
        seen.click("#timeline [data-zoom='in']")
    wide = seen.one("#rows canvas").size["width"]
    ids = set()
    for x in range(180, wide - 20, 40):
        seen.point("#rows canvas", x, 26 + 14)
        if seen.one("#hint").is_displayed():
            ids.add(seen.text("#hint b"))
        if len(ids) == 2:
            break
    assert len(ids) == 2
    seen.keep("thousand-zoomed")
    seen.click("#timeline [data-zoom='all']")


@pytest.mark.parametrize("dark", [False, True])
def test_five_thousand_steps_are_there_and_move(seen: Seen, tmp_path: Path, dark: bool) -> None:
    if dark:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        seen.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    seen.show(written(tmp_path, stories.layered(5000)))
    assert seen.shown() == "5,000 steps"
    assert len(seen.rows()) < 120
    seen.run("const t = document.getElementById('table'); t.scrollTop = t.scrollHeight / 2")
    seen.frame()
    assert 2400 < int(seen.rows()[0].removeprefix("step-")) < 2600
    seen.click("[data-rows='steps']")
    seen.run("const r = document.getElementById('rows'); r.scrollTop = r.scrollHeight")
    seen.frame()
    assert seen.colors("#rows canvas") > 5
    seen.click("#graph [data-zoom='all']")
    assert seen.colors("#drawing canvas") > 5
    seen.run("scrollTo(0, 0)")
    seen.keep(f"five-thousand-{'dark' if dark else 'light'}")


# --- hostile ---------------------------------------------------------------------------------------------------------


def test_nothing_of_the_corpus_is_obeyed(seen: Seen, tmp_path: Path) -> None:
    story = hostile.story()
    tails = tails_of((step, hostile.CORPUS, True) for step in story.steps if step.attempts)
    seen.show(written(tmp_path, story, tails))
    tags = set(seen.run("return [...document.querySelectorAll('body *')].map((e) => e.tagName)"))
    for number in range(0, len(story.steps), 3):
        seen.run("location.hash = '#step=' + encodeURIComponent(arguments[0])", one_line(story.steps[number].drawn.id))
        tags |= set(seen.run("return [...document.querySelectorAll('body *')].map((e) => e.tagName)"))
    assert seen.panel() is not None
    assert not tags & {"IMG", "IFRAME", "OBJECT", "EMBED", "FORM", "LINK", "META", "BASE"}
    assert len(seen.all("script")) == 2
    assert seen.run("return document.title") == hostile.CORPUS[0]
    assert not seen.run(
        "return [...document.querySelectorAll('*')].some((e) => [...e.attributes].some((a) => a.name.startsWith('on')))"
    )


def test_the_policy_of_the_page_refuses_what_is_not_its_own(driver: Any, tmp_path: Path) -> None:
    seen = Seen(driver)
    seen.show(written(tmp_path, stories.mixed()))
    seen.run(
        """const s = document.createElement('script'); s.textContent = 'window.pwned = 1'; document.body.append(s);
        const i = document.createElement('img'); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i);"""
    )
    assert seen.run("return window.pwned ?? null") is None
    seen.until(lambda: "Content Security Policy" in " ".join(seen.complaints()) or None)
