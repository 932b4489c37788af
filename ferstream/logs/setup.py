"""Sets up logging at the start of a command: one redacting handler on stderr for all loggers of the process."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

from ferstream.logs.limit import RepeatLimit
from ferstream.logs.render import FIELDS, ConsoleFormatter, JsonFormatter
from ferstream.logs.safe_values import safe_fields
from ferstream.runtime.import_blocking import without
from ferstream.runtime.redaction import redact

with without("rich"):  # structlog would import it for tracebacks, which it does not render here: 0.2 s of each start
    import structlog
    from structlog.typing import EventDict, WrappedLogger

QUIET = (
    "asyncio",
    "av",
    "filelock",
    "h5py",
    "httpcore",
    "httpx",
    "keras",
    "libav",
    "matplotlib",
    "nncf",
    "openvino",
    "paho",
    "PIL",
    "tensorflow",
    "uvicorn",
)
"""Loggers of libraries; only their warnings and errors are shown."""


class SafeHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream. A line that cannot be written is lost, without a traceback, which could show its secrets."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the standard library's name)
        """Write that a line was lost, unless the stream itself fails."""
        kind, _, _ = sys.exc_info()
        if kind is not None and issubclass(kind, OSError | ValueError):
            return
        try:
            self.stream.write(f"a log line of {record.name} could not be written: {kind.__name__ if kind else 'unknown'}\n")
        except (OSError, ValueError):
            return


def configure_logging(
    *,
    level: str = "info",
    format: str = "auto",  # noqa: A002 (the name of the key)
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
    limit: RepeatLimit | None = None,
) -> None:
    """Send every log line of the process, warnings included, to one redacting handler.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        format: ``console``, ``json``, or ``auto``: console on a terminal, else JSON.
        stream: The stream to write to; stderr if None.
        environ: Variables; the process's own if None.
        limit: Suppresses repeated lines; None = at most 5 equal lines in 10 s.
    """
    stream = stream or sys.stderr
    environ = os.environ if environ is None else environ
    handler = SafeHandler(stream)
    handler.setFormatter(_formatter(format, stream, environ))
    handler.addFilter(limit or RepeatLimit())
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, SafeHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    set_level(level)
    logging.captureWarnings(True)
    _configure_structlog()


def set_level(level: str) -> None:
    """Show lines of this level and above from now on; of libraries, warnings and errors at most."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(number)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def catch_crashes() -> None:
    """Log exceptions that no code caught, in any thread, so that their tracebacks are redacted."""
    log = logging.getLogger("ferstream.crash")

    def uncaught(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("uncaught %s", kind.__name__, exc_info=(kind, exc, trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else "?"
            log.critical(
                "uncaught %s in thread %s", args.exc_type.__name__, name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
            )

    def in_destructor(args: sys.UnraisableHookArgs) -> None:
        if args.exc_value is not None:
            log.error(
                "uncaught %s in a destructor or callback",
                args.exc_type.__name__,
                exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
            )

    sys.excepthook = uncaught
    sys.unraisablehook = in_destructor
    threading.excepthook = in_thread


def _formatter(format: str, stream: TextIO, environ: Mapping[str, str]) -> logging.Formatter:  # noqa: A002 (the name of the key)
    journal = _is_journal(stream, environ)
    terminal = stream.isatty()
    if format == "json" or (format == "auto" and not terminal):
        return JsonFormatter(journal=journal)
    colours = terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return ConsoleFormatter(colours=colours, timestamps=not journal, journal=journal)


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the stream goes to systemd's journal: JOURNAL_STREAM holds its device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _configure_structlog() -> None:
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.contextvars.merge_contextvars, _to_standard_call],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def use_standard_logging() -> None:
    """Send events of structlog to the loggers of the standard library, for a program that uses ferstream as a library.

    Nothing else of the program's logging is changed. A program that has configured structlog itself keeps its configuration. Messages hold
    their redacted fields, because the handlers of the program do not know them.
    """
    if not structlog.is_configured():
        structlog.configure(
            processors=[structlog.stdlib.filter_by_level, _to_message],
            wrapper_class=structlog.stdlib.BoundLogger,
            logger_factory=structlog.stdlib.LoggerFactory(),
            cache_logger_on_first_use=False,
        )


def _to_message(_logger: WrappedLogger, _method: str, event: EventDict) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Turn an event of structlog into a call of the standard library whose message is ``event (key=value, ...)``."""
    message, args = str(event.pop("event", "")), event.pop("positional_args", ())
    passed = {key: event.pop(key) for key in ("exc_info", "stack_info", "stacklevel") if key in event}
    fields = ", ".join(f"{key}={value}" for key, value in safe_fields(event).items() if value is not None)
    text = redact(message % args if args else message)
    return ("%s", f"{text} ({fields})" if fields else text), passed


def _to_standard_call(_logger: WrappedLogger, _method: str, event: EventDict) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Turn an event of structlog into a call of the standard library; its fields are one attribute, so that no name can clash."""
    message = event.pop("event", "")
    args = event.pop("positional_args", ())
    passed = {key: event.pop(key) for key in ("exc_info", "stack_info", "stacklevel") if key in event}
    return (message, *args), {**passed, "extra": {FIELDS: dict(event)}}
