"""Thresholds while the run goes on: when they are looked at, and what their failure does."""

from typing import Any

import attrs
import pytest

from flux.control import Control
from flux.errors import ExitCode
from flux.schemas import Flag
from flux.stage import Run
from flux.summary import Finding, Summary
from flux.thresholds.live import LiveThresholds
from flux.thresholds.resolve import Threshold
from tests.outcomes import SECOND_NS, as_rows, collect_all, make_context, request
from tests.thresholds.making import threshold

MS = 1_000_000
FAILED = Flag.FIRST | Flag.LAST


def run_of(*, duration_s: int | None = None) -> Run:
    duration_ns = None if duration_s is None else duration_s * SECOND_NS
    return make_context(duration_ns=duration_ns).run


def summaries(times_ms: list[int], per_second: int = 20) -> list[Summary]:
    """Of a run whose requests take so long, second by second."""
    rows = [
        request(second * SECOND_NS, second * SECOND_NS + time_ms * MS)
        for second, time_ms in enumerate(times_ms)
        for _ in range(per_second)
    ]
    return collect_all([as_rows(rows)], end_ns=len(times_ms) * SECOND_NS)


def observed(one: Threshold, made: list[Summary], run: Run) -> LiveThresholds:
    live = LiveThresholds([one], run)
    for summary in made:
        live.observe(summary)
    return live


def test_a_threshold_that_holds_says_nothing() -> None:
    run, made = run_of(), summaries([10, 10, 10])
    (verdict,) = observed(threshold("p(95) < 20ms", abort=True), made, run).conclude(made[-1])
    assert (verdict.judgement, verdict.first_failed_ns) == ("passed", None)
    assert run.marks == []
    assert not run.control.stopping.is_set()


def test_the_first_failure_is_marked_and_only_that() -> None:
    run, made = run_of(), summaries([10, 90, 90, 90])
    (verdict,) = observed(threshold("p(90) < 20ms"), made, run).conclude(made[-1])
    assert (verdict.judgement, verdict.first_failed_ns) == ("failed", 2 * SECOND_NS)
    assert [mark.text for mark in run.marks] == [
        "threshold failed: response p(90) < 20ms: 90.0 ms in the first 2s"
    ]
    assert not run.control.stopping.is_set()


def test_a_failure_that_mends_is_no_failure_at_the_end_but_is_told() -> None:
    run, made = run_of(), summaries([90, *[10] * 30])
    (verdict,) = observed(threshold("p(90) < 20ms"), made, run).conclude(made[-1])
    assert (verdict.judgement, verdict.first_failed_ns) == ("passed", SECOND_NS)


def test_an_aborting_threshold_stops_the_run() -> None:
    run, made = run_of(), summaries([10, 90, 90, 90])
    observed(threshold("p(90) < 20ms", abort=True), made, run)
    assert run.control.stopping.is_set()
    assert run.control.ending is not None
    assert run.control.ending.code is ExitCode.THRESHOLDS_FAILED
    assert run.control.ending.text.endswith("90.0 ms in the first 2s; stopping the run")


def test_what_stopped_the_run_has_failed_whatever_its_end_looks_like() -> None:
    run, made = run_of(), summaries([*[10] * 30, 90])
    one = threshold("p(90) < 20ms", abort=True, window="1s")
    (verdict,) = observed(one, made, run).conclude(made[-1])
    assert verdict.observed == pytest.approx(10 * MS, rel=1e-3)
    assert (verdict.judgement, verdict.first_failed_ns) == ("failed", 31 * SECOND_NS)
    assert verdict.reason == "threshold failed: response p(90) < 20ms: 90.0 ms from 30s to 31s"


def test_an_invalid_run_is_not_judged_even_if_a_threshold_stopped_it() -> None:
    run, made = run_of(), summaries([90])
    live = observed(threshold("p(90) < 20ms", abort=True), made, run)
    final = attrs.evolve(made[-1], findings=(Finding("late", is_fatal=True),))
    assert [verdict.judgement for verdict in live.conclude(final)] == ["not judged"]


@pytest.mark.parametrize(
    ("keys", "first_failed_s"),
    [({}, 1), ({"after": "2s"}, 2), ({"after": "2500ms"}, 3), ({"window": "3s"}, 3)],
)
def test_a_threshold_waits_until_it_may_be_looked_at(
    keys: dict[str, str], first_failed_s: int
) -> None:
    run, made = run_of(), summaries([90] * 5)
    (verdict,) = observed(threshold("p(90) < 20ms", **keys), made, run).conclude(made[-1])
    assert verdict.first_failed_ns == first_failed_s * SECOND_NS


def test_a_window_forgets() -> None:
    """Two bad seconds in three are too many of a window, and too few of the whole."""
    run, made = run_of(), summaries([10] * 20 + [90] * 2 + [10] * 5)
    (verdict,) = observed(threshold("med < 20ms", window="3s"), made, run).conclude(made[-1])
    assert (verdict.judgement, verdict.first_failed_ns) == ("passed", 22 * SECOND_NS)


def test_a_window_that_is_no_whole_number_of_intervals_covers_more() -> None:
    run, made = run_of(), summaries([10, 10, 90, 10])
    observed(threshold("max < 20ms", window="1500ms"), made, run)
    (mark,) = run.marks
    assert mark.text.endswith("from 1s to 3s")


def test_too_few_requests_fail_nothing_on_the_way() -> None:
    run, made = run_of(), summaries([90] * 3)
    live = observed(threshold("p(99) < 20ms", abort=True), made, run)
    assert run.marks == []
    (verdict,) = live.conclude(made[-1])
    assert (verdict.judgement, verdict.first_failed_ns) == ("failed", made[-1].end_ns)


def test_a_count_that_may_still_be_reached_fails_nothing_on_the_way() -> None:
    run, made = run_of(), summaries([10] * 3)
    observed(threshold("count > 55", metric="requests"), made, run)
    assert run.marks == []


@pytest.mark.parametrize("has_stopped", [False, True])
def test_what_comes_after_the_arrivals_is_left_to_the_end(has_stopped: bool) -> None:
    run = run_of(duration_s=None if has_stopped else 2)
    if has_stopped:
        run.control.stop()
    made = summaries([10, 10, 90, 90] if not has_stopped else [90, 90])
    one = threshold("max < 20ms", abort=True)
    (verdict,) = observed(one, made, run).conclude(made[-1])
    assert run.marks == []
    assert (run.control.ending, verdict.judgement) == (None, "failed")


@pytest.mark.parametrize(
    ("one", "holds", "observed_text", "reason"),
    [
        (threshold("p(90) < 20ms"), False, "90.0 ms", ""),
        (threshold("p(90) < 1s"), True, "90.0 ms", ""),
        (threshold("p(90) < 1s", after="9s"), None, "90.0 ms", "from 9s on"),
        (threshold("p(90) < 1s", window="9s"), None, "90.0 ms", "once 9s are over"),
        (threshold("count > 90", metric="requests"), None, "60", "the end decides"),
        (
            threshold("p(99) < 1s"),
            None,
            "-",
            "60 requests are too few: p(99) needs 100",
        ),
    ],
)
def test_the_status_says_whether_it_holds_or_why_it_is_too_early(
    one: Threshold, holds: bool | None, observed_text: str, reason: str
) -> None:
    run, made = run_of(), summaries([10, 90, 90])
    (told,) = observed(one, made[:3], run).status()
    assert (told["holds"], told["observed_text"], told["reason"]) == (holds, observed_text, reason)
    assert told["first_failed_ns"] == (2 * SECOND_NS if holds is False else None)


def test_before_the_first_interval_nothing_is_known() -> None:
    (told,) = LiveThresholds([threshold("max < 1s", step="login")], run_of()).status()
    assert (told["metric"], told["expect"], told["scope"]) == ("response", "max < 1s", "step login")
    assert (told["holds"], told["reason"]) == (None, "nothing was measured yet")


def test_nothing_is_noted_once_the_run_is_concluded() -> None:
    run, made = run_of(), summaries([90])
    live = LiveThresholds([threshold("max < 20ms", abort=True)], run)
    live.conclude(made[-1])
    live.observe(made[0])
    assert run.control.ending is None


def test_a_share_is_added_up_over_the_window() -> None:
    failed: dict[str, Any] = {"flags": Flag.FIRST | Flag.LAST, "status": 503}
    rows = [request(n * SECOND_NS // 10, **(failed if n >= 30 else {})) for n in range(50)]
    run, made = run_of(), collect_all([as_rows(rows)])
    one = threshold("rate < 50%", metric="failed", window="2s", abort=True)
    observed(one, made, run)
    (mark,) = run.marks
    assert mark.text.startswith("threshold failed: failed rate < 50%: 50 % from 2s to 4s")
    assert isinstance(run.control, Control)


@pytest.mark.parametrize("metric", ["response", "requests", "failed"])
@pytest.mark.parametrize("duration_s", [2, None])
def test_what_ends_while_the_run_drains_is_in_what_is_shown(
    metric: str, duration_s: int | None
) -> None:
    """A request of the first two seconds takes until the fourth; the status follows to the end."""
    expect = {"response": "max < 20ms", "requests": "count > 1", "failed": "rate < 1%"}[metric]
    rows = [request(0, 5 * MS), request(SECOND_NS, 3500 * MS, status=503, flags=FAILED)]
    run, made = run_of(duration_s=duration_s), collect_all([as_rows(rows)])
    live = LiveThresholds([threshold(expect, metric=metric)], run)
    for summary in made[:2]:
        live.observe(summary)
    (before,) = live.status()
    run.control.stop()
    for summary in made[2:-1]:
        live.observe(summary)
    (after,) = live.status()
    (verdict,) = live.conclude(made[-1])
    assert after["observed_text"] == verdict.observed_text != before["observed_text"]
    assert after["holds"] in (None, verdict.judgement == "passed")  # the end decides of counts
    assert run.marks == []


def test_a_window_stands_still_while_the_run_drains() -> None:
    run, made = run_of(duration_s=3), summaries([10, 10, 10, 90])
    live = observed(threshold("max < 20ms", window="2s"), made[:-1], run)
    (status,) = live.status()
    assert (status["observed_text"], status["holds"]) == ("10.0 ms", True)
    assert status["reason"] == "before arrivals ended"
