"""Every error ferstream raises on purpose, and the exit code each one becomes.

The tree::

    FerstreamError
    +-- ConfigError           a key, a flag or a file of settings is wrong            exit 2
    +-- SourceError           a camera or recording cannot be read                    exit 3
    |   +-- SourceAuthError       the source refuses the credentials
    |   +-- SourceTimeoutError    the source did not answer in time
    |   +-- SourceFormatError     what was read is no video that can be decoded
    +-- BrokerError           the MQTT broker cannot be used                          exit 4
    |   +-- BrokerAuthError       refused: not authorised, bad user name or password
    +-- OutboxError           the outbox's disk cannot be used (the daemon goes on in memory)  exit 4
    |   +-- OutboxCorruptError    its file is damaged and was set aside
    +-- ModelError            a model bundle cannot be used                           exit 5
    |   +-- BundleError           files, hashes, labels or alignment do not fit
    |   +-- ClassifierMemoryError the device ran out of memory; a smaller batch may fit
    +-- DataError             training or evaluation data is wrong                    exit 6
    +-- OutputError           a file of events, numbers or pictures cannot be written   exit 8
    +-- AddressInUseError     a port that a setting names is taken                    exit 7
    +-- FramesLostError       a recording was not analysed to its last frame          exit 75
    +-- ShutdownError         stages outlived the deadline of a shutdown              exit 70
    +-- ClosedError           a channel or stage was used after its end (a bug)       exit 70

An adapter translates its library's exceptions into this tree in one place
(``raise ... from exc``). Messages never hold a secret.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with; documented in docs/operations.md."""

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
    """Base of the tree: a failure that was foreseen, with a message for people."""

    exit_code = ExitCode.INTERNAL


class ConfigError(FerstreamError):
    """A key, a flag or a settings file is wrong."""

    exit_code = ExitCode.USAGE


class SourceError(FerstreamError):
    """A camera or recording cannot be read."""

    exit_code = ExitCode.SOURCE
    reason = "error"


class SourceAuthError(SourceError):
    """The source refuses the credentials."""

    reason = "authentication"


class SourceTimeoutError(SourceError):
    """The source did not answer in time."""

    reason = "timeout"


class SourceFormatError(SourceError):
    """What was read is no video that can be decoded."""

    reason = "format"


class BrokerError(FerstreamError):
    """The MQTT broker cannot be used."""

    exit_code = ExitCode.BROKER


class BrokerAuthError(BrokerError):
    """The MQTT broker refuses the credentials or the client."""


class OutboxError(FerstreamError):
    """The disk of the outbox cannot be used."""

    exit_code = ExitCode.BROKER


class OutboxCorruptError(OutboxError):
    """The file of the outbox is damaged."""


class ModelError(FerstreamError):
    """A model bundle cannot be used."""

    exit_code = ExitCode.MODEL


class BundleError(ModelError):
    """A bundle's files, hashes, labels or alignment do not fit."""


class ClassifierMemoryError(ModelError):
    """The device ran out of memory; a smaller batch may fit."""


class DataError(FerstreamError):
    """Training or evaluation data is wrong."""

    exit_code = ExitCode.DATA


class AddressInUseError(FerstreamError):
    """A port that a setting names is taken."""

    exit_code = ExitCode.ADDRESS_IN_USE


class OutputError(FerstreamError):
    """A file of events, numbers or pictures cannot be written."""

    exit_code = ExitCode.OUTPUT


class FramesLostError(FerstreamError):
    """A recording was not analysed to its last frame."""

    exit_code = ExitCode.FRAMES_LOST


class ShutdownError(FerstreamError):
    """Stages outlived the deadline of a shutdown."""


class ClosedError(FerstreamError):
    """A channel or stage was used after its end."""
