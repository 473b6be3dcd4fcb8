"""Random values that belong to an arrival: pure functions of (seed, seq, slot), with no stream.

A random value in a request, or a think time, must not depend on which of them was drawn first, on
the shard or on the worker. So each is a hash of the run's seed, the number of the arrival (or
iteration) and a slot that tells several values of one arrival apart.

Theory of operation. `_finalise` is a bijection of 64-bit words whose every output bit depends on
every input bit; SplitMix64 is that bijection over a counter that steps by the odd number nearest to
2⁶⁴/φ. Three are nested: the seed picks a place, the arrival counts on from there, and the slot
counts on from what that gives. The scalar and the vectorised forms agree bit for bit.

Source: G. L. Steele, D. Lea and C. H. Flood, Fast splittable pseudorandom number generators, OOPSLA
2014, figure 17; the constants are D. Stafford's variant 13 of the MurmurHash3 finaliser.
"""

import numpy as np
import numpy.typing as npt

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_FIRST_FACTOR = 0xBF58476D1CE4E5B9
_SECOND_FACTOR = 0x94D049BB133111EB
_UNIT = 2.0**-53
"""A double holds 53 bits: that many of the hash make a uniform number."""


def mix64(seed: int, seq: int, slot: int) -> int:
    """A 64-bit hash of the three, uniform over 0 to 2⁶⁴ - 1.

    Args:
        seed: of the run; only its low 64 bits count, here as for the others.
        seq: number of the arrival or iteration.
        slot: which value of that arrival.
    """
    place = _finalise((seed + _STEP) & _MASK)
    place = _finalise((place + seq * _STEP) & _MASK)
    return _finalise((place + slot * _STEP) & _MASK)


def uniform(seed: int, seq: int, slot: int) -> float:
    """A number in [0, 1), of 53 random bits; `-log1p(-u)` of it is a finite exponential."""
    return (mix64(seed, seq, slot) >> 11) * _UNIT


def mix64_array(seed: int, seqs: npt.NDArray[np.int64], slot: int) -> npt.NDArray[np.uint64]:
    """`mix64` of one slot of many arrivals.

    Args:
        seed: of the run.
        seqs: (n,) int64, numbers of the arrivals.
        slot: which value of each.

    Returns:
        (n,) uint64.
    """
    place = np.uint64(_finalise((seed + _STEP) & _MASK))
    places = _finalise_array(place + seqs.astype(np.uint64) * np.uint64(_STEP))
    return _finalise_array(places + np.uint64(slot * _STEP & _MASK))


def uniform_array(seed: int, seqs: npt.NDArray[np.int64], slot: int) -> npt.NDArray[np.float64]:
    """`uniform` of one slot of many arrivals: (n,) float64 in [0, 1)."""
    return (mix64_array(seed, seqs, slot) >> np.uint64(11)).astype(np.float64) * _UNIT


def _finalise(word: int) -> int:
    word = (word ^ (word >> 30)) * _FIRST_FACTOR & _MASK
    word = (word ^ (word >> 27)) * _SECOND_FACTOR & _MASK
    return word ^ (word >> 31)


def _finalise_array(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # Products of arrays of unsigned words wrap around, which is what the masks do above.
    words = (words ^ (words >> np.uint64(30))) * np.uint64(_FIRST_FACTOR)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(_SECOND_FACTOR)
    return words ^ (words >> np.uint64(31))
