"""Comparing with what other tools have recorded: what both tell, and no more."""

import json
import pathlib

import numpy as np
import pytest

from flux.cli import invoke
from flux.compare.comparison import Comparison, compare
from flux.compare.limits import Limit, exit_code, judge
from flux.compare.page import comparison_page
from flux.compare.recorded import Recorded
from flux.compare.text import format_comparison
from flux.errors import ExitCode, UsageError
from flux.formats import read
from flux.formats.facts import Facts
from flux.formats.row_formats import LINE_FORMATS
from flux.result_file import result_document, write_result
from flux.rows import Basis
from flux.schemas import OUTCOME, Flag, Rows
from tests.compare.samples import recorded, summary_of
from tests.formats.samples import GOLDEN
from tests.outcomes import SECOND_NS, STARTED_AT, make_context

FACTS = Facts(name="shop", started_at=STARTED_AT, steps=("buy",), requests=(("GET", "/buy"),))
OTHERS = ("vegeta-json", "vegeta-csv", "k6-json", "k6-csv", "jtl")


def rows_of(service_ms: float, count: int = 4000, seconds: int = 40) -> Rows:
    """Requests evenly over the time, that start a millisecond late and then take about so long."""
    times_ns = np.random.default_rng(7).lognormal(0, 0.3, count) * service_ms * 1e6
    rows = OUTCOME.empty(count)
    rows["seq"] = rows["session"] = np.arange(count)
    rows["due_ns"] = np.arange(count) * seconds * SECOND_NS // count
    rows["start_ns"] = rows["due_ns"] + 1_000_000
    rows["end_ns"] = rows["start_ns"] + times_ns.astype(np.int64)
    rows["status"] = 200
    rows["flags"] = int(Flag.FIRST | Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS)
    return rows[np.argsort(rows["end_ns"], kind="stable")]


def written(folder: pathlib.Path, form: str, service_ms: float, basis: Basis = "start") -> str:
    """A file of such requests, as another tool would have measured them."""
    file = folder / f"{form}-{service_ms}"
    made = LINE_FORMATS[form](FACTS, basis)
    text = made.header + bytes(made.lines(rows_of(service_ms)))
    if form.startswith("vegeta-json"):  # without flux's own columns
        lines = [json.loads(line) for line in text.splitlines()]
        names = [*lines[0]][:13]
        text = "".join(json.dumps({n: one[n] for n in names}) + "\n" for one in lines).encode()
    if form.startswith("k6"):
        text = b"".join(one for one in text.splitlines(True) if b"flux_req_response" not in one)
    file.write_bytes(text)
    return str(file)


def own_run(folder: pathlib.Path, service_ms: float = 20.0) -> str:
    """A result of flux."""
    times_ns = np.random.default_rng(8).lognormal(0, 0.3, 4000) * service_ms * 1e6
    file = folder / "result.json"
    write_result(file, result_document(summary_of(times_ns), make_context().run))
    return str(file)


def of_file(name: str) -> Recorded:
    return Recorded.of(read(name), name)


@pytest.mark.parametrize("form", OTHERS)
def test_a_run_of_flux_and_anothers_share_service_times_only(
    form: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = written(tmp_path, form, 30.0)
    limits = ("--fail-if", "service.p99 > +5%")
    assert invoke(["compare", own_run(tmp_path), other, *limits]) == ExitCode.THRESHOLDS_FAILED
    told = capsys.readouterr().out
    assert "service p99" in told
    assert "\n  p99" not in told
    assert "only service times are compared, from when a request was sent" in " ".join(told.split())
    assert "whether this run kept its plan" in " ".join(told.split())
    assert "missed    service.p99 > +5%" in told


def test_two_files_of_another_tool_are_judged_by_their_numbers(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = (written(tmp_path, "vegeta-csv", one) for one in (20.0, 20.2))
    limit = ("--fail-if", "service.p95 > +10%")
    assert invoke(["compare", before, after, *limit]) == ExitCode.OK
    assert invoke(["compare", before, written(tmp_path, "jtl", 40.0), *limit]) == 99


def test_rows_of_flux_alone_have_no_verdict_to_rely_on(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = written(tmp_path, "csv", 20.0)
    assert invoke(["compare", rows, rows]) == ExitCode.INVALID_RUN
    told = " ".join(capsys.readouterr().out.split())
    assert "rows of flux without their result.json, which has the verdict" in told
    assert "both are the same run: there is nothing to differ" in told
    assert "service p99" in told


def test_a_limit_on_a_time_that_a_file_does_not_tell_is_one_error(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = written(tmp_path, "vegeta-csv", 20.0)
    assert invoke(["compare", own_run(tmp_path), other, "--fail-if", "p99 > 5%"]) == 2
    assert capsys.readouterr() == (
        "",
        f"error: {other} cannot tell the p99 of response times, as 'p99 > 5%' has it\n"
        "  hint: both runs tell it of service times: service.p99\n",
    )


@pytest.mark.parametrize(
    ("file", "limit", "said"),
    [
        ("response.hlog", "errors > 1%", "response.hlog cannot tell the errors"),
        ("response.hgrm", "rate < -1%", "response.hgrm cannot tell the rate"),
        ("k6-summary.json", "service.p99 > 1%", "cannot tell the p99 of service times"),
        ("other_locust_stats_history.csv", "service.p95 > 1%", "cannot tell the p95 of service"),
    ],
)
def test_a_limit_on_a_figure_that_a_file_does_not_tell_is_one_error(
    file: str, limit: str, said: str
) -> None:
    comparison = compare(of_file(str(GOLDEN / "rows.csv")), of_file(str(GOLDEN / file)))
    with pytest.raises(UsageError, match=said):
        judge([Limit.parse(limit)], [comparison])


def quoted(folder: pathlib.Path) -> tuple[Recorded, Comparison]:
    """A summary of k6 with many requests, against a run of flux that takes longer."""
    file = folder / "summary.json"
    trend = {"avg": 2.0, "min": 1.0, "med": 2.0, "max": 9.0, "p(90)": 3.0, "p(95)": 4.0}
    metrics = {"http_reqs": {"count": 4000, "rate": 100.0}, "http_req_duration": trend}
    file.write_text(json.dumps({"metrics": metrics, "root_group": {}}))
    summary = summary_of(np.full(4000, 20e6))
    return of_file(str(file)), compare(of_file(str(file)), recorded("2", summary))


def test_a_quoted_percentile_has_no_interval_and_no_verdict(tmp_path: pathlib.Path) -> None:
    _, comparison = quoted(tmp_path)
    p95 = comparison.find("total", "service", "p95")
    assert p95 is not None
    assert (p95.certainty, p95.interval) == ("no interval", None)
    assert p95.change == pytest.approx(4.0, rel=0.01)
    verdicts = judge([Limit.parse("service.p95 > 5%")], [comparison])
    assert [verdict.judgement for verdict in verdicts] == ["no interval"]
    assert exit_code([comparison], verdicts) == ExitCode.INVALID_RUN
    text = format_comparison(comparison, verdicts)
    assert "no interval service.p95 > 5%: no interval" in " ".join(text.split())
    assert "no interval" in comparison_page([comparison], verdicts)


def test_counts_of_a_summary_have_intervals_as_ever(tmp_path: pathlib.Path) -> None:
    _, comparison = quoted(tmp_path)
    rate = comparison.find("total", "", "rate")
    assert rate is not None
    assert rate.certainty == "no difference"
    errors = comparison.find("total", "", "errors")
    assert errors is not None
    assert (errors.certainty, errors.ours) == ("not told", None)


def test_logs_of_different_times_have_no_time_in_common(tmp_path: pathlib.Path) -> None:
    service = of_file(written(tmp_path, "jtl", 20.0))
    comparison = compare(of_file(str(GOLDEN / "response.hlog")), service)
    assert comparison.latencies == ()
    assert {one.figure for one in comparison.differences} == {"rate", "errors"}
    assert any(note.startswith("no times are compared: ") for note in comparison.notes)
    assert "<svg" not in comparison_page([comparison], [])


def test_rows_of_another_tool_widen_intervals_by_batches_as_well(tmp_path: pathlib.Path) -> None:
    ours, theirs = (of_file(written(tmp_path, "vegeta-csv", one)) for one in (20.0, 21.0))
    comparison = compare(ours, theirs)
    assert comparison.factors.keys() >= {"rate", "p50", "p95", "p99"}
