"""k6's points, as `k6 run --out json` and `--out csv` write them, from OUTCOME rows.

A request is a point of each metric. k6's own `http_req_duration` is sending + waiting + receiving,
without what went before on a new connection, so here

    http_req_duration = end - start - connect - tls
    http_req_blocked  = start - due + connect + tls         (k6's has the connection in it too)
    flux_req_response = end - due                           (a custom metric: k6 has no such thing)

of which the first two add up to the third. All points of a request have the time of its end.

Source: k6, output/json, output/csv, lib/netext/httpext (tracer, error codes), metrics/builtin.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from flux.formats.clock_times import SECOND_NS, since_1970_ns
from flux.formats.facts import Facts
from flux.formats.row_text import (
    Kind,
    Kinds,
    flagged,
    milliseconds,
    requests_only,
)
from flux.line_format import LineFormat, Selection
from flux.rows import clock_texts, csv_field
from flux.schemas import ErrorCode, Flag, Rows
from flux.text_columns import Words, constant, whole_numbers

Values = Callable[[Rows], Iterator[Words]]

CSV_TAGS = (
    *("check", "error", "error_code", "expected_response", "group", "method", "name", "proto"),
    *("scenario", "service", "status", "subproto", "tls_version", "url"),
)
"""Columns of the tags that k6 writes unless told otherwise, from A to Z."""

CSV_COLUMNS = ("metric_name", "timestamp", "metric_value", *CSV_TAGS, "extra_tags", "metadata")

ERROR_CODES: Final[Mapping[ErrorCode, int]] = MappingProxyType(
    {
        ErrorCode.DNS: 1100,
        ErrorCode.REFUSED: 1212,
        ErrorCode.UNREACHABLE: 1210,
        ErrorCode.CONNECT_TIMEOUT: 1211,
        ErrorCode.TLS: 1300,
        ErrorCode.RESET: 1220,
        ErrorCode.CLOSED: 1000,
        ErrorCode.TIMEOUT: 1050,
        ErrorCode.DESCRIPTORS: 1213,
        ErrorCode.PORTS: 1213,
        ErrorCode.REQUEST: 1020,
        ErrorCode.DECODE: 1701,
    }
)
"""k6's number of each error that it tells apart; others are 1000, statuses 1000 + status."""

RESPONSE_METRIC: Final = "flux_req_response"
"""The response time, from when a request was due."""


def k6_json_format(facts: Facts) -> LineFormat:
    """Lines of JSON: what each metric is, then its points."""
    header = "".join(
        _metric_line(name, *kind) for name, kind in METRICS.items() if _tells(facts, name)
    )
    return LineFormat(header.encode(), tuple(_parts(facts, _JsonPoint)))


def k6_csv_format(facts: Facts) -> LineFormat:
    """Lines of CSV; the timestamp is in whole seconds, as k6's is unless told otherwise."""
    return LineFormat((",".join(CSV_COLUMNS) + "\n").encode(), tuple(_parts(facts, _CsvPoint)))


METRICS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "http_reqs": ("counter", "default"),
        "http_req_duration": ("trend", "time"),
        "http_req_blocked": ("trend", "time"),
        "http_req_connecting": ("trend", "time"),
        "http_req_tls_handshaking": ("trend", "time"),
        "http_req_sending": ("trend", "time"),
        "http_req_waiting": ("trend", "time"),
        "http_req_receiving": ("trend", "time"),
        "http_req_failed": ("rate", "default"),
        RESPONSE_METRIC: ("trend", "time"),
        "data_sent": ("counter", "data"),
        "data_received": ("counter", "data"),
        "iterations": ("counter", "default"),
        "dropped_iterations": ("counter", "default"),
    }
)
"""Type and contents of each metric."""


def _one(rows: Rows) -> Iterator[Words]:
    yield constant(b"1")


def _time(duration_ns: Callable[[Rows], npt.NDArray[np.int64]]) -> Values:
    return lambda rows: milliseconds(duration_ns(rows))


def _handshake_ns(rows: Rows) -> npt.NDArray[np.int64]:
    handshake_ns: npt.NDArray[np.int64] = rows["connect_ns"] + rows["tls_ns"]
    return handshake_ns


def _first_byte_ns(rows: Rows) -> npt.NDArray[np.int64]:
    """When the response began; when the request ended, if it never did."""
    has_response = rows["first_byte_ns"] > 0
    return np.where(has_response, rows["first_byte_ns"], rows["end_ns"])


def _failed(rows: Rows) -> Iterator[Words]:
    return whole_numbers(((rows["flags"] & int(Flag.SUCCESS)) == 0).astype(np.int64))


_REQUEST: Final[Mapping[str, Values]] = MappingProxyType(
    {
        "http_reqs": _one,
        "http_req_duration": _time(
            lambda rows: rows["end_ns"] - rows["start_ns"] - _handshake_ns(rows)
        ),
        "http_req_blocked": _time(
            lambda rows: rows["start_ns"] - rows["due_ns"] + _handshake_ns(rows)
        ),
        "http_req_connecting": _time(lambda rows: rows["connect_ns"]),
        "http_req_tls_handshaking": _time(lambda rows: rows["tls_ns"]),
        "http_req_sending": _time(lambda rows: np.zeros(len(rows), np.int64)),
        "http_req_waiting": _time(
            lambda rows: _first_byte_ns(rows) - rows["start_ns"] - _handshake_ns(rows)
        ),
        "http_req_receiving": _time(lambda rows: rows["end_ns"] - _first_byte_ns(rows)),
        "http_req_failed": _failed,
        RESPONSE_METRIC: _time(lambda rows: rows["end_ns"] - rows["due_ns"]),
        "data_sent": lambda rows: whole_numbers(rows["bytes_out"]),
        "data_received": lambda rows: whole_numbers(rows["bytes_in"]),
    }
)
"""Metrics of which each request is a point."""


def _parts(
    facts: Facts, point: "type[_JsonPoint | _CsvPoint]"
) -> Iterator[tuple[Selection, Callable[[Rows], Iterator[Words]]]]:
    told = {name: values for name, values in _REQUEST.items() if _tells(facts, name)}
    request = point(facts, told, has_tags=True)
    yield requests_only, request.pieces
    yield flagged(Flag.LAST), point(facts, {"iterations": _one}, has_tags=False).pieces
    yield flagged(Flag.DROPPED), point(facts, {"dropped_iterations": _one}, has_tags=False).pieces


def _tells(facts: Facts, metric: str) -> bool:
    """Whether the rows tell it: of another tool's they may not tell when requests were due."""
    return metric != RESPONSE_METRIC or "due" in facts.bases


@attrs.frozen(eq=False)
class _JsonPoint:
    _facts: Facts
    _metrics: Mapping[str, Values]
    _has_tags: bool = attrs.field(kw_only=True)

    def pieces(self, rows: Rows) -> Iterator[Words]:
        """A line for each of the metrics."""
        times_ns = rows["end_ns"] + np.int64(since_1970_ns(self._facts.started_at))
        times = (*clock_texts(times_ns), constant(b'Z","value":'))
        tags = (
            Kinds(self._facts, _json_tags).pieces(rows)
            if self._has_tags
            else constant(b',"tags":{"group":"","scenario":"default"}}}\n')
        )
        for name, values in self._metrics.items():
            yield constant(f'{{"metric":"{name}","type":"Point","data":{{"time":"'.encode())
            yield from times
            yield from values(rows)
            yield tags


@attrs.frozen(eq=False)
class _CsvPoint:
    _facts: Facts
    _metrics: Mapping[str, Values]
    _has_tags: bool = attrs.field(kw_only=True)

    def pieces(self, rows: Rows) -> Iterator[Words]:
        """A line for each of the metrics."""
        times_ns = rows["end_ns"] + np.int64(since_1970_ns(self._facts.started_at))
        times = (*whole_numbers(times_ns // SECOND_NS), constant(b","))
        tags = (
            Kinds(self._facts, _csv_tags).pieces(rows)
            if self._has_tags
            else constant(_csv_line({"scenario": "default"}))
        )
        for name, values in self._metrics.items():
            yield constant(f"{name},".encode())
            yield from times
            yield from values(rows)
            yield tags


def _tags(kind: Kind) -> dict[str, str]:
    """What k6 says of a request; a tag that has no value is not there."""
    error = ErrorCode(kind.error)
    code = ERROR_CODES.get(error, 1000) if not kind.status else 1000 + kind.status
    tags = {
        "error": error.text,
        "error_code": str(code) if error else "",
        "expected_response": "true" if kind.is_success else "false",
        "method": kind.method,
        "name": kind.step,
        "scenario": "default",
        "status": str(kind.status),
        "url": kind.url,
    }
    return {name: value for name, value in tags.items() if value}


def _json_tags(kind: Kind) -> bytes:
    tags = json.dumps({"group": "", **_tags(kind)}, separators=(",", ":"))
    return f',"tags":{tags}}}}}\n'.encode()


def _csv_tags(kind: Kind) -> bytes:
    return _csv_line(_tags(kind))


def _csv_line(tags: Mapping[str, str]) -> bytes:
    fields = [csv_field(tags.get(name, "")) for name in CSV_TAGS]
    return ("," + ",".join(fields) + ",,\n").encode()


def _metric_line(name: str, kind: str, contains: str) -> str:
    known = {"name": name, "type": kind, "contains": contains}
    data: dict[str, Any] = {**known, "thresholds": [], "submetrics": None}
    line = {"type": "Metric", "data": data, "metric": name}
    return json.dumps(line, separators=(",", ":")) + "\n"
