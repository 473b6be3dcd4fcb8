"""A transport for httpx that talks to nobody whom the run's host rule refuses.

Every request passes here, those that follow redirects among them. A name is resolved to see where
it leads, and not again for a while; the connection resolves it once more for itself.
"""

from collections.abc import Callable
from typing import TypeAlias

import httpx
import trio

from flux.guards.contacts import addresses_of
from flux.guards.hosts import HostRule, Verdict, refusal

TTL_S = 30.0
"""How long what was found out about a name holds."""

WhenRefused: TypeAlias = Callable[[str, str | None], None]
"""Is told the host, and of a name the address that it may not have."""


class NotAllowed(httpx.TransportError):
    """The host rule refuses the request's host."""


class GuardedTransport(httpx.AsyncBaseTransport):
    """Passes requests on to another transport, if their host is allowed."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        hosts: HostRule,
        when_refused: WhenRefused,
        *,
        resolves: bool = True,
    ) -> None:
        """Guard a transport.

        Args:
            inner: carries what is allowed; closed with this one.
            hosts: the rule.
            when_refused: called each time.
            resolves: False where a proxy does: then a name must be allowed by the rule itself.
        """
        self._inner = inner
        self._hosts = hosts
        self._when_refused = when_refused
        self._resolves = resolves
        self._known: dict[str, tuple[float, str | None]] = {}
        self._asking: dict[str, trio.Lock] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, or raise `NotAllowed`."""
        host = request.url.host
        verdict = self._hosts.verdict(host)
        if verdict is not Verdict.ALLOWED:
            address = None
            if verdict is Verdict.BY_ADDRESS and self._resolves:
                address = await self._refused_address(host)
            if verdict is Verdict.REFUSED or not self._resolves or address is not None:
                self._when_refused(host, address)
                raise NotAllowed(refusal(host, address), request=request)
        return await self._inner.handle_async_request(request)

    async def _refused_address(self, host: str) -> str | None:
        async with self._asking.setdefault(host, trio.Lock()):  # one asks, the others wait
            known = self._known.get(host)
            if known is not None and trio.current_time() < known[0]:
                return known[1]
            address = self._hosts.refused_among(host, await addresses_of(host))
            self._known[host] = (trio.current_time() + TTL_S, address)
            return address

    async def aclose(self) -> None:
        """Close the one that it guards."""
        await self._inner.aclose()
