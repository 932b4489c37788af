"""Distillation: the probabilities of a finished model as targets beside the votes.

Ten votes are a small sample of what people would say. A model that has seen many faces averages over that noise
(Hinton et al. 2015, "Distilling the Knowledge in a Neural Network"; Furlanello et al. 2018, "Born Again Neural
Networks"). The teacher classifies each training face and its mirror image once, before the first epoch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ferstream.inference.backends import open_classifier
from ferstream.inference.bundle import load_bundle

_CHUNK = 256
_SMALLEST = 1e-6


def teacher_targets(
    model: str, pixels: npt.NDArray[np.uint8], on_chunk: Callable[[int, int], None] = lambda done, total: None
) -> npt.NDArray[np.float32]:
    """Return the teacher's probabilities for faces, without its temperature.

    A bundle's temperature makes its probabilities fit FER+ majorities. It is removed here, because the targets of
    training are shares of votes.

    Args:
        model: Name, name/version or folder of a bundle.
        pixels: (N, 48, 48) uint8 grey faces.
        on_chunk: Called after each chunk of faces with the number of chunks done and their total.

    Returns:
        (N, 7) float32, rows sum to 1.

    Raises:
        BundleError: The bundle does not exist or is damaged.
    """
    bundle = load_bundle(model)
    classifier = open_classifier(bundle)
    chunks = [pixels[start : start + _CHUNK] for start in range(0, len(pixels), _CHUNK)]
    logits = []
    try:
        for done, chunk in enumerate(chunks, 1):
            logits.append(_logits(classifier.classify(chunk)) + _logits(classifier.classify(_mirrored(chunk))))
            on_chunk(done, len(chunks))
    finally:
        classifier.close()
    scores = np.exp(np.concatenate(logits) * (bundle.manifest.temperature / 2))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True), np.float32)


def _logits(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))


def _mirrored(faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(faces[:, :, ::-1])
