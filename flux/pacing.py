"""The pacer's arithmetic: from a demand curve and a stream of gaps to the time of every arrival.

Theory of operation. Let level(t) be the wanted arrivals per second and Λ(t) = ∫₀ᵗ level the number
wanted by t. With gaps g₁, g₂, … of unit mean, the k-th arrival is due at Λ⁻¹(g₁ + … + g_k). This
is time rescaling: in *operational time* Λ the process has unit rate, and Λ⁻¹ stretches it to the
wanted one. For exponential gaps the result is exactly the non-homogeneous Poisson process with
intensity level(t); for constant gaps it is the deterministic process with |N(t) - Λ(t)| < 1; for
any other it is the modulated renewal process. Source: E. Çinlar, Introduction to Stochastic
Processes (1975), §4.7; P. A. W. Lewis and G. S. Shedler, Naval Research Logistics Quarterly 26
(1979).

A row of DEMAND from t₀, d seconds long, has a level linear from a to b. With s = (b - a)/d, the
operational time x after the row's start is reached when

    a·t + s·t²/2 = x,   so   t = 2x / (a + √(a² + 2·s·x)),

the root that stays exact when s or a vanishes. Sums run strictly from left to right and gaps come
in blocks of fixed size, so the arrivals are the same bit for bit however the rows are batched.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from flux.errors import FluxError
from flux.schemas import ARRIVAL, Rows, read_only
from flux.stage import Shard
from flux.turns import Turns, at_once

MAX_ARRIVALS_AT_ONCE = 1e8
"""In one call: more do not fit into memory."""

_ROUNDING = 1e-9
"""Operational time by which a sum of levels may miss a whole arrival through rounding."""


class Pacer:
    """Turns rows of DEMAND, in order, into the arrivals that are due in them."""

    def __init__(
        self,
        gap_blocks: Iterator[npt.NDArray[np.float64]],
        *,
        count: int | None = None,
        shard: Shard | None = None,
    ) -> None:
        """Begin at time 0.

        Args:
            gap_blocks: endless blocks of gaps with unit mean.
            count: how many arrivals there are at the most, over all shards.
            shard: which of them are returned; all if None.
        """
        self._gap_blocks = gap_blocks
        self._count = count
        self._shard = shard or Shard()
        self._integral = 0.0  # Λ at the end of the rows seen so far
        self._points = np.empty(0)  # operational times that were drawn and are not yet reached
        self._last_point = 0.0  # the last operational time drawn
        self._seq = 0  # number of the next arrival

    @property
    def is_finished(self) -> bool:
        """True once `count` arrivals were made."""
        return self._count is not None and self._seq >= self._count

    def arrivals(self, demand: Rows) -> Rows:
        """The arrivals of these rows, which follow those of the call before.

        Returns:
            (n,) ARRIVAL, ascending in seq and in due_ns.
        """
        return at_once(self.arrivals_in_turns(demand))

    def arrivals_in_turns(self, demand: Rows) -> Turns[Rows]:
        """The same in turns; the next call is for when they are over."""
        seconds = (demand["end_ns"] - demand["start_ns"]) / 1e9
        before = np.cumsum(np.concatenate([[self._integral], _row_integrals(demand)]))
        self._integral = float(before[-1])
        if self._integral - before[0] > MAX_ARRIVALS_AT_ONCE:
            raise FluxError(
                f"{self._integral - before[0]:.3g} arrivals are wanted at once",
                hint="look for a factor or a rate with too many zeros, or take a shorter tick",
            )
        reach = before[1:] + _tolerance(before[1:])
        yield
        points = self._take_points(float(reach[-1]) if len(reach) else 0.0)
        yield
        per_row = np.diff(np.searchsorted(points, reach, side="right"), prepend=0)
        row = np.repeat(np.arange(len(demand)), per_row)
        offset = np.maximum(points - before[row], 0.0)
        yield
        due_s = _invert(offset, demand["level"][row], demand["end_level"][row], seconds[row])
        yield
        start_ns, end_ns = demand["start_ns"][row], demand["end_ns"][row]
        due_ns = np.minimum(start_ns + np.rint(due_s * 1e9).astype(np.int64), end_ns)
        yield
        return self._number(due_ns)

    def _take_points(self, reach: float) -> npt.NDArray[np.float64]:
        """Remove and return the operational times up to `reach`, drawing more as needed."""
        drawn = [self._points]
        while self._last_point <= reach:
            gaps = next(self._gap_blocks)
            points = np.cumsum(np.concatenate([[self._last_point], gaps]))[1:]
            self._last_point = float(points[-1])
            drawn.append(points)
        points = np.concatenate(drawn)
        taken = int(np.searchsorted(points, reach, side="right"))
        self._points = points[taken:]
        return points[:taken]

    def _number(self, due_ns: npt.NDArray[np.int64]) -> Rows:
        """Number the arrivals, end at the count, and keep those of the shard."""
        if self._count is not None:
            due_ns = due_ns[: self._count - self._seq]
        seq = np.arange(self._seq, self._seq + len(due_ns))
        self._seq += len(due_ns)
        if self._shard.count > 1:
            mine = seq % self._shard.count == self._shard.index
            seq, due_ns = seq[mine], due_ns[mine]
        rows = ARRIVAL.empty(len(due_ns))
        rows["seq"], rows["due_ns"] = seq, due_ns
        return read_only(rows)


def integral(demand: Rows) -> float:
    """Arrivals wanted by these rows: the integral of the level over their time."""
    return float(_row_integrals(demand).sum())


def pieces(demand: Rows, arrivals: float = 2e6) -> Iterator[Rows]:
    """The rows in turn, in pieces that come to about so many arrivals, and to a row at least."""
    reached = np.cumsum(_row_integrals(demand))
    start = 0
    while start < len(demand):
        before = reached[start - 1] if start else 0.0
        stop = max(start + 1, int(np.searchsorted(reached, before + arrivals)))
        yield demand[start:stop]
        start = stop


def _row_integrals(demand: Rows) -> npt.NDArray[np.float64]:
    # Nanoseconds are multiplied in before the division, so that 100/s over 100 ms is exactly 10.
    length_ns = demand["end_ns"] - demand["start_ns"]
    integrals: npt.NDArray[np.float64] = (
        (demand["level"] + demand["end_level"]) / 2 * length_ns / 1e9
    )
    return integrals


def _tolerance(operational: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far a running sum may be below the true one; arrivals due within it are still due."""
    return _ROUNDING + operational * (8 * np.finfo(np.float64).eps)


def _invert(
    offset: npt.NDArray[np.float64],
    level: npt.NDArray[np.float64],
    end_level: npt.NDArray[np.float64],
    seconds: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Seconds into a row until its integral is `offset` (the formula at the top)."""
    slope = (end_level - level) / seconds
    root = np.sqrt(np.maximum(level * level + 2.0 * slope * offset, 0.0))
    divisor = level + root
    return np.divide(2.0 * offset, divisor, out=np.zeros_like(offset), where=divisor > 0)
