"""What the outbox holds: an event once, and a delivery of it for each sink that reads it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass


class Entry:
    """One event in the outbox, shared by all its readers: about 200 bytes, plus its payload while that is in memory.

    Attributes:
        camera: Name of the camera.
        schema: Schema id.
        boot_id: The run of the daemon in which the event was made.
        seq: Number within (boot_id, camera, schema).
        size: Payload bytes.
        payload: Encoded event; None while it is only on disk.
        made_ns: Monotonic nanoseconds at which the event was handed over.
        order: Age in this process: smaller is older.
        row: Row in the store; 0 = not stored.
        crc: Checksum of the stored row.
        pending: Bit set of the readers that are not done with it, see ``OutboxState``; 0 = it leaves the outbox.
    """

    __slots__ = ("boot_id", "camera", "crc", "made_ns", "order", "payload", "pending", "row", "schema", "seq", "size")

    def __init__(self, *, camera: str, schema: str, boot_id: str, seq: int, size: int, payload: bytes | None) -> None:
        """Make an entry that no reader waits for yet."""
        self.camera, self.schema, self.boot_id, self.seq = camera, schema, boot_id, seq
        self.size, self.payload = size, payload
        self.made_ns = self.order = self.row = self.crc = self.pending = 0

    @property
    def is_gone(self) -> bool:
        """Whether every reader is done with it."""
        return not self.pending


class Delivery:
    """One event for one reader.

    Attributes:
        entry: The event.
        attempts: How often the other side refused it; for the sink's own use.
        sent: It was handed to a connection at least once.
        done: Acknowledged or dropped.
    """

    __slots__ = ("attempts", "done", "entry", "sent")

    def __init__(self, entry: Entry) -> None:
        """Make a delivery that was not sent yet."""
        self.entry = entry
        self.attempts = 0
        self.sent = self.done = False

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self.entry.camera

    @property
    def schema(self) -> str:
        """Schema id."""
        return self.entry.schema

    @property
    def boot_id(self) -> str:
        """The run of the daemon in which the event was made."""
        return self.entry.boot_id

    @property
    def seq(self) -> int:
        """Number within (boot_id, camera, schema)."""
        return self.entry.seq

    @property
    def size(self) -> int:
        """Payload bytes."""
        return self.entry.size

    @property
    def order(self) -> int:
        """Age in this process: smaller is older."""
        return self.entry.order

    @property
    def payload(self) -> bytes:
        """The event as JSON; it is in memory from ``take`` until the delivery is done."""
        return self.entry.payload or b""


Dropped = list[tuple[Entry, str]]
"""Events that a reader lost, each with the reason; an event that two readers lost stands there twice."""


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """Counters of one reader at one moment: offered, held, acknowledged, dropped by reason.

    Attributes:
        accepted: Events that this process offered to the reader.
        recovered: Events for it that were found on disk, left by earlier processes.
        acknowledged: Events that the other side took over.
        events: Events that wait or are in flight.
        bytes: Payload bytes of these.
        dropped: Events that were dropped, by reason.
        oldest_ns: Monotonic nanoseconds at which the oldest event was handed over, 0 if an earlier process did that; None without one.
    """

    accepted: int
    recovered: int
    acknowledged: int
    events: int
    bytes: int
    dropped: Mapping[str, int]
    oldest_ns: int | None = None

    @property
    def balanced(self) -> bool:
        """Whether every event is accounted for."""
        return self.accepted + self.recovered == self.acknowledged + self.events + sum(self.dropped.values())


def checksum(entry: Entry, payload: bytes) -> int:
    """CRC-32 over the head and the payload of a row."""
    head = f"{entry.camera}\0{entry.schema}\0{entry.boot_id}\0{entry.seq}\0"
    return zlib.crc32(payload, zlib.crc32(head.encode()))
