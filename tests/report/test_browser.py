"""The page in a real browser: it draws, loads nothing, and suits keyboards, phones and paper."""

import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from flux.report.load import Material
from flux.report.page import html_report
from flux.report.plotly_script import load_plotly
from tests.report.making import HOSTILE, document_of, finding, grid_of, marks, some_rows

pytest.importorskip("plotly")
sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A page with every chart, and with names that are made to break it."""
    document = document_of(
        steps=("health", HOSTILE), marks=marks(), findings=(finding(is_fatal=False),)
    )
    document["phases"] = [
        {"name": "warm-up", "start_ns": 0, "end_ns": 10**10, "warmup": True},
        {"name": HOSTILE, "start_ns": 10**10, "end_ns": 6 * 10**10, "warmup": False},
    ]
    material = Material(document, pathlib.Path("result.json"), grid_of(some_rows()), HOSTILE)
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(html_report(material, load_plotly()))
    return file


class Visit:
    """The page in a browser of its own settings, and what it said and asked for meanwhile."""

    def __init__(self, browser: Any, file: pathlib.Path, script: str = "", **settings: Any) -> None:
        self.context = browser.new_context(**settings)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = self.context.new_page()
        self.page.add_init_script(script)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.context.route(lambda url: not url.startswith("file:"), lambda route: route.abort())
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-charts]", state="attached")

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *raised: object) -> None:
        self.context.close()

    def wait_for(self, colours: str) -> None:
        """Until all charts are drawn in these."""
        self.page.wait_for_selector(f"html[data-charts={colours}]", state="attached")

    def scroll_through(self) -> None:
        """As a reader does, down to the last chart, each of which is drawn then."""
        for chart in self.page.locator(".chart").all():
            chart.scroll_into_view_if_needed()
            chart.locator(".main-svg").first.wait_for(state="attached")
        self.page.wait_for_selector("html[data-charts]", state="attached")

    def run(self, script: str) -> Any:
        return self.page.evaluate(script)


def test_it_draws_every_chart_without_an_error_or_a_request(
    browser: Any, page_file: pathlib.Path
) -> None:
    with Visit(browser, page_file) as visit:
        visit.scroll_through()
        assert visit.said == []
        assert visit.asked == [page_file.as_uri()]
        assert visit.run(DRAWN) == ALL_CHARTS


DRAWN = """[...document.querySelectorAll(".chart")].map((chart) => [
    chart.id,
    [...chart.querySelectorAll(".scatterlayer path.js-line")]
        .filter((path) => path.getAttribute("d").length > 10).length,
    chart.querySelectorAll(".heatmaplayer image").length,
])"""
ALL_CHARTS = [
    ["chart-load", 3, 0],
    ["chart-response", 4, 0],
    ["chart-service", 3, 0],
    ["chart-spectrum", 3, 0],
    ["chart-heat", 0, 1],
    ["chart-errors", 1, 0],
    ["chart-under-way", 4, 0],
    ["chart-lag", 3, 0],
]


def test_a_chart_is_drawn_when_it_comes_near_and_moves_nothing(
    browser: Any, page_file: pathlib.Path
) -> None:
    height = "document.documentElement.scrollHeight"
    shifts = """new Promise((resolve) => new PerformanceObserver((list) => resolve(
        list.getEntries().reduce((sum, entry) => sum + entry.value, 0)
    )).observe({ type: "layout-shift", buffered: true }) || setTimeout(() => resolve(0), 100))"""
    with Visit(browser, page_file) as visit:
        before = visit.run(height)
        far = [name for name, *counts in visit.run(DRAWN) if not any(counts)]
        assert "chart-lag" in far
        assert "chart-load" not in far
        visit.scroll_through()
        assert visit.run(DRAWN) == ALL_CHARTS
        assert visit.run(height) == before
        assert visit.run(shifts) == 0


def test_a_browser_that_cannot_tell_what_is_near_draws_them_all(
    browser: Any, page_file: pathlib.Path
) -> None:
    with Visit(browser, page_file, script="delete window.IntersectionObserver") as visit:
        assert visit.run(DRAWN) == ALL_CHARTS


def test_all_charts_are_on_paper(browser: Any, page_file: pathlib.Path) -> None:
    with Visit(browser, page_file) as visit:
        assert visit.page.pdf().startswith(b"%PDF")
        assert visit.run(DRAWN) == ALL_CHARTS
        assert visit.said == []


def test_names_that_are_html_are_shown_as_they_are(browser: Any, page_file: pathlib.Path) -> None:
    with Visit(browser, page_file) as visit:
        assert visit.run("document.querySelectorAll('[onload]').length") == 0
        assert HOSTILE in visit.page.inner_text("body")
        bands = visit.run(
            "[...document.querySelectorAll('#chart-load text')].map(e => e.textContent)"
        )
    assert any('<script>alert("x")' in text for text in bands)


def test_names_of_phases_are_cut_where_they_would_run_into_each_other(
    browser: Any, page_file: pathlib.Path
) -> None:
    names = "[...document.querySelectorAll('#chart-load .shapelayer text')].map(e => e.textContent)"
    with Visit(browser, page_file, viewport={"width": 375, "height": 740}) as visit:
        first, second = visit.run(names)
    assert first.endswith("…")
    assert "warm-up".startswith(first[:-1])
    assert second.startswith('<script>alert("x")')


@pytest.mark.parametrize("width", [320, 375, 768, 1440])
def test_a_head_of_a_table_is_broken_between_words_only(
    browser: Any, page_file: pathlib.Path, width: int
) -> None:
    heads = """[...document.querySelectorAll("section > .scroll thead th")].filter((head) => {
        const lines = head.getClientRects().length && new Set(
            (() => { const range = document.createRange(); range.selectNodeContents(head);
                return [...range.getClientRects()].map((one) => one.top); })()).size;
        return lines > head.textContent.split(" ").length;
    }).map((head) => head.textContent)"""
    with Visit(browser, page_file, viewport={"width": width, "height": 740}) as visit:
        assert visit.run(heads) == []


@pytest.mark.parametrize("width", [320, 375, 768, 1440])
def test_no_width_of_screen_scrolls_sideways(
    browser: Any, page_file: pathlib.Path, width: int
) -> None:
    viewport = {"width": width, "height": 740}
    with Visit(browser, page_file, viewport=viewport, has_touch=width < 500) as visit:
        visit.scroll_through()
        assert visit.run("document.documentElement.scrollWidth") == width
        widest = "Math.max(...[...document.querySelectorAll('.chart svg')].map(e => e.clientWidth))"
        assert 200 < visit.run(widest) <= width


def test_the_charts_follow_the_colours_of_the_page(browser: Any, page_file: pathlib.Path) -> None:
    ground = "getComputedStyle(document.querySelector('#chart-load .main-svg')).backgroundColor"
    line = "getComputedStyle(document.querySelector('#chart-response .js-line')).stroke"
    with Visit(browser, page_file, color_scheme="light") as visit:
        visit.scroll_through()
        visit.page.locator("#chart-response").scroll_into_view_if_needed()
        light = visit.run(f"[{ground}, {line}]")
        visit.page.emulate_media(color_scheme="dark")
        visit.wait_for("dark")
        changed = visit.run(f"[{ground}, {line}]")
        visit.page.locator("#chart-lag").scroll_into_view_if_needed()
        dark_lag = '#chart-lag .main-svg[style*="rgb(22, 26, 31)"]'
        visit.page.wait_for_selector(dark_lag, state="attached")
    with Visit(browser, page_file, color_scheme="dark") as visit:
        visit.scroll_through()
        dark = visit.run(f"[{ground}, {line}]")
    assert light == ["rgb(255, 255, 255)", "rgb(20, 128, 111)"]
    assert changed == dark == ["rgb(22, 26, 31)", "rgb(95, 208, 187)"]


def test_on_paper_a_dark_page_is_light(browser: Any, page_file: pathlib.Path) -> None:
    ground = "getComputedStyle(document.querySelector('#chart-load .main-svg')).backgroundColor"
    with Visit(browser, page_file, color_scheme="dark") as visit:
        visit.run("dispatchEvent(new Event('beforeprint'))")
        visit.wait_for("paper")
        assert visit.run(ground) == "rgb(255, 255, 255)"
        assert visit.run("document.querySelector('#chart-load .main-svg').clientWidth") == 680
        heights = (
            "['#chart-load', '#chart-load .main-svg'].map((one) => document.querySelector(one))"
        )
        place, drawing = visit.run(f"{heights}.map((one) => one.getBoundingClientRect().height)")
        assert drawing == place == 240
        visit.run("dispatchEvent(new Event('afterprint'))")
        visit.wait_for("dark")
        assert visit.run(ground) == "rgb(22, 26, 31)"


def test_tab_goes_through_the_page_in_order_and_shows_where_it_is(
    browser: Any, page_file: pathlib.Path
) -> None:
    focused = """(() => {
        const one = document.activeElement, style = getComputedStyle(one);
        return [
            one.tagName, one.getBoundingClientRect().top + scrollY, style.outlineStyle,
            one.getAttribute("aria-label") ?? one.textContent,
        ];
    })()"""
    visited: list[Any] = []
    with Visit(browser, page_file) as visit:
        while True:
            visit.page.keyboard.press("Tab")
            found = visit.run(focused)
            if found[0] == "BODY" or len(visited) > 60:
                break
            visited.append(found)
    assert visited[0][3] == "Skip to the charts"
    tops = [top for _, top, _, _ in visited[1:]]
    assert tops == sorted(tops)
    assert {outline for _, _, outline, _ in visited} == {"solid"}
    assert [name for tag, _, _, name in visited if tag == "SUMMARY"][:2] == [
        "Demand and achieved rate: data as a table",
        "Response time over time: data as a table",
    ]
    assert {"Steps", "Marks"} <= {name for tag, _, _, name in visited if tag == "DIV"}


def test_a_key_opens_the_table_of_a_chart(browser: Any, page_file: pathlib.Path) -> None:
    with Visit(browser, page_file) as visit:
        visit.page.locator("summary").first.focus()
        visit.page.keyboard.press("Enter")
        assert visit.page.locator("details[open] tbody tr").count() == 60
        assert visit.page.locator("details[open] th").first.inner_text() == "time, s"


def test_without_scripts_words_and_tables_are_there(browser: Any, page_file: pathlib.Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator(".verdict .word").inner_text() == "✓ VALID"
    assert page.locator("noscript").first.is_visible()
    assert page.locator("section table").count() > 5
    context.close()
