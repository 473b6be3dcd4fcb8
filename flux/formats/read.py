"""Reading any file of a run, whoever wrote it, into a `Recording`."""

import os
import pathlib

import attrs

from flux.errors import FluxError
from flux.formats.collected import Watch, collect_rows
from flux.formats.detect import ROW_FORMATS, detect
from flux.formats.hlog_recording import read_hlog
from flux.formats.locust_history import read_locust_history
from flux.formats.quoted import QUOTED_FORMATS, read_quoted
from flux.formats.recording import Recording
from flux.formats.result_recording import read_result_recording
from flux.formats.run_files import find_rows
from flux.result_file import RESULT_FILE
from flux.rows import Basis

ADD_ROWS = 'add a sink of rows to the pipeline: [[stage]] use = "csv"'
"""What to do so that the next run has rows."""


def read(
    path: str | os.PathLike[str], *, basis: Basis | None = None, watch: Watch | None = None
) -> Recording:
    """What a file, or the folder of a run of flux, tells of a run.

    The format is found by what stands in the file. Read are flux's own result.json and rows,
    vegeta's JSON and CSV, k6's JSON and CSV, JMeter's JTL as CSV, `.hlog`, and Locust's
    stats_history.csv, also packed by gzip; and what has quoted figures only: k6's summary, vegeta's
    JSON report, wrk's text, `.hgrm`. Of a folder, result.json is read if it is complete, else
    the rows.

    Args:
        path: of the file or folder.
        basis: what latencies are counted from in a file that does not say so (vegeta's, JMeter's,
            Locust's and HdrHistogram's): "due" if a tool was told to write response times; "start",
            as these tools do themselves, if None. What flux has written says it.
        watch: gives what is shown every row of a file of rows; see `collect_rows`.

    Raises:
        FluxError: it cannot be read, is no such file, or is broken; then the line is named. A last
            line that was cut is left out with a warning.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return _read_folder(path)
    found = detect(path)
    if found.format in ROW_FORMATS:
        return collect_rows(path, found, basis=basis, watch=watch)
    if found.format == "hlog":
        return read_hlog(path, basis)
    if found.format in QUOTED_FORMATS:
        return read_quoted(path, found.format, basis)
    if found.format == "locust-history":
        return read_locust_history(path, found, basis)
    return read_result_recording(path)


def _read_folder(folder: pathlib.Path) -> Recording:
    result = folder / RESULT_FILE
    recording = read_result_recording(result) if result.is_file() else None
    if recording and recording.latencies:
        return recording
    rows = find_rows(folder)
    if rows:
        collected = collect_rows(*rows)
        name = recording.name if recording else ""
        return attrs.evolve(collected, name=name, valid=None)
    if recording:
        return recording
    raise FluxError(f"{folder} has neither a {RESULT_FILE} nor rows", hint=ADD_ROWS)
