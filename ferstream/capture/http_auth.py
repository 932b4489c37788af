"""Basic and Digest authentication of HTTP (RFC 7617, RFC 7616), which RTSP uses too."""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from urllib.request import parse_http_list, parse_keqv_list

from ferstream.capture.credentials import Credentials

_HASHES: Mapping[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}


class Authenticator:
    """Answers the challenges of one server with a user name and password; one thread.

    Args:
        credentials: User name and password; None = no challenge can be answered.
        new_nonce: Makes the client's nonce of Digest.
    """

    def __init__(self, credentials: Credentials | None, *, new_nonce: Callable[[], str] = lambda: secrets.token_hex(16)) -> None:
        self._credentials, self._new_nonce = credentials, new_nonce
        self._digest: dict[str, str] | None = None
        self._basic = False
        self._count = 0

    def challenge(self, headers: Iterable[str], *, refused: bool = False) -> bool:
        """Take the ``WWW-Authenticate`` headers of a 401; return whether another request can succeed.

        Digest is preferred to Basic, because it does not send the password.

        Args:
            headers: The headers.
            refused: Whether the request answered a challenge already. It is repeated only if the server says that its
                nonce was stale.
        """
        found, basic = None, False
        for header in headers:
            basic = basic or header.lower().lstrip().startswith("basic")
            found = found or _digest_of(header)
        if self._credentials is None or self._credentials.password is None or (found is None and not basic):
            return False
        stale = found is not None and found.get("stale", "").lower() == "true"
        if refused and not stale:
            return False
        self._digest, self._basic, self._count = found, found is None, 0
        return True

    def header(self, method: str, uri: str) -> str | None:
        """Return the value of ``Authorization`` for a request; None before a challenge.

        Args:
            method: Method of the request.
            uri: Target of the request as its first line has it.
        """
        if self._credentials is None:
            return None
        username, password = self._credentials.username, self._credentials.password or ""
        if self._basic:
            return "Basic " + b64encode(f"{username}:{password}".encode()).decode()
        if self._digest is None:
            return None
        self._count += 1
        return _digest_answer(
            self._digest, username=username, password=password, method=method, uri=uri, cnonce=self._new_nonce(), count=self._count
        )


def _digest_answer(challenge: Mapping[str, str], *, username: str, password: str, method: str, uri: str, cnonce: str, count: int) -> str:
    """Return the answer to a Digest challenge.

    Args:
        challenge: Fields of the challenge.
        username: User name.
        password: Password.
        method: Method of the request.
        uri: Target of the request.
        cnonce: Nonce of the client.
        count: How often the server's nonce was used, this time included.
    """
    algorithm = challenge.get("algorithm", "MD5")
    hashed = _HASHES[_base(algorithm)]
    realm, nonce = challenge.get("realm", ""), challenge["nonce"]
    secret = hashed(f"{username}:{realm}:{password}".encode())
    if _base(algorithm) != algorithm.upper():
        secret = hashed(f"{secret}:{nonce}:{cnonce}".encode())
    request = hashed(f"{method}:{uri}".encode())
    quoted = {"username": username, "realm": realm, "nonce": nonce, "uri": uri, "cnonce": cnonce}
    bare = {"algorithm": algorithm} if "algorithm" in challenge else {}
    if "qop" in challenge:
        bare |= {"qop": "auth", "nc": f"{count:08x}"}
        nonce = f"{nonce}:{bare['nc']}:{cnonce}:auth"
    quoted["response"] = hashed(f"{secret}:{nonce}:{request}".encode())
    if "opaque" in challenge:
        quoted["opaque"] = challenge["opaque"]
    fields = [f'{key}="{_quoted(value)}"' for key, value in quoted.items()] + [f"{key}={value}" for key, value in bare.items()]
    return "Digest " + ", ".join(fields)


def _base(algorithm: str) -> str:
    """Return the name of the hash of an algorithm, which may have the suffix ``-sess``."""
    return algorithm.upper().removesuffix("-SESS")


def _digest_of(header: str) -> dict[str, str] | None:
    """Return the fields of a Digest challenge that can be answered; None if the header has none."""
    match = re.match(r"(?is)\s*(?:basic\s[^,]*,\s*)?digest\s+(.*)", header)
    if match is None:
        return None
    try:
        fields = {key.lower(): value for key, value in parse_keqv_list(parse_http_list(match.group(1))).items()}
    except (ValueError, IndexError):
        return None
    algorithm = _base(fields.get("algorithm", "MD5"))
    offers_auth = "auth" in [part.strip().lower() for part in fields.get("qop", "auth").split(",")]
    return fields if "nonce" in fields and algorithm in _HASHES and offers_auth else None


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
