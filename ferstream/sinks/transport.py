"""What the delivery loop and its transports agree on: events, results, and the two seams.

A transport knows one protocol and nothing about the outbox; the loop (``delivery.py``) knows the outbox and nothing
about the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


class Delivery(Protocol):
    """One event for one sink.

    Attributes:
        attempts: How often it failed while other events were accepted; kept by the loop.
        sent: Whether it was handed to a connection at least once.
    """

    attempts: int
    sent: bool

    @property
    def camera(self) -> str:
        """Name of the camera."""
        ...

    @property
    def schema(self) -> str:
        """Schema id, for example ``ferstream.track/1``."""
        ...

    @property
    def boot_id(self) -> str:
        """The run of the daemon in which the event was made."""
        ...

    @property
    def seq(self) -> int:
        """Number of the event within (boot_id, camera, schema)."""
        ...

    @property
    def payload(self) -> bytes:
        """The JSON of the event."""
        ...


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


class Reader(Protocol):
    """The part of an outbox reader that the loop uses; see ``ferstream.outbox.reader.OutboxReader``."""

    def take(self, limit: int) -> Sequence[Delivery]:
        """Return the next events, in order per camera; they are in flight from now on."""
        ...

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Remove delivered events."""
        ...

    def refuse(self, delivery: Delivery, reason: str) -> None:
        """Drop an event that will never be accepted."""
        ...

    def give_back(self) -> int:
        """Let everything in flight wait again, in its old order."""
        ...
