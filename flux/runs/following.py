"""A run that goes on, as it is written: its log, and how far its result has come."""

import time
from collections.abc import Iterator

from flux.console import format_count, format_duration, format_ns
from flux.errors import FluxError
from flux.result_file import read_result
from flux.run_folder import is_held
from flux.runs.folders import RunFolder

LOOK_S = 0.2
"""How often the files are looked at."""


def follow(run: RunFolder) -> Iterator[tuple[str, str]]:
    """What is in a run's log, and what is added to it and to the result until the run ends.

    Yields:
        What it is, `log` or `progress`, and the line.
    """
    offset, seen = 0, ""
    while True:
        goes_on = is_held(run.path)  # before the files are read: what it wrote last is in them
        lines, offset = _new_lines(run, offset, all_of_it=not goes_on)
        yield from (("log", line) for line in lines)
        if not goes_on:
            return
        progress = _progress(run)
        if progress and progress != seen:
            seen = progress
            yield "progress", progress
        time.sleep(LOOK_S)


def _new_lines(run: RunFolder, offset: int, *, all_of_it: bool) -> tuple[list[str], int]:
    """Lines of the log that are whole, and up to where they go."""
    try:
        with run.log_file.open("rb") as stream:
            stream.seek(offset)
            text = stream.read()
    except OSError:
        return [], offset
    if not all_of_it:
        text = text[: text.rfind(b"\n") + 1]
    return text.decode(errors="replace").splitlines(), offset + len(text)


def _progress(run: RunFolder) -> str:
    """How far the run has come, by its result; nothing if it has none yet."""
    try:
        result = read_result(run.result_file)
    except FluxError:
        return ""
    response = result["latency"]["response"]
    p99 = format_ns(response["p99"]) if response["count"] >= 100 else "-"
    return (
        f"{format_duration(result['run']['duration_ns'])}  {result['Total']:,} requests  "
        f"{format_count(result['rate_per_s'])}/s  failed {result['Failure']:,}  p99 {p99}"
    )
