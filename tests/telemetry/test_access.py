"""Access rules of the pages: listen address, token, host name, request rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.errors import ConfigError
from ferstream.runtime.addresses import ListenAddress
from ferstream.telemetry.access import MAX_PEERS, Answer, Authenticator, RateLimit, authorised, parse_listen, require_token
from ferstream.telemetry.sessions import Sessions
from tests.support.clock import FakeClock

TOKEN = "correct-horse-battery-staple"


def test_a_malformed_listen_address_is_a_config_error_that_names_its_key() -> None:
    with pytest.raises(ConfigError, match=r'http\.listen = "9108": expected address:port'):
        parse_listen("9108")
    assert str(parse_listen("[::1]:9108")) == "[::1]:9108"


def test_a_network_address_needs_a_token() -> None:
    with pytest.raises(ConfigError, match="token_file"):
        require_token(ListenAddress("0.0.0.0", 9108), None)
    require_token(ListenAddress("0.0.0.0", 9108), TOKEN)
    require_token(ListenAddress("::1", 9108), None)


@pytest.mark.parametrize("token", ["", "short", "two words are not one token", "é" * 32, "correct-horse\nbattery-staple"])
def test_a_poor_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ConfigError, match="openssl rand") as caught:
        require_token(ListenAddress("127.0.0.1", 9108), token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN}"])
def test_a_request_with_the_token_is_authorised(header: str) -> None:
    assert authorised(header, TOKEN)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"]
)
def test_a_request_without_the_exact_token_is_not_authorised(header: str | None) -> None:
    assert not authorised(header, TOKEN)


@given(st.text())
def test_any_header_is_authorised_only_if_it_carries_the_token(header: str) -> None:
    assert authorised(header, TOKEN) == (header.partition(" ")[0].lower() == "bearer" and header.partition(" ")[2].strip() == TOKEN)


def test_without_a_configured_token_every_request_is_authorised() -> None:
    assert authorised(None, None)


def test_after_a_burst_requests_pass_at_the_rate(clock: FakeClock) -> None:
    limit = RateLimit(per_second=10, burst=5, clock=clock)
    assert [limit.allow("a") for _ in range(6)] == [True] * 5 + [False]
    clock.advance(0.1)
    assert limit.allow("a")
    assert not limit.allow("a")


def test_each_peer_has_its_own_rate(clock: FakeClock) -> None:
    limit = RateLimit(per_second=1, burst=1, clock=clock)
    assert limit.allow("a")
    assert not limit.allow("a")
    assert limit.allow("b")


def test_a_costly_request_empties_the_bucket_sooner(clock: FakeClock) -> None:
    limit = RateLimit(per_second=1, burst=10, clock=clock)
    assert limit.allow("a", 10)
    assert not limit.allow("a")


def test_the_number_of_remembered_peers_is_bounded(clock: FakeClock) -> None:
    limit = RateLimit(per_second=1, burst=1, clock=clock)
    for peer in range(5000):
        limit.allow(str(peer))
    assert limit.peers == MAX_PEERS


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


def authenticator(clock: FakeClock, token: str | None = TOKEN) -> Authenticator:
    return Authenticator(token, sessions=Sessions(cookie="s", clock=clock), guesses=RateLimit(per_second=0.1, burst=3, clock=clock))


def test_a_peer_that_guesses_is_refused_also_with_the_right_token(clock: FakeClock) -> None:
    checks = authenticator(clock)
    assert [checks.check_header(f"Bearer {number}", "a") for number in range(3)] == [Answer.WRONG] * 3
    assert checks.check_header(f"Bearer {TOKEN}", "a") is Answer.TOO_MANY
    assert checks.check_token(TOKEN, "a") is Answer.TOO_MANY
    assert checks.check_header(f"Bearer {TOKEN}", "b") is Answer.ALLOWED
    clock.advance(11)
    assert checks.check_token(TOKEN, "a") is Answer.ALLOWED


def test_right_tokens_and_requests_without_one_are_no_guesses(clock: FakeClock) -> None:
    checks = authenticator(clock)
    for header, answer in ((f"Bearer {TOKEN}", Answer.ALLOWED), (None, Answer.MISSING), (f"Basic {TOKEN}", Answer.MISSING)):
        assert {checks.check_header(header, "a") for _ in range(50)} == {answer}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [("2001:db8::1", "2001:db8::2", True), ("2001:db8::1", "2001:db8:0:1::1", False), ("10.0.0.1", "10.0.0.2", False)],
)
def test_the_addresses_of_one_machine_are_one_peer(clock: FakeClock, first: str, second: str, same: bool) -> None:
    checks = authenticator(clock)
    for _ in range(3):
        checks.check_token("wrong", first)
    assert (checks.check_token("wrong", second) is Answer.TOO_MANY) is same


def test_without_a_token_there_is_nothing_to_check(clock: FakeClock) -> None:
    checks = authenticator(clock, token=None)
    assert not checks.required
    assert checks.check_header(None, "a") is Answer.ALLOWED
