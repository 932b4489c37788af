"""One record, one line, without secrets."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from ferstream.logs.render import FIELDS, ConsoleFormatter, JsonFormatter
from ferstream.runtime.redaction import register_secret


def record(
    message: object, *args: object, level: int = logging.INFO, fields: dict[str, Any] | None = None, **extra: object
) -> logging.LogRecord:
    made = logging.LogRecord("ferstream.x", level, "f.py", 1, message, args or None, None)
    made.created, made.msecs = 1_750_000_000.25, 250.0
    vars(made).update(extra, **{FIELDS: fields or {}})
    return made


def as_json(made: logging.LogRecord, *, journal: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(JsonFormatter(journal=journal).format(made))
    return found


def console(made: logging.LogRecord, **options: bool) -> str:
    return ConsoleFormatter(**{"timestamps": False, **options}).format(made)


def test_json_has_time_level_logger_event_and_fields_in_this_order() -> None:
    found = as_json(record("camera %s", "up", fields={"camera": "door", "fps": 24.5}))
    assert list(found.items()) == [
        ("time", "2025-06-15T15:06:40.250Z"),
        ("level", "info"),
        ("logger", "ferstream.x"),
        ("event", "camera up"),
        ("camera", "door"),
        ("fps", 24.5),
    ]


def test_console_form_of_a_line() -> None:
    made = record(
        "camera up", fields={"camera": "door", "fps": 24.98765, "where": "a b", "list": [1, "x"], "big": 123456.7, "reason": None}
    )
    assert console(made) == 'info    camera up camera=door fps=24.99 where="a b" list=[1, "x"] big=123457'


def test_colours_are_off_by_default() -> None:
    assert "\x1b" not in console(record("x", level=logging.ERROR))
    assert console(record("x", level=logging.ERROR), colours=True).startswith("\x1b[31merror  \x1b[0m ")


def test_fields_cannot_take_the_place_of_the_head() -> None:
    assert as_json(record("x", fields={"level": "none", "time": "never", "event": "y"}))["level"] == "info"


def test_fields_of_the_standard_library_are_shown_too() -> None:
    assert as_json(record("x", camera="door", n=3))["n"] == 3


@pytest.mark.parametrize("text", ["a\nerror   forged", "a\rb", "a\x1b[31mb", "a\u2028b", "a\x00b"])
def test_no_value_can_forge_a_line(text: str) -> None:
    for made in (record(text), record("x", fields={"v": text}), record("x", fields={text: "v"}), record("%s", text)):
        line = console(made)
        assert line.isprintable()
        assert len(JsonFormatter().format(made).splitlines()) == 1


def test_a_message_that_does_not_fit_its_arguments_is_shown_with_them() -> None:
    assert as_json(record("%d frames", "many"))["event"] == "%d frames ('many',)"


class Broken:
    """An object that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def test_an_object_without_text_is_shown_by_its_type() -> None:
    assert as_json(record("x", fields={"v": Broken()}))["v"] == "<Broken without text>"
    assert "Broken" in as_json(record(Broken()))["event"]


def test_values_without_a_json_type_become_text() -> None:
    found = as_json(
        record(
            "x",
            fields={"nan": float("nan"), "inf": float("inf"), "b": b"ab", "set": {1}, "obj": ValueError("v"), "none": None, "s": "\ud800"},
        )
    )
    assert (found["nan"], found["inf"], found["b"], found["set"], found["obj"], found["none"]) == ("nan", "inf", "ab", [1], "v", None)


@pytest.mark.parametrize("key", ["password", "mqtt_password", "token", "http_token", "api_key", "Authorization", "secret", "credentials"])
def test_the_value_of_a_key_that_names_a_secret_is_never_shown(key: str) -> None:
    for value in ("x", 3, ["y"], {"z": 1}, b"q"):
        assert as_json(record("e", fields={key: value, "in": {key: value}})) | {"time": "", "logger": ""} == {
            "time": "", "level": "info", "logger": "", "event": "e", key: "***", "in": {key: "***"}
        }  # fmt: skip


def test_numbers_that_are_secrets_are_masked() -> None:
    register_secret("123456")
    assert as_json(record("pin", fields={"n": 123456, "m": 12})) | {"time": ""} == {
        "time": "", "level": "info", "logger": "ferstream.x", "event": "pin", "n": "***", "m": 12
    }  # fmt: skip


def test_tracebacks_are_shown_without_secrets() -> None:
    register_secret("hunter2!")
    try:
        try:
            raise ValueError("rtsp://u:pass-word@cam/s")
        except ValueError as exc:
            raise RuntimeError("got hunter2!") from exc
    except RuntimeError:
        made = record("failed", level=logging.ERROR)
        made.exc_info = sys.exc_info()
    for text in (as_json(made)["exception"], console(made)):
        assert "Traceback" in text
        assert "ValueError: rtsp://***@cam/s" in text
        assert "hunter2!" not in text.replace('"got hunter2!"', "")
        assert "pass-word" not in text


def test_the_stack_and_a_prepared_traceback_are_shown() -> None:
    made = record("x")
    made.stack_info = "Stack: token=abcdefgh"
    assert as_json(made)["exception"] == "Stack: token=***"
    made = record("x")
    made.exc_text = "Traceback: password=abcdefgh"
    assert as_json(made)["exception"] == "Traceback: password=***"


def test_for_the_journal_each_line_has_its_priority() -> None:
    made = record("x", level=logging.WARNING)
    made.stack_info = "one\ntwo"
    assert ConsoleFormatter(timestamps=False, journal=True).format(made) == "<4>warning x\n<4>    one\n<4>    two"
    assert JsonFormatter(journal=True).format(record("x", level=logging.CRITICAL)).startswith('<3>{"time"')


def test_a_python_warning_is_shown_without_its_source_line() -> None:
    made = record("%s", "f.py:3: UserWarning: old\n  call()\n")
    made.name = "py.warnings"
    assert as_json(made)["event"] == "f.py:3: UserWarning: old"
