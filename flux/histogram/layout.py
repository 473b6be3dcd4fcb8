"""Where a value falls: HdrHistogram's bucket layout for 1 µs to 1 h with 3 significant digits.

Theory of operation
===================

Three significant digits mean that neighbouring values may share a counter only if they differ by
less than one part in a thousand. So a range of values twice as wide may use steps twice as wide:
values below 2·10³ need steps of 1, rounded up to a power of two that makes 2048 counters of 1 µs.
Above, each doubling [2^e, 2^(e+1)) is cut into 1024 equal steps of 2^(e-10) µs, which is at most
1/1024 of the value. Twenty-one doublings reach past 3.6·10⁹ µs:

    index       0 …  2047    steps of    1 µs    0 … 2047 µs
    index    2048 …  3071    steps of    2 µs    2048 … 4095 µs
    index    3072 …  4095    steps of    4 µs    4096 … 8191 µs
    …
    index   22528 … 23551    steps of 2²¹ µs     2³¹ … 2³²-1 µs

A value v ≥ 1024 with 2^e ≤ v < 2^(e+1) thus has the index

    1024·(e - 10) + ⌊v / 2^(e-10)⌋  =  1024·(e - 9) + m,    m = ⌊v / 2^(e-10)⌋ - 1024,

in which m, from 0 to 1023, is what follows the leading 1 in the binary digits of v: its first ten.
An IEEE 754 double stores v ≥ 1 as the integer (e + 1023)·2⁵² + (the 52 digits after the leading 1),
so that integer shifted right by 42 is 1024·(e + 1023) + m: one shift and one subtraction give the
index. Below 1024 the index is ⌊v⌋ itself; there the formula yields no more than ⌊v⌋ (at 512 + k it
yields 2k), so the larger of the formula and min(⌊v⌋, 1023) is right everywhere, without a branch.

Why no bit is lost. Values arrive as nanoseconds x ≤ 3.6·10¹² < 2⁵³, so x + 500 is a double
exactly. The division (x + 500) / 1000 is rounded to the nearest double; rounding is monotone and
leaves representable numbers alone, so the quotient is ≥ k if and only if x + 500 ≥ 1000·k, for
every integer k below 2⁵³. All edges of the layout are integers. Hence the index of the rounded
quotient is the index of ⌊(x + 500) / 1000⌋: the nearest microsecond, halves upwards.

Rounding to the nearest, not down, keeps means and percentiles free of a half-microsecond bias, and
what a report prints agrees, digit for digit, with HDR tools that read flux's logs.

Source: Gil Tene, HdrHistogram, http://hdrhistogram.org.
"""

import math
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

LOWEST_US = 1
"""Smallest value that is told apart from 0, microseconds."""
HIGHEST_US = 3_600_000_000
"""Largest value that has a bucket of its own, microseconds: one hour."""
HIGHEST_NS = HIGHEST_US * 1000
"""The same in nanoseconds; longer values are counted in its bucket."""
SIGNIFICANT_DIGITS = 3
"""Decimal digits to which every value is kept."""

HALF: int = 2 ** math.ceil(math.log2(10**SIGNIFICANT_DIGITS))
"""Steps per doubling, 1024: the first power of two that resolves three digits."""
SUB_BUCKETS = 2 * HALF
"""Counters of 1 µs, 2048; HdrHistogram's name for them."""
BUCKETS = HIGHEST_US.bit_length() - SUB_BUCKETS.bit_length() + 2
"""Widths of step, 22: the 2048 counters of 1 µs, then one width per doubling."""
COUNTS_LENGTH = (BUCKETS + 1) * HALF
"""Counters in all, 23552."""

_Scalar = TypeVar("_Scalar", bound=np.generic)

_MANTISSA_SHIFT = 52 - 10  # a double's digits after the leading 1, less the ten that are kept
_INDEX_BIAS = (1023 + 9) * HALF  # 1024·(e + 1023) + m, less this, is 1024·(e - 9) + m


CHUNK = 8192
"""Values that are worked on at once: their temporary arrays stay in the cache, and small enough
that the allocator keeps them, where large ones would be mapped in anew, page by page."""


def chunks(column: npt.NDArray[_Scalar]) -> Iterator[npt.NDArray[_Scalar]]:
    """The column in pieces of at most CHUNK values, none of them empty; not copied."""
    return (column[start : start + CHUNK] for start in range(0, column.size, CHUNK))


def indexes_of(values_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Index of the counter of each value.

    Args:
        values_ns: (n,) int64, nanoseconds, from 0 to HIGHEST_NS.

    Returns:
        (n,) int64, from 0 to COUNTS_LENGTH - 1; a new array.
    """
    values_us: npt.NDArray[np.float64] = (values_ns + 500) / 1000.0
    indexes: npt.NDArray[np.int64] = values_us.view(np.int64) >> _MANTISSA_SHIFT
    indexes -= _INDEX_BIAS
    below_half = np.minimum(values_us, HALF - 1.0, out=values_us).astype(np.int64)
    np.maximum(indexes, below_half, out=indexes)
    return indexes


def index_of(value_ns: int) -> int:
    """Index of the counter of one value; values out of range share the first or last in range."""
    value_us = (min(max(value_ns, 0), HIGHEST_NS) + 500) // 1000
    if value_us < HALF:
        return value_us
    shift = value_us.bit_length() - HALF.bit_length()
    return HALF * shift + (value_us >> shift)


def lowest_us(indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Smallest whole microsecond that each counter holds: `lowestEquivalentValue`."""
    width_log2 = _width_log2(indexes)
    lowest: npt.NDArray[np.int64] = (indexes - width_log2 * HALF) << width_log2
    return lowest


def highest_us(indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Largest whole microsecond that each counter holds: `highestEquivalentValue`."""
    highest: npt.NDArray[np.int64] = lowest_us(indexes) + (1 << _width_log2(indexes)) - 1
    return highest


def middle_us(indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What stands for each counter in means and deviations: `medianEquivalentValue`."""
    middle: npt.NDArray[np.int64] = lowest_us(indexes) + (1 << _width_log2(indexes)) // 2
    return middle


def _width_log2(indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    width_log2: npt.NDArray[np.int64] = np.maximum(indexes // HALF - 1, 0)
    return width_log2
