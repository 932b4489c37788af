"""A server's side of HTTP authentication: challenges, and whether an answer to them is right (RFC 7616, RFC 7617)."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence

USER, PASSWORD, REALM, NONCE = "joe", "hunter2", "cam", "n0nce"
_NAMES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def digest_challenge(algorithm: str | None = None, *, qop: str | None = "auth", more: str = "") -> str:
    """Return the value of a ``WWW-Authenticate`` header."""
    fields = [f'realm="{REALM}"', f'nonce="{NONCE}"']
    fields += [f"algorithm={algorithm}"] if algorithm else []
    fields += [f'qop="{qop}"'] if qop else []
    return "Digest " + ", ".join(fields) + more


def accepts(authorization: str, method: str, offered: Sequence[str]) -> bool:
    """Return whether the value of ``Authorization`` has the right password, in a way that one of these challenges asked for."""
    if authorization.startswith("Basic "):
        return "Basic" in " ".join(offered) and authorization[6:] == b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    if not authorization.startswith("Digest "):
        return False
    field = {key: quoted or bare for key, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', authorization)}
    algorithm = field.get("algorithm", "MD5")
    if not any(("algorithm" not in one and algorithm == "MD5") or f"algorithm={algorithm}," in f"{one}," for one in offered):
        return False
    return field.get("response") == _expected(field, method)


def _expected(field: dict[str, str], method: str) -> str:
    base = field.get("algorithm", "MD5").removesuffix("-sess")

    def hashed(text: str) -> str:
        return hashlib.new(_NAMES[base], text.encode()).hexdigest()

    secret = hashed(f"{USER}:{REALM}:{PASSWORD}")
    if "-sess" in field.get("algorithm", ""):
        secret = hashed(f"{secret}:{NONCE}:{field['cnonce']}")
    target = f"{method}:{field['uri']}" + (f":{hashed('')}" if field.get("qop") == "auth-int" else "")
    middle = f"{NONCE}:{field['nc']}:{field['cnonce']}:{field['qop']}" if "qop" in field else NONCE
    return hashed(f"{secret}:{middle}:{hashed(target)}")
