"""What every detector must do, checked with each one in the table and with a scripted one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.detection.detector import Detector, DetectorLimits, DetectorModel, Picture
from ferstream.detection.factory import DETECTORS, load_detector
from ferstream.domain.face import Box, Face
from ferstream.errors import ModelError


class BrightSquareDetector:
    """A minimal detector: the bright part of the picture is a face."""

    def __init__(self) -> None:
        self._closed = False

    def detect(self, picture: Picture, *, width: int, height: int) -> tuple[Face, ...]:
        if self._closed:
            raise ModelError("closed")
        if picture.ndim != 3 or picture.dtype != np.uint8:
            raise ValueError(f"expected a picture, got {picture.shape} of {picture.dtype}")
        rows, columns = np.nonzero(picture.max(axis=2) > 200)
        if not len(rows):
            return ()
        x, y = float(columns.min()) * width / picture.shape[1], float(rows.min()) * height / picture.shape[0]
        right, bottom = float(columns.max() + 1) * width / picture.shape[1], float(rows.max() + 1) * height / picture.shape[0]
        return (Face(Box(x, y, right - x, bottom - y), 0.9, ((x, y),) * 5),)

    def close(self) -> None:
        self._closed = True


class BrightSquareModel:
    """The model of ``BrightSquareDetector``; has no weights."""

    name = "bright square"

    def new_detector(self, limits: DetectorLimits) -> Detector:
        return BrightSquareDetector()

    def warm_up(self, width: int, height: int) -> None:
        """Nothing to prepare."""

    def close(self) -> None:
        """Nothing to free."""


@pytest.fixture(scope="module", params=[*DETECTORS, "bright_square"])
def model(request: pytest.FixtureRequest) -> Iterator[DetectorModel]:
    loaded = BrightSquareModel() if request.param == "bright_square" else load_detector(request.param)
    yield loaded
    loaded.close()


@pytest.fixture
def new_detector(model: DetectorModel) -> Callable[[], Detector]:
    return lambda: model.new_detector(DetectorLimits(score=0.3))


@pytest.fixture(scope="module")
def picture() -> Picture:
    import matplotlib.image
    from matplotlib import get_data_path

    rgb = np.asarray(matplotlib.image.imread(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg"), np.uint8)
    return np.ascontiguousarray(cv2.resize(rgb, (256, 320), interpolation=cv2.INTER_AREA)[:, :, ::-1])


def test_faces_are_inside_the_picture_and_come_best_first(new_detector: Callable[[], Detector], picture: Picture) -> None:
    faces = new_detector().detect(picture, width=2560, height=1600)
    assert faces
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)
    for face in faces:
        assert 0 < face.score <= 1
        assert 0 <= face.box.x <= face.box.x + face.box.w <= 2560
        assert 0 <= face.box.y <= face.box.y + face.box.h <= 1600
        assert face.box.w > 0 < face.box.h
        assert len(face.landmarks) == 5


def test_values_are_python_floats(new_detector: Callable[[], Detector], picture: Picture) -> None:
    face = new_detector().detect(picture, width=256, height=320)[0]
    values = (face.score, face.box.x, face.box.y, face.box.w, face.box.h, *(value for point in face.landmarks for value in point))
    assert {type(value) for value in values} == {float}, "numpy scalars cannot be encoded as JSON"


def test_coordinates_scale_with_the_source(new_detector: Callable[[], Detector], picture: Picture) -> None:
    detector = new_detector()
    plain = detector.detect(picture, width=256, height=320)[0].box
    wide = detector.detect(picture, width=512, height=960)[0].box
    assert (wide.x, wide.y, wide.w, wide.h) == pytest.approx((plain.x * 2, plain.y * 3, plain.w * 2, plain.h * 3), rel=1e-3)


def test_the_picture_is_not_modified_and_results_repeat(new_detector: Callable[[], Detector], picture: Picture) -> None:
    before = picture.copy()
    detector = new_detector()
    first = detector.detect(picture, width=256, height=320)
    assert detector.detect(picture, width=256, height=320) == first
    assert new_detector().detect(picture, width=256, height=320) == first
    assert (picture == before).all()


def test_a_black_picture_has_no_faces(new_detector: Callable[[], Detector]) -> None:
    assert new_detector().detect(np.zeros((96, 128, 3), np.uint8), width=128, height=96) == ()


def test_an_array_that_is_not_a_picture_is_an_error(new_detector: Callable[[], Detector]) -> None:
    with pytest.raises(ValueError, match="expected a picture"):
        new_detector().detect(np.zeros((96, 128), np.uint8), width=128, height=96)


def test_close_may_be_repeated_and_use_after_it_is_an_error(new_detector: Callable[[], Detector], picture: Picture) -> None:
    detector = new_detector()
    detector.close()
    detector.close()
    with pytest.raises(ModelError):
        detector.detect(picture, width=256, height=320)


def test_a_model_has_a_name_and_warms_up(model: DetectorModel, picture: Picture) -> None:
    assert model.name
    model.warm_up(256, 320)
    assert model.new_detector(DetectorLimits(score=0.3)).detect(picture, width=256, height=320)
