"""The classifier Protocol, whichever library runs the model, and what classifiers of a model bundle share.

A classifier is used by one thread at a time: the inference thread.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.inference.manifest import Manifest

Crops = npt.NDArray[np.uint8]
"""(n, 48, 48) uint8, grey, full range 0..255, in the geometry of the model's alignment."""

Probabilities = npt.NDArray[np.float32]
"""(n, 7) float32, columns in ``LABELS`` order, each row summing to 1."""


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
        """Library and device that run the model: ``openvino:CPU``, ``keras:tensorflow``, ..."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label of each probability, always equal to ``LABELS``."""

    @property
    def alignment_id(self) -> str:
        """Id of the geometry of the crops, a key of ``alignment.ALIGNMENTS``."""

    @property
    def max_batch(self) -> int:
        """Largest useful number of crops per call; longer arrays are allowed and split."""

    def classify(self, crops: Crops) -> Probabilities:
        """Return one row of probabilities per crop, in order; releases the GIL while the model runs.

        Whether a row may depend on the other crops of the call is up to the adapter: never with OpenVINO, and
        with Keras not when it is opened as ``deterministic``.

        Args:
            crops: (n, 48, 48) uint8, 0..255; n may be 0.

        Returns:
            (n, 7) float32, owned by the caller.

        Raises:
            ValueError: ``crops`` has another shape or dtype (a bug of the caller).
            ClassifierMemoryError: The device has not enough memory; a smaller batch may fit.
            ModelError: The device failed in another way.
        """

    def warm_up(self) -> None:
        """Run every prepared batch size once, so that the first real face is not slower than the next one."""

    def close(self) -> None:
        """Free the device; may be called again."""


class BundleClassifier:
    """Base of the adapters: the properties of a classifier whose model comes from a bundle."""

    def __init__(self, *, manifest: Manifest, backend: str, max_batch: int) -> None:
        """Keep what the properties return.

        Args:
            manifest: Manifest of the bundle.
            backend: Library and device, ``<library>:<device>``.
            max_batch: Largest useful number of crops per call.
        """
        self._manifest, self._backend, self._max_batch = manifest, backend, max_batch

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._manifest.name

    @property
    def version(self) -> str:
        """Version of the model."""
        return self._manifest.version

    @property
    def backend(self) -> str:
        """Library and device that run the model."""
        return self._backend

    @property
    def labels(self) -> tuple[str, ...]:
        """Label of each probability."""
        return self._manifest.labels

    @property
    def alignment_id(self) -> str:
        """Id of the geometry of the crops."""
        return self._manifest.alignment

    @property
    def max_batch(self) -> int:
        """Largest useful number of crops per call."""
        return self._max_batch


def check_crops(crops: Crops) -> None:
    """Raise ValueError unless ``crops`` is (n, 48, 48) uint8; the message has the expected and the actual shape."""
    if crops.ndim != 3 or crops.shape[1:] != (FACE_SIZE_PX, FACE_SIZE_PX) or crops.dtype != np.uint8:
        msg = f"expected crops (n, {FACE_SIZE_PX}, {FACE_SIZE_PX}) uint8, got {crops.shape} {crops.dtype}"
        raise ValueError(msg)
