"""The script of the installed plotly, as a page takes it in.

Nearly all the time in which a page opens is spent on these 5 MB. What they are wrapped in, so that
they can be loaded by other loaders too, has a browser read them twice: once to see where the
wrapping function ends, and again when it is called. So the wrapping is taken off; if it is another
one than is known, the script stays as it is, and works as well.
"""

import importlib
import re

from flux.errors import MissingExtra

_WRAPPED = re.compile(
    r"""
    (?P<licence>/\*\*.*?\*/\s*)
    \(\s*function\s*\(root,\s*factory\)\s*\{.*?\}\s*
    \(typeof\ self[^,]*,\s*\(\)\s*=>\s*\{\s*
    (?P<body>"use\ strict";.*window\.Plotly\s*=\s*Plotly;)\s*
    return\ Plotly;\s*\}\)\);?\s*
    """,
    re.DOTALL | re.VERBOSE,
)


def load_plotly() -> str:
    """The script of the installed plotly.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        offline = importlib.import_module("plotly.offline")
    except ImportError:
        raise MissingExtra("an HTML report", extra="report") from None
    script: str = offline.get_plotlyjs()
    return unwrapped(script)


def unwrapped(script: str) -> str:
    """The script without the function around it, or as it is if there is none of that form."""
    found = _WRAPPED.fullmatch(script)
    return script if found is None else f"{found['licence']}{found['body']}\n"
