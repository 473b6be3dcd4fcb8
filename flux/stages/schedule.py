"""`schedule`: a level by the hour of the day and the day of the week."""

import datetime
import re
import zoneinfo
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

import attrs
import numpy as np

from flux.config.problems import Violation, did_you_mean
from flux.config.rules import NotEmpty, at_least
from flux.schemas import Rows
from flux.shaping import Profile, Shaper, Times, middle, multiplied
from flux.stage import Context

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_EPOCH_WEEKDAY = 3
"""The first of January 1970 was a Thursday."""
_HOUR_S = 3600
_RANGE = re.compile(r"(\d{1,2})-(\d{1,2})")


@attrs.frozen
class Hours:
    """Hours of the day: `"9-17"`, or an array of hours and ranges such as `[0, 1, "9-17"]`.

    A range names its first and its last hour, so "9-17" lasts from 9:00 to 18:00; "22-5" goes on
    over midnight.
    """

    hours: frozenset[int]

    type_text: ClassVar[str] = 'hours from 0 to 23, as in "9-17" or [0, 1, "9-17"]'

    @classmethod
    def from_toml(cls, value: Any) -> Self:
        """Read a range or an array.

        Raises:
            Violation: if it is neither, is empty or names an hour that no day has.
        """
        items = value if type(value) is list else [value]
        if not items or (type(value) is int):
            raise Violation(f"must be {cls.type_text}")
        return cls(frozenset(hour for item in items for hour in _hours_of(item)))


def _hours_of(item: Any) -> Iterator[int]:
    match = _RANGE.fullmatch(item) if type(item) is str else None
    ends = (int(match[1]), int(match[2])) if match else (item, item)
    if (type(item) is not int and match is None) or not all(0 <= end <= 23 for end in ends):
        raise Violation(f"must be {Hours.type_text}")
    first, last = ends
    return (hour % 24 for hour in range(first, last + 1 + (24 if last < first else 0)))


@attrs.frozen(kw_only=True)
class Entry:
    """A multiplier for some hours of some days."""

    multiplier: Annotated[float, at_least(0)]
    """Of the level, while the entry holds."""
    hours: Hours | None = None
    """Hours it holds in, first and last included: "9-17", or an array of hours and such ranges; all
    when absent."""
    weekdays: Annotated[tuple[Weekday, ...], NotEmpty()] | None = None
    """Days it holds on, as in ["mon", "tue"]; all when absent."""
    priority: int = 0
    """Of several entries that hold, the one of highest priority counts, among equals the last."""


@attrs.frozen(kw_only=True)
class Schedule(Shaper):
    """The level is multiplied by what the entries say for the hour.

    Hours are those of the wall clock in `timezone`: the level changes exactly when that clock
    strikes, also where it is set forward or back, and in zones half an hour off. In hours that no
    entry holds in, the multiplier is 1. The run's start is taken from the wall clock; all that
    follows is counted from there.
    """

    entries: tuple[Entry, ...]
    """The schedule: tables with `multiplier`, `hours`, `weekdays` and `priority`."""
    timezone: str | None = None
    """Name of a time zone, as in "Europe/Berlin"; that of this machine when absent."""

    sample: ClassVar[str] = (
        '[[stage]]\nuse = "schedule"\ntimezone = "Asia/Seoul"\nentries = [\n'
        '  { hours = "0-6", multiplier = 0.3 },\n'
        '  { hours = [9, 10, 11, "13-17"], weekdays = ["mon", "fri"], multiplier = 1.5 },\n]\n'
    )

    def check(self) -> Iterator[Violation]:
        """The time zone must be one."""
        if self.timezone is None:
            return
        try:
            zoneinfo.ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            hint = did_you_mean(self.timezone, zoneinfo.available_timezones())
            yield Violation('must be a time zone, as in "Europe/Berlin"', key="timezone", hint=hint)

    def multipliers(self) -> list[list[float]]:
        """Multiplier by weekday, from Monday, and hour."""
        week = [[1.0] * 24 for _ in WEEKDAYS]
        for entry in sorted(self.entries, key=lambda one: one.priority):
            for day in entry.weekdays or WEEKDAYS:
                for hour in entry.hours.hours if entry.hours else range(24):
                    week[WEEKDAYS.index(day)][hour] = entry.multiplier
        return week

    def profile(self, context: Context) -> Profile:
        """The schedule from the run's start on."""
        zone = None if self.timezone is None else zoneinfo.ZoneInfo(self.timezone)
        return ScheduleProfile(self.multipliers(), zone, context.run.started_at)


class ScheduleProfile:
    """Where the multiplier changes, worked out as time gets there."""

    def __init__(
        self,
        week: list[list[float]],
        zone: datetime.tzinfo | None,
        started_at: datetime.datetime,
    ) -> None:
        """Begin.

        Args:
            week: multiplier by weekday and hour.
            zone: of the wall clock; the machine's own if None.
            started_at: wall-clock time of 0 ns.
        """
        self._week = week
        self._zone = zone
        self._origin_ns = (started_at - _EPOCH) // datetime.timedelta(microseconds=1) * 1000
        self._known_s = self._origin_ns // 10**9  # seconds since 1970 up to which edges are known
        self._edges = [0]
        self._factors = [self._factor_at(self._known_s)]
        self._edges_ns = np.zeros(1, np.int64)

    def cuts(self, start_ns: int, end_ns: int) -> Times:
        """The times at which the multiplier changes."""
        self._know(end_ns)
        return self._edges_ns[(self._edges_ns >= start_ns) & (self._edges_ns <= end_ns)]

    def shape(self, demand: Rows) -> Rows:
        """New rows, each by the hour that its middle lies in."""
        if not len(demand):
            return demand
        self._know(int(demand["end_ns"][-1]))
        hour = np.searchsorted(self._edges_ns, middle(demand), side="right") - 1
        factor = np.array(self._factors)[hour]
        return multiplied(demand, factor, factor)

    def _know(self, until_ns: int) -> None:
        """Find the edges up to that time since the run began."""
        known = len(self._edges)
        while self._known_s * 10**9 - self._origin_ns <= until_ns:
            self._known_s = self._next_change_s(self._known_s)
            factor = self._factor_at(self._known_s)
            if factor != self._factors[-1]:
                self._edges.append(self._known_s * 10**9 - self._origin_ns)
                self._factors.append(factor)
        if len(self._edges) > known:
            self._edges_ns = np.array(self._edges, np.int64)

    def _next_change_s(self, time_s: int) -> int:
        """When the clock next strikes or is set, whichever is first."""
        offset_s = self._offset_s(time_s)
        strikes_s = ((time_s + offset_s) // _HOUR_S + 1) * _HOUR_S - offset_s
        if self._offset_s(strikes_s) == offset_s:
            return strikes_s
        before_s, after_s = time_s, strikes_s  # the clock is set in between: halve until it shows
        while after_s - before_s > 1:
            half_s = (before_s + after_s) // 2
            if self._offset_s(half_s) == offset_s:
                before_s = half_s
            else:
                after_s = half_s
        return after_s

    def _factor_at(self, time_s: int) -> float:
        local_s = time_s + self._offset_s(time_s)
        weekday = (local_s // (24 * _HOUR_S) + _EPOCH_WEEKDAY) % 7
        return self._week[weekday][local_s // _HOUR_S % 24]

    def _offset_s(self, time_s: int) -> int:
        """How far the wall clock is ahead of UTC, in seconds."""
        utc = _EPOCH + datetime.timedelta(seconds=time_s)
        offset = utc.astimezone(self._zone).utcoffset()
        return 0 if offset is None else int(offset.total_seconds())
