"""Messages between the daemon and a worker process: JSON objects and open files over a pair of sockets. Any thread."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

MAX_MESSAGE_BYTES = 16 << 20
"""Longest message; a still with the largest number of faces has a few megabytes."""
MAX_FILES = 8
"""Most open files that go with one message."""
_LENGTH = struct.Struct(">I")


class PeerGoneError(Exception):
    """The other side closed its socket, or sent what is not a message."""


def send_message(sock: socket.socket, message: Json, files: Sequence[int] = ()) -> None:
    """Send a message; the other side gets descriptors of its own for the files.

    Args:
        sock: One of a pair of Unix sockets.
        message: What ``json`` can write.
        files: Descriptors of open files.

    Raises:
        PeerGoneError: The other side is gone.
        TimeoutError: It does not read.
    """
    text = json.dumps(message).encode()
    try:
        if files:
            socket.send_fds(sock, [_LENGTH.pack(len(text))], list(files))
        else:
            sock.sendall(_LENGTH.pack(len(text)))
        sock.sendall(text)
    except TimeoutError:
        raise
    except OSError as exc:
        raise PeerGoneError(str(exc)) from exc


def receive_message(sock: socket.socket) -> tuple[Json, list[int]]:
    """Wait for a message; return it and the descriptors of its files, which the caller closes.

    Raises:
        PeerGoneError: The other side is gone, or sent something else.
        TimeoutError: The socket has a time limit, and nothing came within it.
    """
    try:
        head, files, _, _ = socket.recv_fds(sock, _LENGTH.size, MAX_FILES)
        if not head:
            raise PeerGoneError("closed")
        head += _receive(sock, _LENGTH.size - len(head))
        (length,) = _LENGTH.unpack(head)
        if length > MAX_MESSAGE_BYTES:
            raise PeerGoneError("the message is too long")
        message = json.loads(_receive(sock, length))
    except TimeoutError:
        raise
    except (OSError, ValueError) as exc:
        raise PeerGoneError(str(exc)) from exc
    if not isinstance(message, dict):
        raise PeerGoneError("not a message")
    return message, list(files)


def close_files(files: Sequence[int]) -> None:
    """Close descriptors that came with a message."""
    for file in files:
        os.close(file)


def _receive(sock: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = sock.recv(count - len(parts))
        if not part:
            raise PeerGoneError("closed in the middle of a message")
        parts += part
    return bytes(parts)
