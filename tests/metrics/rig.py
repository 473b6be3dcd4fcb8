"""A run as the sinks of metrics know it, without a run: its summaries, and what it tells."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import trio

from flux.metrics.family import Dialect, Family
from flux.metrics.meter import Meter
from flux.metrics.names import dialect_of
from flux.phases import Phase
from flux.stage import Context
from flux.summary import Summary
from tests.outcomes import STEPS, make_context

REQUESTS = (("GET", "/login"), ("GET", "/list/{{id}}"), ("POST", "/buy"))
ONE_TARGET = {"targets": ("shop",), "target_urls": ("https://shop.test/api",)}
PHASES = (Phase("rise", 0, 2 * 10**9, is_warmup=True), Phase("rest", 2 * 10**9, None))


@attrs.frozen
class StillClock:
    """A clock that stands still a second after the run began."""

    is_live: bool = True

    def now_ns(self) -> int:
        """The time."""
        return 10**9

    async def wait_until(self, time_ns: int) -> None:
        """Nobody waits for it."""
        raise NotImplementedError


def context_of(
    *, status: Mapping[str, Any] | None = None, steps: Sequence[str] = STEPS, **told: Any
) -> Context:
    """What a sink is told; `status` is what some stage tells of itself."""
    of_run = {
        name: told.pop(name) for name in ("folder", "planned", "open_sessions") if name in told
    }
    context = make_context(steps=steps, clock=StillClock(), **of_run)
    run = attrs.evolve(context.run, status=lambda: {"stage": dict(status or {})})
    return attrs.evolve(
        context, run=run, stage="sink", **{"requests": REQUESTS, **ONE_TARGET, **told}
    )


def meter_of(
    context: Context | None = None, names: str = "otel", max_series: int = 500, **more: Any
) -> Meter:
    """A meter that has seen nothing yet."""
    dialect: Dialect = more.pop("dialect", None) or dialect_of(names)
    return Meter(context or context_of(), dialect, max_series)


async def metered(summaries: Sequence[Summary], **options: Any) -> Meter:
    """A meter that has seen these."""
    meter = meter_of(**options)
    for summary in summaries:
        await meter.take(summary)
    return meter


def metered_now(summaries: Sequence[Summary], **options: Any) -> Meter:
    """The same where there is no loop."""

    async def main() -> Meter:
        return await metered(summaries, **options)

    return trio.run(main)


def family(meter: Meter, name: str) -> Family:
    """A metric by its name."""
    return next(one for one in meter.families if one.name == name)


def values(meter: Meter, name: str) -> list[tuple[dict[str, str | int], Any]]:
    """The points of a metric as they are now: attributes and value."""
    points = meter.points(family(meter, name), meter.read())
    return [(dict(point.attributes), point.value) for point in points]


def total(meter: Meter, name: str, **wanted: str | int) -> Any:
    """The sum of the points that have these attributes, dots written as two underscores."""
    chosen = {key.replace("__", "."): value for key, value in wanted.items()}
    return sum(
        value for attributes, value in values(meter, name) if chosen.items() <= attributes.items()
    )
