"""Stills: pictures of every kind are read upright, faces of every size are found, what is none says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ferstream.detection.detector import Detector, DetectorLimits
from ferstream.detection.factory import load_detector
from ferstream.domain.emotion import LABELS, Abstained
from ferstream.domain.face import Box, Face
from ferstream.errors import SourceError, SourceFormatError
from ferstream.stills.report import as_json, draw
from ferstream.stills.stills import FaceReading, Reading, StillReader, find_faces, read_picture
from tests.support.classifiers import ScriptedClassifier
from tests.support.pictures import jpeg_with_orientation, portrait, portrait_path

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector().new_detector(DetectorLimits(min_face_px=8))


@pytest.fixture
def reader(detector: Detector) -> StillReader:
    return StillReader(detector=detector, classifier=ScriptedClassifier())


def save(path: Path, picture: Picture) -> Path:
    assert cv2.imwrite(str(path), picture)
    return path


class TestReadPicture:
    @pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "tiff"])
    def test_usual_formats(self, tmp_path: Path, ending: str) -> None:
        picture = read_picture(save(tmp_path / f"p.{ending}", portrait()))
        assert np.abs(picture.astype(int) - portrait()).mean() < 4

    def test_grey_alpha_and_sixteen_bits_become_bgr_bytes(self, tmp_path: Path) -> None:
        grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
        for name, picture in {
            "grey": grey,
            "alpha": cv2.cvtColor(portrait(), cv2.COLOR_BGR2BGRA),
            "deep": grey.astype(np.uint16) * 257,
        }.items():
            path = tmp_path / f"{name}.png"
            cv2.imwrite(str(path), picture)
            read = read_picture(path)
            assert read.shape == (600, 512, 3), name
            assert read.dtype == np.uint8, name

    @pytest.mark.parametrize(
        ("orientation", "stored"),
        [(3, lambda p: p[::-1, ::-1]), (6, lambda p: p.transpose(1, 0, 2)[::-1]), (8, lambda p: p.transpose(1, 0, 2)[:, ::-1])],
    )
    def test_a_phones_orientation_is_respected(self, tmp_path: Path, orientation: int, stored: Callable[[Picture], Picture]) -> None:
        path = jpeg_with_orientation(tmp_path / "phone.jpg", np.ascontiguousarray(stored(portrait())), orientation)
        picture = read_picture(path)
        assert picture.shape == (600, 512, 3)
        assert np.abs(picture.astype(int) - portrait()).mean() < 6

    @pytest.mark.parametrize(
        ("data", "message"), [(b"", "is empty"), (b"hello", "is not a picture"), (b"\xff\xd8\xff\xe0" + bytes(50), "is not a picture")]
    )
    def test_what_is_no_picture(self, tmp_path: Path, data: bytes, message: str) -> None:
        (tmp_path / "x.jpg").write_bytes(data)
        with pytest.raises(SourceFormatError, match=rf"x\.jpg: {message}"):
            read_picture(tmp_path / "x.jpg")

    def test_missing_files_and_folders(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"none\.jpg: cannot be read: No such file"):
            read_picture(tmp_path / "none.jpg")
        with pytest.raises(SourceError, match="is a folder; give its pictures"):
            read_picture(tmp_path)


class TestFindFaces:
    @pytest.mark.parametrize("width", [96, 200, 512, 1500])
    def test_one_face_of_any_size_is_found_once_and_in_place(self, detector: Detector, width: int) -> None:
        picture = cv2.resize(portrait(), (width, width * 600 // 512), interpolation=cv2.INTER_AREA if width < 512 else cv2.INTER_CUBIC)
        faces = find_faces(np.asarray(picture, np.uint8), detector)
        assert len(faces) == 1
        box, scale = faces[0].box, width / 512
        assert abs(box.x + box.w / 2 - 266 * scale) < 20 * scale
        assert abs(box.y + box.h / 2 - 225 * scale) < 25 * scale

    def test_a_crowd_and_a_portrait_are_found_in_one_picture(self, detector: Detector) -> None:
        canvas = np.full((1200, 1600, 3), 128, np.uint8)
        canvas[:600, :512] = portrait()
        small = cv2.resize(portrait(), (102, 120), interpolation=cv2.INTER_AREA)
        for row in range(3):
            for column in range(6):
                canvas[700 + row * 150 : 820 + row * 150, 60 + column * 220 : 162 + column * 220] = small
        assert len(find_faces(canvas, detector)) == 19

    @pytest.mark.parametrize("shape", [(1, 1), (3, 500), (700, 2), (48, 48)])
    def test_odd_sizes_without_a_face_have_none(self, detector: Detector, shape: tuple[int, int]) -> None:
        assert find_faces(np.full((*shape, 3), 120, np.uint8), detector) == ()


class TestStillReader:
    def test_a_portrait(self, reader: StillReader) -> None:
        reading = reader.read(portrait_path())
        (face,) = reading.faces
        assert face.crop is not None
        assert face.crop.shape == (48, 48)
        assert face.label in LABELS
        assert face.confidence == pytest.approx(0.7)
        assert face.abstained is None

    def test_a_face_that_is_shown_too_small_is_unknown_but_keeps_its_probabilities(self, reader: StillReader, tmp_path: Path) -> None:
        tiny = cv2.resize(portrait(), (64, 75), interpolation=cv2.INTER_AREA)
        reading = reader.read(save(tmp_path / "tiny.png", np.asarray(tiny, np.uint8)))
        (face,) = reading.faces
        assert face.label == "unknown"
        assert face.best in LABELS
        assert face.probabilities is not None

    def test_no_face(self, reader: StillReader, tmp_path: Path) -> None:
        assert reader.read(save(tmp_path / "wall.png", np.full((300, 400, 3), 90, np.uint8))).faces == ()

    @pytest.mark.parametrize("side", [48, 20, 200])
    def test_without_detection_the_picture_is_the_face(self, tmp_path: Path, side: int) -> None:
        classifier = ScriptedClassifier()
        picture = np.full((side, side, 3), 80, np.uint8)
        (face,) = StillReader(detector=None, classifier=classifier).read(save(tmp_path / "f.png", picture)).faces
        assert face.crop is not None
        assert (face.crop == 80).all()
        assert face.best == LABELS[80 % 7]
        assert face.face is None

    def test_a_fer2013_face_is_classified_pixel_for_pixel(self, tmp_path: Path) -> None:
        crop = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
        (face,) = StillReader(detector=None, classifier=ScriptedClassifier()).read(save(tmp_path / "f.png", crop)).faces
        assert face.crop is not None
        assert (face.crop == crop).all()


def face_reading(**changes: Any) -> FaceReading:
    points = ((30.0, 40.0), (60.0, 40.0), (45.0, 55.0), (33.0, 70.0), (57.0, 70.0))
    values: dict[str, Any] = {
        "crop": np.zeros((48, 48), np.uint8),
        "probabilities": (0.5, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05),
        "face": Face(box=Box(20.04, 20, 50, 60), score=0.91234, landmarks=points),
    }
    return FaceReading(**{**values, **changes})


class TestReport:
    def test_the_json_of_a_face(self) -> None:
        reading = Reading(path=Path("a/b.jpg"), picture=np.zeros((100, 200, 3), np.uint8), faces=(face_reading(),))
        said = json.loads(json.dumps(as_json([reading], ScriptedClassifier())))
        assert said["schema"] == "ferstream.predict/1"
        assert said["model"] == {"name": "scripted", "version": "0.0.1"}
        (image,) = said["images"]
        assert (image["file"], image["width"], image["height"]) == ("a/b.jpg", 200, 100)
        (face,) = image["faces"]
        assert face["box"] == [20.0, 20, 50, 60]
        assert face["score"] == 0.9123
        assert face["label"] == "angry"
        assert list(face["probabilities"]) == list(LABELS)
        assert face["abstained"] is None

    def test_the_json_of_what_was_not_judged(self) -> None:
        turned = face_reading(crop=None, probabilities=None, abstained=Abstained.TURNED)
        blurred = face_reading(abstained=Abstained.BLURRED)
        reading = Reading(path=Path("x.jpg"), picture=np.zeros((9, 9, 3), np.uint8), faces=(turned, blurred))
        first, second = as_json([reading], ScriptedClassifier())["images"][0]["faces"]
        assert (first["label"], first["confidence"], first["probabilities"], first["abstained"]) == ("unknown", 0.0, None, "turned")
        assert (second["label"], second["confidence"], second["abstained"]) == ("unknown", 0.5, "blurred")

    @pytest.mark.parametrize(("count", "shape"), [(0, (90, 120)), (1, (600, 60)), (2, (40, 900)), (5, (90, 120)), (30, (40, 900))])
    def test_any_number_of_faces_in_any_shape_is_drawn(self, tmp_path: Path, count: int, shape: tuple[int, int]) -> None:
        faces = tuple(face_reading(abstained=Abstained.SMALL if index % 3 else None) for index in range(count))
        reading = Reading(path=Path("x.jpg"), picture=np.full((*shape, 3), 99, np.uint8), faces=faces)
        picture = cv2.imread(str(draw(reading, tmp_path / "x.png")))
        assert picture is not None
        assert min(picture.shape[:2]) > 100
        assert max(picture.shape[:2]) < 4000
