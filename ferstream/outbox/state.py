"""The state of the outbox that its threads share: which events it holds, which are on disk, which readers are done.

One lock guards it; every method takes it for a moment and touches no file. Those under "with the lock held" are for
``OutboxReader``, which takes the same lock. An event is *safe* once it is on disk or gone; ``flush`` waits until
none is unsafe.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence, Set

from ferstream.outbox.entry import Delivery, Dropped, Entry, checksum
from ferstream.outbox.fair_queue import FairQueue
from ferstream.outbox.stored_rows import StoredRows
from ferstream.outbox.unwritten import Batch, UnwrittenEvents

RESIDENT_EVENTS = 4096
PREFETCH_EVENTS = 1024
NO_SINK = "no_sink"
"""Reason for dropping an event of an earlier process: no sink that is configured now reads it."""


class OutboxState:
    """The events of one outbox, their limits, and what is on disk."""

    def __init__(
        self,
        *,
        max_events: int,
        max_bytes: int,
        durable: bool,
        resident_events: int = RESIDENT_EVENTS,
        prefetch_events: int = PREFETCH_EVENTS,
    ) -> None:
        """Make an empty state.

        Args:
            max_events: Most events it holds; the oldest are dropped for new ones.
            max_bytes: Most payload bytes it holds.
            durable: Whether a writer moves events to a disk.
            resident_events: Payloads that stay in memory although they are on disk.
            prefetch_events: Events per camera that are read back ahead of a reader.

        Raises:
            ValueError: A limit is below 1.
        """
        if max_events < 1 or max_bytes < 1:
            raise ValueError(f"expected limits of at least 1, got {max_events} events, {max_bytes} bytes")
        self.max_events, self.max_bytes, self.durable = max_events, max_bytes, durable
        self._resident_limit, self._prefetch = resident_events, prefetch_events
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        """Notified when events become safe or leave."""
        self._queues: dict[str, tuple[int, FairQueue]] = {}
        self._next_order = self._first_order = 0
        self._events = self._bytes = 0
        self._unsafe = self._resident = 0
        self._unwritten = UnwrittenEvents()
        self._rows = StoredRows()
        self._reading = False

    # -- any thread ------------------------------------------------------------------------------

    def attach(self, name: str, queue: FairQueue) -> int:
        """Add a reader's queue before the first event; return the reader's bit in ``Entry.pending``.

        Raises:
            ValueError: The name is taken or cannot be stored.
        """
        if name in self._queues or not name.isidentifier():
            raise ValueError(f"expected a new identifier as the name of a reader, got {name!r}")
        bit = 1 << len(self._queues)
        self._queues[name] = (bit, queue)
        return bit

    @property
    def events(self) -> int:
        """Events held, in flight included."""
        return self._events

    @property
    def size_bytes(self) -> int:
        """Payload bytes of the events held."""
        return self._bytes

    def wait_safe(self, timeout_s: float) -> int:
        """Wait until every event is gone or on disk; return how many are not."""
        with self.changed:
            self.changed.wait_for(lambda: not self._unsafe, timeout_s)
            return self._unsafe

    def wait_saved(self, max_age_s: float, timeout_s: float) -> bool:
        """Wait until no event that is only in memory is older than ``max_age_s``; True if so."""
        with self.changed:
            return self.changed.wait_for(lambda: self._unwritten.unsaved_age_s() <= max_age_s, timeout_s)

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until no event is held; True if none is."""
        with self.changed:
            return self.changed.wait_for(lambda: not self._events, timeout_s)

    # -- the publishing thread -------------------------------------------------------------------

    def append(self, entry: Entry, readers: int) -> Dropped:
        """Take a new event for these readers (bits); return the events that had to give way."""
        entry.made_ns = time.monotonic_ns()
        entry.pending = readers
        with self.lock:
            entry.order, self._next_order = self._next_order, self._next_order + 1
            self._count_in(entry)
            self._unsafe += 1
            self._resident += 1
            if self.durable:
                self._unwritten.append(entry)
            for bit, queue in self._queues.values():
                if readers & bit:
                    queue.add(entry)
            return self._trim()

    # -- the writer ------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """Rows in the file."""
        return self._rows.count

    @property
    def rows_needed(self) -> int:
        """Rows in the file whose events are still held."""
        with self.lock:
            return self._rows.needed

    def names(self, readers: int) -> str:
        """Return the names of these readers (bits), separated by commas, as they are stored."""
        return ",".join(name for name, (bit, _) in self._queues.items() if readers & bit)

    def readers(self, names: str) -> int:
        """Return the bits of the readers with these names; names that are not known have none."""
        return sum(self._queues[name][0] for name in set(names.split(",")) if name in self._queues)

    def oldest_unwritten_ns(self) -> int | None:
        """Return when the oldest event that is not on disk was made, in monotonic nanoseconds; None without one."""
        with self.lock:
            return self._unwritten.oldest_ns()

    def to_write(self, *, made_before_ns: int, limit: int) -> Batch:
        """Take the events that are not on disk if the oldest was made before then; ``written`` or ``not_written`` follows."""
        with self.lock:
            return self._unwritten.take(made_before_ns=made_before_ns, limit=limit)

    def not_written(self, batch: Batch) -> None:
        """Put a batch back that could not be written."""
        with self.lock:
            self._unwritten.put_back(batch)

    def written(self, batch: Batch, first_row: int) -> None:
        """Note that a batch is on disk, in consecutive rows."""
        with self.lock:
            self._rows.count += len(batch)
            self._unwritten.stored()
            for row, (entry, _, stored_readers) in enumerate(batch, first_row):
                self._stored(entry, row, stored_readers)
            self.changed.notify_all()

    def to_delete(self) -> list[int]:
        """Return the rows whose events are gone; ``deleted`` follows."""
        with self.lock:
            return list(self._rows.to_delete)

    def deleted(self, count: int) -> None:
        """Note that the first ``count`` rows of ``to_delete`` are deleted."""
        with self.lock:
            self._rows.deleted(count)

    def to_update(self) -> dict[int, int]:
        """Return the rows that some readers are done with, each with the readers left; ``updated`` follows."""
        with self.lock:
            return dict(self._rows.to_update)

    def updated(self, rows: Mapping[int, int]) -> None:
        """Note that these rows have these readers now."""
        with self.lock:
            self._rows.updated(rows)

    def to_read(self) -> list[Entry]:
        """Return the events whose payload a reader needs soon and that are only on disk."""
        with self.lock:
            self._reading = False
            found = {entry.row: entry for _, queue in self._queues.values() for entry in queue.missing(self._prefetch)}
            return list(found.values())

    def read(self, entries: Sequence[Entry], payloads: Mapping[int, bytes]) -> Dropped:
        """Give these events their payloads, by row; drop and return those whose payload is damaged."""
        damaged: list[Entry] = []
        with self.lock:
            for entry in entries:
                payload = payloads.get(entry.row)
                if entry.is_gone or entry.payload is not None:
                    continue
                if payload is not None and entry.crc == checksum(entry, payload):
                    entry.payload = payload
                    self._resident += 1
                else:
                    damaged.append(entry)
            return self._drop(damaged, "corrupt")

    def opened(self, entries: Sequence[Entry], unwanted: Callable[[Entry], str | None]) -> Dropped:
        """Take over what an opened file holds, oldest first; return the events that are dropped.

        It may be the file that was open before: what is held or gone already is not taken twice.

        Args:
            entries: The rows, each with its readers in ``pending``.
            unwanted: Returns why an event must not be sent; None if it may.
        """
        with self.lock:
            dropped = self._reconcile({entry.row for entry in entries})
            known = {*self._rows.to_delete, *(entry.row for entry in self._held())}
            wanted: list[Entry] = []
            for entry in entries:
                if entry.row in known:
                    continue
                reason = unwanted(entry) or (None if entry.pending else NO_SINK)
                if reason is None:
                    wanted.append(entry)
                else:
                    dropped += self._refuse_recovered(entry, reason)
            self._recover(wanted)
            return dropped + self._trim()

    def file_lost(self) -> Dropped:
        """The file is gone: what is in memory is to be written again; return what was only in the file."""
        with self.lock:
            return self._reconcile(set())

    # -- with the lock held ----------------------------------------------------------------------

    def finish(self, readers: int, deliveries: Sequence[Delivery]) -> None:
        """Note that these readers (bits) are done with these events."""
        for delivery in deliveries:
            self._finish(delivery.entry, readers)
        if deliveries:
            self.changed.notify_all()

    def wants_reading(self, queue: FairQueue) -> bool:
        """Whether the writer should be woken to read payloads back for this queue; True once, until ``to_read``."""
        if self._reading or not self._rows.count or not queue.missing(self._prefetch):
            return False
        self._reading = True
        return True

    def _finish(self, entry: Entry, readers: int) -> None:
        entry.pending &= ~readers
        if entry.pending:
            if entry.row:
                self._rows.to_update[entry.row] = entry.pending
            return
        self._events -= 1
        self._bytes -= entry.size
        if entry.payload is not None:
            self._resident -= 1
            entry.payload = None
        if entry.row:
            self._rows.finish(entry.row)
        else:
            self._unsafe -= 1

    def _stored(self, entry: Entry, row: int, stored_readers: int) -> None:
        if entry.is_gone:  # acknowledged while it was being written
            self._rows.finish(row)
            return
        entry.row = row
        self._unsafe -= 1
        if entry.pending != stored_readers:
            self._rows.to_update[row] = entry.pending
        if self._resident > self._resident_limit and not any(queue.is_in_flight(entry) for _, queue in self._queues.values()):
            entry.payload = None
            self._resident -= 1

    def _trim(self) -> Dropped:
        """Drop the oldest waiting events while a limit is exceeded; what is in flight may be acknowledged at any moment and stays."""
        dropped: Dropped = []
        while self._events > self.max_events or self._bytes > self.max_bytes:
            heads = [head for _, queue in self._queues.values() if (head := queue.oldest()) is not None]
            if not heads:
                break
            oldest = min(heads, key=lambda entry: entry.order)
            reason = "max_events" if self._events > self.max_events else "max_bytes"
            for bit, queue in self._queues.values():
                if oldest.pending & bit and queue.drop_oldest(oldest, reason):
                    dropped.append((oldest, reason))
                    self._finish(oldest, bit)
        if dropped:
            self.changed.notify_all()
        return dropped

    def _drop(self, entries: Collection[Entry], reason: str) -> Dropped:
        """Drop events for all their readers."""
        dropped: Dropped = []
        orders = {entry.order for entry in entries}
        for bit, queue in self._queues.values() if orders else ():
            for delivery in queue.find(orders):
                queue.drop(delivery, reason)
                dropped.append((delivery.entry, reason))
                self._finish(delivery.entry, bit)
        if dropped:
            self.changed.notify_all()
        return dropped

    def _refuse_recovered(self, entry: Entry, reason: str) -> Dropped:
        self._rows.finish(entry.row)
        bits = [queue for bit, queue in self._queues.values() if entry.pending & bit]
        for queue in bits:
            queue.count_dropped(reason, recovered=True)
        return [(entry, reason)] * max(1, len(bits))

    def _recover(self, entries: Sequence[Entry]) -> None:
        self._first_order -= len(entries)
        for order, entry in enumerate(entries, self._first_order):
            entry.order = order
            self._count_in(entry)
        for bit, queue in self._queues.values():
            queue.recover([entry for entry in entries if entry.pending & bit])

    def _reconcile(self, rows: Set[int]) -> Dropped:
        """The file holds these rows and no others: drop what was only in others, write the rest again."""
        lost: list[Entry] = []
        held = self._held()
        for entry in held:
            if entry.row and entry.row not in rows:
                entry.row = 0
                self._unsafe += 1
                if entry.payload is None:
                    lost.append(entry)
        dropped = self._drop(lost, "corrupt")
        self._unwritten.replace(entry for entry in held if not entry.is_gone and not entry.row)
        self._rows.replace(rows)
        return dropped

    def _held(self) -> list[Entry]:
        """Everything held, oldest first."""
        found = {entry.order: entry for _, queue in self._queues.values() for entry in queue.entries()}
        return [found[order] for order in sorted(found)]

    def _count_in(self, entry: Entry) -> None:
        self._events += 1
        self._bytes += entry.size
