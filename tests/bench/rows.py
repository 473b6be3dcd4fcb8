"""Speed of OUTCOME rows as text: `python -m tests.bench.rows`, half a minute, one core and a bit.

First as functions: thousand rows per second, the median of repeated runs; "spread" is the slowest
and the fastest of them. Other ways of doing the same are measured beside them. Then what it costs
the load when a sink makes text of its rows: in the event loop, as the sinks do, or in a thread that
competes with it for the interpreter's lock. There the load is a loop that sends and receives on a
socket pair, and sends a row on for each round; what counts is how many rounds it still makes, and
how long a turn of the loop takes. Three runs each, in turn; the median of each figure.
"""

import csv
import datetime
import io
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import trio

from flux.line_format import LineFormat
from flux.row_writer import ignore_all, write_rows
from flux.rows import csv_format, ndjson_format
from flux.schemas import ERROR_TEXTS, OUTCOME, Flag, Rows, read_only
from flux.stage import Inbox

STARTED_AT = datetime.datetime(2026, 11, 21, 10, 0, tzinfo=datetime.UTC)
STEPS = ("health", "register")
REQUESTS = (("GET", "http://127.0.0.1:8080/health"), ("POST", "http://127.0.0.1:8080/register"))
REPEATS = 15
LOAD_S = 2.0
ROUNDS_PER_TURN = 16

CSV = csv_format(STEPS, STARTED_AT)
NDJSON = ndjson_format(STEPS, STARTED_AT, requests=REQUESTS)
Consume = Callable[[Inbox], Awaitable[None]]


def main() -> None:
    """Print the page."""
    print(f"numpy {np.__version__}\n\n{'rows per batch':>52}")
    sizes = (16, 64, 256, 512, 1024, 8192)
    print(f"{'thousand rows per second':32}" + "".join(f"{size:>16}" for size in sizes))
    for name, write in {
        "csv": CSV.lines,
        "  a % format per row": percent_rows,
        "  the csv module": csv_module_rows,
        "ndjson": NDJSON.lines,
        "  json.dumps per row": dumped_rows,
    }.items():
        print(f"{name:32}" + "".join(f"{_rates(write, size):>16}" for size in sizes))
    print(f"\n{'':32}{'rounds/s':>12}{'turn: p50':>16}{'p99':>10}{'p99.9':>10}   µs")
    ways: dict[str, Consume] = {
        "no sink": ignore_all,
        "csv in the loop": partial(_in_loop, CSV),
        "csv in a thread": partial(_in_thread, CSV),
        "ndjson in the loop": partial(_in_loop, NDJSON),
        "ndjson in a thread": partial(_in_thread, NDJSON),
    }
    runs = [
        [_figures(trio.run(partial(_load, consume))) for consume in ways.values()] for _ in range(3)
    ]
    for name, figures in zip(ways, np.median(runs, axis=0).tolist()):
        print("{:32}{:>12,.0f}{:>16.0f}{:>10.0f}{:>10.0f}".format(name, *figures))


def percent_rows(rows: Rows) -> bytes:
    """What one would write first; it has no timestamp."""
    form = ",".join("%s" if name in TEXTS else "%d" for name in OUTCOME.columns) + "\n"
    return "".join([form % row for row in _tuples(rows)]).encode()


def csv_module_rows(rows: Rows) -> bytes:
    """The same by the standard library."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(_tuples(rows))
    return text.getvalue().encode()


def dumped_rows(rows: Rows) -> bytes:
    """JSON without the keys of vegeta."""
    return b"".join(
        json.dumps(dict(zip(OUTCOME.columns, row))).encode() + b"\n" for row in _tuples(rows)
    )


FLAG_TEXTS = [
    "|".join(str(flag.name).lower() for flag in Flag if flag & code) for code in range(512)
]
TEXTS = {"step": STEPS, "error": ERROR_TEXTS, "flags": FLAG_TEXTS}


def _tuples(rows: Rows) -> Iterable[tuple[Any, ...]]:
    columns = [rows[name].tolist() for name in OUTCOME.columns]
    for name, texts in TEXTS.items():
        index = OUTCOME.columns.index(name)
        columns[index] = [texts[code] for code in columns[index]]
    return zip(*columns)


def make_rows(count: int) -> Rows:
    """Two steps, a hundred thousand rows per second, a hundred seconds after the start."""
    random = np.random.default_rng(20)
    rows = OUTCOME.empty(count)
    rows["seq"] = rows["session"] = 1_000_000 + np.arange(count)
    rows["step"] = np.arange(count) % 2
    rows["due_ns"] = 100 * 10**9 + np.arange(count) * 10_000
    rows["start_ns"] = rows["due_ns"] + random.integers(0, 100_000, count)
    rows["first_byte_ns"] = rows["start_ns"] + random.integers(100_000, 10_000_000, count)
    rows["end_ns"] = rows["first_byte_ns"] + 1_000
    rows["status"], rows["flags"] = 200, int(Flag.FIRST | Flag.SUCCESS)
    rows["bytes_out"] = random.integers(0, 100, count)
    rows["bytes_in"] = random.integers(10, 3000, count)
    return read_only(rows)


def _rates(write: Callable[[Rows], object], size: int) -> str:
    rows = make_rows(size)
    calls = max(1, 8192 // size)
    rates = []
    for _ in range(REPEATS):
        began_s = time.perf_counter()
        for _ in range(calls):
            write(rows)
        rates.append(calls * size / (time.perf_counter() - began_s) / 1e3)
    return f"{np.median(rates):.0f} ({min(rates):.0f}…{max(rates):.0f})"


async def _in_loop(form: LineFormat, inbox: Inbox) -> None:
    with open(os.devnull, "wb") as file:  # noqa: ASYNC230  # never blocks

        async def write(text: bytes | bytearray) -> None:
            await trio.to_thread.run_sync(os.write, file.fileno(), text)

        await write_rows(inbox, form, write)


async def _in_thread(form: LineFormat, inbox: Inbox) -> None:
    with open(os.devnull, "wb") as file:  # noqa: ASYNC230  # never blocks

        def write(rows: Rows) -> None:
            os.write(file.fileno(), form.lines(rows))

        async for rows in inbox:
            await trio.to_thread.run_sync(write, rows)


async def _load(consume: Consume) -> npt.NDArray[np.float64]:
    """How long each turn of the loop took, seconds."""
    batch = make_rows(1024)
    outbox, inbox = trio.open_memory_channel[Rows](4096)
    rounds, turns_s = 0, [time.perf_counter()]
    near, far = socket.socketpair()
    with near, far:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume, inbox)
            while turns_s[-1] - turns_s[0] < LOAD_S:
                for _ in range(ROUNDS_PER_TURN):
                    near.send(b"GET / HTTP/1.1\r\n\r\n")
                    far.recv(100)
                    sum(number * number for number in range(20))
                rounds += ROUNDS_PER_TURN
                if rounds % len(batch) == 0:
                    outbox.send_nowait(batch)
                await trio.lowlevel.checkpoint()
                turns_s.append(time.perf_counter())
            nursery.cancel_scope.cancel()
    return np.diff(turns_s)


def _figures(turns_s: npt.NDArray[np.float64]) -> list[float]:
    """Rounds per second, and percentiles of a turn in microseconds."""
    rounds_per_s = ROUNDS_PER_TURN * len(turns_s) / turns_s.sum()
    return [rounds_per_s, *(np.percentile(turns_s, [50, 99, 99.9]) * 1e6)]


if __name__ == "__main__":
    main()
