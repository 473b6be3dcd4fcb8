"""Whether targets are healthy: the `[stage.health]` table, and what comes of probes. Pure."""

from collections.abc import Iterator, Mapping
from typing import Annotated

import attrs

from flux.clients.target_choice import OnUnhealthy
from flux.config.problems import Violation
from flux.config.rules import above, at_least
from flux.flows.expect import Status
from flux.flows.step import at, header_violation
from flux.units import Duration


@attrs.frozen(kw_only=True)
class Health:
    """How each target is asked whether it is healthy: GETs that are no part of the load.

    The first probe alone decides how a target begins, and no session starts before it is over.
    """

    path: str
    """Path and query to GET, below the target's own."""
    interval: Annotated[Duration, above(0)] = Duration.parse("1s")
    """From the start of a probe to the start of the next one."""
    timeout: Annotated[Duration, above(0)] = Duration.parse("1s")
    """A probe that has no answer by then has failed."""
    status: Status = Status(frozenset(range(200, 300)))  # noqa: RUF009  # immutable
    """What the answer's status must be: 204, "2xx", or an array of those; "2xx" when absent."""
    rise: Annotated[int, at_least(1)] = 2
    """Probes in a row that must succeed for a target to be healthy again."""
    fall: Annotated[int, at_least(1)] = 3
    """Probes in a row that must fail for a target to be unhealthy."""
    on_unhealthy: OnUnhealthy = "others"
    """What becomes of the sessions of a target that is not healthy: with "others" they go to those
    that are; with "withhold" they are given up and counted as withheld."""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Headers of the probes."""

    def check(self) -> Iterator[Exception]:
        """The path and the headers can be sent."""
        if not self.path.startswith("/"):
            yield Violation("must be a path that begins with /", key="path")
        elif "#" in self.path:
            yield Violation("must not have a fragment: it is never sent", key="path")
        for name, text in self.headers.items():
            if violation := header_violation(name, text):
                yield at(("headers", name), violation)


@attrs.frozen
class Probe:
    """What one probe has shown."""

    latency_ns: int
    """From its start to the answer's status, or to its failure."""
    problem: str = ""
    """Why the target did not answer as it should; empty if it did."""


@attrs.define
class Standing:
    """What is known of one target."""

    name: str
    rise: int
    fall: int
    is_healthy: bool = True
    last: Probe | None = None
    _contrary: int = 0
    """Probes in a row that spoke against `is_healthy`."""

    def take(self, probe: Probe) -> bool:
        """Note a probe; True if the target's health has changed by it."""
        is_first, self.last = self.last is None, probe
        if (not probe.problem) == self.is_healthy:
            self._contrary = 0
            return False
        self._contrary += 1
        needed = 1 if is_first else self.fall if self.is_healthy else self.rise
        if self._contrary < needed:
            return False
        self.is_healthy = not self.is_healthy
        self._contrary = 0
        return True

    @property
    def text(self) -> str:
        """How it stands, as one line."""
        if self.is_healthy:
            return f"target {self.name!r} is healthy again"
        return f"target {self.name!r} is not healthy: {self.last.problem if self.last else ''}"
