"""A real outbox whose reader belongs to the sink under test, and a way to put events into it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from ferstream.domain.message import Message
from ferstream.events.schemas import TRACK
from ferstream.outbox.outbox import Outbox
from ferstream.outbox.reader import OutboxReader
from ferstream.outbox.timings import OutboxTimings
from ferstream.runtime.counters import Counters

CAPTURED_AT = "2026-11-21T20:31:35.125Z"


class FedOutbox(Outbox):
    """An outbox in memory, unless it is given a folder; numbers the events that a test puts into it."""

    def __init__(self, directory: Path | None = None, *, boot_id: str = "boot", **options: Any) -> None:
        limits: dict[str, Any] = {"max_events": 100_000, "max_bytes": 64 << 20, "timings": OutboxTimings(spill_after_s=0.05)}
        super().__init__(directory=directory, observer=Counters(), **(limits | options))
        self._boot_id = boot_id
        self._seqs: Counter[tuple[str, str]] = Counter()
        self.made: OutboxReader
        self._early: list[Message] = []

    def reader(self, name: str, *, schemas: Collection[str], on_ready: Callable[[], None]) -> OutboxReader:
        """Add the reader, remember it as ``made``, and give it what was put before."""
        self.made = super().reader(name, schemas=schemas, on_ready=on_ready)
        for message in self._early:
            self.append(message)
        return self.made

    def put(self, camera: str = "door", *, schema: str = TRACK, payload: bytes | None = None) -> Message:
        """Append the next event of a camera."""
        seq = self._seqs[camera, schema]
        self._seqs[camera, schema] += 1
        message = Message(schema, camera, self._boot_id, seq, event_json(camera, schema, seq) if payload is None else payload)
        if self.readers:
            self.append(message)
        else:
            self._early.append(message)
        return message

    def put_many(self, count: int, cameras: Sequence[str] = ("door",)) -> None:
        """Append events of these cameras in turn."""
        for index in range(count):
            self.put(cameras[index % len(cameras)])


def event_json(camera: str, schema: str, seq: int, node: str = "edge-1") -> bytes:
    """An event as short as the sinks may know it."""
    head = {"schema": schema, "node": node, "camera": camera, "boot_id": "boot", "seq": seq, "captured_at": CAPTURED_AT, "text": "é"}
    return json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
