"""Training batches: shuffled and augmented faces with their targets, equal on every backend for one seed."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ferstream.domain.emotion import LABELS
from ferstream.training.data.augment import Augmentation
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.selection import check_batch
from ferstream.training.data.targets import blend, soft_targets

Batch = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]
"""Faces (B, 48, 48, 1) uint8, targets (B, 7) float32, weights (B,) float32."""

MAX_CLASS_WEIGHT = 5.0


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches for ``epoch()`` or for Keras's own ``fit``.

    Faces that do not fill the last batch are left out of that epoch; each epoch has another order.
    """

    def __init__(
        self,
        *,
        faces: FaceSet,
        batch: int,
        seed: int,
        augmentation: Augmentation | None,
        label_weight: float = 0.0,
        smoothing: float = 0.0,
        mixup: float = 0.0,
        class_weights: bool = False,
    ) -> None:
        """Compute targets and weights.

        Args:
            faces: The training faces.
            batch: Faces a batch.
            seed: Of the order and the augmentation.
            augmentation: How faces are varied; None leaves them unchanged.
            label_weight: Weight of the original label beside FER+ votes, 0..1.
            smoothing: Weight of the uniform distribution in the targets, 0..1.
            mixup: Both parameters of the Beta distribution that mixup draws from; 0 turns mixup off.
            class_weights: Whether faces of rare classes weigh more in the loss.

        Raises:
            DataError: There are fewer faces than one batch.
        """
        super().__init__()
        check_batch(faces, batch)
        self._pixels = faces.pixels
        self._class_weights = class_weights
        self._set_targets(soft_targets(faces, label_weight=label_weight, smoothing=smoothing))
        self._batch = batch
        self._seed = seed
        self._augmentation = augmentation
        self._mixup = mixup
        self._epoch = 0

    def blend_in(self, teacher: NDArray[np.float32], weight: float) -> None:
        """Blend a teacher's targets (N, 7) into the targets; ``weight`` 0..1 is the teacher's.

        Raises:
            DataError: There is not one row for each face.
        """
        self._set_targets(blend(self._targets, teacher, weight))

    def _set_targets(self, targets: NDArray[np.float32]) -> None:
        self._targets = targets
        self._weights = targets @ balance(targets) if self._class_weights else np.ones(len(targets), np.float32)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._pixels) // self._batch

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of ``epoch`` (from 0). They depend on the seed and the epoch only."""
        self.start(epoch)
        for index in range(len(self)):
            yield self[index]

    def start(self, epoch: int) -> None:
        """Go to ``epoch`` (from 0)."""
        self._epoch = epoch

    def __getitem__(self, index: int) -> Batch:
        """Return batch ``index`` of the current epoch."""
        order = np.random.default_rng((self._seed, self._epoch)).permutation(len(self._pixels))
        random = np.random.default_rng((self._seed, self._epoch, index + 1))
        return self._make(order[index * self._batch : (index + 1) * self._batch], random)

    def on_epoch_end(self) -> None:
        """Go to the next epoch; called by Keras's ``fit``."""
        self._epoch += 1

    def _make(self, chosen: NDArray[np.int64], random: Generator) -> Batch:
        faces = self._pixels[chosen]
        if self._augmentation is not None:
            faces = self._augmentation(faces, random)
        targets, weights = self._targets[chosen], self._weights[chosen]
        if self._mixup:
            faces, targets = mix(faces, targets, random.beta(self._mixup, self._mixup), random)
        return faces[..., None], targets, weights.astype(np.float32)


def mix(
    faces: NDArray[np.uint8], targets: NDArray[np.float32], share: float, random: Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Blend each face and its target with those of another face of the batch (mixup, Zhang et al. 2018).

    Args:
        faces: (B, 48, 48) uint8.
        targets: (B, 7) float32.
        share: Weight of the face itself, 0..1.
        random: Draws the partners.
    """
    other = random.permutation(len(faces))
    mixed = share * faces.astype(np.float32) + (1.0 - share) * faces[other]
    return np.rint(mixed).astype(np.uint8), (share * targets + (1.0 - share) * targets[other]).astype(np.float32)


def balance(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return class weights (7,) for targets (N, 7): inverse to the share of a class, mean 1 over the rows, at most ``MAX_CLASS_WEIGHT``."""
    share = targets.mean(axis=0)
    weights = np.minimum(1.0 / (len(LABELS) * np.maximum(share, 1e-6)), MAX_CLASS_WEIGHT)
    return np.asarray(weights / (weights @ share), np.float32)
