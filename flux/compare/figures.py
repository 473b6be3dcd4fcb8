"""What is compared of each step, and how many values it takes to judge it. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs
import numpy as np

from flux.compare.draws import Draws, mean_draws, quantile_draws, rate_draws, share_draws
from flux.summary import StepSummary

FEWEST: Final[Mapping[str, int]] = MappingProxyType(
    {"rate": 30, "errors": 30, "mean": 30, "p50": 20, "p95": 200, "p99": 1000}
)
"""Values that each run must have: of a percentile so many that ten are expected above it."""

TIMES: Final = ("mean", "p50", "p95", "p99")
"""Figures of a latency."""

FIGURES: Final = ("rate", "errors", *TIMES)
"""Figures of a step, by their names on the command line."""


@attrs.frozen
class Sample:
    """What one run has shown of one step."""

    step: StepSummary
    seconds: float
    """How long the run was, without warm-up."""
    latency: str = "response"
    """Which of its times: response or service."""
    quoted_ns: Mapping[str, int] | None = None
    """Figures of its times, where there are no values behind them."""

    def is_quoted(self, figure: str) -> bool:
        """Whether a figure has no values behind it, and so no interval."""
        return figure in TIMES and self.quoted_ns is not None

    def count(self, figure: str) -> int:
        """How many values a figure stands on."""
        if self.is_quoted(figure):
            return self.step.requests
        return int(
            getattr(self.step, self.latency).count if figure in TIMES else self.step.requests
        )

    def value(self, figure: str) -> float | None:
        """The figure: nanoseconds, per second, or a share; None without any values."""
        if figure == "rate":
            return self.step.requests / self.seconds if self.seconds > 0 else None
        if not self.count(figure):
            return None
        if self.quoted_ns is not None and figure in TIMES:
            return self.quoted_ns.get(figure)
        if figure == "errors":
            return self.step.failures / self.step.requests
        histogram = getattr(self.step, self.latency)
        if figure == "mean":
            return float(histogram.mean_ns)
        return float(histogram.percentile(float(figure[1:])))

    def draws(self, figure: str, random: np.random.Generator) -> Draws:
        """What the figure might have been; there must be enough values."""
        if figure == "rate":
            return rate_draws(self.step.requests, self.seconds, random)
        if figure == "errors":
            return share_draws(self.step.failures, self.step.requests, random)
        histogram = getattr(self.step, self.latency)
        if figure == "mean":
            return mean_draws(histogram, random)
        return quantile_draws(histogram, float(figure[1:]), random)
