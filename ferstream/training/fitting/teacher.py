"""Distillation: what a finished model says of the training faces, as targets beside the votes.

Ten votes are a rough sample of what people would say; a model that has seen many faces smooths over
it (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network"; Furlanello et al. 2018, "Born
Again Neural Networks"). The teacher is asked once, about the plain face and its mirror image.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ferstream.errors import DataError
from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import load_bundle

_ASKED_AT_ONCE = 256
_SMALLEST = 1e-6


def teacher_targets(
    model: str, pixels: npt.NDArray[np.uint8], on_asked: Callable[[int, int], None] = lambda done, of: None
) -> npt.NDArray[np.float32]:
    """Return a teacher's distributions for faces, in the same terms as its votes.

    A bundle is calibrated to be right about majorities; that sharpening is taken back here,
    so that its answers are shares of votes again.

    Args:
        model: Name, name/version or folder of a bundle.
        pixels: (N, 48, 48) uint8 grey faces.
        on_asked: Told how many of how many groups of faces were asked about.

    Returns:
        (N, 7) float32, rows sum to 1.

    Raises:
        BundleError: There is no such bundle, or it is damaged.
    """
    bundle = load_bundle(model)
    classifier = open_classifier(bundle)
    parts = [pixels[start : start + _ASKED_AT_ONCE] for start in range(0, len(pixels), _ASKED_AT_ONCE)]
    logits = []
    try:
        for asked, part in enumerate(parts, 1):
            logits.append(_logits(classifier.classify(part)) + _logits(classifier.classify(_mirrored(part))))
            on_asked(asked, len(parts))
    finally:
        classifier.close()
    scores = np.exp(np.concatenate(logits) * (bundle.manifest.temperature / 2))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True), np.float32)


def blend(targets: npt.NDArray[np.float32], taught: npt.NDArray[np.float32], weight: float) -> npt.NDArray[np.float32]:
    """Return ``weight`` parts of the teacher and the rest of the targets, both (N, 7).

    Raises:
        DataError: They are not of the same faces.
    """
    if targets.shape != taught.shape:
        raise DataError(f"the teacher answered with {taught.shape}, expected {targets.shape}")
    return np.asarray((1.0 - weight) * targets + weight * taught, np.float32)


def _logits(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))


def _mirrored(faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(faces[:, :, ::-1])
