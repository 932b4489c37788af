"""Ports for servers that need one in advance; no other test process on this machine gets the same."""

from __future__ import annotations

import fcntl
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

HOST = "127.0.0.1"
LOWEST = 15_000
FOLDER = Path(tempfile.gettempdir()) / "ferstream-test-ports"
_LOCKS: list[BinaryIO] = []
"""Open lock files of the ports this process has handed out; the locks end with the process."""


def free_port() -> int:
    """Return a port that nobody listens on, reserved until this process ends.

    The port is below the range from which the kernel takes ports for connections and for ``bind`` to port 0. Test
    processes that run at the same time agree by a lock on a file for each port.
    """
    return next(port for port in _candidates() if _is_free(port) and _reserve(port))


def _candidates() -> Iterator[int]:
    highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return iter(random.sample(range(LOWEST, highest), highest - LOWEST))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _reserve(port: int) -> bool:
    FOLDER.mkdir(exist_ok=True)
    lock = (FOLDER / str(port)).open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return False
    _LOCKS.append(lock)
    return True
