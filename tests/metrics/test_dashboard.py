"""The Grafana dashboard asks for what is there: every metric and every label of its queries."""

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from flux.metrics.family import label_name
from flux.metrics.names import dialect_of

FILE = pathlib.Path(__file__).parent.parent.parent / "docs" / "grafana-dashboard.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())

_WORD = re.compile(r"\b(?:flux|http)_[a-z0-9_]+\b")
_BRACES = re.compile(r"\{([^{}]*)\}")
_LABELS_OF = re.compile(r"\bby \(([^)]*)\)")
_LEGEND = re.compile(r"\{\{(\w+)\}\}")
_FOREIGN = {"instance", "le", "job"}
"""Labels that Prometheus and histograms add."""


def expressions(node: Any) -> Iterator[str]:
    """Every query, wherever it stands."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "definition") and isinstance(value, str):
                yield value
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


def sample_names() -> set[str]:
    names = set()
    for family in dialect_of("otel").families:
        if family.kind == "histogram":
            names |= {f"{family.stem}_{suffix}" for suffix in ("bucket", "sum", "count")}
        else:
            names.add(family.prometheus_name)
    return names


def label_names() -> set[str]:
    families = dialect_of("otel").families
    return {label_name(label) for family in families for label in family.labels} | _FOREIGN


def labels_in(expression: str) -> set[str]:
    found = {
        match[1]
        for braces in _BRACES.findall(expression)
        for match in re.finditer(r"(\w+)\s*(=~|!~|!=|=)", braces)
    }
    for names in _LABELS_OF.findall(expression):
        found |= {name.strip() for name in names.split(",")}
    return found


@pytest.mark.parametrize("expression", sorted(set(expressions(DASHBOARD))))
def test_a_query_asks_for_metrics_and_labels_that_there_are(expression: str) -> None:
    labels = labels_in(expression)
    assert labels - label_names() == set()
    outside = _LABELS_OF.sub("", _BRACES.sub("", expression))
    metrics = set(_WORD.findall(outside))
    assert metrics
    assert metrics - sample_names() == set()


def test_a_legend_names_labels_that_there_are() -> None:
    legends = [
        target["legendFormat"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    ]
    used = {name for legend in legends for name in _LEGEND.findall(legend)}
    assert used - label_names() == set()
    assert "flux_step" in used


def test_every_panel_has_a_place_and_a_number_of_its_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_counters_are_asked_for_as_rates_or_sums_and_latencies_by_quantile() -> None:
    found = list(expressions(DASHBOARD))
    assert any(
        "histogram_quantile(0.99" in one and "flux_response_duration" in one for one in found
    )
    assert any("http_client_request_duration_seconds_bucket" in one for one in found)
    for expression in found:
        for name in _WORD.findall(expression):
            if name.endswith("_bucket"):
                assert re.search(rf"(rate|increase)\({name}", expression)
