"""Think times: how long a virtual user rests between two iterations.

Each is a pure function of the run's seed, the user and how many iterations it has made, so that it
depends neither on the shard nor on what other users do.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

import attrs

from flux.config.problems import Violation
from flux.config.rules import at_least
from flux.config.structure import structure
from flux.randomness import uniform
from flux.units import Duration, UnitError

Distribution = Literal["constant", "uniform", "normal", "exponential", "poisson"]

_SLOT = 0x7468696E6B
"""The slot of a user's first think time, which takes two: far from those of templates."""


@attrs.frozen(kw_only=True)
class ThinkTable:
    """The inline table of a think time; the distributions are those of the arrival generators."""

    use: Distribution = "constant"
    """How think times vary; `poisson` says the same as `exponential`."""
    every: Duration
    """Mean think time, before `min` and `max`."""
    min: Duration | None = None
    """Shortest think time; shorter ones become this long. No bound when absent."""
    max: Duration | None = None
    """Longest think time; longer ones become this long. No bound when absent."""
    jitter: Annotated[float, at_least(0)] | None = None
    """For `uniform` the half width (at most 1), for `normal` the standard deviation, both as a
    fraction of the mean; 0.3 when absent."""

    def check(self) -> Iterator[Violation]:
        """Rules about fields taken together."""
        if self.min is not None and self.max is not None and self.min > self.max:
            yield Violation("must not be longer than max", key="min")
        if self.jitter is not None and self.use not in ("uniform", "normal"):
            yield Violation(f"means nothing for {self.use}", key="jitter")
        if self.use == "uniform" and (self.jitter or 0) > 1:
            yield Violation("must be at most 1 for uniform", key="jitter")


@attrs.frozen
class Think:
    """A think time: a duration, or a table that says how durations vary.

    In TOML `"1s"`, or `{ use = "exponential", every = "1s", min = "100ms", max = "10s" }`.
    """

    table: ThinkTable

    type_text: ClassVar[str] = 'a duration, as in "1s", or a table that names a distribution'
    written_as: ClassVar[type] = ThinkTable

    @classmethod
    def from_toml(cls, value: Any) -> Self:
        """Read a duration or a table.

        Raises:
            Violation: if it is neither, or a key of the table is wrong; several in a group.
        """
        if type(value) is str:
            try:
                return cls(ThinkTable(every=Duration.parse(value)))
            except UnitError as error:
                raise Violation('must be a duration, as in "30s"', hint=error.hint) from error
        if type(value) is not dict:
            raise Violation(
                "must be a duration or a table",
                hint='write "1s", or { use = "exponential", every = "1s" }',
            )
        table, problems = structure(ThinkTable, value)
        if table is None:
            found = [
                Violation(one.rule, key=str(one.path[0]) if one.path else None, hint=one.hint)
                for one in problems
            ]
            raise found[0] if len(found) == 1 else ExceptionGroup("think", found)
        return cls(table)

    def draw_ns(self, seed: int, user: int, done: int) -> int:
        """The think time of a user that has made so many iterations, at least 0."""
        table = self.table
        drawn = round(table.every * _draw(table, seed, user, _SLOT + 2 * done))
        if table.min is not None and drawn < table.min:
            return int(table.min)
        if table.max is not None and drawn > table.max:
            return int(table.max)
        return drawn


def _draw(table: ThinkTable, seed: int, user: int, slot: int) -> float:
    """A think time in units of its mean, before clamping; the formulas are the generators'."""
    if table.use == "constant":
        return 1.0
    u = uniform(seed, user, slot)
    if table.use in ("exponential", "poisson"):
        return -math.log1p(-u)
    jitter = 0.3 if table.jitter is None else table.jitter
    if table.use == "uniform":
        return 1.0 + (2.0 * u - 1.0) * jitter
    angle = 2.0 * math.pi * uniform(seed, user, slot + 1)
    return max(0.0, 1.0 + math.sqrt(-2.0 * math.log1p(-u)) * math.cos(angle) * jitter)
