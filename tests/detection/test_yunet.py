"""The YuNet detector on OpenVINO."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.detection.detector import DetectorLimits, Picture
from ferstream.detection.weights import find_weights
from ferstream.detection.yunet import YuNet, YuNetModel
from ferstream.errors import ModelError


@pytest.fixture(scope="module")
def model() -> YuNetModel:
    return YuNetModel(weights=find_weights(), workers=2)


@pytest.fixture(scope="module")
def portrait() -> Picture:
    """A face that ships with matplotlib, 320 x 384, BGR."""
    import matplotlib.image

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    rgb = np.asarray(matplotlib.image.imread(path), np.uint8)
    return np.ascontiguousarray(cv2.resize(rgb, (320, 384), interpolation=cv2.INTER_AREA)[:, :, ::-1])


@pytest.fixture
def detector(model: YuNetModel) -> YuNet:
    return model.new_detector(DetectorLimits())


def test_a_portrait_is_one_face_with_landmarks_in_the_right_places(detector: YuNet, portrait: Picture) -> None:
    (face,) = detector.detect(portrait, width=320, height=384)
    right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
    assert face.score > 0.85
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_eye[1] < nose[1] < right_mouth[1]
    assert right_mouth[0] < left_mouth[0]
    assert face.box.x < right_eye[0] and left_eye[0] < face.box.x + face.box.w


def test_results_are_those_of_opencv(detector: YuNet, portrait: Picture) -> None:
    reference = cv2.FaceDetectorYN.create(str(find_weights()), "", (320, 384), 0.7, 0.3, 5000)
    row = reference.detect(portrait)[1][0]
    (face,) = detector.detect(portrait, width=320, height=384)
    assert [face.box.x, face.box.y, face.box.w, face.box.h] == pytest.approx(row[:4].tolist(), abs=0.05)
    assert np.ravel(face.landmarks).tolist() == pytest.approx(row[4:14].tolist(), abs=0.05)
    assert face.score == pytest.approx(float(row[14]), abs=1e-4)


def test_results_are_in_source_pixels_with_separate_scales_in_x_and_y(detector: YuNet, portrait: Picture) -> None:
    (plain,) = detector.detect(portrait, width=320, height=384)
    (scaled,) = detector.detect(portrait, width=640, height=1152)
    assert scaled.box.w == pytest.approx(plain.box.w * 2, rel=1e-4)
    assert scaled.box.h == pytest.approx(plain.box.h * 3, rel=1e-4)
    assert scaled.landmarks[2] == pytest.approx((plain.landmarks[2][0] * 2, plain.landmarks[2][1] * 3), rel=1e-4)


def test_a_size_that_is_not_a_multiple_of_32_is_padded_not_stretched(detector: YuNet, portrait: Picture) -> None:
    (whole,) = detector.detect(portrait, width=320, height=384)
    (cut,) = detector.detect(np.ascontiguousarray(portrait[:370, :310]), width=310, height=370)
    assert cut.box.x == pytest.approx(whole.box.x, abs=3)
    assert cut.landmarks[2] == pytest.approx(whole.landmarks[2], abs=3)


def test_a_view_of_a_picture_gives_the_same_result(detector: YuNet, portrait: Picture) -> None:
    wide = np.zeros((384, 640, 3), np.uint8)
    wide[:, :320] = portrait
    assert detector.detect(wide[:, :320], width=320, height=384) == detector.detect(portrait, width=320, height=384)


def test_boxes_are_clipped_and_small_faces_are_left_out(model: YuNetModel, portrait: Picture) -> None:
    (face,) = model.new_detector(DetectorLimits()).detect(portrait, width=320, height=384)
    middle = int(face.box.x + face.box.w / 2) // 32 * 32
    cut = np.ascontiguousarray(portrait[:, middle - 32 :])
    for found in model.new_detector(DetectorLimits(score=0.3)).detect(cut, width=cut.shape[1], height=384):
        assert found.box.x >= 0 and found.box.x + found.box.w <= cut.shape[1]
    shorter = min(face.box.w, face.box.h)
    assert model.new_detector(DetectorLimits(min_face_px=shorter - 1)).detect(portrait, width=320, height=384)
    assert not model.new_detector(DetectorLimits(min_face_px=shorter + 1)).detect(portrait, width=320, height=384)


def test_faces_come_best_first_wherever_they_are(detector: YuNet, portrait: Picture) -> None:
    blurred = np.asarray(cv2.GaussianBlur(portrait, (0, 0), 3), np.uint8)
    for left, right in ((portrait, blurred), (blurred, portrait)):
        both = np.ascontiguousarray(np.hstack([left, right]))
        scores = [face.score for face in detector.detect(both, width=640, height=384)]
        assert len(scores) == 2
        assert scores == sorted(scores, reverse=True)


def test_noise_and_flat_pictures_have_no_face(detector: YuNet) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    for picture in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        assert detector.detect(picture, width=256, height=256) == ()


def test_parallel_workers_give_the_same_bits_as_one(model: YuNetModel, portrait: Picture) -> None:
    pictures = [np.ascontiguousarray(np.roll(portrait, shift, axis=1)) for shift in range(0, 40, 4)]
    alone = model.new_detector(DetectorLimits(score=0.3))
    wanted = [alone.detect(picture, width=320, height=384) for picture in pictures]
    results: list[list[object]] = [[], [], []]

    def work(number: int) -> None:
        mine = model.new_detector(DetectorLimits(score=0.3))
        results[number].extend(mine.detect(picture, width=320, height=384) for picture in pictures)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [wanted] * 3


def test_picture_sizes_may_alternate(detector: YuNet, portrait: Picture) -> None:
    half = np.asarray(cv2.resize(portrait, (160, 192), interpolation=cv2.INTER_AREA), np.uint8)
    first = detector.detect(portrait, width=320, height=384)
    detector.detect(half, width=160, height=192)
    assert detector.detect(portrait, width=320, height=384) == first


@pytest.mark.parametrize(("shape", "dtype"), [((64, 64), "uint8"), ((64, 64, 4), "uint8"), ((64, 64, 3), "float32"), ((0, 64, 3), "uint8")])
def test_an_array_that_is_not_a_picture_is_an_error(detector: YuNet, shape: tuple[int, ...], dtype: str) -> None:
    picture = np.zeros(shape, dtype)
    with pytest.raises(ValueError, match="expected a picture"):
        detector.detect(picture, width=64, height=64)


def test_use_after_close_is_an_error(model: YuNetModel, portrait: Picture) -> None:
    detector = model.new_detector(DetectorLimits())
    detector.close()
    detector.close()
    with pytest.raises(ModelError, match="after close"):
        detector.detect(portrait, width=320, height=384)


def test_a_file_that_is_not_a_model_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "face.onnx"
    path.write_text("not a network")
    with pytest.raises(ModelError, match=r"face\.onnx cannot be read"):
        YuNetModel(weights=path)


def test_another_network_is_an_error(tmp_path: Path) -> None:
    import openvino
    from openvino import opset13

    given = opset13.parameter([1, 3, 64, 64], np.float32, name="input")
    openvino.save_model(openvino.Model([opset13.relu(given)], [given], "other"), tmp_path / "other.xml")
    with pytest.raises(ModelError, match="is not a YuNet face detector"):
        YuNetModel(weights=tmp_path / "other.xml")


def test_the_message_names_an_unknown_device_and_the_cause(portrait: Picture) -> None:
    detector = YuNetModel(weights=find_weights(), device="tpu").new_detector(DetectorLimits())
    with pytest.raises(ModelError, match=r"device TPU: .*not registered") as caught:
        detector.detect(portrait, width=320, height=384)
    assert "Exception from" not in str(caught.value)


def test_a_warm_model_compiles_nothing_at_the_first_picture(portrait: Picture) -> None:
    model = YuNetModel(weights=find_weights())
    model.warm_up(320, 384)
    assert model.new_detector(DetectorLimits()).detect(portrait, width=320, height=384)
    with pytest.raises(ModelError, match="cannot be compiled"):
        YuNetModel(weights=find_weights(), device="tpu").warm_up(320, 384)


def test_a_closed_model_compiles_nothing_and_its_detectors_keep_their_networks(portrait: Picture) -> None:
    model = YuNetModel(weights=find_weights())
    detector = model.new_detector(DetectorLimits())
    before = detector.detect(portrait, width=320, height=384)
    model.close()
    model.close()
    assert detector.detect(portrait, width=320, height=384) == before
    with pytest.raises(ModelError, match="after close"):
        model.new_detector(DetectorLimits()).detect(portrait, width=320, height=384)


def test_with_keep_sizes_only_the_networks_used_last_are_kept() -> None:
    model = YuNetModel(weights=find_weights(), keep_sizes=2)
    compiled = [model.request(side, 64) for side in (64, 96, 64, 128)]
    assert len(compiled) == 4
    assert model.sizes == ((64, 64), (128, 64))


def test_without_keep_sizes_every_network_is_kept(model: YuNetModel) -> None:
    for side in (64, 96, 128):
        model.warm_up(side, 64)
    assert {(64, 64), (96, 64), (128, 64)} <= set(model.sizes)
