"""What people see while a run goes on: a live view on a terminal, or a line each interval.

    screen     the two, behind one seam; which of them fits
    standing   how a run is right now, as plain data; `flux live` has it, too
    frames     what the view is told: that, and what the intervals come to
    telling    how it stands in words, line by line
    viewer     the process that draws it
    drawing    a frame as a picture

The view is drawn by a process of its own: drawing takes milliseconds, which would bend the load if
they were spent in the process that makes it.
"""

from flux.screen.screen import Screen, Silence, open_screen

__all__ = ["Screen", "Silence", "open_screen"]
