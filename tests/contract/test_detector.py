"""What every detector must do, run over the real one and a scripted one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ferstream.detection.detector import Detector
from ferstream.detection.weights import find_weights
from ferstream.detection.yunet import Limits, YuNetModel
from ferstream.domain.face import Box, Face
from ferstream.errors import ModelError

Picture = npt.NDArray[np.uint8]


class BrightSquareDetector:
    """The plainest legal detector: the bright part of the picture is a face."""

    def __init__(self) -> None:
        self._closed = False

    def detect(self, small: Picture, *, width: int, height: int) -> tuple[Face, ...]:
        if self._closed:
            raise ModelError("closed")
        if small.ndim != 3 or small.dtype != np.uint8:
            raise ValueError(f"expected a picture, got {small.shape} of {small.dtype}")
        rows, columns = np.nonzero(small.max(axis=2) > 200)
        if not len(rows):
            return ()
        x, y = float(columns.min()) * width / small.shape[1], float(rows.min()) * height / small.shape[0]
        right, bottom = float(columns.max() + 1) * width / small.shape[1], float(rows.max() + 1) * height / small.shape[0]
        return (Face(Box(x, y, right - x, bottom - y), 0.9, ((x, y),) * 5),)

    def close(self) -> None:
        self._closed = True


@pytest.fixture(scope="module")
def yunet() -> YuNetModel:
    return YuNetModel(weights=find_weights())


@pytest.fixture(params=["yunet", "bright_square"])
def new_detector(request: pytest.FixtureRequest, yunet: YuNetModel) -> Callable[[], Detector]:
    if request.param == "yunet":
        return lambda: yunet.new_detector(Limits(score=0.3))
    return BrightSquareDetector


@pytest.fixture(scope="module")
def picture() -> Picture:
    import matplotlib.image
    from matplotlib import get_data_path

    rgb = np.asarray(matplotlib.image.imread(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg"), np.uint8)
    return np.ascontiguousarray(cv2.resize(rgb, (256, 320), interpolation=cv2.INTER_AREA)[:, :, ::-1])


def test_faces_lie_in_the_picture_best_first(new_detector: Callable[[], Detector], picture: Picture) -> None:
    faces = new_detector().detect(picture, width=2560, height=1600)
    assert faces
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)
    for face in faces:
        assert 0 < face.score <= 1
        assert 0 <= face.box.x <= face.box.x + face.box.w <= 2560
        assert 0 <= face.box.y <= face.box.y + face.box.h <= 1600
        assert face.box.w > 0 < face.box.h
        assert len(face.landmarks) == 5


def test_values_are_plain_numbers(new_detector: Callable[[], Detector], picture: Picture) -> None:
    face = new_detector().detect(picture, width=256, height=320)[0]
    values = (face.score, face.box.x, face.box.y, face.box.w, face.box.h, *(value for point in face.landmarks for value in point))
    assert {type(value) for value in values} == {float}, "numpy's scalars would leak into events"


def test_coordinates_scale_with_the_source(new_detector: Callable[[], Detector], picture: Picture) -> None:
    detector = new_detector()
    plain = detector.detect(picture, width=256, height=320)[0].box
    wide = detector.detect(picture, width=512, height=960)[0].box
    assert (wide.x, wide.y, wide.w, wide.h) == pytest.approx((plain.x * 2, plain.y * 3, plain.w * 2, plain.h * 3), rel=1e-3)


def test_the_picture_is_left_alone_and_the_answer_repeats(new_detector: Callable[[], Detector], picture: Picture) -> None:
    before = picture.copy()
    detector = new_detector()
    first = detector.detect(picture, width=256, height=320)
    assert detector.detect(picture, width=256, height=320) == first
    assert new_detector().detect(picture, width=256, height=320) == first
    assert (picture == before).all()


def test_nothing_is_found_in_the_dark(new_detector: Callable[[], Detector]) -> None:
    assert new_detector().detect(np.zeros((96, 128, 3), np.uint8), width=128, height=96) == ()


def test_what_is_no_picture_is_refused(new_detector: Callable[[], Detector]) -> None:
    with pytest.raises(ValueError, match="expected a picture"):
        new_detector().detect(np.zeros((96, 128), np.uint8), width=128, height=96)


def test_close_may_be_repeated_and_use_after_it_is_told(new_detector: Callable[[], Detector], picture: Picture) -> None:
    detector = new_detector()
    detector.close()
    detector.close()
    with pytest.raises(ModelError):
        detector.detect(picture, width=256, height=320)
