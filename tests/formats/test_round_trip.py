"""A run's rows in any dialect, read back: the same counts, and percentiles to the resolution."""

import pathlib
from collections.abc import Iterator

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flux.formats import read
from flux.formats.facts import Facts
from flux.formats.recording import Recording
from flux.formats.row_formats import LINE_FORMATS
from flux.rows import Basis
from flux.schemas import NOT_STARTED, ErrorCode, Flag, Rows
from flux.summary import StepSummary, Summary
from tests.formats.samples import FACTS, text_of
from tests.outcomes import STEPS, as_rows, collect_all, row_dicts, stalled_rows

NAMED = attrs.evolve(FACTS, steps=STEPS)
PERCENTS = (0, 50, 90, 99, 99.9, 100)
EXACT = tuple(form for form in LINE_FORMATS if form != "jtl")
FIXTURES = [HealthCheck.function_scoped_fixture]


@st.composite
def consistent_rows(draw: st.DrawFn) -> Rows:
    """Rows whose error, success and flags agree, each of a step unless it was never started."""
    rows = as_rows(draw(st.lists(row_dicts(), min_size=1, max_size=25))).copy()
    is_request = (rows["flags"] & int(NOT_STARTED)) == 0
    rows["step"] = np.where(is_request, np.maximum(rows["step"], 0), -1)
    success = (rows["flags"] & int(Flag.SUCCESS)) != 0
    status = np.where(rows["error"] == 0, int(ErrorCode.STATUS), rows["error"])
    aborted = (rows["flags"] & int(Flag.ABORTED)) != 0
    status[aborted & is_request] = int(ErrorCode.ABORTED)
    rows["error"] = np.where(success & is_request, 0, status)
    rows["seq"] = np.arange(len(rows))
    return rows


def final(rows: Rows) -> Summary:
    return collect_all([rows])[-1]


def read_back(
    folder: pathlib.Path, form: str, rows: Rows, *, basis: Basis = "due", facts: Facts = NAMED
) -> Recording:
    file = folder / "rows"
    file.write_bytes(text_of(form, rows, facts=facts, basis=basis))
    return read(file, basis=basis)


def by_name(steps: tuple[StepSummary, ...]) -> dict[str, StepSummary]:
    return {step.name: step for step in steps if step.requests}


def compared(recording: Recording, rows: Rows) -> Iterator[tuple[StepSummary, StepSummary]]:
    read_steps, known_steps = by_name(recording.steps), by_name(final(rows).steps)
    assert read_steps.keys() == known_steps.keys()
    for name, step in read_steps.items():
        yield step, known_steps[name]


@pytest.mark.parametrize("form", list(LINE_FORMATS))
@given(consistent_rows())
@settings(max_examples=30, suppress_health_check=FIXTURES)
def test_counts_are_the_same(form: str, tmp_path: pathlib.Path, rows: Rows) -> None:
    if form in ("jtl", "k6-json", "k6-csv") and not (rows["step"] >= 0).any():
        return  # nothing is written of arrivals that were never started
    for step, known in compared(read_back(tmp_path, form, rows), rows):
        for name in ("requests", "successes", "failures", "aborted", "bytes_out", "bytes_in"):
            assert getattr(step, name) == getattr(known, name), name
        assert step.statuses == known.statuses
        assert step.errors == known.errors


@pytest.mark.parametrize("form", EXACT)
@given(consistent_rows())
@settings(max_examples=30, suppress_health_check=FIXTURES)
def test_latencies_are_the_same_to_the_nanosecond(
    form: str, tmp_path: pathlib.Path, rows: Rows
) -> None:
    if form.startswith("k6") and not (rows["step"] >= 0).any():
        return
    recording = read_back(tmp_path, form, rows)
    assert "response" in recording.latencies
    for step, known in compared(recording, rows):
        for latency in {"response", "service"} & set(recording.latencies):
            if form.startswith("k6") and latency == "service":
                continue  # of which the parts are cut off at 0, where connecting took longer
            assert getattr(step, latency) == getattr(known, latency), latency


@pytest.mark.parametrize("basis", ["due", "start"])
@pytest.mark.parametrize("form", list(LINE_FORMATS))
def test_percentiles_are_the_same_within_the_resolution(
    form: str, basis: Basis, tmp_path: pathlib.Path
) -> None:
    rows = stalled_rows()
    rows["start_ns"] += np.arange(len(rows)) % 7 * 123_457
    recording = read_back(tmp_path, form, rows, basis=basis)
    latency = "service" if basis == "start" and "service" in recording.latencies else "response"
    read_ns = getattr(recording.total, latency).percentiles(PERCENTS)
    known_ns = getattr(final(rows).total, latency).percentiles(PERCENTS)
    # Either is off by half a unit of the format and by one bucket of the histogram.
    allowed_ns = recording.resolution_ns / 2 + known_ns / 500 + 1000
    assert (np.abs(read_ns - known_ns) <= allowed_ns).all()


@pytest.mark.parametrize("form", ["vegeta-json", "vegeta-csv", "jtl"])
def test_a_basis_of_start_gives_service_times(form: str, tmp_path: pathlib.Path) -> None:
    recording = read_back(tmp_path, form, stalled_rows(), basis="start")
    own = form == "vegeta-json"  # has all the times of flux beside vegeta's
    assert recording.latency == ("response" if own else "service")


@pytest.mark.parametrize("form", ["csv", "vegeta-json"])
@given(consistent_rows())
@settings(max_examples=30, suppress_health_check=FIXTURES)
def test_flux_own_rows_tell_everything(form: str, tmp_path: pathlib.Path, rows: Rows) -> None:
    recording, known = read_back(tmp_path, form, rows), final(rows)
    assert recording.started_at == FACTS.started_at
    assert recording.sessions == known.sessions
    assert recording.peak_users == known.peak_users
    np.testing.assert_array_equal(recording.series.rows, known.series.rows)
    for step, expected in compared(recording, rows):
        assert step == expected


@pytest.mark.parametrize("form", list(LINE_FORMATS))
def test_steps_keep_names_that_need_quotes(form: str, tmp_path: pathlib.Path) -> None:
    rows = stalled_rows()[:90].copy()
    rows["step"] = np.arange(90) % 3
    recording = read_back(tmp_path, form, rows, facts=FACTS)
    assert {step.name: step.requests for step in recording.steps} == dict.fromkeys(FACTS.steps, 30)


@pytest.mark.parametrize("form", ["vegeta-json", "vegeta-csv", "k6-json", "k6-csv"])
def test_methods_and_urls_come_back(form: str, tmp_path: pathlib.Path) -> None:
    rows = stalled_rows()[:90].copy()
    rows["step"] = np.arange(90) % 3
    known = {
        name: (FACTS.method(step), FACTS.url(step, 0)) for step, name in enumerate(FACTS.steps)
    }
    assert read_back(tmp_path, form, rows, facts=FACTS).requests == known


def test_more_steps_than_are_expected_at_first_are_counted_too(tmp_path: pathlib.Path) -> None:
    rows = np.tile(stalled_rows()[:40], 5)
    rows["step"] = np.arange(200) % 40
    facts = attrs.evolve(FACTS, steps=tuple(f"step {number}" for number in range(40)))
    recording = read_back(tmp_path, "csv", rows, facts=facts)
    assert [step.requests for step in recording.steps] == [5] * 40


def test_names_beyond_a_bound_are_one_step(tmp_path: pathlib.Path) -> None:
    rows = np.tile(stalled_rows()[:300], 2)
    rows["step"] = np.arange(600) % 300
    facts = attrs.evolve(FACTS, steps=tuple(f"/item/{number}" for number in range(300)))
    recording = read_back(tmp_path, "jtl", rows, facts=facts)
    assert len(recording.steps) == 257
    assert (recording.steps[-1].name, recording.steps[-1].requests) == ("(others)", 88)
    assert "more than 256 names" in recording.warnings[0]
