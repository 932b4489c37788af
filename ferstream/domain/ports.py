"""Protocols that several rooms share."""

from __future__ import annotations

from typing import Protocol

from ferstream.domain.event import Event


class Sink(Protocol):
    """Takes events of all cameras, in order per camera. ``put`` is called by the publishing thread only."""

    def open(self) -> None:
        """Make ready; for a network sink it does not wait for the connection.

        Raises:
            FerstreamError: It can never work (bad path, bad settings).
        """
        ...

    def put(self, event: Event) -> None:
        """Take one event; must not wait for a network."""
        ...

    def flush(self, timeout_s: float) -> int:
        """Wait until everything taken is delivered or safely on disk; returns how many events are neither."""
        ...

    def close(self) -> None:
        """Release everything; more than once is fine."""
        ...
