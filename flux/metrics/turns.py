"""Long work in short turns.

A client of flux may take milliseconds until it gives way, so whoever gives way after every little
piece takes as many of them; and who never does holds up the load.
"""

import time
from typing import Final

import trio

TURN_S: Final = 0.0002
"""After so long others have their turn."""


class Turns:
    """Gives way now and then."""

    def __init__(self) -> None:
        """The first turn begins."""
        self._since_s = time.perf_counter()

    async def give_way(self) -> None:
        """Let others have their turn, if this one has been long enough."""
        if time.perf_counter() - self._since_s >= TURN_S:
            await trio.lowlevel.checkpoint()
            self._since_s = time.perf_counter()
