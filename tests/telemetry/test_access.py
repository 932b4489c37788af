"""Who may ask: addresses, tokens, host names, rates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.errors import ConfigError
from ferstream.telemetry.access import Address, RateLimit, authorised, local_name, parse_listen, require_token
from tests.support.clock import FakeClock

TOKEN = "correct-horse-battery-staple"


@pytest.mark.parametrize(
    ("listen", "host", "port", "loopback"),
    [
        ("127.0.0.1:9108", "127.0.0.1", 9108, True),
        ("127.8.8.8:1", "127.8.8.8", 1, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:9108", "::1", 9108, True),
        ("0.0.0.0:9108", "0.0.0.0", 9108, False),
        ("[::]:9108", "::", 9108, False),
        ("192.168.1.4:80", "192.168.1.4", 80, False),
        ("edge-1.example:80", "edge-1.example", 80, False),
    ],
)
def test_addresses(listen: str, host: str, port: int, loopback: bool) -> None:
    address = parse_listen(listen)
    assert (address.host, address.port, address.loopback) == (host, port, loopback)
    assert str(address) == listen


@pytest.mark.parametrize("listen", ["", "9108", ":9108", "127.0.0.1", "127.0.0.1:", "a:-1", "a:65536", "::1:9108", "a:٣", "a:1 ", "[a]:1"])
def test_a_malformed_address_names_its_key(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"http\.listen"):
        parse_listen(listen)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_config_error(listen: str) -> None:
    try:
        address = parse_listen(listen)
    except ConfigError:
        return
    assert 0 <= address.port <= 65535


def test_an_open_address_needs_a_token() -> None:
    with pytest.raises(ConfigError, match="token_file"):
        require_token(Address("0.0.0.0", 9108), None)
    require_token(Address("0.0.0.0", 9108), TOKEN)
    require_token(Address("::1", 9108), None)


@pytest.mark.parametrize("token", ["", "short", "two words are not one token", "é" * 32, "correct-horse\nbattery-staple"])
def test_a_poor_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ConfigError, match="openssl rand") as caught:
        require_token(Address("127.0.0.1", 9108), token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN}"])
def test_the_right_token_is_let_in(header: str) -> None:
    assert authorised(header, TOKEN)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"]
)
def test_anything_else_is_not(header: str | None) -> None:
    assert not authorised(header, TOKEN)


@given(st.text())
def test_no_header_makes_the_check_fail_otherwise(header: str) -> None:
    assert authorised(header, TOKEN) == (header.partition(" ")[0].lower() == "bearer" and header.partition(" ")[2].strip() == TOKEN)


def test_without_a_token_everybody_is_let_in() -> None:
    assert authorised(None, None)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("localhost:9108", True),
        ("127.0.0.1:9108", True),
        ("[::1]:9108", True),
        ("evil.example", False),
        ("evil.example:9108", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        (None, False),
    ],
)
def test_host_names_of_this_machine(host: str | None, local: bool) -> None:
    assert local_name(host) is local


def test_a_burst_passes_then_the_rate_rules(clock: FakeClock) -> None:
    limit = RateLimit(per_second=10, burst=5, clock=clock)
    assert [limit.allow("a") for _ in range(6)] == [True] * 5 + [False]
    clock.advance(0.1)
    assert limit.allow("a")
    assert not limit.allow("a")


def test_peers_do_not_pay_for_each_other(clock: FakeClock) -> None:
    limit = RateLimit(per_second=1, burst=1, clock=clock)
    assert limit.allow("a")
    assert not limit.allow("a")
    assert limit.allow("b")


def test_a_costly_request_empties_the_bucket_sooner(clock: FakeClock) -> None:
    limit = RateLimit(per_second=1, burst=10, clock=clock)
    assert limit.allow("a", 10)
    assert not limit.allow("a")


def test_memory_for_peers_is_bounded(clock: FakeClock) -> None:
    limit = RateLimit(per_second=1, burst=1, clock=clock)
    for peer in range(5000):
        limit.allow(str(peer))
    assert len(limit._peers) <= 1024


@given(st.lists(st.floats(0, 2), max_size=50))
def test_no_more_pass_than_burst_plus_rate_times_time(gaps: list[float]) -> None:
    now = [0]

    class Now:
        def monotonic_ns(self) -> int:
            return now[0]

        def utc_ns(self) -> int:
            return now[0]

    limit, passed = RateLimit(per_second=2, burst=3, clock=Now()), 0
    for gap in gaps:
        now[0] += int(gap * 1e9)
        passed += limit.allow("a")
    assert passed <= 3 + 2 * sum(gaps) + 1e-6
