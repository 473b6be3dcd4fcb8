"""The keys of `[budget]`: what a run may spend, and whether it has. Pure."""

from collections.abc import Iterator
from typing import Annotated

import attrs

from flux.config.problems import Violation
from flux.config.rules import AtLeast, at_least
from flux.units import Size


@attrs.frozen(kw_only=True)
class Spending:
    """What a run has spent so far."""

    requests: int = 0
    """That ended."""
    bytes_: int = 0
    """Of bodies, both ways."""
    errors: int = 0

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(
            requests=self.requests + other.requests,
            bytes_=self.bytes_ + other.bytes_,
            errors=self.errors + other.errors,
        )


@attrs.frozen(kw_only=True)
class Budget:
    """What a run may spend: when the first of these is reached, it stops with exit code 108."""

    requests: Annotated[int, at_least(1)] | None = None
    """Requests; a session under way counts as one that is still to end."""
    bytes_: Annotated[Size, AtLeast(Size.parse("1B"))] | None = None
    """Bytes of request and response bodies together, as in "2GiB"."""
    errors: Annotated[int, at_least(1)] | None = None
    """Requests that failed."""

    def check(self) -> Iterator[Violation]:
        """There must be something to bound."""
        if self.requests is None and self.bytes_ is None and self.errors is None:
            yield Violation("needs one of requests, bytes, errors", hint="write requests = 100_000")

    def spent(self, spending: Spending, under_way: int) -> str | None:
        """What is used up, as one line; None if there is something of everything left.

        Args:
            spending: so far.
            under_way: sessions that are not over, 0 if that is not known.
        """
        if self.requests is not None and spending.requests + under_way >= self.requests:
            ended = f"{spending.requests:,} ended"
            return f"{self.requests:,} requests are spent ({ended}, {under_way:,} under way)"
        if self.bytes_ is not None and spending.bytes_ >= self.bytes_:
            return f"{self.bytes_} are spent"
        if self.errors is not None and spending.errors >= self.errors:
            return f"{self.errors:,} errors are spent"
        return None
