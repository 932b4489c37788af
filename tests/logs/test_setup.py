"""All lines of the process go through one handler."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import warnings
from typing import Any

import pytest
import structlog

from ferstream.logs import RepeatLimit, catch_crashes, configure_logging, set_level
from ferstream.logs.render import ConsoleFormatter, JsonFormatter
from ferstream.logs.setup import SafeHandler


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def own_handlers() -> list[SafeHandler]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, SafeHandler)]


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    made = io.StringIO()
    configure_logging(level="info", format="json", stream=made, environ={})
    return made


def test_structlog_and_the_standard_library_come_out_alike(stream: io.StringIO) -> None:
    structlog.get_logger("ferstream.a").info("up", camera="door")
    logging.getLogger("ferstream.a").info("up", extra={"camera": "door"})
    one, other = lines(stream)
    assert {**one, "time": ""} == {**other, "time": ""}


def test_fields_of_structlog_may_have_any_name(stream: io.StringIO) -> None:
    structlog.get_logger("x").info("up", name="n", msg="m", args=(1,), filename="f", process=1)
    assert lines(stream)[0]["name"] == "n"


def test_bound_and_context_fields_are_shown(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(boot="b1"):
        structlog.get_logger("x").bind(camera="door").info("up %d%%", 5)
    assert {key: lines(stream)[0][key] for key in ("event", "camera", "boot")} == {"event": "up 5%", "camera": "door", "boot": "b1"}


def test_an_exception_of_structlog_has_its_traceback(stream: io.StringIO) -> None:
    try:
        raise ValueError("password=abcdefgh")
    except ValueError as exc:
        structlog.get_logger("x").exception("one")
        structlog.get_logger("x").error("two", exc_info=exc)
    assert all(line["exception"].endswith("ValueError: password=***") for line in lines(stream))


def test_the_level_applies_to_structlog_and_the_standard_library(stream: io.StringIO) -> None:
    structlog.get_logger("x").debug("no")
    logging.getLogger("x").debug("no")
    set_level("debug")
    structlog.get_logger("x").debug("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


@pytest.mark.parametrize("name", ["uvicorn.access", "av", "paho.client", "matplotlib.font_manager"])
def test_of_libraries_only_warnings_are_shown(name: str, stream: io.StringIO) -> None:
    set_level("debug")
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("trouble")
    assert [line["event"] for line in lines(stream)] == ["trouble"]


def test_warnings_are_logged(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("token=abcdefgh is old", stacklevel=1)
    assert lines(stream)[0]["level"] == "warning"
    assert lines(stream)[0]["event"].endswith("UserWarning: token=*** is old")


def test_a_second_configuration_replaces_the_handler() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging(format="json", stream=first, environ={})
    configure_logging(format="json", stream=second, environ={})
    logging.getLogger("x").info("once")
    assert (len(lines(first)), len(lines(second)), len(own_handlers())) == (0, 1, 1)


@pytest.mark.parametrize(
    ("wanted", "stream", "environ", "kind"),
    [
        ("auto", io.StringIO(), {}, JsonFormatter),
        ("auto", Terminal(), {}, ConsoleFormatter),
        ("console", io.StringIO(), {}, ConsoleFormatter),
        ("json", Terminal(), {}, JsonFormatter),
    ],
)
def test_the_format_follows_the_stream(wanted: str, stream: io.StringIO, environ: dict[str, str], kind: type[logging.Formatter]) -> None:
    configure_logging(format=wanted, stream=stream, environ=environ)
    assert isinstance(own_handlers()[0].formatter, kind)


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_has_colours_unless_it_does_not_want_them(environ: dict[str, str], coloured: bool) -> None:
    stream = Terminal()
    configure_logging(format="auto", stream=stream, environ=environ)
    logging.getLogger("x").error("oh")
    assert ("\x1b[" in stream.getvalue()) is coloured


def test_the_journal_gets_priorities_and_no_timestamps() -> None:
    read_end, write_end = os.pipe()
    status = os.fstat(write_end)
    with os.fdopen(write_end, "w") as stream:
        configure_logging(format="console", stream=stream, environ={"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        logging.getLogger("x").warning("oh")
    with os.fdopen(read_end) as other:
        assert other.read() == "<4>warning oh\n"


def test_the_journal_of_another_stream_adds_no_priorities() -> None:
    stream = Terminal()
    configure_logging(format="console", stream=stream, environ={"JOURNAL_STREAM": "1:2"})
    logging.getLogger("x").warning("oh")
    assert not stream.getvalue().startswith("<")


def test_repeated_lines_are_limited_and_counted() -> None:
    stream = io.StringIO()
    configure_logging(format="json", stream=stream, environ={}, limit=RepeatLimit(burst=1, interval_s=1000))
    for _ in range(5):
        structlog.get_logger("x").warning("again", camera="door")
    assert len(lines(stream)) == 1


def test_uncaught_exceptions_are_logged_redacted(stream: io.StringIO) -> None:
    catch_crashes()
    try:
        raise RuntimeError("rtsp://u:geheim@h")
    except RuntimeError as exc:
        sys.excepthook(RuntimeError, exc, exc.__traceback__)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)

    def fall() -> None:
        raise ValueError("rtsp://u:geheim@h")

    thread = threading.Thread(target=fall, name="worker")
    thread.start()
    thread.join(10)

    class Leaves:
        def __del__(self) -> None:
            raise OSError("rtsp://u:geheim@h")

    Leaves()
    events = [line["event"] for line in lines(stream)]
    assert events == ["uncaught RuntimeError", "uncaught ValueError in thread worker", "uncaught OSError in a destructor or callback"]
    assert "geheim" not in stream.getvalue()


def test_a_closed_stream_loses_the_line_silently(capsys: pytest.CaptureFixture[str], stream: io.StringIO) -> None:
    stream.close()
    logging.getLogger("x").warning("password=abcdefgh")
    assert capsys.readouterr().err == ""


def test_a_line_that_cannot_be_rendered_is_reported_without_its_content(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
    def fail(record: logging.LogRecord) -> str:
        raise KeyError(record.getMessage())

    monkeypatch.setattr(own_handlers()[0].formatter, "format", fail)
    logging.getLogger("ferstream.x").warning("hunter2")
    assert stream.getvalue() == "a log line of ferstream.x could not be written: KeyError\n"
