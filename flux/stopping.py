"""How signals end a run: gently at first, and in any case."""

import os
import signal
import threading
from logging import WARNING

import trio

from flux.control import Ending
from flux.errors import ExitCode
from flux.stage import Run

GRACE_S = 3.0
"""From the third signal to the end of the process, whatever it is doing."""


def _exit_later() -> None:
    """End the process even if a thread is stuck in the system, as in writing to a pipe."""
    timer = threading.Timer(GRACE_S, os._exit, (ExitCode.INTERRUPTED,))
    timer.daemon = True
    timer.start()


async def stop_at_signals(
    run: Run,
    scope: trio.CancelScope,
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """First: stop and drain. Second: give up what is in flight. Third: cancel everything."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            name = signal.Signals(number).name
            if run.control.leave():
                run.log.info("%s: not waiting any longer", name)
            elif run.control.aborting.is_set():
                run.mark("signal", f"{name} a third time: cancelling everything", level=WARNING)
                _exit_later()
                scope.cancel()
            elif run.control.stopping.is_set():
                run.mark("signal", f"{name} again: giving up what is in flight", level=WARNING)
                run.control.abort()
            else:
                drain_s = run.drain_ns / 1e9
                text = f"{name}: no more arrivals, draining for up to {drain_s:g} s"
                run.mark("signal", text, level=WARNING)
                at_s = max(0, run.clock.now_ns()) / 1e9
                run.control.stop(Ending(f"{name} at {at_s:.1f} s", ExitCode.OK))
