"""Recovery of lost tracks by place and size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.face import Box
from ferstream.tracking.recovery import RecoveryLimits, recover_tracks

LIMITS = RecoveryLimits(max_distance=0.75, max_growth=1.5)
HERE = Box(100, 100, 40, 40)


def moved(by: float, *, grown: float = 1.0) -> Box:
    side = 40 * grown
    return Box(120 + by - side / 2, 120 - side / 2, side, side)


@pytest.mark.parametrize(
    ("face", "same"),
    [
        (moved(0), True),
        (moved(29), True),
        (moved(31), False),
        (moved(0, grown=1.45), True),
        (moved(0, grown=1.55), False),
        (moved(0, grown=0.6), False),
    ],
)
def test_a_face_recovers_a_track_of_similar_place_and_size(face: Box, same: bool) -> None:
    assert recover_tracks([face], [HERE], LIMITS) == ({0: 0} if same else {})


def test_the_nearest_pair_is_matched_first() -> None:
    faces = [moved(20), moved(5)]
    lost = [moved(0), moved(26)]
    assert recover_tracks(faces, lost, LIMITS) == {1: 0, 0: 1}


def test_equal_distances_are_decided_by_position() -> None:
    assert recover_tracks([moved(-10), moved(10)], [moved(0)], LIMITS) == {0: 0}
    assert recover_tracks([moved(0)], [moved(10), moved(-10)], LIMITS) == {0: 0}


def test_without_faces_or_tracks_there_are_no_pairs() -> None:
    assert recover_tracks([], [HERE], LIMITS) == {}
    assert recover_tracks([HERE], [], LIMITS) == {}


def test_boxes_without_area_are_not_matched() -> None:
    assert recover_tracks([Box(0, 0, 0, 0)], [Box(0, 0, 0, 0)], LIMITS) == {}


_boxes = st.lists(st.builds(Box, st.floats(0, 300), st.floats(0, 300), st.floats(10, 60), st.floats(10, 60)), max_size=6)


@given(_boxes, _boxes)
def test_pairs_are_one_to_one(faces: list[Box], lost: list[Box]) -> None:
    found = recover_tracks(faces, lost, LIMITS)
    assert len(set(found.values())) == len(found)
    assert all(0 <= face < len(faces) and 0 <= track < len(lost) for face, track in found.items())
