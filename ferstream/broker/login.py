"""User name and password of the embedded broker, and their place in a CONNECT packet of MQTT 5 (section 3.1)."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from ferstream.broker.translate import MalformedPacketError, after_properties, pack, string_end, varint

USERNAME = "ferstream"
_FLAGS_AT = 7
_WILL, _HAS_PASSWORD, _HAS_USERNAME = 0x04, 0x40, 0x80


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and a password.

    Attributes:
        username: User name.
        password: Password; never part of ``repr``.
    """

    username: str
    password: str = field(repr=False)

    @classmethod
    def random(cls) -> Login:
        """Return a login with a new password of 128 random bits."""
        return cls(USERNAME, secrets.token_hex(16))

    def matches(self, username: bytes, password: bytes) -> bool:
        """Compare in constant time."""
        same_name = hmac.compare_digest(username, self.username.encode())
        same_password = hmac.compare_digest(password, self.password.encode())
        return same_name and same_password


def login_of(connect: bytes) -> tuple[bytes, bytes] | None:
    """Return the user name and password of a CONNECT packet of MQTT 5; None without a user name or without a password.

    Raises:
        MalformedPacketError: The packet is truncated.
    """
    body = _body(connect)
    flags = body[_FLAGS_AT]
    if not (flags & _HAS_USERNAME and flags & _HAS_PASSWORD):
        return None
    start = _login_start(body)
    middle = start + string_end(body[start:])
    end = middle + string_end(body[middle:])
    return body[start + 2 : middle], body[middle + 2 : end]


def with_login(connect: bytes, login: Login) -> bytes:
    """Return a CONNECT packet of MQTT 5 with another user name and password.

    Raises:
        MalformedPacketError: The packet is truncated.
    """
    body = _body(connect)
    flags = bytes((body[_FLAGS_AT] | _HAS_USERNAME | _HAS_PASSWORD,))
    rest = body[_FLAGS_AT + 1 : _login_start(body)]
    return pack(connect[0], body[:_FLAGS_AT] + flags + rest + _string(login.username) + _string(login.password))


def _body(connect: bytes) -> bytes:
    _, start = varint(connect, 1)
    body = connect[start:]
    if len(body) < _FLAGS_AT + 4:
        raise MalformedPacketError("short CONNECT")
    return body


def _login_start(body: bytes) -> int:
    """Return where the user name begins: after the properties, the client id and the Last Will."""
    at = after_properties(body, _FLAGS_AT + 3)
    at += string_end(body[at:])
    if body[_FLAGS_AT] & _WILL:
        at = after_properties(body, at)
        at += string_end(body[at:])
        at += string_end(body[at:])
    return at


def _string(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
