"""What the delivery loop and its transports agree on: the results of sending, and the seam between the two.

A transport knows one protocol and nothing about the outbox; the loop (``delivery.py``) knows the outbox and nothing
about the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ferstream.outbox.entry import Delivery


@dataclass(frozen=True, slots=True)
class Accepted:
    """The other side has the event."""

    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Refused:
    """The other side will never accept the event.

    Attributes:
        delivery: The event; the loop drops it.
        detail: Why, from a small set, without secrets: ``400 Bad Request``. Logged once for each text.
    """

    delivery: Delivery
    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt failed; the loop ends the session, waits and sends again everything that was not accepted.

    Attributes:
        reason: Why, one line without secrets.
        delivery: The event that failed; None when the connection failed, not one event.
        retry_after_s: Seconds that the other side asked to wait; 0 = it did not ask.
    """

    reason: str
    delivery: Delivery | None = None
    retry_after_s: float = 0.0


Result = Accepted | Refused | Failed


class Transport(Protocol):
    """Sends events with one protocol. The thread of the loop calls everything but ``wake``."""

    @property
    def label(self) -> str:
        """Address of the other side, safe to show: scheme, host and port."""
        ...

    def open(self) -> None:
        """Check the settings; does not use the network.

        Raises:
            ConfigError: The sink can never work.
        """
        ...

    def connect(self, stopped: Callable[[], bool]) -> Failed | None:
        """Begin a session; returns within a few seconds, sooner when ``stopped`` is true and ``wake`` was called."""
        ...

    def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Start to send these events, in order per camera; does not wait for the network."""
        ...

    def collect(self, timeout_s: float) -> list[Result]:
        """Wait until there is a result or ``wake`` is called; return all results since the last call."""
        ...

    def end(self, grace_s: float) -> list[Result]:
        """End the session: wait up to ``grace_s`` for what is being sent, return the last results, forget the rest."""
        ...

    def wake(self) -> None:
        """Make ``connect`` and ``collect`` return; any thread may call it."""
        ...
