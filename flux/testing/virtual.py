"""Virtual time, and the run that goes on in it."""

import datetime
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
import trio.testing

from flux.blame import first_of
from flux.clock import PlannedClock
from flux.stage import Run

T = TypeVar("T")

STARTED_AT = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)
"""A Monday, midnight UTC: the wall-clock time of 0 ns unless a test says otherwise."""


def make_run(name: str) -> Run:
    """A run without a clock, an end or a folder."""
    return Run(
        name=name,
        seed=7,
        duration_ns=None,
        tick_ns=100_000_000,
        drain_ns=0,
        started_at=STARTED_AT,
        clock=PlannedClock(),
    )


def run_virtually(main: Callable[[], Awaitable[T]]) -> T:
    """Run it in virtual time, and raise what a stage raised as that, not in groups."""
    try:
        return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    except Exception as error:  # noqa: BLE001  # a stage may raise anything
        raise first_of(error)[1] from None
