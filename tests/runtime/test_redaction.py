"""Secrets in a text are masked, other text is not changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.runtime.redaction import forget_secrets, redact, register_secret


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    forget_secrets()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://u:p@cam:554/s", "rtsp://***@cam:554/s"),
        ("rtsp://u@cam/s", "rtsp://***@cam/s"),
        ("RTSP:/u:p@cam/s", "RTSP:/***@cam/s"),
        ("rtsp:/u:p/a@cam/s", "rtsp:/***"),
        ("rtsp://u:p/a?ss@cam/s", "rtsp://***"),
        ("mqtts://u:p@[::1]:8883", "mqtts://***@[::1]:8883"),
        ("a rtsp://u:p@h/x, b http://v:q@i/y", "a rtsp://***@h/x, b http://***@i/y"),
        ("http://cam/s?user=me&token=abc&n=1", "http://cam/s?***"),
        ("GET /s?user=me&access_token=abc#x", "GET /s?user=me&access_token=***"),
        ("GET /s?pwd=abc;sig=def", "GET /s?pwd=***;sig=***"),
        ("password=abc, then", "password=***, then"),
        ("mqtt_password: abc", "mqtt_password: ***"),
        ("PASSWD = 'a b'", "PASSWD = '***'"),
        ('{"api_key": "a b", "n": 1}', '{"api_key": "***", "n": 1}'),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ***"),
        ("sent bearer abcdefghij to it", "sent bearer *** to it"),
        ("run --password abc --loop", "run --password *** --loop"),
        ("run --mqtt-token=abc", "run --mqtt-token=***"),
    ],
)
def test_text_with_the_form_of_a_secret_is_masked(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://cam:554/s",
        "mail a@b.c",
        "monkey=3 turkey: 4",
        "the password is wrong",
        "authentication refused; check username and password_file",
        "mqtt.password_file: /run/secrets/mqtt cannot be read",
        "25 tokens per second",
        "compass=12 bypass: yes",
        "no bearer of news",
        "see http://h/a and mail x@y",
        "/srv/videos/a/b/c.mp4: no such file",
        "",
    ],
)
def test_other_text_is_not_changed(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(secret=st.text(min_size=4, max_size=30), before=st.text("abc ", max_size=5), after=st.text("abc ", max_size=5))
def test_a_registered_value_is_masked_in_every_form(secret: str, before: str, after: str) -> None:
    forget_secrets()
    register_secret(secret)
    for form in {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]}:
        assert form not in redact(f"{before}{form}{after}").replace("***", "\0")


def test_the_longer_of_two_registered_values_is_masked_as_a_whole() -> None:
    register_secret("abcd")
    register_secret("abcdefgh")
    assert redact("x abcdefgh y abcd z") == "x *** y *** z"


def test_registered_values_below_four_characters_are_masked_by_form_only() -> None:
    register_secret("cam")
    assert redact("cam is up") == "cam is up"
    assert redact("rtsp://u:cam@h/s") == "rtsp://***@h/s"


def test_a_value_with_surrogates_can_be_registered() -> None:
    register_secret("ab\udcffcd")
    assert redact("x ab\udcffcd") == "x ***"


LONG = [
    "1",
    "a_",
    "a",
    "-a",
    "--a-",
    "a:",
    "://",
    "rtsp://",
    "http://a:",
    "bearer ",
    "password",
    "password='",
    "?a=b&",
    "?a_",
    "x@",
    " ",
    "auth: ",
    '"',
]


@pytest.mark.parametrize("piece", LONG)
@pytest.mark.parametrize("end", ["", "@", "token=x"])
@pytest.mark.timeout(20)
def test_a_long_text_takes_no_longer_for_each_character(piece: str, end: str) -> None:
    # A pattern that backtracks needs minutes for this; a linear one a tenth of a second.
    redact(piece * (100_000 // len(piece)) + end)
