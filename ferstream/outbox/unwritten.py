"""Events that are in memory only, oldest first.

Without threads, locks or files: ``OutboxState`` guards it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from ferstream.outbox.entry import Entry

Batch = list[tuple[Entry, bytes, int]]
"""Events to write: the entry, its payload, and its ``pending`` at that moment."""


class UnwrittenEvents:
    """The events that the writer has not stored yet; those that are gone meanwhile are skipped."""

    def __init__(self) -> None:
        """Start without events."""
        self._entries: deque[Entry] = deque()
        self._in_hand_ns: int | None = None

    def append(self, entry: Entry) -> None:
        """Add a new event."""
        self._entries.append(entry)

    def oldest_ns(self) -> int | None:
        """Return when the oldest event was made, in monotonic nanoseconds; None without one."""
        while self._entries and self._entries[0].is_gone:
            self._entries.popleft()
        return self._entries[0].made_ns if self._entries else None

    def unsaved_age_s(self) -> float:
        """Return the age of the oldest event that is not on disk, those that the writer is storing now included; 0 without one."""
        oldest_ns = self.oldest_ns() if self._in_hand_ns is None else self._in_hand_ns
        return 0.0 if oldest_ns is None else (time.monotonic_ns() - oldest_ns) / 1e9

    def take(self, *, made_before_ns: int, limit: int) -> Batch:
        """Take all events, up to a limit, if the oldest was made before then; ``put_back`` or ``stored`` follows."""
        batch: Batch = []
        oldest_ns = self.oldest_ns()
        if oldest_ns is None or oldest_ns > made_before_ns:
            return batch
        while self._entries and len(batch) < limit:
            entry = self._entries.popleft()
            if not entry.is_gone and entry.payload is not None:
                batch.append((entry, entry.payload, entry.pending))
        self._in_hand_ns = oldest_ns if batch else None
        return batch

    def stored(self) -> None:
        """Note that the events last taken are on disk."""
        self._in_hand_ns = None

    def put_back(self, batch: Batch) -> None:
        """Put events back that could not be written."""
        self._in_hand_ns = None
        self._entries.extendleft(entry for entry, _, _ in reversed(batch))

    def replace(self, entries: Iterable[Entry]) -> None:
        """Hold these events, oldest first, and no others."""
        self._entries = deque(entries)
