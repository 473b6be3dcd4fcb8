"""Live control of many processes: every change of the level holds from one moment for all of them.

A worker that paused a tick later than another would have planned other arrivals. So the parent
says from when a change holds, far enough ahead that no worker has released anything from there on,
and the demand stays the same function of time everywhere: in each worker, and in the parent when it
computes what was a dead worker's to do.
"""

from bisect import bisect_left

import attrs

from flux.control import Control, Spike
from flux.release import TICKS_AHEAD
from flux.stage import Run

DELIVERY_NS = 20_000_000
"""Time that a change is given to reach every worker, if a tick is shorter than twice this."""


@attrs.frozen
class Change:
    """What the level is multiplied by, from some time on."""

    after_ns: int
    """It holds after this time: a tick's end, so that no row has two factors inside."""
    scale: float = 1.0
    paused: bool = False
    spike: Spike | None = None
    guard: float = 1.0

    @classmethod
    def of(cls, control: Control, after_ns: int) -> "Change":
        """What the control says now."""
        return cls(after_ns, control.scale, control.paused, control.spike, control.guard)

    def is_same(self, other: "Change") -> bool:
        """Whether both say the same, from whenever."""
        return attrs.evolve(self, after_ns=0) == attrs.evolve(other, after_ns=0)

    def factor_at(self, time_ns: int) -> float:
        """Multiplier of the level."""
        if self.paused:
            return 0.0
        return self.guard * self.scale * (self.spike.factor_at(time_ns) if self.spike else 1.0)


def change_after_ns(run: Run) -> int:
    """The first tick's end that every worker will hear of before it releases what follows."""
    margin_ns = TICKS_AHEAD * run.tick_ns + max(run.tick_ns // 2, DELIVERY_NS)
    return -(-(run.clock.now_ns() + margin_ns) // run.tick_ns) * run.tick_ns


@attrs.define
class Steering:
    """All changes of a run so far."""

    changes: list[Change] = attrs.field(factory=list)
    """In the order of their times, the first from the beginning of the run."""

    def add(self, change: Change) -> None:
        """Note a change, which is later than all others."""
        self.changes.append(change)

    def factor_at(self, time_ns: int) -> float:
        """Multiplier of the level at that time."""
        index = bisect_left(self.changes, time_ns, key=lambda change: change.after_ns)
        return self.changes[max(0, index - 1)].factor_at(time_ns)


@attrs.define
class SteeredControl(Control):
    """The control of a worker: its factors are those that the parent has set, by time."""

    steering: Steering = attrs.field(factory=Steering)

    def add(self, change: Change) -> None:
        """Take over what the parent says."""
        self.steering.add(change)
        # Whoever asks only whether anything was changed sees that; the factor is `factor_at`'s.
        self.scale = float("nan")

    def factor_at(self, time_ns: int) -> float:
        """Multiplier of the level at that time."""
        return self.steering.factor_at(time_ns)
