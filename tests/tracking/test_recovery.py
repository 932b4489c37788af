from __future__ import annotations

import pytest
from ferstream.tracking.reunion import ReunionLimits, reunite
from hypothesis import given
from hypothesis import strategies as st

from ferstream.domain.face import Box

LIMITS = ReunionLimits(max_distance=0.75, max_growth=1.5)
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
def test_a_face_comes_back_when_it_is_near_and_alike(face: Box, same: bool) -> None:
    assert reunite([face], [HERE], LIMITS) == ({0: 0} if same else {})


def test_the_nearest_pair_comes_first() -> None:
    faces = [moved(20), moved(5)]
    idle = [moved(0), moved(26)]
    assert reunite(faces, idle, LIMITS) == {1: 0, 0: 1}


def test_equal_distances_are_decided_by_position() -> None:
    assert reunite([moved(-10), moved(10)], [moved(0)], LIMITS) == {0: 0}
    assert reunite([moved(0)], [moved(10), moved(-10)], LIMITS) == {0: 0}


def test_nothing_to_pair_gives_nothing() -> None:
    assert reunite([], [HERE], LIMITS) == {}
    assert reunite([HERE], [], LIMITS) == {}


def test_boxes_without_area_are_nobody() -> None:
    assert reunite([Box(0, 0, 0, 0)], [Box(0, 0, 0, 0)], LIMITS) == {}


_boxes = st.lists(st.builds(Box, st.floats(0, 300), st.floats(0, 300), st.floats(10, 60), st.floats(10, 60)), max_size=6)


@given(_boxes, _boxes)
def test_pairs_are_one_to_one(faces: list[Box], idle: list[Box]) -> None:
    found = reunite(faces, idle, LIMITS)
    assert len(set(found.values())) == len(found)
    assert all(0 <= face < len(faces) and 0 <= track < len(idle) for face, track in found.items())
