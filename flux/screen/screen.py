"""Standard error during a run: a live view where that is a terminal, plain lines elsewhere.

It is not the run: whatever becomes of the terminal, the run goes on, and is never made to wait.
"""

import json
import logging
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import click

from flux.console import format_progress
from flux.screen.frames import FrameMaker
from flux.summary import Summary

READY_S = 5.0
"""How long the viewer may take to start; then there are lines instead."""

END_S = 2.0
"""How long it may take to draw the last frame."""


class Screen(Protocol):
    """Where a run shows what people are to see."""

    def write(self, text: str) -> None:
        """Show text, which ends in a line break."""

    def flush(self) -> None:
        """Nothing is kept back; here because log handlers ask for it."""

    def observer(self, frames: FrameMaker) -> Callable[[Summary], None]:
        """What shows a run interval by interval; each is in the frames by then."""

    def settle(self) -> None:
        """The run is over: from now on there is only text."""


@contextmanager
def open_screen(*, wants_live: bool = True, wants_colour: bool = True) -> Iterator[Screen]:
    """What fits standard error.

    Args:
        wants_live: False for lines on a terminal, too.
        wants_colour: False for none; the environment's NO_COLOR says the same.
    """
    viewer = _open_viewer(wants_colour) if wants_live and _is_terminal() else None
    screen = Lines() if viewer is None else Window(viewer)
    try:
        yield screen
    finally:
        screen.settle()


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _open_viewer(wants_colour: bool) -> "subprocess.Popen[bytes] | None":
    """The viewer once it is ready; None if it does not get ready."""
    environment = dict(os.environ) if wants_colour else {**os.environ, "NO_COLOR": "1"}
    viewer = subprocess.Popen(
        [sys.executable, "-m", "flux.screen.viewer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        # Ctrl-C goes to all of a terminal's foreground processes, and this one has to import a lot
        # before it can say that it does not care.
        start_new_session=True,
    )
    # What it says is for nobody to see if it fails: there are lines instead.
    if viewer.stdout is not None:
        ready, _, _ = select.select([viewer.stdout], [], [], READY_S)
        if ready and viewer.stdout.readline():
            return viewer
    viewer.kill()
    viewer.communicate()
    return None


class Lines:
    """Plain text on standard error."""

    def __init__(self) -> None:
        self._is_lost = sys.stderr is None

    def write(self, text: str) -> None:
        """Write it, unless that has failed before."""
        if self._is_lost:
            return
        try:
            click.echo(text, err=True, nl=False)
        except OSError as error:
            self._is_lost = True
            log = logging.getLogger("flux")
            log.warning("stderr cannot be written any more: %s", error.strerror)

    def flush(self) -> None:
        """Nothing is kept back."""

    def observer(self, frames: FrameMaker) -> Callable[[Summary], None]:
        """A line for each interval."""
        return self.show_line

    def show_line(self, summary: Summary) -> None:
        """A line about an interval."""
        if not summary.is_final:
            self.write(format_progress(summary) + "\n")

    def settle(self) -> None:
        """There is nothing to end."""


class Silence:
    """Nothing at all: whoever runs several runs has something else to show."""

    def write(self, text: str) -> None:
        """Ignore it; the log has what matters."""

    def flush(self) -> None:
        """There is nothing to keep back."""

    def observer(self, frames: FrameMaker) -> Callable[[Summary], None]:
        """One who looks away."""
        return lambda _: None

    def settle(self) -> None:
        """There is nothing to end."""


class Window:
    """A live view, drawn by a process of its own; lines, should that process end."""

    def __init__(self, viewer: "subprocess.Popen[bytes]") -> None:
        """Begin with a viewer that is ready."""
        if viewer.stdin is None:
            raise TypeError("the viewer must have a pipe for its input")
        self._viewer = viewer
        self._lines = Lines()
        self._pipe = viewer.stdin.fileno()
        self._unsent = bytearray()
        self._is_open = True
        os.set_blocking(self._pipe, False)

    def write(self, text: str) -> None:
        """Have it printed above the view."""
        if not self._send({"text": text.removesuffix("\n")}):
            self._lines.write(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def observer(self, frames: FrameMaker) -> Callable[[Summary], None]:
        """A new picture for each interval, unless the viewer is behind already."""

        def show(summary: Summary) -> None:
            if summary.is_final:
                return
            is_open = self._push()
            if not self._unsent and not (is_open and self._send(frames.frame())):
                self._lines.show_line(summary)

        return show

    def _send(self, message: Mapping[str, object]) -> bool:
        """Pass a message on, now or with the next one; False if there is no viewer any more."""
        self._unsent += json.dumps(message).encode() + b"\n"
        return self._push()

    def _push(self) -> bool:
        """Pass on what the pipe takes now; False if there is no viewer any more."""
        if not self._is_open:
            self._unsent.clear()
            return False
        try:
            while self._unsent:
                del self._unsent[: os.write(self._pipe, self._unsent)]
        except BlockingIOError:
            return True
        except OSError:
            self._unsent.clear()
            self.settle()
            return False
        return True

    def settle(self) -> None:
        """Let the viewer draw what it has, and end it."""
        if not self._is_open:
            return
        self._is_open = False
        os.set_blocking(self._pipe, True)
        try:
            self._viewer.communicate(bytes(self._unsent), timeout=END_S)
        except subprocess.TimeoutExpired:  # the terminal takes nothing, as after Ctrl-S
            self._viewer.kill()
            self._viewer.communicate()
