"""Basic and Digest authentication of HTTP (RFC 7617, RFC 7616), which RTSP uses too.

Text of a server is kept byte for byte: cameras put names in any encoding into their challenges.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.request import parse_http_list, parse_keqv_list

from ferstream.capture.credentials import Credentials
from ferstream.capture.source_errors import authentication_failed, credentials_missing, unsupported_authentication
from ferstream.errors import SourceAuthError

_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
"""Hashes of RFC 7616, with their names in hashlib."""
_SCHEME = re.compile(r"([A-Za-z][\w.~+-]*)(?:\s+(?!=)(.*))?$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate that a server offers.

    Attributes:
        scheme: ``basic``, ``digest``, ... in lower case.
        fields: Its parameters, by their names in lower case.
    """

    scheme: str
    fields: Mapping[str, str]

    @property
    def algorithm(self) -> str:
        """Hash of a Digest in upper case, without the suffix ``-SESS``."""
        return _base(self.fields.get("algorithm", "MD5"))

    @property
    def can_be_answered(self) -> bool:
        """Whether ferstream can answer it."""
        if self.scheme == "basic":
            return True
        known = self.algorithm in _HASHES and _HASHES[self.algorithm] in hashlib.algorithms_available
        return self.scheme == "digest" and known and "nonce" in self.fields and (not self.fields.get("qop") or bool(self.qop))

    @property
    def qop(self) -> str:
        """The quality of protection to use; empty for the answer of RFC 2069."""
        offered = [part.strip().lower() for part in self.fields.get("qop", "").split(",")]
        return next((qop for qop in ("auth", "auth-int") if qop in offered), "")

    def __str__(self) -> str:
        """Return the way in words, such as ``SHA-256 digest``."""
        return f"{self.algorithm} digest" if self.scheme == "digest" else self.scheme


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Read ``WWW-Authenticate`` headers, of which each may hold several challenges; what cannot be read is left out."""
    found: list[tuple[str, list[str]]] = []
    for header in headers:
        text = str(header).encode("latin-1", "replace").decode("utf-8", "surrogateescape")
        for item in parse_http_list(text):
            begins = _SCHEME.match(item.strip())
            if begins:
                found.append((begins[1].lower(), [begins[2]] if begins[2] else []))
            elif found:
                found[-1][1].append(item)
    return [Challenge(scheme, _fields(items)) for scheme, items in found]


def _fields(items: list[str]) -> dict[str, str]:
    pairs = [item for item in items if "=" in item.strip("=")]
    return {key.strip().lower(): value.strip() for key, value in parse_keqv_list(pairs).items()}


def refusal(name: str, headers: Iterable[str], credentials: Credentials | None, *, supported: str = "digest or basic") -> SourceAuthError:
    """Return the error of a server that answers 401 for good.

    Args:
        name: Name of the source.
        headers: The ``WWW-Authenticate`` headers.
        credentials: User name and password that may be sent.
        supported: What the camera can be set to where it asks for something else.
    """
    offered = parse_challenges(headers)
    if offered and not any(challenge.can_be_answered for challenge in offered):
        return unsupported_authentication(name, " or ".join(dict.fromkeys(map(str, offered))), supported)
    if credentials is None or credentials.password is None:
        return credentials_missing(name)
    return authentication_failed(name)


class Authenticator:
    """Answers the challenges of one server with a user name and password; one thread.

    Args:
        credentials: User name and password; None = no challenge can be answered.
        new_nonce: Makes the client's nonce of Digest.
    """

    def __init__(self, credentials: Credentials | None, *, new_nonce: Callable[[], str] = lambda: secrets.token_hex(16)) -> None:
        self._credentials, self._new_nonce = credentials, new_nonce
        self._chosen: Challenge | None = None
        self._count = 0

    def challenge(self, headers: Iterable[str], *, refused: bool = False) -> bool:
        """Take the ``WWW-Authenticate`` headers of a 401; return whether another request can succeed.

        Digest is preferred to Basic, because it does not send the password; of several, the server's first.

        Args:
            headers: The headers.
            refused: Whether the request answered a challenge already. It is repeated only if the server says that its
                nonce was stale.
        """
        offered = [challenge for challenge in parse_challenges(headers) if challenge.can_be_answered]
        if self._credentials is None or self._credentials.password is None or not offered:
            return False
        chosen = next((challenge for challenge in offered if challenge.scheme == "digest"), offered[0])
        if refused and chosen.fields.get("stale", "").lower() != "true":
            return False
        self._chosen, self._count = chosen, 0
        return True

    def header(self, method: str, uri: str) -> str | None:
        """Return the value of ``Authorization`` for a request, to be sent by ``header_bytes``; None before a challenge.

        Args:
            method: Method of the request.
            uri: Target of the request as its first line has it.
        """
        if self._credentials is None or self._chosen is None:
            return None
        username, password = self._credentials.username, self._credentials.password or ""
        if self._chosen.scheme == "basic":
            return "Basic " + b64encode(f"{username}:{password}".encode()).decode()
        self._count += 1
        user = (username, password)
        return _digest_answer(self._chosen, user, method=method, uri=uri, cnonce=self._new_nonce(), count=self._count)


def header_bytes(value: str) -> bytes:
    """Return the bytes of a header, in which text of the server is as the server sent it."""
    return value.encode("utf-8", "surrogateescape")


def _digest_answer(challenge: Challenge, user: tuple[str, str], *, method: str, uri: str, cnonce: str, count: int) -> str:
    """Return the answer to a Digest challenge.

    Args:
        challenge: The challenge.
        user: User name and password.
        method: Method of the request, which has no body.
        uri: Target of the request.
        cnonce: Nonce of the client.
        count: How often the server's nonce was used, this time included.
    """
    fields, qop = challenge.fields, challenge.qop
    username, password = user
    algorithm, realm, nonce = fields.get("algorithm", "MD5"), fields.get("realm", ""), fields["nonce"]

    def hashed(text: str) -> str:
        return hashlib.new(_HASHES[challenge.algorithm], header_bytes(text), usedforsecurity=False).hexdigest()

    secret = hashed(f"{username}:{realm}:{password}")
    if _base(algorithm) != algorithm.upper():
        secret = hashed(f"{secret}:{nonce}:{cnonce}")
    target = hashed(f"{method}:{uri}" + (f":{hashed('')}" if qop == "auth-int" else ""))
    by_hash = fields.get("userhash", "").lower() == "true"
    quoted = {"username": hashed(f"{username}:{realm}") if by_hash else username, "realm": realm, "nonce": nonce, "uri": uri}
    bare = ({"algorithm": algorithm} if "algorithm" in fields else {}) | ({"userhash": "true"} if by_hash else {})
    if qop or _base(algorithm) != algorithm.upper():
        quoted["cnonce"] = cnonce
    if qop:
        bare |= {"qop": qop, "nc": f"{count:08x}"}
        nonce = f"{nonce}:{bare['nc']}:{cnonce}:{qop}"
    quoted["response"] = hashed(f"{secret}:{nonce}:{target}")
    if "opaque" in fields:
        quoted["opaque"] = fields["opaque"]
    parts = [f'{key}="{_quoted(value)}"' for key, value in quoted.items()] + [f"{key}={value}" for key, value in bare.items()]
    return "Digest " + ", ".join(parts)


def _base(algorithm: str) -> str:
    """Return the name of the hash of an algorithm, which may have the suffix ``-sess``."""
    return algorithm.upper().removesuffix("-SESS")


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
