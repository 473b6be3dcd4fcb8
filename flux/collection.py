"""From OUTCOME rows to summaries: the collector without its clock and channels.

Strategy. A row belongs to the interval in which it ended. Each interval has a `Tally`; when it is
closed, its summary is made and its tally added to that of the whole run, so rows are recorded once.
A row that comes in after its interval was closed counts in the oldest one that is open; its counts
in the series still go where they belong.
"""

from collections.abc import Iterator, Sequence

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
    Columns,
)
from flux.schemas import Rows
from flux.standstill import Pulse
from flux.summary import StepSummary, Summary
from flux.tally import Tally
from flux.timeline import Timeline


class Collection:
    """What is known of a run so far."""

    def __init__(
        self,
        steps: Sequence[str],
        interval_ns: int,
        *,
        targets: Sequence[str] = (),
        has_users: bool = False,
    ) -> None:
        """Begin with nothing known.

        Args:
            steps: names of the run's steps; `step` in a row is an index into them.
            interval_ns: how long an interval is.
            targets: names of the run's targets; `target` in a row is an index into them.
            has_users: somebody waits for an answer before going on, so that a stall hides requests.
        """
        self._steps = tuple(steps)
        self._targets = tuple(targets)
        self._interval_ns = interval_ns
        self._timeline = Timeline(interval_ns)
        self._pulse = Pulse() if has_users else None
        self._whole = self._new_tally()
        self._open: dict[int, Tally] = {}
        self._first_open = 0
        self.newest_ns = 0
        """The latest end of a row seen so far."""

    def _new_tally(self) -> Tally:
        return Tally(len(self._steps), len(self._targets))

    def add(self, rows: Rows) -> None:
        """Count a batch.

        Args:
            rows: (n,) OUTCOME, in any order.

        Raises:
            IndexError: a row's step or target is not one of the run's.
        """
        if not rows.size:
            return
        end_ns = rows["end_ns"].astype(np.int64)
        oldest_ns, newest_ns = int(end_ns.min()), int(end_ns.max())
        self.newest_ns = max(self.newest_ns, newest_ns)
        if self._number(oldest_ns) == self._number(newest_ns):
            self._add_part(self._number(newest_ns), Columns(rows))
            return
        numbers = np.maximum(end_ns, 0) // self._interval_ns
        for number in np.unique(numbers).tolist():
            self._add_part(number, Columns(rows[numbers == number]))

    def close(self, until_ns: int) -> Iterator[Summary]:
        """Close the intervals that end by then, and summarise each.

        Args:
            until_ns: rows that ended before this time are thought to be here.
        """
        while (self._first_open + 1) * self._interval_ns <= until_ns:
            yield self._close_first()

    def finish(self, end_ns: int, planned: int | None) -> Iterator[Summary]:
        """Close what is open, and at last summarise the whole run; add nothing afterwards.

        Args:
            end_ns: when the run ended, if no row ended later.
            planned: arrivals released, None if not known.
        """
        yield from self.close(self.newest_ns)
        while self._open:
            yield self._close_first()
        end_ns = max(end_ns, self.newest_ns)
        if end_ns > 0:
            self._timeline.add(end_ns - 1)
        steps = self._whole.steps(self._steps)
        targets = self._whole.targets(self._targets)
        if len(self._targets) == 1:
            targets = (StepSummary(self._targets[0]).merge(steps),)
        yield Summary(
            start_ns=0,
            end_ns=end_ns,
            is_final=True,
            steps=steps,
            targets=targets,
            sessions=self._whole.ledger(planned),
            held_sessions=self._whole.held_sessions,
            skipped_steps=self._whole.skipped_steps,
            series=self._timeline.series(),
            pulse=self._pulse,
        )

    def _close_first(self) -> Summary:
        start_ns = self._first_open * self._interval_ns
        tally = self._open.pop(self._first_open, None) or self._new_tally()
        self._first_open += 1
        self._whole.merge(tally)
        steps = tally.steps(self._steps)
        summary = Summary(
            start_ns=start_ns,
            end_ns=start_ns + self._interval_ns,
            is_final=False,
            steps=steps,
            targets=tally.targets(self._targets),
            sessions=tally.ledger(None),
            held_sessions=tally.held_sessions,
            skipped_steps=tally.skipped_steps,
        )
        self._timeline.set_response(start_ns, summary.total.response)
        return attrs.evolve(summary, series=self._timeline.row(start_ns))

    def _number(self, time_ns: int) -> int:
        """Which interval a time is in."""
        return max(time_ns, 0) // self._interval_ns

    def _add_part(self, number: int, rows: Columns) -> None:
        """Count rows that ended in one interval."""
        time_ns = number * self._interval_ns
        number = max(number, self._first_open)
        if number not in self._open:
            self._open[number] = self._new_tally()
        tally = self._open[number]
        if rows.has(NOT_STARTED):
            not_started = rows.flagged(NOT_STARTED)
            self._add_not_started(tally, rows.where(not_started))
            rows = rows.where(~not_started)
        self._add_sessions(tally, rows)
        if len(rows) and rows["step"].min() < 0:
            rows = rows.where(rows["step"] >= 0)
        if len(rows):
            self._add_requests(tally, time_ns, rows)

    def _add_not_started(self, tally: Tally, rows: Columns) -> None:
        tally.add_not_started(rows)
        self._timeline.count("due", rows["due_ns"])
        for name, flag in (("dropped", DROPPED), ("withheld", WITHHELD), ("cancelled", CANCELLED)):
            self._timeline.count(name, rows["due_ns"][rows.flagged(flag)])

    def _add_sessions(self, tally: Tally, rows: Columns) -> None:
        tally.add_sessions(rows)
        is_first, is_last = rows.flagged(FIRST), rows.flagged(LAST)
        begins_ns, ends_ns = rows["start_ns"][is_first], rows["end_ns"][is_last]
        self._timeline.count("due", rows["due_ns"][is_first])
        self._timeline.count("started", begins_ns)
        self._timeline.users.add(begins_ns, ends_ns)

    def _add_requests(self, tally: Tally, time_ns: int, rows: Columns) -> None:
        tally.add_requests(rows)
        if self._pulse is not None:
            self._pulse.add(rows["start_ns"], rows["end_ns"])
        self._timeline.requests.add(rows["start_ns"], rows["end_ns"])
        successes = int(np.count_nonzero(rows.flagged(SUCCESS)))
        self._timeline.add(
            time_ns,
            requests=len(rows),
            successes=successes,
            failures=len(rows) - successes,
            bytes_out=int(rows["bytes_out"].sum()),
            bytes_in=int(rows["bytes_in"].sum()),
        )
