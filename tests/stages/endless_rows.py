"""A process to be killed: sends rows to a `csv` and an `ndjson` sink until somebody does.

    python -m tests.stages.endless_rows FOLDER

After each batch it prints the last number that it sent, and when.
"""

import os
import pathlib
import sys
import time
from typing import Any

import trio

from flux.stages.csv import Csv
from flux.stages.ndjson import Ndjson
from tests.stages.sinks import batch, context_in

ROWS = 200
PERIOD_S = 0.02


async def main(folder: pathlib.Path) -> None:
    """Send 10,000 rows a second."""
    first = 0
    async with trio.open_nursery() as nursery:
        outboxes = []
        for stage in (Csv(), Ndjson()):
            outbox, inbox = trio.open_memory_channel[Any](100)
            nursery.start_soon(stage.consume, context_in(folder), inbox)
            outboxes.append(outbox)
        while True:
            rows = batch(first, ROWS)
            for outbox in outboxes:
                await outbox.send(rows)
            first += ROWS
            os.write(1, f"{first - 1} {time.monotonic_ns()}\n".encode())
            await trio.sleep(PERIOD_S)


if __name__ == "__main__":
    trio.run(main, pathlib.Path(sys.argv[1]))
