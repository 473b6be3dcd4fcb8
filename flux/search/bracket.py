"""Which rate to try next, given how the rates before it went. Pure.

Strategy. From the lowest rate up, the rate grows by a factor until it fails; then the gap between
the highest rate that passed and the lowest that failed is halved until it is narrow enough. Two
things make the answer one to rely on. A rate that fails is tried again, and two tries out of three
decide, so that one bad moment does not end the search; and the rate that would be the answer is
tried once more at the end, and if it fails then, the search goes on below it.

A try that is invalid, because the generator could not keep its plan, says nothing about the target:
the search does not go higher, and says that the generator was the limit.
"""

import enum
import math
from collections.abc import Generator

import attrs


class Verdict(enum.Enum):
    """How a try went."""

    PASSED = "passed"
    """The run was valid, and every threshold held."""
    FAILED = "failed"
    """The run was valid, and a threshold did not hold."""
    INVALID = "invalid"
    """The generator could not keep its plan."""


class Limit(enum.Enum):
    """What kept the search from going higher."""

    TARGET = "the target"
    GENERATOR = "the generator"
    HIGHEST = "the highest rate to try"


@attrs.frozen
class Scope:
    """What is searched, and how finely."""

    lowest: float
    """The rate to begin with, above 0."""
    highest: float
    """The rate to end with, at least `lowest`."""
    precision: float = 0.05
    """Ends when the gap is at most this share of the rate that passed."""
    growth: float = 2.0
    """From one rate to the next while nothing has failed; above 1."""
    is_whole: bool = False
    """Try whole numbers only, as of users."""
    most_tries: int = 60
    """More are not made, whatever is known by then."""


@attrs.frozen
class Answer:
    """What the search has found."""

    sustained: float | None
    """The highest rate that passed and was confirmed; None if not even the lowest did."""
    breaking: float | None
    """The lowest rate that failed or was invalid; None if none did."""
    limit: Limit
    is_confirmed: bool
    """False if the tries ran out before the gap was narrow and its lower end had passed twice."""

    @property
    def base(self) -> float | None:
        """Recommended for steady load: four fifths of what is sustained."""
        return None if self.sustained is None else 0.8 * self.sustained

    @property
    def peak(self) -> float | None:
        """Recommended as the highest of peaks: what is sustained, and clear of what breaks."""
        if self.sustained is None or self.breaking is None:
            return self.sustained
        return min(self.sustained, 0.9 * self.breaking)


Search = Generator[float, Verdict, Answer]
"""Yields the rate to try, is sent how it went, and returns the answer."""


def search(scope: Scope) -> Search:
    """Search for the highest rate that passes; thrown a KeyboardInterrupt, say what is known."""
    state = _State(scope)
    try:
        yield from _probe(state)
        while (rate := state.next_rate()) is not None:
            yield from _settle(state, rate)
    except (_OutOfTries, KeyboardInterrupt):
        return state.answer(is_confirmed=False)
    return state.answer(is_confirmed=True)


class _OutOfTries(Exception):  # not an error: the search ends
    """No more tries are to be made."""


class _State:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.passed: list[float] = []
        """Rates that passed and are below all that failed, ascending."""
        self.failed = math.inf
        self.confirmed: float | None = None
        self.has_invalid = False
        self.tries = 0

    def next_rate(self) -> float | None:
        """Halfway into the gap; the lower end once the gap is narrow; None when that has held."""
        if not self.passed:
            return None
        low = self.passed[-1]
        if self.failed < math.inf and self.failed - low > self.scope.precision * low:
            middle = self._rounded((low + self.failed) / 2)
            if low < middle < self.failed:
                return middle
        return None if self.confirmed == low else low

    def grown(self, rate: float) -> float:
        """The next rate while nothing has failed."""
        next_rate = self._rounded(rate * self.scope.growth)
        return min(max(next_rate, rate + (1 if self.scope.is_whole else 0)), self.scope.highest)

    def _rounded(self, rate: float) -> float:
        return float(round(rate)) if self.scope.is_whole else rate

    def note(self, rate: float, verdict: Verdict) -> None:
        """A rate is settled."""
        if verdict is Verdict.PASSED:
            if rate in self.passed:
                self.confirmed = rate
            else:
                self.passed.append(rate)
            return
        self.has_invalid = verdict is Verdict.INVALID
        self.failed = rate
        self.passed = [one for one in self.passed if one < rate]

    def answer(self, *, is_confirmed: bool) -> Answer:
        """What is known by now."""
        limit = Limit.TARGET
        if self.failed == math.inf:
            limit = Limit.HIGHEST
        elif self.has_invalid:
            limit = Limit.GENERATOR
        return Answer(
            sustained=self.passed[-1] if self.passed else None,
            breaking=None if self.failed == math.inf else self.failed,
            limit=limit,
            is_confirmed=is_confirmed,
        )


def _probe(state: _State) -> Generator[float, Verdict, None]:
    """Grow until a rate fails, or to the highest."""
    rate = state.scope.lowest
    while True:
        yield from _settle(state, rate)
        if state.failed < math.inf or rate >= state.scope.highest:
            return
        rate = state.grown(rate)


def _settle(state: _State, rate: float) -> Generator[float, Verdict, None]:
    """Try a rate: once if it passes, else until two tries agree."""
    verdicts: list[Verdict] = []
    while True:
        if state.tries == state.scope.most_tries:
            raise _OutOfTries
        state.tries += 1
        verdict = yield rate
        if verdict is Verdict.PASSED and not verdicts:
            break
        verdicts.append(verdict)
        if verdicts.count(verdict) == 2 or len(verdicts) == 3:
            break
    state.note(rate, verdict if not verdicts else _majority(verdicts))


def _majority(verdicts: list[Verdict]) -> Verdict:
    """What two of them say; of three different ones, that it failed."""
    agreed = [one for one in verdicts if verdicts.count(one) >= 2]
    return agreed[0] if agreed else Verdict.FAILED
