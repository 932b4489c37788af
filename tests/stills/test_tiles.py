"""Tiles cover a large picture, and a face at a seam is found once."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from ferstream.detection.detector import Detector
from ferstream.domain.face import Box, Face
from ferstream.stills.multiscale import find_faces
from ferstream.stills.tiles import MAX_FACE_PX, OVERLAP_PX, TILE_PX, Tile, faces_in_tile, tiles_of
from tests.support.pictures import portrait


class BoxDetector:
    """Finds one box in each tile, in pixels of the tile."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, picture: np.typing.NDArray[np.uint8], *, width: int, height: int) -> tuple[Face, ...]:
        self.shapes.append(picture.shape)
        return (Face(box=self.box, score=0.9, landmarks=((1.0, 2.0),) * 5),)

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("size", [(1, 1), (640, 480), (1919, 1080), (1080, 1919)])
def test_a_picture_up_to_1919_pixels_has_no_tiles(size: tuple[int, int]) -> None:
    assert list(tiles_of(*size)) == []


@pytest.mark.parametrize("size", [(1920, 1080), (4000, 3000), (12000, 9000), (12000, 1500), (700, 30001), (65535, 1)])
def test_tiles_cover_every_pixel_at_every_scale_and_overlap(size: tuple[int, int]) -> None:
    width, height = size
    by_scale: dict[int, list[Tile]] = {}
    for tile in tiles_of(width, height):
        by_scale.setdefault(tile.shrink, []).append(tile)
        assert tile.width // tile.shrink <= TILE_PX and tile.height // tile.shrink <= TILE_PX
        assert tile.x >= 0 and tile.x + tile.width <= max(width, tile.shrink)
    assert list(by_scale) == sorted(by_scale, reverse=True) and by_scale[1]
    for shrink, tiles in by_scale.items():
        for starts, length, whole in (
            ({tile.x for tile in tiles}, tiles[0].width, width),
            ({tile.y for tile in tiles}, tiles[0].height, height),
        ):
            ordered = sorted(starts)
            assert (ordered[0] == 0 and ordered[-1] + length > whole - shrink) or whole < shrink
            gaps = [later - earlier for earlier, later in itertools.pairwise(ordered)]
            assert all(gap <= (TILE_PX - OVERLAP_PX) * shrink + shrink for gap in gaps)


def test_a_face_in_a_tile_is_reported_in_pixels_of_the_picture() -> None:
    detector = BoxDetector(Box(100, 200, 40, 50))
    picture = np.zeros((2560, 3840, 3), np.uint8)
    (face,) = faces_in_tile(picture, Tile(640, 0, 2560, 2560, 2), detector)
    assert (face.box.x, face.box.y, face.box.w, face.box.h) == (740, 200, 40, 50)
    assert face.landmarks[0] == (641.0, 2.0)
    assert detector.shapes == [(1280, 1280, 3)]


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        (Box(0, 500, 50, 50), False),
        (Box(1230, 500, 50, 50), False),
        (Box(500, 0, 50, 50), True),
        (Box(500, 1230, 50, 50), True),
        (Box(500, 500, MAX_FACE_PX, 100), True),
        (Box(500, 500, MAX_FACE_PX + 1, 100), False),
    ],
)
def test_faces_that_an_inner_border_cuts_and_large_ones_are_left_to_other_tiles(box: Box, kept: bool) -> None:
    picture = np.zeros((1280, 3840, 3), np.uint8)
    assert len(list(faces_in_tile(picture, Tile(1280, 0, 1280, 1280, 1), BoxDetector(box)))) == kept


def test_a_panorama_keeps_its_small_faces_at_seams_too(detector: Detector) -> None:
    canvas = np.full((400, 4000, 3), 128, np.uint8)
    small = cv2.resize(portrait(), (82, 96), interpolation=cv2.INTER_AREA)
    for index in range(24):
        canvas[20 + index % 3 * 120 : 116 + index % 3 * 120, 10 + index * 165 : 92 + index * 165] = small
    faces = find_faces(canvas, detector)
    assert len(faces) == 24
    assert len({round(face.box.x / 165) for face in faces}) == 24


def test_a_large_face_is_found_once_and_not_in_parts(detector: Detector) -> None:
    large = np.asarray(cv2.resize(portrait(), (2560, 3000), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert len(find_faces(large, detector)) == 1
