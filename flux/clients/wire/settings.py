"""How the wire client reaches a target."""

import attrs

from flux.clients.target import Tls

DEFAULT_PORTS = {"http": 80, "https": 443}


@attrs.frozen
class Origin:
    """Where a connection leads: connections are shared among requests of one origin."""

    scheme: str
    """http or https."""
    host: str
    """A name or an address; IPv6 without brackets."""
    port: int

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them; a default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else _ascii(self.host)
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_secure(self) -> bool:
        """True for https."""
        return self.scheme == "https"


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


@attrs.frozen(kw_only=True)
class WireSettings:
    """A target, and how to connect to it."""

    scheme: str = attrs.field(default="http", validator=attrs.validators.in_(DEFAULT_PORTS))
    """http or https."""
    host: str = "localhost"
    """A name or an address; IPv6 without brackets. Also the Host header and the TLS name."""
    port: int = 0
    """0: the scheme's own."""
    base_path: str = ""
    """Comes before every request's target."""
    unix_socket: str | None = None
    """Path of a Unix socket to connect to instead of host and port."""
    connect_to: tuple[str, int] | None = None
    """Host and port to connect to instead, while Host header and TLS name stay as they are."""
    source_address: str | None = None
    """Local address to connect from; None: the system's choice."""
    tls: Tls = attrs.field(factory=Tls)
    """How https connections are made."""
    resumes_tls: bool = True
    """Whether later connections resume the TLS session of earlier ones."""
    max_connections: int | None = None
    """Connections to one origin, at the most; requests beyond them wait for one. None: as many as
    there are requests at once."""
    max_connecting: int = attrs.field(default=256, validator=attrs.validators.gt(0))
    """Connections to one origin being opened at once: a slow target is not stampeded."""
    spare_connections: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    """Idle connections to keep ready: below it one more is opened ahead of need."""
    max_redirects: int = attrs.field(default=10, validator=attrs.validators.ge(0))
    """0: a redirect is a response like any other."""
    keeps_cookies: bool = True
    """Whether a session keeps the cookies it is given."""
    resolve_ttl_s: float = 30.0
    """A name is resolved anew after this time, in the background."""

    @property
    def origin(self) -> Origin:
        """The target's origin."""
        return Origin(self.scheme, self.host, self.port or DEFAULT_PORTS[self.scheme])
