"""The model that ships: whole, small, the same on every backend, sensible on a real portrait."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ferstream.detection.detector import DetectorLimits
from ferstream.detection.factory import load_detector
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import Bundle, load_bundle
from ferstream.stills.analysis import PictureAnalyzer
from tests.support.bundles import random_crops
from tests.support.pictures import portrait, portrait_path

CROPS = random_crops(19)


@pytest.fixture(scope="module")
def shipped(root_dir: Path) -> Bundle:
    return load_bundle("emotion-edge", [root_dir / "models"])


def test_the_model_is_found_by_name_and_has_a_card(shipped: Bundle, root_dir: Path) -> None:
    assert load_bundle("emotion-edge").directory.resolve().is_relative_to(root_dir)
    assert "emotion-edge" in (shipped.directory / "CARD.md").read_text()


def test_the_served_files_are_at_most_ten_megabytes(shipped: Bundle) -> None:
    assert sum(shipped.file(name).stat().st_size for name in ("openvino.xml", "openvino.bin")) <= 10_000_000


def test_probabilities_do_not_depend_on_batching_or_streams(shipped: Bundle) -> None:
    one = open_classifier(shipped, backend="openvino")
    two = open_classifier(shipped, backend="openvino", threads=2)
    together = one.classify(CROPS)
    assert (two.classify(CROPS) == together).all()
    assert (np.concatenate([one.classify(CROPS[i : i + 3]) for i in range(0, len(CROPS), 3)]) == together).all()


def test_openvino_and_keras_agree(shipped: Bundle) -> None:
    pytest.importorskip("keras", reason="the Keras extra is not installed")
    openvino = open_classifier(shipped, backend="openvino").classify(CROPS)
    keras = open_classifier(shipped, backend="keras", deterministic=True).classify(CROPS)
    assert keras == pytest.approx(openvino, abs=0.06)  # bfloat16 against float32


def test_a_portrait_and_its_mirror_image_get_one_calm_or_friendly_label(shipped: Bundle, tmp_path: Path) -> None:
    mirrored = tmp_path / "mirrored.png"
    cv2.imwrite(str(mirrored), portrait()[:, ::-1])
    detector = load_detector().new_detector(DetectorLimits())
    analyzer = PictureAnalyzer(detector=detector, classifier=open_classifier(shipped, backend="openvino"))
    for path in (portrait_path(), mirrored):
        (face,) = analyzer.analyze(path).faces
        assert face.label in {"happy", "neutral"}
        assert face.confidence > 0.4
