"""A sink that reads its events from an outbox: the life that every network sink has.

A new network sink is a ``Transport`` (see ``delivery.py``) and a constructor that passes it on, as in
``webhook/sink.py`` and ``kafka/sink.py``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

from ferstream.domain.message import Message
from ferstream.domain.ports import SinkStatus
from ferstream.outbox.outbox import Outbox
from ferstream.runtime.backoff import Backoff
from ferstream.runtime.observer import Observer
from ferstream.sinks.delivery import DeliveryLoop, Timings
from ferstream.sinks.transport import Transport

STOP_TIMEOUT_S = 7.0
"""Longest wait of ``close`` for the thread."""
_LOOK_S = 0.2
"""How often ``flush`` looks whether the connection still stands."""

_LOG = logging.getLogger(__name__)


class NetworkSink:
    """Delivers the events of one outbox reader; ``write`` does nothing, the outbox has the events already."""

    def __init__(
        self,
        *,
        name: str,
        outbox: Outbox,
        schemas: Collection[str],
        transport: Transport,
        observer: Observer,
        backoff: Backoff | None = None,
        timings: Timings | None = None,
        on_fatal: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        """Prepare; ``open`` starts the thread.

        Args:
            name: Name of the sink and of its reader.
            outbox: Holds the events; the sink adds its reader, so it is not open yet.
            schemas: Ids of the schemas to deliver.
            transport: Sends the events.
            observer: Receives heartbeats and counts.
            backoff: Waits between two attempts; by default 0.5 to 60 s.
            timings: Limits of the loop.
            on_fatal: Called with the name and the error when the thread ends by a defect.
        """
        self._name, self._transport, self._outbox = name, transport, outbox
        self._loop = DeliveryLoop(
            name=name,
            open_reader=lambda on_ready: outbox.reader(name, schemas=schemas, on_ready=on_ready),
            transport=transport,
            observer=observer,
            backoff=backoff,
            timings=timings,
            on_fatal=on_fatal,
        )
        self._closed = self._checked = False

    @property
    def name(self) -> str:
        """Name of the sink."""
        return self._name

    @property
    def in_flight(self) -> int:
        """Events that were sent and not answered."""
        return self._loop.in_flight

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._loop.alive

    def check(self) -> None:
        """Check the settings; does not wait for the network.

        Raises:
            ConfigError: The sink can never work.
        """
        if not self._checked:
            self._transport.open()
            self._checked = True

    def open(self) -> None:
        """Check the settings and start connecting; does not wait for the network.

        Raises:
            ConfigError: The sink can never work.
        """
        self.check()
        self._loop.start()

    def write(self, message: Message) -> None:
        """Do nothing: the events come from the outbox."""

    def flush(self, timeout_s: float) -> int:
        """Wait until every event is delivered; not for a connection that is down, if the outbox keeps the events on disk.

        Always 0: what is not delivered is still in the outbox.
        """
        deadline = time.monotonic() + timeout_s
        while self._loop.alive and not (self._loop.down and self._outbox.durable):
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._loop.reader.wait_empty(min(_LOOK_S, left_s)):
                break
        return 0

    def close(self) -> None:
        """End the thread; more than one call is allowed."""
        if self._closed:
            return
        self._closed = True
        if not self._loop.stop(STOP_TIMEOUT_S):
            _LOG.error("%s: the thread did not end within %g s", self._name, STOP_TIMEOUT_S)

    def status(self) -> SinkStatus:
        """Return whether the other side accepts events, and if not, why; any thread may call it."""
        connected = self._loop.connected
        return SinkStatus(name=self._name, connected=connected, reason="" if connected else self._loop.reason)
