"""Names to addresses, off the loop: each name once per time to live, in a thread.

Once a name is known nobody waits for it again: when its time has passed, the old addresses are used
while the new ones are looked up.
"""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import trio

from flux.clients.wire.errors import classify
from flux.guards.hosts import HostRule, Verdict
from flux.schemas import ErrorCode

Address: TypeAlias = tuple[int, Any]
"""Address family, and what `socket.connect` takes."""

WhenResolved: TypeAlias = Callable[[list[Address], ErrorCode], None]
"""Called with the addresses, or with none and the error."""

WhenRefused: TypeAlias = Callable[[str, str | None], None]
"""Called with a host that the rule refuses, and the address if it is a name."""


@attrs.define(eq=False)
class _Known:
    addresses: list[Address]
    fresh_until_s: float
    error: ErrorCode = ErrorCode.NONE
    """Why there are none."""


class Resolver:
    """Looks names up in tasks of its own, and gives out only what the host rule allows."""

    def __init__(
        self, nursery: trio.Nursery, ttl_s: float, hosts: HostRule, when_refused: WhenRefused
    ) -> None:
        self._nursery = nursery
        self._hosts = hosts
        self._when_refused = when_refused
        self._ttl_s = ttl_s
        self._known: dict[tuple[str, int], _Known] = {}
        self._waiting: dict[tuple[str, int], list[WhenResolved]] = {}

    def resolve(self, host: str, port: int, when_resolved: WhenResolved) -> None:
        """Call back with the addresses: at once if they are known, else later."""
        literal = _literal(host, port)
        if literal is not None:
            if self._hosts.verdict(host) is Verdict.ALLOWED:
                when_resolved([literal], ErrorCode.NONE)
            else:
                self._when_refused(host, None)
                when_resolved([], ErrorCode.NOT_ALLOWED)
            return
        key = (host, port)
        known = self._known.get(key)
        if known is None:
            self._look_up(key, when_resolved)
            return
        if trio.current_time() > known.fresh_until_s:
            self._look_up(key, None)
        when_resolved(known.addresses, known.error)

    def prefer(self, host: str, port: int, address: Address) -> None:
        """Put an address that works first, before those that were tried in vain."""
        known = self._known.get((host, port))
        addresses = known.addresses if known else []
        if known is not None and address in addresses and addresses[0] != address:
            known.addresses.remove(address)
            known.addresses.insert(0, address)

    def _look_up(self, key: tuple[str, int], when_resolved: WhenResolved | None) -> None:
        is_running = key in self._waiting
        waiting = self._waiting.setdefault(key, [])
        if when_resolved is not None:
            waiting.append(when_resolved)
        if not is_running:
            self._nursery.start_soon(self._ask, key)

    async def _ask(self, key: tuple[str, int]) -> None:
        host, port = key
        error = ErrorCode.NONE
        addresses: list[Address] = []
        try:
            found = await trio.to_thread.run_sync(
                lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM),
                abandon_on_cancel=True,
            )
            addresses = [(int(family), address) for family, _, _, _, address in found]
            refused = self._hosts.refused_among(host, [address[0] for _, address in addresses])
            if refused is not None:
                self._when_refused(host, refused)
                addresses, error = [], ErrorCode.NOT_ALLOWED
            self._known[key] = _Known(addresses, trio.current_time() + self._ttl_s, error)
        except OSError as problem:
            error = classify(problem)
        except UnicodeError:  # a name that IDNA cannot encode
            error = ErrorCode.DNS
        for when_resolved in self._waiting.pop(key):
            when_resolved(list(addresses), error)


def _literal(host: str, port: int) -> Address | None:
    """The address that a host is itself, if it is no name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    if version == 4:
        return (socket.AF_INET, (host, port))
    return (socket.AF_INET6, (host, port, 0, 0))
