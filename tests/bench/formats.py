"""Speed of writing and reading formats: `python -m tests.bench.formats`, half a minute, one core.

Thousand requests per second, the median of five runs, with the slowest and the fastest. Writing is
from OUTCOME rows to text; converting is from flux's own CSV on disk to the format; reading is from
a file to a `Recording`, with every histogram. At last, the peak memory of this process.
"""

import io
import pathlib
import resource
import tempfile
import time
from collections.abc import Callable

import numpy as np

from flux.formats.collected import collect_rows
from flux.formats.convert_rows import convert_lines, convert_parquet
from flux.formats.detect import detect
from flux.formats.facts import Facts
from flux.formats.row_files import open_rows
from flux.formats.row_formats import LINE_FORMATS
from flux.line_format import LineFormat
from flux.schemas import Rows
from tests.bench.rows import REQUESTS, STARTED_AT, STEPS, make_rows

FACTS = Facts(
    name="bench",
    started_at=STARTED_AT,
    steps=STEPS,
    requests=tuple((method, url.removeprefix("http://127.0.0.1:8080")) for method, url in REQUESTS),
    targets=("local",),
    target_urls=("http://127.0.0.1:8080",),
)
ROWS = 100_000
FEWER = 10_000
REPEATS = 5


def main() -> None:
    """Print the table."""
    rows = make_rows(ROWS)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        own = _written(folder, "csv", rows)
        print("| format | written | converted from csv | read |\n|---|---|---|---|")
        for form, make in LINE_FORMATS.items():
            some = rows if not form.startswith("k6") else rows[:FEWER]
            file, line_format = _written(folder, form, some), make(FACTS, "due")
            figures = (
                _rate(len(rows), lambda line_format=line_format: _write(line_format, rows)),  # type: ignore[misc]  # mypy cannot type a lambda's default
                _rate(len(rows), lambda form=form: _convert(own, form)),  # type: ignore[misc]  # likewise
                _rate(len(some), lambda file=file: collect_rows(file, detect(file))),  # type: ignore[misc]  # likewise
            )
            print(f"| {form} | {' | '.join(figures)} |")
        print(f"| parquet | | {_rate(len(rows), lambda: _convert(own, 'parquet'))} | |")
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{peak_mib:.0f} MiB at the most, {rows.nbytes / 2**20:.0f} MiB of them rows")


def _written(folder: pathlib.Path, form: str, rows: Rows) -> pathlib.Path:
    file = folder / form
    line_format = LINE_FORMATS[form](FACTS, "due")
    with file.open("wb") as stream:
        stream.write(line_format.header)
        for start in range(0, len(rows), 1024):
            stream.write(line_format.lines(rows[start : start + 1024]))
    return file


def _write(line_format: LineFormat, rows: Rows) -> None:
    for start in range(0, len(rows), 1024):
        line_format.lines(rows[start : start + 1024])


def _convert(own: pathlib.Path, form: str) -> None:
    reading, batches = open_rows(own, detect(own))
    if form == "parquet":
        convert_parquet(reading, batches, io.BytesIO())
        return
    with open("/dev/null", "wb") as stream:
        convert_lines(reading, batches, form, "due", stream)


def _rate(count: int, work: Callable[[], object]) -> str:
    rates = []
    for _ in range(REPEATS):
        began_s = time.perf_counter()
        work()
        rates.append(count / (time.perf_counter() - began_s) / 1e3)
    return f"{np.median(rates):.0f} ({min(rates):.0f}…{max(rates):.0f})"


if __name__ == "__main__":
    main()
