"""The classifier on OpenVINO: CPU first, and whatever else OpenVINO drives (GPU, NPU).

One crop is one inference, ``streams`` of them in flight on one thread each. Batches were measured
to gain nothing on a CPU (docs/adr/0010), and a row computed alone cannot depend on its neighbours,
so a replay is byte-identical however the batcher cuts the faces. Tensors are allocated once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ferstream.errors import BundleError, ClassifierMemoryError, ModelError
from ferstream.inference.bundle import OPENVINO_BIN, OPENVINO_XML, Bundle
from ferstream.inference.classifier import CROP_PX, Crops, Probabilities, check_crops
from ferstream.runtime.import_blocking import without

with without("openvino.tools.ovc"):  # the model converter: half of the import's time, never used here
    import openvino

_MEMORY_SIGNS = ("out of memory", "out_of_memory", "out_of_resources", "bad_alloc", "not enough memory")


class OpenVinoClassifier:
    """Runs ``openvino.xml`` of a bundle."""

    def __init__(self, *, bundle: Bundle, device: str = "CPU", streams: int = 1, max_batch: int = 32, precision: str = "auto") -> None:
        """Compile the model.

        Args:
            bundle: A verified bundle that carries the OpenVINO files.
            device: OpenVINO's name: ``CPU``, ``GPU``, ``NPU``, ``AUTO``.
            streams: Inferences in flight; on a CPU each takes one thread.
            max_batch: Most crops the batcher should hand over at once.
            precision: ``auto`` (the fastest the device has: bfloat16 on newer CPUs) or ``f32``.

        Raises:
            BundleError: The files are missing or cannot be compiled for the device.
        """
        self._manifest = bundle.manifest
        self._device = device
        self._max_batch = max_batch
        compiled = _compile(bundle, device, streams, precision)
        self._requests = [_Request(compiled) for _ in range(max(1, streams))]

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
        """``openvino:<device>``."""
        return f"openvino:{self._device}"

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
        """Most crops worth handing over at once."""
        return self._max_batch

    def classify(self, crops: Crops) -> Probabilities:
        """Return (n, 7) float32 for (n, 48, 48) uint8; see ``Classifier.classify``."""
        check_crops(crops)
        if not self._requests:
            raise ModelError("the classifier was used after close()")
        rows = np.empty((len(crops), len(self.labels)), np.float32)
        try:
            for first in range(0, len(crops), len(self._requests)):
                self._run(crops[first:], rows[first:])
        except (RuntimeError, MemoryError) as exc:
            raise _translate(exc) from exc
        return rows

    def warm_up(self) -> None:
        """Run one blank crop on every stream."""
        self.classify(np.zeros((len(self._requests), CROP_PX, CROP_PX), np.uint8))

    def close(self) -> None:
        """Drop the compiled model."""
        self._requests = []

    def _run(self, crops: Crops, rows: Probabilities) -> None:
        running = self._requests[: len(crops)]
        for request, crop in zip(running, crops, strict=False):
            request.start(crop)
        for request, row in zip(running, rows, strict=False):
            row[:] = request.wait()


class _Request:
    """One infer request with its own input and output memory."""

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._request = compiled.create_infer_request()
        self._input = self._request.get_input_tensor().data.reshape(CROP_PX, CROP_PX)
        self._output: Probabilities = self._request.get_output_tensor().data[0]

    def start(self, crop: Crops) -> None:
        """Copy a (48, 48) crop in and begin; the GIL is free while it computes."""
        self._input[:] = crop
        self._request.start_async()

    def wait(self) -> Probabilities:
        """Return the (7,) result, valid until the next start."""
        self._request.wait()
        return self._output


def _compile(bundle: Bundle, device: str, streams: int, precision: str) -> openvino.CompiledModel:
    xml = bundle.file(OPENVINO_XML)
    bundle.file(OPENVINO_BIN)
    config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if device == "CPU":
        # Unpinned: a pinned thread would wait for its core while a detection worker is on it and another core is free.
        config |= {"INFERENCE_NUM_THREADS": streams, "NUM_STREAMS": str(streams), "ENABLE_CPU_PINNING": False}
    if precision != "auto":
        config["INFERENCE_PRECISION_HINT"] = precision
    try:
        core = openvino.Core()
        model = core.read_model(xml)
        model.reshape([1, CROP_PX, CROP_PX, 1])
        compiled = core.compile_model(model, device, config)
        _check_signature(compiled, len(bundle.manifest.labels))
    except RuntimeError as exc:
        raise BundleError(f"model {xml}: OpenVINO cannot load it on {device}: {_first_line(exc)}") from exc
    return compiled


def _check_signature(compiled: openvino.CompiledModel, classes: int) -> None:
    given, result = compiled.input(0), compiled.output(0)
    if given.element_type != openvino.Type.u8 or list(result.shape) != [1, classes]:
        msg = f"takes {given.element_type} and gives {list(result.shape)}, expected uint8 and [1, {classes}]"
        raise RuntimeError(msg)


def _translate(exc: BaseException) -> ModelError:
    text = str(exc).lower()
    if isinstance(exc, MemoryError) or any(sign in text for sign in _MEMORY_SIGNS):
        return ClassifierMemoryError(f"the device ran out of memory: {_first_line(exc)}")
    return ModelError(f"OpenVINO failed: {_first_line(exc)}")


def _first_line(exc: BaseException) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if lines else type(exc).__name__
