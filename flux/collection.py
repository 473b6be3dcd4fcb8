"""From OUTCOME rows to summaries: the collector without its clock and channels.

Strategy. A row belongs to the interval in which it ended. Each interval has a `Tally`; when it is
closed, its summary is made and its tally added to that of the whole run, so rows are recorded once.
A row that comes in after its interval was closed counts in the oldest one that is open; its counts
in the series still go where they belong.

With phases there is a tally for each of them that has rows, and what is judged is the sum of those
that are not warm-up. A row belongs to the phase in which its request was due.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import attrs
import numpy as np

from flux.columns import (
    CANCELLED,
    DROPPED,
    FIRST,
    LAST,
    NOT_STARTED,
    SUCCESS,
    WITHHELD,
    Column,
    Columns,
)
from flux.conservation import Ledger
from flux.phases import Phase, starts_of
from flux.schemas import Rows
from flux.standstill import Pulse
from flux.summary import PhaseSummary, StepSummary, Summary
from flux.tally import Tally
from flux.timeline import Timeline
from flux.turns import Turns, at_once

Tallies = dict[int, Tally]
"""By the number of the phase whose rows they have counted; 0 in a run without phases."""


class Collection:
    """What is known of a run so far."""

    def __init__(
        self,
        steps: Sequence[str],
        interval_ns: int,
        *,
        targets: Sequence[str] = (),
        phases: Sequence[Phase] = (),
        has_users: bool = False,
    ) -> None:
        """Begin with nothing known.

        Args:
            steps: names of the run's steps; `step` in a row is an index into them.
            interval_ns: how long an interval is.
            targets: names of the run's targets; `target` in a row is an index into them.
            phases: of the run, if it has any.
            has_users: somebody waits for an answer before going on, so that a stall hides requests.
        """
        self._phases = tuple(phases)
        self._phase_ends_ns = starts_of(self._phases[1:])
        self._steps = tuple(steps)
        self._targets = tuple(targets)
        self._interval_ns = interval_ns
        self._timeline = Timeline(interval_ns)
        self._pulse = Pulse() if has_users else None
        self._whole: Tallies = {}
        self._open: dict[int, Tallies] = {}
        self._first_open = 0
        self.newest_ns = 0
        """The latest end of a row seen so far."""
        self._last_due_ns: int | None = None

    def _new_tally(self) -> Tally:
        return Tally(len(self._steps), len(self._targets))

    def add(self, rows: Rows) -> None:
        """Count a batch.

        Args:
            rows: (n,) OUTCOME, in any order.

        Raises:
            IndexError: a row's step or target is not one of the run's.
        """
        at_once(self.add_in_turns(rows))

    def add_in_turns(self, rows: Rows) -> Turns[None]:
        """The same in turns; the next call of any method is for when they are over."""
        if not rows.size:
            return
        end_ns = rows["end_ns"].astype(np.int64)
        oldest_ns, newest_ns = int(end_ns.min()), int(end_ns.max())
        self.newest_ns = max(self.newest_ns, newest_ns)
        if self._number(oldest_ns) == self._number(newest_ns):
            yield from self._add_interval(self._number(newest_ns), Columns(rows))
            return
        numbers = np.maximum(end_ns, 0) // self._interval_ns
        for number in np.unique(numbers).tolist():
            yield from self._add_interval(number, Columns(rows[numbers == number]))

    def close(self, until_ns: int) -> Iterator[Summary]:
        """Close the intervals that end by then, and summarise each.

        Args:
            until_ns: rows that ended before this time are thought to be here.
        """
        while self.is_over(until_ns):
            yield at_once(self.close_first())

    def is_over(self, until_ns: int) -> bool:
        """Whether the oldest open interval ends by then."""
        return (self._first_open + 1) * self._interval_ns <= until_ns

    def finish(
        self, end_ns: int, planned: int | None, load_end_ns: int | None = None
    ) -> Iterator[Summary]:
        """Close what is open, and at last summarise the whole run; add nothing afterwards.

        Args:
            end_ns: when the run ended, if no row ended later.
            planned: arrivals released, None if not known.
            load_end_ns: when arrivals ended; with the last that is in a row, if nobody knows.
        """
        end_ns = max(end_ns, self.newest_ns)
        yield from self.close(self.newest_ns)
        while self._open:
            yield at_once(self.close_first(end_ns))
        if end_ns > 0:
            self._timeline.add(end_ns - 1)
        counts = at_once(self._counts(self._whole))
        if len(self._targets) == 1:
            counts["targets"] = (StepSummary(self._targets[0]).merge(counts["steps"]),)
        yield Summary(
            start_ns=0,
            end_ns=end_ns,
            is_final=True,
            load_end_ns=self._last_due_ns if load_end_ns is None else load_end_ns,
            sessions=attrs.evolve(_ledger(self._whole), planned=planned),
            series=self._timeline.series(),
            phases=tuple(
                self._phase(
                    number, self._whole.get(number), end_ns, knows_planned=planned is not None
                )
                for number in range(len(self._phases))
            ),
            **counts,
            pulse=self._pulse,
        )

    def close_first(self, run_end_ns: int | None = None) -> Turns[Summary]:
        """Close the oldest open interval, in turns, and summarise it.

        Args:
            run_end_ns: when the run ended, if it has: its last interval is no longer than that.
        """
        start_ns = self._first_open * self._interval_ns
        end_ns = start_ns + self._interval_ns
        if run_end_ns is not None:
            end_ns = min(end_ns, run_end_ns)
        tallies = self._open.pop(self._first_open, {})
        self._first_open += 1
        for number, tally in tallies.items():
            yield from self._tally(self._whole, number).merge(tally)
            yield
        counts = yield from self._counts(tallies)
        yield
        summary = Summary(
            start_ns=start_ns,
            end_ns=end_ns,
            is_final=False,
            sessions=_ledger(tallies),
            phases=tuple(
                self._phase(number, tallies.get(number), end_ns)
                for number in range(len(self._phases))
                if number in tallies or self._overlaps(number, start_ns, end_ns)
            ),
            **counts,
        )
        yield
        self._timeline.set_response(start_ns, summary.load.response)
        yield
        return attrs.evolve(summary, series=self._timeline.row(start_ns))

    def _counts(self, tallies: Tallies) -> Turns[dict[str, Any]]:
        """What a summary says of these: of requests without warm-up, of sessions of all."""
        judged = {
            number: tally
            for number, tally in tallies.items()
            if not (self._phases and self._phases[number].is_warmup)
        }
        whole = yield from self._together(judged)
        return {
            "steps": whole.steps(self._steps),
            "targets": whole.targets(self._targets),
            "held_sessions": sum(tally.held_sessions for tally in tallies.values()),
            "skipped_steps": sum(tally.skipped_steps for tally in tallies.values()),
        }

    def _together(self, tallies: Tallies) -> Turns[Tally]:
        """Their sum; of one alone, that very one."""
        if len(tallies) == 1:
            return next(iter(tallies.values()))
        whole = self._new_tally()
        for tally in tallies.values():
            yield from whole.merge(tally)
        return whole

    def _tally(self, tallies: Tallies, number: int) -> Tally:
        """The one of that phase, made if there is none."""
        if number not in tallies:
            tallies[number] = self._new_tally()
        return tallies[number]

    def _phase(
        self, number: int, tally: Tally | None, now_ns: int, *, knows_planned: bool = False
    ) -> PhaseSummary:
        """One phase at that time."""
        phase = self._phases[number]
        tally = self._new_tally() if tally is None else tally
        sessions = tally.ledger(None)
        if knows_planned:
            sessions = attrs.evolve(sessions, planned=sessions.accounted)
        return PhaseSummary(
            name=phase.name,
            start_ns=phase.start_ns,
            end_ns=max(phase.start_ns, min(self._phase_end_ns(number, now_ns), now_ns)),
            is_warmup=phase.is_warmup,
            steps=tally.steps(self._steps),
            sessions=sessions,
        )

    def _phase_end_ns(self, number: int, now_ns: int) -> int:
        """Where a phase ends; the last one goes on as long as the run."""
        ends_ns = self._phase_ends_ns
        return int(ends_ns[number]) if number < len(ends_ns) else now_ns

    def _overlaps(self, number: int, start_ns: int, end_ns: int) -> bool:
        phase_end_ns = self._phase_end_ns(number, end_ns)
        return self._phases[number].start_ns < end_ns and phase_end_ns > start_ns

    def _number(self, time_ns: int) -> int:
        """Which interval a time is in."""
        return max(time_ns, 0) // self._interval_ns

    def _add_interval(self, number: int, rows: Columns) -> Turns[None]:
        """Count rows that ended in one interval."""
        time_ns = number * self._interval_ns
        tallies = self._open.setdefault(max(number, self._first_open), {})
        for phase, part in self._by_phase(rows):
            yield from self._add_part(self._tally(tallies, phase), time_ns, part)

    def _by_phase(self, rows: Columns) -> Iterator[tuple[int, Columns]]:
        """The rows that were due in each phase, what is due when two meet in the first of them."""
        ends_ns = self._phase_ends_ns
        if not ends_ns.size:
            yield 0, rows
            return
        due_ns = rows["due_ns"]
        first, last = np.searchsorted(ends_ns, (due_ns.min(), due_ns.max())).tolist()
        if first == last:
            yield first, rows
            return
        phases = np.searchsorted(ends_ns, due_ns)
        for phase in np.unique(phases).tolist():
            yield phase, rows.where(phases == phase)

    def _add_part(self, tally: Tally, time_ns: int, rows: Columns) -> Turns[None]:
        """Count rows that ended in one interval and were due in one phase."""
        if rows.has(NOT_STARTED):
            not_started = rows.flagged(NOT_STARTED)
            self._add_not_started(tally, rows.where(not_started))
            rows = rows.where(~not_started)
        yield
        self._add_sessions(tally, rows)
        yield
        if len(rows) and rows["step"].min() < 0:
            rows = rows.where(rows["step"] >= 0)
        if len(rows):
            yield from self._add_requests(tally, time_ns, rows)

    def _add_not_started(self, tally: Tally, rows: Columns) -> None:
        tally.add_not_started(rows)
        self._count_due(rows["due_ns"], rows["due_ns"][~rows.flagged(CANCELLED)])
        for name, flag in (("dropped", DROPPED), ("withheld", WITHHELD), ("cancelled", CANCELLED)):
            self._timeline.count(name, rows["due_ns"][rows.flagged(flag)])

    def _add_sessions(self, tally: Tally, rows: Columns) -> None:
        tally.add_sessions(rows)
        is_first, is_last = rows.flagged(FIRST), rows.flagged(LAST)
        begins_ns, ends_ns = rows["start_ns"][is_first], rows["end_ns"][is_last]
        due_ns = rows["due_ns"][is_first]
        self._count_due(due_ns, due_ns)
        self._timeline.count("started", begins_ns)
        self._timeline.users.add(begins_ns, ends_ns)

    def _count_due(self, due_ns: Column, came_ns: Column) -> None:
        """Count sessions that were due, and note the last whose time came."""
        self._timeline.count("due", due_ns)
        if came_ns.size:
            self._last_due_ns = max(self._last_due_ns or 0, int(came_ns.max()))

    def _add_requests(self, tally: Tally, time_ns: int, rows: Columns) -> Turns[None]:
        yield from tally.add_requests(rows)
        yield
        if self._pulse is not None:
            self._pulse.add(rows["start_ns"], rows["end_ns"])
            yield
        self._timeline.requests.add(rows["start_ns"], rows["end_ns"])
        yield
        successes = int(np.count_nonzero(rows.flagged(SUCCESS)))
        self._timeline.add(
            time_ns,
            requests=len(rows),
            successes=successes,
            failures=len(rows) - successes,
            bytes_out=int(rows["bytes_out"].sum()),
            bytes_in=int(rows["bytes_in"].sum()),
        )


def _ledger(tallies: Tallies) -> Ledger:
    """What became of the sessions of all of them."""
    return reduce(Ledger.__add__, (tally.ledger(None) for tally in tallies.values()), Ledger())
