"""`result.json`: its keys, its schema, and that a reader never sees half of one."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import attrs
import jsonschema
import pytest
import trio
from hypothesis import given

from flux.errors import FluxError, StorageFailed
from flux.histogram import decode
from flux.result_file import read_result, result_document, result_text, write_result
from flux.result_schema import result_schema
from flux.schemas import Flag
from flux.stages.json import Json
from flux.summary import Finding, Summary
from tests.outcomes import (
    SECOND_NS,
    TARGETS,
    as_rows,
    collect_all,
    final_of,
    make_context,
    not_started,
    request,
    row_lists,
    stalled_rows,
)

VALIDATOR = jsonschema.Draft202012Validator(
    result_schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
ROWS = [request(), request(SECOND_NS, status=503, flags=Flag.FIRST | Flag.LAST)]


async def write(summaries: Sequence[Summary], folder: pathlib.Path | None, stage: Json) -> None:
    sender, inbox = trio.open_memory_channel[Any](len(summaries))
    async with sender:
        for summary in summaries:
            await sender.send(summary)
    await stage.consume(make_context(folder=folder), inbox)


def document_of(summary: Summary) -> dict[str, Any]:
    return result_document(summary, make_context().run)


async def test_the_first_keys_are_those_of_userflux(tmp_path: pathlib.Path) -> None:
    await write([final_of(ROWS)], tmp_path, Json())
    document = json.loads((tmp_path / "result.json").read_text())
    assert list(document)[:4] == ["Script", "Total", "Success", "Failure"]
    assert list(document.values())[:4] == ["checkout", 2, 1, 1]
    assert document["complete"] is True


def test_the_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(result_schema())


def test_every_key_of_the_schema_is_described() -> None:
    def undescribed(node: Any, path: str) -> list[str]:
        found = []
        for name, child in node.get("properties", {}).items():
            here = f"{path}.{name}"
            if "$ref" not in child and "description" not in child:
                found.append(here)
            found += undescribed(child, here)
            found += undescribed(child.get("items", {}), here)
        return found

    schema = result_schema()
    nodes = [schema, *schema["$defs"].values()]
    assert [path for node in nodes for path in undescribed(node, "")] == []


@given(row_lists)
def test_every_result_has_exactly_the_keys_of_the_schema(rows: list[dict[str, int]]) -> None:
    for summary in collect_all([as_rows(rows)], planned=len(rows), targets=TARGETS):
        VALIDATOR.validate(json.loads(result_text(document_of(summary))))


def test_an_unknown_key_breaks_the_schema() -> None:
    document = document_of(final_of(ROWS))
    document["latency"]["response"]["p42"] = 1
    with pytest.raises(jsonschema.ValidationError, match="p42"):
        VALIDATOR.validate(document)


def test_total_is_success_and_failure() -> None:
    rows = [*ROWS, not_started(0, Flag.DROPPED), request(flags=Flag.LAST | Flag.ABORTED)]
    document = document_of(final_of(rows))
    assert document["Total"] == document["Success"] + document["Failure"] == 3
    assert document["aborted"] == 1
    assert document["sessions"]["dropped"] == 1


def test_the_stall_is_in_the_written_percentiles() -> None:
    summary = collect_all([stalled_rows()], steps=["get"], planned=6000)[-1]
    document = document_of(summary)
    response = document["latency"]["response"]
    wanted_s = {"p50": 0.005, "p90": 4.005, "p95": 7.005, "p99": 9.405, "max": 10.005}
    for name, seconds in wanted_s.items():
        assert response[name] / 1e9 == pytest.approx(seconds, rel=0.001)
    assert response["mean"] / 1e9 == pytest.approx(0.839, rel=0.001)
    assert len(document["series"]) == 60
    assert document["series"][25]["p99_ns"] is None
    assert document["peak_in_flight"] == 1001


def test_the_histograms_are_those_of_the_run() -> None:
    summary = final_of([request(), request(step=1, start_ns=7_000_000)])
    histograms = document_of(summary)["histograms"]
    for written, step in zip(histograms, summary.steps):
        for name in ("response", "service", "first_byte", "lag"):
            decoded = decode(written[name]).counts
            assert decoded.tolist() == getattr(step, name).counts.tolist()


def test_findings_are_written_with_their_weight() -> None:
    findings = (Finding("late", True, "start fewer"), Finding("busy", False))
    summary = attrs.evolve(final_of(ROWS), findings=findings)
    assert document_of(summary)["validity"] == {
        "valid": False,
        "findings": [
            {"text": "late", "fatal": True, "remedy": "start fewer"},
            {"text": "busy", "fatal": False, "remedy": ""},
        ],
        "generators": [],
    }


def test_steps_and_rows_take_a_line_each() -> None:
    lines = result_text(document_of(final_of(ROWS))).splitlines()
    starts = [line for line in lines if line.startswith('    {"start_ns"')]
    assert len(starts) == 2
    assert lines[1] == '  "Script": "checkout",'


async def test_a_run_that_is_killed_leaves_what_was_known(tmp_path: pathlib.Path) -> None:
    """Without a final summary the file says that it is not complete."""
    rows = [request(second * SECOND_NS) for second in range(12)]
    intervals = collect_all([as_rows(rows)])[:-1]
    await write(intervals[:7], tmp_path, Json())
    document = read_result(tmp_path)
    VALIDATOR.validate(document)
    assert document["complete"] is False
    assert document["Total"] == 7
    assert document["validity"]["valid"] is None
    assert document["series"] == []


async def test_the_file_is_written_anew_every_five_seconds(tmp_path: pathlib.Path) -> None:
    """The reader looks in between: what it sees is whole and grows."""
    rows = [request(second * SECOND_NS) for second in range(11)]
    intervals = collect_all([as_rows(rows)])[:-1]
    sender, inbox = trio.open_memory_channel[Any](0)
    seen = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Json().consume, make_context(folder=tmp_path), inbox)
        for summary in intervals:
            await sender.send(summary)
            if (tmp_path / "result.json").exists():
                seen.append(read_result(tmp_path)["Total"])
        sender.close()
    assert set(seen) == {5, 10}
    assert read_result(tmp_path)["Total"] == 11


async def test_the_path_may_be_in_a_folder_below(tmp_path: pathlib.Path) -> None:
    await write([final_of(ROWS)], tmp_path, Json(path="out/numbers.json"))
    assert read_result(tmp_path / "out" / "numbers.json")["Total"] == 2


async def test_nothing_is_written_where_nothing_is_kept() -> None:
    await write([final_of(ROWS)], None, Json())


async def test_two_collectors_feed_one_file(tmp_path: pathlib.Path) -> None:
    await write([final_of(ROWS), final_of(ROWS)], tmp_path, Json())
    assert read_result(tmp_path)["Total"] == 4


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: pathlib.Path) -> None:
    """A key that JSON cannot hold stands in for a disk that is full half-way."""
    path = tmp_path / "result.json"
    write_result(path, document_of(final_of(ROWS)))
    before = path.read_text()
    path.with_name(".result.json.part").mkdir()
    with pytest.raises(StorageFailed, match=r"cannot write .*result.json: Is a directory"):
        write_result(path, {"Total": 0})
    assert path.read_text() == before


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="cannot write"):
        write_result(tmp_path / "file" / "result.json", {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must have the schema 'flux.result/1', got None"),
        ('{"schema": "flux.result/9"}', "got 'flux.result/9'"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path: pathlib.Path, text: str, message: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(FluxError, match=message):
        read_result(path)


def test_a_result_that_is_not_there_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FluxError, match="cannot be read: No such file"):
        read_result(tmp_path)
