"""Why a connection does not come about, in words: one line that says what is wrong, and what to do. Never a secret."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from ferstream.sinks.mqtt import faults
from ferstream.sinks.mqtt.address import BrokerAddress

SECRET = "zirkelkastenschloss"


def address(url: str = "mqtts://b:8883", **fields: Any) -> BrokerAddress:
    return BrokerAddress(url=url, client_id="c", **fields)


def alert(name: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {name}] alert (_ssl.c:2580)")
    error.reason = name
    return error


@pytest.mark.parametrize(
    ("status", "words", "advice"),
    [
        ("401 Unauthorized", "HTTP 401 Unauthorized", "token"),
        ("403 Forbidden", "HTTP 403 Forbidden", "token"),
        ("404 Not Found", "HTTP 404 Not Found", "path"),
        ("200 OK", "HTTP 200 OK", "web page"),
        ("400 Bad Request", "HTTP 400 Bad Request", "wss://"),
        ("429 Too Many Requests", "HTTP 429", "too many"),
        ("502 Bad Gateway", "HTTP 502 Bad Gateway", "is the broker behind this server running"),
    ],
)
def test_a_refused_websocket_is_named_with_the_status(status: str, words: str, advice: str) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    error = faults.websocket_refusal(address(f"ws://b:9001/mqtt?token={SECRET}"), head)
    assert error.detail == f"ws://b:9001/mqtt?***: no WebSocket, the server answers {words}" or words in error.detail
    assert advice in error.advice
    assert SECRET not in str(error)


def test_a_redirected_websocket_names_where_it_leads_without_the_secret() -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: https://other.example/mqtt?token={SECRET}\r\n\r\n".encode()
    error = faults.websocket_refusal(address("ws://b/mqtt"), head)
    assert "leads to https://other.example/mqtt?***" in error.detail
    assert SECRET not in str(error)


@pytest.mark.parametrize("head", [b"", b"\x20\x02\x00\x00", b"HTTP\r\n"])
def test_what_is_no_web_server_is_named(head: bytes) -> None:
    assert "does not answer as a web server" in faults.websocket_refusal(address("ws://b/mqtt"), head).detail


@pytest.mark.parametrize("name", ["TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE"])
def test_a_missing_client_certificate_is_named(name: str) -> None:
    error = faults.tls_failure(address(), alert(name))
    assert error.detail == "mqtts://b:8883: the broker asks for a client certificate"
    assert "mqtt.cert_file" in error.advice


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", "does not know the authority of the client certificate"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "the client certificate has expired"),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", "is revoked"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "does not accept the client certificate"),
        ("TLSV1_ALERT_ACCESS_DENIED", "does not let the owner"),
    ],
)
def test_a_refused_client_certificate_is_named_with_its_file(name: str, words: str) -> None:
    error = faults.tls_failure(address(cert_file=Path("/etc/client.pem")), alert(name))
    assert words in error.detail
    assert "/etc/client.pem" in error.advice


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("WRONG_VERSION_NUMBER", "the port does not speak TLS"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "no TLS version in common"),
        ("TLSV1_UNRECOGNIZED_NAME", "does not know the name b"),
        ("SOMETHING_NEW", "something new"),
    ],
)
def test_other_failures_of_tls_are_named(name: str, words: str) -> None:
    error = faults.tls_failure(address(), alert(name))
    assert words in error.detail
    assert error.advice


def test_a_text_of_the_broker_is_shown_without_secrets_and_control_characters() -> None:
    class Properties:
        ReasonString = f"go away\x1b[31m\n?token={SECRET}"
        ServerReference = "other.example:1883"

    error = faults.refused(address(), 0x9C, Properties(), will_topic=None)
    assert error.detail.startswith("mqtts://b:8883 refused the connection: it asks to use another server: other.example:1883")
    assert "go away?" in error.detail
    assert SECRET not in str(error)
    assert str(error).isprintable()


def test_a_refusal_without_a_user_name_says_that_none_was_sent() -> None:
    assert "no user name was sent" in faults.refused(address(), 0x87, None, will_topic=None).advice
    assert "no user name was sent" not in faults.refused(address(username="edge"), 0x87, None, will_topic=None).advice


def test_a_refusal_as_not_authorised_names_the_topic_of_the_last_will() -> None:
    assert "write p/n/availability" in faults.refused(address(), 0x87, None, will_topic="p/n/availability").advice
