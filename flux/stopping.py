"""How signals end a run: gently at first, and in any case.

From before a run has its folder until its last word is said no signal interrupts it at any odd
place. While there is an event loop it takes them: before the run has begun the first ends the
preparations; then the first stops arrivals, the second gives up what is in flight, the third
cancels everything. Where there is none they are noted, and the third ends the process.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from logging import WARNING
from types import FrameType

import trio

from flux.control import Ending
from flux.errors import ExitCode
from flux.stage import Run

BEFORE_THE_FIRST = "before the first arrival"

GRACE_S = 3.0
"""From the third signal to the end of the process, whatever it is doing."""

_ENOUGH = 3
"""As many signals end the process where nobody takes them."""


def _signals() -> list[signal.Signals]:
    """Those that are taken: under nohup the end of a terminal is none of a run's business."""
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if is_ignored else [signal.SIGHUP])]


def _exit_later() -> None:
    """End the process even if a thread is stuck in the system, as in writing to a pipe."""
    timer = threading.Timer(GRACE_S, os._exit, (ExitCode.INTERRUPTED,))
    timer.daemon = True
    timer.start()


@contextmanager
def hold_signals() -> Iterator[list[int]]:
    """Note signals while the block lasts, in place of what they do; only in the main thread."""
    noted: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        noted.append(number)
        if len(noted) >= _ENOUGH:
            os._exit(ExitCode.INTERRUPTED)

    before = {number: signal.signal(number, note) for number in _signals()}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class Stopper:
    """Takes signals for a run: while it is prepared, while it goes on, and as it is left."""

    def __init__(self, noted: list[int]) -> None:
        """Begin with the signals that came before anyone could take them."""
        self.scope = trio.CancelScope()
        """What is cancelled where there is no run to be stopped: put all of it inside."""
        self._noted = noted
        self._count = 0
        self._run: Run | None = None
        self._has_ended = False

    async def listen(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Take signals until cancelled."""
        with trio.open_signal_receiver(*_signals()) as signals:
            task_status.started()
            for number in self._noted:
                self._take(number)
            async for number in signals:
                self._take(number)

    def begin(self, run: Run) -> None:
        """The preparations are over: from now on the run is stopped."""
        self._run = run

    def end(self) -> None:
        """The run is over, and has its result: only what is left to be closed may still hang."""
        self._has_ended = True

    def _take(self, number: int) -> None:
        self._count += 1
        if self._run is None:
            self.scope.cancel()
            if self._count >= _ENOUGH:
                _exit_later()
        elif self._has_ended:
            self._run = None  # the next one leaves in haste
        else:
            _stop(self._run, signal.Signals(number).name)


def _stop(run: Run, name: str) -> None:
    """First: stop and drain. Second: give up what is in flight. Third: cancel everything."""
    control = run.control
    if control.leave():
        run.log.info("%s: not waiting any longer", name)
    elif control.aborting.is_set():
        run.mark("signal", f"{name} a third time: cancelling everything", level=WARNING)
        _exit_later()
        control.cancel()
    elif control.stopping.is_set():
        run.mark("signal", f"{name} again: giving up what is in flight", level=WARNING)
        control.abort()
    else:
        drain_s = run.drain_ns / 1e9
        text = f"{name}: no more arrivals, draining for up to {drain_s:g} s"
        run.mark("signal", text, level=WARNING)
        at_s = run.clock.now_ns() / 1e9
        if at_s < 0:
            control.stop(Ending(f"{name} {BEFORE_THE_FIRST}", ExitCode.INTERRUPTED))
        else:
            control.stop(Ending(f"{name} at {at_s:.1f} s", ExitCode.OK))
