"""The warning about arrivals that find no place."""

import datetime
import logging

import numpy as np
import pytest

from flux.clock import PlannedClock
from flux.conservation import Ledger
from flux.guards.drops import DropWatch, places
from flux.histogram import Histogram
from flux.stage import Run
from flux.summary import StepSummary, Summary


def run_of() -> Run:
    log = logging.Logger("flux.tests.drops")
    log.addHandler(logging.NullHandler())
    return Run(
        name="x",
        seed=1,
        duration_ns=None,
        tick_ns=10**8,
        drain_ns=0,
        started_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        clock=PlannedClock(),
        log=log,
    )


def interval(second: int, *, started: int, dropped: int, service_ns: int = 0) -> Summary:
    service = Histogram()
    if service_ns:
        service.record(np.full(started, service_ns, np.int64))
    return Summary(
        start_ns=second * 10**9,
        end_ns=(second + 1) * 10**9,
        is_final=False,
        steps=(StepSummary("a", requests=started, service=service),),
        sessions=Ledger(started=started, dropped=dropped),
    )


def warnings(*intervals: Summary) -> list[str]:
    run = run_of()
    watch = DropWatch(run)
    for one in intervals:
        watch.look(one)
    return [mark.text for mark in run.marks]


def test_a_full_minute_with_more_than_a_hundredth_dropped_is_warned_of_once() -> None:
    late = [interval(second, started=99, dropped=2) for second in range(300)]
    (text,) = warnings(*late)
    assert text.startswith("1.98 % of the arrivals of the last minute found no place")
    assert len(warnings(*late[:59])) == 0
    assert len(warnings(*late[:60])) == 1


def test_it_is_said_again_after_five_minutes() -> None:
    late = [interval(second, started=50, dropped=50) for second in range(400)]
    assert len(warnings(*late)) == 2  # at 60 and 360 s


def test_a_hundredth_is_not_too_much_and_old_drops_are_forgotten() -> None:
    assert warnings(*(interval(second, started=99, dropped=1) for second in range(100))) == []
    early = [interval(second, started=1, dropped=99) for second in range(30)]
    well = [interval(second, started=1000, dropped=0) for second in range(30, 300)]
    assert len(warnings(*early, *well)) == 1
    assert warnings(*early[:1], *(interval(s, started=1000, dropped=0) for s in range(1, 99))) == []


def test_places_are_littles_law_with_room() -> None:
    # 100/s for 2 s each are 200 at once; twice that is 400.
    late = [interval(second, started=80, dropped=20, service_ns=2 * 10**9) for second in range(60)]
    (text,) = warnings(*late)
    assert text.endswith("; max_in_flight = 512 would hold them")


@pytest.mark.parametrize(
    ("rate", "session_s", "wanted"), [(1, 0.001, 16), (100, 2, 512), (128, 1, 256), (129, 1, 512)]
)
def test_places_are_a_power_of_two(rate: float, session_s: float, wanted: int) -> None:
    assert places(rate, session_s) == wanted
