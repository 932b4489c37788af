from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.detection.detector import Detector
from ferstream.detection.mask import PrivacyMask
from ferstream.domain.emotion import LABELS, Abstained
from ferstream.stills.analysis import PictureAnalyzer
from ferstream.stills.pictures import Picture
from tests.support.classifiers import ScriptedClassifier
from tests.support.pictures import portrait, portrait_path
from tests.support.stills import face_result


@pytest.fixture
def analyzer(detector: Detector) -> PictureAnalyzer:
    return PictureAnalyzer(detector=detector, classifier=ScriptedClassifier())


def save(path: Path, picture: Picture) -> Path:
    assert cv2.imwrite(str(path), picture)
    return path


def test_a_portrait_has_one_labelled_face(analyzer: PictureAnalyzer) -> None:
    result = analyzer.analyze(portrait_path())
    (face,) = result.faces
    assert face.crop is not None
    assert face.crop.shape == (48, 48)
    assert face.label in LABELS
    assert face.confidence == pytest.approx(0.7)
    assert face.abstained is None


def test_a_small_face_is_unknown_and_keeps_its_probabilities(analyzer: PictureAnalyzer, tmp_path: Path) -> None:
    tiny = cv2.resize(portrait(), (64, 75), interpolation=cv2.INTER_AREA)
    result = analyzer.analyze(save(tmp_path / "tiny.png", np.asarray(tiny, np.uint8)))
    (face,) = result.faces
    assert face.label == "unknown"
    assert face.best in LABELS
    assert face.probabilities is not None


def test_a_picture_without_a_face_has_no_results(analyzer: PictureAnalyzer, tmp_path: Path) -> None:
    assert analyzer.analyze(save(tmp_path / "wall.png", np.full((300, 400, 3), 90, np.uint8))).faces == ()


@pytest.mark.parametrize("side", [48, 20, 200])
def test_without_detection_the_picture_is_the_face(tmp_path: Path, side: int) -> None:
    classifier = ScriptedClassifier()
    picture = np.full((side, side, 3), 80, np.uint8)
    (face,) = PictureAnalyzer(detector=None, classifier=classifier).analyze(save(tmp_path / "f.png", picture)).faces
    assert face.crop is not None
    assert (face.crop == 80).all()
    assert face.best == LABELS[80 % 7]
    assert face.face is None


def test_a_fer2013_face_is_classified_pixel_for_pixel(tmp_path: Path) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    (face,) = PictureAnalyzer(detector=None, classifier=ScriptedClassifier()).analyze(save(tmp_path / "f.png", crop)).faces
    assert face.crop is not None
    assert (face.crop == crop).all()


def test_faces_are_numbered_from_left_to_right(analyzer: PictureAnalyzer, tmp_path: Path) -> None:
    canvas = np.full((600, 1000, 3), 128, np.uint8)
    for x, width in ((700, 256), (20, 120), (300, 340)):
        face = cv2.resize(portrait(), (width, width * 600 // 512), interpolation=cv2.INTER_AREA)
        canvas[: face.shape[0], x : x + width] = face
    faces = analyzer.analyze(save(tmp_path / "three.png", canvas)).faces
    lefts = [result.face.box.x for result in faces if result.face is not None]
    assert len(lefts) == 3
    assert lefts == sorted(lefts)


def test_the_reason_of_an_unknown_face_says_whose_confidence_it_is() -> None:
    assert face_result(abstained=Abstained.TURNED).reason == "turned; would be angry 0.50"
    assert face_result(abstained=Abstained.TURNED, probabilities=None, crop=None).reason == "turned"
    assert face_result().reason == ""


def test_a_mask_covers_faces_and_leaves_the_picture_as_it_was(detector: Detector) -> None:
    both = np.hstack([portrait(), portrait()])
    before = both.copy()
    mask = PrivacyMask([[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]])
    faces = PictureAnalyzer(detector=detector, classifier=ScriptedClassifier(), mask=mask).faces_of(both)
    assert [face.face is not None and face.face.box.x > portrait().shape[1] for face in faces] == [True]
    assert np.array_equal(both, before)
    assert PictureAnalyzer(detector=None, classifier=ScriptedClassifier(), mask=mask).faces_of(both)[0].crop is not None
