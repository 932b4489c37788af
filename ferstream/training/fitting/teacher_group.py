"""A group of teachers: networks with two heads that answer for the faces a student sees, in the same training step.

A teacher that sees the very face the student sees, varied and mixed as it is, says more than one that classified the
plain face once (Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and consistent").
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import keras
import numpy as np
from keras import ops

from ferstream.training.bundle_heads import read_two_headed
from ferstream.training.two_heads import HEADS


def load_teachers(models: Sequence[str]) -> list[keras.Model]:
    """Load the networks of a group; none of their weights is trained.

    Args:
        models: Files ``.keras`` with two heads; or names, name/versions or folders of bundles that were made from one.

    Raises:
        BundleError: A bundle does not exist or is damaged.
        ModelError: A file is missing or has no two heads.
    """
    teachers = []
    for model in models:
        teacher = read_two_headed(model).network
        teacher.trainable = False
        teachers.append(teacher)
    return teachers


def digest_of(teachers: Sequence[keras.Model]) -> str:
    """Return what identifies the weights of a group, so that a run does not go on with other teachers under the same names."""
    digest = blake2b(digest_size=16)
    for teacher in teachers:
        for weight in teacher.get_weights():
            digest.update(str(weight.shape).encode() + np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def answers_of(teachers: Sequence[keras.Model], faces: Any, temperature: float) -> dict[str, Any]:
    """Return for each head the mean of the teachers' probabilities (B, 7) float32, each softened by the temperature.

    Args:
        teachers: At least one network with two heads.
        faces: (B, 48, 48, 1) uint8.
        temperature: Divides the logits.
    """
    answers = [teacher(faces, training=False) for teacher in teachers]
    means: dict[str, Any] = {}
    for head in HEADS:
        softened = [ops.softmax(ops.cast(answer[head], "float32") / temperature) for answer in answers]
        means[head] = ops.stop_gradient(sum(softened[1:], start=softened[0]) / len(softened))
    return means
