"""Errors of streams that several modules raise, each with one text."""

from __future__ import annotations

from ferstream.errors import SourceAuthError, SourceError, SourceFormatError, SourceTimeoutError


def authentication_failed(name: str) -> SourceAuthError:
    """Return the error of a server that refuses the user name or password."""
    return SourceAuthError(f"{name}: authentication failed; check the user name and password_file")


def connection_refused(name: str) -> SourceError:
    """Return the error of a port on which nothing listens."""
    return SourceError(f"{name}: connection refused; check host, port and that the server runs")


def not_found(name: str) -> SourceError:
    """Return the error of a server that does not know the path."""
    return SourceError(f"{name}: the server has no such stream (404); check the path")


def no_video(name: str) -> SourceFormatError:
    """Return the error of data in which libav finds no video."""
    return SourceFormatError(f"{name}: the server sends no video that can be decoded")


def too_large(name: str, width: int, height: int, max_pixels: int) -> SourceFormatError:
    """Return the error of a picture with more pixels than are decoded; width and height are 0 if they are not known."""
    size = f"{width} x {height} pixels" if width and height else "of a size that is not valid or too large"
    return SourceFormatError(f"{name}: a picture is {size}; max_pixels allows {max_pixels:,}")


def out_of_memory(name: str) -> SourceFormatError:
    """Return the error of data for which libav would need more memory than it may allocate at once."""
    return SourceFormatError(f"{name}: a picture or packet is too large; max_pixels of the camera sets the limit")


def timeout_error(name: str, timeout_s: float) -> SourceTimeoutError:
    """Return the error of a source that did not answer within ``timeout_s`` seconds."""
    return SourceTimeoutError(f"{name}: no answer within {timeout_s:g} s; check the address and the network")
