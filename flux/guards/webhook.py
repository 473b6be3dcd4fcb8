"""Tells somebody outside what the breaker does, without holding anything up.

Messages wait in a short queue and are sent one after the other, each within a few seconds; what
cannot be delivered is logged and forgotten.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from flux.config.http_url import HttpUrl
from flux.guards.manners import Manners

POST_WITHIN_S = 5.0
"""For one message, from the name's resolution to the end of the response's head."""

FINISH_WITHIN_S = 5.0
"""For all that wait when the run is over."""

QUEUED = 16
"""Messages that wait, at the most."""


@attrs.frozen
class Webhook:
    """Takes messages, and never waits."""

    _outbox: trio.MemorySendChannel[Mapping[str, Any]]
    _log: logging.Logger

    def send_nowait(self, message: Mapping[str, Any]) -> None:
        """Have it posted as JSON; if too many wait, it is dropped and the log says so."""
        try:
            self._outbox.send_nowait(message)
        except trio.WouldBlock:
            self._log.warning("webhook: too many messages wait, one was dropped")


@asynccontextmanager
async def open_webhook(
    url: HttpUrl, manners: Manners, log: logging.Logger
) -> AsyncIterator[Webhook]:
    """Post messages in the background; at the end of the block, those that still wait."""
    outbox, inbox = trio.open_memory_channel[Mapping[str, Any]](QUEUED)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_post_all, inbox, url, manners, log)
        yield Webhook(outbox, log)
        outbox.close()
        nursery.cancel_scope.deadline = trio.current_time() + FINISH_WITHIN_S
    if nursery.cancel_scope.cancelled_caught:
        log.warning("webhook: %s did not take everything in %g s", url.host, FINISH_WITHIN_S)


async def _post_all(
    inbox: trio.MemoryReceiveChannel[Mapping[str, Any]],
    url: HttpUrl,
    manners: Manners,
    log: logging.Logger,
) -> None:
    import httpx  # takes a while; few runs have a webhook

    from flux.clients.guarded_transport import GuardedTransport

    transport = GuardedTransport(httpx.AsyncHTTPTransport(), manners.hosts, lambda *_: None)
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=None) as client:
        async for message in inbox:
            why = "it took too long"
            with trio.move_on_after(POST_WITHIN_S):
                why = await _post(client, url, manners, message)
            if why:
                # The host alone: paths of webhooks are often secrets.
                log.warning("webhook: %s was not told: %s", url.host, why)


async def _post(client: Any, url: HttpUrl, manners: Manners, message: Mapping[str, Any]) -> str:
    """Post one message; return why that failed, if it did."""
    import httpx

    try:
        async with client.stream(
            "POST", url.text, json=dict(message), headers=manners.headers
        ) as response:
            status: int = response.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return "" if status < 300 else f"it answered {status}"
