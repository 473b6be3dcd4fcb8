"""The exact answer: percentiles of the response time under a target that froze once.

Derivation. Requests are due evenly, `rate` of them a second for T seconds, and do not wait for each
other: the open model. The target answers at once (in s, a fraction of a millisecond), but nobody
from F to F + D. A request that is due in the freeze at time t is answered at its end, so its
response time is F + D - t; every other one takes s. As the t are spread evenly over the freeze, so
are the response times over (0, D]. Thus of all requests the share f = D / T is uniform on (0, D],
and the rest takes s, which is less than nearly all of those. With the quantile function of that
mixture, for a share q of all requests,

    Q(q) = s                       for q ≤ 1 - f
    Q(q) = D · (q - (1 - f)) / f   for q > 1 - f

and with T = 10 s, D = 2 s: f = 0.2, p90 = 2 · 0.1/0.2 = 1.0 s, p95 = 1.5 s, p99 = 1.9 s, and 2 s at
the most.

A tool that waits for an answer before it sends the next request, on c connections, has c requests
in the freeze, each of them of about D, however many users would have come. Of N requests that is a
share c/N: 50 of some 4,000 are 1.2 %, so its p95 is s. That is coordinated omission.
"""

import attrs

PERCENTS = (50.0, 90.0, 95.0, 99.0)


@attrs.frozen
class Answer:
    """A scenario, and its percentiles."""

    seconds: float
    """T: how long requests are due."""
    frozen_s: float
    """D: how long the target answers nobody, all of it within T."""

    def percentile_s(self, percent: float) -> float:
        """The response time, seconds; 0 for s, which the scenario does not fix."""
        frozen_share = self.frozen_s / self.seconds
        beyond = percent / 100 - (1 - frozen_share)
        return max(0.0, self.frozen_s * beyond / frozen_share)
