"""The keys of `[breaker]`: when the load is to be taken off a target, and how it comes back."""

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

import attrs

from flux.config.http_url import HttpUrl
from flux.config.problems import Violation
from flux.config.rules import Within, above, at_least
from flux.units import Duration

Latency: TypeAlias = Literal["response", "service"]
Action: TypeAlias = Literal["pause", "stop"]

LIMITS = ("error_share", "p95", "silence")
"""Keys of which there must be at least one."""


@attrs.frozen(kw_only=True)
class Breaker:
    """Takes the load off a target that cannot bear it, tries it with little, and goes on."""

    error_share: Annotated[float, Within(0, 1, high_is_open=True)] | None = None
    """Too many failures: trips when a larger share of the requests in `window` failed."""
    p95: Annotated[Duration, above(0)] | None = None
    """Too slow: trips when the 95th percentile of the requests in `window` is longer."""
    latency: Latency = "response"
    """What `p95` is of: "response" counts from when a request was due, "service" from when it was
    sent."""
    silence: Annotated[Duration, above(0)] | None = None
    """Frozen: trips when sessions are under way and no request has ended for so long."""
    window: Annotated[Duration, above(0)] = Duration.of_seconds(10)
    """How far back requests count, by their end."""
    sustained: Duration = Duration.of_seconds(5)
    """How long it must be too many or too slow without a break before it trips."""
    min_requests: Annotated[int, at_least(1)] = 20
    """With fewer requests in `window` nothing is too many or too slow."""
    action: Action = "pause"
    """What tripping does: "pause" the load and try again, or "stop" the run with exit code 108."""
    cool_down: Annotated[Duration, above(0)] = Duration.of_seconds(30)
    """How long a pause is."""
    probe: Annotated[float, Within(0, 1, low_is_open=True)] = 0.05
    """Share of the load that comes after a pause, to see whether the target is well."""
    probe_for: Annotated[Duration, above(0)] = Duration.of_seconds(10)
    """How long that share is all there is, and longer while no request of it has ended."""
    trips: Annotated[int, at_least(1)] = 3
    """How many pauses there may be; when it would trip once more, the run is stopped."""
    webhook: HttpUrl | None = None
    """Where to POST a JSON object whenever the breaker trips, tries, closes or stops the run."""

    def check(self) -> Iterator[Violation]:
        """There must be something to look at."""
        if self.error_share is None and self.p95 is None and self.silence is None:
            yield Violation(
                f"needs one of {', '.join(LIMITS)}", hint='write error_share = 0.2 or p95 = "2s"'
            )
