"""Rows become text without holding up who shares the thread."""

import datetime

import pytest
import trio

from flux import turns
from flux.row_writer import write_rows
from flux.rows import csv_format
from flux.schemas import OUTCOME


async def test_others_have_a_turn_while_rows_become_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_NS", 0)
    line_format = csv_format(("one",), datetime.datetime.now(datetime.UTC))
    rows = OUTCOME.empty(100)
    rows["status"] = 200
    others, others_at_write, written = 0, [], bytearray()

    async def somebody_else() -> None:
        nonlocal others
        while True:
            await trio.lowlevel.checkpoint()
            others += 1

    async def write(text: bytes | bytearray) -> None:
        others_at_write.append(others)
        written.extend(text)

    sender, inbox = trio.open_memory_channel[object](1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(somebody_else)
        await sender.send(rows)
        sender.close()
        await write_rows(inbox, line_format, write)
        nursery.cancel_scope.cancel()
    header, lines = others_at_write
    assert lines - header >= len(OUTCOME.columns)
    assert bytes(written) == line_format.header + line_format.lines(rows)
