"""How much more figures vary than those of independent requests would: batch means. Pure.

Theory of operation. Requests that are under way together wait in the same queues, so their times
resemble each other, and a run of n of them tells less than n independent values do. Intervals by
`flux.compare.draws` are then too narrow. But over stretches that are long against the queues'
memory, figures are nearly independent, and how they vary from stretch to stretch shows how the
figure of the whole run varies, whatever goes on inside of a stretch.

The rows of both runs' series are put together in 20 batches each, and the figure of each batch is
taken. Between runs of the same plan whatever the load does on purpose, such as a ramp, is in both
and is no chance; so the difference is taken batch by batch, d₁ … d₂₀, and the half-width of the
interval is t·s/√20, with s the deviation of the dᵢ and t = 2.093, the 97.5th percentile of
Student's distribution with 19 degrees of freedom. Runs that are not equally long are not paired:
then s² is the sum of both variances.

What is compared is a ratio r = T/O, and where T and O are off by small shares, ln r is off by the
difference of these. So dᵢ = Tᵢ/T - Oᵢ/O, each batch as a share of its own run, and the half-width
is one of ln r. (Of shares of errors it is that of their plain difference.)

The last row, which is not a whole one, rows of warm-up, and those at the end in which nothing was
due any more are left out. A percentile of a batch is the mean of those of its rows, weighted by
their requests; rows are of use if half of them have a value above the percentile.

Source: B. Schmeiser, Batch size effects in the analysis of simulation output, Oper. Res. 30 (1982):
10 to 30 batches, of whatever length that makes.
"""

import math

import attrs
import numpy as np
import numpy.typing as npt

from flux.schemas import Rows
from flux.summary import Summary

BATCHES = 20
"""Batches of a run; it needs as many rows at the least."""

STUDENT = 2.093
"""97.5th percentile of Student's distribution with 19 degrees of freedom."""

_PERCENTS = {"p50": 50.0, "p95": 95.0, "p99": 99.0}

Values = npt.NDArray[np.float64]


@attrs.frozen(eq=False)
class Batches:
    """The rows of a run's series that are whole and without warm-up."""

    width_ns: int
    rows: Rows

    @classmethod
    def of(cls, summary: Summary) -> "Batches":
        """The rows of a run."""
        rows, width_ns = summary.series.rows, summary.series.width_ns
        is_used = summary.series.whole_rows(summary.end_ns, summary.warmups_ns)
        # A file of another tool may not tell what was due; then what ended has to do.
        due = np.flatnonzero(rows["due"] if rows["due"].any() else rows["requests"])
        is_used &= np.arange(len(rows)) < (int(due[-1]) if due.size else 0)
        return cls(width_ns, rows[is_used])

    @property
    def has_enough(self) -> bool:
        """Whether there are rows for all batches."""
        return len(self.rows) >= BATCHES

    def values(self, figure: str) -> Values | None:
        """A figure of each batch: (20,); None if its rows have too few requests for that."""
        per_batch = len(self.rows) // BATCHES
        if not per_batch:
            return None
        rows = self.rows[len(self.rows) - per_batch * BATCHES :].reshape(BATCHES, per_batch)
        requests = rows["requests"].astype(np.float64)
        of_batch = requests.sum(axis=1)
        if figure == "rate":
            rates: Values = of_batch / (per_batch * self.width_ns / 1e9)
            return rates
        if (of_batch == 0).any():
            return None
        if figure == "errors":
            shares: Values = rows["failures"].sum(axis=1) / of_batch
            return shares
        if np.median(requests) * (100 - _PERCENTS[figure]) < 100:
            return None
        weighted: Values = (rows[f"{figure}_ns"] * requests).sum(axis=1) / of_batch
        return weighted


def half_width(figure: str, ours: Batches, theirs: Batches) -> float | None:
    """Half of the interval's length; None if it cannot be told.

    Args:
        figure: rate, errors, p50, p95 or p99; of all steps, response times.
        ours: of the baseline.
        theirs: of the other run.

    Returns:
        Of errors in shares, of all else that of the logarithm of the ratio.
    """
    if not (ours.has_enough and theirs.has_enough):
        return None
    is_paired = ours.width_ns == theirs.width_ns and abs(len(ours.rows) - len(theirs.rows)) <= 1
    if is_paired:
        shared = min(len(ours.rows), len(theirs.rows))
        ours, theirs = (attrs.evolve(one, rows=one.rows[:shared]) for one in (ours, theirs))
    our, their = ours.values(figure), theirs.values(figure)
    if our is None or their is None:
        return None
    if figure != "errors":
        if min(our.mean(), their.mean()) <= 0:
            return None
        our, their = our / our.mean(), their / their.mean()
    if is_paired:
        variance = float(np.var(their - our, ddof=1))
    else:
        variance = float(np.var(our, ddof=1) + np.var(their, ddof=1))
    return STUDENT * math.sqrt(variance / BATCHES)
