"""Which hosts a run may talk to: those nearby, and those that its file names.

What is nearby can be hurt by its owner alone: loopback, private and link-local addresses. Every
other address belongs to somebody, and a load test against it needs the word of whoever runs it:
`allow_hosts`. Addresses and names that say it themselves are judged at once; other names by what
they resolve to, all of it.
"""

import enum
import ipaddress
import re
from collections.abc import Iterable
from typing import ClassVar, Final, Self

import attrs

from flux.config.locate import Path
from flux.config.problems import Violation

NEARBY: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "127.0.0.0/8",  # loopback: RFC 1122, 3.2.1.3
            "::1/128",  # RFC 4291, 2.5.3
            "0.0.0.0/32",  # connecting there reaches this very machine
            "::/128",
            "10.0.0.0/8",  # private: RFC 1918
            "172.16.0.0/12",
            "192.168.0.0/16",
            "fc00::/7",  # unique local: RFC 4193
            "169.254.0.0/16",  # link-local: RFC 3927
            "fe80::/10",  # RFC 4291, 2.5.6
        ),
    )
)
"""Networks that nobody has to allow. Others that are not routed (RFC 6890), such as 100.64.0.0/10
of a provider's NAT, may well be somebody else's."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


class Verdict(enum.Enum):
    """What can be said of a host before it is resolved."""

    ALLOWED = enum.auto()
    REFUSED = enum.auto()
    BY_ADDRESS = enum.auto()
    """A name: it depends on its addresses."""


@attrs.frozen
class HostPattern:
    """A host, or all hosts below a domain, that a run may talk to."""

    type_text: ClassVar[str] = 'a host, as in "api.example.com" or "*.example.com"'

    text: str
    """In lower case; an address in its shortest form."""

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read it, strictly: what is allowed by mistake is allowed all the same."""
        if not isinstance(value, str) or not value:
            raise Violation(f"must be {cls.type_text}")
        if value == "*":
            raise Violation("must name hosts, not all there are", hint=f"write {cls.type_text}")
        name = value.removeprefix("*.")
        text = normal(name)
        is_address = _address(text) is not None
        if not is_address and not _NAME.fullmatch(text):
            found = re.fullmatch(r"(?:[a-z]+://)?([\w.-]+)(?::\d+)?(?:/.*)?", name)
            raise Violation(
                f"must be {cls.type_text}", hint=f'write "{found[1]}"' if found else None
            )
        if name != value and (is_address or "." not in text):
            raise Violation(f'must be {cls.type_text}; "*." stands before a domain that has a dot')
        return cls(value[: len(value) - len(name)] + text)

    def matches(self, host: str) -> bool:
        """Whether it means this host, which is `normal`."""
        if self.text.startswith("*."):
            return host.endswith(self.text[1:])
        return host == self.text


@attrs.frozen
class Contact:
    """A host that a stage talks to."""

    path: Path
    """Keys, from the stage's table on, of where it is written."""
    host: str
    """Name or address; IPv6 without brackets."""
    by_proxy: bool = False
    """Whether somebody else resolves the name."""


@attrs.frozen
class HostRule:
    """Decides for a run."""

    allowed: tuple[HostPattern, ...] = ()
    """Beyond what is nearby."""

    def verdict(self, host: str) -> Verdict:
        """What the host's own text says.

        Args:
            host: name or address, IPv6 with or without brackets.
        """
        host = normal(host)
        if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, 6.3
            return Verdict.ALLOWED
        if any(pattern.matches(host) for pattern in self.allowed):
            return Verdict.ALLOWED
        address = _address(host)
        if address is None:
            return Verdict.BY_ADDRESS
        return Verdict.ALLOWED if _is_nearby(address) else Verdict.REFUSED

    def refused_among(self, host: str, addresses: Iterable[str]) -> str | None:
        """Of what a name resolved to, the first address that it may not have; None if it may.

        One is enough: which address a connection gets is not ours to say.
        """
        if self.verdict(host) is Verdict.ALLOWED:
            return None
        for address in addresses:
            if self.verdict(address) is not Verdict.ALLOWED:
                return address
        return None


def normal(host: str) -> str:
    """The host in the form in which hosts are compared."""
    host = host.strip().removeprefix("[").removesuffix("]").lower().rstrip(".")
    address = _address(host)
    if address is not None:
        return str(address)
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:  # no such name can be resolved
        return host


def remedy(host: str) -> str:
    """What to do about a host that was refused."""
    return f'if you are allowed to use it, write allow_hosts = ["{normal(host)}"] at the top'


def refusal(host: str, address: str | None = None) -> str:
    """A sentence's end about a host that was refused."""
    resolved = f" ({address})" if address and address != host else ""
    return f"{host}{resolved} is neither loopback nor private, and not in allow_hosts"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_nearby(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """An IPv4 address in IPv6's clothes counts as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    plain = mapped or address
    return any(plain.version == one.version and plain in one for one in NEARBY)
