"""Batches of whole frames, in order, within the limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.frame import EndOfStream
from ferstream.domain.track import TrackedFrame
from ferstream.errors import ClosedError
from ferstream.inference.batcher import Batcher, Item, face_count
from ferstream.runtime.channel import Channel
from tests.support.builders import tracked_frame
from tests.support.runners import PATIENCE_S
from tests.support.threads import Task, wait_until

pytestmark = pytest.mark.usefixtures("no_new_threads")

LONG_S = 10 * PATIENCE_S


def filled(items: list[Item], *, capacity: int = 0) -> Channel[Item]:
    """A closed channel with items in it."""
    channel: Channel[Item] = Channel(capacity=capacity or max(1, len(items)))
    for item in items:
        channel.put(item)
    channel.close()
    return channel


def take_all(batcher: Batcher) -> list[list[Item]]:
    """All batches until the channel is closed and empty."""
    batches = []
    while True:
        try:
            batches.append(batcher.take(PATIENCE_S))
        except ClosedError:
            return batches


items_strategy = st.lists(
    st.one_of(
        st.tuples(*([st.one_of(st.none(), st.integers(0, 255))] * 2)),
        st.just(()),
        st.just((1, 2, 3, 4, 5)),
        st.none(),
    ),
    max_size=40,
)


@given(items_strategy, st.integers(1, 6), st.sampled_from([0.0, LONG_S]), st.booleans())
def test_frames_come_once_and_in_order_and_no_batch_is_too_large(
    shapes: list[tuple[int | None, ...] | None], max_faces: int, max_wait_s: float, busy: bool
) -> None:
    items: list[Item] = [
        EndOfStream("door", final=True) if greys is None else tracked_frame(index, greys=greys) for index, greys in enumerate(shapes)
    ]
    batcher = Batcher(filled(items), max_faces=max_faces, max_wait_s=max_wait_s, on_its_way=lambda: busy)
    batches = take_all(batcher)
    assert [id(item) for batch in batches for item in batch] == [id(item) for item in items]
    for batch in batches:
        assert batch
        assert sum(map(face_count, batch[:-1])) < max_faces  # only the last frame may exceed the limit
        assert len(batch) <= 4 * max_faces


def test_faces_without_a_crop_are_not_counted() -> None:
    assert face_count(tracked_frame(greys=(1, None, 2))) == 2
    assert face_count(tracked_frame(greys=())) == 0
    assert face_count(EndOfStream("door", final=False)) == 0


def test_a_batch_waits_until_it_is_full() -> None:
    channel: Channel[Item] = Channel(capacity=8)
    batcher = Batcher(channel, max_faces=3, max_wait_s=LONG_S)
    taking = Task(lambda: batcher.take(PATIENCE_S))
    for index in range(3):
        wait_until(lambda: not len(channel))
        assert taking.alive
        channel.put(tracked_frame(index))
    assert [item.info.index for item in taking.result() if isinstance(item, TrackedFrame)] == [0, 1, 2]


def test_the_longest_wait_counts_from_the_first_frame() -> None:
    channel: Channel[Item] = Channel(capacity=8)
    channel.put(tracked_frame(0))
    assert len(Batcher(channel, max_faces=3, max_wait_s=0.01).take(PATIENCE_S)) == 1


def test_a_batch_does_not_wait_when_no_frame_is_on_its_way() -> None:
    channel: Channel[Item] = Channel(capacity=8)
    channel.put(tracked_frame(0))
    channel.put(tracked_frame(1))
    batcher = Batcher(channel, max_faces=8, max_wait_s=LONG_S, on_its_way=lambda: False)
    assert len(Task(lambda: batcher.take(PATIENCE_S)).result()) == 2


def test_frames_on_their_way_are_checked_again_after_every_frame() -> None:
    channel: Channel[Item] = Channel(capacity=8)
    channel.put(tracked_frame(0))
    on_its_way = [True, False]
    batcher = Batcher(channel, max_faces=8, max_wait_s=LONG_S, on_its_way=lambda: on_its_way.pop(0))
    taking = Task(lambda: batcher.take(PATIENCE_S))
    wait_until(lambda: on_its_way == [False])
    channel.put(tracked_frame(1))
    assert len(taking.result()) == 2
    assert on_its_way == []


def test_a_batch_ends_when_the_channel_is_closed() -> None:
    channel: Channel[Item] = Channel(capacity=8)
    channel.put(tracked_frame(0))
    batcher = Batcher(channel, max_faces=8, max_wait_s=LONG_S)
    taking = Task(lambda: batcher.take(PATIENCE_S))
    wait_until(lambda: not len(channel))
    channel.close()
    assert len(taking.result()) == 1
    with pytest.raises(ClosedError):
        batcher.take(PATIENCE_S)


def test_no_first_frame_in_time_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        Batcher(Channel(capacity=1), max_faces=1, max_wait_s=LONG_S).take(0.01)


def test_a_batcher_blocked_on_an_empty_channel_is_woken_by_its_end() -> None:
    channel: Channel[Item] = Channel(capacity=1)
    taking = Task(lambda: Batcher(channel, max_faces=1, max_wait_s=0).take(LONG_S))
    channel.abandon()
    with pytest.raises(ClosedError):
        taking.result()


@pytest.mark.parametrize(("max_faces", "max_wait_s"), [(0, 1.0), (-1, 1.0), (1, -0.1)])
def test_invalid_limits_are_an_error(max_faces: int, max_wait_s: float) -> None:
    with pytest.raises(ValueError, match="max_faces >= 1"):
        Batcher(Channel(capacity=1), max_faces=max_faces, max_wait_s=max_wait_s)
