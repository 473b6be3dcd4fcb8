"""Phases: named parts of a run, one after another, each with a load of its own.

Strategy. A phase changes no machinery: it holds stages that stand in for those of the same name
while it lasts. The demand's rows are cut where one phase ends and the next begins, and everything
below, the pacer first, goes on over the boundary as if nothing had happened. Warm-up without phases
is two phases that change nothing: the warm-up, and the rest.

What is due when two phases meet belongs to the first of them: an arrival is what the demand *up to*
its due time comes to. So phase i holds start < due ≤ end, save that the first also has what is due
at 0, and the last whatever comes after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import attrs
import numpy as np
import numpy.typing as npt

from flux.config.problems import Violation
from flux.config.rules import NotEmpty, above
from flux.units import Duration

WARMUP_NAME = "warm-up"
"""What the warm-up of a run without phases is called."""

REST_NAME = "measured"
"""What the rest of such a run is called."""


@attrs.frozen(kw_only=True)
class PhaseTable:
    """A phase as it is written."""

    name: Annotated[str, NotEmpty()]
    """What results and messages call the phase; no two have the same."""
    duration: Annotated[Duration, above(0)]
    """How long it lasts."""
    warmup: bool = False
    """True: what is due in it is shown, and left out of everything that is judged."""
    stage: Mapping[str, Any] = attrs.field(factory=dict)
    """What it changes: keys of generators and shapers by the stage's name, as in
    `stage.constant = { rate = "200/s" }`; what it does not say stays as the stage has it."""

    def check(self) -> Iterator[Violation]:
        """The name is written into keys, screens and files."""
        if not self.name.isprintable() or "." in self.name:
            yield Violation("must be one line of printable text without dots", key="name")


@attrs.frozen
class Phase:
    """A part of a run."""

    name: str
    start_ns: int
    end_ns: int | None
    """None: it goes on until the run ends."""
    is_warmup: bool = False
    """True: what is due in it is left out of everything that is judged."""
    stages: Mapping[str, Any] = attrs.field(factory=dict)
    """Generators and shapers that stand in for those of the same name while it lasts."""

    @property
    def title(self) -> str:
        """Its name, marked if it is warm-up."""
        return titled(self.name, self.is_warmup)

    def source(self, name: str, source: Any) -> Any:
        """The generator of that name as it is in this phase, ending where the phase ends."""
        source = self.stages.get(name, source)
        if self.end_ns is not None and getattr(source, "duration", None) is not None:
            source = attrs.evolve(source, duration=Duration(self.end_ns - self.start_ns))
        return source


def phases_of(
    tables: Sequence[PhaseTable],
    warmup_ns: int | None,
    duration_ns: int | None,
    stages: Sequence[Mapping[str, Any]] = (),
) -> tuple[Phase, ...]:
    """The phases of a run; none if it has neither phases nor warm-up.

    Args:
        tables: the phases as written.
        warmup_ns: how long the warm-up of a run without phases is.
        duration_ns: when the run ends; phases that would begin no sooner are left out.
        stages: what stands in for which stage in each of the phases.
    """
    if not tables and warmup_ns is not None:
        return (
            Phase(WARMUP_NAME, 0, warmup_ns, is_warmup=True),
            Phase(REST_NAME, warmup_ns, duration_ns),
        )
    found: list[Phase] = []
    start_ns = 0
    for index, table in enumerate(tables):
        if duration_ns is None or start_ns < duration_ns:
            own = stages[index] if index < len(stages) else {}
            end_ns = start_ns + int(table.duration)
            found.append(Phase(table.name, start_ns, end_ns, table.warmup, own))
        start_ns += int(table.duration)
    return tuple(found)


def length_of(tables: Sequence[PhaseTable]) -> Duration:
    """How long phases are together."""
    return Duration(sum(int(table.duration) for table in tables))


def titled(name: str, is_warmup: bool) -> str:
    """The name of a phase for people, marked if it is warm-up and does not say so itself."""
    is_marked = is_warmup and name != WARMUP_NAME
    return f"{name} ({WARMUP_NAME})" if is_marked else name


def starts_of(phases: Sequence[Phase]) -> npt.NDArray[np.int64]:
    """Where each phase begins: (n,) int64, nanoseconds, ascending."""
    return np.array([phase.start_ns for phase in phases], np.int64)
