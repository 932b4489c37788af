"""Renders a log record as one redacted line, for people or as JSON. Any thread.

Values are redacted before they are rendered: with the escapes of JSON in it a secret would not be recognised.
"""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Any

from ferstream.logs.safe_values import as_text, safe_fields, visible
from ferstream.runtime.printable import plain_number
from ferstream.runtime.redaction import redact

FIELDS = "ferstream_fields"
"""Attribute of a record that carries the key-value pairs of structlog."""
REPEATED = "ferstream_repeated"
"""Attribute of a record: number of equal lines that were suppressed before it."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", FIELDS, REPEATED}
_UNQUOTED = re.compile(r"[^\s\"'=]+")
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))
_LINE_ENDS = {code: f"\\u{code:04x}" for code in (0x7F, 0x85, 0x2028, 0x2029)}
"""Characters that JSON does not escape but some readers take for the end of a line."""
_STYLES = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}


class RedactingFormatter(logging.Formatter):
    """Base of both formatters; it never raises because of a value of the record.

    Args:
        journal: Begin each line with syslog's priority as sd-daemon(3) defines it; systemd's journal removes it.
    """

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text without secrets, one line and that of its traceback."""
        text = self.render(record).encode("utf-8", "backslashreplace").decode("utf-8")
        if not self._journal:
            return text
        priority = next(number for level, number in _PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))

    def render(self, record: logging.LogRecord) -> str:
        """Return the record as text without secrets."""
        raise NotImplementedError

    def traceback(self, record: logging.LogRecord) -> str:
        """Return the redacted traceback and stack of a record, empty if it has none."""
        parts = [self.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
        parts += [record.exc_text] if record.exc_text and not parts else []
        parts += [self.formatStack(record.stack_info)] if record.stack_info else []
        return redact("\n".join(parts))


class JsonFormatter(RedactingFormatter):
    """One JSON object per line: time (UTC), level, logger, event, then the fields of the record."""

    def render(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        seconds, millis = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)), int(record.msecs)
        head = {"time": f"{seconds}.{millis:03d}Z", "level": record.levelname.lower(), "logger": record.name}
        body = {"event": _message(record), **_fields(record)}
        if traceback := self.traceback(record):
            body["exception"] = traceback
        line = json.dumps({**head, **body, **head}, ensure_ascii=False, allow_nan=False)
        return line.translate(_LINE_ENDS)


class ConsoleFormatter(RedactingFormatter):
    """A line for people: time, level, message, then ``key=value``; the lines of a traceback are indented.

    Args:
        colours: Use the colours of a terminal.
        timestamps: Begin with the local time of day.
        journal: See ``RedactingFormatter``.
    """

    def __init__(self, *, colours: bool = False, timestamps: bool = True, journal: bool = False) -> None:
        super().__init__(journal=journal)
        self._colours, self._timestamps = colours, timestamps

    def render(self, record: logging.LogRecord) -> str:
        """Return the record as a line for people."""
        level = record.levelname.lower()
        parts = [self._styled(time.strftime("%H:%M:%S", time.localtime(record.created)), "2")] if self._timestamps else []
        parts += [self._styled(f"{level:<7}", _STYLES.get(level, "")), visible(_message(record))]
        parts += [f"{self._styled(key + '=', '2')}{_plain(value)}" for key, value in _fields(record).items() if value is not None]
        return "\n".join([redact(" ".join(parts)), *(f"    {visible(line)}" for line in self.traceback(record).splitlines())])

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colours and style else text


def _message(record: logging.LogRecord) -> str:
    """Return the redacted message with its arguments, or both side by side if they do not fit together."""
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 (formatting runs code of the arguments, which may raise anything)
        text = f"{as_text(record.msg)} {as_text(record.args)}"
    return redact(text.partition("\n")[0] if record.name == "py.warnings" else text)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the redacted key-value pairs: those of structlog, those of ``extra``, then the number of suppressed lines."""
    extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    repeated = getattr(record, REPEATED, 0)
    return safe_fields({**getattr(record, FIELDS, {}), **extra}) | ({"repeated": repeated} if repeated else {})


def _plain(value: object) -> str:
    """Return a value for people: floats with four digits, text in quotes where it has blanks, the rest as JSON."""
    if isinstance(value, float):
        return plain_number(value)
    if not isinstance(value, str):
        return visible(json.dumps(value, ensure_ascii=False))
    text = visible(value)
    return text if _UNQUOTED.fullmatch(text) else f'"{text}"'
