"""Where recordings are cut: from packets to chunks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ferstream.archive.plan import Chunk
from ferstream.archive.planning.cutting import PacketList, cut, media_times
from ferstream.capture.timing import Sampler

SECOND_NS = 1_000_000_000
GAP_NS = 600 * SECOND_NS


def packets(rows: list[tuple[int, bool]]) -> PacketList:
    """Packets in the order of the file: timestamp, and whether it is a key frame."""
    found = PacketList()
    for pts, is_key in rows:
        found.add(pts, is_key=is_key)
    return found


def cut_every(step: int, keys: list[int], count: int, *, chunk: int, fps: float = 0.0) -> tuple[Chunk, ...]:
    """Cut pictures that are ``step`` ms apart, with these key frames, into chunks of ``chunk`` ms."""
    pts = np.arange(count, dtype=np.int64) * step
    times, fault = media_times(pts, lambda stamp: stamp * 1_000_000, longest_gap_ns=GAP_NS)
    assert fault == ""
    return cut(pts, pts[keys], times, chunk_ns=chunk * 1_000_000, fps=fps)


def test_pictures_are_sorted_by_presentation() -> None:
    found = packets([(0, True), (3, False), (1, False), (2, False), (4, True)])
    assert (found.pts.tolist(), found.starts.tolist(), found.fault) == ([0, 1, 2, 3, 4], [0, 4], "")


def test_pictures_that_come_behind_a_key_frame_and_are_shown_before_it_belong_to_the_part_before() -> None:
    found = packets([(0, True), (1, False), (4, True), (2, False), (3, False), (5, False)])
    assert (found.pts.tolist(), found.starts.tolist()) == ([0, 1, 2, 3, 4, 5], [0, 4])


def test_a_key_frame_is_no_cut_if_a_picture_before_it_in_the_file_is_shown_after_it() -> None:
    assert packets([(0, True), (5, False), (4, True), (6, False)]).starts.tolist() == [0]


@pytest.mark.parametrize(
    ("add", "reason"),
    [
        ({"pts": None, "is_key": False}, "no timestamp"),
        ({"pts": 1, "is_key": False, "is_corrupt": True}, "damaged"),
    ],
)
def test_a_packet_that_is_not_clean_is_a_fault(add: dict[str, object], reason: str) -> None:
    found = packets([(0, True)])
    found.add(**add)  # type: ignore[arg-type]
    found.add_fault("another reason")
    assert reason in found.fault


def test_a_recording_that_begins_without_a_key_frame_has_a_fault() -> None:
    assert "key frame" in packets([(0, False), (1, True)]).fault


def test_packets_that_are_not_shown_are_no_pictures() -> None:
    found = packets([])
    for pts in range(6):
        found.add(pts, is_key=pts in {0, 3}, is_shown=pts > 1)
    assert (found.pts.tolist(), found.starts.tolist(), found.fault) == ([2, 3, 4, 5], [3], "")


@pytest.mark.parametrize(("pts", "reason"), [([0, 1, 1], "same time"), ([0, 1, 602_000], "jump")])
def test_times_that_the_timeline_would_change_are_a_fault(pts: list[int], reason: str) -> None:
    assert reason in media_times(np.array(pts), lambda stamp: stamp * 1_000_000, longest_gap_ns=GAP_NS)[1]


def test_media_times_are_exact_beyond_64_bits() -> None:
    far = 2**62
    times, fault = media_times(np.array([far, far + 3]), lambda stamp: stamp * SECOND_NS // 90_000, longest_gap_ns=GAP_NS)
    assert fault == ""
    assert times == [0, (far + 3) * SECOND_NS // 90_000 - far * SECOND_NS // 90_000]


def test_chunks_have_the_wanted_length_at_least_and_all_pictures_once() -> None:
    chunks = cut_every(40, list(range(0, 1000, 10)), 1000, chunk=5000)
    assert [chunk.frames for chunk in chunks] == [130] * 7 + [90]
    assert [chunk.first_frame for chunk in chunks] == [130 * number for number in range(8)]
    assert np.concatenate([chunk.pts for chunk in chunks]).tolist() == [40 * number for number in range(1000)]
    assert [len(chunk.overlap) for chunk in chunks] == [3] * 7 + [0]


def test_a_short_tail_belongs_to_the_chunk_before() -> None:
    assert [chunk.frames for chunk in cut_every(40, [0, 125, 250, 251], 252, chunk=5000)] == [125, 127]


def test_key_frames_far_apart_make_long_chunks() -> None:
    assert [chunk.frames for chunk in cut_every(40, [0, 400, 800], 1000, chunk=1000)] == [400, 400, 200]


def test_no_chunk_is_shorter_than_the_compared_pictures() -> None:
    chunks = cut_every(1000, list(range(12)), 12, chunk=1)
    assert [chunk.frames for chunk in chunks] == [3, 3, 3, 3]


@pytest.mark.parametrize("fps", [0.1, 0.5, 5.0])
def test_each_chunk_and_each_overlap_has_a_picture_that_is_analysed(fps: float) -> None:
    chunks = cut_every(40, list(range(0, 1000, 10)), 1000, chunk=400, fps=fps)
    assert len(chunks) > 1
    sampler = Sampler(fps=fps)
    analysed = {pts for pts in range(0, 40_000, 40) if sampler.take(pts * 1_000_000)}
    for chunk in chunks:
        assert analysed & set(chunk.pts.tolist())
        if len(chunk.overlap):
            assert analysed & set(chunk.overlap.tolist())
    for before, after in pairwise(chunks):
        assert set(before.overlap.tolist()) <= set(after.pts.tolist())


def test_one_picture_is_one_chunk() -> None:
    assert [chunk.frames for chunk in cut_every(40, [0], 1, chunk=1000)] == [1]
