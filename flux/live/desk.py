"""What a run answers to those who ask, and does when it is told.

Nothing is computed unless somebody asks, but for the sums of the intervals, and nothing is made up:
what is not known is null.
"""

from typing import Any

import attrs

from flux.graph import Pipeline
from flux.live.protocol import BadRequest, Request
from flux.screen.frames import FrameMaker
from flux.screen.standing import standing_of
from flux.stage import Run

MOST_FACTOR = 1000.0
"""A larger one is a slip of the finger."""


class Desk:
    """Knows a run from when it is wired, and steers it."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Begin before the run does."""
        self._base_per_s = _base_per_s(pipeline)
        self._run: Run | None = None
        self._frames: FrameMaker | None = None

    def open(self, run: Run, frames: FrameMaker) -> None:
        """The run is wired: from now on there is something to ask for."""
        self._run, self._frames = run, frames

    def handle(self, request: Request) -> dict[str, Any]:
        """Do what is asked, and return the status after it.

        Raises:
            BadRequest: it cannot be done.
        """
        run = self._run
        if run is None:
            raise BadRequest("the run is still being prepared; try again in a moment")
        if request.command != "status":
            self._steer(run, request)
        return self.status(run)

    def _steer(self, run: Run, request: Request) -> None:
        control = run.control
        if control.stopping.is_set() and request.command != "abort":
            raise BadRequest("the run is stopping: there is nothing to steer any more")
        if request.command == "pause":
            self._pause(run, pause=True)
        elif request.command == "resume":
            self._pause(run, pause=False)
        elif request.command == "rate":
            self._set_rate(run, request)
        elif request.command == "spike":
            self._start_spike(run, request)
        elif request.command == "stop":
            run.mark("control", "stop: no more arrivals, draining")
            control.stop()
        else:
            run.mark("control", "abort: giving up what is in flight")
            control.abort()

    def _pause(self, run: Run, *, pause: bool) -> None:
        if run.control.paused is pause:
            raise BadRequest("the run is paused already" if pause else "the run is not paused")
        run.mark("control", "pause: the level is 0" if pause else "resume: the plan's level again")
        if pause:
            run.control.pause()
        else:
            run.control.resume()

    def _set_rate(self, run: Run, request: Request) -> None:
        values = request.values
        if len(values) != 1:
            raise BadRequest("rate needs a factor, as in ×1.5, or a rate, as in 200/s")
        if "per_s" in values:
            if self._base_per_s is None:
                raise BadRequest("the plan has no one rate to compare with; give a factor")
            factor = values["per_s"] / self._base_per_s
        else:
            factor = values["factor"]
        if not 0 <= factor <= MOST_FACTOR:
            raise BadRequest(f"the factor must be from 0 to {MOST_FACTOR:g}, got {factor:g}")
        run.mark("control", f"rate ×{factor:g} of the plan (was ×{run.control.scale:g})")
        run.control.scale = factor

    def _start_spike(self, run: Run, request: Request) -> None:
        factor, seconds = request.values.get("factor", 3.0), request.values.get("seconds", 20.0)
        if not 0 <= factor <= MOST_FACTOR:
            raise BadRequest(f"the factor must be from 0 to {MOST_FACTOR:g}, got {factor:g}")
        if not 0.1 <= seconds <= 86_400:
            raise BadRequest(f"a spike must last from 0.1 s to a day, got {seconds:g} s")
        run.mark("control", f"spike ×{factor:g} for {seconds:g} s")
        run.control.start_spike(run.clock.now_ns(), factor, round(seconds * 1e9))

    def status(self, run: Run) -> dict[str, Any]:
        """How the run is right now, as plain data; see docs/live.md."""
        frame = {} if self._frames is None else self._frames.frame()
        return {
            **standing_of(run),
            "planned": run.planned(),
            # Of the last whole interval, and up to its end.
            "known_until_ns": frame.get("elapsed_ns"),
            "due_per_s": frame.get("due_per_s"),
            "started_per_s": frame.get("started_per_s"),
            "requests_per_s": frame.get("requests_per_s"),
            "sessions": frame.get("sessions"),
            "started": frame.get("sessions", {}).get("started"),
            "total": frame.get("total"),
            "steps": frame.get("steps"),
            "errors": frame.get("errors"),
            "phases": frame.get("phases"),
            "edges": run.edges(),
            "marks": [attrs.asdict(mark) for mark in run.marks[-5:]],
        }


def _base_per_s(pipeline: Pipeline) -> float | None:
    """The rate of the only source, if there is one and it has a rate."""
    sources = [node.stage for node in pipeline.nodes if not node.inputs]
    rate = getattr(sources[0], "rate", None) if len(sources) == 1 else None
    return float(rate) if rate else None
