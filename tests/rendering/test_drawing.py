"""What is drawn into the planes of a picture, and what is left of a hidden face."""

from __future__ import annotations

import numpy as np
import pytest

from ferstream.domain.emotion import UNKNOWN, Abstained, Emotion, Verdict
from ferstream.domain.face import Box
from ferstream.rendering.canvas import Canvas, Plane, to_yuv
from ferstream.rendering.findings import ShownFace
from ferstream.rendering.hiding import hide, hide_all
from ferstream.rendering.overlay import COLOURS, Overlay, OverlayOptions, label_text

GREY = 100


def planes(width: int = 320, height: int = 240) -> tuple[Plane, tuple[Plane, Plane]]:
    half = ((height + 1) // 2, (width + 1) // 2)
    return np.full((height, width), GREY, np.uint8), (np.full(half, 128, np.uint8), np.full(half, 128, np.uint8))


def shown(box: Box, *, label: str = "happy", probabilities: bool = True) -> ShownFace:
    emotion = Emotion(Verdict(label, 0.93), Verdict(label, 0.93), (0.0, 0.0, 0.0, 0.93, 0.0, 0.0, 0.07) if probabilities else None)
    points = tuple((box.x + box.w * x, box.y + box.h * y) for x, y in ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)))
    return ShownFace(box, points, emotion, ((2.0, 0.0, label),))


@pytest.mark.parametrize(
    ("colour", "is_bt709", "yuv"),
    [
        ((255, 255, 255), True, (235, 128, 128)),
        ((0, 0, 0), False, (16, 128, 128)),
        ((255, 0, 0), False, (81, 90, 240)),
        ((0, 0, 255), True, (32, 240, 118)),
    ],
)
def test_colours_are_those_of_the_standards(colour: tuple[int, int, int], is_bt709: bool, yuv: tuple[int, int, int]) -> None:
    assert to_yuv(colour, is_bt709=is_bt709) == yuv


def test_a_rectangle_is_filled_in_all_planes_and_nowhere_else() -> None:
    luma, chroma = planes()
    Canvas(luma, chroma).fill(10, 20, 30, 40, COLOURS["happy"])
    yuv = to_yuv(COLOURS["happy"], is_bt709=True)
    assert (luma[20:60, 10:40] == yuv[0]).all()
    assert (chroma[0][10:30, 5:20] == yuv[1]).all()
    assert (luma != GREY).sum() == 30 * 40
    assert (chroma[1] != 128).sum() == 15 * 20


@pytest.mark.parametrize("place", [(-20, -20), (310, 230), (-500, 10), (319, 239)])
def test_what_is_outside_is_cut_off(place: tuple[int, int]) -> None:
    luma, chroma = planes()
    canvas = Canvas(luma, chroma)
    canvas.fill(*place, 41, 31, (255, 0, 0))
    canvas.text("surprise", *place, 20, (255, 255, 255))
    canvas.dot(*place, 9, (255, 255, 255))


@pytest.mark.parametrize("size", [(320, 240), (33, 17), (1921, 1081), (16, 16)])
@pytest.mark.parametrize("box", [Box(0.3, 0.3, 0.4, 0.4), Box(-0.1, -0.1, 0.3, 0.3), Box(0.9, 0.9, 0.1, 0.1), Box(0, 0, 1, 1)])
def test_faces_are_drawn_into_pictures_of_any_size(size: tuple[int, int], box: Box) -> None:
    luma, chroma = planes(*size)
    Overlay(Canvas(luma, chroma, pixel_aspect=1.4), OverlayOptions()).draw([shown(box), shown(box, label="sad", probabilities=False)])
    assert (luma != GREY).any()


def test_landmarks_are_drawn_if_asked_for() -> None:
    drawn = []
    for points in (False, True):
        luma, chroma = planes()
        Overlay(Canvas(luma, chroma), OverlayOptions(points=points)).draw([shown(Box(0.3, 0.3, 0.4, 0.4))])
        drawn.append(luma[round(240 * (0.3 + 0.4 * 0.6)), round(320 * 0.5)])
    assert drawn[0] == GREY
    assert drawn[1] != GREY


def test_the_label_is_the_smoothed_one_and_unknown_has_a_reason() -> None:
    assert label_text(shown(Box(0, 0, 1, 1))) == "happy 93 %"
    unknown = Emotion(Verdict(UNKNOWN, 0.0), Verdict(UNKNOWN, 0.0), None, Abstained.LOW_CONFIDENCE)
    assert label_text(ShownFace(Box(0, 0, 1, 1), (), unknown, ())) == "unknown (low confidence)"


# -- hiding --------------------------------------------------------------------------------------


def noise(width: int = 320, height: int = 240) -> tuple[Plane, tuple[Plane, Plane]]:
    numbers = np.random.default_rng(1)
    half = (height // 2, width // 2)
    made = [numbers.integers(16, 236, shape, dtype=np.uint8) for shape in ((height, width), half, half)]
    return made[0], (made[1], made[2])


def test_nothing_of_a_hidden_face_is_left_but_a_few_spots() -> None:
    luma, chroma = noise()
    before = luma.copy()
    hide(luma, chroma, [Box(0.4, 0.4, 0.2, 0.2)])
    inside = luma[96:144, 128:192].astype(float)
    assert np.abs(np.diff(inside, axis=1)).max() < 8
    assert abs(np.corrcoef(inside.ravel(), before[96:144, 128:192].ravel())[0, 1]) < 0.2
    assert np.abs(np.diff(chroma[0][48:72, 64:96].astype(float), axis=1)).max() < 12
    assert (luma[:60] == before[:60]).all()


def test_two_faces_that_differ_in_detail_look_alike_when_hidden() -> None:
    """Only the means of a few cells are left: what tells two people apart is finer."""
    made = []
    for turned in (False, True):
        luma, chroma = planes()
        pattern = np.indices((48, 64)).sum(axis=0) // 4 % 2 * 100 + 50
        luma[96:144, 128:192] = pattern[::-1] if turned else pattern
        hide(luma, chroma, [Box(0.4, 0.4, 0.2, 0.2)])
        made.append(luma.astype(int))
    assert np.abs(made[0] - made[1]).max() <= 6


@pytest.mark.parametrize("box", [Box(-0.5, -0.5, 0.2, 0.2), Box(0.99, 0.99, 0.5, 0.5), Box(0.5, 0.5, 0.0, 0.0), Box(-1, -1, 3, 3)])
def test_faces_at_the_edge_and_of_no_size_are_hidden(box: Box) -> None:
    luma, chroma = noise()
    hide(luma, chroma, [box])


def test_a_whole_picture_becomes_a_few_spots() -> None:
    luma, chroma = noise()
    hide_all(luma, chroma)
    assert np.abs(np.diff(luma.astype(float))).max() < 8
