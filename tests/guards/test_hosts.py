"""Which hosts need nobody's leave, and what `allow_hosts` lets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.config.problems import Violation
from flux.guards.hosts import HostPattern, HostRule, Verdict, normal

NOBODY = HostRule()


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.255.0.9", "::1", "[::1]", "0.0.0.0", "localhost", "LOCALHOST."),
        *("a.localhost", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "169.254.1.1", "fe80::1", "fe80::1%eth0", "fc00::1", "fdff::1"),
        *("::ffff:10.0.0.1", "::ffff:127.0.0.1"),
    ],
)
def test_what_is_nearby_needs_nobodys_leave(host: str) -> None:
    assert NOBODY.verdict(host) is Verdict.ALLOWED


@pytest.mark.parametrize(
    "host",
    [
        *("93.184.216.34", "172.15.255.255", "172.32.0.0", "192.169.0.1", "11.0.0.1", "9.9.9.9"),
        *("100.64.0.1", "198.18.0.1", "203.0.113.7", "224.0.0.1", "255.255.255.255"),
        *("2606:2800:220:1::1", "[2606:2800:220:1::1]", "::2", "fec0::1", "::ffff:8.8.8.8"),
        *("64:ff9b::a00:1", "2002:a00:1::1"),
    ],
)
def test_an_address_of_somebody_else_is_refused(host: str) -> None:
    assert NOBODY.verdict(host) is Verdict.REFUSED


@pytest.mark.parametrize("host", ["gateway", "api.example.com", "127.1", "2130706433", "0x7f.1"])
def test_a_name_is_judged_by_its_addresses(host: str) -> None:
    assert NOBODY.verdict(host) is Verdict.BY_ADDRESS
    assert NOBODY.refused_among(host, ["10.1.2.3", "fd00::1"]) is None
    assert NOBODY.refused_among(host, ["10.1.2.3", "93.184.216.34"]) == "93.184.216.34"
    assert NOBODY.refused_among(host, ["::1", "2606:2800:220:1::1"]) == "2606:2800:220:1::1"


@pytest.mark.parametrize(
    ("pattern", "host", "is_allowed"),
    [
        ("api.example.com", "api.example.com", True),
        ("api.example.com", "API.Example.com.", True),
        ("API.Example.com", "api.example.com", True),
        ("api.example.com", "example.com", False),
        ("api.example.com", "x.api.example.com", False),
        ("api.example.com", "notapi.example.com", False),
        ("*.example.com", "api.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "badexample.com", False),
        ("*.example.com", "api.example.com.evil.test", False),
        ("93.184.216.34", "93.184.216.34", True),
        ("93.184.216.34", "93.184.216.35", False),
        ("2606:2800:220:1:0:0:0:1", "[2606:2800:220:1::1]", True),
        ("bücher.example", "xn--bcher-kva.example", True),
        ("xn--bcher-kva.example", "bücher.example", True),
    ],
)
def test_a_pattern_means_a_host_or_all_below_a_domain(
    pattern: str, host: str, is_allowed: bool
) -> None:
    rule = HostRule((HostPattern.from_toml(pattern),))
    assert (rule.verdict(host) is Verdict.ALLOWED) == is_allowed
    if is_allowed:
        assert rule.refused_among(host, ["93.184.216.34"]) is None


def test_a_name_may_have_an_address_that_is_allowed_by_itself() -> None:
    rule = HostRule((HostPattern.from_toml("93.184.216.34"),))
    assert rule.refused_among("api.example.com", ["93.184.216.34"]) is None
    assert rule.refused_among("api.example.com", ["93.184.216.35"]) == "93.184.216.35"


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("*", 'write a host, as in "api.example.com" or "*.example.com"'),
        ("https://api.example.com/v1", 'write "api.example.com"'),
        ("api.example.com:8443", 'write "api.example.com"'),
        ("api.*.com", None),
        ("*.com", None),
        ("*.10.0.0.1", None),
        ("", None),
        (7, None),
        ("a b", None),
    ],
)
def test_what_is_no_host_is_not_allowed_by_mistake(value: object, hint: str | None) -> None:
    with pytest.raises(Violation, match="must") as raised:
        HostPattern.from_toml(value)
    assert raised.value.hint == hint


@given(st.ip_addresses())
def test_an_address_means_the_same_however_it_is_written(address: object) -> None:
    host = str(address)
    assert NOBODY.verdict(host) is NOBODY.verdict(f" {host.upper()} ")
    assert normal(normal(host)) == normal(host)
    assert NOBODY.verdict(host) is not Verdict.BY_ADDRESS
