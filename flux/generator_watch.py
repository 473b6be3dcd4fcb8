"""Watches the process that makes the load: its CPU time, its event loop, and who holds up rows.

Strategy. A task of its own wants to run every 20 ms, by a timetable that is fixed beforehand: where
it is late, so is everything else on the loop. A moment that it missed counts with the time until
it ran, like any arrival in the open model, so percentiles are over time and a stall is not one
value among many. Trio's own timers are up to 1 ms late; so no value below that means anything.

Waking up costs some 40 µs, a fifth of a per cent of a core. So values are only noted: to record
them one by one would cost three times as much, and that much more of the load would be late.
"""

import time
from collections.abc import Sequence

import numpy as np

from flux.clock import Clock
from flux.edges import Edge
from flux.generator import Generator
from flux.histogram import Histogram
from flux.schemas import OUTCOME, SUMMARY

PERIOD_NS = 20_000_000

_VALUES_AT_ONCE = 1000


class GeneratorWatch:
    """What this process did from now on, until `close`."""

    def __init__(self, clock: Clock, edges: Sequence[Edge]) -> None:
        """Begin to measure CPU time.

        Args:
            clock: of the run.
            edges: of the run; how long they were held up is looked up at the end.
        """
        self._clock, self._edges = clock, edges
        self._lateness = Histogram()
        self._noted_ns: list[int] = []
        self._began_s, self._cpu_s = time.perf_counter(), time.process_time()
        self._wall_s: float | None = None

    async def watch_loop(self) -> None:
        """Measure how late the loop runs what is due, from the begin of the run until `close`."""
        clock = self._clock
        await clock.wait_until(0)
        began_s, began_ns = time.perf_counter(), clock.now_ns()
        due_ns = began_ns + PERIOD_NS
        while self._wall_s is None:
            await clock.wait_until(due_ns)
            now_ns = clock.now_ns()
            if 2e9 * (time.perf_counter() - began_s) < now_ns - began_ns:
                return  # a virtual clock: time goes by without anybody waiting
            if self._wall_s is None:
                self._noted_ns.extend(range(now_ns - due_ns, -1, -PERIOD_NS))
                if len(self._noted_ns) >= _VALUES_AT_ONCE:
                    self._record_noted()
            due_ns += PERIOD_NS * ((now_ns - due_ns) // PERIOD_NS + 1)

    def _record_noted(self) -> None:
        self._lateness.record(np.array(self._noted_ns, np.int64))
        self._noted_ns.clear()

    def close(self) -> None:
        """Stop measuring: what comes now, as files are closed, no longer touches the load."""
        if self._wall_s is None:
            self._cpu_s = time.process_time() - self._cpu_s
            # A virtual clock may be far ahead of the real one.
            self._wall_s = max(time.perf_counter() - self._began_s, self._clock.now_ns() / 1e9)

    def result(self) -> Generator:
        """What was seen."""
        self.close()
        self._record_noted()
        return Generator(
            cpu_s=self._cpu_s,
            wall_s=self._wall_s or 0.0,
            held_up_s=held_up_s(self._edges),
            lateness=self._lateness,
        )


def held_up_s(edges: Sequence[Edge]) -> dict[str, float]:
    """How long rows waited for each stage that takes rows or summaries, where they did.

    Above the executors waiting is as it should be: plans are made as early as anybody takes them.
    """
    held: dict[str, float] = {}
    for edge in edges:
        if edge.held_s and edge.schema in (OUTCOME, SUMMARY):
            held[edge.consumer] = held.get(edge.consumer, 0.0) + edge.held_s
    return held
