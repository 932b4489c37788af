"""The order in which one reader gets its events, and its counters.

Without threads, locks or files: ``OutboxState`` guards it. Each camera has a queue of its own, in order;
``take`` goes round the cameras, so that no camera's live events wait behind another camera's backlog. At any moment
*accepted + recovered = acknowledged + waiting + in flight + dropped*.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence

from ferstream.outbox.entry import Delivery, Entry, OutboxCounts


class FairQueue:
    """The events that wait for one reader, those in flight, and the counters."""

    def __init__(self) -> None:
        """Make an empty queue."""
        self._waiting: dict[str, deque[Delivery]] = {}
        self._cameras: deque[str] = deque()
        self._in_flight: dict[int, Delivery] = {}
        self._accepted = self._recovered = self._acknowledged = 0
        self._events = self._bytes = 0
        self._dropped: Counter[str] = Counter()

    @property
    def events(self) -> int:
        """Events that wait or are in flight."""
        return self._events

    @property
    def in_flight(self) -> int:
        """Events that were taken and are not done."""
        return len(self._in_flight)

    def counts(self) -> OutboxCounts:
        """Return the counters."""
        dropped = dict(self._dropped)
        return OutboxCounts(self._accepted, self._recovered, self._acknowledged, self._events, self._bytes, dropped, self._oldest_ns())

    # -- in --------------------------------------------------------------------------------------

    def add(self, entry: Entry) -> None:
        """Append a new event."""
        self._accepted += 1
        self._camera(entry.camera).append(Delivery(entry))
        self._count_in(entry)

    def recover(self, entries: Sequence[Entry]) -> None:
        """Put events of an earlier process, oldest first, before everything else."""
        self._recovered += len(entries)
        for entry in reversed(entries):
            self._camera(entry.camera).appendleft(Delivery(entry))
            self._count_in(entry)

    def count_dropped(self, reason: str, *, recovered: bool = False) -> None:
        """Count an event that never gets into the queue."""
        if recovered:
            self._recovered += 1
        else:
            self._accepted += 1
        self._dropped[reason] += 1

    # -- out -------------------------------------------------------------------------------------

    def take(self, limit: int) -> list[Delivery]:
        """Return the next events, in flight from now on; a camera whose oldest event is only on disk is passed over."""
        taken: list[Delivery] = []
        idle = 0
        while len(taken) < limit and idle < len(self._cameras):
            waiting = self._waiting[self._cameras[0]]
            self._cameras.rotate(-1)
            if waiting and waiting[0].entry.payload is not None:
                delivery = waiting.popleft()
                self._in_flight[delivery.entry.order] = delivery
                taken.append(delivery)
                idle = 0
            else:
                idle += 1
        return taken

    def acknowledge(self, delivery: Delivery) -> bool:
        """Finish an event that the other side took; False if it was not in flight any more."""
        if self._in_flight.pop(delivery.entry.order, None) is None:
            return False
        self._acknowledged += 1
        self._count_out(delivery)
        return True

    def give_back(self) -> int:
        """Let everything in flight wait again in its old place; return how many events."""
        for delivery in sorted(self._in_flight.values(), key=_order, reverse=True):
            waiting = self._camera(delivery.camera)
            waiting.appendleft(delivery)
            if len(waiting) > 1 and waiting[1].order < delivery.order:  # older events were recovered meanwhile
                self._waiting[delivery.camera] = deque(sorted(waiting, key=_order))
        given_back = len(self._in_flight)
        self._in_flight.clear()
        return given_back

    def drop(self, delivery: Delivery, reason: str) -> bool:
        """Drop one event, wherever it is; False if it was done already."""
        if delivery.done:
            return False
        if self._in_flight.pop(delivery.order, None) is None:
            self._waiting[delivery.camera].remove(delivery)
        self._dropped[reason] += 1
        self._count_out(delivery)
        return True

    def drop_oldest(self, entry: Entry, reason: str) -> bool:
        """Drop an event if it waits as the oldest one of its camera; False if it does not."""
        waiting = self._waiting.get(entry.camera)
        if not waiting or waiting[0].entry is not entry:
            return False
        self._dropped[reason] += 1
        self._count_out(waiting.popleft())
        return True

    # -- looking ---------------------------------------------------------------------------------

    def oldest(self, camera: str | None = None) -> Entry | None:
        """Return the oldest event that waits, of one camera or of all; None if none does."""
        queues = self._waiting.values() if camera is None else (self._waiting.get(camera, ()),)
        heads = (waiting[0].entry for waiting in queues if waiting)
        return min(heads, key=_entry_order, default=None)

    def is_in_flight(self, entry: Entry) -> bool:
        """Whether the event was taken and is not done."""
        return entry.order in self._in_flight

    def find(self, orders: Collection[int]) -> list[Delivery]:
        """Return the deliveries with these orders that wait or are in flight."""
        return [delivery for delivery in self._all() if delivery.order in orders]

    def missing(self, ahead: int) -> list[Entry]:
        """Return the events among the next ``ahead`` of each camera whose payload is only on disk."""
        found: list[Entry] = []
        for waiting in self._waiting.values():
            if waiting and (waiting[0].entry.payload is None or waiting[min(ahead // 2, len(waiting) - 1)].entry.payload is None):
                found += [waiting[i].entry for i in range(min(ahead, len(waiting))) if waiting[i].entry.payload is None]
        return found

    def entries(self) -> list[Entry]:
        """Return everything that waits or is in flight, in no order."""
        return [delivery.entry for delivery in self._all()]

    def _oldest_ns(self) -> int | None:
        heads = [waiting[0] for waiting in self._waiting.values() if waiting]
        return min((delivery.entry.made_ns for delivery in (*heads, *self._in_flight.values())), default=None)

    def _all(self) -> Iterable[Delivery]:
        for waiting in self._waiting.values():
            yield from waiting
        yield from self._in_flight.values()

    def _camera(self, camera: str) -> deque[Delivery]:
        waiting = self._waiting.get(camera)
        if waiting is None:
            waiting = self._waiting[camera] = deque()
            self._cameras.append(camera)
        return waiting

    def _count_in(self, entry: Entry) -> None:
        self._events += 1
        self._bytes += entry.size

    def _count_out(self, delivery: Delivery) -> None:
        delivery.done = True
        self._events -= 1
        self._bytes -= delivery.size


def _order(delivery: Delivery) -> int:
    return delivery.entry.order


def _entry_order(entry: Entry) -> int:
    return entry.order
