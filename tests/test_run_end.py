"""The end of a run: the last interval is as long as the run was in it, and the drain is no load."""

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from flux.clock import LiveClock
from flux.console import format_progress, format_summary
from flux.interval_lines import COLUMNS
from flux.report.charts import Chart
from flux.report.fields import Fields
from flux.report.figures import charts
from flux.result_file import Document, result_document
from flux.result_reading import read_back
from flux.schemas import Flag, Rows
from flux.series import worth_a_rate
from flux.stages.collect import Collect
from flux.summary import Summary
from tests.outcomes import SECOND_NS, as_rows, collect_all, make_context, not_started, request

END_NS = round(2.8 * SECOND_NS)


def rows_until(last_due_s: float, per_second: int = 50) -> list[dict[str, int]]:
    """Sessions evenly, each of 5 ms."""
    count = round(last_due_s * per_second)
    return [request(number * SECOND_NS // per_second) for number in range(1, count + 1)]


def slow(due_ns: int, end_ns: int = END_NS) -> dict[str, int]:
    """A session that ends with the run."""
    return request(due_ns, end_ns)


def stopped() -> list[Summary]:
    """50 per second, stopped at 2.5 s: ten were not due yet, and one answer came at 2.8 s."""
    rows = [*rows_until(2.5)[:-1], slow(round(2.5 * SECOND_NS))]
    rows += [not_started(round(2.52 * SECOND_NS), Flag.CANCELLED)] * 10
    return collect_all([as_rows(rows)], planned=135)


def document_of(summary: Summary) -> Document:
    return result_document(summary, make_context().run)


def load_chart(document: Fields) -> Chart:
    return next(chart for chart in charts(document, None) if chart.key == "load")


def test_the_last_interval_ends_with_the_run_and_so_does_its_rate() -> None:
    *_, last, final = stopped()
    assert (last.start_ns, last.end_ns) == (2 * SECOND_NS, END_NS)
    requests = last.load.requests
    assert last.load_per_s == pytest.approx(requests / 0.8)
    assert format_progress(last).startswith(f"   2.8s {requests / 0.8:>8.1f}/s")
    assert COLUMNS["end_s"](last) == "2.800"
    assert COLUMNS["rate_per_s"](last) == f"{requests / 0.8:.1f}"
    assert final.end_ns == END_NS


def test_an_interval_that_the_run_went_on_after_is_whole() -> None:
    first, *_ = collect_all([as_rows(rows_until(0.4))], end_ns=2 * SECOND_NS)
    assert first.end_ns == SECOND_NS


def test_the_last_row_of_a_result_ends_with_the_run_and_is_read_back_so() -> None:
    *_, final = stopped()
    document = document_of(final)
    assert [row["end_ns"] for row in document["series"]] == [SECOND_NS, 2 * SECOND_NS, END_NS]
    read, run = read_back(document)
    assert result_document(read, run)["series"] == document["series"]


def test_a_row_of_what_was_due_after_the_end_is_never_negative() -> None:
    late = not_started(round(3.1 * SECOND_NS), Flag.CANCELLED) | {"end_ns": END_NS}
    *_, final = collect_all([as_rows([*rows_until(2.5), slow(0), late])])
    (*_, last) = document_of(final)["series"]
    assert (last["start_ns"], last["end_ns"], last["cancelled"]) == (
        *(3 * SECOND_NS, 4 * SECOND_NS, 1),
    )


def test_the_plan_is_over_the_time_in_which_sessions_were_due() -> None:
    """125 within 2.5 s: the drain of 0.3 s is no part of it."""
    *_, final = stopped()
    assert final.load_end_ns == round(2.5 * SECOND_NS)
    assert "plan      50/s sessions due, 50/s started: 100 %" in format_summary(
        final, make_context().run
    )


def test_a_chart_has_the_rates_of_the_load_undiluted() -> None:
    """Until half a second after 2 s all 50 per second were due, and began."""
    document = document_of(stopped()[-1])
    chart = load_chart(document)
    by_name = {trace["name"]: trace["y"] for trace in chart.traces}
    assert by_name["sessions due"] == by_name["sessions begun"]
    # The first is due at 20 ms, so the last second has one more than the first.
    assert by_name["sessions due"] == pytest.approx([49, 50, 52])
    ended = [row["requests"] for row in document["series"]]
    assert by_name["requests ended"] == pytest.approx([ended[0], ended[1], ended[2] / 0.8])


def test_a_chart_says_why_due_and_begun_part_and_what_is_left_out() -> None:
    text = load_chart(document_of(stopped()[-1])).caption
    assert "Where due and begun part, the generator was late. The 10 that were not due yet" in text
    rows = [*rows_until(2.5), *[not_started(SECOND_NS, Flag.DROPPED)] * 3]
    rows.append(request(2 * SECOND_NS, flags=Flag.FIRST | Flag.LAST | Flag.HELD))
    (*_, final) = collect_all([as_rows(rows)], planned=129)
    text = load_chart(document_of(final)).caption
    assert (
        "Where due and begun part, sessions waited for a place (1 did) or arrivals were given up "
        "(3 were) or the generator was late."
    ) in text
    assert "left out" not in text


def test_so_little_time_is_not_worth_a_rate() -> None:
    lengths = worth_a_rate(np.array([1.0, 1.0, 0.5]))
    assert lengths.tolist() == [1, 1, 0.5]
    assert np.isnan(worth_a_rate(np.array([1.0, 0.49]))).tolist() == [False, True]
    assert worth_a_rate(np.array([0.2])).tolist() == [0.2]
    assert worth_a_rate(np.array([])).size == 0


async def collect_until_stopped(stop_s: float | None, duration_s: float | None) -> Summary:
    """A live run whose last answer comes at 9 s."""
    outbox, results = trio.open_memory_channel[Summary](100)
    sender, inbox = trio.open_memory_channel[Rows](100)
    duration_ns = None if duration_s is None else round(duration_s * SECOND_NS)
    context = make_context(clock=LiveClock(), duration_ns=duration_ns)
    run = context.run
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Collect().run, context, inbox, outbox)
        if stop_s is not None:
            await run.clock.wait_until(round(stop_s * SECOND_NS))
            run.control.stop()
        await run.clock.wait_until(9 * SECOND_NS)
        await sender.send(as_rows([request(3 * SECOND_NS), slow(SECOND_NS, 9 * SECOND_NS)]))
        sender.close()
        while not (summary := await results.receive()).is_final:
            pass
    return summary


@pytest.mark.parametrize(
    ("stop_s", "duration_s", "load_end_s"),
    [
        (None, 6, 6),  # as planned
        (4, 6, 4),  # stopped
        (8, 6, 6),  # stopped while it drained
        (4, None, 4),
        (None, None, 3),  # so many arrivals: with the last of them
    ],
)
async def test_arrivals_end_as_planned_or_when_the_run_is_stopped(
    autojump_clock: MockClock, stop_s: float | None, duration_s: float | None, load_end_s: float
) -> None:
    final = await collect_until_stopped(stop_s, duration_s)
    assert final.load_end_ns == pytest.approx(load_end_s * SECOND_NS)
    assert final.end_ns == pytest.approx(9 * SECOND_NS)
    assert final.load_s == pytest.approx(load_end_s)


def test_of_shards_the_load_ends_with_the_last() -> None:
    early, late = (collect_all([as_rows(rows_until(length_s))])[-1] for length_s in (1.0, 2.0))
    assert early.merge([late]).load_end_ns == late.load_end_ns == 2 * SECOND_NS
