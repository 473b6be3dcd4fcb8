"""What all requests of a run keep to: whom they may reach, and who they say they are from."""

import re
from typing import Final

import attrs

import flux
from flux.guards.hosts import HostRule

_NOT_IN_A_COMMENT: Final = re.compile(r"[^A-Za-z0-9 !#$%&'*+,./:;=?@^_`|~-]")
"""What cannot stand in a comment of a header (RFC 9110, 5.6.5), or would begin a placeholder."""


@attrs.frozen
class Manners:
    """How a run behaves towards others."""

    hosts: HostRule = HostRule()  # noqa: RUF009  # immutable
    user_agent: str | None = None
    """The User-Agent of every request that has none of its own; None: there is none."""

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request that does not have its own."""
        return {} if self.user_agent is None else {"User-Agent": self.user_agent}


def user_agent(name: str) -> str:
    """What identifies the requests of a run in the logs of who receives them.

    Source: RFC 9110, 10.1.5: product/version, then a comment.
    """
    shown = _NOT_IN_A_COMMENT.sub("_", name)
    return f"flux/{flux.__version__} (load test; run {shown})"
