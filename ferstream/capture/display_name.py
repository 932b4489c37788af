"""The name of a source for messages: one line, of a URL only scheme, host, port and the first part of the path."""

from __future__ import annotations

from ferstream.runtime.redaction import redact_source

_MAX_CHARS = 300


def display_name(source: str) -> str:
    """Return the source without its secrets, with ``?`` for control characters, cut after 300 characters."""
    text = "".join(char if char.isprintable() else "?" for char in redact_source(source))
    return text if len(text) <= _MAX_CHARS else text[:_MAX_CHARS] + "..."
