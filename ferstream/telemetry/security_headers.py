"""The headers of every answer that tell browsers what it may do. Plain values; any thread."""

from __future__ import annotations

from collections.abc import Iterable

Header = tuple[bytes, bytes]

PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""What a page may load: its own scripts and styles, pictures from the server, the user's own files."""
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""What anything else may load, opened in a browser: nothing."""
_ALWAYS: tuple[Header, ...] = (
    # Not no-referrer: browsers would send "Origin: null" with a form, and its origin could not be checked.
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=(), display-capture=(), usb=(), serial=(), payment=()"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


def with_security_headers(headers: Iterable[Header]) -> list[Header]:
    """Return the headers of an answer and those that every answer has.

    Args:
        headers: Its headers, names in lower case. A ``cache-control`` among them stays; without one, nothing is kept.
    """
    given = list(headers)
    kinds = {name: value for name, value in given if name in {b"content-type", b"cache-control"}}
    policy = PAGE_POLICY if kinds.get(b"content-type", b"").startswith(b"text/html") else DATA_POLICY
    cached = () if b"cache-control" in kinds else ((b"cache-control", b"no-store"),)
    return [*given, *cached, (b"content-security-policy", policy.encode()), *_ALWAYS]
