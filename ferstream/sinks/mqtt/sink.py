"""The MQTT sink: numbers and encodes events, hands them to the outbox or the board, never waits for a network."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from ferstream.domain.event import Event
from ferstream.events.encode import Encoder
from ferstream.outbox.fair_queue import Balance
from ferstream.outbox.outbox import Outbox
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.observer import Observer
from ferstream.runtime.waker import Wake
from ferstream.sinks.mqtt.address import TLS_SCHEMES, BrokerAddress, tls_context
from ferstream.sinks.mqtt.publisher import Link
from ferstream.sinks.mqtt.retained_messages import RETAINED, Board
from ferstream.sinks.mqtt.topics import Topics

STOP_TIMEOUT_S = 7.0
"""More than a connection attempt takes."""
DELIVER_SHARE = 0.5
"""Share of a flush's time in which events may still reach the broker before they are written to disk."""

_LOG = logging.getLogger(__name__)


class MqttSink:
    """Publishes events to one broker through a durable outbox."""

    def __init__(
        self,
        *,
        address: BrokerAddress,
        topics: Topics,
        encoder: Encoder,
        observer: Observer,
        outbox_directory: Path | None = None,
        max_events: int = 100_000,
        max_bytes: int = 64 << 20,
        per_face: bool = True,
        backoff: Backoff | None = None,
        on_command: Callable[[str, bytes], None] | None = None,
        on_fatal: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        """``on_command(camera, payload)`` turns the command topics on; it is called by the MQTT thread.

        Not ``per_face`` (``privacy.aggregate_only``): what an earlier run left about single faces is dropped, not sent.
        """
        self._address, self._encoder = address, encoder
        self._wake = Wake()
        self._board = Board(topics)
        self._outbox = Outbox(
            directory=outbox_directory,
            max_events=max_events,
            max_bytes=max_bytes,
            observer=observer,
            on_ready=self._wake.set,
            per_face=per_face,
        )
        self._link = Link(
            address=address,
            topics=topics,
            outbox=self._outbox,
            board=self._board,
            wake=self._wake,
            observer=observer,
            backoff=backoff,
            on_command=on_command,
            on_fatal=on_fatal,
        )
        self._closed = False
        self._invalid = False

    @property
    def outbox(self) -> Outbox:
        """Its outbox: ``events``, ``size_bytes``, ``max_events``, ``max_bytes``, ``degraded``."""
        return self._outbox

    @property
    def link(self) -> Link:
        """Its connection: ``connected``, ``reason``, ``connects``."""
        return self._link

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us, and the connection stands."""
        return self._link.connected

    @property
    def reason(self) -> str:
        """Why it is not connected, in words."""
        return self._link.reason

    def counts(self) -> Balance:
        """What became of every event so far."""
        return self._outbox.counts()

    def open(self) -> None:
        """Take over the outbox of the last run and start connecting; does not wait for the broker.

        Raises:
            ConfigError: A certificate cannot be used, or another process uses the outbox.
        """
        if self._address.scheme in TLS_SCHEMES:
            tls_context(self._address)
        self._outbox.open()
        self._link.start()

    def put(self, event: Event) -> None:
        """Take one event; never waits."""
        try:
            message = self._encoder.encode(event)
        except ValueError as exc:
            self._outbox.refuse("invalid")
            if not self._invalid:
                _LOG.error("mqtt: an event could not be encoded (%s); counted as invalid, not told again", exc)
            self._invalid = True
            return
        if message.schema in RETAINED:
            self._board.set(message)
            self._wake.set()
        else:
            self._outbox.append(message)

    def forget_camera(self, camera: str) -> None:
        """Remove the retained values of a camera that was taken out of the configuration.

        What the pipeline still holds of it does not bring them back: its states and summaries are ignored until ``remember_camera``.
        """
        self._board.forget(camera)
        self._wake.set()

    def remember_camera(self, camera: str) -> None:
        """A camera that may have been forgotten is wanted again; called before it is started."""
        self._board.remember(camera)

    def flush(self, timeout_s: float) -> int:
        """Wait until every event is delivered or on disk; returns how many are neither."""
        if not self._outbox.durable:
            self._outbox.wait_empty(timeout_s)
            return self._outbox.events
        deadline = time.monotonic() + timeout_s
        if self._link.connected:
            self._outbox.wait_empty(timeout_s * DELIVER_SHARE)
        return self._outbox.flush(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Publish ``stopped``, write what is left, end both threads; more than once is fine."""
        if self._closed:
            return
        self._closed = True
        if not self._link.stop(STOP_TIMEOUT_S):
            _LOG.error("mqtt: the thread did not end within %g s", STOP_TIMEOUT_S)
        if not self._outbox.close(STOP_TIMEOUT_S):
            _LOG.error("outbox: the thread did not end within %g s", STOP_TIMEOUT_S)
        if not self._link.thread.is_alive():
            self._wake.close()
