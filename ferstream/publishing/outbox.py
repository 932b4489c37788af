"""Events on their way to the broker: in memory while it answers, on disk when it does not.

While the broker acknowledges within half a second the disk is not touched: no wear of a flash
card, no CPU. Older events are written by the outbox's own thread, a batch per transaction, so
that a killed process loses less than a second of them; ``flush`` and ``close`` write at once.
Acknowledged rows are deleted in batches. What waits long leaves memory and is read back shortly
before it is sent. Files cannot stop the stream: when the disk fails everything stays in memory,
within the same bounds, and ``degraded`` says why until it works again.

Threads: ``append`` from the publishing thread, ``take`` / ``acknowledge`` / ``give_back`` from
the MQTT thread, the store from the outbox's thread only.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from ferstream.errors import ConfigError, OutboxCorruptError, OutboxError
from ferstream.publishing.encode import Message
from ferstream.publishing.lanes import Balance, Item, WaitingLanes
from ferstream.publishing.store import NewRow, Store, StoredHead
from ferstream.runtime.observer import Observer

SPILL_AFTER_S = 0.5
"""Age at which an unacknowledged event goes to disk; with ``TICK_S`` and a commit it stays below one second."""
TICK_S = 0.2
RETRY_S = 2.0
"""Time between attempts on a failing disk."""
PREFETCH_EVENTS = 1024
"""Events per camera read back ahead of the sender."""
RESIDENT_EVENTS = 4096
"""More payloads than these leave memory once they are on disk."""
SPILL_BATCH_EVENTS = 5000
_NAME = "outbox"

_LOG = logging.getLogger(__name__)


class Outbox:
    """A bounded, durable queue of encoded events."""

    def __init__(
        self,
        *,
        directory: Path | None,
        max_events: int,
        max_bytes: int,
        observer: Observer,
        on_ready: Callable[[], None] = lambda: None,
        spill_after_s: float = SPILL_AFTER_S,
        retry_s: float = RETRY_S,
    ) -> None:
        """``directory`` None keeps everything in memory; ``on_ready`` is called when ``take`` has something new."""
        self._queue = WaitingLanes(max_events=max_events, max_bytes=max_bytes)
        self._store = Store(directory) if directory is not None else None
        self._observer, self._on_ready = observer, on_ready
        self._spill_after_ns, self._retry_s = int(spill_after_s * 1e9), retry_s
        self._lock = threading.Lock()
        self._settled = threading.Condition(self._lock)
        self._wakeup = threading.Event()
        self._fresh: deque[Item] = deque()
        self._deletes: list[int] = []
        self._unsafe = 0
        self._resident = 0
        self._next_row = 1
        self._rows = 0
        self._degraded: str | None = None
        self._retry_at = 0.0
        self._urgent = self._closing = self._loading = False
        self._thread: threading.Thread | None = None

    # -- what others read --------------------------------------------------------------------

    @property
    def events(self) -> int:
        """Events in the outbox, in flight included."""
        return self._queue.events

    @property
    def size_bytes(self) -> int:
        """Payload bytes of these events."""
        return self.ledger().bytes

    @property
    def dropped(self) -> dict[str, int]:
        """Events given up, by reason."""
        return dict(self.ledger().dropped)

    @property
    def max_events(self) -> int:
        """Most events it keeps."""
        return self._queue.max_events

    @property
    def max_bytes(self) -> int:
        """Most payload bytes it keeps."""
        return self._queue.max_bytes

    @property
    def durable(self) -> bool:
        """Whether it was given a place on disk."""
        return self._store is not None

    @property
    def degraded(self) -> str | None:
        """Why it lives in memory although it was given a disk; None while all is well."""
        return self._degraded

    @property
    def thread(self) -> threading.Thread | None:
        """Its own thread; None without a disk."""
        return self._thread

    def ledger(self) -> Balance:
        """The books at this moment."""
        with self._lock:
            return self._queue.balance()

    # -- life --------------------------------------------------------------------------------

    def open(self) -> None:
        """Take over what an earlier run left, and start writing.

        Raises:
            ConfigError: Another process uses the directory.
        """
        if self._store is None or self._thread is not None:
            return
        try:
            self._open_store(self._store)
        except OutboxError as exc:
            self._degrade(exc)
        self._thread = threading.Thread(target=self._run, args=(self._store,), name=_NAME, daemon=True)
        self._thread.start()

    def flush(self, timeout_s: float) -> int:
        """Wait until every event is acknowledged or on disk; returns how many are neither."""
        deadline = time.monotonic() + timeout_s
        with self._settled:
            self._urgent, self._retry_at = True, 0.0
            self._wakeup.set()
            while self._unsafe and (left := deadline - time.monotonic()) > 0:
                self._settled.wait(left)
            self._urgent = False
            return self._unsafe

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until everything is acknowledged; True if it is."""
        deadline = time.monotonic() + timeout_s
        with self._settled:
            while self._queue.events and (left := deadline - time.monotonic()) > 0:
                self._settled.wait(left)
            return not self._queue.events

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write everything and end the thread; True if it ended in time. More than once is fine."""
        self._closing = True
        self._wakeup.set()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- the publishing thread ---------------------------------------------------------------

    def append(self, message: Message) -> None:
        """Take an event; if there is no room the oldest ones give way."""
        item = Item(
            camera=message.camera,
            schema=message.schema,
            boot_id=message.boot_id,
            seq=message.seq,
            size=len(message.payload),
            payload=message.payload,
            made_ns=time.monotonic_ns(),
        )
        with self._lock:
            self._unsafe += 1
            self._resident += 1
            if self._store is not None:
                self._fresh.append(item)
            lost = self._queue.add(item)
            self._forget([dropped for dropped, _ in lost])
        self._tell(lost)
        self._on_ready()

    def refuse(self, reason: str) -> None:
        """Account for an event that could not be encoded."""
        with self._lock:
            self._queue.refuse(reason)
        self._observer.tally("outbox_dropped", reason)

    # -- the MQTT thread ---------------------------------------------------------------------

    def take(self, limit: int) -> list[Item]:
        """Up to ``limit`` next events; each is in flight until it is acknowledged, rejected or given back."""
        with self._lock:
            items = self._queue.take(limit)
            hungry = self._rows > 0 and not self._loading and bool(self._queue.missing(PREFETCH_EVENTS))
            self._loading = self._loading or hungry
        if hungry:
            self._wakeup.set()
        return items

    def acknowledge(self, items: Sequence[Item]) -> None:
        """The broker has taken these over."""
        with self._lock:
            self._forget([item for item in items if self._queue.acknowledge(item)])

    def reject(self, item: Item, reason: str) -> None:
        """The broker will never take this one."""
        with self._lock:
            known = self._queue.drop(item, reason)
            if known:
                self._forget([item])
        if known:
            self._observer.tally("outbox_dropped", reason)

    def give_back(self) -> int:
        """The connection is lost: what is in flight waits again; returns how many."""
        with self._lock:
            return self._queue.give_back()

    # -- bookkeeping, under the lock -----------------------------------------------------------

    def _forget(self, items: Sequence[Item]) -> None:
        for item in items:
            if item.payload is not None:
                self._resident -= 1
                item.payload = None
            if item.row:
                self._deletes.append(item.row)
            else:
                self._unsafe -= 1
        if items:
            self._settled.notify_all()

    def _tell(self, lost: Sequence[tuple[Item, str]]) -> None:
        for _, reason in lost:
            self._observer.tally("outbox_dropped", reason)

    # -- the outbox's thread -------------------------------------------------------------------

    def _run(self, store: Store) -> None:
        closing = False
        while not closing:
            self._wakeup.wait(TICK_S)
            self._wakeup.clear()
            closing = self._closing
            if closing:
                self._urgent, self._retry_at = True, 0.0
            self._cycle(store)
        store.close()

    def _cycle(self, store: Store) -> None:
        if time.monotonic() < self._retry_at:
            return
        try:
            self._work(store)
        except OutboxCorruptError as exc:
            self._corrupt(store, exc)
        except (OutboxError, ConfigError) as exc:
            self._relieve(store)
            self._degrade(exc)
        except Exception as exc:  # the thread must live on: without it nothing reaches the disk
            _LOG.exception("outbox: internal error")
            self._degrade(OutboxError(f"internal error: {type(exc).__name__}"))
        else:
            self._recovered()

    def _work(self, store: Store) -> None:
        if not store.is_open:
            self._open_store(store)
        if store.vanished():
            self._start_over(store, "was deleted")
        while self._spill(store):
            pass
        self._load(store)

    def _spill(self, store: Store) -> bool:
        """Write what is old enough and delete what is done; True if there may be more."""
        batch, gone = self._collect()
        if not batch and not gone:
            return False
        new = []
        for item, payload in batch:
            new.append(self._row_of(item, payload))
        try:
            store.write(new, gone)
        except BaseException:
            with self._lock:
                self._fresh.extendleft(item for item, _ in reversed(batch))
                self._deletes[:0] = gone
            raise
        with self._lock:
            self._rows += len(new) - len(gone)
            for row, (item, _) in zip(new, batch, strict=True):
                self._mark_stored(item, row.row)
            self._settled.notify_all()
        if self._rows == 0 and gone:
            store.shrink()
        return len(batch) == SPILL_BATCH_EVENTS

    def _collect(self) -> tuple[list[tuple[Item, bytes]], list[int]]:
        batch: list[tuple[Item, bytes]] = []
        with self._lock:
            limit_ns = time.monotonic_ns() - (0 if self._urgent else self._spill_after_ns)
            while self._fresh and self._fresh[0].made_ns <= limit_ns and len(batch) < SPILL_BATCH_EVENTS:
                item = self._fresh.popleft()
                if not item.gone and item.payload is not None:
                    batch.append((item, item.payload))
            gone, self._deletes = self._deletes, []
        return batch, gone

    def _row_of(self, item: Item, payload: bytes) -> NewRow:
        row, self._next_row = self._next_row, self._next_row + 1
        item.crc = zlib.crc32(payload)
        return NewRow(row, item.camera, item.schema, item.boot_id, item.seq, item.crc, payload)

    def _mark_stored(self, item: Item, row: int) -> None:
        if item.gone:  # answered while it was being written
            self._deletes.append(row)
            return
        item.row = row
        self._unsafe -= 1
        if self._resident > RESIDENT_EVENTS and not self._queue.is_in_flight(item):
            item.payload = None
            self._resident -= 1

    def _load(self, store: Store) -> None:
        with self._lock:
            wanted = self._queue.missing(PREFETCH_EVENTS)
            self._loading = False
        if not wanted:
            return
        found = store.load([item.row for item in wanted])
        damaged = [item for item in wanted if zlib.crc32(found.get(item.row, b"")) != item.crc or item.row not in found]
        with self._lock:
            bad = {id(item) for item in damaged}
            for item in wanted:
                if id(item) not in bad and not item.gone and item.payload is None:
                    item.payload = found[item.row]
                    self._resident += 1
            lost = [(item, "corrupt") for item in damaged if self._queue.drop(item, "corrupt")]
            self._forget([item for item, _ in lost])
        self._tell(lost)
        self._on_ready()

    def _open_store(self, store: Store) -> None:
        try:
            heads = store.open()
        except OutboxCorruptError as exc:
            self._set_aside(store, exc)
            heads = store.open()
        self._adopt(heads)

    def _adopt(self, heads: list[StoredHead]) -> None:
        items = [_stored_item(head) for head in heads]
        with self._lock:
            self._rows = len(heads)
            self._next_row = max((head.row for head in heads), default=0) + 1
            lost = self._queue.recover(items)
            self._forget([item for item, _ in lost])
        self._tell(lost)
        if items:
            _LOG.info("outbox: %d events of an earlier run wait to be sent", len(items))
            self._wakeup.set()

    # -- when the disk fails -------------------------------------------------------------------

    def _degrade(self, exc: Exception) -> None:
        if self._degraded is None:
            _LOG.warning("outbox: %s; events are kept in memory until the disk works again", exc)
        self._degraded = str(exc)
        self._retry_at = time.monotonic() + self._retry_s

    def _recovered(self) -> None:
        if self._degraded is not None:
            _LOG.info("outbox: the disk works again")
            self._degraded = None

    def _relieve(self, store: Store) -> None:
        """A full disk can refuse even deletions: when no stored event is needed any more, remove the file."""
        with self._lock:
            needed = self._rows - len(self._deletes)
        if store.is_open and self._rows and needed == 0:
            try:
                store.remove()
            except OutboxError:
                return
            with self._lock:
                self._deletes.clear()
                self._rows = 0

    def _corrupt(self, store: Store, exc: OutboxCorruptError) -> None:
        try:
            self._set_aside(store, exc)
            self._start_over(store, "was damaged")
        except (OutboxError, ConfigError) as again:
            self._degrade(again)

    def _set_aside(self, store: Store, exc: OutboxCorruptError) -> None:
        target = store.set_aside()
        _LOG.error("outbox: %s; set aside as %s, a new one is begun", exc, target.name)
        self._observer.tally("outbox_corrupt_files")

    def _start_over(self, store: Store, why: str) -> None:
        """The file is lost: what is in memory is written to a new one, what was only in the file is dropped."""
        _LOG.error("outbox: the file %s; a new one is begun", why)
        store.close()
        with self._lock:
            items = self._queue.waiting()
            lost = [(item, "corrupt") for item in items if item.payload is None and self._queue.drop(item, "corrupt")]
            for item in items:
                if not item.gone and item.row:
                    item.row = 0
                    self._unsafe += 1
            for item, _ in lost:
                item.row = 0
                self._unsafe += 1
            self._forget([item for item, _ in lost])
            self._fresh = deque(item for item in items if not item.gone)
            self._deletes.clear()
            self._rows = 0
        self._tell(lost)
        self._open_store(store)


def _stored_item(head: StoredHead) -> Item:
    item = Item(camera=head.camera, schema=head.schema, boot_id=head.boot_id, seq=head.seq, size=head.size, payload=None)
    item.row, item.crc = head.row, head.crc
    return item
