"""Every format that is written, byte for byte: what other tools' readers were checked against.

After a change that is meant: `python -m tests.formats.test_golden` writes the files anew.
"""

import pathlib

import pytest

from flux.formats.collected import collect_rows
from flux.formats.convert_summary import SUMMARIES, hgrm_text, wrk
from flux.formats.detect import detect
from flux.formats.hlog_text import interval_text, own_header
from flux.formats.locust import failures_csv, history_csv, stats_csv
from flux.formats.recording import Recording
from flux.formats.row_formats import LINE_FORMATS
from tests.formats.samples import GOLDEN, STARTED_AT, sample_rows, text_of

METHODS = {"login": "POST", "buy": "POST"}
NAMES = (
    *(f"rows.{form}" for form in LINE_FORMATS),
    *("rows.jtl-start", "k6-summary.json", "k6-summary-export.json", "response.hgrm"),
    *("response.hlog", "locust_stats.csv", "locust_failures.csv", "locust_stats_history.csv"),
    "wrk.txt",
)


def written(name: str, recording: Recording) -> str | bytes:
    stem, _, form = name.partition(".")
    if stem == "rows":
        form, is_start, _ = form.partition("-start")
        return text_of(form, sample_rows(), basis="start" if is_start else "due")
    if stem in SUMMARIES:
        return SUMMARIES[stem](recording)
    if name == "response.hgrm":
        return hgrm_text(recording, "response", None)
    if name == "response.hlog":
        header = own_header("checkout", "response", STARTED_AT.timestamp())
        return header + interval_text(recording.steps, "response", 0, recording.duration_ns)
    if name == "wrk.txt":
        return wrk(recording, "response")
    return {
        "locust_stats": stats_csv(recording, "response", METHODS),
        "locust_failures": failures_csv(recording, METHODS),
        "locust_stats_history": history_csv(recording, "response"),
    }[stem]


def sample_recording() -> Recording:
    file = GOLDEN / "rows.vegeta-json"
    return collect_rows(file, detect(file))


@pytest.mark.parametrize("name", NAMES)
def test_a_format_is_written_as_ever(name: str) -> None:
    text = written(name, sample_recording())
    text = text.encode() if isinstance(text, str) else text
    assert text == (GOLDEN / name).read_bytes()


def write_all(folder: pathlib.Path) -> None:
    for name in NAMES:
        text = written(name, sample_recording())
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "rows.vegeta-json").write_bytes(text_of("vegeta-json", sample_rows()))
    write_all(GOLDEN)
