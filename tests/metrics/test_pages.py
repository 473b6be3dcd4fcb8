"""The pages have every metric, by every name, and every name that was promised and is not there."""

import pathlib

import pytest

from flux.metrics.family import Dialect, Family, label_name
from flux.metrics.names import dialect_of

STAGES = pathlib.Path(__file__).parent.parent.parent / "docs" / "stages"
PROMETHEUS = (STAGES / "prometheus.md").read_text()
OTLP = (STAGES / "otlp.md").read_text()

ABBREVIATED = "the step's"
"""Stands for the labels of a step, which are listed once."""


def labels_of(family: Family) -> str:
    step = dialect_of("otel").families[0].labels
    own = family.labels[len(step) :] if family.labels[: len(step)] == step else family.labels
    spelled = [f"`{label_name(name)}`" for name in own]
    return ", ".join([*([ABBREVIATED] if own != family.labels else []), *spelled])


def prometheus_table(dialect: Dialect) -> str:
    rows = [
        f"| `{family.prometheus_name}` | {family.kind} | {labels_of(family)} | {family.meaning} |"
        for family in dialect.families
    ]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows]) + "\n"


def left_out_table(dialect: Dialect) -> str:
    rows = [f"| `{name}` | {why} |" for name, why in dialect.left_out.items()]
    return "\n".join(["| left out | why |", "|---|---|", *rows]) + "\n"


def otlp_table() -> str:
    kinds = {"counter": "sum", "info": "gauge"}
    rows = [
        f"| {family.otel_name} | {kinds.get(family.kind, family.kind)} | {family.unit} "
        f"| `{family.prometheus_name}` |"
        for family in dialect_of("otel").families
    ]
    return (
        "\n".join(["| metric | kind | unit | in Prometheus |", "|---|---|---|---|", *rows]) + "\n"
    )


@pytest.mark.parametrize("names", ["otel", "kar98k", "volcanion"])
def test_the_page_of_prometheus_has_every_metric(names: str) -> None:
    assert prometheus_table(dialect_of(names)) in PROMETHEUS


@pytest.mark.parametrize("names", ["kar98k", "volcanion"])
def test_the_page_of_prometheus_has_every_name_that_is_left_out(names: str) -> None:
    assert left_out_table(dialect_of(names)) in PROMETHEUS


def test_the_page_of_otlp_has_every_metric() -> None:
    assert otlp_table() in OTLP
