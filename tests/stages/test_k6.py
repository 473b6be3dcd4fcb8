"""The `k6` sink: points as k6's own outputs have them."""

import csv
import json
import pathlib
from typing import Any

from flux.formats.k6_points import CSV_COLUMNS, METRICS
from flux.schemas import ErrorCode, Flag
from flux.stages.k6 import K6
from tests.outcomes import as_rows, not_started, request
from tests.stages.loading import load_sample, problems
from tests.stages.sinks import batch, consume, context_in

MS = 10**6


def points(file: pathlib.Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["metric"] for line in lines if line["type"] == "Metric"] == list(METRICS)
    return [line for line in lines if line["type"] == "Point"]


def test_the_sample_is_what_the_defaults_are() -> None:
    assert load_sample("k6") == K6()


def test_a_format_is_json_or_csv() -> None:
    assert problems("k6", 'format = "xml"') == ['format must be one of "json", "csv"']


async def test_a_request_is_a_point_of_each_metric(tmp_path: pathlib.Path) -> None:
    rows = as_rows(
        [
            request(
                0, 30 * MS, start_ns=5 * MS, connect_ns=2 * MS, tls_ns=3 * MS,
                first_byte_ns=20 * MS, bytes_out=7, bytes_in=9, status=503,
                flags=Flag.FIRST, error=int(ErrorCode.STATUS),
            )
        ]
    )  # fmt: skip
    await consume(K6(), context_in(tmp_path), [rows])
    found = points(tmp_path / "points.ndjson")
    assert {point["metric"]: point["data"]["value"] for point in found} == {
        "http_reqs": 1,
        "http_req_duration": 20.0,
        "http_req_blocked": 10.0,
        "http_req_connecting": 2.0,
        "http_req_tls_handshaking": 3.0,
        "http_req_sending": 0.0,
        "http_req_waiting": 10.0,
        "http_req_receiving": 10.0,
        "http_req_failed": 1,
        "flux_req_response": 30.0,
        "data_sent": 7,
        "data_received": 9,
    }
    assert {point["data"]["time"] for point in found} == {"2026-01-05T08:30:00.030000000Z"}
    assert found[0]["data"]["tags"] == {
        "group": "",
        "error": "status",
        "error_code": "1503",
        "expected_response": "false",
        "method": "GET",
        "name": "login",
        "scenario": "default",
        "status": "503",
        "url": "http://127.0.0.1/a",
    }


async def test_sessions_and_drops_are_counted(tmp_path: pathlib.Path) -> None:
    rows = as_rows(
        [request(), request(flags=Flag.FIRST | Flag.SUCCESS), not_started(0, Flag.DROPPED)]
    )
    await consume(K6(), context_in(tmp_path), [rows])
    metrics = [point["metric"] for point in points(tmp_path / "points.ndjson")]
    counts = {name: metrics.count(name) for name in METRICS}
    assert (counts["http_reqs"], counts["iterations"], counts["dropped_iterations"]) == (2, 1, 1)


async def test_csv_has_the_columns_of_k6(tmp_path: pathlib.Path) -> None:
    await consume(K6(format="csv", path="points.csv"), context_in(tmp_path), [batch(0, 3)])
    with (tmp_path / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert len(rows) == 3 * 12 + 3
    assert (rows[1]["metric_name"], rows[1]["metric_value"]) == ("http_req_duration", "5.000000")
    assert rows[1]["timestamp"] == "1767601800"
