"""From a run, whoever made it, to a file of any format: what `flux convert` does.

Formats with a row per request are made from rows, a batch at a time, so a file of any length fits
in memory. The others are made from a `Recording`: from result.json if there is one, else by
counting the rows again. A log of intervals needs the rows for more than one interval.
"""

import pathlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from flux.errors import FluxError, UsageError
from flux.formats.convert_rows import convert_lines, convert_parquet, open_named_rows
from flux.formats.convert_summary import (
    SUMMARIES,
    hgrm_text,
    latency_of,
    write_hlog,
    write_locust,
    write_whole_hlog,
    wrk,
)
from flux.formats.detect import ROW_FORMATS, Found, detect
from flux.formats.output import open_output
from flux.formats.parquet import load_pyarrow
from flux.formats.read import ADD_ROWS, read
from flux.formats.recording import Recording
from flux.formats.row_formats import LINE_FORMATS
from flux.formats.run_files import find_rows, find_session
from flux.rows import Basis

FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "csv": "flux's own rows",
        "vegeta-json": "vegeta's results as JSON, which are flux's `ndjson`",
        "vegeta-csv": "vegeta's results as CSV",
        "k6-json": "k6's points as JSON",
        "k6-csv": "k6's points as CSV",
        "k6-summary": "k6's summary, as handleSummary has it",
        "k6-summary-export": "k6's summary, as --summary-export writes it",
        "jtl": "JMeter's JTL as CSV",
        "locust": "Locust's CSV files: OUT_stats.csv and two more",
        "hlog": "HdrHistogram's log, an interval per second and step",
        "hgrm": "HdrHistogram's percentile distribution",
        "wrk": "wrk's text",
        "parquet": "flux's rows as Parquet (extra `parquet`)",
    }
)
"""Each format that can be written."""

TAKES_BASIS: Final = frozenset({"vegeta-json", "vegeta-csv", "jtl"})
"""Formats with one latency per request."""

TAKES_LATENCY: Final = frozenset({"hlog", "hgrm", "wrk", "locust"})
"""Formats with the distribution of one latency."""

TAKES_STEP: Final = frozenset({"hgrm"})
"""Formats with one distribution in all."""


@attrs.frozen(kw_only=True)
class Wishes:
    """What a format with room for one thing is to have; None for the usual."""

    basis: Basis | None = None
    """What latencies of requests are counted from."""
    latency: str | None = None
    """Which latency, of `flux.summary.LATENCIES`."""
    step: str | None = None
    """Which step; else all together."""


def convert(path: pathlib.Path, form: str, out: str, wishes: Wishes) -> list[str]:
    """Write what a file or run folder tells in another format.

    Args:
        path: of the file or folder.
        form: one of FORMATS.
        out: path of a file, "-" for standard output; for locust, what the files' paths begin with.
        wishes: what it is to have.

    Returns:
        What was left out, a line each.

    Raises:
        UsageError: the format has no place for a wish.
        FluxError: the file cannot be read, or has not got what the format needs.
    """
    _check(form, wishes)
    if form in LINE_FORMATS or form == "parquet":
        return _convert_rows(path, form, out, wishes.basis)
    if form == "hlog" and (rows := _rows_of(path)):
        with open_output(out) as stream:
            session = find_session(rows[0].parent)
            name = session.name if session else ""
            return write_hlog(*rows, name, wishes.latency, stream)
    recording = _with_requests(read(path))
    _convert_recording(recording, form, out, wishes)
    return list(recording.warnings)


def _check(form: str, wishes: Wishes) -> None:
    for key, value, takers in (
        ("basis", wishes.basis, TAKES_BASIS),
        ("latency", wishes.latency, TAKES_LATENCY),
        ("step", wishes.step, TAKES_STEP),
    ):
        if value is not None and form not in takers:
            raise UsageError(
                f"--{key} is not for {form}", hint=f"it is for {', '.join(sorted(takers))}"
            )
    if form == "parquet":
        load_pyarrow()


def _rows_of(path: pathlib.Path) -> tuple[pathlib.Path, Found] | None:
    """The file of rows that is meant; beside a result.json, that of its folder."""
    if path.is_file() and detect(path).format == "result":
        path = path.parent
    found = find_rows(path)
    return found if found and found[1].format in ROW_FORMATS else None


def _convert_rows(path: pathlib.Path, form: str, out: str, basis: Basis | None) -> list[str]:
    rows = _rows_of(path)
    if rows is None:
        raise FluxError(f"{form} has a row per request, and {path} has none", hint=ADD_ROWS)
    reading, batches = open_named_rows(*rows)
    with open_output(out, is_binary=form == "parquet") as stream:
        if form == "parquet":
            return convert_parquet(reading, batches, stream)
        return convert_lines(reading, batches, form, basis, stream)


def _convert_recording(recording: Recording, form: str, out: str, wishes: Wishes) -> None:
    if form in SUMMARIES:
        text = SUMMARIES[form](recording)
    else:
        latency = latency_of(recording, wishes.latency)
        if form == "locust":
            write_locust(recording, latency, out)
            return
        if form == "hlog":
            with open_output(out) as stream:
                write_whole_hlog(recording, latency, stream)
            return
        text = (
            wrk(recording, latency) if form == "wrk" else hgrm_text(recording, latency, wishes.step)
        )
    with open_output(out) as stream:
        stream.write(text.encode())


def _with_requests(recording: Recording) -> Recording:
    """With methods and URLs by the session file, if the recording has none."""
    folder = recording.path if recording.path.is_dir() else recording.path.parent
    is_own = recording.format in ("result", "csv", "ndjson")
    session = find_session(folder) if is_own else None
    if session is None:
        return recording
    parts = session.parts
    before = parts.target_urls[0] if parts.target_urls else ""
    requests = {
        step: (method, before + path) for step, (method, path) in zip(parts.steps, parts.requests)
    }
    name = recording.name or session.name
    return attrs.evolve(recording, name=name, requests=recording.requests or requests)
