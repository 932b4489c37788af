"""libav's errors in words for people: the only place where they are read."""

from __future__ import annotations

import av

from ferstream.errors import SourceAuthError, SourceError, SourceFormatError, SourceTimeoutError


def translated(exc: av.FFmpegError, shown: str, waited_s: float) -> SourceError:
    """The error for people; ``shown`` is the redacted address."""
    if isinstance(exc, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError | av.error.PermissionError):
        return SourceAuthError(f"{shown}: authentication failed; check the user name and password_file")
    if isinstance(exc, av.error.TimeoutError | av.error.ExitError):
        return timed_out(shown, waited_s)
    if isinstance(exc, av.error.HTTPNotFoundError):
        return SourceError(f"{shown}: the server has no such stream (404); check the path")
    if isinstance(exc, av.error.ConnectionRefusedError):
        return SourceError(f"{shown}: connection refused; check host, port and that the server runs")
    if isinstance(exc, av.error.InvalidDataError | av.error.LookupError):
        return SourceFormatError(f"{shown}: what the server sends is no video that can be decoded")
    return SourceError(f"{shown}: cannot be read ({exc.strerror or type(exc).__name__})")


def timed_out(shown: str, waited_s: float) -> SourceTimeoutError:
    """The error for an address that did not answer in time."""
    return SourceTimeoutError(f"{shown}: no answer within {waited_s:g} s; check the address and the network")
