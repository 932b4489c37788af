"""Logins in CONNECT packets of MQTT 5."""

from __future__ import annotations

import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.broker.child import owns_listener
from ferstream.broker.front import HOST
from ferstream.broker.login import Login, login_of, with_login
from ferstream.broker.translate import MalformedPacketError, pack

LOGIN = Login("ferstream", "secret")
CONNECT = 0x10
SHORT = st.binary(max_size=30)


def string(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def connect(
    client_id: bytes,
    *,
    username: bytes | None = None,
    password: bytes | None = None,
    will: tuple[bytes, bytes] | None = None,
    properties: bytes = b"",
) -> bytes:
    """A CONNECT packet of MQTT 5."""
    flags = (0x80 if username is not None else 0) | (0x40 if password is not None else 0) | (0x04 if will is not None else 0)
    body = b"\x00\x04MQTT\x05" + bytes((flags,)) + b"\x00\x1e" + bytes((len(properties),)) + properties + string(client_id)
    if will is not None:
        body += b"\x00" + string(will[0]) + string(will[1])
    for field in (username, password):
        body += b"" if field is None else string(field)
    return pack(CONNECT, body)


@given(client_id=SHORT, username=SHORT, password=SHORT, will=st.none() | st.tuples(SHORT, SHORT), properties=SHORT)
def test_the_login_is_found_wherever_it_is(
    client_id: bytes, username: bytes, password: bytes, will: tuple[bytes, bytes] | None, properties: bytes
) -> None:
    packet = connect(client_id, username=username, password=password, will=will, properties=properties)
    assert login_of(packet) == (username, password)


@given(client_id=SHORT, username=st.none() | SHORT, will=st.none() | st.tuples(SHORT, SHORT), properties=SHORT)
def test_a_replaced_login_leaves_the_rest_as_it_was(
    client_id: bytes, username: bytes | None, will: tuple[bytes, bytes] | None, properties: bytes
) -> None:
    given_packet = connect(client_id, username=username, will=will, properties=properties)
    wanted = connect(client_id, username=b"ferstream", password=b"secret", will=will, properties=properties)
    assert with_login(given_packet, LOGIN) == wanted


@pytest.mark.parametrize(("username", "password"), [(None, None), (b"ferstream", None), (None, b"secret")])
def test_half_a_login_is_none(username: bytes | None, password: bytes | None) -> None:
    assert login_of(connect(b"c", username=username, password=password)) is None


@given(cut=st.integers(0, 40))
def test_a_truncated_packet_is_an_error_or_has_no_other_login(cut: int) -> None:
    whole = connect(b"c", username=b"ferstream", password=b"secret", will=(b"t", b"p"))
    body = whole[2:]
    with contextlib.suppress(MalformedPacketError):
        assert login_of(pack(CONNECT, body[: max(0, len(body) - cut)])) == ((b"ferstream", b"secret") if cut == 0 else None)


@pytest.mark.parametrize(
    ("username", "password", "same"),
    [(b"ferstream", b"secret", True), (b"ferstream", b"secret2", False), (b"ferstream", b"", False), (b"Ferstream", b"secret", False)],
)
def test_which_logins_match(username: bytes, password: bytes, same: bool) -> None:
    assert LOGIN.matches(username, password) is same


def test_a_listener_belongs_to_the_process_that_opened_it() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        assert owns_listener(port)
    assert not owns_listener(port)
