"""A report as one HTML page that needs nothing but itself: no network, no other file.

Words and tables are plain HTML, there before any script runs and without one. The charts are drawn
by plotly, whose script is taken from the installed package and put into the page, each when it
comes near to what the reader sees; its place is kept meanwhile. A content security policy forbids
the page to load anything, whatever stands in it.
"""

import json
from collections.abc import Iterator, Sequence
from importlib.resources import files

import flux
from flux.report.charts import Chart
from flux.report.facts import facts
from flux.report.fields import count, text
from flux.report.figures import charts
from flux.report.load import Material, run_of
from flux.report.markup import Html, render, tag
from flux.report.sections import Section, sections
from flux.report.verdict import Conclusion, advice_on, conclude

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
)
_SIGNS = {"VALID": "✓", "INVALID": "✗", "FAILED": "✗", "INCOMPLETE": "…", "UNJUDGED": "?"}
_LONGEST_FACT = 40
"""A longer one has a line of its own."""


def html_report(material: Material, plotly: str) -> str:
    """The page.

    Args:
        material: of the run.
        plotly: script that draws the charts.
    """
    conclusion = conclude(material.document)
    drawn = charts(material.document, material.grid)
    name = text(material.document, "Script") or "run"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"flux {flux.__version__}"),
        tag("title", f"{name}: {conclusion.word}"),
        tag("style", Html(_asset("style.css"))),
    )
    tables = sections(material.document)
    body = tag(
        "body",
        tag("a", "Skip to the charts", class_="skip", href="#charts"),
        _header(name, conclusion, material),
        tag("main", *_main(tables, drawn, material), id="main"),
        tag("footer", tag("p", _made_by(material))),
        _data(drawn),
        _script(plotly),
        _script(_asset("script.js")),
    )
    return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n{body}\n</html>\n'


def _header(name: str, conclusion: Conclusion, material: Material) -> Html:
    sign = tag("span", _SIGNS[conclusion.word], aria_hidden="true")
    reasons = [
        tag(
            "li",
            tag("strong", f"{reason.kind}: "),
            reason.text,
            tag("span", f" → {reason.remedy}", class_="remedy") if reason.remedy else "",
            class_=reason.kind,
        )
        for reason in conclusion.reasons
    ]
    figures = [
        tag(
            "div",
            tag("dt", fact),
            tag("dd", value),
            class_="wide" if len(value) > _LONGEST_FACT else False,
        )
        for fact, value in facts(material.document)
    ]
    advice = advice_on(material.document)
    return tag(
        "header",
        tag("h1", name),
        tag(
            "section",
            tag("p", sign, " ", tag("strong", conclusion.word), class_="word"),
            tag("p", conclusion.meaning),
            tag("ul", *reasons) if reasons else "",
            tag("p", tag("strong", "Look at: "), advice, class_="advice") if advice else "",
            class_=f"verdict {conclusion.word.lower()}",
            aria_label="Verdict",
        ),
        tag("dl", *figures, class_="facts"),
    )


def _main(tables: Sequence[Section], drawn: Sequence[Chart], material: Material) -> Iterator[Html]:
    first = [section for section in tables if section.title == "Thresholds"]
    yield from map(_section, first)
    yield tag(
        "section",
        tag("h2", "Charts"),
        tag(
            "noscript", tag("p", "The charts need JavaScript; their data is in tables below them.")
        ),
        *(tag("p", note, class_="note") for note in material.notes),
        *map(_figure, drawn),
        "" if drawn else tag("p", _nothing_drawn(material), class_="note"),
        id="charts",
        tabindex="-1",
    )
    yield from map(_section, (section for section in tables if section not in first))
    if material.session:
        listing = tag("pre", tag("code", material.session), **_scrolls("Pipeline as run"))
        yield tag(
            "section",
            tag("h2", "Pipeline as run"),
            tag("details", tag("summary", "session.toml"), listing),
        )


def _nothing_drawn(material: Material) -> str:
    document = material.document
    if document.get("complete") is True and not count(document, "Total"):
        return "No request was made, so there is nothing to draw."
    return "There is no data over time to draw."


def _section(section: Section) -> Html:
    return tag(
        "section",
        tag("h2", section.title),
        tag("p", section.note, class_="note") if section.note else "",
        _table(section.title, section.columns, section.rows, section.words),
    )


def _figure(chart: Chart) -> Html:
    caption = tag("p", chart.caption)
    if not chart.is_drawn:
        return tag("figure", tag("h3", chart.title), tag("figcaption", caption))
    data = tag(
        "details",
        tag("summary", f"{chart.title}: data as a table"),
        _table(chart.title, chart.columns, chart.rows, 1),
    )
    drawing = tag(
        "div", class_="chart", id=f"chart-{chart.key}", role="img", aria_label=chart.alternative
    )
    words = tag("figcaption", caption, tag("p", chart.alternative, class_="told"))
    return tag("figure", tag("h3", chart.title), drawing, words, data)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> Html:
    heads = [
        tag("th", column, scope="col", class_="word" if index < words else False)
        for index, column in enumerate(columns)
    ]
    body = [tag("tr", *_cells(row, words)) for row in rows]
    made = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body))
    return tag("div", made, class_="scroll", **_scrolls(title))


def _cells(row: Sequence[str], words: int) -> Iterator[Html]:
    first, *rest = row
    yield tag("th", first, scope="row")
    for index, cell in enumerate(rest, start=1):
        yield tag("td", cell, class_="word" if index < words else False)


def _scrolls(title: str) -> dict[str, str]:
    """What can be scrolled must be reachable by keyboard, and have a name."""
    return {"tabindex": "0", "role": "region", "aria_label": title}


def _data(drawn: Sequence[Chart]) -> Html:
    specs = [
        {"key": one.key, "data": one.traces, "layout": one.layout} for one in drawn if one.is_drawn
    ]
    # Within a script element only "<" could end it, or open a comment.
    written = json.dumps(specs, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return tag("script", Html(written), type_="application/json", id="charts-data")


def _script(source: str) -> Html:
    return tag("script", Html(source.replace("</script", "<\\/script")))


def _asset(name: str) -> str:
    return files("flux.report").joinpath(name).read_text(encoding="utf-8")


def _made_by(material: Material) -> Html:
    began = text(run_of(material.document), "started_at")
    return render(
        [
            f"Made by flux {flux.__version__} from {material.file.name} of the run",
            f" of {began}." if began else ".",
        ]
    )
