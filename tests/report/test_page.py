"""The page as text: whole without a network, in the right order, and not to be broken."""

import html.parser
import itertools
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from flux.console import format_ns
from flux.report.charts import log_axis
from flux.report.figures import charts
from flux.report.load import Material
from flux.report.page import html_report
from flux.report.thin import MOST_POINTS
from flux.result_file import Document
from tests.report.making import (
    HOSTILE,
    document_of,
    finding,
    grid_of,
    marks,
    some_rows,
    verdict,
)

DOCUMENT = document_of(marks=marks())
_VOID = {"meta", "br", "hr"}


class Elements(html.parser.HTMLParser):
    """Elements of a page, and whether each is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.broken: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.broken.append(tag)


def page_of(document: Document, **known: Any) -> str:
    material = Material(document, pathlib.Path("result.json"), **known)
    return html_report(material, "/* plotly </script> */")


def specs_of(page: str) -> Any:
    (text,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S)
    return json.loads(text)


def test_every_element_is_closed_and_no_attribute_leads_elsewhere() -> None:
    page = page_of(DOCUMENT, grid=grid_of(), session="[[stage]]\nuse = 'null'\n")
    elements = Elements(page)
    assert (elements.open, elements.broken) == ([], [])
    links = [
        value
        for _, attributes in elements.found
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset", "data", "poster")
    ]
    assert links == ["#charts"]
    assert "default-src 'none'" in page


def test_the_verdict_and_its_reasons_come_before_any_chart() -> None:
    document = document_of(findings=(finding(is_fatal=True),))
    page = page_of(document)
    places = [page.index(text) for text in ("INVALID</strong>", "lag p99 is", "faster machine")]
    assert max(places) < page.index('class="chart"')


def test_names_that_hold_html_are_text() -> None:
    rows = some_rows()
    rows["target"] = rows["seq"] % 2
    document = document_of(rows, steps=(HOSTILE, "b"), targets=(HOSTILE, "t"), marks=marks())
    document["Script"] = HOSTILE
    document["run"]["ended_by"] = {"text": HOSTILE, "exit_code": 1}
    document["phases"] = [{"name": HOSTILE, "start_ns": 0, "end_ns": 10**10}]
    page = page_of(document, grid=grid_of(rows), session=HOSTILE, notes=(HOSTILE,))
    assert "<script>alert" not in page
    assert "<b onload" not in page
    elements = Elements(page)
    assert (elements.open, elements.broken) == ([], [])
    assert [tag for tag, _ in elements.found].count("script") == 3
    texts = json.dumps([spec["layout"] for spec in specs_of(page)])
    assert "<script" not in texts  # plotly takes a part of HTML in its texts
    assert "&lt;script&gt;" in texts


def test_phases_are_bands_and_marks_are_lines_with_their_text() -> None:
    document = document_of(marks=marks())
    document["phases"] = [{"name": "peak", "start_ns": 10**10, "end_ns": 3 * 10**10}]
    (load, *_) = specs_of(page_of(document))
    bands = [shape for shape in load["layout"]["shapes"] if shape["type"] == "rect"]
    assert [(band["x0"], band["x1"], band["label"]["text"]) for band in bands] == [(10, 30, "peak")]
    lines = [shape["x0"] for shape in load["layout"]["shapes"] if shape["type"] == "line"]
    assert lines == [10, 40]
    assert load["layout"]["annotations"][0]["text"] == "rate set to 200/s"


def test_with_rows_there_are_more_charts() -> None:
    without = [spec["key"] for spec in specs_of(page_of(DOCUMENT))]
    assert without == ["load", "response", "spectrum", "errors", "under-way"]
    assert [spec["key"] for spec in specs_of(page_of(DOCUMENT, grid=grid_of()))] == [
        *("load", "response", "service", "spectrum", "heat", "errors", "under-way", "lag")
    ]


def test_the_spectrum_ends_at_the_longest_request() -> None:
    (spectrum,) = [one for one in specs_of(page_of(DOCUMENT)) if one["key"] == "spectrum"]
    response, service, lag = spectrum["data"]
    assert [line["name"] for line in (response, service, lag)] == ["response", "service", "lag"]
    assert response["x"][0] == 1
    assert response["x"][-1] == pytest.approx(2000)
    assert response["y"] == sorted(response["y"])
    assert response["y"][-1] == pytest.approx(
        DOCUMENT["latency"]["response"]["p99.9"] / 1e6, rel=0.02
    )


def test_the_heat_map_tells_the_longest_request_and_not_the_edge_of_its_bin() -> None:
    rows = some_rows()
    (heat,) = [one for one in charts(DOCUMENT, grid_of()) if one.key == "heat"]
    times_ns = rows["end_ns"] - rows["due_ns"]
    ends = f"2,000 requests in all, of {format_ns(times_ns.min())} to {format_ns(times_ns.max())}."
    assert heat.alternative.startswith(ends)


def test_rates_of_rows_are_over_the_time_that_they_cover() -> None:
    """Of a file of rows the last bin of time ends with the last request: it has 100 per second."""
    rows = some_rows(2980, 30)
    rows = rows[rows["end_ns"] < 29.7e9]
    recorded = {"series": [], "run": {}, "Total": 1}
    (load, *_) = charts(recorded, grid_of(rows))
    assert load.traces[0]["y"][-1] == pytest.approx(100, rel=0.05)


def test_the_heat_map_has_every_request() -> None:
    (heat,) = [one for one in specs_of(page_of(DOCUMENT, grid=grid_of())) if one["key"] == "heat"]
    (trace,) = heat["data"]
    assert sum(int(cell) for row in trace["text"] for cell in row if cell) == 2000
    assert len(trace["x"]) == len(trace["z"][0]) + 1
    assert len(trace["y"]) == len(trace["z"]) + 1


def test_a_long_run_is_drawn_with_few_points_and_its_extremes() -> None:
    document = document_of()
    row = document["series"][0]
    document["series"] = [
        {**row, "start_ns": second * 10**9, "end_ns": (second + 1) * 10**9, "max_ns": 10**7}
        for second in range(21_600)
    ]
    document["series"][12_345]["max_ns"] = 10**12
    page = page_of(document)
    lines = [trace for spec in specs_of(page) for trace in spec["data"]]
    assert max(len(line["x"]) for line in lines) <= MOST_POINTS
    assert max(max(line["y"]) for line in lines if line["name"] == "max") == 10**6
    assert len(page) < 700_000


def test_a_killed_run_says_so_and_is_drawn_from_its_rows() -> None:
    page = page_of(document_of(is_final=False), grid=grid_of())
    assert "INCOMPLETE" in page
    assert [spec["key"] for spec in specs_of(page)] == [
        *("load", "response", "service", "heat", "errors", "lag")
    ]


def test_a_killed_run_without_rows_has_no_charts() -> None:
    page = page_of(document_of(is_final=False))
    assert specs_of(page) == []
    assert "no data over time" in page


def test_a_threshold_is_in_a_table_with_what_was_observed() -> None:
    page = page_of(document_of(verdicts=(verdict(has_failed=True),)))
    assert "response p(95) &lt; 250ms [step register]" in page
    assert "✗ FAILED" in page


def test_of_thresholds_only_columns_with_something_in_them_are_shown() -> None:
    passed = page_of(document_of(verdicts=(verdict(has_failed=False),)))
    assert "first failed at</th>" not in passed
    assert ">why</th>" not in passed
    assert "first failed at</th>" in page_of(document_of(verdicts=(verdict(has_failed=True),)))


def test_a_run_without_a_request_has_a_sentence_in_place_of_charts() -> None:
    page = page_of(document_of(some_rows()[:0]))
    assert specs_of(page) == []
    assert "No request was made, so there is nothing to draw." in page


def test_a_run_without_a_failure_has_a_sentence_in_place_of_a_chart_of_errors() -> None:
    rows = some_rows()
    rows = rows[rows["error"] == 0]
    page = page_of(document_of(rows), grid=grid_of(rows))
    assert "errors" not in [spec["key"] for spec in specs_of(page)]
    assert "<p>No request failed, and no arrival was given up.</p>" in page


def test_few_requests_make_no_heat_map() -> None:
    rows = some_rows(3, 3)
    keys = [spec["key"] for spec in specs_of(page_of(document_of(rows), grid=grid_of(rows)))]
    assert "heat" not in keys
    assert "lag" in keys


def test_the_page_says_where_to_look_first() -> None:
    assert "<strong>Look at: </strong>40 requests failed, 2 %: all timeout" in page_of(DOCUMENT)
    assert "Look at" not in page_of(document_of(findings=(finding(is_fatal=True),)))


def test_a_row_of_time_that_the_run_hardly_reached_has_no_rate() -> None:
    document = document_of(some_rows(300, 3))
    (*_, before, last) = document["series"]
    assert document["run"]["duration_ns"] - last["start_ns"] < 10**8
    (load, *_) = specs_of(page_of(document))
    (ended, *_) = load["data"]
    assert ended["y"][-2:] == [before["requests"], None]
    assert load["layout"]["xaxis"]["range"] == [0, pytest.approx(3, abs=0.01)]


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (6.6, 7.1, ["3", "4", "5", "6", "7", "8", "9", "10", "20"]),
        (2, 244, ["2", "5", "10", "20", "50", "100", "200"]),
        (0.01, 20_000, ["0.01", "0.1", "1", "10", "100", "1,000", "10,000"]),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_whole_numbers(
    low: float, high: float, texts: list[str]
) -> None:
    axis = log_axis(low, high)
    assert axis["ticktext"] == texts
    assert axis["range"][0] < np.log10(low) < np.log10(high) < axis["range"][1]


@pytest.mark.parametrize("exponent", range(0, 15, 3))
def test_however_wide_a_logarithmic_axis_is_it_has_few_ticks(exponent: int) -> None:
    axis = log_axis(1e-3, 10.0**exponent)
    assert 2 <= len(axis["tickvals"]) == len(axis["ticktext"]) <= 9


def test_every_chart_has_words_and_a_table_instead() -> None:
    elements = Elements(page_of(DOCUMENT, grid=grid_of()))
    drawings = [
        attributes for _, attributes in elements.found if attributes.get("class") == "chart"
    ]
    assert len(drawings) == 8
    assert all(one["role"] == "img" and one["aria-label"] for one in drawings)
    assert [tag for tag, _ in elements.found].count("details") == len(drawings)


def test_what_scrolls_can_be_reached_by_keyboard_and_has_a_name() -> None:
    elements = Elements(page_of(DOCUMENT, grid=grid_of()))
    scrolled = [one for _, one in elements.found if "scroll" in (one.get("class") or "")]
    assert scrolled
    assert all(one["tabindex"] == "0" and one["aria-label"] for one in scrolled)


def places_in(node: Any, depth: int = 4) -> Iterator[tuple[Any, ...]]:
    """The path of every key, and of the first item of every array."""
    keys = list(node) if isinstance(node, dict) else [0] if isinstance(node, list) and node else []
    for key in keys if depth else ():
        yield (key,)
        yield from ((key, *rest) for rest in places_in(node[key], depth - 1))


_SMALL = document_of(some_rows(20, 3), verdicts=(verdict(has_failed=True),), marks=marks())


@pytest.mark.parametrize("name", list(_SMALL))
def test_a_key_that_is_missing_or_odd_breaks_no_page(name: str) -> None:
    odd: Iterator[Any] = itertools.cycle([None, "odd", -1, [], {}, True, [3]])
    for place in [(), *places_in(_SMALL[name])]:
        for value in (next(odd), ...):
            document: Any = json.loads(json.dumps(_SMALL))
            node = document
            *path, key = (name, *place)
            for step in path:
                node = node[step]
            if value is ...:
                del node[key]
            else:
                node[key] = value
            elements = Elements(page_of(document))
            assert (elements.open, elements.broken) == ([], []), place
