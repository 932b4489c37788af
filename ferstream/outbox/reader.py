"""One sink's view of the outbox: its own position, acknowledgements and counters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ferstream.outbox.entry import Delivery, OutboxCounts
from ferstream.outbox.fair_queue import FairQueue
from ferstream.outbox.state import OutboxState


class OutboxReader:
    """Hands one sink its events, each in flight until it is acknowledged, refused or given back.

    An event leaves the outbox when all its readers are done with it. Any thread may call every method; ``take``,
    ``acknowledge``, ``refuse`` and ``give_back`` are for the sink's own thread.
    """

    def __init__(
        self,
        *,
        name: str,
        schemas: Collection[str],
        state: OutboxState,
        on_ready: Callable[[], None],
        on_dropped: Callable[[str], None],
        wake_writer: Callable[[], None],
    ) -> None:
        """Attach the reader to the outbox; ``Outbox.reader`` does it.

        Args:
            name: Name of the sink; it is stored with each event, so that another process of this sink goes on.
            schemas: Schema ids of the events that the sink wants.
            state: The state of the outbox.
            on_ready: Called when ``take`` may have something new, by any thread.
            on_dropped: Called with the reason of each refused event.
            wake_writer: Called when payloads should be read back from the disk.
        """
        self.name, self.schemas, self.on_ready = name, frozenset(schemas), on_ready
        self._state, self._on_dropped, self._wake_writer = state, on_dropped, wake_writer
        self._queue = FairQueue()
        self.bit = state.attach(name, self._queue)
        """The reader's bit in ``Entry.pending``."""

    @property
    def events(self) -> int:
        """Events that wait or are in flight."""
        return self._queue.events

    def counts(self) -> OutboxCounts:
        """Return what became of the reader's events."""
        with self._state.lock:
            return self._queue.counts()

    def oldest_ns(self, camera: str | None = None) -> int | None:
        """Return when the oldest waiting event was made, of one camera or of all, in monotonic nanoseconds; None if none waits.

        An event that an earlier process left counts as made at 0.
        """
        with self._state.lock:
            oldest = self._queue.oldest(camera)
            return None if oldest is None else oldest.made_ns

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until the reader has no event left; True if it has none."""
        with self._state.changed:
            return self._state.changed.wait_for(lambda: not self._queue.events, timeout_s)

    def take(self, limit: int) -> list[Delivery]:
        """Return up to ``limit`` next events, in order per camera and in turn between cameras."""
        with self._state.lock:
            deliveries = self._queue.take(limit)
            wake = self._state.wants_reading(self._queue)
        if wake:
            self._wake_writer()
        return deliveries

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Finish events that the other side took over; those that are not in flight any more are ignored."""
        with self._state.lock:
            self._state.finish(self.bit, [delivery for delivery in deliveries if self._queue.acknowledge(delivery)])

    def refuse(self, delivery: Delivery, reason: str) -> None:
        """Drop an event that the other side will never take, counted under ``reason``."""
        with self._state.lock:
            dropped = self._queue.drop(delivery, reason)
            if dropped:
                self._state.finish(self.bit, (delivery,))
        if dropped:
            self._on_dropped(reason)

    def give_back(self) -> int:
        """Let everything in flight wait again, in its old order: the connection is lost. Returns how many events."""
        with self._state.lock:
            return self._queue.give_back()

    def count_dropped(self, reason: str) -> None:
        """Count an event that never gets into the outbox."""
        with self._state.lock:
            self._queue.count_dropped(reason)
