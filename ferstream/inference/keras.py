"""The classifier on Keras 3, for NVIDIA GPUs, with TensorFlow, JAX or torch as the backend.

Shapes are static: crops are padded to the next power of two up to ``max_batch``, and a compiled call runs them,
so that nothing is traced after ``warm_up``. ``Model.predict()`` is not used: it takes tens of milliseconds per
call and leaks memory in a loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.errors import BundleError, ClassifierMemoryError, ModelError, first_line
from ferstream.inference.bundle import KERAS_FILE, Bundle
from ferstream.inference.classifier import BundleClassifier, Crops, Probabilities, check_crops
from ferstream.inference.keras_file import check_keras_file

Call = Callable[[Any], Any]
"""(n, 48, 48, 1) uint8 to (n, 7) float32, for n of a bucket size."""

_MEMORY_SIGNS = ("resourceexhausted", "resource_exhausted", "out of memory", "outofmemory", "oom when", "bad_alloc")


@dataclass(frozen=True, slots=True)
class Network:
    """A loaded network.

    Attributes:
        library: Keras's backend: ``tensorflow``, ``jax`` or ``torch``.
        call: Runs the network on one batch.
    """

    library: str
    call: Call


def load_network(path: Path) -> Network:
    """Check and load a ``.keras`` file, and compile its call for the installed Keras backend; raises whatever Keras raises."""
    check_keras_file(path)
    import keras

    library = str(keras.backend.backend())
    if library == "tensorflow":
        _grow_memory()
    model = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    return Network(library, {"tensorflow": _tensorflow_call, "jax": _jax_call, "torch": torch_call}[library](model))


class KerasClassifier(BundleClassifier):
    """Runs ``model.keras`` of a bundle; see ``Classifier``."""

    def __init__(
        self, *, bundle: Bundle, max_batch: int = 32, deterministic: bool = False, load: Callable[[Path], Network] = load_network
    ) -> None:
        """Load the model.

        Args:
            bundle: A verified bundle that has ``model.keras``.
            max_batch: Largest batch on the device, rounded up to a power of two.
            deterministic: Run one crop at a time. In batches, the last digits of a row may depend on the size of the
                batch and (seen on a CPU) on the place of the row in it.
            load: Loads the file; tests pass their own.

        Raises:
            BundleError: The file is missing or Keras cannot load it.
        """
        path = bundle.file(KERAS_FILE)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        self._buckets = (1,) if deterministic else buckets(max_batch)
        self._staging = np.zeros((self._buckets[-1], FACE_SIZE_PX, FACE_SIZE_PX, 1), np.uint8)
        try:
            network = load(path)
        except ModelError as exc:
            raise BundleError(f"model {exc}") from exc
        except (ValueError, TypeError, OSError, RuntimeError, ImportError) as exc:
            raise BundleError(f"model {path}: Keras cannot load it: {first_line(exc)}") from exc
        self._call: Call | None = network.call
        super().__init__(manifest=bundle.manifest, backend=f"keras:{network.library}", max_batch=self._buckets[-1])

    def classify(self, crops: Crops) -> Probabilities:
        """Return (n, 7) float32 for (n, 48, 48) uint8; see ``Classifier.classify``."""
        check_crops(crops)
        call = self._call
        if call is None:
            raise ModelError("the classifier was used after close()")
        rows = np.empty((len(crops), len(self.labels)), np.float32)
        for first in range(0, len(crops), self.max_batch):
            part = crops[first : first + self.max_batch]
            rows[first : first + len(part)] = self._run(call, part)
        return rows

    def warm_up(self) -> None:
        """Trace and run every bucket once."""
        for size in self._buckets:
            self.classify(np.zeros((size, FACE_SIZE_PX, FACE_SIZE_PX), np.uint8))

    def close(self) -> None:
        """Free the model."""
        self._call = None

    def _run(self, call: Call, part: Crops) -> Probabilities:
        size = next(bucket for bucket in self._buckets if bucket >= len(part))
        batch = self._staging[:size]
        batch[: len(part), :, :, 0] = part
        batch[len(part) :] = 0
        try:
            return np.asarray(call(batch), np.float32)[: len(part)]
        except Exception as exc:  # the three libraries have no common base class of device errors
            raise _translate(exc) from exc


def buckets(max_batch: int) -> tuple[int, ...]:
    """Return the batch sizes that are compiled: powers of two, the largest at least ``max_batch``."""
    largest = 1 << max(0, max_batch - 1).bit_length()
    return tuple(1 << power for power in range(largest.bit_length()))


def _grow_memory() -> None:
    """Let TensorFlow take GPU memory as it needs it instead of all at once."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, enable=True)
        except RuntimeError:  # the GPU is already initialised, with the memory settings of that time
            return


def _tensorflow_call(model: Any) -> Call:
    import tensorflow as tf

    @cache
    def traced(size: int) -> Call:
        """Return the graph of this batch size."""
        spec = tf.TensorSpec((size, FACE_SIZE_PX, FACE_SIZE_PX, 1), tf.uint8)
        return cast("Call", tf.function(lambda batch: model(batch, training=False)).get_concrete_function(spec))

    return lambda batch: traced(len(batch))(tf.constant(batch)).numpy()


def _jax_call(model: Any) -> Call:
    import jax

    trainable = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]
    function = jax.jit(lambda batch: model.stateless_call(trainable, fixed, batch, training=False)[0])
    return lambda batch: np.asarray(function(batch))


def torch_call(model: Any) -> Call:
    """Return a compiled call, or refuse the model: Keras's own call on torch takes 20 to 37 ms on a GPU, whatever the batch.

    ``torch.export`` runs Keras's Python code once and keeps the operations; ``torch.compile`` merges them. ``fullgraph`` makes
    what cannot be compiled an error, where torch would otherwise go on without compiling and say nothing.
    """
    import torch

    model.eval()

    @cache
    def compiled(size: int) -> Call:
        """Return the compiled operations for this batch size, after one run of them."""
        example = torch.zeros((size, FACE_SIZE_PX, FACE_SIZE_PX, 1), dtype=torch.uint8, device=_torch_device(model))
        try:
            with torch.inference_mode():
                exported = torch.export.export(model, (example,)).module()
                call = torch.compile(exported, fullgraph=True, dynamic=False)
                call(example)
        except Exception as exc:  # export, compiler and device have no common base class of errors
            if _is_memory_error(exc):
                raise
            raise ModelError(
                f"Keras's backend torch cannot compile the network: {first_line(exc)}; it is not run without compiling, which takes "
                "20 ms or more a call. Set KERAS_BACKEND=jax or tensorflow"
            ) from exc
        return cast("Call", call)

    def run(batch: Crops) -> Any:
        call = compiled(len(batch))
        with torch.inference_mode():
            return call(torch.from_numpy(batch).to(_torch_device(model))).cpu().numpy()

    compiled(1)
    return run


def _torch_device(model: Any) -> Any:
    return next(iter(model.parameters())).device


def _translate(exc: Exception) -> ModelError:
    if isinstance(exc, ModelError):
        return exc
    if _is_memory_error(exc):
        return ClassifierMemoryError(f"the device ran out of memory: {first_line(exc)}")
    return ModelError(f"Keras failed: {first_line(exc)}")


def _is_memory_error(exc: Exception) -> bool:
    text = f"{type(exc).__name__} {exc}".lower()
    return isinstance(exc, MemoryError) or any(sign in text for sign in _MEMORY_SIGNS)
