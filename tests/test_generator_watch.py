"""What the process that makes the load sees of itself."""

import logging
import time

import attrs
import trio
from trio.testing import MockClock

from flux.clock import LiveClock
from flux.edges import Edge, Fanout
from flux.generator import Generator
from flux.generator_watch import PERIOD_NS, GeneratorWatch, held_up_s
from flux.schemas import ARRIVAL, DEMAND, OUTCOME, SUMMARY, Schema

MS = 1_000_000


async def watched(block_s: float) -> Generator:
    """Watch a loop that something blocks once, until it runs again."""
    watch = GeneratorWatch(LiveClock(), ())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.watch_loop)
        await trio.sleep(3 * PERIOD_NS / 1e9)
        time.sleep(block_s)  # noqa: ASYNC251  # to block the loop is what is tested
        await trio.sleep(3 * PERIOD_NS / 1e9)
        nursery.cancel_scope.cancel()
    return watch.result()


def test_a_blocked_loop_is_a_stall_of_as_many_moments_as_it_lasted() -> None:
    lateness = trio.run(watched, 0.15).lateness
    assert lateness.max_ns >= 125 * MS, "up to a period less than the block"
    late = lateness.count - lateness.count_at_or_below(39 * MS)
    assert 5 <= late <= 9, "of seven or eight moments, those that were late by over 39 ms"


def test_nothing_is_measured_under_a_virtual_clock() -> None:
    async def main() -> Generator:
        watch = GeneratorWatch(LiveClock(), ())
        with trio.move_on_after(3600):
            await watch.watch_loop()
            await trio.sleep_forever()
        return watch.result()

    generator = trio.run(main, clock=MockClock(autojump_threshold=0))
    assert generator.lateness.count == 0
    assert generator.cores is not None
    assert generator.cores < 0.1, "an hour went by, and hardly any CPU time"


def test_nothing_is_measured_once_it_is_closed() -> None:
    async def main() -> tuple[Generator, Generator]:
        watch = GeneratorWatch(LiveClock(), ())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.watch_loop)
            await trio.sleep(3 * PERIOD_NS / 1e9)
            watch.close()
            first = attrs.evolve(watch.result(), lateness=watch.result().lateness.copy())
            time.sleep(0.2)  # noqa: ASYNC251  # to block the loop is what is tested
        return first, watch.result()

    first, then = trio.run(main)
    assert first.lateness.count > 0
    assert then == first


def edge_held(schema: Schema, held_s: float, consumer: str = "csv") -> Edge:
    return Edge("http", consumer, schema, held_s=held_s)


def test_only_takers_of_rows_and_summaries_hold_up_a_run() -> None:
    """A plan waits for the clock, as it should."""
    edges = [edge_held(one, 2.0, one.name) for one in (DEMAND, ARRIVAL, OUTCOME, SUMMARY)]
    assert held_up_s(edges) == {"OUTCOME": 2.0, "SUMMARY": 2.0}


def test_a_stage_that_is_held_up_by_nobody_is_not_named() -> None:
    edges = [edge_held(OUTCOME, 0.0), edge_held(OUTCOME, 1.0, "json"), edge_held(SUMMARY, 0.5)]
    assert held_up_s(edges) == {"json": 1.0, "csv": 0.5}


async def test_an_edge_knows_how_long_its_buffer_was_full(autojump_clock: MockClock) -> None:
    edge = Edge("http", "csv", OUTCOME)
    sender, inbox = trio.open_memory_channel[object](1)
    outbox = Fanout([(edge, sender)], logging.getLogger("flux.tests"))
    async with trio.open_nursery() as nursery:

        async def take_late() -> None:
            await trio.sleep(2)
            await inbox.receive()

        nursery.start_soon(take_late)
        await outbox.send(OUTCOME.empty(1))
        await outbox.send(OUTCOME.empty(1))
    assert edge.held_s == 2
    assert held_up_s([edge]) == {"csv": 2}
