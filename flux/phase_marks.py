"""Marks in the result where one phase ends and the next begins."""

from collections.abc import Sequence

from flux.phases import Phase
from flux.stage import Run
from flux.units import Duration


async def mark_phases(run: Run, phases: Sequence[Phase]) -> None:
    """Mark each phase as it begins, until the run is stopped; of a plan, none."""
    if not run.clock.is_live:
        return
    with run.control.stopping.cancelling():
        for phase in phases:
            await run.clock.wait_until(phase.start_ns)
            run.mark("phase", _text(phase))


def _text(phase: Phase) -> str:
    if phase.end_ns is None:
        return f"phase {phase.title} begins"
    return f"phase {phase.title} begins, for {Duration(phase.end_ns - phase.start_ns)}"
