"""A writer of the outbox with its state, a reader and a store on a disk that fails as the test says."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ferstream.errors import OutboxError
from ferstream.events.schemas import FACE
from ferstream.outbox.entry import Delivery, Dropped, Entry, OutboxCounts
from ferstream.outbox.reader import OutboxReader
from ferstream.outbox.rows import Row
from ferstream.outbox.state import OutboxState
from ferstream.outbox.store import Store
from ferstream.outbox.timings import OutboxTimings
from ferstream.outbox.writer import OutboxWriter
from tests.support.brokers import until


class FailingStore(Store):
    """A real store whose writes raise what the test says, or wait for it.

    Attributes:
        errors: Raised by the next writes, one each.
        broken: Raised by every write.
        full: Raised by every write of an event; deletions go through.
        thaw: Writes wait until it is set.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.errors: list[BaseException] = []
        self.broken: OutboxError | None = None
        self.full: OutboxError | None = None
        self.failed, self.thaw = threading.Event(), threading.Event()
        self.thaw.set()

    def add(self, new: Sequence[Row]) -> None:
        """Fail if the script says so."""
        self._play(self.full)
        super().add(new)

    def delete(self, gone: Sequence[int]) -> None:
        """Fail if the script says so."""
        self._play(None)
        super().delete(gone)

    def _play(self, full: OutboxError | None) -> None:
        self.thaw.wait(10)
        error = self.errors.pop(0) if self.errors else self.broken or full
        if error is not None:
            self.failed.set()
            raise error


class WriterBench:
    """A writer with its state, a reader and a store."""

    def __init__(self, directory: Path, *, memory: Mapping[str, int] = MappingProxyType({}), **timings: float) -> None:
        self.state = OutboxState(max_events=1000, max_bytes=100_000, durable=True, **memory)
        self.store = FailingStore(directory)
        self.dropped: Dropped = []
        self.corrupt_files = 0
        self.reader = OutboxReader(
            name="mqtt",
            schemas=(FACE,),
            state=self.state,
            on_ready=lambda: None,
            on_dropped=lambda reason: None,
            wake_writer=lambda: self.writer.wake(),
        )
        self.writer = OutboxWriter(
            state=self.state,
            store=self.store,
            timings=OutboxTimings(**{"spill_after_s": 0.0, "lagging_after_s": 0.0, "retry_s": 0.01} | timings),
            on_dropped=self.dropped.extend,
            on_read=lambda: None,
            on_corrupt_file=self._count,
        )

    def _count(self) -> None:
        self.corrupt_files += 1

    def counts(self) -> OutboxCounts:
        return self.reader.counts()

    def add(self, count: int, first: int = 0) -> None:
        for seq in range(first, first + count):
            payload = f"{seq}".encode()
            self.state.append(Entry(camera="door", schema=FACE, boot_id="b", seq=seq, size=len(payload), payload=payload), self.reader.bit)

    def add_stored(self, count: int) -> None:
        """Add events and wait until they are on disk."""
        self.add(count)
        until(self.all_safe)

    def all_safe(self) -> bool:
        return self.state.wait_safe(0) == 0

    def take(self, count: int) -> list[Delivery]:
        """Take so many, waiting until they were read back."""
        taken: list[Delivery] = []

        def step() -> bool:
            taken.extend(self.reader.take(count - len(taken)))
            return len(taken) >= count

        until(step)
        return taken

    def stored(self) -> list[int]:
        """Close the writer; numbers on disk."""
        assert self.writer.close(10)
        seqs = [head.seq for head in self.store.open()]
        self.store.close()
        return seqs
