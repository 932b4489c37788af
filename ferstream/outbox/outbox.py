"""A bounded, durable queue of encoded events: in memory while the sinks keep up, on disk when one does not.

While every sink acknowledges within half a second the disk is not touched: no wear of a flash card, no CPU.
Then the outbox's own thread writes everything, a batch per transaction, so that a killed process loses
less than a second of events; ``flush`` and ``close`` write at once. Rows are deleted in batches. What waits
long leaves memory and is read back shortly before it is sent.

Parts: ``entry.py`` is an event and its delivery to one sink, ``fair_queue.py`` the order of one reader,
``state.py`` what the threads share (and the lock), ``unwritten.py`` what is in memory only, ``reader.py`` what a sink holds,
``writer.py`` the thread, ``store.py`` the file. The publishing thread calls ``append``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from ferstream.domain.message import Message
from ferstream.events.privacy import UNRESTRICTED, PrivacyRules
from ferstream.outbox.entry import Dropped, Entry
from ferstream.outbox.reader import OutboxReader
from ferstream.outbox.state import OutboxState
from ferstream.outbox.store import Store
from ferstream.outbox.timings import OutboxTimings
from ferstream.outbox.writer import OutboxWriter
from ferstream.runtime.observer import Observer


class Outbox:
    """Holds events until every sink that reads them is done, within limits."""

    def __init__(
        self,
        *,
        directory: Path | None,
        max_events: int,
        max_bytes: int,
        observer: Observer,
        privacy: PrivacyRules = UNRESTRICTED,
        timings: OutboxTimings | None = None,
    ) -> None:
        """Make an outbox without readers; nothing is opened yet.

        Args:
            directory: Folder of its file; None keeps everything in memory.
            max_events: Most events it holds; the oldest are dropped for new ones.
            max_bytes: Most payload bytes it holds.
            observer: Counts dropped events by reason and corrupt files.
            privacy: Events of an earlier process that may not be published under these rules are dropped for the reason ``privacy``.
            timings: When it writes and retries.

        Raises:
            ValueError: A limit is below 1.
        """
        self._observer = observer
        self._state = OutboxState(max_events=max_events, max_bytes=max_bytes, durable=directory is not None)
        self._readers: list[OutboxReader] = []
        self._writer: OutboxWriter | None = None
        if directory is not None:
            self._writer = OutboxWriter(
                state=self._state,
                store=Store(directory),
                timings=timings or OutboxTimings(),
                on_dropped=self._count_dropped,
                on_read=self._announce,
                on_corrupt_file=lambda: observer.count("outbox_corrupt_files"),
                privacy=privacy,
            )
        self._is_open = False

    # -- what others read ------------------------------------------------------------------------

    @property
    def events(self) -> int:
        """Events in the outbox, in flight included."""
        return self._state.events

    @property
    def size_bytes(self) -> int:
        """Payload bytes of these events."""
        return self._state.size_bytes

    @property
    def unsaved(self) -> int:
        """Events that are neither delivered nor on disk."""
        return self._state.wait_safe(0.0)

    @property
    def max_events(self) -> int:
        """Most events it holds."""
        return self._state.max_events

    @property
    def max_bytes(self) -> int:
        """Most payload bytes it holds."""
        return self._state.max_bytes

    @property
    def durable(self) -> bool:
        """Whether it was given a place on disk."""
        return self._writer is not None

    @property
    def degraded(self) -> str | None:
        """Why it keeps events in memory although it was given a disk, or that the disk hangs; None while all is well."""
        return self._writer.degraded if self._writer is not None else None

    @property
    def thread(self) -> threading.Thread | None:
        """Its own thread; None without a disk."""
        return self._writer.thread if self._writer is not None else None

    @property
    def readers(self) -> tuple[OutboxReader, ...]:
        """One reader per sink."""
        return tuple(self._readers)

    # -- life ------------------------------------------------------------------------------------

    def reader(self, name: str, *, schemas: Collection[str], on_ready: Callable[[], None]) -> OutboxReader:
        """Add a reader; before ``open``.

        Args:
            name: Name of the sink: an identifier, the same in every process.
            schemas: Schema ids of the events that the sink wants.
            on_ready: Called when the reader's ``take`` may have something new, by any thread.

        Raises:
            ValueError: The name is taken or is not an identifier, or the outbox is open.
        """
        if self._is_open:
            raise ValueError("readers are added before the outbox is opened")
        reader = OutboxReader(
            name=name,
            schemas=schemas,
            state=self._state,
            on_ready=on_ready,
            on_dropped=lambda reason: self._observer.count("outbox_dropped", reason),
            wake_writer=self._wake_writer,
        )
        self._readers.append(reader)
        return reader

    def open(self) -> None:
        """Take over what an earlier process left, and start to write; more than one call is allowed.

        A file that another process uses is waited for, some seconds; then events are kept in memory until it is free.
        """
        if self._writer is not None and not self._is_open:
            self._writer.start()
        self._is_open = True

    def flush(self, timeout_s: float) -> int:
        """Wait until every event is delivered or on disk; return how many are neither."""
        if self._writer is None:
            return self._state.wait_safe(timeout_s)
        deadline = time.monotonic() + timeout_s
        self._writer.hurry(True)
        left = self._state.wait_safe(max(0.0, deadline - time.monotonic()))
        self._writer.hurry(False)
        return left

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until every reader is done with every event; True if so."""
        return self._state.wait_empty(timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write everything and end the thread; True if it ended in time. More than one call is allowed."""
        return self._writer is None or self._writer.close(timeout_s)

    # -- the publishing thread -------------------------------------------------------------------

    def append(self, message: Message) -> None:
        """Take an event for the readers that want its schema; if there is no room the oldest events are dropped."""
        readers = [reader for reader in self._readers if message.schema in reader.schemas]
        if not readers:
            return
        entry = Entry(
            camera=message.camera,
            schema=message.schema,
            boot_id=message.boot_id,
            seq=message.seq,
            size=len(message.payload),
            payload=message.payload,
        )
        self._count_dropped(self._state.append(entry, sum(reader.bit for reader in readers)))
        for reader in readers:
            reader.on_ready()
        if self._writer is not None:
            self._writer.wait_while_late()

    def count_dropped(self, reason: str) -> None:
        """Count an event that could not be encoded, for every reader."""
        for reader in self._readers:
            reader.count_dropped(reason)
            self._observer.count("outbox_dropped", reason)

    def _count_dropped(self, dropped: Dropped) -> None:
        for _, reason in dropped:
            self._observer.count("outbox_dropped", reason)

    def _announce(self) -> None:
        for reader in self._readers:
            reader.on_ready()

    def _wake_writer(self) -> None:
        if self._writer is not None:
            self._writer.wake()
