"""The order and the books of the outbox against a simple model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ferstream.outbox.fair_queue import Item, WaitingLanes

CAMERAS = ("a", "b", "c")


class LanesAgainstLists(RuleBasedStateMachine):
    """Per camera a list of (order, size), oldest first, and a set of those in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = WaitingLanes(max_events=12, max_bytes=60)
        self.seq = 0
        self.waiting: dict[str, list[Item]] = {camera: [] for camera in CAMERAS}
        self.flight: list[Item] = []

    def _item(self, camera: str, size: int) -> Item:
        self.seq += 1
        return Item(camera=camera, schema="s", boot_id="b", seq=self.seq, size=size, payload=bytes(size))

    def _expect_lost(self, lost: list[tuple[Item, str]]) -> None:
        for item, reason in lost:
            assert reason in ("max_events", "max_bytes")
            oldest = min((lane[0] for lane in self.waiting.values() if lane), key=lambda i: i.order)
            assert item is oldest
            self.waiting[item.camera].pop(0)

    @rule(camera=st.sampled_from(CAMERAS), size=st.integers(1, 9))
    def add(self, camera: str, size: int) -> None:
        item = self._item(camera, size)
        lost = self.lanes.add(item)
        self.waiting[camera].append(item)
        self._expect_lost(lost)

    @rule(camera=st.sampled_from(CAMERAS), sizes=st.lists(st.integers(1, 9), max_size=5))
    def recover(self, camera: str, sizes: list[int]) -> None:
        items = [self._item(camera, size) for size in sizes]
        lost = self.lanes.recover(items)
        self.waiting[camera] = items + self.waiting[camera]
        self._expect_lost(lost)

    @rule(limit=st.integers(0, 5))
    def take(self, limit: int) -> None:
        total = sum(map(len, self.waiting.values()))
        taken = self.lanes.take(limit)
        assert len(taken) == min(limit, total)
        for item in taken:
            assert self.waiting[item.camera].pop(0) is item
        self.flight += taken

    @precondition(lambda self: self.flight)
    @rule(data=st.data())
    def acknowledge(self, data: Any) -> None:
        item = data.draw(st.sampled_from(self.flight))
        assert self.lanes.acknowledge(item)
        assert not self.lanes.acknowledge(item)
        self.flight.remove(item)

    @precondition(lambda self: self.flight)
    @rule(data=st.data())
    def drop_in_flight(self, data: Any) -> None:
        item = data.draw(st.sampled_from(self.flight))
        assert self.lanes.drop(item, "rejected")
        assert not self.lanes.drop(item, "rejected")
        self.flight.remove(item)

    @rule()
    def give_back(self) -> None:
        assert self.lanes.give_back() == len(self.flight)
        for camera, lane in self.waiting.items():
            lane += [item for item in self.flight if item.camera == camera]
            lane.sort(key=lambda item: item.order)
        self.flight = []

    @invariant()
    def the_books_balance(self) -> None:
        balance = self.lanes.balance()
        items = [*self.flight, *(item for lane in self.waiting.values() for item in lane)]
        assert balance.holds
        assert (balance.events, balance.bytes) == (len(items), sum(item.size for item in items))
        assert self.lanes.in_flight == len(self.flight)

    @invariant()
    def the_limits_hold_but_for_what_is_in_flight(self) -> None:
        if any(self.waiting.values()):
            assert self.lanes.events <= 12
            assert self.lanes.balance().bytes <= 60

    @invariant()
    def each_lane_is_in_order(self) -> None:
        for lane in self.waiting.values():
            orders = [item.order for item in lane]
            assert orders == sorted(orders)


TestLanesAgainstLists = LanesAgainstLists.TestCase
TestLanesAgainstLists.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize(("events", "size"), [(0, 1), (1, 0)])
def test_limits_of_nothing(events: int, size: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        WaitingLanes(max_events=events, max_bytes=size)


def test_a_head_that_is_only_on_disk_is_passed_over_and_asked_for() -> None:
    lanes = WaitingLanes(max_events=10, max_bytes=1000)
    stored = Item(camera="a", schema="s", boot_id="b", seq=0, size=5, payload=None)
    lanes.recover([stored])
    lanes.add(Item(camera="b", schema="s", boot_id="b", seq=0, size=5, payload=b"....."))
    assert [item.camera for item in lanes.take(5)] == ["b"]
    assert lanes.missing(100) == [stored]
    stored.payload = b"....."
    assert lanes.take(5) == [stored]
