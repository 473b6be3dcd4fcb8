"""Where to look first: one line for each thing that may stand out."""

from typing import Any

import attrs
import pytest

from flux.attention import look_at
from flux.schemas import ErrorCode, Flag
from flux.summary import Finding, Mark, Summary
from flux.thresholds import judge
from tests.outcomes import final_of, not_started, request
from tests.thresholds.making import threshold

MS = 1_000_000
FAILED: dict[str, Any] = {
    "flags": Flag.FIRST | Flag.LAST,
    "status": 503,
    "error": int(ErrorCode.STATUS),
}


def run_with(*asked: Any, **changes: Any) -> Summary:
    """100 requests a step, 5 and 9 ms, with failures at the second target."""
    rows = [request(step=step, end_ns=(5 + 4 * step) * MS) for step in (0, 1) for _ in range(100)]
    rows += changes.pop("more", [])
    summary = final_of(rows, steps=("login", "list"), targets=("a", "b"))
    return attrs.evolve(summary, verdicts=judge(asked, summary), **changes)


def test_a_run_in_which_nothing_stands_out_names_its_slowest_step() -> None:
    assert look_at(run_with()) == "nothing stands out; the slowest step is list, p99 9.00 ms"
    alone = final_of([request()], steps=("get",))
    assert look_at(alone) == "nothing stands out"


def test_failures_are_named_with_their_reason_step_and_target() -> None:
    more = [request(step=1, target=1, **FAILED)] * 8
    assert look_at(run_with(more=more)) == (
        "8 requests failed, 3.85 %: all status 503, in step list, at target b"
    )


def test_a_missed_threshold_comes_first_and_says_why() -> None:
    more = [request(step=1, target=1, **FAILED)] * 8
    missed = threshold("rate < 1%", metric="failed", step="list")
    found = look_at(run_with(threshold("max < 1h"), missed, more=more))
    assert found == "failed rate < 1% [step list] was missed: all status 503, at target b"


def test_of_a_missed_response_time_it_says_what_the_server_took() -> None:
    assert look_at(run_with(threshold("p(95) < 1ms"))) == (
        "response p(95) < 1ms was missed: 9.00 ms; service p99 of list 9.00 ms"
    )


def test_of_a_missed_maximum_it_names_the_step_with_the_longest_request() -> None:
    long = request(step=0, start_ns=0, end_ns=700 * MS)
    assert look_at(run_with(threshold("max < 1ms"), more=[long])) == (
        "response max < 1ms was missed: 700 ms; service max of login 700 ms"
    )


def test_requests_that_waited_are_told_from_a_server_that_is_slow() -> None:
    late = [request(end_ns=405 * MS, start_ns=400 * MS)] * 50
    told = "requests waited before they were sent: response p99 405 ms, service p99 9.00 ms"
    assert look_at(run_with(more=late)).startswith(told)
    missed = look_at(run_with(threshold("p(95) < 1ms"), more=late))
    assert missed.startswith(f"response p(95) < 1ms was missed: {told}")


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        (Flag.DROPPED, "1 arrivals were dropped: they came too late, or had no place"),
        (Flag.WITHHELD, "1 arrivals were withheld: no target was healthy"),
    ],
)
def test_arrivals_that_were_given_up_are_counted(flag: Flag, told: str) -> None:
    assert look_at(run_with(more=[not_started(0, flag)])) == told


def test_an_invalid_run_and_an_empty_one_have_nothing_to_look_at() -> None:
    late = Finding("late", is_fatal=True)
    assert look_at(run_with(findings=(late,))) == ""
    assert look_at(final_of([])) == ""


def test_a_stage_that_failed_comes_before_all_else() -> None:
    marks = (Mark(0, "health", "target 'a' is not healthy"), Mark(5, "failure", "stage 'x' failed"))
    late = Finding("late", is_fatal=True)
    run = run_with(threshold("max < 1ms"), findings=(late,), marks=marks)
    assert look_at(run) == "stage 'x' failed"


def test_arrivals_that_were_all_withheld_are_what_to_look_at_with_the_reason() -> None:
    health = Mark(0, "health", "target 'a' is not healthy: refused")
    withheld = final_of([not_started(0, Flag.WITHHELD), not_started(1, Flag.WITHHELD)])
    told = "2 arrivals were withheld: target 'a' is not healthy: refused"
    assert look_at(attrs.evolve(withheld, marks=(health,))) == told


def test_a_long_name_is_cut() -> None:
    rows = [request(step=step) for step in (0, 1) for _ in range(100)]
    found = look_at(final_of(rows, steps=("x" * 99, "y")))
    assert found == f"nothing stands out; the slowest step is {'x' * 29}…, p99 5.00 ms"
