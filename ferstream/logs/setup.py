"""Sets up logging once, at the start of a command: one handler on stderr for everything in the process."""

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
from ferstream.runtime.import_blocking import without

with without("rich"):  # structlog would load it for tracebacks that are not drawn here: a fifth of a second at every start
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
"""Loggers of libraries, from which only warnings and worse are shown."""


class SafeHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream; a line that cannot be written is given up without a traceback that would show it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the standard library's name)
        """Say that a line was lost, as far as that is possible."""
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
        stream: Where to; stderr if None.
        environ: Variables; the process's own if None.
        limit: Holds back repeated lines; a default one if None.
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
    """Show lines of this level and above from now on; libraries keep to warnings."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(number)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def catch_crashes() -> None:
    """Send exceptions that nobody caught through the redacting handler, from any thread."""
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

    def in_clean_up(args: sys.UnraisableHookArgs) -> None:
        if args.exc_value is not None:
            log.error("%s in clean-up", args.exc_type.__name__, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    sys.excepthook = uncaught
    sys.unraisablehook = in_clean_up
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
        processors=[structlog.stdlib.filter_by_level, structlog.contextvars.merge_contextvars, _hand_over],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _hand_over(_logger: WrappedLogger, _method: str, event: EventDict) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give structlog's event to the standard library; its fields travel apart, so that none can clash with a record's own."""
    message = event.pop("event", "")
    args = event.pop("positional_args", ())
    passed = {key: event.pop(key) for key in ("exc_info", "stack_info", "stacklevel") if key in event}
    return (message, *args), {**passed, "extra": {FIELDS: dict(event)}}
