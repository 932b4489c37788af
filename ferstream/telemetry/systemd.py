"""Talks to systemd by the notify protocol (sd_notify(3)); without ``NOTIFY_SOCKET`` nothing happens.

A datagram of ``KEY=value`` lines to a unix socket is all there is to it, so no library is needed.
Any thread may call. A message that cannot be delivered is logged and otherwise ignored: the
service manager being gone is no reason to stop publishing.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

from ferstream.runtime.clock import Clock, SystemClock

_LOG = logging.getLogger(__name__)
_SEND_TIMEOUT_S = 1.0
_MAX_STATUS_CHARS = 500


class Notifier:
    """Sends the life signs of a ``Type=notify`` service.

    Args:
        address: A path, or ``@name`` for a socket in the abstract namespace; None or empty sends nothing.
        clock: For the time stamp of a reload.
    """

    def __init__(self, *, address: str | None, clock: Clock | None = None) -> None:
        self._address = address or None
        self._clock = clock or SystemClock()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Notifier:
        """Take the address that systemd left in ``NOTIFY_SOCKET``."""
        return cls(address=(os.environ if environ is None else environ).get("NOTIFY_SOCKET"))

    @property
    def enabled(self) -> bool:
        """Whether anybody listens."""
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """Start-up, or a reload, is complete."""
        return self._send("READY=1", *_status(status))

    def status(self, text: str) -> bool:
        """One line for ``systemctl status``."""
        return self._send(*_status(text))

    def watchdog(self) -> bool:
        """Everything makes progress."""
        return self._send("WATCHDOG=1")

    def reloading(self) -> bool:
        """A reload begins; ``ready`` ends it. systemd wants the monotonic time with it (Type=notify-reload)."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={self._clock.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> bool:
        """The shutdown begins."""
        return self._send("STOPPING=1", *_status(status))

    def extend_timeout(self, seconds: float) -> bool:
        """Ask for more time while starting or stopping, e.g. when a model is compiled."""
        return self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def _send(self, *lines: str) -> bool:
        if self._address is None:
            return False
        target = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                # A full socket must not hold up the caller, which may be the watchdog.
                sock.settimeout(_SEND_TIMEOUT_S)
                sock.sendto("\n".join(lines).encode(), target)
        except OSError as error:
            _LOG.warning("systemd could not be told %s: %s", lines[0], error.strerror or error)
            return False
        return True


def watchdog_timeout_s(environ: Mapping[str, str] | None = None, *, pid: int | None = None) -> float | None:
    """The time limit that ``WatchdogSec=`` set for this process, None without one.

    ``WATCHDOG_PID`` says whom it concerns: a child that inherited the environment has no limit.
    """
    environ = os.environ if environ is None else environ
    usec, owner = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if owner and owner != str(os.getpid() if pid is None else pid):
        return None
    if not (usec.isascii() and usec.isdecimal()) or int(usec) == 0:
        return None
    return int(usec) / 1e6


def _status(text: str) -> tuple[str, ...]:
    # A line break would start another assignment of the protocol.
    line = " ".join(text.split())
    return (f"STATUS={line[:_MAX_STATUS_CHARS]}",) if line else ()
