"""Masks secrets in text before it is shown: log lines, errors, events, reports. Any thread.

Secrets are found by form (URLs beyond the first part of their path, ``password=...``, bearer tokens) and by value: every
secret that is read is registered and masked wherever it appears. ``shown_url`` says what of a URL is shown.
"""

from __future__ import annotations

import json
import re
import threading
from urllib.parse import quote, quote_plus

from ferstream.runtime.shown_url import MASK, mask_urls, shown_source

_SHORTEST_SECRET = 4
_PREFIXES = r"(?:access|auth|api|session|refresh)[_-]?"
_NAMES = rf"pass(?:word|wd|phrase|code)?|pwd|secret|(?:{_PREFIXES})?(?:token|key)|auth|credentials?|signature|sig"


# Text of cameras and clients can get into a log line, so the patterns must not backtrack: every repetition is bounded or
# ends at a character that the pattern cannot begin with, and the time grows with the length of the text only.
_QUERY = re.compile(rf"(?i)([?&;](?:[a-z0-9_.-]*[_.-])?(?:{_NAMES})=)[^&;\s\"'<>#]+")
_AUTHORIZATION = re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?(?:(?:basic|bearer|digest|token)\s+)?)[^\s\"',;]+")
_BEARER = re.compile(r"(?i)\b((?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}")
_OPTION = re.compile(rf"(?i)(--(?:[a-z0-9]{{1,20}}-){{0,3}}(?:{_NAMES})(?:\s+|=))(?!-)[^\s\"',;]+")
# What ferstream itself says after the name of a key, such as "mqtt.password: is missing", is advice and not a password.
_ADVICE = (
    r"a secret does not belong in|is missing|expected [a-z]|has no effect|is given twice|unknown key|name a file|give one with|the URL has "
)
_VALUE = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[^\s\"',;&)\]}]+"
_ASSIGNED = re.compile(rf"(?i)(?<![a-z])((?:{_NAMES})[\"']?\s*[:=]\s*)(?!(?-i:{_ADVICE}))({_VALUE})")

_lock = threading.Lock()
_secrets: frozenset[str] = frozenset()
_known: re.Pattern[str] | None = None


def register_secret(value: str) -> None:
    """Mask this value from now on: plain, quoted for URLs and as JSON. Values below 4 characters are masked by form only."""
    global _secrets, _known
    if len(value) < _SHORTEST_SECRET:
        return
    with _lock:
        _secrets |= {
            value,
            quote(value, errors="replace"),
            quote(value, safe="", errors="replace"),
            quote_plus(value, errors="replace"),
            repr(value)[1:-1],
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
        }
        _known = re.compile("|".join(re.escape(secret) for secret in sorted(_secrets, key=len, reverse=True)))


def forget_secrets() -> None:
    """Forget every registered value; for tests."""
    global _secrets, _known
    with _lock:
        _secrets, _known = frozenset(), None


def redact(text: str) -> str:
    """Return the text with secrets replaced by ``***``; hosts and local paths stay readable."""
    known = _known
    if known is not None:
        text = known.sub(MASK, text)
    text = mask_urls(text)
    text = _QUERY.sub(rf"\1{MASK}", text)
    text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
    text = _BEARER.sub(rf"\1{MASK}", text)
    text = _OPTION.sub(rf"\1{MASK}", text)
    return _ASSIGNED.sub(_masked_value, text)


def redact_source(source: str) -> str:
    """Return a source or URL as it may be shown: the whole value, valid or not; see ``shown_source``."""
    return redact(shown_source(source))


def _masked_value(match: re.Match[str]) -> str:
    quote_mark = match.group(2)[0] if match.group(2)[0] in "\"'" else ""
    return f"{match.group(1)}{quote_mark}{MASK}{quote_mark}"
