"""Whom a pipeline's stages talk to: checked when the file is read, and resolved before the run.

A stage that opens connections says where to, by a property `contacts`. What its text alone gives
away is a problem of the file; names are resolved right before the run, which then does not begin
if one of them is somebody else's. Clients look again at every name that they resolve.
"""

import socket
from collections.abc import Iterator

import trio

from flux.config.locate import Path
from flux.config.problems import Problem
from flux.errors import HostNotAllowed
from flux.graph import Pipeline
from flux.guards.hosts import Contact, HostRule, Verdict, refusal, remedy

RULE = "is neither loopback nor private, and must be in allow_hosts"
PROXIED = "is resolved by the proxy alone, and must be in allow_hosts"

PATIENCE_S = 5.0
"""How long a run waits for names before it begins; what is not known by then is looked at when it
is connected to."""


def check_contacts(pipeline: Pipeline) -> Iterator[Problem]:
    """What the text of the file shows to be somebody else's."""
    rule = HostRule(pipeline.settings.allow_hosts)
    for path, contact in _all(pipeline):
        verdict = rule.verdict(contact.host)
        if verdict is Verdict.REFUSED:
            yield Problem(path, RULE, remedy(contact.host))
        elif verdict is Verdict.BY_ADDRESS and contact.by_proxy:
            yield Problem(path, PROXIED, remedy(contact.host))


async def resolve_contacts(pipeline: Pipeline) -> None:
    """Resolve the names that stages talk to, and refuse those that are somebody else's.

    A name that cannot be resolved is left to the client, whose requests fail by it.

    Raises:
        HostNotAllowed: one of them has an address that is neither loopback nor private.
    """
    rule = HostRule(pipeline.settings.allow_hosts)
    hosts = {contact.host for _, contact in _all(pipeline) if not contact.by_proxy}
    refused: dict[str, str] = {}

    async def resolve(host: str) -> None:
        address = rule.refused_among(host, await addresses_of(host))
        if address is not None:
            refused[host] = address

    with trio.move_on_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for host in hosts:
                if rule.verdict(host) is Verdict.BY_ADDRESS:
                    nursery.start_soon(resolve, host)
    for host, address in sorted(refused.items()):
        raise HostNotAllowed(refusal(host, address), hint=remedy(host))


async def addresses_of(host: str) -> tuple[str, ...]:
    """What a name resolves to; nothing if it does not."""
    try:
        found = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(str(address[0]) for *_, address in found)


def _all(pipeline: Pipeline) -> Iterator[tuple[Path, Contact]]:
    for node in pipeline.nodes:
        contacts: tuple[Contact, ...] = getattr(node.stage, "contacts", ())
        for contact in contacts:
            yield (*node.path, *contact.path), contact
