"""The seam of inference: what a classifier is, whichever library runs it.

A classifier is used by one thread at a time (the batcher's); it releases the GIL while it computes.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

CROP_PX = 48
"""Height and width of a crop in pixels."""

Crops = npt.NDArray[np.uint8]
"""(n, 48, 48) uint8, grey, full range 0..255, in the canonical geometry of the model's alignment."""

Probabilities = npt.NDArray[np.float32]
"""(n, 7) float32, rows in ``LABELS`` order, each summing to 1."""


class Classifier(Protocol):
    """Turns aligned crops into probabilities of the seven expressions."""

    @property
    def name(self) -> str:
        """Name of the model, such as ``emotion-edge``."""

    @property
    def version(self) -> str:
        """Version of the model, such as ``1.0.0``."""

    @property
    def backend(self) -> str:
        """What computes: ``openvino:CPU``, ``keras:tensorflow``, ..."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label of each probability, always equal to ``LABELS``."""

    @property
    def alignment_id(self) -> str:
        """Geometry that crops must have; see ``alignment.py``."""

    @property
    def max_batch(self) -> int:
        """Largest number of crops worth handing over at once; more is legal and is split."""

    def classify(self, crops: Crops) -> Probabilities:
        """Return one row of probabilities per crop, in order.

        A row does not depend on the other rows of the call where ``deterministic`` batching is
        promised by the adapter (OpenVINO always, Keras one crop at a time).

        Args:
            crops: (n, 48, 48) uint8, 0..255; n may be 0.

        Returns:
            (n, 7) float32, owned by the caller.

        Raises:
            ValueError: The shape or dtype is another one (a bug of the caller).
            ClassifierMemoryError: The device ran out of memory; a smaller batch may fit.
            ModelError: The device failed in another way.
        """

    def warm_up(self) -> None:
        """Run every prepared shape once, so that the first real face is not slower than the next."""

    def close(self) -> None:
        """Free the device; calling it again does nothing."""


def check_crops(crops: Crops) -> None:
    """Raise ValueError unless ``crops`` is (n, 48, 48) uint8; the message has both shapes."""
    if crops.ndim != 3 or crops.shape[1:] != (CROP_PX, CROP_PX) or crops.dtype != np.uint8:
        msg = f"expected crops (n, {CROP_PX}, {CROP_PX}) uint8, got {crops.shape} {crops.dtype}"
        raise ValueError(msg)
