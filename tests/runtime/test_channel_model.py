"""Lanes against a model made of deques: every order of calls that one thread can make without waiting."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ferstream.errors import ClosedError
from ferstream.runtime.channel import Lane, Lanes, Overflow

KEYS = st.sampled_from(["a", "b", "c"])


@dataclass
class ModelLane:
    """What a lane must hold."""

    lane: Lane[int]
    capacity: int
    overflow: Overflow
    items: deque[int] = field(default_factory=deque)
    closed: bool = False

    @property
    def is_full(self) -> bool:
        """Whether the next item finds no room."""
        return len(self.items) == self.capacity


class LanesMachine(RuleBasedStateMachine):
    """Items are numbers that never repeat, so each one can be followed; multiples of five are kept as long as others can go."""

    @initialize()
    def begin(self) -> None:
        """Start with nothing."""
        self.lanes: Lanes[int] = Lanes()
        self.model: dict[str, ModelLane] = {}
        self.turn: list[str] = []
        self.tickets: dict[str, int] = {}
        self.dropped: list[int] = []
        self.expected_drops: list[int] = []
        self.sealed = False
        self.given = 0

    @rule(key=KEYS, capacity=st.integers(1, 3), overflow=st.sampled_from(Overflow))
    def open(self, key: str, capacity: int, overflow: Overflow) -> None:
        """A key can be opened unless it is in use or everything is sealed."""
        old = self.model.get(key)
        if self.sealed or (old is not None and (old.items or not old.closed)):
            with pytest.raises(ClosedError if self.sealed else ValueError):
                self.lanes.open(key, capacity=capacity, overflow=overflow)
            return
        lane = self.lanes.open(key, capacity=capacity, overflow=overflow, on_drop=self.dropped.append, keep=lambda number: number % 5 == 0)
        self.model[key] = ModelLane(lane, capacity, overflow)
        if key in self.turn:
            self.turn.remove(key)
        self.turn.append(key)

    @rule(key=KEYS)
    def put(self, key: str) -> None:
        """An item goes in, makes the right one give way, or is refused."""
        mine = self.model.get(key)
        if mine is None or (mine.is_full and mine.overflow is Overflow.BLOCK and not mine.closed):
            return  # it would wait for ever
        if mine.closed:
            with pytest.raises(ClosedError):
                mine.lane.put(-1)
            return
        if mine.is_full:
            gives_way = next((item for item in mine.items if item % 5), mine.items[0])
            mine.items.remove(gives_way)
            self.expected_drops.append(gives_way)
        mine.lane.put(self.given)
        mine.items.append(self.given)
        self.given += 1

    @rule()
    def take(self) -> None:
        """The next lane in turn gives its oldest item, with its ticket."""
        for key in self.turn:
            mine = self.model[key]
            if mine.items:
                number = self.tickets.get(key, 0)
                self.tickets[key] = number + 1
                assert self.lanes.take(0) == (key, number, mine.items.popleft())
                self.turn.remove(key)
                self.turn.append(key)
                return
        ended = self.sealed and all(mine.closed for mine in self.model.values())
        with pytest.raises(ClosedError if ended else TimeoutError):
            self.lanes.take(0)

    @rule(key=KEYS)
    def close(self, key: str) -> None:
        """One lane takes no more."""
        if key in self.model:
            self.model[key].lane.close()
            self.model[key].closed = True

    @rule(key=KEYS)
    def drain(self, key: str) -> None:
        """Draining closes, and is done when nothing waits."""
        if key in self.model:
            assert self.model[key].lane.drain(0) == (not self.model[key].items)
            self.model[key].closed = True

    @rule(key=KEYS)
    def abandon_lane(self, key: str) -> None:
        """What waits in one lane comes back in order."""
        if key in self.model:
            mine = self.model[key]
            assert mine.lane.abandon() == list(mine.items)
            mine.items.clear()
            mine.closed = True

    @precondition(lambda self: self.given > 3)
    @rule()
    def seal(self) -> None:
        """No more lanes."""
        self.lanes.seal()
        self.sealed = True

    @precondition(lambda self: self.given > 5)
    @rule()
    def close_all(self) -> None:
        """No more of anything."""
        self.lanes.close()
        self.sealed = True
        for mine in self.model.values():
            mine.closed = True

    @precondition(lambda self: self.given > 5)
    @rule()
    def abandon(self) -> None:
        """What waits comes back, whole and once."""
        self.close_all()
        waiting = sorted(item for mine in self.model.values() for item in mine.items)
        assert sorted(self.lanes.abandon()) == waiting
        for mine in self.model.values():
            mine.items.clear()

    @invariant()
    def agrees(self) -> None:
        """Lengths and drops are the model's at any moment."""
        if not hasattr(self, "lanes"):
            return
        assert len(self.lanes) == sum(len(mine.items) for mine in self.model.values())
        assert self.dropped == self.expected_drops
        assert all(len(mine.lane) == len(mine.items) <= mine.capacity for mine in self.model.values())


TestLanesMachine = LanesMachine.TestCase
TestLanesMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
