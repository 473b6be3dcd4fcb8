"""What a shaper may make of a level."""

import math

import attrs
import numpy as np
import pytest

from flux.errors import FluxError
from flux.schemas import DEMAND
from flux.shaping import Factors, Shaper, SmoothProfile, Times


@attrs.frozen
class Odd(Shaper):
    """A factor that is no number, or negative, in the third second."""

    wrong: float

    def factor_at(self, time_ns: Times) -> Factors:
        return np.where(time_ns // 10**9 == 2, self.wrong, 1.0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.5])
def test_a_factor_that_cannot_be_is_an_error_with_its_time(wrong: float) -> None:
    demand = DEMAND.rows((n * 10**9, (n + 1) * 10**9, 10.0, 10.0) for n in range(4))
    with pytest.raises(FluxError, match=r"factor_at gave (nan|inf|-0.5) at 2 s"):
        SmoothProfile(Odd(wrong=wrong)).shape(demand)
