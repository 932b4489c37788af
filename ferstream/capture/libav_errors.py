"""Translates libav's errors into ferstream's; the only module that tells them apart."""

from __future__ import annotations

import av

from ferstream.errors import SourceAuthError, SourceError, SourceFormatError, SourceTimeoutError


def translate_error(exc: av.FFmpegError, name: str, timeout_s: float) -> SourceError:
    """Return the SourceError for an error of libav, with a message for people.

    Args:
        exc: What libav raised; its own text may contain the URL with the password and is not used.
        name: Redacted address of the source.
        timeout_s: The limit in seconds that applied to the call.
    """
    if isinstance(exc, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError | av.error.PermissionError):
        return SourceAuthError(f"{name}: authentication failed; check the user name and password_file")
    if isinstance(exc, av.error.TimeoutError | av.error.ExitError):
        return timeout_error(name, timeout_s)
    if isinstance(exc, av.error.HTTPNotFoundError):
        return SourceError(f"{name}: the server has no such stream (404); check the path")
    if isinstance(exc, av.error.ConnectionRefusedError):
        return SourceError(f"{name}: connection refused; check host, port and that the server runs")
    if isinstance(exc, av.error.InvalidDataError | av.error.LookupError):
        return SourceFormatError(f"{name}: the server sends no video that can be decoded")
    return SourceError(f"{name}: cannot be read ({exc.strerror or type(exc).__name__})")


def timeout_error(name: str, timeout_s: float) -> SourceTimeoutError:
    """Return the error of a source that did not answer within ``timeout_s`` seconds."""
    return SourceTimeoutError(f"{name}: no answer within {timeout_s:g} s; check the address and the network")
