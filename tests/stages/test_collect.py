"""The collector: when it sends what, and what the last summary knows."""

from typing import Any

import attrs
import numpy as np
import pytest
import trio
from hypothesis import given
from trio.testing import MockClock

from flux import turns
from flux.clock import LiveClock
from flux.schemas import Flag, Rows
from flux.stages.collect import GRACE_NS, ROWS_AT_ONCE, SHORTEST_INTERVAL, Collect
from flux.summary import Finding, Summary
from flux.units import Duration
from tests.outcomes import (
    SECOND_NS,
    STEPS,
    as_rows,
    collect_all,
    make_context,
    not_started,
    request,
    row_lists,
    run_collector,
    stalled_rows,
)


def at(second: float, **columns: Any) -> Rows:
    """A batch of one session that was due 5 ms before this time and ended at it."""
    return as_rows([request(round(second * SECOND_NS) - 5_000_000, **columns)])


@given(row_lists)
def test_a_plan_is_collected_without_a_clock(rows: list[dict[str, int]]) -> None:
    async def collect() -> list[Summary]:
        return await run_collector(Collect(), make_context(), [as_rows(rows)])

    *intervals, final = trio.run(collect)
    wanted = collect_all([as_rows(rows)])
    assert final.is_final
    assert final.steps == wanted[-1].steps
    assert [one.steps for one in intervals] == [one.steps for one in wanted[:-1]]
    assert not any(one.is_final for one in intervals)


async def test_a_plan_sends_intervals_before_its_end() -> None:
    """Ten intervals are kept open, as rows come in no order."""
    outbox, results = trio.open_memory_channel[Summary](100)
    sender, inbox = trio.open_memory_channel[Rows](100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Collect().run, make_context(), inbox, outbox)
        await sender.send(at(0.5))
        await sender.send(at(11.5))
        first = await results.receive()
        assert (first.start_ns, first.end_ns) == (0, SECOND_NS)
        assert first.total.requests == 1
        nursery.cancel_scope.cancel()


async def test_an_interval_that_ends_while_rows_are_counted_loses_none_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counting and closing give others turns, so that each may be due within the other."""
    monkeypatch.setattr(turns, "TURN_NS", 0)
    outbox, results = trio.open_memory_channel[Summary](100)
    sender, inbox = trio.open_memory_channel[Rows](0)
    clock, batches = LiveClock(), 0
    collect = Collect(interval=SHORTEST_INTERVAL)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect.run, make_context(clock=clock), inbox, outbox)
        while (now_ns := clock.now_ns()) < SECOND_NS:
            # They ended in an interval that is about to be closed.
            ended_ns = max(0, now_ns - GRACE_NS - 1_000_000)
            await sender.send(np.repeat(at(ended_ns / SECOND_NS), ROWS_AT_ONCE))
            batches += 1
        sender.close()
        final = [summary async for summary in until_final(results)][-1]
    assert final.total.requests == final.sessions.started == batches * ROWS_AT_ONCE


async def test_a_summary_comes_each_interval_even_if_the_target_is_silent(
    autojump_clock: MockClock,
) -> None:
    outbox, results = trio.open_memory_channel[Summary](100)
    sender, inbox = trio.open_memory_channel[Rows](100)
    context = make_context(clock=LiveClock(), planned=lambda: 5, open_sessions=lambda: 4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Collect(interval=Duration.parse("2s")).run, context, inbox, outbox)
        await sender.send(at(0.5))
        intervals = [await results.receive() for _ in range(3)]
        assert [one.total.requests for one in intervals] == [1, 0, 0]
        assert [one.end_ns for one in intervals] == [2 * SECOND_NS, 4 * SECOND_NS, 6 * SECOND_NS]
        assert context.run.clock.now_ns() == pytest.approx(6.25 * SECOND_NS)
        assert intervals[-1].open_sessions == 4
        sender.close()
        final = [summary async for summary in until_final(results)][-1]
    assert final.total.requests == 1
    assert final.end_ns >= 6 * SECOND_NS


async def until_final(results: "trio.MemoryReceiveChannel[Summary]") -> Any:
    async for summary in results:
        yield summary
        if summary.is_final:
            return


async def test_rows_are_counted_in_the_interval_they_ended_in(autojump_clock: MockClock) -> None:
    """A client may hold a row for 100 ms, so an interval is closed 250 ms after its end."""
    outbox, results = trio.open_memory_channel[Summary](100)
    sender, inbox = trio.open_memory_channel[Rows](100)
    context = make_context(clock=LiveClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Collect().run, context, inbox, outbox)
        await context.run.clock.wait_until(round(1.2 * SECOND_NS))
        await sender.send(at(0.999))
        await sender.send(at(1.001))
        assert [(await results.receive()).total.requests for _ in range(2)] == [1, 1]
        sender.close()


async def test_a_slow_sink_loses_no_interval(autojump_clock: MockClock) -> None:
    outbox, results = trio.open_memory_channel[Summary](0)
    sender, inbox = trio.open_memory_channel[Rows](100)
    context = make_context(clock=LiveClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Collect().run, context, inbox, outbox)
        for second in range(1, 9):
            await sender.send(at(second - 0.5))
        await context.run.clock.wait_until(10 * SECOND_NS)
        sender.close()
        *intervals, final = [summary async for summary in until_final(results)]
    assert [one.start_ns for one in intervals] == [n * SECOND_NS for n in range(len(intervals))]
    assert sum(one.total.requests for one in intervals) == final.total.requests == 8


async def test_the_run_completes_the_final_summary_and_no_other() -> None:
    finding = Finding("so it is", is_fatal=False)
    context = make_context(planned=lambda: 2)
    run = attrs.evolve(context.run, conclude=lambda one: attrs.evolve(one, findings=(finding,)))
    rows = as_rows([request(), not_started(0, Flag.DROPPED), request(2 * SECOND_NS)])
    summaries = await run_collector(Collect(), attrs.evolve(context, run=run), [rows])
    assert summaries[-1].sessions.planned == 2
    assert [one.findings for one in summaries] == [(), (), (), (finding,)]


async def test_without_a_row_there_is_still_a_final_summary() -> None:
    (final,) = await run_collector(Collect(), make_context(), [])
    assert final.is_final
    assert [step.name for step in final.steps] == list(STEPS)
    assert final.total.requests == 0


async def test_the_rate_is_over_the_duration_of_the_plan() -> None:
    context = make_context(duration_ns=10 * SECOND_NS)
    final = (await run_collector(Collect(), context, [as_rows([request()] * 20)]))[-1]
    assert final.rate_per_s == 2
    assert len(final.series) == 10


async def test_a_request_beyond_the_duration_makes_the_run_longer() -> None:
    context = make_context(duration_ns=10 * SECOND_NS)
    final = (await run_collector(Collect(), context, [at(12)]))[-1]
    assert final.duration_s == 12


async def test_the_stall_is_in_the_series_where_it_happened() -> None:
    final = (await run_collector(Collect(), make_context(steps=["get"]), [stalled_rows()]))[-1]
    rows = final.series.rows
    assert rows["due"].tolist() == rows["started"].tolist() == [100] * 60
    assert rows["requests"].tolist()[19:31] == [100, *[0] * 10, 1100]
    assert rows["max_ns"][30] == 10_005_000_000
    assert rows["in_flight"].tolist()[18:31] == [0, *range(0, 1001, 100), 0]
    assert rows["peak_in_flight"].max() == 1001


async def test_a_step_that_the_run_does_not_have_is_an_error() -> None:
    wanted = pytest.RaisesExc(IndexError, match="step must be from 0 to 2, got 3")
    with pytest.RaisesGroup(wanted):
        await run_collector(Collect(), make_context(), [as_rows([request(step=3)])])


def test_an_interval_below_100ms_is_refused() -> None:
    assert list(Collect(interval=Duration.parse("100ms")).check()) == []
    (violation,) = Collect(interval=Duration.parse("99ms")).check()
    assert violation.key == "interval"
    assert violation.rule == "must be at least 100ms"


async def test_a_collector_can_run_twice() -> None:
    stage, batch = Collect(), as_rows([request(), request(step=1)])
    first = await run_collector(stage, make_context(), [batch])
    second = await run_collector(stage, make_context(), [batch])
    assert first[-1].steps == second[-1].steps
