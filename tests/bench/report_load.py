"""How fast the page of a long run opens: `python -m tests.bench.report_load`, two minutes.

Ten million requests over six hours, the most rows of time that a result can have, with phases and
marks, go through the collector and through the grid that a report makes of rows. Then the page is
made, and opened in the system's chromium, each time in a fresh browser, so nothing is cached; the
median, and from the fastest to the slowest. "Words" is when the verdict can be read (first
contentful paint). "Charts in sight" is when all are drawn that are in the window, or near to it:
those further down are drawn when the reader comes to them; "all charts" is with a browser that
cannot tell what is near, so that they are drawn one after another at once. What plotly's script
takes alone to start, in an otherwise empty page, is measured beside.
"""

import itertools
import pathlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence

import attrs
import numpy as np
from playwright.sync_api import sync_playwright

from flux.collection import Collection
from flux.report.grid import Grid
from flux.report.load import Material
from flux.report.markup import Html, tag
from flux.report.page import html_report
from flux.report.plotly_script import load_plotly
from flux.result_file import result_document
from flux.schemas import OUTCOME, Flag, Rows
from flux.summary import Mark
from tests.outcomes import SECOND_NS, make_context

REQUESTS = 10_000_000
LENGTH_S = 6 * 3600 - 60
AT_ONCE = 1 << 16
VISITS = 7
STEPS = ("login", "list", "buy")


def batches() -> Iterator[Rows]:
    """Requests with a long tail, and a slow quarter of an hour."""
    random = np.random.default_rng(7)
    for start in range(0, REQUESTS, AT_ONCE):
        numbers = np.arange(start, min(start + AT_ONCE, REQUESTS))
        rows = OUTCOME.empty(numbers.size)
        rows["seq"] = rows["session"] = numbers
        rows["step"] = numbers % len(STEPS)
        rows["due_ns"] = numbers * (LENGTH_S * SECOND_NS // REQUESTS)
        rows["start_ns"] = rows["due_ns"] + random.exponential(50_000, numbers.size).astype(int)
        slow = np.abs(numbers / REQUESTS - 0.6) < 0.02
        took_ns = random.lognormal(15.5, 0.8, numbers.size) * np.where(slow, 8, 1)
        rows["end_ns"] = rows["start_ns"] + took_ns.astype(np.int64)
        rows["first_byte_ns"] = rows["end_ns"]
        rows["status"] = 200
        rows["flags"] = int(Flag.FIRST | Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS)
        yield rows


def make_page() -> str:
    """The page, with what making it took."""
    collection, grid, grid_s = Collection(STEPS, SECOND_NS), Grid(), 0.0
    for rows in batches():
        collection.add(rows)
        for _ in collection.close(collection.newest_ns - 10 * SECOND_NS):
            pass  # each interval's summary, which nobody wants here
        began = time.perf_counter()
        grid.add(rows)
        grid_s += time.perf_counter() - began
    *_, summary = collection.finish(0, REQUESTS)
    marks = [
        Mark(hour * 3600 * SECOND_NS, "control", f"rate set in hour {hour}") for hour in range(6)
    ]
    document = result_document(attrs.evolve(summary, marks=tuple(marks)), make_context().run)
    edges_ns = np.linspace(0, LENGTH_S * SECOND_NS, 9).astype(int).tolist()
    document["phases"] = [
        {"name": f"phase {start}", "start_ns": start, "end_ns": end}
        for start, end in itertools.pairwise(edges_ns)
    ]
    print(f"rows into the grid: {REQUESTS / grid_s / 1e6:.1f} million per s")
    print(f"rows of time: {len(document['series']):,}")
    plotly = load_plotly()
    began = time.perf_counter()
    page = html_report(Material(document, pathlib.Path("result.json"), grid), plotly)
    print(f"page: {len(page) / 1e6:.2f} MB in {time.perf_counter() - began:.2f} s, ", end="")
    print(f"of which plotly's script {len(plotly) / 1e6:.2f} MB")
    return page


_WORDS = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


_NOT_NEAR = "delete window.IntersectionObserver"


def visit(file: pathlib.Path, until: str, script: str = "") -> tuple[float, float]:
    """Milliseconds until words are painted, and until an element is there."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(script)
        began = time.perf_counter()
        page.goto(file.as_uri(), wait_until="commit")
        page.wait_for_selector(until, state="attached")
        took_ms = 1000 * (time.perf_counter() - began)
        words_ms = float(page.evaluate(_WORDS))
        browser.close()
    return words_ms, took_ms


def show(name: str, times_ms: Sequence[float]) -> None:
    """The median and the spread."""
    low, high = min(times_ms), max(times_ms)
    print(f"{name:<24}{statistics.median(times_ms):>6.0f} ms  ({low:.0f} to {high:.0f})")


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        whole, alone = folder / "report.html", folder / "plotly.html"
        whole.write_text(make_page())
        script = tag("script", Html(load_plotly().replace("</script", "<\\/script")))
        alone.write_text(f'<!DOCTYPE html><meta charset="utf-8">{script}<p id="end">')
        visits = [
            (
                visit(whole, ".chart svg"),
                visit(whole, "html[data-charts]"),
                visit(whole, "html[data-charts]", _NOT_NEAR),
                visit(alone, "#end"),
            )
            for _ in range(VISITS)
        ]
    show("words", [words_ms for (words_ms, _), *_ in visits])
    names = ("first chart", "charts in sight", "all charts", "plotly's script alone")
    for place, name in enumerate(names):
        show(name, [each[place][1] for each in visits])


if __name__ == "__main__":
    main()
