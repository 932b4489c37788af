"""Events on their way to the broker: in memory while it answers, on disk when it does not.

While the broker acknowledges within half a second the disk is not touched: no wear of a flash
card, no CPU. Older events are written by the outbox's own thread, a batch per transaction, so
that a killed process loses less than a second of them; ``flush`` and ``close`` write at once.
Acknowledged rows are deleted in batches. What waits long leaves memory and is read back shortly
before it is sent.

Parts: ``lanes.py`` is the order and the books, ``custody.py`` where each event is (and the lock),
``spool.py`` the thread, ``store.py`` the file. ``append`` is called by the publishing thread, ``take``,
``acknowledge``, ``reject`` and ``give_back`` by the MQTT thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ferstream.events.encode import Message
from ferstream.outbox.fair_queue import Balance, Item
from ferstream.outbox.row_checks import damaged, damaged_or_of_one_face
from ferstream.outbox.state import Custody, Lost
from ferstream.outbox.store import Store
from ferstream.outbox.writer import Spool
from ferstream.runtime.observer import Observer

SPILL_AFTER_S = 0.5
"""Age at which an unacknowledged event goes to disk; with the spool's tick and a commit it stays below one second."""
RETRY_S = 2.0
"""Time between attempts on a failing disk."""


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
        per_face: bool = True,
    ) -> None:
        """``directory`` None keeps everything in memory; ``on_ready`` is called when ``take`` has something new.

        Not ``per_face``: events about single faces that an earlier run left are dropped, with the reason ``privacy``.
        """
        self._observer, self._on_ready = observer, on_ready
        self._custody = Custody(max_events=max_events, max_bytes=max_bytes, durable=directory is not None)
        self._spool: Spool | None = None
        if directory is not None:
            self._spool = Spool(
                custody=self._custody,
                store=Store(directory),
                spill_after_s=spill_after_s,
                retry_s=retry_s,
                on_lost=self._count,
                on_ready=on_ready,
                on_corrupt_file=lambda: observer.count("outbox_corrupt_files"),
                unwanted=damaged if per_face else damaged_or_of_one_face,
            )
        self._opened = False

    # -- what others read --------------------------------------------------------------------

    @property
    def events(self) -> int:
        """Events in the outbox, in flight included."""
        return self._custody.events

    @property
    def size_bytes(self) -> int:
        """Payload bytes of these events."""
        return self.counts().bytes

    @property
    def dropped(self) -> dict[str, int]:
        """Events given up, by reason."""
        return dict(self.counts().dropped)

    @property
    def max_events(self) -> int:
        """Most events it keeps."""
        return self._custody.limits[0]

    @property
    def max_bytes(self) -> int:
        """Most payload bytes it keeps."""
        return self._custody.limits[1]

    @property
    def durable(self) -> bool:
        """Whether it was given a place on disk."""
        return self._spool is not None

    @property
    def degraded(self) -> str | None:
        """Why it lives in memory although it was given a disk, or that the disk hangs; None while all is well."""
        return self._spool.degraded if self._spool is not None else None

    @property
    def thread(self) -> threading.Thread | None:
        """Its own thread; None without a disk."""
        return self._spool.thread if self._spool is not None else None

    def counts(self) -> Balance:
        """The books at this moment."""
        return self._custody.balance()

    # -- life --------------------------------------------------------------------------------

    def open(self) -> None:
        """Take over what an earlier run left, and start writing.

        Raises:
            ConfigError: Another process uses the directory.
        """
        if self._spool is not None and not self._opened:
            self._spool.start()
        self._opened = True

    def flush(self, timeout_s: float) -> int:
        """Wait until every event is acknowledged or on disk; returns how many are neither."""
        deadline = time.monotonic() + timeout_s
        if self._spool is None:
            return self._custody.wait_safe(timeout_s)
        self._spool.hurry(True)
        left = self._custody.wait_safe(max(0.0, deadline - time.monotonic()))
        self._spool.hurry(False)
        return left

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until everything is acknowledged; True if it is."""
        return self._custody.wait_empty(timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write everything and end the thread; True if it ended in time. More than once is fine."""
        return self._spool is None or self._spool.close(timeout_s)

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
        )
        self._count(self._custody.append(item))
        self._on_ready()

    def refuse(self, reason: str) -> None:
        """Account for an event that could not be encoded."""
        self._custody.refuse(reason)
        self._observer.count("outbox_dropped", reason)

    # -- the MQTT thread ---------------------------------------------------------------------

    def take(self, limit: int) -> list[Item]:
        """Up to ``limit`` next events; each is in flight until it is acknowledged, rejected or given back."""
        items, hungry = self._custody.take(limit)
        if hungry and self._spool is not None:
            self._spool.wake()
        return items

    def acknowledge(self, items: Sequence[Item]) -> None:
        """The broker has taken these over."""
        self._custody.acknowledge(items)

    def reject(self, item: Item, reason: str) -> None:
        """The broker will never take this one."""
        if self._custody.reject(item, reason):
            self._observer.count("outbox_dropped", reason)

    def give_back(self) -> int:
        """The connection is lost: what is in flight waits again; returns how many."""
        return self._custody.give_back()

    def _count(self, lost: Lost) -> None:
        for _, reason in lost:
            self._observer.count("outbox_dropped", reason)
