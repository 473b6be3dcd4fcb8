"""What is known of a process that made load: whether it may have been what was measured."""

from collections.abc import Mapping

import attrs

from flux.histogram import Histogram


@attrs.frozen
class Generator:
    """A process of the load generator, over the time in which sessions ran. It can be pickled."""

    name: str = ""
    """Which process: "worker 1"; empty for the one that the run was started in."""
    cpu_s: float | None = None
    """CPU time it took, all threads; None if not known."""
    wall_s: float = 0.0
    """How long it ran."""
    held_up_s: Mapping[str, float] = attrs.field(factory=dict)
    """Seconds for which rows waited because a stage could not keep up, by that stage's name."""
    lateness: Histogram = attrs.field(factory=Histogram, repr=False)
    """How late the event loop ran what was due, a value for every 20 ms of the time; a stall of
    150 ms is seven or eight values, from 150 ms downwards."""

    @property
    def cores(self) -> float | None:
        """Share of a core that it kept busy; None if not known."""
        return None if self.cpu_s is None or not self.wall_s else self.cpu_s / self.wall_s
