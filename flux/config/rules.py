"""Rules that a key's value has to keep, written beside its type: `Annotated[float, above(0)]`.

A rule checks a value that already has the right type and raises `Violation`. `flux explain` prints
its text as the key's range.
"""

from typing import Any, Protocol

import attrs

from flux.config.problems import Violation


class Rule(Protocol):
    """What may stand in `Annotated` beside a type."""

    @property
    def text(self) -> str:
        """The range, for people: `greater than 0`."""

    def check(self, value: Any) -> None:
        """Raise `Violation` if the value is outside."""


@attrs.frozen
class Within:
    """A number between two bounds, each open, closed or absent."""

    low: float | None = None
    high: float | None = None
    low_is_open: bool = False
    high_is_open: bool = False

    @property
    def text(self) -> str:
        """The range, for people."""
        parts = []
        if self.low is not None:
            parts.append(f"{'greater than' if self.low_is_open else 'at least'} {_plain(self.low)}")
        if self.high is not None:
            parts.append(f"{'less than' if self.high_is_open else 'at most'} {_plain(self.high)}")
        return " and ".join(parts)

    def check(self, value: Any) -> None:
        """Raise `Violation` if the value is outside."""
        low, high = self.low, self.high
        low_ok = low is None or value > low or (value == low and not self.low_is_open)
        high_ok = high is None or value < high or (value == high and not self.high_is_open)
        if not (low_ok and high_ok):
            raise Violation(f"must be {self.text}")


@attrs.frozen
class AtLeast:
    """A value with a unit, no smaller than this one."""

    low: Any

    @property
    def text(self) -> str:
        """The range, for people."""
        return f"at least {self.low}"

    def check(self, value: Any) -> None:
        """Raise `Violation` if the value is smaller."""
        if value < self.low:
            raise Violation(f"must be {self.text}")


@attrs.frozen
class NotEmpty:
    """Text, an array or a table with something in it."""

    text: str = "not empty"

    def check(self, value: Any) -> None:
        """Raise `Violation` if there is nothing in it."""
        if not value:
            raise Violation("must not be empty")


def _plain(number: float) -> str:
    """A bound as people write it: no exponent where there is no need of one."""
    return str(int(number)) if number == int(number) and abs(number) < 1e12 else f"{number:g}"


def above(low: float) -> Within:
    """Greater than `low`."""
    return Within(low=low, low_is_open=True)


def at_least(low: float) -> Within:
    """`low` or greater."""
    return Within(low=low)


def between(low: float, high: float) -> Within:
    """From `low` to `high`, both allowed."""
    return Within(low=low, high=high)
