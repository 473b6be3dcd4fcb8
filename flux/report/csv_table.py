"""A report as CSV, for spreadsheets and notebooks: one table, a row for each part of a run.

Parts are the whole run, its steps, targets and phases, and its intervals of time. Each column is
one quantity with its unit in its name. What a part does not have, or what too few requests stand
behind, is empty; so each kind of part, taken by itself, is a tidy table.
"""

import csv
import io
from collections.abc import Iterator, Mapping

import numpy as np

from flux.phases import titled
from flux.report.fields import Fields, main_latency, number, table, tables, text
from flux.report.load import Material
from flux.report.sections import measured_s
from flux.series import worth_a_rate
from flux.thresholds.judge import samples_needed

PERCENTS = (50, 75, 90, 95, 99, 99.9)
"""Which percentiles have a column."""

LATENCIES = ("response", "service", "lag")
"""Which latencies have columns."""

_COUNTS = (
    *("due", "started", "dropped", "withheld", "cancelled"),
    *("requests", "successes", "failures"),
)
_LEVELS = ("in_flight", "users", "peak_in_flight", "peak_users")
_BYTES = ("bytes_out", "bytes_in")

COLUMNS = (
    *("part", "name", "start_s", "end_s"),
    *_COUNTS,
    "requests_per_s",
    *_BYTES,
    *_LEVELS,
    *(
        f"{latency}_{name}_ms"
        for latency in LATENCIES
        for name in ("mean", *(f"p{percent:g}" for percent in PERCENTS), "max")
    ),
)
"""Heads of the columns."""


def csv_report(material: Material) -> str:
    """The table, with its head; lines end in a line feed."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(material.document))
    return stream.getvalue()


def _rows(document: Fields) -> Iterator[Mapping[str, str]]:
    main = main_latency(document)
    end_ns, measured = number(table(document, "run"), "duration_ns"), measured_s(document)
    named = {"requests": "Total", "successes": "Success", "failures": "Failure"}
    whole = {**document, **{name: document.get(key) for name, key in named.items()}}
    sessions = {**table(document, "sessions")}
    sessions["due"] = sessions.pop("planned", None)
    whole.update({name: sessions.get(name) for name in _COUNTS[:5]})
    yield _row("run", text(document, "Script"), whole, 0, end_ns, measured)
    for part, key in (("step", "steps"), ("target", "targets")):
        for one in tables(document, key):
            yield _row(part, text(one, "name"), one, 0, end_ns, measured)
    for phase in tables(document, "phases"):
        start_ns, until_ns = number(phase, "start_ns"), number(phase, "end_ns")
        name = titled(text(phase, "name"), phase.get("warmup") is True)
        yield _row("phase", name, phase, start_ns, until_ns, _length_s(start_ns, until_ns))
    rows = tables(document, "series")
    ends_ns = [(number(one, "start_ns"), number(one, "end_ns")) for one in rows]
    lengths_s = worth_a_rate(np.array([_length_s(*ends) for ends in ends_ns]))
    for one, ends, length_s in zip(rows, ends_ns, np.nan_to_num(lengths_s).tolist()):
        row = _row("interval", "", one, *ends, length_s)
        yield {**row, **dict(_of_interval(one, main))}


def _row(
    part: str,
    name: str,
    fields: Fields,
    start_ns: float | None,
    end_ns: float | None,
    length_s: float,
) -> dict[str, str]:
    requests = number(fields, "requests")
    known = (*_COUNTS, *_BYTES, *_LEVELS)
    return {
        "part": part,
        "name": name,
        "start_s": _scaled(start_ns, 1e9),
        "end_s": _scaled(end_ns, 1e9),
        **{name: _whole(number(fields, name)) for name in known},
        "requests_per_s": "" if requests is None or not length_s else f"{requests / length_s:.6g}",
        **dict(_latencies(table(fields, "latency"))),
    }


def _latencies(latencies: Fields) -> Iterator[tuple[str, str]]:
    for name in LATENCIES:
        latency = table(latencies, name)
        count = number(latency, "count") or 0
        yield f"{name}_mean_ms", _scaled(number(latency, "mean"), 1e6)
        for percent in PERCENTS:
            value_ns = number(latency, f"p{percent:g}")
            enough = count >= samples_needed(percent)
            yield f"{name}_p{percent:g}_ms", _scaled(value_ns if enough else None, 1e6)
        yield f"{name}_max_ms", _scaled(number(latency, "max"), 1e6)


def _of_interval(row: Fields, latency: str) -> Iterator[tuple[str, str]]:
    """What an interval knows of its response or service times, however few there were."""
    for name in ("p50", "p95", "p99", "max"):
        yield f"{latency}_{name}_ms", _scaled(number(row, f"{name}_ns"), 1e6)


def _length_s(start_ns: float | None, end_ns: float | None) -> float:
    return 0.0 if start_ns is None or end_ns is None else (end_ns - start_ns) / 1e9


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _scaled(value_ns: float | None, unit_ns: float) -> str:
    """In another unit, without losing a nanosecond."""
    return "" if value_ns is None else f"{value_ns / unit_ns:.9f}".rstrip("0").rstrip(".")
