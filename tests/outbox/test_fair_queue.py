"""The order and the counters of one reader, against a simple model."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ferstream.outbox.entry import Delivery, Entry
from ferstream.outbox.fair_queue import FairQueue

CAMERAS = ("a", "b", "c")


def entry(camera: str, order: int, *, size: int = 5, stored_only: bool = False) -> Entry:
    made = Entry(camera=camera, schema="s", boot_id="b", seq=order, size=size, payload=None if stored_only else bytes(size))
    made.order = order
    return made


class QueueAgainstLists(RuleBasedStateMachine):
    """The model: per camera a list of entries, oldest first, and a list of the deliveries in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FairQueue()
        self.newest, self.oldest = 0, 0
        self.waiting: dict[str, list[Entry]] = {camera: [] for camera in CAMERAS}
        self.flight: list[Delivery] = []

    @rule(camera=st.sampled_from(CAMERAS), size=st.integers(1, 9))
    def add(self, camera: str, size: int) -> None:
        made = entry(camera, self.newest, size=size)
        self.newest += 1
        self.queue.add(made)
        self.waiting[camera].append(made)

    @rule(camera=st.sampled_from(CAMERAS), count=st.integers(0, 5))
    def recover(self, camera: str, count: int) -> None:
        self.oldest -= count
        made = [entry(camera, self.oldest + n) for n in range(count)]
        self.queue.recover(made)
        self.waiting[camera] = made + self.waiting[camera]

    @rule(limit=st.integers(0, 5))
    def take(self, limit: int) -> None:
        total = sum(map(len, self.waiting.values()))
        taken = self.queue.take(limit)
        assert len(taken) == min(limit, total)
        for delivery in taken:
            assert self.waiting[delivery.camera].pop(0) is delivery.entry
        self.flight += taken

    @precondition(lambda self: self.flight)
    @rule(data=st.data())
    def acknowledge(self, data: Any) -> None:
        delivery = data.draw(st.sampled_from(self.flight))
        assert self.queue.acknowledge(delivery)
        assert not self.queue.acknowledge(delivery)
        self.flight.remove(delivery)

    @precondition(lambda self: self.flight)
    @rule(data=st.data())
    def drop_in_flight(self, data: Any) -> None:
        delivery = data.draw(st.sampled_from(self.flight))
        assert self.queue.drop(delivery, "rejected")
        assert not self.queue.drop(delivery, "rejected")
        self.flight.remove(delivery)

    @precondition(lambda self: any(self.waiting.values()))
    @rule()
    def drop_oldest(self) -> None:
        head = self.queue.oldest()
        assert head is min((waiting[0] for waiting in self.waiting.values() if waiting), key=lambda e: e.order)
        assert self.queue.drop_oldest(head, "max_events")
        assert not self.queue.drop_oldest(head, "max_events")
        self.waiting[head.camera].pop(0)

    @rule()
    def give_back(self) -> None:
        assert self.queue.give_back() == len(self.flight)
        for camera, waiting in self.waiting.items():
            waiting += [delivery.entry for delivery in self.flight if delivery.camera == camera]
            waiting.sort(key=lambda e: e.order)
        self.flight = []

    @invariant()
    def every_event_is_counted(self) -> None:
        counts = self.queue.counts()
        held = [*(d.entry for d in self.flight), *(e for waiting in self.waiting.values() for e in waiting)]
        assert counts.balanced
        assert (counts.events, counts.bytes) == (len(held), sum(e.size for e in held))
        assert self.queue.in_flight == len(self.flight)
        assert {e.order for e in self.queue.entries()} == {e.order for e in held}


TestQueueAgainstLists = QueueAgainstLists.TestCase
TestQueueAgainstLists.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_an_event_that_is_only_on_disk_is_passed_over_and_asked_for() -> None:
    queue = FairQueue()
    stored = entry("a", -1, stored_only=True)
    queue.recover([stored])
    queue.add(entry("b", 0))
    assert [delivery.camera for delivery in queue.take(5)] == ["b"]
    assert queue.missing(100) == [stored]
    stored.payload = b"....."
    assert [delivery.entry for delivery in queue.take(5)] == [stored]


def test_drop_oldest_leaves_events_in_flight_alone() -> None:
    queue = FairQueue()
    only = entry("a", 0)
    queue.add(only)
    queue.take(1)
    assert queue.oldest() is None
    assert not queue.drop_oldest(only, "max_events")


def test_the_age_of_the_oldest_event_counts_those_in_flight() -> None:
    queue = FairQueue()
    assert queue.counts().oldest_ns is None
    made = [entry("a", 0), entry("b", 1), entry("a", 2)]
    for number, one in enumerate(made, 1):
        one.made_ns = 100 * number
        queue.add(one)
    first, second = queue.take(2)
    assert queue.counts().oldest_ns == 100
    queue.acknowledge(first)
    assert queue.counts().oldest_ns == 200
    queue.acknowledge(second)
    assert queue.counts().oldest_ns == 300
    queue.recover([entry("c", -1)])
    assert queue.counts().oldest_ns == 0  # of an earlier process: nobody knows when
