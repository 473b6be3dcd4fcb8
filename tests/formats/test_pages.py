"""docs/formats.md, held to the code, and wrk's text to that of wrk."""

import pathlib
import re
import shlex

import attrs
import pytest

from flux.cli import invoke
from flux.errors import ExitCode
from flux.formats import FORMATS
from flux.formats.detect import Format
from flux.formats.jtl import COLUMNS
from flux.formats.recording import Recording
from flux.formats.vegeta import FIELDS
from flux.formats.wrk import COUNTS, TIMES, stats_line
from flux.registry import find_stages
from tests.formats.samples import GOLDEN, write_sample

PAGE = (pathlib.Path(__file__).parent.parent.parent / "docs" / "formats.md").read_text()
LINES = re.findall(r"^    flux (convert [^|>\n]+)", PAGE, re.M)


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    cells = re.findall(r"^\| ([^|]+?) \|", text, re.M)
    return [name.strip("`") for cell in cells[1:] for name in cell.split(", ")]


def test_the_table_has_every_format_and_its_sink() -> None:
    table = PAGE.partition("\n## ")[0]
    assert set(first_cells(table)) == set(FORMATS)
    sinks = set(re.findall(r"^\|[^|]+\| `(\w+)` \|", table, re.M))
    assert sinks == {"csv", "ndjson", "k6", "jtl", "hlog", "parquet"}
    assert sinks <= set(find_stages())


def test_every_field_of_vegeta_and_jmeter_is_explained() -> None:
    assert set(first_cells(section("vegeta"))) == set(FIELDS)
    assert first_cells(section("JMeter")) == list(COLUMNS)


def test_every_field_of_a_recording_that_is_explained_is_there() -> None:
    table = re.findall(r"^\| (`[^|]+`) \|", section("Reading"), re.M)
    names = {name for cell in table for name in re.findall(r"`(\w+)`", cell)}
    assert len(names) == 11
    assert names <= {field.name for field in attrs.fields(Recording)}


def test_every_format_that_is_read_has_a_mark() -> None:
    marked = re.findall(r"^\| ([\w, -]+) \|[^|]*\| yes \| (?:yes|history|figures) \|", PAGE, re.M)
    read = {name for cell in marked for name in cell.split(", ")} - {"k6-summary-export"}
    names = {"ndjson": "vegeta-json", "locust-history": "locust", "result": "csv"}
    known = {names.get(name, name) for name in Format.__args__}  # type: ignore[attr-defined]  # of a Literal
    assert known - {"vegeta-report"} == read
    assert "vegeta report -type=json" in PAGE


@pytest.mark.parametrize("line", LINES)
def test_every_example_runs(
    line: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 3):
        folder = tmp_path / "results" / f"result_{number}"
        folder.mkdir(parents=True)
        write_sample(folder, "csv").rename(folder / "requests.csv")
    (tmp_path / "their.jtl").write_bytes((GOLDEN / "other_jmeter.jtl").read_bytes())
    assert invoke(shlex.split(line)) == ExitCode.OK


def test_examples_are_found() -> None:
    assert len(LINES) >= 6


def test_columns_stand_where_wrk_has_them() -> None:
    """These lines are from wrk 4.1.0, for the same figures."""
    latency = stats_line("Latency", (43_120.0, 6390.0, 48_010.0, 97.83), TIMES)
    assert latency == "    Latency    43.12ms    6.39ms  48.01ms   97.83%"
    rates = stats_line("Req/Sec", (45.95, 8.86, 60.0, 75.0), COUNTS)
    assert rates == "    Req/Sec    45.95      8.86    60.00     75.00%"
    rates = stats_line("Req/Sec", (56_200.0, 8070.0, 62_000.0, 86.54), COUNTS)
    assert rates == "    Req/Sec    56.20k     8.07k   62.00k    86.54%"
