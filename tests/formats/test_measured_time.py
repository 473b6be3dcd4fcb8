"""Rates that flux writes for other tools are over the time that was measured, without warm-up."""

import csv
import json
import pathlib
import re

import numpy as np
import pytest

from flux.collection import Collection
from flux.formats import read
from flux.formats.convert import Wishes, convert
from flux.phases import Phase
from flux.result_file import result_document, write_result
from flux.schemas import OUTCOME, Flag, Rows
from tests.outcomes import SECOND_NS, STEPS, make_context

MEASURED = 600
"""Requests that were due in the six seconds after four of warm-up."""


def rows() -> Rows:
    """20 per second in warm-up, then 100 per second; the last answer takes half a second."""
    due_ns = np.concatenate(
        [np.arange(80) * SECOND_NS // 20, 4 * SECOND_NS + 1 + np.arange(600) * SECOND_NS // 100]
    )
    made = OUTCOME.empty(due_ns.size)
    made["seq"] = made["session"] = np.arange(due_ns.size)
    made["due_ns"] = made["start_ns"] = due_ns
    made["end_ns"] = due_ns + 10_000_000
    made["end_ns"][-1] = int(10.5 * SECOND_NS)
    made["status"], made["bytes_in"] = 200, 10
    made["flags"] = int(Flag.FIRST | Flag.LAST | Flag.SUCCESS | Flag.SESSION_SUCCESS)
    return made


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A run without rows: all is made from its result."""
    phases = (Phase("warm-up", 0, 4 * SECOND_NS, is_warmup=True), Phase("on", 4 * SECOND_NS, None))
    collection = Collection(STEPS, SECOND_NS, phases=phases)
    collection.add(rows())
    *_, final = collection.finish(10 * SECOND_NS, 680)
    write_result(tmp_path / "result.json", result_document(final, make_context().run))
    return tmp_path


def written(folder: pathlib.Path, form: str, name: str = "out") -> pathlib.Path:
    convert(folder, form, str(folder / name), Wishes())
    return folder / name


def test_a_recording_knows_how_long_was_measured(folder: pathlib.Path) -> None:
    recording = read(folder)
    assert (recording.duration_s, recording.measured_s) == (10.5, 6.5)
    assert recording.rate_per_s == pytest.approx(MEASURED / 6.5)
    assert recording.measured_sessions is not None
    assert recording.measured_sessions.ended == MEASURED


@pytest.mark.parametrize("form", ["k6-summary", "k6-summary-export"])
def test_k6s_rates_are_of_what_was_measured(form: str, folder: pathlib.Path) -> None:
    document = json.loads(written(folder, form).read_text())
    metrics = {name: one.get("values", one) for name, one in document["metrics"].items()}
    for name, count in (("http_reqs", 600), ("iterations", 600), ("data_received", 6000)):
        assert metrics[name]["count"] == count
        assert metrics[name]["rate"] == pytest.approx(count / 6.5)
    assert document.get("state", {"testRunDurationMs": 6500})["testRunDurationMs"] == 6500


def test_wrks_rates_are_of_what_was_measured(folder: pathlib.Path) -> None:
    text = written(folder, "wrk").read_text()
    assert "Running 6s test" in text or "Running 7s test" in text
    assert "600 requests in 6.50s" in text
    assert float(re.findall(r"Requests/sec: +([0-9.]+)", text)[0]) == round(MEASURED / 6.5, 2)
    # Whole rows without warm-up: the row in which the last answer came is only half a second.
    (rates,) = re.findall(r"Req/Sec +([0-9.]+) +([0-9.]+) +([0-9.]+)", text)
    assert [float(one) for one in rates] == pytest.approx([99.83, 0.37, 100], abs=1)


def test_locusts_rates_are_of_what_was_measured(folder: pathlib.Path) -> None:
    written(folder, "locust")
    stats = list(csv.DictReader((folder / "out_stats.csv").read_text().splitlines()))
    assert float(stats[-1]["Requests/s"]) == pytest.approx(MEASURED / 6.5, abs=1e-6)
    history = (folder / "out_stats_history.csv").read_text().splitlines()
    rates = [float(one["Requests/s"]) for one in csv.DictReader(history)]
    assert rates[1:4] == [20, 20, 20]
    assert rates[-1] == pytest.approx(1 / 0.5)


def test_a_log_made_of_a_result_is_as_long_as_was_measured(folder: pathlib.Path) -> None:
    recording = read(written(folder, "hlog"))
    assert recording.duration_s == pytest.approx(6.5)
    assert recording.rate_per_s == pytest.approx(MEASURED / 6.5)
    started_at = read(folder).started_at
    assert started_at is not None
    assert recording.started_at is not None
    assert (recording.started_at - started_at).total_seconds() == pytest.approx(4, abs=1e-3)
