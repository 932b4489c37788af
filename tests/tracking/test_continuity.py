"""Cuts of the picture and jumps of a track."""

from __future__ import annotations

import numpy as np
import pytest

from ferstream.domain.face import Box, Thumbnail
from ferstream.tracking.continuity import is_cut, is_jump, motion_between

STILL = (0.0, 0.0)
FRAME_NS = 40_000_000


def scene(seed: int) -> Thumbnail:
    return np.random.default_rng(seed).uniform(30, 220, (9, 16)).astype(np.float32)


def test_another_scene_is_a_cut() -> None:
    assert all(is_cut(scene(seed), scene(seed + 100)) for seed in range(20))


def test_the_same_scene_with_noise_is_no_cut() -> None:
    noise = np.random.default_rng(1).normal(0, 8, (9, 16)).astype(np.float32)
    assert not is_cut(scene(1), scene(1) + noise)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 60.0), (1.6, 0.0), (0.4, 0.0), (0.4, 90.0)])
def test_a_change_of_the_light_is_no_cut(gain: float, offset: float) -> None:
    assert not is_cut(scene(1), scene(1) * np.float32(gain) + np.float32(offset))


def test_somebody_who_enters_the_picture_is_no_cut() -> None:
    after = scene(1).copy()
    after[3:, 5:9] = 20
    assert not is_cut(scene(1), after)


def test_from_a_scene_to_black_is_a_cut_and_black_stays_black() -> None:
    black = np.zeros((9, 16), np.float32)
    assert is_cut(scene(1), black)
    assert is_cut(black, scene(1))
    assert not is_cut(black, black)


@pytest.mark.parametrize(
    ("x", "side", "jumped"),
    [(100, 60, False), (130, 60, False), (150, 60, True), (100, 85, False), (100, 95, True), (100, 35, True)],
)
def test_a_still_face_jumps_when_it_is_elsewhere_or_has_another_size(x: float, side: float, jumped: bool) -> None:
    assert is_jump(Box(100, 100, 60, 60), STILL, Box(x, 100, side, side), FRAME_NS) is jumped


def test_a_face_in_motion_may_go_on_or_stop() -> None:
    first, second = Box(100, 100, 60, 60), Box(160, 100, 60, 60)
    motion = motion_between(first, second, FRAME_NS)
    assert not is_jump(second, motion, Box(220, 100, 60, 60), FRAME_NS)
    assert not is_jump(second, motion, Box(165, 100, 60, 60), FRAME_NS)
    assert is_jump(second, motion, Box(100, 160, 60, 60), FRAME_NS)


def test_without_time_between_two_boxes_there_is_no_motion() -> None:
    assert motion_between(Box(0, 0, 10, 10), Box(5, 5, 10, 10), 0) == STILL
