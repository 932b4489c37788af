"""An outbox with one reader, so that a test can call both as one thing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ferstream.domain.message import Message
from ferstream.events.schemas import FACE, SCHEMAS
from ferstream.outbox.entry import Delivery, OutboxCounts
from ferstream.outbox.outbox import Outbox
from ferstream.outbox.reader import OutboxReader
from ferstream.outbox.store import FILE_NAME
from ferstream.outbox.timings import OutboxTimings
from ferstream.runtime.counters import Counters
from ferstream.runtime.observer import Observer

WAIT_S = 20.0
QUICK = OutboxTimings(spill_after_s=0.05, retry_s=0.05)


def message(seq: int, camera: str = "door", *, size: int = 40, boot_id: str = "boot", schema: str = FACE) -> Message:
    """A message of ``size`` payload bytes."""
    return Message(schema, camera, boot_id, seq, f"{seq}".encode().ljust(size, b"."))


def make_outbox(directory: Path | None = None, *, observer: Observer | None = None, **options: Any) -> Outbox:
    """An outbox without readers, quick and with the default limits."""
    limits: dict[str, Any] = {"max_events": 100_000, "max_bytes": 64 << 20, "timings": QUICK} | options
    return Outbox(directory=directory, observer=observer or Counters(), **limits)


class OneReader:
    """An outbox whose only reader is ``mqtt``, which wants everything."""

    def __init__(self, directory: Path | None = None, *, on_ready: Callable[[], None] = lambda: None, **options: Any) -> None:
        self.outbox = make_outbox(directory, **options)
        self.reader: OutboxReader = self.outbox.reader("mqtt", schemas=SCHEMAS, on_ready=on_ready)

    def open(self) -> None:
        self.outbox.open()

    def close(self) -> bool:
        return self.outbox.close()

    def flush(self, timeout_s: float) -> int:
        return self.outbox.flush(timeout_s)

    def wait_empty(self, timeout_s: float) -> bool:
        return self.outbox.wait_empty(timeout_s)

    def append(self, made: Message) -> None:
        self.outbox.append(made)

    def take(self, limit: int) -> list[Delivery]:
        return self.reader.take(limit)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self.reader.acknowledge(deliveries)

    def refuse(self, delivery: Delivery, reason: str) -> None:
        self.reader.refuse(delivery, reason)

    def give_back(self) -> int:
        return self.reader.give_back()

    def counts(self) -> OutboxCounts:
        return self.reader.counts()

    @property
    def dropped(self) -> dict[str, int]:
        return dict(self.counts().dropped)

    @property
    def events(self) -> int:
        return self.outbox.events

    @property
    def degraded(self) -> str | None:
        return self.outbox.degraded

    @property
    def thread(self) -> threading.Thread | None:
        return self.outbox.thread


class Ready:
    """Counts ``on_ready`` and lets a test wait for something."""

    def __init__(self) -> None:
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def until(self, done: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        """Look again whenever the outbox has something new, and a few times a second."""
        with self._changed:
            for _ in range(int(timeout_s * 500)):
                if done():
                    return
                self._changed.wait(0.002)
        raise AssertionError("it did not come about")


def drain(outbox: OneReader, ready: Ready, count: int) -> list[Delivery]:
    """Take and acknowledge ``count`` events."""
    got: list[Delivery] = []

    def step() -> bool:
        items = outbox.take(64)
        got.extend(items)
        outbox.acknowledge(items)
        return len(got) >= count

    ready.until(step)
    return got


def rows(directory: Path) -> list[int]:
    """Numbers of the events in the file, which must be closed."""
    with sqlite3.connect(directory / FILE_NAME) as db:
        found = [row[0] for row in db.execute("SELECT seq FROM events ORDER BY id")]
    db.close()
    return found
