"""What makes a run invalid, and what is only worth a note."""

import attrs
import numpy as np
import pytest

from flux.collection import Collection
from flux.generator import Generator
from flux.histogram import Histogram
from flux.schemas import ErrorCode, Flag
from flux.summary import Summary
from flux.units import Duration
from flux.validity import Validity, find
from tests.outcomes import as_rows, final_of, not_started, request

MS = 1_000_000
S = 1000 * MS


def texts(summary: Summary, *, fatal: bool, **options: object) -> list[str]:
    found = find(summary, **options)  # type: ignore[arg-type]  # forwarded by name
    return [finding.text for finding in found if finding.is_fatal is fatal]


def test_a_run_that_kept_its_plan_has_no_findings() -> None:
    assert find(final_of([request()] * 100, planned=100)) == ()


def test_a_lost_session_is_fatal() -> None:
    (text,) = texts(final_of([request()] * 100, planned=101), fatal=True)
    expected = "planned 101 ≠ started 100 + dropped 0 + cancelled 0 (1 missing)"
    assert text == f"sessions got lost: {expected}"


def test_a_session_that_never_ended_is_fatal() -> None:
    (text,) = texts(final_of([request(flags=Flag.FIRST)], planned=1), fatal=True)
    assert "started 1 ≠ 0 ok + 0 failed + 0 aborted (1 missing)" in text


@pytest.mark.parametrize(("dropped", "is_fatal"), [(0, False), (1, False), (2, True)])
def test_a_dropped_share_over_the_limit_is_fatal(dropped: int, is_fatal: bool) -> None:
    rows = [request()] * (100 - dropped) + [not_started(0, Flag.DROPPED)] * dropped
    found = texts(final_of(rows, planned=100), fatal=True)
    assert bool(found) is is_fatal
    if is_fatal:
        assert found[0].startswith("only 98 % of the planned arrivals started (98 of 100, 2 drop")


def test_a_share_just_below_a_hundred_per_cent_does_not_print_as_a_hundred() -> None:
    rows = [request()] * 100_000 + [not_started(0, Flag.DROPPED)]
    summary = final_of(rows, planned=len(rows))
    (text,) = texts(summary, fatal=True, limits=Validity(min_rate=1))
    assert text.startswith("only 99.9990 % of")


def test_stopping_a_run_early_does_not_make_it_invalid() -> None:
    rows = [request(), *[not_started(0, Flag.CANCELLED)] * 99]
    assert texts(final_of(rows, planned=100), fatal=True) == []


def test_withheld_arrivals_are_noted_and_do_not_make_it_invalid() -> None:
    rows = [*[request()] * 3, not_started(0, Flag.WITHHELD)]
    summary = final_of(rows, planned=4)
    assert texts(summary, fatal=True) == []
    assert texts(summary, fatal=False) == [
        "1 of 4 arrivals (25 %) were withheld while their target was not healthy, "
        "and no latency has them"
    ]
    (text,) = texts(final_of(rows), fatal=False)
    assert text.startswith("1 of 4 iterations (25 %) were withheld")


def test_withheld_arrivals_do_not_hide_dropped_ones() -> None:
    rows = [request()] * 9 + [not_started(0, Flag.WITHHELD)] * 90 + [not_started(0, Flag.DROPPED)]
    (text,) = texts(final_of(rows, planned=100), fatal=True)
    assert text.startswith("only 90 % of the planned arrivals started (9 of 10, 1 dropped)")


def test_a_late_generator_is_fatal() -> None:
    late = [request(0, start_ns=150 * MS)] * 2
    summary = final_of([request()] * 98 + late, planned=100)
    (text,) = texts(summary, fatal=True)
    assert text == "sessions started late: lag p99 is 150 ms, max_lag_p99 is 100ms"
    assert texts(summary, fatal=True, limits=Validity(max_lag_p99=Duration(200 * MS))) == []


@pytest.mark.parametrize(
    ("has_users", "planned", "remedy"),
    [
        (False, 1, "start fewer sessions per second"),
        (True, 1, "start fewer sessions per second"),  # users who arrive: visitors
        (True, None, 'use = "ramp"'),
    ],
)
def test_the_remedy_is_for_what_makes_the_load(
    has_users: bool, planned: int | None, remedy: str
) -> None:
    collection = Collection(("one",), S, has_users=has_users)
    collection.add(as_rows([request(0, start_ns=150 * MS)]))
    *_, summary = collection.finish(S, planned)
    (finding,) = find(summary)
    assert finding.is_fatal
    assert remedy in finding.remedy


def test_the_lag_of_a_session_that_waited_for_a_place_is_not_the_generators() -> None:
    flags = Flag.FIRST | Flag.HELD | Flag.LAST | Flag.SUCCESS
    held = request(0, flags=flags, start_ns=900 * MS)
    assert find(final_of([held], planned=1)) == ()


def test_too_few_sessions_for_a_p99_are_named() -> None:
    (text,) = texts(final_of([request(0, start_ns=150 * MS)], planned=1), fatal=True)
    assert "lag largest of 1 is 150 ms" in text


@pytest.mark.parametrize(("failures", "is_fatal"), [(1, False), (2, True)])
def test_running_out_of_ports_is_fatal_beyond_a_hundredth(failures: int, is_fatal: bool) -> None:
    ended = Flag.FIRST | Flag.LAST
    failed = request(flags=ended, error=int(ErrorCode.PORTS), status=0)
    summary = final_of([request()] * (100 - failures) + [failed] * failures, planned=100)
    (text,) = texts(summary, fatal=is_fatal)
    assert text == f"the generator ran out of ports: {failures} of 100 requests"


def test_requests_that_were_cut_are_noted() -> None:
    cut = request(flags=Flag.FIRST | Flag.LAST | Flag.ABORTED, error=int(ErrorCode.ABORTED))
    (text,) = texts(final_of([request(), cut], planned=2), fatal=False)
    assert text.startswith("1 of 2 requests (50 %) were cut by the end of the run")


def test_a_run_in_which_everything_failed_is_valid_but_noted() -> None:
    failed = request(flags=Flag.FIRST | Flag.LAST, error=int(ErrorCode.REFUSED), status=0)
    (text,) = texts(final_of([failed] * 3, planned=3), fatal=False)
    assert text == "every request failed, all 3 of them"


def test_a_run_too_short_to_judge_the_generator_is_not_judged() -> None:
    summary = final_of([request()], planned=1)
    assert texts(summary, fatal=False, generators=[Generator(cpu_s=1.5, wall_s=1.5)]) == []


def test_a_busy_generator_is_noted() -> None:
    summary = final_of([request()], planned=1)
    assert texts(summary, fatal=False, generators=[Generator(cpu_s=8, wall_s=10)]) == []
    (text,) = texts(summary, fatal=False, generators=[Generator(cpu_s=9.7, wall_s=10)])
    assert text.startswith("the generator kept 0.97 cores busy")


def test_a_generator_over_its_limit_of_cpu_is_fatal() -> None:
    summary, limits = final_of([request()], planned=1), Validity(max_cpu=0.5)
    worker = Generator(name="worker 1", cpu_s=6, wall_s=10)
    (text,) = texts(summary, fatal=True, limits=limits, generators=[worker])
    assert text.startswith("worker 1 kept 0.60 cores busy")
    assert text.endswith("; max_cpu is 0.5")
    assert texts(summary, fatal=True, generators=[worker]) == []


def test_a_run_too_short_for_its_limit_of_cpu_says_so() -> None:
    summary, limits = final_of([request()], planned=1), Validity(max_cpu=0.5)
    short = Generator(cpu_s=1.5, wall_s=1.5)
    (text,) = texts(summary, fatal=False, limits=limits, generators=[short])
    assert text == "the run was too short to hold its CPU time against max_cpu (the generator)"


def stalled_for(stall_ms: int, run_s: int, name: str = "") -> Generator:
    """One that was blocked once, as its watch sees it: every 10 ms something is due."""
    late_ms = list(range(stall_ms, 0, -10))
    lateness = Histogram()
    lateness.record(np.array(late_ms + [0] * (100 * run_s - len(late_ms)), np.int64) * MS)
    return Generator(name=name, lateness=lateness)


@pytest.mark.parametrize(
    ("stall_ms", "run_s", "is_fatal"),
    [(150, 2, True), (150, 40, True), (150, 60, False), (110, 2, True), (1000, 600, True)],
)
def test_a_stall_is_fatal_where_it_takes_a_thousandth_of_the_run(
    stall_ms: int, run_s: int, is_fatal: bool
) -> None:
    generators = [stalled_for(stall_ms, run_s)]
    (text,) = texts(final_of([request()], planned=1), fatal=is_fatal, generators=generators)
    assert text.startswith("the event loop stood still: what was due ran up to ")
    assert "max_stall, which is 100ms" in text


def test_a_stall_below_the_limit_is_nothing() -> None:
    summary = final_of([request()], planned=1)
    assert find(summary, generators=[stalled_for(90, 1)]) == ()
    assert find(summary, Validity(max_stall=Duration(S)), [stalled_for(900, 1)]) == ()


def test_a_stall_of_a_worker_is_told_with_its_name() -> None:
    generators = [stalled_for(10, 2), stalled_for(150, 2, "worker 1")]
    (text,) = texts(final_of([request()], planned=1), fatal=True, generators=generators)
    assert text.startswith("the event loop of worker 1 stood still: what was due ran up to 150 ms")


def test_a_stage_that_held_up_rows_for_too_long_is_fatal() -> None:
    generator = Generator(held_up_s={"csv": 1.25})
    summary, limits = final_of([request()], planned=1), Validity(max_held_up=Duration(S))
    (text,) = texts(summary, fatal=True, limits=limits, generators=[generator])
    assert text.endswith("rows waited 1.25 s for it; max_held_up is 1s")


@pytest.mark.parametrize(("limit", "is_fatal"), [(None, False), (0.02, False), (0.009, True)])
def test_drops_are_told_and_fatal_over_a_limit(limit: float | None, is_fatal: bool) -> None:
    rows = [*[request()] * 99, not_started(0, Flag.DROPPED)]
    limits = Validity(max_dropped=limit)
    (text,) = texts(final_of(rows, planned=100), fatal=is_fatal, limits=limits)
    assert text.startswith("1 % of the planned arrivals were dropped (1 of 100)")


def test_drops_are_not_told_twice() -> None:
    summary = final_of([*[request()] * 5, *[not_started(0, Flag.DROPPED)] * 5], planned=10)
    (finding,) = find(summary)
    assert finding.text.startswith("only 50 % of the planned arrivals started (5 of 10, 5 dropped)")


def test_every_finding_says_what_to_do() -> None:
    rows = [
        request(flags=Flag.FIRST | Flag.LAST | Flag.ABORTED, start_ns=150 * MS),
        request(flags=Flag.FIRST, error=int(ErrorCode.PORTS), status=0),
        not_started(0, Flag.DROPPED),
    ]
    generator = attrs.evolve(stalled_for(150, 2), cpu_s=9, wall_s=5, held_up_s={"csv": 1})
    found = find(final_of(rows, planned=9), Validity(max_cpu=1), [generator])
    assert len(found) == 10
    assert [one.text for one in found if not one.remedy] == []
    assert not any("\n" in f"{one.text}{one.remedy}" for one in found)


def test_the_limit_of_own_errors_is_a_key() -> None:
    failed = request(flags=Flag.FIRST | Flag.LAST, error=int(ErrorCode.DESCRIPTORS), status=0)
    summary = final_of([*[request()] * 8, *[failed] * 2], planned=10)
    (text,) = texts(summary, fatal=True)
    assert text == "the generator ran out of descriptors: 2 of 10 requests"
    assert texts(summary, fatal=True, limits=Validity(max_own_errors=0.2)) == []


def test_a_stage_that_held_up_rows_is_noted() -> None:
    generator = Generator(held_up_s={"csv": 1.25, "json": 0.0})
    (text,) = texts(final_of([request()], planned=1), fatal=False, generators=[generator])
    assert text == "stage 'csv' could not keep up: rows waited 1.25 s for it"


def test_a_run_without_requests_is_noted() -> None:
    assert texts(final_of([], planned=0), fatal=False) == ["no request was made"]


def test_fatal_findings_come_first() -> None:
    cut = request(flags=Flag.FIRST | Flag.LAST | Flag.ABORTED, error=int(ErrorCode.ABORTED))
    summary = attrs.evolve(final_of([cut], planned=2))
    assert [finding.is_fatal for finding in find(summary)] == [True, True, False, False]


def test_why_no_request_was_made_is_told_by_what_happened() -> None:
    def remedy(summary: Summary, **options: str) -> str:
        found = find(summary, **options)  # type: ignore[arg-type]  # forwarded by name
        return next(one.remedy for one in found if one.text == "no request was made")

    assert "look at `flux plan`" in remedy(final_of([], planned=0))
    withheld = final_of([not_started(0, Flag.WITHHELD)], planned=1)
    assert (
        remedy(withheld) == "see what the health checks got: in the log, and in the result's marks"
    )
    cancelled = final_of([not_started(0, Flag.CANCELLED)], planned=1)
    assert remedy(cancelled, ending="SIGINT at 0.1 s") == "the run was ended by SIGINT at 0.1 s"
