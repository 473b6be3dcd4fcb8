"""HdrHistogram's `.hlog`: one line per interval, read by HDR's log processors and analysers.

    [Tag=<tag>,]<start, s>,<length, s>,<maximum, ms>,<V2 compressed base64>

Source: HdrHistogram's HistogramLogWriter and HistogramLogReader, log format 1.3.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import attrs

from flux.errors import FluxError
from flux.histogram.codec import decode_scaled, encode, highest_value
from flux.histogram.recorder import Histogram

_LEGEND = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'
_NOT_IN_TAGS = str.maketrans(dict.fromkeys(", \r\n\t", "_"))


@attrs.frozen
class LogInterval:
    """One line of a log."""

    tag: str | None
    """What the interval is about, such as a step; None for a line without a tag."""
    start_s: float
    """When it began, as written: seconds since the log's start time, or since 1970."""
    length_s: float
    """How long it was, seconds."""
    max_ms: float
    """The largest value, as written, milliseconds."""
    unit_ns: int
    """What the recorder's values are, nanoseconds: 1000 in flux's own logs."""
    histogram: Histogram
    """The values."""


def log_header(start_epoch_s: float, comment: str | None = None) -> str:
    """The lines before the first interval.

    Args:
        start_epoch_s: when the run began, seconds since 1970; intervals are relative to it.
        comment: one line about the run.
    """
    # ctime() speaks English in every locale, as Java's Date does: Tue Nov 14 22:13:20 2023.
    moment = datetime.fromtimestamp(start_epoch_s, UTC)
    weekday, month, _, clock, year = moment.ctime().split()
    date = f"{weekday} {month} {moment.day:02} {clock} UTC {year}"
    lines = [
        "#[Histogram log format version 1.3]",
        *([f"#{' '.join(comment.split())}"] if comment else []),
        f"#[StartTime: {start_epoch_s:.3f} (seconds since epoch), {date}]",
        _LEGEND,
    ]
    return "\n".join(lines) + "\n"


def log_line(
    histogram: Histogram, start_s: float, length_s: float, *, tag: str | None = None
) -> str:
    """One interval, with its line end.

    Args:
        histogram: the interval's values.
        start_s: when the interval began, seconds since the log's start time.
        length_s: its length, seconds.
        tag: what it is about; commas and white space, which a tag cannot have, become underscores.
    """
    prefix = f"Tag={tag.translate(_NOT_IN_TAGS)}," if tag else ""
    numbers = f"{start_s:.3f},{length_s:.3f},{histogram.max_ns / 1e6:.3f}"
    return f"{prefix}{numbers},{encode(histogram)}\n"


def read_log(lines: Iterable[str]) -> Iterator[LogInterval]:
    """The intervals of a log, in order; comments and the legend are skipped.

    Raises:
        FluxError: a line is not an interval; the line is named by its number.
    """
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith(("#", '"')):
            continue
        try:
            yield _interval(text)
        except (FluxError, ValueError) as error:
            raise FluxError(f"line {number} of the histogram log: {error}") from error


def _interval(text: str) -> LogInterval:
    fields = text.split(",")
    tag = fields.pop(0).removeprefix("Tag=") if text.startswith("Tag=") else None
    if len(fields) != 4:
        raise FluxError(f"an interval must have 4 fields, got {len(fields)}")
    start_s, length_s, max_ms = map(float, fields[:3])
    unit_ns = _unit_ns(fields[3], max_ms)
    histogram = decode_scaled(fields[3], unit_ns)
    return LogInterval(tag, start_s, length_s, max_ms, unit_ns, histogram)


def _unit_ns(encoded: str, max_ms: float) -> int:
    """The unit in which the largest value is about as long as the line says in milliseconds."""
    highest = highest_value(encoded)
    if not highest or max_ms <= 0:
        return 1000
    return min(
        (1, 1000, 10**6), key=lambda unit_ns: abs(math.log(highest * unit_ns / max_ms / 1e6))
    )
