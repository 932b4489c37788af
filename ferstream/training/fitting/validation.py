"""Run a network over faces, and score it on the validation faces after an epoch."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt

from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.targets import NO_MAJORITY, majority, soft_targets

CHUNK = 256
"""Faces per call. The last chunk is padded, so that a backend compiles one shape only."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Scores on the validation faces.

    Attributes:
        loss: Mean cross entropy against the targets.
        accuracy: Share of faces answered with their original label, 0..1.
        majority_accuracy: Share of faces with a FER+ majority answered with it, 0..1; None without votes.
    """

    loss: float
    accuracy: float
    majority_accuracy: float | None


def predict_logits(network: keras.Model, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the outputs (N, 7) float32 of a network with one head for faces (N, 48, 48) uint8."""
    return _predict(network, pixels)[""]


def _predict(network: keras.Model, pixels: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
    """Return the outputs (N, 7) of each head; the only head of a network has no name."""
    chunk = min(CHUNK, len(pixels))
    outputs: dict[str, list[npt.NDArray[np.float32]]] = {}
    for start in range(0, len(pixels), chunk):
        part = pixels[start : start + chunk, :, :, None]
        padded = np.pad(part, ((0, chunk - len(part)), (0, 0), (0, 0), (0, 0)))
        answers = network.predict_on_batch(padded)
        for head, answer in (answers if isinstance(answers, dict) else {"": answers}).items():
            outputs.setdefault(head, []).append(np.asarray(answer, np.float32)[: len(part)])
    return {head: np.concatenate(rows) for head, rows in outputs.items()}


def validate(network: keras.Model, faces: FaceSet, *, label_weight: float = 0.0) -> Validation:
    """Score ``faces`` with the network's present weights.

    Args:
        network: Gives logits. Of two heads, ``labels`` is scored on the original labels and ``votes`` on all else.
        faces: The validation faces.
        label_weight: As in the recipe, so that the loss is against the targets of training.
    """
    outputs = _predict(network, faces.pixels)
    logits, for_labels = outputs.get("votes", outputs.get("")), outputs.get("labels", outputs.get(""))
    assert logits is not None
    assert for_labels is not None
    with np.errstate(invalid="ignore"):  # the caller reports a loss that is not a number
        log_probability = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    targets = soft_targets(faces, label_weight=label_weight)
    return Validation(
        loss=float(-(targets * log_probability).sum(axis=1).mean()),
        accuracy=float((for_labels.argmax(axis=1) == faces.labels).mean()),
        majority_accuracy=_majority_accuracy(logits.argmax(axis=1), faces),
    )


def _majority_accuracy(best: npt.NDArray[np.int64], faces: FaceSet) -> float | None:
    if faces.votes is None:
        return None
    classes = majority(faces.votes)
    has_majority = classes != NO_MAJORITY
    return float((best == classes)[has_majority].mean()) if has_majority.any() else None
