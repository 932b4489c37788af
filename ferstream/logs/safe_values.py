"""Makes the values of a log event safe to show: without secrets, without control characters, fit for JSON. Any thread."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ferstream.runtime.redaction import redact
from ferstream.runtime.shown_url import MASK

_MAX_DEPTH = 6
_SECRET_KEY = re.compile(r"pass(word|wd|phrase)?$|secret|token|credential|authorization|api_?key|private_?key", re.IGNORECASE)


def safe_fields(fields: Mapping[str, object]) -> dict[str, Any]:
    """Return key-value pairs with safe keys and values."""
    return {visible(redact(as_text(key))): safe_value(value, as_text(key)) for key, value in fields.items()}


def safe_value(value: object, key: str = "", depth: int = 0) -> Any:
    """Return a value that JSON can hold, redacted.

    Args:
        value: Any object. Numbers and booleans keep their type; tables and lists below the sixth level become text.
        key: Its key. The value of a key that names a secret is masked, whatever it is; None and booleans are shown.
        depth: Number of tables and lists around the value.
    """
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_KEY.search(key):
        return MASK
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        return {redact(as_text(k)): safe_value(v, as_text(k), depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _MAX_DEPTH:
        return [safe_value(item, "", depth + 1) for item in value]
    return redact(as_text(value))


def visible(text: str) -> str:
    """Return the text with control characters written as escapes, so that no value can begin a line of its own."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def as_text(value: object) -> str:
    """Return ``str(value)``, bytes as UTF-8; the name of the type for an object whose ``__str__`` fails."""
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    try:
        return str(value)
    except Exception:  # noqa: BLE001 (__str__ of any class may raise anything, and a log call must not fail)
        return f"<{type(value).__name__} without text>"


def _number(value: float) -> object:
    text = repr(value)
    if redact(text) != text:
        return MASK
    return value if isinstance(value, int) or math.isfinite(value) else text
