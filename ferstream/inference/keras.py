"""The classifier on Keras 3, for NVIDIA GPUs: TensorFlow, JAX or torch underneath.

Shapes are static: crops are padded to the next power of two up to ``max_batch`` and a compiled call runs
them, so that nothing is traced again after ``warm_up``. ``predict()`` is never called: it costs tens
of milliseconds a call and leaks in a loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import numpy as np

from ferstream.errors import BundleError, ClassifierMemoryError, ModelError
from ferstream.inference.bundle import KERAS_FILE, Bundle
from ferstream.inference.classifier import CROP_PX, Crops, Probabilities, check_crops

Call = Callable[[Any], Any]

_MEMORY_SIGNS = ("resourceexhausted", "resource_exhausted", "out of memory", "outofmemory", "oom when", "bad_alloc")


class KerasClassifier:
    """Runs ``model.keras`` of a bundle."""

    def __init__(self, *, bundle: Bundle, max_batch: int = 32, deterministic: bool = False) -> None:
        """Load the model and compile its call.

        Args:
            bundle: A verified bundle that carries ``model.keras``.
            max_batch: Largest batch on the device, rounded up to a power of two.
            deterministic: One crop at a time. Kernels round by the size of a batch and, seen on a CPU, by a
                row's place in it: in any batch a row's last digits may depend on its company.

        Raises:
            BundleError: The file is missing or Keras cannot load it.
        """
        path = bundle.file(KERAS_FILE)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        self._manifest = bundle.manifest
        self._buckets = (1,) if deterministic else buckets(max_batch)
        self._staging = np.zeros((self._buckets[-1], CROP_PX, CROP_PX, 1), np.uint8)
        try:
            self._library, self._call = _load(str(path))
        except (ValueError, TypeError, OSError, RuntimeError, ImportError) as exc:
            raise BundleError(f"model {path}: Keras cannot load it: {_first_line(exc)}") from exc

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
        """``keras:<library>``."""
        return f"keras:{self._library}"

    @property
    def labels(self) -> tuple[str, ...]:
        """Label of each probability."""
        return self._manifest.labels

    @property
    def alignment_id(self) -> str:
        """Geometry that crops must have."""
        return self._manifest.alignment

    @property
    def max_batch(self) -> int:
        """Largest bucket."""
        return self._buckets[-1]

    def classify(self, crops: Crops) -> Probabilities:
        """Return (n, 7) float32 for (n, 48, 48) uint8; see ``Classifier.classify``."""
        check_crops(crops)
        if self._call is None:
            raise ModelError("the classifier was used after close()")
        rows = np.empty((len(crops), len(self.labels)), np.float32)
        for first in range(0, len(crops), self.max_batch):
            part = crops[first : first + self.max_batch]
            rows[first : first + len(part)] = self._run(part)
        return rows

    def warm_up(self) -> None:
        """Trace and run every bucket once."""
        for size in self._buckets:
            self.classify(np.zeros((size, CROP_PX, CROP_PX), np.uint8))

    def close(self) -> None:
        """Drop the model."""
        self._call = None

    def _run(self, part: Crops) -> Probabilities:
        size = next(bucket for bucket in self._buckets if bucket >= len(part))
        batch = self._staging[:size]
        batch[: len(part), :, :, 0] = part
        batch[len(part) :] = 0
        if self._call is None:
            raise ModelError("the classifier was used after close()")
        try:
            return np.asarray(self._call(batch), np.float32)[: len(part)]
        except Exception as exc:  # the three libraries share no base class for device errors
            raise _translate(exc) from exc


def buckets(max_batch: int) -> tuple[int, ...]:
    """Return the batch sizes that are compiled: powers of two up to the first that holds ``max_batch``."""
    largest = 1 << max(0, max_batch - 1).bit_length()
    return tuple(1 << power for power in range(largest.bit_length()))


def _load(path: str) -> tuple[str, Call | None]:
    import keras

    library = str(keras.backend.backend())
    if library == "tensorflow":
        _grow_memory()
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    return library, {"tensorflow": _tensorflow_call, "jax": _jax_call, "torch": _torch_call}[library](model)


def _grow_memory() -> None:
    """Let TensorFlow take GPU memory as it needs it instead of all at once."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, enable=True)
        except RuntimeError:  # the GPU is in use already: whoever initialised it chose
            return


def _tensorflow_call(model: Any) -> Call:
    import tensorflow as tf

    @cache
    def traced(size: int) -> Call:
        """Return the one graph of this batch size."""
        spec = tf.TensorSpec((size, CROP_PX, CROP_PX, 1), tf.uint8)
        return cast("Call", tf.function(lambda batch: model(batch, training=False)).get_concrete_function(spec))

    return lambda batch: traced(len(batch))(tf.constant(batch)).numpy()


def _jax_call(model: Any) -> Call:
    import jax

    trainable = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]
    function = jax.jit(lambda batch: model.stateless_call(trainable, fixed, batch, training=False)[0])
    return lambda batch: np.asarray(function(batch))


def _torch_call(model: Any) -> Call:
    import torch

    def call(batch: Crops) -> Any:
        with torch.no_grad():
            return model(batch, training=False).cpu().numpy()

    return call


def _translate(exc: Exception) -> ModelError:
    text = f"{type(exc).__name__} {exc}".lower()
    if isinstance(exc, MemoryError) or any(sign in text for sign in _MEMORY_SIGNS):
        return ClassifierMemoryError(f"the device ran out of memory: {_first_line(exc)}")
    return ModelError(f"Keras failed: {_first_line(exc)}")


def _first_line(exc: BaseException) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__
