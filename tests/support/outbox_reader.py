"""An outbox in memory with one reader: what network sinks are tested with."""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ferstream.events.payload import TRACK

CAPTURED_AT = "2026-11-21T20:31:35.125Z"


@dataclass(slots=True, eq=False)
class FakeDelivery:
    camera: str
    schema: str
    boot_id: str
    seq: int
    payload: bytes
    order: int = 0
    attempts: int = 0
    sent: bool = False


@dataclass(frozen=True, slots=True)
class FakeCounts:
    accepted: int
    acknowledged: int
    events: int
    dropped: dict[str, int]

    @property
    def holds(self) -> bool:
        return self.accepted == self.acknowledged + self.events + sum(self.dropped.values())


@dataclass
class FakeReader:
    """Takes turns between cameras, keeps their order, and counts."""

    on_ready: Callable[[], None] = lambda: None
    name: str = ""
    schemas: Collection[str] = ()
    _lock: threading.Condition = field(default_factory=threading.Condition)
    _waiting: dict[str, deque[FakeDelivery]] = field(default_factory=dict)
    _flight: list[FakeDelivery] = field(default_factory=list)
    _accepted: int = 0
    _acknowledged: int = 0
    _dropped: Counter[str] = field(default_factory=Counter)

    def add(self, delivery: FakeDelivery) -> None:
        with self._lock:
            delivery.order = self._accepted
            self._accepted += 1
            self._waiting.setdefault(delivery.camera, deque()).append(delivery)
        self.on_ready()

    def take(self, limit: int) -> list[FakeDelivery]:
        taken: list[FakeDelivery] = []
        with self._lock:
            while len(taken) < limit and any(self._waiting.values()):
                for queue in self._waiting.values():
                    if queue and len(taken) < limit:
                        taken.append(queue.popleft())
            self._flight += taken
        return taken

    def acknowledge(self, deliveries: Iterable[object]) -> None:
        with self._lock:
            for delivery in deliveries:
                self._remove(delivery)
                self._acknowledged += 1

    def refuse(self, delivery: object, reason: str) -> None:
        with self._lock:
            self._remove(delivery)
            self._dropped[reason] += 1

    def _remove(self, delivery: object) -> None:
        assert isinstance(delivery, FakeDelivery)
        self._flight.remove(delivery)  # ValueError: it was not in flight
        self._lock.notify_all()

    def give_back(self) -> int:
        with self._lock:
            flight, self._flight = self._flight, []
            for camera, queue in self._waiting.items():
                mine = [delivery for delivery in flight if delivery.camera == camera]
                self._waiting[camera] = deque(sorted([*mine, *queue], key=lambda delivery: delivery.order))
            return len(flight)

    @property
    def in_flight(self) -> int:
        with self._lock:
            return len(self._flight)

    def wait_empty(self, timeout_s: float) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: not self._flight and not any(self._waiting.values()), timeout_s)

    def counts(self) -> FakeCounts:
        with self._lock:
            events = len(self._flight) + sum(map(len, self._waiting.values()))
            return FakeCounts(self._accepted, self._acknowledged, events, dict(self._dropped))


class FakeOutbox:
    """Makes one reader; ``put`` gives it an event if it reads its schema."""

    def __init__(self) -> None:
        self.made = FakeReader()
        self._seqs: Counter[tuple[str, str]] = Counter()

    def reader(self, name: str, *, schemas: Collection[str], on_ready: Callable[[], None]) -> FakeReader:
        self.made.name, self.made.schemas, self.made.on_ready = name, schemas, on_ready
        return self.made

    def put(self, camera: str = "door", *, schema: str = TRACK, payload: bytes | None = None) -> FakeDelivery | None:
        if self.made.schemas and schema not in self.made.schemas:
            return None
        seq = self._seqs[camera, schema]
        self._seqs[camera, schema] += 1
        delivery = FakeDelivery(camera, schema, "boot", seq, payload if payload is not None else event_json(camera, schema, seq))
        self.made.add(delivery)
        return delivery

    def put_many(self, count: int, cameras: Sequence[str] = ("door",)) -> None:
        for index in range(count):
            self.put(cameras[index % len(cameras)])


def event_json(camera: str, schema: str, seq: int, node: str = "edge-1") -> bytes:
    """An event as short as the sinks may know it."""
    head = {"schema": schema, "node": node, "camera": camera, "boot_id": "boot", "seq": seq, "captured_at": CAPTURED_AT, "text": "é"}
    return json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
