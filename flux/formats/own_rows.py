"""Reading back what `csv` and `ndjson` have written. Columns go by name: more may be added."""

import datetime
import re
from collections.abc import Iterator
from functools import cache, reduce

import numpy as np

from flux.formats.blocks import Block
from flux.formats.fields import Integers, TextCodes
from flux.formats.reading import Reading
from flux.schemas import ERROR_TEXTS, NOT_STARTED, OUTCOME, Flag, Rows, read_only
from flux.summary import LATENCIES

NEEDED = ("seq", "session", "step", "due_ns", "start_ns", "end_ns", "status", "error", "flags")
"""Columns without which there are no rows; others are 0 where they are missing."""

_TEXTS = ("step", "target", "error", "flags")
_OFFSET = re.compile(r"[+-]\d\d:\d\d$")


def own_rows(reading: Reading, blocks: Iterator[Block]) -> Iterator[Rows]:
    """The rows of these blocks.

    Raises:
        BrokenFile: a row has a column that is not what it has to be.
    """
    reading.latencies, reading.has_sessions, reading.is_own = LATENCIES, True, True
    errors, flags = TextCodes(ERROR_TEXTS), TextCodes(("",))
    steps, targets = _Names(reading.steps), _Names(reading.targets)
    for block in blocks:
        if not len(block):
            continue
        # JSON has the status and error under vegeta's names too, but the status only there.
        renamed = {"status": "code"} if "status" not in block.names else {}
        missing = [name for name in NEEDED if renamed.get(name, name) not in block.names]
        if missing:
            raise block.broken(0, f"must have {', '.join(missing)}")
        rows = OUTCOME.empty(len(block))
        for name in OUTCOME.columns:
            if name not in _TEXTS:
                rows[name] = block.integers(renamed.get(name, name))
        rows["step"] = steps.numbers(block, "step")
        if "target" in block.names:
            rows["target"] = targets.numbers(block, "target")
        rows["error"] = _known(block, "error", block.codes("error", errors), errors)
        codes = block.codes("flags", flags)
        rows["flags"] = _flags(block, codes, flags)
        _check_times(block, rows)
        if reading.start_ns is None:
            _find_start(reading, block, rows)
        if "url" in block.names:
            reading.learn_requests(block, rows["step"], rows["target"])
        reading.rows += len(rows)
        yield read_only(rows)


class _Names:
    """Numbers of names, -1 for empty text, which is none."""

    def __init__(self, names: TextCodes) -> None:
        self._names = names
        self._seen = TextCodes(("",))  # the names and the empty text, in the order of the file

    def numbers(self, block: Block, column: str) -> Integers:
        """(n,) int64."""
        seen = block.codes(column, self._seen)
        table = [self._names.number(text) if text else -1 for text in self._seen.texts]
        return np.array(table, np.int64)[seen]


def _check_times(block: Block, rows: Rows) -> None:
    # What was cancelled never came to when it was due.
    has_begun = (rows["flags"] & int(NOT_STARTED)) == 0
    ends_ns = rows["end_ns"]
    is_wrong = (ends_ns < rows["start_ns"]) | (has_begun & (ends_ns < rows["due_ns"]))
    if is_wrong.any():
        row = int(np.flatnonzero(is_wrong)[0])
        raise block.broken(row, f"must end after it began, has end_ns {rows['end_ns'][row]}")


def _known(block: Block, name: str, numbers: Integers, codes: TextCodes) -> Integers:
    if len(codes.texts) > len(ERROR_TEXTS):
        row = int(np.flatnonzero(numbers >= len(ERROR_TEXTS))[0])
        text = codes.texts[int(numbers[row])]
        raise block.broken(row, f"has {name} {text!r}, which this version does not know")
    return numbers


def _flags(block: Block, numbers: Integers, codes: TextCodes) -> Integers:
    values = np.zeros(len(codes.texts), np.int64)
    for number, text in enumerate(codes.texts):
        value = _flag_value(text)
        if value is None:
            row = int(np.flatnonzero(numbers == number)[0])
            raise block.broken(row, f"has flags {text!r}, which this version does not know")
        values[number] = value
    found: Integers = values[numbers]
    return found


@cache
def _flag_value(text: str) -> int | None:
    try:
        flags = [Flag[name.upper()] for name in text.split("|") if name]
    except KeyError:
        return None
    return int(reduce(Flag.__or__, flags, Flag(0)))


def _find_start(reading: Reading, block: Block, rows: Rows) -> None:
    """The time of 0 ns: a row's time on the wall clock, less that since the run began."""
    if "timestamp" not in block.names:
        raise block.broken(0, "must have timestamp")
    since_ns = rows["due_ns"]
    row = 0
    if "latency" in block.names:  # counted from where the timestamp is, if there was a request
        was_started = (rows["flags"] & int(NOT_STARTED)) == 0
        row = int(np.argmax(was_started))
        if was_started[row]:
            since_ns = rows["end_ns"] - block.integers("latency")
    reading.start_ns = int(block.times_ns("timestamp")[row]) - int(since_ns[row])
    if offset := _OFFSET.search(block.text("timestamp", row)):
        reading.zone = datetime.datetime.fromisoformat(f"2000-01-01T00:00{offset[0]}").tzinfo or (
            datetime.UTC
        )
