"""The outbox's own thread: writes events that wait too long, deletes rows that are done, reads back what is next.

A failing disk, or a file that another process uses, never stops the stream: everything stays in memory, ``degraded`` says
why, and the thread tries again every ``retry_s`` until the file can be used. What can be read is taken over and read back
meanwhile. A disk that hangs is reported too: ``degraded`` looks at when the present call began.

The age of the oldest event that is not on disk decides when everything is written. The first events of an outage wait
``spill_after_s``, in case the sinks still take them; while the file holds events that a sink has not taken, new ones wait
``lagging_after_s`` only, because they will not be taken soon.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from ferstream.errors import OutboxBusyError, OutboxCorruptError, OutboxError
from ferstream.events.privacy import UNRESTRICTED, PrivacyRules
from ferstream.outbox.entry import Dropped, Entry, checksum
from ferstream.outbox.row_checks import unwanted
from ferstream.outbox.rows import Row, StoredHead
from ferstream.outbox.state import OutboxState
from ferstream.outbox.store import Store
from ferstream.outbox.timings import OutboxTimings
from ferstream.outbox.unwritten import Batch

BATCH_EVENTS = 5000
LOOK_S = 1.0
"""Seconds between two looks whether the file is still there."""
_NAME = "outbox"
_SHORTEST_PAUSE_S = 0.005

_LOG = logging.getLogger(__name__)


class OutboxWriter:
    """Moves events between the ``OutboxState`` and the ``Store``."""

    def __init__(
        self,
        *,
        state: OutboxState,
        store: Store,
        timings: OutboxTimings,
        on_dropped: Callable[[Dropped], None],
        on_read: Callable[[], None],
        on_corrupt_file: Callable[[], None],
        privacy: PrivacyRules = UNRESTRICTED,
    ) -> None:
        """Make the thread; ``start`` opens the file.

        Args:
            state: The events.
            store: The file, not open yet; from ``start`` on only the thread uses it.
            timings: When it writes and retries.
            on_dropped: Called with events that were dropped.
            on_read: Called when payloads were read back.
            on_corrupt_file: Called when a damaged file was set aside.
            privacy: Which events found in the file may be sent.
        """
        self._state, self._store, self._timings = state, store, timings
        self._on_dropped, self._on_read, self._on_corrupt_file = on_dropped, on_read, on_corrupt_file
        self._privacy = privacy
        self._wakeup = threading.Event()
        self._urgent = self._closing = False
        self._retry_at = self._look_at = 0.0
        self._next_row = 1
        self._degraded: str | None = None
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)

    @property
    def degraded(self) -> str | None:
        """Why the disk is not used; None while all is well."""
        since = self._busy_since
        busy_s = 0.0 if since is None else time.monotonic() - since
        if busy_s < self._timings.slow_s:
            return self._degraded
        return f"{self._store.path}: the disk has not answered for {busy_s:.0f} s"

    @property
    def thread(self) -> threading.Thread:
        """The writer's thread."""
        return self._thread

    def start(self) -> None:
        """Open the file, take over what it holds, start the thread; a file that cannot be used is tried again by the thread."""
        try:
            self._open_first()
        except OutboxError as exc:
            self._degrade(exc)
        self._thread.start()

    def _open_first(self) -> None:
        """Open the file; wait a while if another process uses it, such as a backup or a ferstream that ends."""
        deadline, waited = time.monotonic() + self._timings.lock_wait_s, False
        while True:
            try:
                self._open()
            except OutboxBusyError as exc:
                if time.monotonic() >= deadline:
                    raise
                if not waited:
                    _LOG.warning("outbox: %s; waiting for it for up to %g s", exc, self._timings.lock_wait_s)
                waited = True
                self._wakeup.wait(self._timings.tick_s)
            else:
                return

    def wake(self) -> None:
        """Look for work at once."""
        self._wakeup.set()

    def wait_while_late(self) -> None:
        """Wait while events that should be on disk are not; the publishing thread calls this after each event.

        On a starved machine events are so made no faster than they are stored, which bounds what a SIGKILL can lose. A disk
        that fails, or that has not answered for ``slow_s``, is not waited for.
        """
        late_s = self._max_age_s + self._timings.late_s
        while self.degraded is None and self._thread.is_alive() and not self._state.wait_saved(late_s, 0.0):
            self._wakeup.set()
            self._state.wait_saved(late_s, self._timings.tick_s)

    def hurry(self, urgent: bool) -> None:
        """While urgent, write events whatever their age, and try a failing disk without waiting."""
        self._urgent = urgent
        if urgent:
            self._retry_at = 0.0
            self._wakeup.set()

    def close(self, timeout_s: float) -> bool:
        """Write everything and end the thread; True if it ended in time. More than one call is allowed."""
        self._closing = True
        self._wakeup.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        closing = False
        while not closing:
            woken = self._wakeup.wait(self._pause_s())
            self._wakeup.clear()
            closing = self._closing
            if closing:
                self._urgent, self._retry_at = True, 0.0
            due = time.monotonic() >= self._retry_at
            if due or woken:
                self._work_once(writing=due)
        self._store.close()

    def _pause_s(self) -> float:
        """Return the seconds until the oldest event that is not on disk must be written, at most a tick."""
        oldest_ns = self._state.oldest_unwritten_ns()
        if oldest_ns is None or self._degraded is not None:
            return self._timings.tick_s
        left_s = self._max_age_s - (time.monotonic_ns() - oldest_ns) / 1e9
        return min(max(left_s, _SHORTEST_PAUSE_S), self._timings.tick_s)

    def _work_once(self, *, writing: bool) -> None:
        """Do what there is to do; without ``writing``, because the disk refused lately, only read."""
        self._busy_since = time.monotonic()
        try:
            self._work() if writing else self._read_back()
        except OutboxCorruptError as exc:
            self._replace_file(exc)
        except OutboxError as exc:
            if writing:
                self._make_room()
                self._degrade(exc)
        except Exception as exc:  # noqa: BLE001 (without this thread nothing reaches the disk; the fault is reported as degraded)
            _LOG.exception("outbox: internal error")
            if writing:
                self._degrade(OutboxError(f"internal error: {type(exc).__name__}"))
        else:
            if writing:
                self._disk_works()
        finally:
            self._busy_since = None

    def _work(self) -> None:
        try:
            if not self._store.is_writable:
                self._open()
            if self._vanished():
                self._start_new_file("was deleted")
            self._delete()
            # After the rows that may not be sent are gone, and before a row of this process is written.
            self._store.set_smallest_group(self._privacy.smallest_group)
            while self._write():
                self._busy_since = time.monotonic()
        finally:  # a disk that is full or read-only can be read
            self._read_back()

    def _vanished(self) -> bool:
        """Whether the file was deleted or replaced; looks once a second, and whenever everything must be safe."""
        now = time.monotonic()
        if not self._urgent and now < self._look_at:
            return False
        self._look_at = now + LOOK_S
        return self._store.vanished()

    def _delete(self) -> None:
        """Delete rows that are done, apart from writing: a full disk may accept the one and not the other."""
        rows, readers = self._state.to_delete(), self._state.to_update()
        if rows or readers:
            self._store.delete(rows)
            self._state.deleted(len(rows))
            self._store.set_readers({row: self._state.names(left) for row, left in readers.items()})
            self._state.updated(readers)
            if self._state.rows == 0:
                self._store.shrink()

    @property
    def _max_age_s(self) -> float:
        """Age in seconds of the oldest event at which everything is written."""
        if self._urgent:
            return 0.0
        return self._timings.lagging_after_s if self._state.rows_needed else self._timings.spill_after_s

    def _write(self) -> bool:
        """Write one batch; True if there may be more."""
        batch = self._state.to_write(made_before_ns=time.monotonic_ns() - int(self._max_age_s * 1e9), limit=BATCH_EVENTS)
        if not batch:
            return False
        rows = self._rows(batch)
        try:
            self._store.add(rows)
        except BaseException:
            self._state.not_written(batch)
            raise
        self._state.written(batch, self._next_row)
        self._next_row += len(rows)
        return len(batch) == BATCH_EVENTS

    def _rows(self, batch: Batch) -> list[Row]:
        rows = []
        for number, (entry, payload, readers) in enumerate(batch, self._next_row):
            entry.crc = checksum(entry, payload)
            head = (number, entry.camera, entry.schema, entry.boot_id, entry.seq, entry.crc)
            rows.append(Row(*head, payload, self._state.names(readers)))
        return rows

    def _read_back(self) -> None:
        if not self._store.is_open:
            return
        entries = self._state.to_read()
        if entries:
            self._on_dropped(self._state.read(entries, self._store.load([entry.row for entry in entries])))
            self._on_read()

    def _open(self) -> None:
        """Open the file and take over what it holds.

        Raises:
            OutboxError: It cannot be written; what it holds is taken over all the same, if it can be read.
        """
        try:
            heads = self._store.open()
        except OutboxBusyError:
            raise
        except OutboxCorruptError as exc:
            self._set_aside(exc)
            heads = self._store.open()
        except OutboxError:
            self._open_read_only()
            raise
        self._take_over(heads)

    def _open_read_only(self) -> None:
        if self._store.is_open:
            return
        try:
            heads = self._store.open_read_only()
        except OutboxError:
            return
        self._take_over(heads)

    def _take_over(self, heads: Sequence[StoredHead]) -> None:
        self._next_row = max((head.row for head in heads), default=0) + 1
        before = self._state.events
        check = partial(unwanted, privacy=self._privacy, stored_group=self._store.smallest_group)
        dropped = self._state.opened([self._entry(head) for head in heads], check)
        self._on_dropped(dropped)
        if dropped:
            _LOG.warning("outbox: %d events of an earlier run are dropped: %s", len(dropped), _by_reason(dropped))
        found = self._state.events - before
        if found > 0:
            _LOG.info("outbox: the file held %d events of an earlier run", found)
        if heads:
            self._wakeup.set()

    def _entry(self, head: StoredHead) -> Entry:
        entry = Entry(camera=head.camera, schema=head.schema, boot_id=head.boot_id, seq=head.seq, size=head.size, payload=None)
        entry.row, entry.crc, entry.pending = head.row, head.crc, self._state.readers(head.readers)
        return entry

    # -- when the disk fails ---------------------------------------------------------------------

    def _degrade(self, exc: Exception) -> None:
        if self._degraded is None:
            _LOG.warning("outbox: %s; events are kept in memory until the file can be used", exc)
        self._degraded = str(exc)
        self._retry_at = time.monotonic() + self._timings.retry_s

    def _disk_works(self) -> None:
        if self._degraded is not None:
            _LOG.info("outbox: the disk works again")
            self._degraded = None

    def _make_room(self) -> None:
        """Delete the file when no row in it is needed: a full disk can refuse even to delete rows."""
        if self._store.is_writable and self._state.rows and not self._state.rows_needed:
            try:
                self._store.remove()
            except OutboxError:
                return
            self._state.file_lost()

    def _replace_file(self, exc: OutboxCorruptError) -> None:
        try:
            self._set_aside(exc)
            self._start_new_file("was damaged")
        except OutboxError as again:
            self._degrade(again)

    def _set_aside(self, exc: OutboxCorruptError) -> None:
        target = self._store.set_aside()
        _LOG.error("outbox: %s; set aside as %s", exc, target.name)
        self._on_corrupt_file()

    def _start_new_file(self, why: str) -> None:
        _LOG.error("outbox: the file %s; a new one is started", why)
        self._store.close()
        self._on_dropped(self._state.file_lost())
        self._open()


def _by_reason(dropped: Dropped) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in Counter(reason for _, reason in dropped).items())
