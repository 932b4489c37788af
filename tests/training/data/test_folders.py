from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.data.quality import inspect
from ferstream.training.data.readers import read_faces
from ferstream.training.data.report import data_report


def save(path: Path, size: tuple[int, int] = (48, 48), *, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full(size, value, np.uint8))


def test_images_of_any_size_and_class_synonym_become_faces(tmp_path: Path) -> None:
    save(tmp_path / "train" / "happy" / "a.png", (48, 48))
    save(tmp_path / "train" / "Happiness" / "b.jpg", (200, 160))
    save(tmp_path / "test" / "anger" / "c.png", (20, 24), value=10)
    (tmp_path / "train" / "happy" / "notes.txt").write_text("not an image")

    faces = read_faces(tmp_path)

    assert faces.pixels.shape == (3, 48, 48)
    assert sorted(zip(faces.usages.tolist(), [LABELS[label] for label in faces.labels], strict=True)) == [
        ("PublicTest", "angry"),
        ("Training", "happy"),
        ("Training", "happy"),
    ]
    assert faces.pixels[faces.usages == "PublicTest"].max() == 10


def test_a_folder_without_splits_classes_or_images_is_an_error_that_says_which(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split folder"):
        read_faces(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="no class folders"):
        read_faces(tmp_path)
    (tmp_path / "train" / "happy").mkdir()
    with pytest.raises(DataError, match="hold no image"):
        read_faces(tmp_path)


def test_an_unknown_class_is_named(tmp_path: Path) -> None:
    save(tmp_path / "train" / "bored" / "a.png")

    with pytest.raises(DataError, match="'bored' is not a class"):
        read_faces(tmp_path)


def test_images_that_cannot_be_decoded_are_left_out_and_named(tmp_path: Path) -> None:
    save(tmp_path / "train" / "sad" / "good.png", value=10)
    save(tmp_path / "train" / "sad" / "zoom.png", value=20)
    torn = tmp_path / "train" / "sad" / "torn.png"
    torn.write_bytes(b"\x89PNG\r\n")

    faces = read_faces(tmp_path)

    assert faces.pixels[:, 0, 0].tolist() == [10, 20]
    assert faces.rows.tolist() == [1, 3]
    assert faces.unreadable == (str(torn),)
    assert inspect(faces).counts()["broken"] == 2 + 1  # the two are of one grey
    assert data_report(faces, inspect(faces))["unreadable_files"] == [str(torn)]


def test_a_folder_without_a_decodable_image_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "train" / "sad").mkdir(parents=True)
    (tmp_path / "train" / "sad" / "torn.png").write_bytes(b"\x89PNG\r\n")

    with pytest.raises(DataError, match=r"none of its 1 images can be decoded, the first is .*torn\.png"):
        read_faces(tmp_path)


@pytest.mark.parametrize(
    ("folders", "usages"),
    [
        (("train", "test"), ("Training", "PublicTest")),
        (("train", "val"), ("Training", "PublicTest")),
        (("train", "Validation", "Test"), ("Training", "PublicTest", "PrivateTest")),
        (("train", "valid", "test"), ("Training", "PublicTest", "PrivateTest")),
        (("train", "PublicTest", "PrivateTest"), ("Training", "PublicTest", "PrivateTest")),
        (("train", "test", "PrivateTest"), ("Training", "PublicTest", "PrivateTest")),
    ],
)
def test_a_test_folder_beside_a_validation_folder_is_private_test(
    tmp_path: Path, folders: tuple[str, ...], usages: tuple[str, ...]
) -> None:
    for value, folder in enumerate(folders):
        save(tmp_path / folder / "happy" / "a.png", value=value)

    faces = read_faces(tmp_path)

    assert dict(zip(faces.pixels[:, 0, 0].tolist(), faces.usages.tolist(), strict=True)) == dict(enumerate(usages))


def test_votes_cannot_join_a_folder(tmp_path: Path) -> None:
    save(tmp_path / "train" / "sad" / "a.png")

    with pytest.raises(DataError, match="votes can be joined to a csv only"):
        read_faces(tmp_path, votes=tmp_path / "fer2013new.csv")
