"""The errors that ferstream raises on purpose, and the exit code of each.

The tree::

    FerstreamError
    +-- ConfigError           a key, an option or a settings file is wrong            exit 2
    +-- SourceError           a camera or recording cannot be read                    exit 3
    |   +-- SourceAuthError       the source refuses the credentials
    |   +-- SourceTimeoutError    the source did not answer in time
    |   +-- SourceFormatError     the data is not a video that can be decoded
    |   +-- SourceRedirectError   the source leads to an address that is not followed
    +-- BrokerError           the MQTT broker cannot be used                          exit 4
    |   +-- BrokerAuthError       the broker refuses the user name, password or client
    +-- OutboxError           the file of the outbox cannot be used                 exit 4
    |   +-- OutboxCorruptError    the file is damaged and was set aside
    |   +-- OutboxBusyError       another process uses the file
    +-- ModelError            a model bundle cannot be used                           exit 5
    |   +-- BundleError           files, hashes, labels or alignment do not match the manifest
    |   +-- ClassifierMemoryError the device has not enough memory for a batch
    +-- DataError             training or evaluation data is wrong                    exit 6
    +-- OutputError           a file of events, numbers or pictures cannot be written   exit 8
    +-- AddressInUseError     a configured port is in use by another process          exit 7
    +-- WorkerError           a worker process of uploads ended or hung               exit 70
    +-- FramesLostError       a recording was not analysed to its last frame          exit 75
    +-- ShutdownError         stages did not end within the shutdown timeout          exit 70
    +-- ClosedError           a channel or stage was used after it was closed (a bug) exit 70

An adapter translates the exceptions of its library into this tree in one place (``raise ... from exc``).
Messages contain no secrets.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the process, documented in docs/operations.md."""

    OK = 0
    USAGE = 2
    SOURCE = 3
    BROKER = 4
    MODEL = 5
    DATA = 6
    ADDRESS_IN_USE = 7
    OUTPUT = 8
    INTERNAL = 70
    FRAMES_LOST = 75
    INTERRUPTED = 130


class FerstreamError(Exception):
    """Base of all errors of ferstream; the message is meant for the user."""

    exit_code = ExitCode.INTERNAL


class ConfigError(FerstreamError):
    """A key, an option or a settings file is wrong."""

    exit_code = ExitCode.USAGE


class SourceError(FerstreamError):
    """A camera or recording cannot be read.

    Args:
        problem: What is wrong.
        remedy: What the user can do about it; empty if that depends on more than the source knows. It ends the message.
    """

    exit_code = ExitCode.SOURCE
    reason = "error"

    def __init__(self, problem: str = "", remedy: str = "") -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy


class SourceAuthError(SourceError):
    """The source refuses the credentials."""

    reason = "authentication"


class SourceTimeoutError(SourceError):
    """The source did not answer in time."""

    reason = "timeout"


class SourceFormatError(SourceError):
    """The data is not a video that can be decoded."""

    reason = "format"


class SourceRedirectError(SourceError):
    """The source leads to an address that is not followed."""

    reason = "redirect"


class BrokerError(FerstreamError):
    """The MQTT broker cannot be used.

    Attributes:
        detail: What is wrong.
        advice: What to do about it; empty if nothing is known. The text of the error holds both.
    """

    exit_code = ExitCode.BROKER

    def __init__(self, detail: str = "", *, advice: str = "") -> None:
        super().__init__(f"{detail} ({advice})" if advice else detail)
        self.detail, self.advice = detail, advice


class BrokerAuthError(BrokerError):
    """The MQTT broker refuses the user name, the password or the client."""


class OutboxError(FerstreamError):
    """The file of the outbox cannot be used; a running daemon continues with an outbox in memory."""

    exit_code = ExitCode.BROKER


class OutboxCorruptError(OutboxError):
    """The file of the outbox is damaged and was set aside."""


class OutboxBusyError(OutboxError):
    """Another process uses the file of the outbox."""


class ModelError(FerstreamError):
    """A model bundle cannot be used."""

    exit_code = ExitCode.MODEL


class BundleError(ModelError):
    """The files, hashes, labels or alignment of a bundle do not match its manifest or this version."""


class ClassifierMemoryError(ModelError):
    """The device has not enough memory for a batch; a smaller one may fit."""


class DataError(FerstreamError):
    """Training or evaluation data is wrong."""

    exit_code = ExitCode.DATA


class AddressInUseError(FerstreamError):
    """A configured port is in use by another process."""

    exit_code = ExitCode.ADDRESS_IN_USE


class OutputError(FerstreamError):
    """A file of events, numbers or pictures cannot be written."""

    exit_code = ExitCode.OUTPUT


class FramesLostError(FerstreamError):
    """A recording was not analysed to its last frame."""

    exit_code = ExitCode.FRAMES_LOST


class WorkerError(FerstreamError):
    """A worker process, which analyses uploads, ended or did not answer in time."""


class ShutdownError(FerstreamError):
    """Stages did not end within the shutdown timeout."""


class ClosedError(FerstreamError):
    """A channel or stage was used after it was closed."""


def first_line(exc: BaseException) -> str:
    """Return the first line of an exception's text that is not blank, or the name of its class."""
    return _lines(exc)[0]


def last_line(exc: BaseException) -> str:
    """Return the last line of an exception's text that is not blank, or the name of its class.

    OpenVINO puts the places in its source code first and the message last.
    """
    return _lines(exc)[-1]


def _lines(exc: BaseException) -> list[str]:
    return [line.strip() for line in str(exc).splitlines() if line.strip()] or [type(exc).__name__]
