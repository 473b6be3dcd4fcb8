"""Live control of a run: what a signal, a key or a remote caller may change while it runs.

One object, shared by the engine, the pacer and whoever steers. It holds requests, not machinery:
the pacer reads the level's factor once a tick, executors wait for the two events.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import trio

from flux.cancelling_event import CancellingEvent
from flux.errors import ExitCode


@attrs.frozen
class Spike:
    """A short rise of the level that somebody asked for while the run was on."""

    start_ns: int
    factor: float
    """Multiplier at the top."""
    duration_ns: int
    """A third up, linearly; two thirds down, exponentially, meeting 1 without a jump."""

    def factor_at(self, time_ns: int) -> float:
        """Multiplier at that time, 1 outside the spike."""
        x = (time_ns - self.start_ns) / self.duration_ns
        if not 0 <= x < 1:
            return 1.0
        if x < 1 / 3:
            return 1 + (self.factor - 1) * 3 * x
        fall = (x - 1 / 3) * 1.5
        # e^(-3·fall) ends at e^-3; shifted and scaled so that it ends at exactly 0.
        return 1 + (self.factor - 1) * (math.exp(-3 * fall) - math.exp(-3)) / (1 - math.exp(-3))


@attrs.frozen
class Ending:
    """Why something other than the plan or a failure ended a run."""

    text: str
    """One line, for the log and the report."""
    code: ExitCode
    """What it makes the run's exit code, unless something worse is found; OK if people ended it."""


@attrs.define
class Control:
    """What the pacer multiplies the level by, and whether the run is to stop."""

    scale: float = 1.0
    """Multiplies the level from the next tick on."""
    paused: bool = False
    """While True the level is 0; time goes on, and what would have been due is not planned."""
    spike: Spike | None = None
    guard: float = 1.0
    """What a guard multiplies the level by, whatever people set: 0 while a breaker is open."""
    stopping: CancellingEvent = attrs.field(factory=CancellingEvent, init=False)
    """Set: no session starts any more; those in flight are finished within the drain time."""
    aborting: CancellingEvent = attrs.field(factory=CancellingEvent, init=False)
    """Set: what is in flight is given up at once."""
    cancelling: CancellingEvent = attrs.field(factory=CancellingEvent, init=False)
    """Set: every stage is cancelled, whatever it is doing."""
    ending: Ending | None = attrs.field(default=None, init=False)
    """What ended the run early, if it was a threshold, a guard or the like: the first of them."""
    _lingering: list[trio.CancelScope] = attrs.field(factory=list, init=False, repr=False)

    def pause(self) -> None:
        """Hold the level at 0 from the next tick on."""
        self.paused = True

    def resume(self) -> None:
        """Let the plan's level through again."""
        self.paused = False

    def start_spike(self, now_ns: int, factor: float, duration_ns: int) -> None:
        """Raise the level for a while, in place of a spike that may be on."""
        self.spike = Spike(now_ns, factor, duration_ns)

    def stop(self, ending: Ending | None = None) -> None:
        """Stop arrivals, drain, report."""
        if self.ending is None and not self.stopping.is_set():
            self.ending = ending
        self.stopping.set()

    def abort(self) -> None:
        """Stop, and give up what is in flight."""
        self.stopping.set()
        self.aborting.set()

    def cancel(self) -> None:
        """Stop, give up what is in flight, and what is measured too."""
        self.abort()
        self.cancelling.set()

    @contextmanager
    def lingering(self) -> Iterator[None]:
        """A block that the next signal ends, and nothing else: all is measured and written.

        For sinks that wait for somebody outside once their inbox has ended.
        """
        with trio.CancelScope() as scope:
            self._lingering.append(scope)
            try:
                yield
            finally:
                self._lingering.remove(scope)

    def leave(self) -> bool:
        """End such blocks; False if there are none."""
        for scope in self._lingering:
            scope.cancel()
        return bool(self._lingering)

    def factor_at(self, time_ns: int) -> float:
        """Multiplier of the level at that time."""
        if self.paused:
            return 0.0
        return self.guard * self.scale * (self.spike.factor_at(time_ns) if self.spike else 1.0)
