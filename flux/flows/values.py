"""What is known of sessions before they begin, computed for a block of them at once.

Random values depend on (seed, seq, slot) only, so a block may be computed, forgotten and computed
again. Numpy's price per call is spread over the sessions of a block; the last few blocks in use
are kept, as sessions begin in order, or nearly so.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from flux.flows.draws import Seqs

T = TypeVar("T")

MOST_PER_BLOCK = 512
"""Sessions in a block, at the most. A block is computed in the client's task: it must be quick."""
BYTES_PER_BLOCK = 1 << 17
"""Of values; with long ones a block has fewer sessions."""
BLOCKS_KEPT = 8


class Values(Generic[T]):
    """One thing per session, by the session's number."""

    def __init__(self, compute: Callable[[Seqs], list[T]], *, width: int, shards: int = 1) -> None:
        """Begin with nothing computed.

        Args:
            compute: the things of these sessions, in order.
            width: bytes of values in one of them, more or less.
            shards: in how many processes the run's sessions are; this one asks for every
                `shards`-th number, so those make up a block. It changes the cost, never a value.
        """
        self._compute = compute
        self._shards = shards
        self._size = min(MOST_PER_BLOCK, max(1, BYTES_PER_BLOCK // max(1, width)))
        self._span = self._size * shards
        self._blocks: dict[int, list[T]] = {}

    def of(self, seq: int) -> T:
        """What there is for this session."""
        # Blocks are known by their lowest number: seq less its distance from there.
        offset = seq % self._span
        if self._shards > 1:
            offset -= offset % self._shards
        block = self._blocks.get(seq - offset)
        if block is None:
            block = self._open_block(seq - offset)
        return block[offset // self._shards]

    def _open_block(self, first: int) -> list[T]:
        block = self._compute(np.arange(first, first + self._span, self._shards, dtype=np.int64))
        if len(self._blocks) >= BLOCKS_KEPT:
            del self._blocks[next(iter(self._blocks))]
        self._blocks[first] = block
        return block
