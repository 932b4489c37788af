"""Which cameras may decode while decoders fall behind."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ferstream.pipeline.decode_turns import DecodeTurns
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")


@dataclass
class FakeQueue:
    """A camera's queue: its service, and how many frames wait."""

    service: float = 0.0
    frames: int = 0

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.frames


def test_nobody_waits_while_all_decoders_keep_up() -> None:
    turns = DecodeTurns(1)
    for camera in ("door", "yard", "hall"):
        turns.wait(camera, FakeQueue(frames=1), is_behind=False)


def test_as_many_as_there_are_places_decode_at_once() -> None:
    turns = DecodeTurns(2, long_turn_s=60.0)
    for camera in ("a", "b"):
        turns.wait(camera, FakeQueue(), is_behind=True)
    third = Task(lambda: turns.wait("c", FakeQueue(), is_behind=True))
    wait_until(lambda: turns.waiting == ("c",))
    turns.leave("a")
    third.result()


def test_the_camera_that_was_served_least_is_next() -> None:
    turns = DecodeTurns(1, long_turn_s=60.0)
    turns.wait("first", FakeQueue(), is_behind=True)
    rich = Task(lambda: turns.wait("rich", FakeQueue(service=5.0), is_behind=True))
    poor = Task(lambda: turns.wait("poor", FakeQueue(service=1.0), is_behind=True))
    wait_until(lambda: set(turns.waiting) == {"rich", "poor"})
    turns.leave("first")
    poor.result()
    assert rich.alive
    turns.leave("poor")
    rich.result()


def test_a_camera_whose_frame_was_not_taken_waits_until_it_is() -> None:
    turns, queue = DecodeTurns(1, refresh_s=60.0), FakeQueue(frames=1)
    waiting = Task(lambda: turns.wait("door", queue, is_behind=True))
    wait_until(lambda: turns.waiting == ("door",))
    queue.frames = 0
    turns.taken()
    waiting.result()


def test_a_frame_that_is_no_longer_fresh_is_replaced() -> None:
    DecodeTurns(1, refresh_s=0.01).wait("door", FakeQueue(frames=1), is_behind=True)


def test_a_decoder_that_keeps_up_waits_for_those_that_were_served_less_and_takes_no_place() -> None:
    turns = DecodeTurns(1, long_turn_s=60.0)
    turns.wait("slow", FakeQueue(), is_behind=True)
    slower = Task(lambda: turns.wait("slower", FakeQueue(service=1.0), is_behind=True))
    wait_until(lambda: turns.waiting == ("slower",))
    quick = Task(lambda: turns.wait("quick", FakeQueue(service=2.0), is_behind=False))
    wait_until(lambda: len(turns.waiting) == 2)
    turns.leave("slow")
    slower.result()
    turns.leave("slower")
    quick.result()
    turns.wait("slow", FakeQueue(), is_behind=True)  # "quick" holds no place


def test_a_turn_that_takes_too_long_keeps_nobody_waiting() -> None:
    turns = DecodeTurns(1, refresh_s=0.01, long_turn_s=0.0)
    turns.wait("hangs", FakeQueue(), is_behind=True)
    turns.wait("door", FakeQueue(), is_behind=True)


def test_nobody_waits_longer_than_the_longest_wait() -> None:
    turns = DecodeTurns(1, refresh_s=0.01, long_turn_s=60.0, longest_wait_s=0.0)
    turns.wait("first", FakeQueue(), is_behind=True)
    turns.wait("second", FakeQueue(frames=1), is_behind=True)


@pytest.mark.parametrize("end", ["leave", "close"])
def test_a_wait_ends_when_the_camera_or_the_pipeline_does(end: str) -> None:
    turns = DecodeTurns(1, long_turn_s=60.0, refresh_s=60.0)
    turns.wait("first", FakeQueue(), is_behind=True)
    second = Task(lambda: turns.wait("second", FakeQueue(), is_behind=True))
    wait_until(lambda: turns.waiting == ("second",))
    if end == "leave":
        turns.leave("second")
    else:
        turns.close()
    second.result()
