"""Reading k6's points into OUTCOME rows: the points of one request stand one after the other.

A request's points have the same time, and each metric once. So it is complete when a metric comes
again, or another time. k6's `http_req_duration` has no connecting in it; flux's service time does.

Source: k6, output/json, output/csv, lib/netext/httpext (tracer).
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs
import numpy as np

from flux.formats.clock_times import epoch_ns
from flux.formats.fields import Integers
from flux.formats.k6_points import RESPONSE_METRIC
from flux.formats.line_blocks import BrokenFile, LineBlock
from flux.formats.reading import Reading
from flux.schemas import Flag, Rows, read_only

ROWS_AT_ONCE: Final = 8192

METRICS: Final = frozenset(
    {
        *("http_req_duration", "http_req_connecting", "http_req_tls_handshaking"),
        *("http_req_sending", "http_req_waiting", "http_req_failed", RESPONSE_METRIC),
        *("data_sent", "data_received"),
    }
)
"""Of the metrics, those that a row is made of."""

_TOO_LARGE: Final = 1e12  # milliseconds: a lifetime
_UNITS: Final = (("unix_nano", 19, 1), ("unix_micro", 16, 10**3), ("unix_milli", 13, 10**6))
"""k6's names of timestamps, their digits in this century, and how long one is in nanoseconds."""


@attrs.frozen
class Point:
    """One line."""

    line: int
    metric: str
    time: str
    value: float
    tags: Mapping[str, str]


def json_points(path_blocks: Iterator[LineBlock]) -> Iterator[Point]:
    """The points in lines of JSON that a row is made of.

    Raises:
        BrokenFile: a line is not a point.
    """
    for block in path_blocks:
        for number, line in enumerate(block.text.splitlines(), block.line):
            if b'"Point"' not in line:
                continue
            try:
                said = json.loads(line)
                if said["metric"] not in METRICS:
                    continue
                data = said["data"]
                value = _value(data["value"])
                yield Point(number, said["metric"], data["time"], value, data.get("tags") or {})
            except (ValueError, KeyError, TypeError) as error:
                problem = f"must be a point of k6: {type(error).__name__} {error}"
                raise BrokenFile(block.path, number, problem) from None


def csv_points(line_blocks: Iterator[LineBlock], columns: list[str]) -> Iterator[Point]:
    """The points in lines of CSV that a row is made of.

    Raises:
        BrokenFile: a line is not a point.
    """
    for block in line_blocks:
        reader = csv.reader(io.StringIO(block.text.decode("utf-8", errors="replace"), newline=""))
        for fields in reader:
            number = block.line + reader.line_num - 1
            if len(fields) != len(columns):
                problem = f"must have {len(columns)} fields, got {len(fields)}"
                raise BrokenFile(block.path, number, problem)
            said = dict(zip(columns, fields))
            if said["metric_name"] not in METRICS:
                continue
            try:
                value = _value(said["metric_value"])
            except ValueError:
                problem = f"has metric_value {said['metric_value']!r}, which must be a number ≥ 0"
                raise BrokenFile(block.path, number, problem) from None
            yield Point(number, said["metric_name"], said["timestamp"], value, said)


def _value(written: Any) -> float:
    value = float(written)
    if not 0 <= value < _TOO_LARGE:
        raise ValueError(f"value must be 0 or more, got {written}")
    return value


def k6_rows(reading: Reading, points: Iterable[Point]) -> Iterator[Rows]:
    """The requests that these points are of."""
    reading.latencies = ("service", "first_byte", "connect", "tls")
    waiting: list[dict[str, Any]] = []
    for request in _requests(points):
        waiting.append(request)
        if len(waiting) >= ROWS_AT_ONCE:
            yield _rows(reading, waiting)
            waiting = []
    if waiting:
        yield _rows(reading, waiting)


def _requests(points: Iterable[Point]) -> Iterator[dict[str, Any]]:
    """The values of each request by metric, and its point of `http_req_duration`."""
    now: dict[str, Any] = {}
    time = ""
    for point in points:
        if point.metric in ("data_sent", "data_received"):
            # k6 counts these per iteration: they go to the request before, and add up.
            if now:
                now[point.metric] = now.get(point.metric, 0.0) + point.value
            continue
        if point.metric in now or point.time != time:
            if "point" in now:
                yield now
            now, time = {}, point.time
        now[point.metric] = point.value
        if point.metric == "http_req_duration":
            now["point"] = point
    if "point" in now:
        yield now


def _rows(reading: Reading, requests: list[dict[str, Any]]) -> Rows:
    points: list[Point] = [request["point"] for request in requests]

    def nanoseconds(metric: str) -> Integers:
        values = np.array([request.get(metric, 0.0) for request in requests])
        return np.rint(values * 1e6).astype(np.int64)

    times_ns = np.array([_time_ns(reading, point) for point in points], np.int64)
    connect_ns, tls_ns = nanoseconds("http_req_connecting"), nanoseconds("http_req_tls_handshaking")
    service_ns = nanoseconds("http_req_duration") + connect_ns + tls_ns
    if reading.start_ns is None:
        reading.start_ns = int((times_ns - service_ns).min())
    end_ns = times_ns - reading.start_ns
    steps = [reading.steps.number(_label(point.tags)) for point in points]
    statuses = [_status(point.tags) for point in points]
    is_success = np.array(
        [_succeeded(request, status) for request, status in zip(requests, statuses)]
    )
    errors = [
        0 if success else reading.error_codes.number(_error(point.tags))
        for point, success in zip(points, is_success.tolist())
    ]
    rows = reading.outcomes(
        np.array(steps, np.int64),
        start_ns=end_ns - service_ns,
        end_ns=end_ns,
        statuses=np.array(statuses, np.int64),
        errors=np.array(errors, np.int64),
        is_success=is_success,
    )
    for step, point in zip(steps, points):
        if step not in reading.requests:
            reading.learn_request(step, point.tags.get("method", ""), point.tags.get("url", ""))
    rows["connect_ns"], rows["tls_ns"] = connect_ns, tls_ns
    rows["flags"] |= np.where(connect_ns > 0, int(Flag.NEW_CONNECTION), 0).astype(np.int32)
    before_ns = connect_ns + tls_ns + nanoseconds("http_req_sending")
    waiting_ns = nanoseconds("http_req_waiting")
    has_response = (waiting_ns > 0) & (rows["status"] > 0)
    rows["first_byte_ns"] = np.where(has_response, rows["start_ns"] + before_ns + waiting_ns, 0)
    if all(RESPONSE_METRIC in request for request in requests):
        # Which sessions waited for a place, and which requests began one, is not told: so no lag.
        reading.latencies = ("response", "service", "first_byte", "connect", "tls")
        reading.is_own = True
        rows["due_ns"] = end_ns - nanoseconds(RESPONSE_METRIC)
    for metric, column in (("data_sent", "bytes_out"), ("data_received", "bytes_in")):
        rows[column] = [int(request.get(metric, 0)) for request in requests]
    return read_only(rows)


def _time_ns(reading: Reading, point: Point) -> int:
    """k6 writes seconds since 1970 unless told otherwise; more digits are finer units."""
    try:
        if not point.time.isdigit():
            return epoch_ns(point.time)
    except ValueError as error:
        raise BrokenFile(reading.path, point.line, f"has a time that {error}") from None
    for _, digits, unit_ns in _UNITS:
        if len(point.time) >= digits:
            return int(point.time) * unit_ns
    return int(point.time) * 10**9


def _label(tags: Mapping[str, str]) -> str:
    return tags.get("name") or tags.get("url") or ""


def _status(tags: Mapping[str, str]) -> int:
    text = tags.get("status") or "0"
    return int(text) if text.isascii() and text.isdigit() else 0


def _succeeded(request: Mapping[str, Any], status: int) -> bool:
    if "http_req_failed" in request:
        return not request["http_req_failed"]
    expected = request["point"].tags.get("expected_response")
    return expected == "true" if expected else 200 <= status < 400


def _error(tags: Mapping[str, str]) -> str:
    """In the words of the file; a status by itself has none."""
    return (
        tags.get("error")
        or tags.get("error_code")
        or ("status" if tags.get("status", "0") != "0" else "other")
    )
