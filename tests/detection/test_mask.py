"""Privacy masks on pictures, crops and faces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferstream.detection.mask import MASK_GREY, PrivacyMask
from ferstream.domain.face import Box
from ferstream.errors import ConfigError

LEFT_THIRD: list[list[float]] = [[0, 0], [0.3, 0], [0.3, 1], [0, 1]]
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def white(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((height, width, 3), 255, np.uint8)


def test_the_masked_part_is_grey_and_the_rest_unchanged() -> None:
    picture = white(640, 384)
    PrivacyMask([LEFT_THIRD]).apply(picture)
    assert (picture[:, :193] == MASK_GREY).all()
    assert (picture[:, 196:] == 255).all()


def test_no_masks_change_nothing() -> None:
    picture = white(64, 32)
    mask = PrivacyMask()
    mask.apply(picture)
    crop = np.zeros((48, 48), np.uint8)
    assert not mask
    assert (picture == 255).all()
    assert mask.apply_to_crop(crop, IDENTITY, 640, 384) is crop


def test_overlapping_masks_cover_their_overlap() -> None:
    picture = white(100, 100)
    PrivacyMask([[[0, 0], [0.6, 0], [0.6, 0.6], [0, 0.6]], [[0.3, 0.3], [0.9, 0.3], [0.9, 0.9], [0.3, 0.9]]]).apply(picture)
    assert (picture[35:55, 35:55] == MASK_GREY).all()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=3), st.sampled_from([(640, 384), (96, 64), (33, 57)]))
def test_every_pixel_whose_centre_lies_in_a_triangle_is_grey(corners: list[tuple[float, float]], size: tuple[int, int]) -> None:
    try:
        mask = PrivacyMask([corners])
    except ConfigError:
        return
    width, height = size
    picture = white(width, height)
    mask.apply(picture)
    outline = np.array(corners, np.float32) * (width, height)
    rows, columns = np.nonzero((picture != MASK_GREY).any(axis=2))
    for x, y in list(zip(columns.tolist(), rows.tolist(), strict=True))[::997]:
        assert cv2.pointPolygonTest(outline.astype(np.float32), (x + 0.5, y + 0.5), True) < 0.01


def test_a_crop_is_grey_where_the_mask_covers_it() -> None:
    mask = PrivacyMask([LEFT_THIRD])
    crop = np.full((48, 48), 200, np.uint8)
    # The crop shows source x 168..216 of 640: the mask ends at 192, the crop's middle.
    matrix = np.array([[1.0, 0, -168], [0, 1, -100]])
    masked = mask.apply_to_crop(crop, matrix, 640, 384)
    assert (masked[:, :24] == MASK_GREY).all()
    assert (masked[:, 28:] == 200).all()
    assert (crop == 200).all(), "the crop may be shared, so the masked one is a copy"


def test_the_repeated_edge_outside_the_picture_is_masked_too() -> None:
    mask = PrivacyMask([LEFT_THIRD])
    crop = np.full((48, 48), 200, np.uint8)
    beyond = np.array([[1.0, 0, 40], [0, 1, 0]])
    assert (mask.apply_to_crop(crop, beyond, 640, 384) == MASK_GREY).all()


@given(st.floats(0.05, 4), st.floats(-3.1, 3.1), st.floats(0, 640), st.floats(0, 384))
def test_no_masked_pixel_is_visible_in_any_crop(scale: float, angle: float, x: float, y: float) -> None:
    mask = PrivacyMask([[[0.25, 0.25], [0.75, 0.25], [0.5, 0.75]]])
    source = np.zeros((384, 640), np.uint8)
    cv2.fillPoly(source, [np.array([[160, 96], [480, 96], [320, 288]], np.int32)], 255)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[c, -s, 24 - c * x + s * y], [s, c, 24 - s * x - c * y]])
    crop = np.asarray(cv2.warpAffine(source, matrix, (48, 48), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    masked = mask.apply_to_crop(crop, matrix, 640, 384)
    assert (masked <= MASK_GREY).all(), "255 marks the pixels under the mask; some of them are visible"


def test_a_face_is_covered_if_its_centre_is() -> None:
    mask = PrivacyMask([LEFT_THIRD])
    assert mask.covers(Box(0, 0, 380, 100), 640, 384)
    assert not mask.covers(Box(0, 0, 390, 100), 640, 384)
    assert mask.covers(Box(182, 0, 20, 20), 640, 384), "the edge is part of the mask"


def test_masks_follow_the_size_of_the_picture() -> None:
    mask = PrivacyMask([LEFT_THIRD])
    crop = np.full((48, 48), 200, np.uint8)
    for width, height in ((640, 384), (64, 48), (640, 384)):
        edge = 0.3 * width
        matrix = np.array([[1.0, 0, 24 - edge], [0, 1, 0]])
        masked = mask.apply_to_crop(crop, matrix, width, height)
        assert (masked[:, :24] == MASK_GREY).all()
        assert (masked[:, 30:] == 200).all()


@pytest.mark.parametrize(
    ("polygon", "message"),
    [
        ([[0, 0], [1, 1]], "has 2 corners"),
        ([], "has 0 corners"),
        ([[0, 0], [1.2, 0], [1, 1]], "within 0..1"),
        ([[0, 0], [float("nan"), 0], [1, 1]], "within 0..1"),
        ([[0, 0], [-0.1, 0], [1, 1]], "within 0..1"),
        ([[0, 0], [0.5, 0.5], [1, 1]], "no area"),
        ([[0, 0], [1, 1], [1, 0], [0, 1]], "no area|edges cross"),
        ([[0, 0], [1, 0.9], [1, 0], [0, 0.4]], "edges cross"),
        ([[0, 0, 0], [1, 0, 0], [1, 1, 0]], r"\[x, y\]"),
        ([["a", 0], [1, 0], [1, 1]], r"\[x, y\]"),
        ([0, 1, 2], r"\[x, y\]"),
    ],
)
def test_an_invalid_polygon_is_an_error(polygon: list[list[float]], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        PrivacyMask([LEFT_THIRD, polygon])
    assert "polygon 2" in str(caught.value)
