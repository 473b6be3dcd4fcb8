"""A result that is read back is the result that was written, as far as the file has it."""

import copy
import json
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.collection import Collection
from flux.console import format_summary
from flux.control import Ending
from flux.errors import ExitCode, FluxError
from flux.generator import Generator
from flux.histogram import Histogram
from flux.phases import Phase
from flux.result_file import result_document
from flux.result_reading import read_back
from flux.stage import Run
from flux.summary import Finding, Mark, Summary, Verdict
from tests.outcomes import (
    SECOND_NS,
    STEPS,
    TARGETS,
    as_rows,
    final_of,
    make_context,
    request,
    row_lists,
    stalled_rows,
)

PHASES = (Phase("warm-up", 0, SECOND_NS, is_warmup=True), Phase("rest", SECOND_NS, None))


def through_json(document: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(document)))


def without_deviations(document: dict[str, Any], key: str) -> dict[str, Any]:
    """The document without what it cannot say of targets and phases."""
    document = copy.deepcopy(document)
    for part in document[key]:
        for table in (part, *part.get("steps", ())):
            for latency in table["latency"].values():
                del latency["stdev"]
    return document


def summary_with(rows: Any, phases: Any = (), **options: Any) -> Summary:
    collection = Collection(STEPS, SECOND_NS, phases=phases, **options)
    collection.add(rows)
    return list(collection.finish(0, None))[-1]


def assert_same_page(summary: Summary, run: Run) -> None:
    read, read_run = read_back(through_json(result_document(summary, run)))
    assert format_summary(read, read_run) == format_summary(summary, run)


@given(row_lists, st.sampled_from([(), TARGETS[:1]]))
def test_a_document_read_back_makes_the_same_document(rows: Any, targets: Any) -> None:
    rows = [{**row, "target": 0} for row in rows]
    summary = final_of(rows, targets=targets, planned=len(rows))
    document = result_document(summary, make_context().run)
    assert result_document(*read_back(through_json(document))) == document


@given(row_lists)
def test_with_phases_only_their_deviations_are_lost(rows: Any) -> None:
    summary = summary_with(as_rows(rows), PHASES)
    document = result_document(summary, make_context().run)
    read = result_document(*read_back(through_json(document)))
    assert without_deviations(read, "phases") == without_deviations(document, "phases")


@given(row_lists)
def test_with_several_targets_only_their_deviations_are_lost(rows: Any) -> None:
    document = result_document(final_of(rows, targets=TARGETS), make_context().run)
    read = result_document(*read_back(through_json(document)))
    assert without_deviations(read, "targets") == without_deviations(document, "targets")


@given(row_lists)
def test_a_result_that_was_not_complete_keeps_its_counts_and_percentiles(rows: Any) -> None:
    summary = attrs.evolve(final_of(rows, targets=TARGETS), is_final=False)
    document = result_document(summary, make_context().run)
    read = through_json(result_document(*read_back(through_json(document))))
    assert read["complete"] is False
    for one in (document, read):
        for table in (one, *one["steps"], *one["targets"]):
            for latency in table["latency"].values():
                del latency["stdev"]
    assert read == document


@given(row_lists, st.sampled_from([(), PHASES]))
def test_the_page_of_a_result_read_back_is_that_of_the_run(rows: Any, phases: Any) -> None:
    summary = summary_with(as_rows(rows), phases, targets=TARGETS)
    assert_same_page(summary, make_context().run)


def test_the_page_keeps_findings_and_what_ended_the_run() -> None:
    run = make_context().run
    run.control.stop(Ending("budget: requests", ExitCode.GUARD))
    late = Histogram()
    late.record(np.arange(2000) * 1000)
    summary = attrs.evolve(
        final_of([request()]),
        findings=(
            Finding("it was late", is_fatal=True, remedy="be earlier"),
            Finding("a word", is_fatal=False),
        ),
        marks=(Mark(5, "guard", "stopped"),),
        generators=(Generator("worker 1", 1.5, 3.0, {"csv": 0.5}, late),),
        verdicts=(
            Verdict("response", "p(95) < 9ms", "step buy", "failed", 2e7, "20 ms", 9e6, "ns", 9),
            Verdict("response", "max < 9ms", "", "not judged", None, "-", 9e6, "ns", 0, "why"),
        ),
    )
    assert_same_page(summary, run)
    document = result_document(summary, run)
    assert result_document(*read_back(through_json(document))) == document


def test_the_page_of_users_keeps_their_standstill() -> None:
    rows = stalled_rows()
    is_unsent = (rows["start_ns"] > 20.05 * SECOND_NS) & (rows["start_ns"] < 30 * SECOND_NS)
    summary = summary_with(rows[~is_unsent], has_users=True)
    assert summary.hidden.count("No request began") == 1
    assert_same_page(summary, make_context().run)


def test_a_result_that_lacks_a_key_is_refused_by_its_name() -> None:
    document = result_document(final_of([request()]), make_context().run)
    del document["sessions"]
    with pytest.raises(FluxError, match="has no key 'sessions'"):
        read_back(document)
