"""Choosing one of several things by weight: which flow a session runs, which target it goes to.

A choice is a pure function of (seed, seq): a uniform number that belongs to the session
(`flux.randomness`) is looked up among the bounds of the shares. So it is the same in any shard,
process, client and batch.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flux.randomness import uniform, uniform_array

FLOW_SLOT = 0x666C6F77
"""Slot of the uniform number that picks a session's flow."""
TARGET_SLOT = 0x74617267
"""Slot of the one that picks its target."""
OTHER_TARGET_SLOT = TARGET_SLOT + 1
"""Slot of the one that picks another target when that one is not healthy."""


class Weights:
    """How often each of several things is chosen, relative to the others."""

    def __init__(self, weights: Sequence[float]) -> None:
        """Take the weights as they are.

        Args:
            weights: at least one, none below 0, not all of them 0.
        """
        running = np.cumsum(np.asarray(weights, np.float64))
        # The last bound is exactly 1, above every uniform number; a weight of 0 has no room.
        self._bounds: npt.NDArray[np.float64] = running / running[-1]

    @property
    def shares(self) -> tuple[float, ...]:
        """The part of the whole that each is, 0 to 1."""
        return tuple(np.diff(self._bounds, prepend=0.0).tolist())

    def choose(self, seed: int, seq: int, slot: int) -> int:
        """Which of them session `seq` has."""
        return int(np.searchsorted(self._bounds, uniform(seed, seq, slot), side="right"))

    def choose_array(
        self, seed: int, seqs: npt.NDArray[np.int64], slot: int
    ) -> npt.NDArray[np.int64]:
        """`choose` for many sessions: (n,) int64."""
        chosen = np.searchsorted(self._bounds, uniform_array(seed, seqs, slot), side="right")
        return chosen.astype(np.int64, copy=False)
