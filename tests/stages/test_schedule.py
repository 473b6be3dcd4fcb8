"""KA-05, KA-06, 3.2.5: levels by the wall clock."""

import datetime
import time
import zoneinfo
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.schemas import DEMAND
from flux.stages.schedule import Hours, ScheduleProfile
from flux.testing import plan_demand
from tests.stages.loading import load, problems

SECOND = 10**9
HOUR = 3600 * SECOND


def test_hours_in_no_entry_are_left_alone() -> None:
    found = _changes("entries = [{hours = [9, 10], multiplier = 2}]", hours=24)
    assert found == [(0, 1), (9 * HOUR, 2), (11 * HOUR, 1)]


def test_an_empty_schedule_changes_nothing() -> None:
    assert _changes("entries = []", hours=30) == [(0, 1)]


def test_later_entries_win_and_priority_wins_over_that() -> None:
    entries = """entries = [
      {hours = "0-5", multiplier = 5, priority = 1},
      {hours = "4-9", multiplier = 2},
      {hours = [8], multiplier = 0},
    ]"""
    assert _changes(entries, hours=12) == [
        (0, 5),
        (6 * HOUR, 2),
        (8 * HOUR, 0),
        (9 * HOUR, 2),
        (10 * HOUR, 1),
    ]


def test_weekdays_limit_an_entry() -> None:
    # The run starts on a Monday at midnight.
    entries = 'entries = [{hours = "22-1", weekdays = ["mon", "wed"], multiplier = 3}]'
    day = 24 * HOUR
    assert _changes(entries, hours=96) == [
        (0, 3),
        (2 * HOUR, 1),
        (22 * HOUR, 3),
        (day, 1),
        (2 * day, 3),
        (2 * day + 2 * HOUR, 1),
        (2 * day + 22 * HOUR, 3),
        (3 * day, 1),
    ]


@pytest.mark.parametrize(
    ("zone", "start", "strikes_min"),
    [
        ("Asia/Seoul", "2026-01-05T00:30:00Z", 30),  # 9:30
        ("Asia/Kolkata", "2026-01-05T04:00:00Z", 30),  # 9:30, and half an hour off UTC
        ("Asia/Kathmandu", "2026-01-05T04:00:00Z", 15),  # 9:45
    ],
)
def test_the_hour_is_that_of_the_zone(zone: str, start: str, strikes_min: int) -> None:
    entries = "entries = [{hours = [10], multiplier = 2}]"
    strikes_ns = strikes_min * 60 * SECOND
    found = _changes(entries, hours=3, zone=zone, started_at=datetime.datetime.fromisoformat(start))
    assert found == [(0, 1), (strikes_ns, 2), (strikes_ns + HOUR, 1)]


@pytest.mark.parametrize(
    ("start", "hour", "changes"),
    [
        # 2026-03-29, Berlin: at 2:00 it is 3:00, so the hour of 2 does not come and 3 comes early.
        ("2026-03-28T23:00:00Z", 2, [(0, 1)]),
        ("2026-03-28T23:00:00Z", 3, [(0, 1), (2 * HOUR, 2), (3 * HOUR, 1)]),
        # 2026-10-25: at 3:00 it is 2:00, so the hour of 2 comes twice.
        ("2026-10-24T22:00:00Z", 2, [(0, 1), (2 * HOUR, 2), (4 * HOUR, 1)]),
        ("2026-10-24T22:00:00Z", 3, [(0, 1), (4 * HOUR, 2), (5 * HOUR, 1)]),
    ],
)
def test_the_clock_is_set_forward_and_back(
    start: str, hour: int, changes: list[tuple[int, float]]
) -> None:
    found = _changes(
        f"entries = [{{hours = [{hour}], multiplier = 2}}]",
        hours=8,
        zone="Europe/Berlin",
        started_at=datetime.datetime.fromisoformat(start),
    )
    assert found == changes


def test_the_clock_may_be_set_by_half_an_hour() -> None:
    # 2026-04-05, Lord Howe: at 2:00 (UTC+11) it is 1:30 (UTC+10:30), so the hour of 1 lasts for 90
    # minutes.
    found = _changes(
        "entries = [{hours = [1], multiplier = 2}]",
        hours=6,
        zone="Australia/Lord_Howe",
        started_at=datetime.datetime.fromisoformat("2026-04-04T13:00:00Z"),  # midnight there
    )
    assert found == [(0, 1), (HOUR, 2), (HOUR * 5 // 2, 1)]


def test_a_run_may_start_between_two_seconds() -> None:
    start = datetime.datetime.fromisoformat("2026-01-05T00:59:59.250001Z")
    found = _changes("entries = [{hours = [1], multiplier = 2}]", hours=1, started_at=start)
    assert found == [(0, 1), (749_999_000, 2)]


@given(
    start=st.datetimes(datetime.datetime(2025, 1, 1), datetime.datetime(2027, 1, 1)),
    zone=st.sampled_from(["Europe/London", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    offset_s=st.integers(0, 40 * 86_400),
)
@settings(max_examples=60)
def test_the_multiplier_is_that_of_the_wall_clock(
    start: datetime.datetime, zone: str, offset_s: int
) -> None:
    started_at = start.replace(tzinfo=datetime.UTC)
    week = [[float(100 * day + hour) for hour in range(24)] for day in range(7)]
    profile = ScheduleProfile(week, zoneinfo.ZoneInfo(zone), started_at)
    row = DEMAND.rows([(offset_s * SECOND, offset_s * SECOND + 2, 1.0, 1.0)])
    there = (started_at + datetime.timedelta(seconds=offset_s)).astimezone(zoneinfo.ZoneInfo(zone))
    assert profile.shape(row)["level"][0] == 100 * there.weekday() + there.hour


def test_the_zone_of_the_machine_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        found = _changes("entries = [{hours = [10], multiplier = 2}]", hours=3, zone=None)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found == [(0, 1), (HOUR, 2), (2 * HOUR, 1)]


@pytest.mark.parametrize(
    ("value", "hours"),
    [
        ("9-11", {9, 10, 11}),
        ("22-1", {22, 23, 0, 1}),
        ("0-23", set(range(24))),
        ([0, 5, "22-23"], {0, 5, 22, 23}),
        ("7-7", {7}),
    ],
)
def test_hours_are_read(value: Any, hours: set[int]) -> None:
    assert Hours.from_toml(value).hours == hours


@pytest.mark.parametrize("hours", ["[24]", "[-1]", '"9"', '"9-24"', "9", "[]", "[true]", "[1.0]"])
def test_wrong_hours_are_told_why(hours: str) -> None:
    assert problems("schedule", f"entries = [{{hours = {hours}, multiplier = 1}}]") == [
        'entries.0.hours must be hours from 0 to 23, as in "9-17" or [0, 1, "9-17"]'
    ]


def test_wrong_tables_are_told_why() -> None:
    assert problems("schedule") == ["entries is required"]
    assert problems("schedule", 'entries = []\ntimezone = "Europe/Berlyn"') == [
        'timezone must be a time zone, as in "Europe/Berlin"'
    ]
    assert problems("schedule", 'entries = []\ntimezone = "../etc/passwd"') == [
        'timezone must be a time zone, as in "Europe/Berlin"'
    ]
    assert problems("schedule", "entries = [{multiplier = -1}]") == [
        "entries.0.multiplier must be at least 0"
    ]


def _changes(
    entries: str, *, hours: int, zone: str | None = "UTC", **context: Any
) -> list[tuple[int, float]]:
    """Where the level of a rate of 1/s changes, and to what."""
    keys = entries if zone is None else f'timezone = "{zone}"\n{entries}'
    stages = [load("constant", 'rate = "1/s"'), load("schedule", keys)]
    rows = plan_demand(stages, hours * HOUR, tick_ns=7 * 60 * SECOND, **context)
    np.testing.assert_array_equal(rows["level"], rows["end_level"])
    changed = np.flatnonzero(np.diff(rows["level"], prepend=-1.0))
    return [(int(rows["start_ns"][i]), float(rows["level"][i])) for i in changed]
