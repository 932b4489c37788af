"""Reading ``host:port`` and telling loopback hosts from others."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.runtime.addresses import ListenAddress, is_loopback, parse_listen, split_host_port


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost", "ip6-localhost", "127.0.0.1", "127.8.9.1", "127.255.255.255", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"],
)
def test_loopback_hosts(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "0.0.0.0", "::", "192.168.1.4", "128.0.0.1", "::2", "::ffff:192.168.1.4", "127.1", "127.0.0.1.evil.example"),
        *("localhost.evil.example", "edge-1", "[::1]", " localhost"),
    ],
)
def test_hosts_that_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@given(st.ip_addresses(v=4))
def test_an_ipv4_mapped_address_is_loopback_when_its_ipv4_address_is(address: ipaddress.IPv4Address) -> None:
    assert is_loopback(f"::ffff:{address}") == is_loopback(str(address))


@pytest.mark.parametrize(
    ("listen", "host", "port", "loopback"),
    [
        ("127.0.0.1:9108", "127.0.0.1", 9108, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:80", "::1", 80, True),
        ("0.0.0.0:9108", "0.0.0.0", 9108, False),
        ("[::]:9108", "::", 9108, False),
        ("box.lan:65535", "box.lan", 65535, False),
    ],
)
def test_a_listen_address_is_host_and_port(listen: str, host: str, port: int, loopback: bool) -> None:
    address = parse_listen(listen)
    assert (address.host, address.port, address.loopback) == (host, port, loopback)
    assert str(address) == listen


MALFORMED = [
    *("", "9108", ":9108", "127.0.0.1", "[::1]", "h:", "h:-1", "h:65536", "h:999999", "h:x", "h:²", "h:٣", "h:1 ", "a b:1"),
    *("::1:80", "[a]:1", "[::1]x:80", "[]:80", "h:80:81", "joe@h:80", "h/path:80"),
]


@pytest.mark.parametrize("listen", MALFORMED)
def test_a_malformed_listen_address_is_refused_with_what_was_expected(listen: str) -> None:
    with pytest.raises(ValueError, match=r"expected address:port .* such as 127\.0\.0\.1:9108"):
        parse_listen(listen)


@given(st.text(max_size=30))
def test_any_text_is_a_listen_address_or_a_value_error(listen: str) -> None:
    try:
        address = parse_listen(listen)
    except ValueError:
        return
    assert 0 <= address.port <= 65535
    assert parse_listen(str(address)) == address


def test_a_port_is_optional_where_hosts_are_read() -> None:
    assert split_host_port("localhost") == ("localhost", None)
    assert split_host_port("[::1]") == ("::1", None)
    assert split_host_port("localhost:9108") == ("localhost", 9108)


@pytest.mark.parametrize("value", ["localhost:x@evil.example", "[::1]x", "[::1", "::1", "localhost:", ""])
def test_a_malformed_host_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        split_host_port(value)


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    assert str(ListenAddress("::1", 80)) == "[::1]:80"
