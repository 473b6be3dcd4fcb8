"""Where requests go, and how a connection is to be made: value types of the `http` stage's keys."""

import ipaddress
import pathlib
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self, TypeAlias
from urllib.parse import urlsplit

import attrs

from flux.config.problems import Violation

_DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


@attrs.frozen
class Target:
    """The server under test: `http(s)://host[:port][/base]`, or "demo"."""

    type_text: ClassVar[str] = 'a URL, as in "http://127.0.0.1:8080", or "demo"'

    url: str
    """As written, without a slash at its end."""
    scheme: str = ""
    host: str = ""
    """As resolved: without the brackets of an IPv6 address."""
    port: int = 0
    base_path: str = ""
    """Put before every step's path; empty or `/…` without a slash at its end."""

    @property
    def is_demo(self) -> bool:
        """True for the bundled gateway, which is started for the run."""
        return self.url == "demo"

    @property
    def host_header(self) -> str:
        """For the Host header: with the port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else _ascii(self.host)
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def title(self) -> str:
        """What rows and reports call it unless it has a name: host, port and base path."""
        return self.url if self.is_demo else self.host_header + self.base_path

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read a URL."""
        if not isinstance(value, str):
            raise Violation(f"must be {cls.type_text}")
        return cls.parse(value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL, strictly: what it cannot mean is refused, not dropped.

        Raises:
            Violation: it is not a URL of an HTTP server.
        """
        if text == "demo":
            return cls(text)
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise Violation(f"must be {cls.type_text} ({error})") from error
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            hint = f'write "http://{text}"' if re.fullmatch(r"[\w.-]+(:\d+)?(/.*)?", text) else None
            raise Violation(f"must be {cls.type_text}", hint=hint)
        if parts.query or parts.fragment:
            raise Violation("must have no query and no fragment", hint="put them into the steps")
        if parts.username or parts.password:
            raise Violation(
                "must have no user and password", hint='write auth = { basic = "user:password" }'
            )
        return cls(
            url=text.rstrip("/"),
            scheme=parts.scheme,
            host=parts.hostname,
            port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
            base_path=parts.path.rstrip("/"),
        )


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


@attrs.frozen
class HostPort:
    """An address to connect to in place of the target's: `host:port`."""

    type_text: ClassVar[str] = 'an address, as in "127.0.0.1:8443"'

    host: str
    port: int

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read it."""
        match = re.fullmatch(r"\[?(?P<host>[^\]]+)\]?:(?P<port>\d{1,5})", str(value))
        if not isinstance(value, str) or match is None or int(match["port"]) > 65535:
            raise Violation(f"must be {cls.type_text}")
        return cls(match["host"], int(match["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@attrs.frozen
class Address:
    """An IP address of this machine."""

    type_text: ClassVar[str] = 'an IP address, as in "127.0.0.2"'

    text: str

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read it."""
        try:
            return cls(str(ipaddress.ip_address(value if isinstance(value, str) else "")))
        except ValueError as error:
            raise Violation(f"must be {cls.type_text}") from error


@attrs.frozen(kw_only=True)
class Auth:
    """The Authorization header of every request."""

    basic: str | None = None
    """`user:password`; better from the environment, as in "${API_USER}:${API_PASSWORD}"."""
    bearer: str | None = None
    """A token; better from the environment, as in "${API_TOKEN}"."""

    def check(self) -> Iterator[Violation]:
        """Exactly one of them."""
        if (self.basic is None) == (self.bearer is None):
            yield Violation("needs either basic or bearer")
        if self.basic is not None and ":" not in self.basic:
            yield Violation('must be "user:password"', key="basic")


TlsVersion: TypeAlias = Literal["1.2", "1.3"]


@attrs.frozen(kw_only=True)
class Tls:
    """How TLS connections are made; certificates are verified unless you say otherwise."""

    verify: bool = True
    """False: accept any certificate."""
    ca: pathlib.Path | None = None
    """PEM file of the authorities to trust in place of the system's."""
    cert: pathlib.Path | None = None
    """PEM file of the client's own certificate, for servers that ask for one."""
    key: pathlib.Path | None = None
    """PEM file of its private key, if that is not in `cert`."""
    server_name: str | None = None
    """Name for SNI and verification, in place of the target's host."""
    min_version: TlsVersion = "1.2"
    """Lowest version to accept."""

    def check(self) -> Iterator[Violation]:
        """Files must be there and fit."""
        if self.key is not None and self.cert is None:
            yield Violation("needs cert too", key="key")
        for key in ("ca", "cert", "key"):
            file: pathlib.Path | None = getattr(self, key)
            if file is not None and not file.is_file():
                yield Violation("names no file", key=key, hint=f"{file} is not there")

    def context(self, alpn: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
        """A client context.

        Args:
            alpn: protocols to offer, the wanted one first.

        Raises:
            ssl.SSLError: a file holds no certificate or key, or they do not fit.
        """
        context = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        context.minimum_version = {
            "1.2": ssl.TLSVersion.TLSv1_2,
            "1.3": ssl.TLSVersion.TLSv1_3,
        }[self.min_version]
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert is not None:
            context.load_cert_chain(self.cert, self.key)
        context.set_alpn_protocols(list(alpn))
        return context
