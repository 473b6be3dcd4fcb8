"""Freezes a target once, in the middle of a run: SIGSTOP to nginx's workers, later SIGCONT."""

import contextlib
import os
import pathlib
import signal
import threading
import time
import urllib.error
from collections.abc import Iterator

import attrs

from tests.bench.peers.target import Target

_POLL_S = 0.02
_NOBODY_CAME_S = 30.0


@attrs.define
class Stall:
    """A freeze, as it came about."""

    frozen_s: float = 0.0
    """How long it was; 0: it has not been, for nobody sent a request."""


@contextlib.contextmanager
def stalling(target: Target, *, after_s: float, for_s: float) -> Iterator[Stall]:
    """Freeze the target once, some time after the first request that is not ours.

    Args:
        target: an nginx that this process has started.
        after_s: from the first request to the freeze.
        for_s: how long.
    """
    stall, given_up = Stall(), threading.Event()
    thread = threading.Thread(
        target=_freeze_once, args=(target, after_s, for_s, stall, given_up), daemon=True
    )
    thread.start()
    try:
        yield stall
    finally:
        given_up.set()
        thread.join()


def _freeze_once(
    target: Target, after_s: float, for_s: float, stall: Stall, given_up: threading.Event
) -> None:
    if not _wait_for_first_request(target, given_up) or given_up.wait(after_s):
        return
    workers = _workers(target.pid)
    began_s = time.perf_counter()
    try:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        given_up.wait(for_s)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    stall.frozen_s = time.perf_counter() - began_s


def _wait_for_first_request(target: Target, given_up: threading.Event) -> bool:
    """Ask nginx until it has served somebody else than us; False if nobody ever came."""
    first = target.counters().requests
    ours, until_s = 0, time.monotonic() + _NOBODY_CAME_S
    while time.monotonic() < until_s and not given_up.wait(_POLL_S):
        ours += 1
        with contextlib.suppress(urllib.error.URLError):  # the machine is busy: ask again
            if target.counters().requests - first > ours:
                return True
    return False


def _workers(pid: int) -> list[int]:
    """The processes that serve; nginx's first one only watches them."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in children.split()]
