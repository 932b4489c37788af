"""Errors of streams that several modules raise, each with one text."""

from __future__ import annotations

from http import HTTPStatus

from ferstream.errors import SourceAuthError, SourceError, SourceFormatError, SourceRedirectError, SourceTimeoutError


def authentication_failed(name: str) -> SourceAuthError:
    """Return the error of a server that refuses the user name or password."""
    return SourceAuthError(f"{name}: authentication failed", "check the user name and password_file")


def credentials_missing(name: str) -> SourceAuthError:
    """Return the error of a server that asks for a password where none is set."""
    return SourceAuthError(
        f"{name}: authentication failed: the camera asks for a user name and password, and none is set", "set username and password_file"
    )


def forbidden(name: str) -> SourceAuthError:
    """Return the error of a server that answers 403."""
    return SourceAuthError(
        f"{name}: authentication failed: the camera does not allow this (403)",
        "check the password, the rights of this user at the camera, and whether the camera has locked the account or this address",
    )


def unsupported_authentication(name: str, offered: str, supported: str) -> SourceAuthError:
    """Return the error of a server whose kind of authentication cannot be answered.

    Args:
        name: Name of the source.
        offered: What the server asks for.
        supported: What to set at the camera instead.
    """
    return SourceAuthError(
        f"{name}: authentication failed: the camera asks for {offered}, which ferstream does not support here", f"set it to {supported}"
    )


def connection_refused(name: str) -> SourceError:
    """Return the error of a port on which nothing listens."""
    return SourceError(f"{name}: connection refused", "check host, port and that the server runs")


def unknown_host(name: str, where: str, why: str) -> SourceError:
    """Return the error of a host name without an address.

    Args:
        name: Name of the source.
        where: Address in front of the reason, if it is another than that of the source; may be empty.
        why: What the resolver said.
    """
    return SourceError(f"{name}: {where}cannot be read ({why})", "check the host name, and that this machine can look it up")


def not_found(name: str) -> SourceError:
    """Return the error of a server that does not know the path."""
    return SourceError(f"{name}: the server has no such stream (404)", "check the path")


def nothing_of_playlist(name: str, why: SourceError) -> SourceFormatError:
    """Return the error of a playlist that was read, while nothing that it names could be.

    Args:
        name: Name of the source.
        why: The error of the last thing that it names.
    """
    problem = why.problem.removeprefix(f"{name}: ")
    return SourceFormatError(
        f"{name}: the playlist was read, but not what it names, so there is no video that can be decoded ({problem})",
        why.remedy or "check that the camera's stream is running",
    )


def other_protocol(name: str, scheme: str) -> SourceRedirectError:
    """Return the error of a playlist that names something else than ``http`` and ``https``."""
    return SourceRedirectError(
        f"{name}: the playlist leads to {scheme}:, another protocol; refused: only http and https are opened",
        "use a playlist for the network, or the RTSP address of the camera",
    )


def bad_status(name: str, status: int) -> SourceError:
    """Return the error of a server that answers with another status of an error, in HTTP or RTSP."""
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS, 453):
        return SourceError(
            f"{name}: cannot be read: the camera is busy or starting (the server answered {status})",
            "wait a minute, or close other viewers: many cameras allow only a few",
        )
    return SourceError(f"{name}: cannot be read (the server answered {_status_name(status)})")


def _status_name(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def no_video(name: str, media_type: str = "") -> SourceFormatError:
    """Return the error of data in which libav finds no video.

    Args:
        name: Name of the source.
        media_type: What the server calls the data; empty if it does not.
    """
    return SourceFormatError(f"{name}: the server sends {media_type + ', ' if media_type else ''}no video that can be decoded")


def closed_without_answer(name: str) -> SourceError:
    """Return the error of a server that closes the connection instead of answering."""
    return SourceError(f"{name}: the server closed the connection without an answer")


def too_large(name: str, width: int, height: int, max_pixels: int) -> SourceFormatError:
    """Return the error of a picture with more pixels than are decoded; width and height are 0 if they are not known."""
    size = f"{width} x {height} pixels" if width and height else "of a size that is not valid or too large"
    return SourceFormatError(
        f"{name}: a picture is {size}; max_pixels allows {max_pixels:,}", "use a smaller one, or set a larger max_pixels"
    )


def out_of_memory(name: str) -> SourceFormatError:
    """Return the error of data for which libav would need more memory than it may allocate at once."""
    return SourceFormatError(f"{name}: a picture or packet is too large", "max_pixels of the camera sets the limit")


def timeout_error(name: str, timeout_s: float) -> SourceTimeoutError:
    """Return the error of a source that did not answer within ``timeout_s`` seconds."""
    return SourceTimeoutError(
        f"{name}: no answer within {timeout_s:g} s", "check the address and the network; a slow camera needs a larger connect_timeout_s"
    )


def slow_start(name: str, timeout_s: float) -> SourceTimeoutError:
    """Return the error of a server that answered, but did not send enough to recognise the video in ``timeout_s`` seconds."""
    return SourceTimeoutError(
        f"{name}: connected, but no answer with enough video to recognise it within {timeout_s:g} s",
        "is the camera sending? one that is slow to start needs a larger connect_timeout_s",
    )


def silent(name: str, timeout_s: float) -> SourceTimeoutError:
    """Return the error of an open connection on which nothing arrived for ``timeout_s`` seconds."""
    return SourceTimeoutError(
        f"{name}: connected, but no data within {timeout_s:g} s",
        "check the network; a camera that sends pictures less often needs a larger read_timeout_s",
    )


def no_udp_data(name: str, timeout_s: float) -> SourceTimeoutError:
    """Return the error of an RTSP stream over UDP of which nothing arrived for ``timeout_s`` seconds."""
    return SourceTimeoutError(
        f"{name}: connected, but no data over UDP within {timeout_s:g} s",
        'set transport = "tcp", or let UDP from the camera pass the firewall',
    )


def no_picture(name: str, timeout_s: float) -> SourceTimeoutError:
    """Return the error of a stream whose data has given no picture within ``timeout_s`` seconds."""
    return SourceTimeoutError(
        f"{name}: data arrives, but no picture within {timeout_s:g} s",
        "the camera sends key frames too seldom: set its key frame interval to 1 to 4 s, or a larger open_timeout_s",
    )


def other_transport(name: str, transport: str) -> SourceError:
    """Return the error of an RTSP server that refuses the transport that was asked for."""
    other = "udp" if transport == "tcp" else "tcp"
    return SourceError(f"{name}: the camera does not send over {transport.upper()}", f'set transport = "{other}"')
