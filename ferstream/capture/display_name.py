"""The name of a source for messages: one line, without secrets."""

from __future__ import annotations

from ferstream.runtime.redaction import redact

_MAX_CHARS = 300


def display_name(source: str) -> str:
    """Return the source redacted, with ``?`` for control characters, cut after 300 characters."""
    text = "".join(char if char.isprintable() else "?" for char in redact(source))
    return text if len(text) <= _MAX_CHARS else text[:_MAX_CHARS] + "..."
