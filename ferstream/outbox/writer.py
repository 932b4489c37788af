"""The outbox's own thread: writes what waits too long, deletes what is done, reads back what is next.

A failing disk never stops the stream: everything stays in memory, ``degraded`` says why, and
the thread tries again every ``retry_s`` until it works. What can still be read is read back meanwhile.
A disk that hangs is told too: ``degraded`` looks at when the present call began.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from ferstream.errors import ConfigError, OutboxCorruptError, OutboxError
from ferstream.outbox.fair_queue import Item
from ferstream.outbox.row_checks import damaged
from ferstream.outbox.state import Custody, Lost, checksum
from ferstream.outbox.store import NewRow, Store, StoredHead

TICK_S = 0.1
BATCH_EVENTS = 5000
SLOW_S = 5.0
"""A call to the disk that takes longer is told as a fault."""
_NAME = "outbox"

_LOG = logging.getLogger(__name__)


class Spool:
    """Moves events between a ``Custody`` and a ``Store``."""

    def __init__(
        self,
        *,
        custody: Custody,
        store: Store,
        spill_after_s: float,
        retry_s: float,
        on_lost: Callable[[Lost], None],
        on_ready: Callable[[], None],
        on_corrupt_file: Callable[[], None],
        unwanted: Callable[[Item], str | None] = damaged,
    ) -> None:
        """``on_ready`` is called when payloads were read back, ``on_lost`` with events that were dropped.

        ``unwanted`` says why an event found in the file is dropped, None if it is not.
        """
        self._custody, self._store = custody, store
        self._spill_after_ns, self._retry_s = int(spill_after_s * 1e9), retry_s
        self._on_lost, self._on_ready, self._on_corrupt_file, self._unwanted = on_lost, on_ready, on_corrupt_file, unwanted
        self._wakeup = threading.Event()
        self._urgent = self._closing = False
        self._retry_at = 0.0
        self._next_row = 1
        self._degraded: str | None = None
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)

    @property
    def degraded(self) -> str | None:
        """Why the disk is not used; None while all is well."""
        since = self._busy_since
        busy_s = 0.0 if since is None else time.monotonic() - since
        return self._degraded if busy_s < SLOW_S else f"{self._store.path}: the disk has not answered for {busy_s:.0f} s"

    @property
    def thread(self) -> threading.Thread:
        """The thread."""
        return self._thread

    def start(self) -> None:
        """Open the file, take over what it holds, start the thread.

        Raises:
            ConfigError: Another process uses the file.
        """
        try:
            self._open()
        except OutboxError as exc:
            self._degrade(exc)
        self._thread.start()

    def wake(self) -> None:
        """Look for work now."""
        self._wakeup.set()

    def hurry(self, urgent: bool) -> None:
        """While urgent, events are written whatever their age, and a failing disk is tried at once."""
        self._urgent = urgent
        if urgent:
            self._retry_at = 0.0
            self._wakeup.set()

    def close(self, timeout_s: float) -> bool:
        """Write everything and end the thread; True if it ended in time. More than once is fine."""
        self._closing = True
        self._wakeup.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        closing = False
        while not closing:
            woken = self._wakeup.wait(TICK_S)
            self._wakeup.clear()
            closing = self._closing
            if closing:
                self._urgent, self._retry_at = True, 0.0
            due = time.monotonic() >= self._retry_at
            if due or woken:
                self._turn(writing=due)
        self._store.close()

    def _turn(self, *, writing: bool) -> None:
        """Do what there is to do; not ``writing``: the disk refused lately, but may be readable."""
        self._busy_since = time.monotonic()
        try:
            self._work() if writing else self._read_back()
        except OutboxCorruptError as exc:
            self._replace(exc)
        except (OutboxError, ConfigError) as exc:
            if writing:
                self._make_room()
                self._degrade(exc)
        except Exception as exc:  # the thread must live on: without it nothing reaches the disk
            _LOG.exception("outbox: internal error")
            if writing:
                self._degrade(OutboxError(f"internal error: {type(exc).__name__}"))
        else:
            if writing:
                self._recovered()
        finally:
            self._busy_since = None

    def _work(self) -> None:
        if not self._store.is_open:
            self._open()
        if self._store.vanished():
            self._begin_anew("was deleted")
        try:
            self._delete()
            while self._write():
                self._busy_since = time.monotonic()
        finally:  # a disk that is full or read-only can be read
            self._read_back()

    def _delete(self) -> None:
        """Delete what is done, apart from what is written: a full disk may take the one and not the other."""
        settled = self._custody.settled()
        if settled:
            self._store.delete(settled)
            self._custody.deleted(len(settled))
            if self._custody.rows == 0:
                self._store.shrink()

    def _write(self) -> bool:
        """Write one batch; True if there may be more."""
        older_than_ns = time.monotonic_ns() - (0 if self._urgent else self._spill_after_ns)
        batch = self._custody.collect(older_than_ns=older_than_ns, limit=BATCH_EVENTS)
        if not batch:
            return False
        rows = [_new_row(item, payload, row) for row, (item, payload) in enumerate(batch, self._next_row)]
        try:
            self._store.add(rows)
        except BaseException:
            self._custody.uncollect(batch)
            raise
        self._custody.stored([item for item, _ in batch], self._next_row)
        self._next_row += len(rows)
        return len(batch) == BATCH_EVENTS

    def _read_back(self) -> None:
        items = self._custody.wanted()
        if items:
            self._on_lost(self._custody.loaded(items, self._store.load([item.row for item in items])))
            self._on_ready()

    def _open(self) -> None:
        try:
            heads = self._store.open()
        except OutboxCorruptError as exc:
            self._set_aside(exc)
            heads = self._store.open()
        self._next_row = max((head.row for head in heads), default=0) + 1
        lost = self._custody.adopt([_item(head) for head in heads], self._unwanted)
        self._on_lost(lost)
        if lost:
            _LOG.warning("outbox: %d events of an earlier run are dropped: %s", len(lost), _by_reason(lost))
        if heads:
            _LOG.info("outbox: the file held %d events of an earlier run", len(heads))
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

    def _make_room(self) -> None:
        """A full disk can refuse even deletions: when no row is needed any more, delete the file."""
        if self._store.is_open and self._custody.rows and not self._custody.rows_needed:
            try:
                self._store.remove()
            except OutboxError:
                return
            self._custody.forget_file()

    def _replace(self, exc: OutboxCorruptError) -> None:
        try:
            self._set_aside(exc)
            self._begin_anew("was damaged")
        except (OutboxError, ConfigError) as again:
            self._degrade(again)

    def _set_aside(self, exc: OutboxCorruptError) -> None:
        target = self._store.set_aside()
        _LOG.error("outbox: %s; set aside as %s", exc, target.name)
        self._on_corrupt_file()

    def _begin_anew(self, why: str) -> None:
        _LOG.error("outbox: the file %s; a new one is begun", why)
        self._store.close()
        self._on_lost(self._custody.forget_file())
        self._open()


def _by_reason(lost: Lost) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in Counter(reason for _, reason in lost).items())


def _new_row(item: Item, payload: bytes, row: int) -> NewRow:
    item.crc = checksum(item, payload)
    return NewRow(row, item.camera, item.schema, item.boot_id, item.seq, item.crc, payload)


def _item(head: StoredHead) -> Item:
    item = Item(camera=head.camera, schema=head.schema, boot_id=head.boot_id, seq=head.seq, size=head.size, payload=None)
    item.row, item.crc = head.row, head.crc
    return item
