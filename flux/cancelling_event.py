"""An event that can be waited for, and that also cancels blocks of code.

`trio.Event` alone would take a nursery and a task for each block that is to end with it: some
150 µs in which the load waits, where a cancel scope takes 10.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import trio


class CancellingEvent:
    """As `trio.Event`: it is set once, and stays so."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._scopes: set[trio.CancelScope] = set()

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._event.is_set()

    def set(self) -> None:
        """Wake everybody who waits, and cancel every block."""
        self._event.set()
        for scope in self._scopes:
            scope.cancel()

    async def wait(self) -> None:
        """Return once it is set; a checkpoint either way."""
        await self._event.wait()

    @contextmanager
    def cancelling(self) -> Iterator[None]:
        """Cancel the block when the event is set, or at once if it is, and go on after it."""
        with trio.CancelScope() as scope:
            if self._event.is_set():
                scope.cancel()
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)
