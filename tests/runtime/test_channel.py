"""Channels between threads: waiting, waking, closing, fairness. What a single thread sees is in test_channel_model.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from ferstream.errors import ClosedError
from ferstream.runtime.channel import Channel, Lane, Lanes, Overflow
from tests.support.runners import PATIENCE_S
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

BLOCK, DROP = Overflow.BLOCK, Overflow.DROP_OLDEST


def reader_waits(queue: Channel[int] | Lanes[int]) -> Callable[[], bool]:
    """Whether a reader waits for an item."""
    return lambda: queue.waiting_readers > 0


def writer_waits(channel: Channel[int]) -> Callable[[], bool]:
    """Whether a writer waits for room."""
    return lambda: channel.blocked_writers > 0


class TestWaiting:
    """Blocked readers and writers are woken by items, room and the end."""

    def test_a_blocked_get_is_woken_by_an_item(self) -> None:
        channel: Channel[int] = Channel(capacity=1)
        task = Task(channel.get)
        wait_until(reader_waits(channel))
        channel.put(7)
        assert task.result() == 7

    def test_a_blocked_put_is_woken_by_room(self) -> None:
        channel: Channel[int] = Channel(capacity=1)
        channel.put(1)
        task = Task(lambda: channel.put(2))
        wait_until(writer_waits(channel))
        assert channel.get() == 1
        task.result()
        assert channel.get() == 2

    @pytest.mark.parametrize("end", [Channel.close, Channel.abandon])
    def test_a_blocked_get_is_woken_by_the_end(self, end: Callable[[Channel[int]], object]) -> None:
        channel: Channel[int] = Channel(capacity=1)
        task = Task(channel.get)
        wait_until(reader_waits(channel))
        end(channel)
        with pytest.raises(ClosedError):
            task.result()

    @pytest.mark.parametrize("end", [Channel.close, Channel.abandon])
    def test_a_blocked_put_is_woken_by_the_end_and_its_item_is_not_queued(self, end: Callable[[Channel[int]], object]) -> None:
        channel: Channel[int] = Channel(capacity=1)
        channel.put(1)
        task = Task(lambda: channel.put(2))
        wait_until(writer_waits(channel))
        left = end(channel)
        with pytest.raises(ClosedError):
            task.result()
        assert (left if left is not None else list(channel)) == [1]

    def test_every_blocked_reader_is_woken_by_close(self) -> None:
        channel: Channel[int] = Channel(capacity=1)
        tasks = [Task(channel.get) for _ in range(4)]
        wait_until(lambda: channel.waiting_readers == 4)
        channel.close()
        for task in tasks:
            with pytest.raises(ClosedError):
                task.result()

    def test_a_get_without_items_times_out(self) -> None:
        with pytest.raises(TimeoutError):
            Channel[int](capacity=1).get(0.01)

    def test_drain_returns_when_the_last_item_was_taken(self) -> None:
        lanes: Lanes[int] = Lanes()
        lane = lanes.open("a", capacity=4, overflow=BLOCK)
        lane.put(1)
        lane.put(2)
        task = Task(lambda: (lane.drain(PATIENCE_S), len(lane)))
        wait_until(lambda: lane.blocked == 1)
        lanes.take(0)
        assert lane.drain(0) is False
        lanes.take(0)
        assert task.result() == (True, 0)

    def test_drain_is_freed_by_abandon(self) -> None:
        lanes: Lanes[int] = Lanes()
        lane = lanes.open("a", capacity=4, overflow=BLOCK)
        lane.put(1)
        task = Task(lambda: lane.drain(PATIENCE_S))
        wait_until(lambda: lane.blocked == 1)
        assert lanes.abandon() == [1]
        assert task.result() is True

    def test_a_reader_ends_when_the_last_lane_closes_after_seal(self) -> None:
        lanes: Lanes[int] = Lanes()
        lane = lanes.open("a", capacity=1, overflow=BLOCK)
        lanes.seal()
        task = Task(lanes.take)
        wait_until(reader_waits(lanes))
        lane.close()
        with pytest.raises(ClosedError):
            task.result()


class TestClosing:
    """Items put before the end can be taken after it."""

    def test_iteration_drains_and_then_ends(self) -> None:
        channel: Channel[int] = Channel(capacity=3)
        for number in range(3):
            channel.put(number)
        channel.close()
        assert list(channel) == [0, 1, 2]
        with pytest.raises(ClosedError):
            channel.get()
        with pytest.raises(ClosedError):
            channel.put(3)

    def test_close_can_be_called_twice(self) -> None:
        channel: Channel[int] = Channel(capacity=1)
        channel.close()
        channel.close()
        assert channel.abandon() == []

    def test_no_thread_is_counted_as_waiting_after_a_wait(self) -> None:
        channel: Channel[int] = Channel(capacity=1)
        with pytest.raises(TimeoutError):
            channel.get(0.001)
        assert (channel.waiting_readers, channel.blocked_writers) == (0, 0)

    def test_a_capacity_below_one_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="capacity >= 1, got 0"):
            Channel[int](capacity=0)

    def test_item_numbers_continue_when_a_key_is_opened_again(self) -> None:
        lanes: Lanes[int] = Lanes()
        for expected in range(3):
            lane = lanes.open("a", capacity=1, overflow=BLOCK)
            lane.put(10 + expected)
            lane.close()
            assert lanes.take(0) == ("a", expected, 10 + expected)

    def test_a_key_with_waiting_items_is_in_use(self) -> None:
        lanes: Lanes[int] = Lanes()
        lane = lanes.open("a", capacity=1, overflow=BLOCK)
        lane.put(1)
        lane.close()
        with pytest.raises(ValueError, match="'a' is in use"):
            lanes.open("a", capacity=1, overflow=BLOCK)

    def test_capacity_is_that_of_the_open_lanes(self) -> None:
        lanes: Lanes[int] = Lanes()
        lanes.open("a", capacity=2, overflow=BLOCK)
        lanes.open("b", capacity=3, overflow=DROP)
        assert lanes.capacity == 5


class TestOverflow:
    """A full live lane drops items and reports each one; the callback may use the lane."""

    def test_the_drop_callback_runs_outside_the_lock(self) -> None:
        lanes: Lanes[int] = Lanes()
        seen: list[tuple[int, int]] = []
        # len() of the lanes takes the lock: inside of it this would hang.
        lane = lanes.open("a", capacity=2, overflow=DROP, on_drop=lambda item: seen.append((item, len(lanes))))

        def produce() -> None:
            for number in range(5):
                lane.put(number)

        Task(produce).result()
        assert seen == [(0, 2), (1, 2), (2, 2)]

    def test_kept_items_take_no_room_from_others_and_are_not_dropped_for_them(self) -> None:
        lanes: Lanes[str] = Lanes()
        dropped: list[str] = []
        lane = lanes.open("a", capacity=1, overflow=DROP, on_drop=dropped.append, keep=lambda item: item.startswith("end"))
        for item in ("f1", "end 1", "f2", "f3", "end 2", "f4", "end 3"):
            lane.put(item)
        assert dropped == ["f1", "f2", "f3", "end 2"]
        assert lanes.abandon() == ["end 1", "f4", "end 3"]


class TestFairness:
    """One busy producer cannot starve another."""

    def test_full_lanes_are_read_round_robin(self) -> None:
        lanes: Lanes[int] = Lanes()
        for key in "abc":
            lane = lanes.open(key, capacity=4, overflow=BLOCK)
            for number in range(4):
                lane.put(number)
        taken = [lanes.take(0) for _ in range(12)]
        assert [key for key, _, _ in taken] == list("abc" * 4)
        assert [number for _, number, _ in taken] == [n for n in range(4) for _ in "abc"]

    def test_a_quiet_lane_is_next_after_a_busy_one(self) -> None:
        lanes: Lanes[int] = Lanes()
        busy = lanes.open("busy", capacity=8, overflow=BLOCK)
        quiet = lanes.open("quiet", capacity=8, overflow=BLOCK)
        for number in range(8):
            busy.put(number)
        lanes.take(0)
        quiet.put(99)
        assert lanes.take(0) == ("quiet", 0, 99)


class TestManyThreads:
    """No item of a lane is lost, duplicated or reordered."""

    ITEMS = 300

    def produce(self, lane: Lane[tuple[str, int]]) -> None:
        for number in range(self.ITEMS):
            lane.put((lane.key, number))
        lane.close()

    def consume(self, lanes: Lanes[tuple[str, int]], out: list[tuple[str, int, tuple[str, int]]]) -> None:
        try:
            while True:
                out.append(lanes.take())
        except ClosedError:
            return

    @pytest.mark.parametrize("readers", [1, 4])
    def test_four_blocking_producers(self, readers: int) -> None:
        lanes: Lanes[tuple[str, int]] = Lanes()
        opened = [lanes.open(key, capacity=3, overflow=BLOCK) for key in "abcd"]
        lanes.seal()
        outs: list[list[tuple[str, int, tuple[str, int]]]] = [[] for _ in range(readers)]
        tasks = [Task(lambda out=out: self.consume(lanes, out)) for out in outs]  # type: ignore[misc]
        tasks += [Task(lambda lane=lane: self.produce(lane)) for lane in opened]  # type: ignore[misc]
        for task in tasks:
            task.result()
        everything = [entry for out in outs for entry in out]
        assert Counter(item for _, _, item in everything) == Counter((key, n) for key in "abcd" for n in range(self.ITEMS))
        assert all((key, number) == item for key, number, item in everything)  # the numbers are the order of put
        for out in outs:
            for key in "abcd":
                numbers = [number for lane_key, number, _ in out if lane_key == key]
                assert numbers == sorted(numbers)

    def test_dropping_producers_account_for_every_item(self) -> None:
        lanes: Lanes[tuple[str, int]] = Lanes()
        dropped: list[tuple[str, int]] = []
        opened = [lanes.open(key, capacity=2, overflow=DROP, on_drop=dropped.append) for key in "ab"]
        lanes.seal()
        out: list[tuple[str, int, tuple[str, int]]] = []
        tasks = [Task(lambda: self.consume(lanes, out))]
        tasks += [Task(lambda lane=lane: self.produce(lane)) for lane in opened]  # type: ignore[misc]
        for task in tasks:
            task.result()
        taken = [item for _, _, item in out]
        assert Counter(taken + dropped) == Counter((key, n) for key in "ab" for n in range(self.ITEMS))
        for key in "ab":
            numbers = [number for name, number in taken if name == key]
            assert numbers == sorted(numbers)
            assert numbers[-1] == self.ITEMS - 1  # the newest item is never dropped
