"""Log lines of ferstream in a program that uses it as a library: they go to its loggers, and its own configuration stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from structlog.typing import EventDict

from ferstream.logs import use_standard_logging


@pytest.fixture(autouse=True)
def _structlog_as_before() -> Iterator[None]:
    """Structlog without a configuration, and with its own again afterwards."""
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


def test_lines_go_to_the_standard_loggers_with_their_fields(caplog: pytest.LogCaptureFixture) -> None:
    use_standard_logging()
    structlog.get_logger("ferstream.app.cameras").warning("camera offline", camera="door", reason=None, url="rtsp://me:hunter2@host/")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("ferstream.app.cameras", "WARNING")
    assert record.getMessage().startswith("camera offline (camera=door, url=rtsp://")
    assert "hunter2" not in record.getMessage()


def test_lines_below_the_level_of_the_program_are_not_made(caplog: pytest.LogCaptureFixture) -> None:
    use_standard_logging()
    with caplog.at_level("ERROR", logger="ferstream"):
        structlog.get_logger("ferstream.app").info("running", fps=25)
    assert caplog.records == []


def test_percent_signs_and_tracebacks_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    use_standard_logging()
    structlog.get_logger("ferstream.app").error("100 % lost", exc_info=ValueError("broken"))
    structlog.get_logger("ferstream.app").error("%d frames lost", 7)
    first, second = caplog.records
    assert first.getMessage() == "100 % lost"
    assert first.exc_info is not None
    assert second.getMessage() == "7 frames lost"


def test_a_program_that_configured_structlog_keeps_its_configuration() -> None:
    lines: list[str] = []

    def keep(_logger: object, _name: str, event: EventDict) -> str:
        lines.append(event["event"])
        return ""

    structlog.configure(processors=[keep])
    use_standard_logging()
    structlog.get_logger("ferstream.app").warning("mine")
    assert lines == ["mine"]
