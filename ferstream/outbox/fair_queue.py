"""The outbox's order and books: which event goes next, which one goes first when there is no room.

Pure bookkeeping without threads, locks or files: ``outbox.py`` guards it. Each camera has a lane,
in order; lanes take turns, so that no camera's live events wait for another's backlog. At any
moment *made + recovered = acknowledged + waiting + in flight + dropped*.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass


class Item:
    """One event on its way: about 200 bytes, plus its payload while that is in memory.

    Attributes:
        order: Age in this process: smaller is older.
        payload: None while it is only on disk.
        row: Its row in the store; 0 = not stored.
        gone: Acknowledged or dropped.
        sent: It was handed to a connection at least once.
        refusals: How often the broker refused it.
    """

    __slots__ = ("boot_id", "camera", "crc", "gone", "made_ns", "order", "payload", "refusals", "row", "schema", "sent", "seq", "size")

    def __init__(self, *, camera: str, schema: str, boot_id: str, seq: int, size: int, payload: bytes | None, made_ns: int = 0) -> None:
        self.camera, self.schema, self.boot_id, self.seq = camera, schema, boot_id, seq
        self.size, self.payload, self.made_ns = size, payload, made_ns
        self.order = self.row = self.crc = self.refusals = 0
        self.gone = self.sent = False


@dataclass(frozen=True, slots=True)
class Balance:
    """The books at one moment.

    Attributes:
        made: Events handed to the outbox by this process.
        recovered: Events found on disk from earlier ones.
        acknowledged: Events the broker took over.
        events: Events in the outbox, in flight included.
        bytes: Their payload bytes.
        dropped: Events given up, by reason.
    """

    made: int
    recovered: int
    acknowledged: int
    events: int
    bytes: int
    dropped: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether every event is accounted for."""
        return self.made + self.recovered == self.acknowledged + self.events + sum(self.dropped.values())


class WaitingLanes:
    """Lanes of waiting events, those in flight, and the books."""

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        if max_events < 1 or max_bytes < 1:
            raise ValueError(f"want limits of at least 1, got {max_events} events, {max_bytes} bytes")
        self.max_events, self.max_bytes = max_events, max_bytes
        self._lanes: dict[str, deque[Item]] = {}
        self._turns: deque[str] = deque()
        self._flight: dict[int, Item] = {}
        self._next_order, self._first_order = 0, 0
        self._made = self._recovered = self._acknowledged = 0
        self._events = self._bytes = 0
        self._dropped: Counter[str] = Counter()

    @property
    def events(self) -> int:
        """Events waiting or in flight."""
        return self._events

    @property
    def in_flight(self) -> int:
        """Events taken and not answered."""
        return len(self._flight)

    def balance(self) -> Balance:
        """The books now."""
        return Balance(self._made, self._recovered, self._acknowledged, self._events, self._bytes, dict(self._dropped))

    def add(self, item: Item) -> list[tuple[Item, str]]:
        """Append a new event; returns those that had to give way, with the reason."""
        item.order, self._next_order = self._next_order, self._next_order + 1
        self._made += 1
        self._lane(item.camera).append(item)
        self._count_in(item)
        return self._trim()

    def recover(self, items: list[Item]) -> list[tuple[Item, str]]:
        """Put events of an earlier run before everything else, oldest first; returns those there is no room for."""
        self._recovered += len(items)
        self._first_order -= len(items)
        for offset, item in enumerate(items):
            item.order = self._first_order + offset
        for item in reversed(items):
            self._lane(item.camera).appendleft(item)
            self._count_in(item)
        return self._trim()

    def recover_lost(self, item: Item, reason: str) -> None:
        """Book an event of an earlier run that is given up at once."""
        item.gone = True
        self._recovered += 1
        self._dropped[reason] += 1

    def take(self, limit: int) -> list[Item]:
        """Next events in turn of their cameras, now in flight; a lane whose head is on disk only is passed over."""
        taken: list[Item] = []
        idle = 0
        while len(taken) < limit and idle < len(self._turns):
            lane = self._lanes[self._turns[0]]
            self._turns.rotate(-1)
            if lane and lane[0].payload is not None:
                item = lane.popleft()
                self._flight[item.order] = item
                taken.append(item)
                idle = 0
            else:
                idle += 1
        return taken

    def is_in_flight(self, item: Item) -> bool:
        """Whether it was taken and not answered."""
        return item.order in self._flight

    def acknowledge(self, item: Item) -> bool:
        """The broker has it; False if it was no longer ours."""
        if self._flight.pop(item.order, None) is None:
            return False
        self._acknowledged += 1
        self._count_out(item)
        return True

    def give_back(self) -> int:
        """Everything in flight waits again, in its old place; returns how many."""
        items = sorted(self._flight.values(), key=_order, reverse=True)
        for item in items:
            lane = self._lane(item.camera)
            lane.appendleft(item)
            if len(lane) > 1 and lane[1].order < item.order:  # older ones were recovered meanwhile
                self._lanes[item.camera] = deque(sorted(lane, key=_order))
        self._flight.clear()
        return len(items)

    def drop(self, item: Item, reason: str) -> bool:
        """Give one event up, wherever it is; False if it was no longer ours."""
        if item.gone:
            return False
        if self._flight.pop(item.order, None) is None:
            self._lanes[item.camera].remove(item)
        self._dropped[reason] += 1
        self._count_out(item)
        return True

    def refuse(self, reason: str) -> None:
        """An event that could not even be made."""
        self._made += 1
        self._dropped[reason] += 1

    def missing(self, ahead: int) -> list[Item]:
        """Events near the head of their lane whose payload is on disk only."""
        found: list[Item] = []
        for lane in self._lanes.values():
            if lane and (lane[0].payload is None or lane[min(ahead // 2, len(lane) - 1)].payload is None):
                found += [lane[i] for i in range(min(ahead, len(lane))) if lane[i].payload is None]
        return found

    def waiting(self) -> list[Item]:
        """All that waits or is in flight, oldest first."""
        items = [item for lane in self._lanes.values() for item in lane]
        return sorted([*items, *self._flight.values()], key=_order)

    def _lane(self, camera: str) -> deque[Item]:
        lane = self._lanes.get(camera)
        if lane is None:
            lane = self._lanes[camera] = deque()
            self._turns.append(camera)
        return lane

    def _trim(self) -> list[tuple[Item, str]]:
        lost: list[tuple[Item, str]] = []
        while self._events > self.max_events or self._bytes > self.max_bytes:
            oldest = min((lane for lane in self._lanes.values() if lane), key=lambda lane: lane[0].order, default=None)
            if oldest is None:  # everything is in flight: the broker may take it any moment
                break
            reason = "max_events" if self._events > self.max_events else "max_bytes"
            item = oldest.popleft()
            self._dropped[reason] += 1
            self._count_out(item)
            lost.append((item, reason))
        return lost

    def _count_in(self, item: Item) -> None:
        self._events += 1
        self._bytes += item.size

    def _count_out(self, item: Item) -> None:
        item.gone = True
        self._events -= 1
        self._bytes -= item.size


def _order(item: Item) -> int:
    return item.order
