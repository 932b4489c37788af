"""Names of sources as they may be shown: on one line, without secrets."""

from __future__ import annotations

from ferstream.runtime.redaction import redact

_LONGEST = 300


def shown(source: str) -> str:
    """The source, redacted, without control characters, and cut when it is very long."""
    text = "".join(letter if letter.isprintable() else "?" for letter in redact(source))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
