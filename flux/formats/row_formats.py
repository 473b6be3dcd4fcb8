"""The formats with a row per request that flux writes, by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from flux.formats.facts import Facts
from flux.formats.jtl import jtl_format
from flux.formats.k6_points import k6_csv_format, k6_json_format
from flux.formats.vegeta import vegeta_csv_format
from flux.line_format import LineFormat
from flux.rows import Basis, csv_format, ndjson_format


def _csv(facts: Facts, basis: Basis) -> LineFormat:
    return csv_format(facts.steps, facts.started_at, targets=facts.targets)


def _vegeta_json(facts: Facts, basis: Basis) -> LineFormat:
    return ndjson_format(
        facts.steps,
        facts.started_at,
        requests=facts.requests,
        targets=facts.targets,
        target_urls=facts.target_urls,
        basis=basis,
    )


LINE_FORMATS: Final[Mapping[str, Callable[[Facts, Basis], LineFormat]]] = MappingProxyType(
    {
        "csv": _csv,
        "vegeta-json": _vegeta_json,
        "vegeta-csv": vegeta_csv_format,
        "k6-json": lambda facts, _: k6_json_format(facts),
        "k6-csv": lambda facts, _: k6_csv_format(facts),
        "jtl": jtl_format,
    }
)
"""Each format, given the run's names and what latencies are counted from."""

K6_FORMATS: Final = frozenset({"k6-json", "k6-csv"})
"""Of these, those whose every request has a service time, whatever else there is."""
