"""OUTCOME rows as text: the lines of `csv` and `ndjson`, on disk and on stdout. Pure.

Both formats have every column of OUTCOME under its own name. Times are nanoseconds since the run
began; `timestamp` is the same on the wall clock. Steps, targets, errors and flags are text.

Source:
    CSV: RFC 4180, except that a line ends with a line feed. Timestamps: RFC 3339, section 5.6.
    The first twelve keys of a line of NDJSON are those of a result in vegeta's JSON encoding.
"""

import datetime
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from flux.line_format import LineFormat, all_rows
from flux.schemas import ERROR_TEXTS, NOT_STARTED, OUTCOME, Flag, Rows
from flux.text_columns import Words, constant, digits, text_table, whole_numbers

Basis: TypeAlias = Literal["due", "start"]
"""What a request's latency is counted from: when it was to start, or when it did."""

_Writer: TypeAlias = Callable[[Rows], Iterable[Words]]
"""Gives the pieces of a line that are one value."""

_SECOND_NS = 10**9
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def csv_format(
    steps: Sequence[str], started_at: datetime.datetime, *, targets: Sequence[str] = ("",)
) -> LineFormat:
    """OUTCOME's columns in order, then the wall-clock time at which each request was due.

    Args:
        steps: names of the run's steps.
        started_at: wall-clock time of 0 ns, with its zone.
        targets: names of the run's targets.
    """
    values: dict[str, _Writer] = {name: _number(name) for name in OUTCOME.columns}
    values["step"] = _text("step", [csv_field(name) for name in (*steps, "")])
    values["target"] = _text("target", [csv_field(name) for name in (*targets, "")])
    values["error"] = _text("error", ERROR_TEXTS)
    values["flags"] = _flags
    values["timestamp"] = _timestamp("due_ns", started_at)
    comma = constant(b",")
    first, *rest = values.values()
    return _one_line_each(
        ",".join(values).encode() + b"\n",
        ((constant(b""), first), *((comma, value) for value in rest)),
        constant(b"\n"),
    )


def ndjson_format(
    steps: Sequence[str],
    started_at: datetime.datetime,
    *,
    requests: Sequence[tuple[str, str]] = (),
    targets: Sequence[str] = ("",),
    target_urls: Sequence[str] = (),
    basis: Basis = "due",
) -> LineFormat:
    """A JSON object per line: the twelve keys of a vegeta result, then OUTCOME's other columns.

    Args:
        steps: names of the run's steps. A row's `attack` is that of its step; of an arrival that
            never reached one, the first step's, so that its `seq` is not missing there.
        started_at: wall-clock time of 0 ns, with its zone.
        requests: method and path of each step, or nothing.
        targets: names of the run's targets.
        target_urls: what stands before those paths, for each target, or nothing.
        basis: what `timestamp` is, and where `latency` begins.
    """
    methods, paths = zip(*requests) if requests else ((), ())
    since = f"{basis}_ns"
    values: dict[str, _Writer] = {
        "attack": _json_text("step", [*steps, steps[0] if steps else ""]),
        "seq": _number("seq"),
        "code": _number("status"),
        "timestamp": _in_quotes(_timestamp(since, started_at)),
        "latency": lambda rows: whole_numbers(_latency_ns(rows, since)),
        "bytes_out": _number("bytes_out"),
        "bytes_in": _number("bytes_in"),
        "error": _json_text("error", ERROR_TEXTS),
        "body": _null,
        "method": _json_text("step", _per_step(methods, steps)),
        "url": _in_quotes(_url(_per_step(paths, steps), [*target_urls, ""])),
        "headers": _null,
    }
    values |= {name: _number(name) for name in OUTCOME.columns if name not in values}
    values["step"] = _json_text("step", [*steps, ""])
    values["target"] = _json_text("target", [*targets, ""])
    values["flags"] = _in_quotes(_flags)
    return _one_line_each(
        b"",
        tuple(
            (constant(b'%s"%s":' % (b"," if index else b"{", name.encode())), value)
            for index, (name, value) in enumerate(values.items())
        ),
        constant(b"}\n"),
    )


def _one_line_each(
    header: bytes, values: tuple[tuple[Words, _Writer], ...], end: Words
) -> LineFormat:
    """A line per row: what stands before each value, and the value."""

    def pieces(rows: Rows) -> Iterator[Words]:
        for before, value in values:
            yield before
            yield from value(rows)
        yield end

    return LineFormat(header, ((all_rows, pieces),))


def _per_step(texts: Sequence[str], steps: Sequence[str]) -> list[str]:
    """One text per step and one for no step, empty where there is none."""
    return [*texts, *[""] * (len(steps) - len(texts)), ""]


def _number(name: str) -> _Writer:
    return lambda rows: whole_numbers(rows[name])


def _text(name: str, texts: Sequence[str]) -> _Writer:
    """The column's numbers are indexes into the texts, -1 that of the last."""
    table = text_table([text.replace("\0", "").encode() for text in texts])
    return lambda rows: (table[rows[name]],)


def _json_text(name: str, texts: Sequence[str]) -> _Writer:
    return _text(name, [json.dumps(text) for text in texts])


def _url(paths: Sequence[str], urls: Sequence[str]) -> _Writer:
    """A target's URL and a step's path, as JSON without its quotes; nothing without a step."""
    below, above = (
        text_table([json.dumps(text)[1:-1].encode() for text in texts]) for texts in (paths, urls)
    )
    last = len(above) - 1

    def write(rows: Rows) -> Iterable[Words]:
        is_known = (rows["step"] >= 0) & (rows["target"] < last)
        return (above[np.where(is_known, rows["target"], last)], below[rows["step"]])

    return write


def _null(rows: Rows) -> Iterator[Words]:
    yield constant(b"null")


def _in_quotes(value: _Writer) -> _Writer:
    quote = constant(b'"')
    return lambda rows: (quote, *value(rows), quote)


def csv_field(text: str) -> str:
    """A text as a field of CSV: in quotes if it has to be."""
    if not any(one in text for one in ',"\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def _flags(rows: Rows) -> Iterator[Words]:
    table, lengths_words = _flag_table()
    codes = rows["flags"] & (len(table) - 1)
    # Of the table as wide as its longest text, most columns are never needed.
    yield table[:, : lengths_words[codes].max(initial=1)][codes]


@cache
def _flag_table() -> tuple[Words, npt.NDArray[np.int64]]:
    """Every combination of flags as text, and how many words it takes."""
    texts = [
        "|".join(str(flag.name).lower() for flag in Flag if flag & code).encode()
        for code in range(2 * max(Flag))
    ]
    table = text_table(texts)
    return table, np.maximum(1, np.count_nonzero(table, axis=1))


def _latency_ns(rows: Rows, since: str) -> npt.NDArray[np.int64]:
    """0 for an arrival that was never started: nothing took any time."""
    was_started = (rows["flags"] & int(NOT_STARTED)) == 0
    latency_ns: npt.NDArray[np.int64] = (rows["end_ns"] - rows[since]) * was_started
    return latency_ns


def _timestamp(name: str, started_at: datetime.datetime) -> _Writer:
    """RFC 3339 with nanoseconds, all in the zone offset that held when the run began."""
    offset = started_at.utcoffset() or datetime.timedelta(0)
    local_start_ns = _whole_ns(started_at - _EPOCH + offset)
    zone = constant(_offset_text(offset).encode())

    return lambda rows: (*clock_texts(rows[name].astype(np.int64) + local_start_ns), zone)


def clock_texts(times_ns: npt.NDArray[np.int64]) -> Iterator[Words]:
    """Dates and times to the nanosecond, without a zone.

    Args:
        times_ns: (n,) int64, nanoseconds since midnight of 1970-01-01 in the zone that is meant.
    """
    seconds, nanoseconds = np.divmod(times_ns, _SECOND_NS)
    different, which = np.unique(seconds, return_inverse=True)
    texts = np.datetime_as_string(different.astype("datetime64[s]"))
    table = text_table([b"%s." % text.encode() for text in texts.tolist()] or [b""])
    yield table[which]
    yield from digits(nanoseconds, 9)


def _whole_ns(duration: datetime.timedelta) -> int:
    """Exactly: a float of seconds since 1970 is good to a quarter of a microsecond only."""
    return duration // datetime.timedelta(microseconds=1) * 1000


def _offset_text(offset: datetime.timedelta) -> str:
    minutes = offset // datetime.timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
