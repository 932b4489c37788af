"""Translates libav's errors into ferstream's; the only module that tells them apart."""

from __future__ import annotations

import av

from ferstream.capture.source_errors import authentication_failed, connection_refused, no_video, not_found, out_of_memory, timeout_error
from ferstream.errors import SourceError


def translate_error(exc: av.FFmpegError, name: str, timeout_s: float) -> SourceError:
    """Return the SourceError for an error of libav, with a message for people.

    Args:
        exc: What libav raised; its own text may contain the URL with the password and is not used.
        name: Redacted address of the source.
        timeout_s: The limit in seconds that applied to the call.
    """
    if isinstance(exc, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError | av.error.PermissionError):
        return authentication_failed(name)
    if isinstance(exc, av.error.TimeoutError | av.error.ExitError):
        return timeout_error(name, timeout_s)
    if isinstance(exc, av.error.HTTPNotFoundError):
        return not_found(name)
    if isinstance(exc, av.error.ConnectionRefusedError):
        return connection_refused(name)
    if isinstance(exc, av.error.MemoryError):
        return out_of_memory(name)
    if isinstance(exc, av.error.InvalidDataError | av.error.LookupError):
        return no_video(name)
    return SourceError(f"{name}: cannot be read ({exc.strerror or type(exc).__name__})")
