"""The book: intervals add up to what the summary of the whole run says, phases included."""

import attrs
import trio
from hypothesis import given

from flux.metrics.book import Book, Page
from flux.metrics.otel import otel_dialect
from flux.schemas import Flag
from flux.summary import Summary
from tests.metrics.rig import metered_now, total, values
from tests.outcomes import (
    SECOND_NS,
    STEPS,
    TARGETS,
    as_rows,
    collect_all,
    not_started,
    request,
    row_lists,
)

EDGES = otel_dialect().edges


async def page_of(summaries: list[Summary], targets: int = 1) -> Page:
    book = Book(EDGES, steps=len(STEPS), targets=targets)
    for summary in summaries:
        await book.take(summary)
    return book.page


def only_sums(page: Page) -> Page:
    """Without what is of the last interval, and what is known at the end alone."""
    return attrs.evolve(
        page,
        sessions=attrs.evolve(page.sessions, planned=None),
        final=None,
        known_until_ns=0,
        due_per_s=0.0,
        started_per_s=0.0,
        requests_per_s=0.0,
    )


@given(row_lists)
def test_intervals_add_up_to_the_whole_run(rows: list[dict[str, int]]) -> None:
    *intervals, final = collect_all([as_rows(rows)], targets=TARGETS)

    async def main() -> None:
        added = await page_of(intervals, targets=2)
        whole = await page_of([*intervals, final], targets=2)
        assert only_sums(added) == only_sums(whole)

    trio.run(main)


async def test_what_was_handed_out_does_not_change() -> None:
    book = Book(EDGES, steps=len(STEPS))
    first, second, _ = collect_all([as_rows([request(), request(SECOND_NS)])])
    await book.take(first)
    page = book.page
    before = page.steps["", 0].requests, page.steps["", 0].latencies["service"].below.tolist()
    await book.take(second)
    after = page.steps["", 0].requests, page.steps["", 0].latencies["service"].below.tolist()
    assert before == after == (1, [1] * 14)
    assert book.page.steps["", 0].requests == 2


def test_drops_are_remembered_for_a_minute() -> None:
    late = [not_started(second * SECOND_NS, Flag.DROPPED) for second in (0, 70)]
    begun = [request(second * SECOND_NS) for second in (1, 71, 72)]
    *intervals, _ = collect_all([as_rows([*late, *begun])])

    async def main() -> None:
        early = await page_of(intervals[:2])
        assert (early.recent_drops, early.recent_starts) == (1, 1)
        later = await page_of(intervals)
        assert (later.recent_drops, later.recent_starts) == (1, 2)

    trio.run(main)


def test_the_rates_are_of_the_last_interval() -> None:
    rows = [request(), request(SECOND_NS), request(SECOND_NS + 1, step=1, flags=Flag.SUCCESS)]
    meter = metered_now(collect_all([as_rows(rows)], end_ns=2 * SECOND_NS)[:2])
    assert total(meter, "flux.rate.started") == 1
    assert total(meter, "flux.rate.requests") == 2


def test_steps_begin_at_zero_so_that_a_rise_is_seen_from_the_start() -> None:
    meter = metered_now([])
    assert [value.count for _, value in values(meter, "flux.response.duration")] == [0, 0, 0]
    assert values(meter, "flux.requests") == []
