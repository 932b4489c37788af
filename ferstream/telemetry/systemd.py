"""Notifications to systemd, see sd_notify(3); without ``NOTIFY_SOCKET`` in the environment nothing is sent.

The protocol is one datagram of ``KEY=value`` lines to a unix socket, so no library is needed. Any thread may call.
A notification that cannot be sent is logged and otherwise ignored: ferstream goes on without systemd.
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
    """Sends the notifications of a ``Type=notify`` service. Each method returns whether the message was sent.

    Args:
        address: Path of the socket, or ``@name`` in the abstract namespace; None or empty sends nothing.
        clock: Monotonic time, for the notification of a reload.
    """

    def __init__(self, *, address: str | None, clock: Clock | None = None) -> None:
        self._address = address or None
        self._clock = clock or SystemClock()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Notifier:
        """Make a notifier for the socket in ``NOTIFY_SOCKET``."""
        return cls(address=(os.environ if environ is None else environ).get("NOTIFY_SOCKET"))

    @property
    def enabled(self) -> bool:
        """Whether there is a socket to send to."""
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """Report that the start, or a reload, is complete."""
        return self._send("READY=1", *_status(status))

    def status(self, text: str) -> bool:
        """Set the line that ``systemctl status`` shows."""
        return self._send(*_status(text))

    def watchdog(self) -> bool:
        """Reset systemd's watchdog timer."""
        return self._send("WATCHDOG=1")

    def reloading(self) -> bool:
        """Report that a reload begins; ``ready`` ends it. ``Type=notify-reload`` requires the monotonic time."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={self._clock.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> bool:
        """Report that the shutdown begins."""
        return self._send("STOPPING=1", *_status(status))

    def extend_timeout(self, seconds: float) -> bool:
        """Ask for ``seconds`` more to start or stop, e.g. while a model is compiled."""
        return self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def _send(self, *lines: str) -> bool:
        if self._address is None:
            return False
        target = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                # A full socket must not block the caller, which may be the watchdog.
                sock.settimeout(_SEND_TIMEOUT_S)
                sock.sendto("\n".join(lines).encode(), target)
        except OSError as error:
            _LOG.warning("cannot send %s to systemd: %s", lines[0], error.strerror or error)
            return False
        return True


def watchdog_timeout_s(environ: Mapping[str, str] | None = None, *, pid: int | None = None) -> float | None:
    """Return the limit that ``WatchdogSec=`` sets for this process in seconds, None without one.

    ``WATCHDOG_PID`` names the process: a child that inherited the environment has no limit.

    Args:
        environ: The environment; None for that of this process.
        pid: The process id; None for that of this process.
    """
    environ = os.environ if environ is None else environ
    usec, owner = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if owner and owner != str(os.getpid() if pid is None else pid):
        return None
    if not (usec.isascii() and usec.isdecimal()) or int(usec) == 0:
        return None
    return int(usec) / 1e6


def _status(text: str) -> tuple[str, ...]:
    # A line break in the status would start another assignment.
    line = " ".join(text.split())
    return (f"STATUS={line[:_MAX_STATUS_CHARS]}",) if line else ()
