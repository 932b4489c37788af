"""Lanes against a model made of deques: any sequence of calls of one thread that does not block."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ferstream.errors import ClosedError
from ferstream.runtime.channel import Lane, Lanes, Overflow
from ferstream.runtime.lane_queue import KEPT_ITEMS

KEYS = st.sampled_from(["a", "b", "c"])


@dataclass
class ModelLane:
    """Expected state of a lane."""

    lane: Lane[int]
    capacity: int
    overflow: Overflow
    items: deque[int] = field(default_factory=deque)
    closed: bool = False

    @property
    def blocks(self) -> bool:
        """Whether a put would wait."""
        return self.overflow is Overflow.BLOCK and len(self.items) == self.capacity and not self.closed

    def victim_of(self, item: int) -> int | None:
        """Return the item that is dropped for ``item``: the oldest one, or the newest one of those that are kept."""
        if self.overflow is Overflow.BLOCK:
            return None
        alike = [waiting for waiting in self.items if is_kept(waiting) == is_kept(item)]
        room = KEPT_ITEMS if is_kept(item) else self.capacity
        return None if len(alike) < room else alike[-1 if is_kept(item) else 0]


def is_kept(item: int) -> bool:
    """Whether an item is never dropped for others."""
    return item % 5 == 0


class LanesMachine(RuleBasedStateMachine):
    """Items are numbers that never repeat; multiples of five are kept. All lanes have the same weight."""

    @initialize()
    def begin(self) -> None:
        """Start without lanes."""
        self.lanes: Lanes[int] = Lanes()
        self.model: dict[str, ModelLane] = {}
        self.numbers: dict[str, int] = {}
        self.dropped: list[int] = []
        self.expected_drops: list[int] = []
        self.sealed = False
        self.given = 0

    @rule(key=KEYS, capacity=st.integers(1, 3), overflow=st.sampled_from(Overflow))
    def open(self, key: str, capacity: int, overflow: Overflow) -> None:
        """A key can be opened unless it is in use or the lanes are sealed."""
        old = self.model.get(key)
        if self.sealed or (old is not None and (old.items or not old.closed)):
            with pytest.raises(ClosedError if self.sealed else ValueError):
                self.lanes.open(key, capacity=capacity, overflow=overflow)
            return
        lane = self.lanes.open(key, capacity=capacity, overflow=overflow, on_drop=self.dropped.append, keep=is_kept)
        self.model[key] = ModelLane(lane, capacity, overflow)

    @rule(key=KEYS)
    def put(self, key: str) -> None:
        """An item is appended, replaces the right one, or is refused."""
        mine = self.model.get(key)
        if mine is None or mine.blocks:
            return  # put would wait for ever
        if mine.closed:
            with pytest.raises(ClosedError):
                mine.lane.put(-1)
            return
        victim = mine.victim_of(self.given)
        if victim is not None:
            mine.items.remove(victim)
            self.expected_drops.append(victim)
        mine.lane.put(self.given)
        mine.items.append(self.given)
        self.given += 1

    @rule()
    def take(self) -> None:
        """A waiting lane with the least service gives its oldest item, with its number."""
        waiting = [mine for mine in self.model.values() if mine.items]
        if waiting:
            least = min(mine.lane.service for mine in waiting)
            key, number, item = self.lanes.take(0)
            assert self.model[key].lane.service == least + 1
            assert (number, item) == (self.numbers.get(key, 0), self.model[key].items.popleft())
            self.numbers[key] = number + 1
            return
        ended = self.sealed and all(mine.closed for mine in self.model.values())
        with pytest.raises(ClosedError if ended else TimeoutError):
            self.lanes.take(0)

    @rule(key=KEYS)
    def close(self, key: str) -> None:
        """One lane refuses further items."""
        if key in self.model:
            self.model[key].lane.close()
            self.model[key].closed = True

    @rule(key=KEYS)
    def drain(self, key: str) -> None:
        """drain closes the lane, and returns whether it is empty."""
        if key in self.model:
            assert self.model[key].lane.drain(0) == (not self.model[key].items)
            self.model[key].closed = True

    @rule(key=KEYS)
    def abandon_lane(self, key: str) -> None:
        """abandon returns the waiting items of one lane in order."""
        if key in self.model:
            mine = self.model[key]
            assert mine.lane.abandon() == list(mine.items)
            mine.items.clear()
            mine.closed = True

    @precondition(lambda self: self.given > 3)
    @rule()
    def seal(self) -> None:
        """Further lanes are refused."""
        self.lanes.seal()
        self.sealed = True

    @precondition(lambda self: self.given > 5)
    @rule()
    def close_all(self) -> None:
        """Further lanes and items are refused."""
        self.lanes.close()
        self.sealed = True
        for mine in self.model.values():
            mine.closed = True

    @precondition(lambda self: self.given > 5)
    @rule()
    def abandon(self) -> None:
        """abandon returns every waiting item once."""
        self.close_all()
        waiting = sorted(item for mine in self.model.values() for item in mine.items)
        assert sorted(self.lanes.abandon()) == waiting
        for mine in self.model.values():
            mine.items.clear()

    @invariant()
    def agrees(self) -> None:
        """Lengths and dropped items agree with the model at any moment."""
        if not hasattr(self, "lanes"):
            return
        assert len(self.lanes) == sum(len(mine.items) for mine in self.model.values())
        assert self.dropped == self.expected_drops
        for mine in self.model.values():
            assert len(mine.lane) == len(mine.items)
            assert sum(not is_kept(item) or mine.overflow is Overflow.BLOCK for item in mine.items) <= mine.capacity


TestLanesMachine = LanesMachine.TestCase
TestLanesMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
