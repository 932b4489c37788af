from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.errors import DataError
from ferstream.training.data.readers import read_faces
from tests.support.face_sets import make_faces, write_csv
from tests.support.pictures import jpeg_with_orientation, portrait, portrait_crop


def save(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)
    return path


def beside(picture: np.ndarray, shrunk_to: float) -> np.ndarray:
    """The portrait with a smaller copy of it on its left."""
    small = cv2.resize(picture, None, fx=shrunk_to, fy=shrunk_to, interpolation=cv2.INTER_AREA)
    left = np.full((picture.shape[0], small.shape[1], 3), 90, np.uint8)
    left[: small.shape[0]] = small
    return np.hstack([left, picture])


def likeness(crop: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the grey values, at most 1."""
    return float(np.corrcoef(crop.ravel(), other.ravel())[0, 1])


def test_the_face_of_a_photo_is_found_and_aligned(tmp_path: Path) -> None:
    save(tmp_path / "train" / "happy" / "a.png", portrait())
    save(tmp_path / "train" / "happy" / "b.png", cv2.copyMakeBorder(portrait(), 200, 50, 400, 20, cv2.BORDER_CONSTANT, value=(60, 60, 60)))

    faces = read_faces(tmp_path, align=True)

    assert len(faces) == 2 and not faces.left_out()
    assert all(likeness(crop, portrait_crop()) > 0.7 for crop in faces.pixels)
    assert likeness(read_faces(tmp_path).pixels[0], portrait_crop()) < 0.5


def test_the_largest_face_of_a_photo_is_taken(tmp_path: Path) -> None:
    save(tmp_path / "train" / "happy" / "a.png", beside(portrait(), 0.5))
    assert likeness(read_faces(tmp_path, align=True).pixels[0], portrait_crop()) > 0.7


def test_a_photo_that_lies_on_its_side_is_turned_by_its_orientation(tmp_path: Path) -> None:
    (tmp_path / "train" / "sad").mkdir(parents=True)
    jpeg_with_orientation(tmp_path / "train" / "sad" / "a.jpg", np.rot90(portrait()).copy(), 6)
    assert likeness(read_faces(tmp_path, align=True).pixels[0], portrait_crop()) > 0.7


def test_photos_without_a_face_and_files_that_are_none_are_named(tmp_path: Path) -> None:
    save(tmp_path / "train" / "happy" / "a.png", portrait())
    empty = save(tmp_path / "train" / "happy" / "b.png", np.full((300, 300, 3), 120, np.uint8))
    torn = tmp_path / "train" / "happy" / "c.png"
    torn.write_bytes(b"\x89PNG\r\n")

    faces = read_faces(tmp_path, align=True)

    assert len(faces) == 1
    assert faces.without_face == (str(empty),) and faces.unreadable == (str(torn),)
    assert faces.left_out() == [f"skipped, cannot be decoded: {torn}", f"skipped, no face was found: {empty}"]


def test_a_folder_without_any_face_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "train" / "happy" / "a.png", np.full((300, 300, 3), 120, np.uint8))
    with pytest.raises(DataError, match=r"none of its 1 images has a face that can be found"):
        read_faces(tmp_path, align=True)


def test_the_faces_of_a_csv_cannot_be_aligned(tmp_path: Path) -> None:
    path = write_csv(tmp_path, make_faces(7, 7))
    with pytest.raises(DataError, match="--align is for folders of whole photos"):
        read_faces(path, align=True)
