"""The formats of other tools: writing them from a run, and reading them into one structure.

`read` gives a `Recording` of any file of a run; `convert` writes any format that `FORMATS` names.
"""

from flux.formats.convert import FORMATS, Wishes, convert
from flux.formats.read import read
from flux.formats.recording import Recording

__all__ = ["FORMATS", "Recording", "Wishes", "convert", "read"]
