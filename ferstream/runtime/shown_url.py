"""How a URL is shown: scheme, host, port and the first part of its path. Everything else is masked. Any thread.

This is an allow-list: cameras take passwords as ``?loginpas=``, ``?p=``, ``/admin/PASSWORD/ch1`` and in forms that nobody has
listed, so no list of secret parameters could be complete. Paths of local files (``file:`` included) are not masked.
"""

from __future__ import annotations

import re

MASK = "***"

_KNOWN = r"rtsps?|rtmps?|https?|mqtts?|wss?|srt|rtp|udp|tcp|ftps?"
"""Schemes that are recognised with one slash, or with none at the beginning of a source."""
# Text of cameras and clients can get into a log line, so the patterns must not backtrack: the time grows with the length only.
# A quotation mark or angle bracket ends a URL only where it closes something: one inside a URL may be part of a password.
_IN_TEXT = re.compile(
    rf"""(?i)((?:[a-z][a-z0-9+.-]{{1,15}}:/(?=/)|(?:{_KNOWN}):)/)((?:[^\s"'<>]|["'<>](?![\s"'<>,;:.)\]}}]|$))*)""",
)
_SOURCE = re.compile(rf"(?is)\s*((?:[a-z][a-z0-9+.-]{{1,15}}:/|(?:{_KNOWN})\s*:/?)/?)(.*)")
_USERINFO_WITHOUT_SCHEME = re.compile(r"[^/\s@]*:[^@]*@")
_HOST_AND_PORT = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.]+(?:%[\w.-]+)?\])(?::[0-9]{1,5})?")
_PATH = re.compile(r"(?s)(/*)([\w.~+-]{0,64})(.*)", re.ASCII)
_PUNCTUATION = ".,:;!?)}\\"
"""Characters at the end of a URL in a text that belong to the text."""


def mask_urls(text: str) -> str:
    """Return a text with every URL in it masked; a local path is not changed."""
    return _IN_TEXT.sub(_in_text, text) if ":/" in text else text


def shown_source(source: str) -> str:
    """Return a source as it may be shown.

    Args:
        source: The whole value, which may be no valid URL: a password may hold any character, blanks and slashes included.
    """
    match = _SOURCE.match(source)
    if match is not None and not _is_local(match[1]):
        return match[1] + _masked(match[2])
    if match is None and not _is_local(source) and _USERINFO_WITHOUT_SCHEME.match(source):
        return _masked(source)
    return mask_urls(source)


def _in_text(match: re.Match[str]) -> str:
    scheme, rest = match[1], match[2]
    if _is_local(scheme):
        userinfo, at, path = rest.rpartition("@") if "@" in rest.partition("/")[0] else ("", "", rest)
        return f"{scheme}{MASK}@{path}" if at and userinfo else match[0]
    url = rest.rstrip(_PUNCTUATION)
    return scheme + _masked(url) + rest[len(url) :]


def _is_local(scheme: str) -> bool:
    return scheme.lower().startswith("file:")


def _masked(rest: str) -> str:
    """Return what follows the scheme, masked."""
    end = next((index for index, char in enumerate(rest) if char in "/?#"), len(rest))
    authority, path = rest[:end], rest[end:]
    if "@" in path:  # a password with a slash in it, or a path with an at sign: nothing tells where the host is
        return MASK
    _, at, host = authority.rpartition("@")
    shown_host = host if _HOST_AND_PORT.fullmatch(host) or not authority else MASK
    return f"{MASK}@{shown_host}{_masked_path(path)}" if at else shown_host + _masked_path(path)


def _masked_path(path: str) -> str:
    """Return the path with its first part, if that is a plain name; ``/live/***``, ``/live?***``, ``/***``."""
    match = _PATH.fullmatch(path)
    assert match is not None  # it matches any text
    slashes, name, tail = match.groups()
    if not tail:
        return path
    if tail[0] in "/?#":
        return slashes + name + tail[0] + (MASK if len(tail) > 1 else "")
    return slashes + MASK
