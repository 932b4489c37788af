"""Training batches: shuffled, augmented and targeted, the same for a seed on every backend."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ferstream.domain.emotion import LABELS
from ferstream.errors import DataError
from ferstream.training.data.augment import Augmentation
from ferstream.training.data.dataset import FaceSet
from ferstream.training.data.targets import soft_targets
from ferstream.training.fitting.teacher import blend

Batch = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]

MAX_CLASS_WEIGHT = 5.0


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of (faces (B, 48, 48, 1) uint8, targets (B, 7), weights (B,)), for ``epoch()`` or Keras's own ``fit``.

    What does not fill a batch is left out; the next epoch's order is another one.
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
        """Prepare targets and weights.

        Raises:
            DataError: There are fewer faces than one batch.
        """
        super().__init__()
        if len(faces) < batch:
            raise DataError(f"{faces.source}: {len(faces)} training faces do not fill one batch of {batch}")
        self._pixels = faces.pixels
        self._class_weights = class_weights
        self._teach(soft_targets(faces, label_weight=label_weight, smoothing=smoothing))
        self._batch = batch
        self._seed = seed
        self._augmentation = augmentation
        self._mixup = mixup
        self._epoch = 0

    def blend_in(self, taught: NDArray[np.float32], weight: float) -> None:
        """Let a teacher's targets (N, 7) have a share of ours.

        Raises:
            DataError: They are not of these faces.
        """
        self._teach(blend(self._targets, taught, weight))

    def _teach(self, targets: NDArray[np.float32]) -> None:
        self._targets = targets
        self._weights = targets @ balance(targets) if self._class_weights else np.ones(len(targets), np.float32)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._pixels) // self._batch

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of ``epoch``, 0-based; depends on the seed and the epoch alone."""
        self._epoch = epoch
        for index in range(len(self)):
            yield self[index]

    def __getitem__(self, index: int) -> Batch:
        """Return one batch of the epoch at hand."""
        order = np.random.default_rng((self._seed, self._epoch)).permutation(len(self._pixels))
        random = np.random.default_rng((self._seed, self._epoch, index + 1))
        return self._make(order[index * self._batch : (index + 1) * self._batch], random)

    def on_epoch_end(self) -> None:
        """Go to the next epoch, when Keras's ``fit`` drives."""
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
    """Blend each face and target with another of the batch (mixup, Zhang et al. 2018); ``share`` 0..1."""
    other = random.permutation(len(faces))
    mixed = share * faces.astype(np.float32) + (1.0 - share) * faces[other]
    return np.rint(mixed).astype(np.uint8), (share * targets + (1.0 - share) * targets[other]).astype(np.float32)


def balance(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a weight (7,) a class, inverse to its share, mean 1 over the rows, at most ``MAX_CLASS_WEIGHT``."""
    share = targets.mean(axis=0)
    weights = np.minimum(1.0 / (len(LABELS) * np.maximum(share, 1e-6)), MAX_CLASS_WEIGHT)
    return np.asarray(weights / (weights @ share), np.float32)
