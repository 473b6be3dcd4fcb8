"""What a shaper multiplies a level of 1 with, at given times."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flux.arrivals import demand
from flux.stages.constant import Constant
from flux.testing import plan_contexts
from flux.units import Rate

SECOND = 10**9


def levels_at(
    shaper: Any,
    times_s: Sequence[float],
    *,
    duration_s: float | None = None,
    rate: float = 1.0,
    tick_ns: int = 100_000_000,
    **context: Any,
) -> list[float]:
    """Levels after a jump, if there is one, at times that are ticks or cuts."""
    duration_ns = int((duration_s or max(times_s) + 1) * SECOND)
    source = Constant(rate=Rate(rate))
    told = plan_contexts([source, shaper], duration_ns, tick_ns=tick_ns, **context)
    rows = np.concatenate(list(demand(told[0], rate, None)))
    shaped = shaper.profile(told[1]).shape(rows)
    levels = dict(zip(shaped["start_ns"].tolist(), shaped["level"].tolist()))
    levels[duration_ns] = float(shaped["end_level"][-1])
    return [levels[round(time_s * SECOND)] for time_s in times_s]
