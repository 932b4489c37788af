"""From a log record to one redacted line, for people or as JSON.

Everything a record carries is redacted before it is rendered (in JSON an escaped secret would not be
recognised any more) and, for people, once more as a whole line. Control characters are made visible, so
that no value can forge a line of its own.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Mapping
from typing import Any

from ferstream.runtime.redaction import MASK, redact

FIELDS = "ferstream_fields"
"""Attribute of a record that carries the key-value pairs of structlog."""
REPEATED = "ferstream_repeated"
"""Attribute of a record: how many like it were held back before."""

_DEEPEST = 6
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", FIELDS, REPEATED}
_SECRET_KEY = re.compile(r"pass(word|wd|phrase)?$|secret|token|credential|authorization|api_?key|private_?key", re.IGNORECASE)
_PLAIN = re.compile(r"[^\s\"'=]+")
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))
_LINE_ENDS = {code: f"\\u{code:04x}" for code in (0x7F, 0x85, 0x2028, 0x2029)}
"""What JSON leaves as it is but some readers take for the end of a line."""
_STYLES = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, event, then the record's fields."""

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; never raises for what it carries."""
        seconds, millis = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)), int(record.msecs)
        head = {"time": f"{seconds}.{millis:03d}Z", "level": record.levelname.lower(), "logger": record.name}
        body = {"event": redact(message_of(record)), **fields_of(record)}
        trouble = trouble_of(self, record)
        if trouble:
            body["exception"] = trouble
        line = json.dumps(head | {k: v for k, v in body.items() if k not in head}, ensure_ascii=False, allow_nan=False)
        line = line.translate(_LINE_ENDS).encode("utf-8", "backslashreplace").decode("utf-8")
        return _with_priority(line, record) if self._journal else line


class ConsoleFormatter(logging.Formatter):
    """A calm line for people: time, level if it is not info, what happened, then ``key=value``."""

    def __init__(self, *, colours: bool = False, timestamps: bool = True, journal: bool = False) -> None:
        super().__init__()
        self._colours, self._timestamps, self._journal = colours, timestamps, journal

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; never raises for what it carries."""
        level = record.levelname.lower()
        parts = [self._styled(time.strftime("%H:%M:%S", time.localtime(record.created)), "2")] if self._timestamps else []
        parts.append(self._styled(f"{level:<7}", _STYLES.get(level, "")))
        parts.append(visible(redact(message_of(record))))
        parts += [f"{self._styled(key + '=', '2')}{_plain(value)}" for key, value in fields_of(record).items() if value is not None]
        trouble = trouble_of(self, record)
        lines = [redact(" ".join(parts)), *(f"    {visible(line)}" for line in trouble.splitlines())]
        text = "\n".join(lines).encode("utf-8", "backslashreplace").decode("utf-8")
        return _with_priority(text, record) if self._journal else text

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colours and style else text


def message_of(record: logging.LogRecord) -> str:
    """Return the message with its arguments; as they are where they do not fit together."""
    try:
        text = record.getMessage()
        return text.partition("\n")[0] if record.name == "py.warnings" else text
    except Exception:
        return f"{_text(record.msg)} {_text(record.args)}"


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the redacted key-value pairs: structlog's, then those of ``extra``."""
    own = getattr(record, FIELDS, {})
    extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    found = {visible(redact(_text(key))): clean(value, _text(key)) for key, value in {**own, **extra}.items()}
    repeated = getattr(record, REPEATED, 0)
    return found | ({"repeated": repeated} if repeated else {})


def trouble_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """Return the redacted traceback and stack of a record, empty if it has none."""
    parts = [formatter.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
    parts += [record.exc_text] if record.exc_text and not parts else []
    parts += [formatter.formatStack(record.stack_info)] if record.stack_info else []
    return redact("\n".join(parts))


def clean(value: object, key: str = "", depth: int = 0) -> Any:
    """Return a value fit for JSON, redacted; the value of a key that names a secret is masked whatever it is."""
    if value is not None and not isinstance(value, bool) and _SECRET_KEY.search(key):
        return MASK
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {redact(_text(k)): clean(v, _text(k), depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [clean(item, "", depth + 1) for item in value]
    return redact(_text(value))


def visible(text: str) -> str:
    """Return the text with control characters written as escapes."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")


def _number(value: float) -> object:
    text = repr(value)
    if redact(text) != text:
        return MASK
    return value if isinstance(value, int) or math.isfinite(value) else text


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__} that cannot be shown>"


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else _rounded(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    text = visible(text)
    return text if _PLAIN.fullmatch(text) or not isinstance(value, str) else f'"{text}"'


def _rounded(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"


def _with_priority(text: str, record: logging.LogRecord) -> str:
    """Put syslog's priority before each line, as sd-daemon(3) defines it; the journal takes it off again."""
    priority = next(number for level, number in _PRIORITIES if record.levelno >= level)
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))
