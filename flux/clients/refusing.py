"""What becomes of a run that was about to talk to a host that nobody allowed."""

import logging

from flux.control import Ending
from flux.errors import ExitCode
from flux.guards.hosts import refusal, remedy
from flux.stage import Run


def refuse_host(run: Run, host: str, address: str | None = None) -> None:
    """End the run, unless it is ending; say which host, and what to do about it.

    Args:
        run: that was about to.
        host: as it was named, by a redirect for example.
        address: what the name resolved to, if it is one.
    """
    if run.control.stopping.is_set():
        return
    text = f"hosts: {refusal(host, address)}"
    run.mark("guard", f"{text}; {remedy(host)}", level=logging.ERROR)
    run.control.stop(Ending(text, ExitCode.GUARD))
