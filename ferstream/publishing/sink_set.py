"""All sinks of a run: each event is encoded once and handed to every sink; one sink's failure never concerns another.

``write`` is called by the publishing thread only; the rest by the thread that owns the pipeline.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from ferstream.domain.event import Event
from ferstream.domain.ports import RetainsCameras, Sink, SinkStatus, UsesNetwork
from ferstream.errors import FerstreamError
from ferstream.events.encode import Encoder
from ferstream.outbox.outbox import Outbox
from ferstream.runtime.observer import Observer

DELIVERY_SHARE = 0.5
"""Share of a flush in which events may still be delivered before they are written to disk."""
CLOSE_TIMEOUT_S = 7.0

_LOG = logging.getLogger(__name__)


class SinkSet:
    """Opens, feeds, flushes and closes the sinks of one run, and the outbox that some of them read."""

    def __init__(
        self,
        *,
        encoder: Encoder,
        sinks: Sequence[Sink],
        observer: Observer,
        outbox: Outbox | None = None,
        on_failure: Callable[[str, Exception], None] | None = None,
    ) -> None:
        """Take the sinks; nothing is opened yet.

        Args:
            encoder: Numbers and encodes the events.
            sinks: Take the messages, in this order.
            observer: Counts the failures of each sink, ``sink_failures`` by name.
            outbox: Holds the messages for the sinks that have a reader of it; opened first and closed last.
            on_failure: Called by the publishing thread with the sink's name and its error; by default the first one of
                each sink is logged.
        """
        self._encoder, self._sinks, self._outbox, self._observer = encoder, tuple(sinks), outbox, observer
        self._on_failure = on_failure or self._log_failure
        self._failed: set[str] = set()
        self._closed = False

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """The sinks."""
        return self._sinks

    @property
    def outbox(self) -> Outbox | None:
        """The outbox; None if no sink reads one."""
        return self._outbox

    def statuses(self) -> list[SinkStatus]:
        """Return the status of each sink; any thread may call it."""
        return [sink.status() for sink in self._sinks]

    def status(self, name: str) -> SinkStatus | None:
        """Return the status of one sink; None if there is no sink of that name."""
        return next((sink.status() for sink in self._sinks if sink.name == name), None)

    def open(self) -> None:
        """Open the outbox and every sink; if one cannot be opened, close the others again.

        What can fail without a network comes first, so that a mistake is known before a connection is made.

        Raises:
            FerstreamError: A sink can never work.
        """
        try:
            if self._outbox is not None:
                self._outbox.open()
            for sink in self._sinks:
                if isinstance(sink, UsesNetwork):
                    sink.check()
            for sink in sorted(self._sinks, key=lambda sink: isinstance(sink, UsesNetwork)):
                sink.open()
        except BaseException:
            self.close()
            raise

    def write(self, event: Event) -> None:
        """Encode an event and hand it to the outbox and to every sink; never raises for a sink's failure."""
        try:
            message = self._encoder.encode(event)
        except ValueError as exc:
            if self._outbox is not None:
                self._outbox.count_dropped("invalid")
            self._fail("encoder", exc)
            return
        if self._outbox is not None:
            self._outbox.append(message)
        for sink in self._sinks:
            try:
                sink.write(message)
            except Exception as exc:  # noqa: BLE001 (any failure is counted, and must not reach the other sinks)
                self._fail(sink.name, exc)

    def flush(self, timeout_s: float) -> int:
        """Deliver what can be delivered, write the rest to disk; return how many messages are neither."""
        deadline = time.monotonic() + timeout_s
        durable = self._outbox is not None and self._outbox.durable
        deliver_until = time.monotonic() + timeout_s * (DELIVERY_SHARE if durable else 1.0)
        left = sum(self._flush(sink, max(0.0, deliver_until - time.monotonic())) for sink in self._sinks)
        if self._outbox is not None:
            left += self._outbox.flush(max(0.0, deadline - time.monotonic()))
        return left

    def close(self) -> None:
        """Close every sink, then the outbox; a second call does nothing.

        Raises:
            FerstreamError: The first error of a sink, after all are closed: what it was given may be lost.
        """
        if self._closed:
            return
        self._closed = True
        errors: list[FerstreamError] = []
        for sink in self._sinks:
            try:
                sink.close()
            except FerstreamError as exc:
                errors.append(exc)
        if self._outbox is not None and not self._outbox.close(CLOSE_TIMEOUT_S):
            _LOG.error("outbox: the thread did not end within %g s", CLOSE_TIMEOUT_S)
        if errors:
            raise errors[0]

    def forget_camera(self, camera: str) -> None:
        """Tell the sinks that a camera was taken out of the settings."""
        for sink in self._sinks:
            if isinstance(sink, RetainsCameras):
                sink.forget_camera(camera)

    def remember_camera(self, camera: str) -> None:
        """Tell the sinks that a camera was added; called before the camera is started."""
        for sink in self._sinks:
            if isinstance(sink, RetainsCameras):
                sink.remember_camera(camera)

    def _flush(self, sink: Sink, timeout_s: float) -> int:
        try:
            return sink.flush(timeout_s)
        except FerstreamError as exc:
            self._fail(sink.name, exc)
            return 0

    def _fail(self, name: str, exc: Exception) -> None:
        self._observer.count("sink_failures", name)
        self._on_failure(name, exc)

    def _log_failure(self, name: str, exc: Exception) -> None:
        if name not in self._failed:
            self._failed.add(name)
            _LOG.error("%s: an event was lost: %s. Further failures are counted, not logged", name, exc)
