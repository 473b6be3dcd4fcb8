"""A session's cookies: as much of RFC 6265 as a load test meets."""

import time
from email.utils import parsedate_to_datetime

import attrs


@attrs.frozen
class _Cookie:
    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    is_secure: bool
    expires_s: float | None

    def fits(self, host: str, path: str, is_secure: bool) -> bool:
        """Whether a request to there carries it."""
        if self.is_secure and not is_secure:
            return False
        if host != self.domain and (self.host_only or not host.endswith("." + self.domain)):
            return False
        if not path.startswith(self.path):
            return False
        return len(path) == len(self.path) or self.path.endswith("/") or path[len(self.path)] == "/"


class CookieJar:
    """Keeps what Set-Cookie says and says what Cookie is to say."""

    __slots__ = ("_cookies",)

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], _Cookie] = {}

    def store(self, values: list[bytes], host: str, path: str, now_s: float | None = None) -> None:
        """Take the values of a response's Set-Cookie headers."""
        now_s = time.time() if now_s is None else now_s
        for value in values:
            cookie = _parse(value.decode("latin-1"), host, path, now_s)
            if cookie is None:
                continue
            key = (cookie.domain, cookie.path, cookie.name)
            if cookie.expires_s is not None and cookie.expires_s <= now_s:
                self._cookies.pop(key, None)
            else:
                self._cookies[key] = cookie

    def header(self, host: str, path: str, is_secure: bool, now_s: float | None = None) -> bytes:
        """The Cookie header's value for a request to there, empty if there is none to send."""
        now_s = time.time() if now_s is None else now_s
        path = path.partition("?")[0]
        fitting = [
            cookie
            for cookie in self._cookies.values()
            if (cookie.expires_s is None or cookie.expires_s > now_s)
            and cookie.fits(host, path, is_secure)
        ]
        # Longer paths first (RFC 6265, 5.4); sorting keeps the order of creation otherwise.
        fitting.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join([f"{cookie.name}={cookie.value}" for cookie in fitting]).encode("latin-1")


def _parse(text: str, host: str, path: str, now_s: float) -> _Cookie | None:
    """A Set-Cookie value; None if it is to be ignored. Source: RFC 6265, 5.2 and 5.3."""
    pair, *rest = text.split(";")
    name, equals, value = pair.partition("=")
    if not equals or not name.strip():
        return None
    attributes = {
        key.strip().lower(): what.strip() for key, _, what in (part.partition("=") for part in rest)
    }
    domain = attributes.get("domain", "").lstrip(".").lower()
    if domain and host != domain and not host.endswith("." + domain):
        return None
    where = attributes.get("path", "")
    return _Cookie(
        name.strip(),
        value.strip(),
        domain or host,
        not domain,
        where if where.startswith("/") else _default_path(path),
        "secure" in attributes,
        _expiry_s(attributes, now_s),
    )


def _default_path(path: str) -> str:
    directory = path.partition("?")[0].rpartition("/")[0]
    return directory if directory.startswith("/") else "/"


def _expiry_s(attributes: dict[str, str], now_s: float) -> float | None:
    """When it ends; Max-Age goes before Expires, and what cannot be read does not count."""
    try:
        return now_s + int(attributes["max-age"])
    except (KeyError, ValueError):
        pass
    try:
        return parsedate_to_datetime(attributes["expires"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
