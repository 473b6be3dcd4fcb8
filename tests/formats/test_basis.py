"""What flux writes for other tools says which latency it is, and is read back as that."""

import pathlib

import pytest

from flux.cli import invoke
from flux.compare.recorded import Recorded
from flux.errors import FluxError
from flux.formats import read
from flux.formats.convert import Wishes, convert
from flux.formats.origin import tool_of
from flux.rows import Basis
from tests.formats.samples import GOLDEN, write_sample
from tests.outcomes import SECOND_NS

LATENCIES = {"due": "response", "start": "service"}


def test_an_unmarked_file_of_another_tool_is_of_that_tool() -> None:
    recording = read(GOLDEN / "other_jmeter.jtl")
    assert (recording.latency, tool_of(recording)) == ("service", "JMeter")


@pytest.mark.parametrize("basis", ["due", "start"])
@pytest.mark.parametrize("form", ["vegeta-csv", "jtl"])
def test_rows_of_flux_say_what_their_latencies_count_from(
    form: str, basis: Basis, tmp_path: pathlib.Path
) -> None:
    file = write_sample(tmp_path, form, basis)
    recording = read(file)
    assert {"response", "service"} & set(recording.latencies) == {LATENCIES[basis]}
    assert tool_of(recording) == "flux"
    other: Basis = "start" if basis == "due" else "due"
    assert read(file, basis=other).latencies == recording.latencies


def test_time_to_the_first_byte_from_the_due_time_is_not_called_so(tmp_path: pathlib.Path) -> None:
    assert read(write_sample(tmp_path, "jtl", "due")).latencies == ("response",)
    assert read(write_sample(tmp_path, "jtl", "start")).latencies == ("service", "first_byte")


@pytest.mark.parametrize("form", ["k6-json", "k6-csv"])
def test_points_of_flux_tell_both_latencies_and_no_lag(form: str, tmp_path: pathlib.Path) -> None:
    recording = read(write_sample(tmp_path, form))
    assert recording.latencies == ("response", "service", "first_byte", "connect", "tls")
    assert tool_of(recording) == "flux"


@pytest.mark.parametrize("latency", ["response", "service", "lag"])
@pytest.mark.parametrize("form", ["hlog", "hgrm", "wrk", "locust"])
def test_a_distribution_says_which_latency_it_is(
    form: str, latency: str, tmp_path: pathlib.Path
) -> None:
    rows = write_sample(tmp_path, "csv")
    out = tmp_path / "out"
    convert(rows, form, str(out), Wishes(latency=latency))
    recording = read(f"{out}_stats_history.csv" if form == "locust" else out)
    if form != "locust" or latency == "response":  # its history has no figures of the others
        assert (recording.told, recording.latency) == ((latency,), latency)
    assert tool_of(recording) == "flux"


def test_the_summary_of_k6_that_flux_wrote_has_its_own_service_time() -> None:
    recording = read(GOLDEN / "k6-summary.json")
    assert (tool_of(recording), recording.warnings) == ("flux", ())


@pytest.mark.parametrize("form", ["jtl", "vegeta-csv", "k6-json", "hlog", "hgrm", "wrk"])
def test_what_counted_from_sending_is_not_called_response_on_its_way(
    form: str, tmp_path: pathlib.Path
) -> None:
    convert(GOLDEN / "other_vegeta.json", form, str(tmp_path / "out"), Wishes())
    told = read(tmp_path / "out").told
    assert "service" in told
    assert "response" not in told


def test_a_latency_that_rows_do_not_tell_is_not_written(tmp_path: pathlib.Path) -> None:
    out = str(tmp_path / "out")
    with pytest.raises(FluxError, match="does not tell response times"):
        convert(GOLDEN / "other_vegeta.json", "jtl", out, Wishes(basis="due"))
    due = write_sample(tmp_path, "jtl", "due")
    with pytest.raises(FluxError, match="does not tell service times"):
        convert(due, "k6-json", out, Wishes())
    assert not pathlib.Path(out).exists()


def test_columns_that_are_filled_in_are_told(tmp_path: pathlib.Path) -> None:
    (note,) = convert(GOLDEN / "other_vegeta.json", "csv", str(tmp_path / "out"), Wishes())
    assert note.endswith("tells service times only: due_ns is filled in with start_ns")
    assert not convert(GOLDEN / "rows.csv", "csv", str(tmp_path / "out"), Wishes())


def without_marks(tmp_path: pathlib.Path, name: str) -> pathlib.Path:
    """A file as a tool would have written it that flux does not know."""
    text = (GOLDEN / name).read_text()
    for mark in ("#flux checkout response times\n", "#flux response times\n"):
        text = text.replace(mark, "")
    text = text.replace("flux-due", "Thread Group")
    lines = [line.rpartition(",")[0] + "," for line in text.splitlines()]
    text = "\n".join(lines) + "\n" if name.endswith("vegeta-csv") else text
    file = tmp_path / name
    file.write_text(text)
    return file


@pytest.mark.parametrize("name", ["rows.vegeta-csv", "rows.jtl", "response.hlog", "response.hgrm"])
def test_people_can_say_what_a_file_counts_from(
    name: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = without_marks(tmp_path, name)
    assert read(file).latency == "service"
    assert tool_of(read(file)) != "flux"
    assert read(file, basis="due").latency == "response"
    assert not [one for one in read(file, basis="due").warnings if "taken as" in one]
    for command in ("report", "compare"):
        arguments = [file, "--format", "md", "--out", "-"] if command == "report" else [file, file]
        assert invoke([command, *map(str, arguments), "--basis", "due"]) == 0
        assert "response time only" in " ".join(capsys.readouterr().out.split())


def test_a_log_of_flux_is_said_to_be_written_by_flux(
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = str(GOLDEN / "response.hlog")
    assert invoke(["compare", file, file]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "written by flux" in told
    assert "unnamed tool" not in told


LOCUST = """\
Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,95%,99%,100%,Total Request Count,\
Total Failure Count,Total Median Response Time,Total Average Response Time,\
Total Min Response Time,Total Max Response Time,Total Average Content Size
1700000000,1,,Aggregated,0,0,N/A,N/A,N/A,N/A,0,0,N/A,N/A,N/A,N/A,N/A
1700000001,1,,Aggregated,2,0,N/A,9,9,9,2,0,N/A,7.5,3,9,10
"""


def test_a_figure_that_locust_does_not_know_is_none(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "stats_history.csv"
    file.write_text(LOCUST)
    recording = read(file)
    known = {"mean": 7_500_000, "min": 3_000_000, "max": 9_000_000}
    assert recording.quoted_ns == {"total": {"service": known}}
    one = Recorded.of(recording, "locust")
    assert [one.tells("total", "service", name) for name in ("mean", "p50")] == [True, False]
    assert recording.duration_ns == 2 * SECOND_NS
    file.write_text(LOCUST.replace("7.5,3,9,10", "N/A,N/A,N/A,10"))
    assert read(file).told == ()
