"""Where something outside listens, as a key of a pipeline file says it."""

from typing import ClassVar, Self
from urllib.parse import SplitResult, urlsplit

import attrs

from flux.config.problems import Violation


@attrs.frozen
class HttpUrl:
    """An http or https URL."""

    type_text: ClassVar[str] = 'a URL, as in "http://127.0.0.1:9000/flux"'

    text: str
    host: str
    """Name or address; IPv6 without brackets."""
    place: str
    """Host and port, for people."""

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read it."""
        parts = cls._split(value)
        return cls(parts.geturl(), parts.hostname or "", parts.netloc)

    @classmethod
    def _split(cls, value: object) -> SplitResult:
        try:
            parts = urlsplit(value if isinstance(value, str) else "")
            is_whole = bool(parts.hostname) and (parts.port or 0) >= 0
        except ValueError:
            is_whole = False
        if not is_whole or parts.scheme not in ("http", "https"):
            raise Violation(f"must be {cls.type_text}")
        return parts
