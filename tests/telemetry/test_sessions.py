"""Sessions: random, limited in number and time, ended by a logout."""

from __future__ import annotations

import pytest

from ferstream.telemetry.sessions import Sessions
from tests.support.clock import FakeClock


def test_only_the_id_of_an_open_session_is_accepted(clock: FakeClock) -> None:
    sessions = Sessions(cookie="s", clock=clock)
    first, second = sessions.open(), sessions.open()
    assert len(first) >= 43
    assert first != second
    assert sessions.is_open(f"s={first}")
    assert sessions.is_open(f'other={{"a": 1}}; bad; s={second}; more=x')
    for wrong in (None, "", "s=", f"s={first[:-1]}", f"s={first}x", f"S={first}", f"other={first}", "s=é"):
        assert not sessions.is_open(wrong)


def test_a_session_ends_after_its_lifetime(clock: FakeClock) -> None:
    sessions = Sessions(cookie="s", lifetime_s=10, clock=clock)
    session = sessions.open()
    clock.advance(9.9)
    assert sessions.is_open(f"s={session}")
    clock.advance(0.2)
    assert not sessions.is_open(f"s={session}")
    sessions.open()
    assert len(sessions) == 1


def test_a_logout_ends_one_session(clock: FakeClock) -> None:
    sessions = Sessions(cookie="s", clock=clock)
    first, second = sessions.open(), sessions.open()
    sessions.close(f"s={first}")
    sessions.close(f"s={first}")
    assert not sessions.is_open(f"s={first}")
    assert sessions.is_open(f"s={second}")


def test_one_login_too_many_ends_the_oldest_session(clock: FakeClock) -> None:
    sessions = Sessions(cookie="s", limit=2, clock=clock)
    first, second, third = (sessions.open() for _ in range(3))
    assert [sessions.is_open(f"s={session}") for session in (first, second, third)] == [False, True, True]


@pytest.mark.parametrize("secure", [False, True])
def test_the_cookie_is_for_this_site_and_not_for_scripts(clock: FakeClock, secure: bool) -> None:
    sessions = Sessions(cookie="s", lifetime_s=60, clock=clock)
    end = "; Secure" if secure else ""
    assert sessions.set_cookie("abc", secure=secure) == f"s=abc; Max-Age=60; Path=/; HttpOnly; SameSite=Strict{end}"
    assert sessions.clear_cookie(secure=secure) == f"s=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict{end}"
