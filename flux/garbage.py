"""When the interpreter looks for cyclic garbage while a run is on.

A collection of the oldest generation looks at every object there is, and nothing else runs
meanwhile: 60 to 90 ms with 10,000 users, which made the lag of one session in a hundred 38 ms where
it is 1 ms without (`python -m tests.bench.users`). CPython begins one whenever there are a quarter
more objects than at the last, so above all while the load grows.

So what exists at the start is left out, and the oldest generation is shut. A minute after the last
collection of it (or the start) it is open again, and CPython decides by its own rule whether there
is one. Garbage that has become old waits that long; the young generations, where nearly all of it
ends, are collected as ever.

Source: the CPython developer's guide, "Garbage collector design", "Collecting the oldest
generation".
"""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PERIOD_S = 60.0
"""From one full collection to the next, at least."""

_MIDDLE, _OLDEST = 1, 2
_NEVER = 1 << 30
"""Collections of the middle generation before one of the oldest."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Keep full collections from what runs in the block, but for one a minute at the most.

    It is for the whole process, so blocks are not to be nested.
    """
    young, middle, oldest = gc.get_threshold()
    gc.freeze()
    opens_s = time.monotonic() + PERIOD_S

    def after_collection(phase: str, info: dict[str, Any]) -> None:
        nonlocal opens_s
        if phase == "stop" and info["generation"] == _OLDEST:
            opens_s = time.monotonic() + PERIOD_S
            gc.set_threshold(young, middle, _NEVER)
        elif phase == "stop" and info["generation"] == _MIDDLE and time.monotonic() >= opens_s:
            gc.set_threshold(young, middle, oldest)

    gc.set_threshold(young, middle, _NEVER)
    gc.callbacks.append(after_collection)
    try:
        yield
    finally:
        gc.callbacks.remove(after_collection)
        gc.set_threshold(young, middle, oldest)
        gc.unfreeze()
