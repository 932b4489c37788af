"""Classification of any number of crops by a classifier whose batches are limited. Called by the inference thread."""

from __future__ import annotations

import numpy as np

from ferstream.domain.emotion import LABELS
from ferstream.errors import ClassifierMemoryError, ModelError
from ferstream.inference.classifier import Classifier, Crops, Probabilities
from ferstream.runtime.observer import Observer


class BatchClassifier:
    """Splits crops into batches for a classifier, and halves the batch size when the device runs out of memory.

    Attributes:
        limit: Largest number of crops per call; it stays halved.
    """

    def __init__(self, classifier: Classifier, *, max_batch: int, observer: Observer) -> None:
        self._classifier, self._observer = classifier, observer
        self.limit = min(max_batch, classifier.max_batch)

    def __call__(self, crops: Crops) -> Probabilities:
        """Classify crops; there are as many rows as crops.

        Args:
            crops: (n, 48, 48) uint8, 0..255; n may be 0.

        Returns:
            (n, 7) float32 probabilities, in the order of the crops.

        Raises:
            ModelError: The classifier returned a wrong number of rows, or the device has not enough memory for one crop.
        """
        parts: list[Probabilities] = []
        done = 0
        while done < len(crops):
            piece = crops[done : done + self.limit]
            try:
                probabilities = self._classifier.classify(piece)
            except ClassifierMemoryError:
                self._halve()
                continue
            if len(probabilities) != len(piece):
                raise ModelError(f"{self._classifier.name}: {len(piece)} faces in, {len(probabilities)} out")
            self._observer.batch(len(piece))
            parts.append(probabilities)
            done += len(piece)
        return np.concatenate(parts) if parts else np.zeros((0, len(LABELS)), np.float32)

    def _halve(self) -> None:
        if self.limit == 1:
            raise ModelError('the device has not enough memory for one face; free some, or set inference.backend = "openvino"')
        self.limit //= 2
        self._observer.count("batch_limit_halved")
