"""The classifier on OpenVINO: the CPU by default, or another device that OpenVINO supports (GPU, NPU).

One crop is one inference; ``streams`` inferences run at the same time, each on one thread. Batches were measured
to be no faster on a CPU (docs/adr/0010-inference-backends.md). A row that is computed alone cannot depend on other crops, so a replay is
byte-identical in whatever batches the crops come. Tensors are allocated once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ferstream.domain.face import FACE_SIZE_PX, FaceImage
from ferstream.errors import BundleError, ClassifierMemoryError, ModelError, last_line
from ferstream.inference.bundle import OPENVINO_BIN, OPENVINO_XML, Bundle
from ferstream.inference.classifier import BundleClassifier, Crops, Probabilities, check_crops
from ferstream.runtime.import_blocking import without

with without("openvino.tools.ovc"):  # the model converter: half of the time of the import, and not used here
    import openvino

_MEMORY_SIGNS = ("out of memory", "out_of_memory", "out_of_resources", "bad_alloc", "not enough memory")


class InferRequest(Protocol):
    """One inference at a time, with input and output memory of its own."""

    def start(self, crop: FaceImage) -> None:
        """Copy a (48, 48) uint8 crop and start the inference; the GIL is free while it runs."""
        ...

    def wait(self) -> Probabilities:
        """Wait for the result: (7,) float32, valid until the next ``start``."""
        ...


class CropRequest:
    """An ``InferRequest`` of a compiled model."""

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._request = compiled.create_infer_request()
        self.input: FaceImage = self._request.get_input_tensor().data.reshape(FACE_SIZE_PX, FACE_SIZE_PX)
        self._output: Probabilities = self._request.get_output_tensor().data[0]

    def start(self, crop: FaceImage) -> None:
        """Copy a (48, 48) uint8 crop and start the inference."""
        self.input[:] = crop
        self._request.start_async()

    def wait(self) -> Probabilities:
        """Wait for the result, (7,) float32."""
        self._request.wait()
        return self._output


def compile_requests(bundle: Bundle, device: str, streams: int, precision: str) -> list[CropRequest]:
    """Compile the model of a bundle and return one request per stream.

    Args:
        bundle: A verified bundle that has the OpenVINO files.
        device: OpenVINO's name: ``CPU``, ``GPU``, ``NPU``, ``AUTO``.
        streams: Number of inferences at the same time; on a CPU each takes one thread.
        precision: ``auto`` (the fastest of the device: bfloat16 on newer CPUs) or ``f32``.

    Raises:
        BundleError: The files are missing, cannot be compiled for the device, or have another input or output.
    """
    xml = bundle.file(OPENVINO_XML)
    bundle.file(OPENVINO_BIN)
    try:
        core = openvino.Core()
        model = core.read_model(xml)
        model.reshape([1, FACE_SIZE_PX, FACE_SIZE_PX, 1])
        compiled = core.compile_model(model, device, _properties(device, streams, precision))
        _check_signature(compiled, len(bundle.manifest.labels))
    except RuntimeError as exc:
        raise BundleError(f"model {xml}: OpenVINO cannot load it on {device}: {last_line(exc)}") from exc
    return [CropRequest(compiled) for _ in range(max(1, streams))]


CompileRequests = Callable[[Bundle, str, int, str], Sequence[InferRequest]]


class OpenVinoClassifier(BundleClassifier):
    """Runs ``openvino.xml`` of a bundle; see ``Classifier``."""

    def __init__(
        self,
        *,
        bundle: Bundle,
        device: str = "CPU",
        streams: int = 1,
        max_batch: int = 32,
        precision: str = "auto",
        compile_requests: CompileRequests = compile_requests,
    ) -> None:
        """Compile the model.

        Args:
            bundle: A verified bundle that has the OpenVINO files.
            device: OpenVINO's name: ``CPU``, ``GPU``, ``NPU``, ``AUTO``.
            streams: Number of inferences at the same time; on a CPU each takes one thread.
            max_batch: Largest number of crops that the batcher should pass at once.
            precision: ``auto`` (the fastest of the device: bfloat16 on newer CPUs) or ``f32``.
            compile_requests: Makes the requests; tests pass their own.

        Raises:
            BundleError: The files are missing or cannot be compiled for the device.
        """
        super().__init__(manifest=bundle.manifest, backend=f"openvino:{device}", max_batch=max_batch)
        self._requests = compile_requests(bundle, device, streams, precision)

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
        """Run one black crop on every stream."""
        self.classify(np.zeros((len(self._requests), FACE_SIZE_PX, FACE_SIZE_PX), np.uint8))

    def close(self) -> None:
        """Free the compiled model."""
        self._requests = []

    def _run(self, crops: Crops, rows: Probabilities) -> None:
        running = self._requests[: len(crops)]
        for request, crop in zip(running, crops, strict=False):
            request.start(crop)
        for request, row in zip(running, rows, strict=False):
            row[:] = request.wait()


def cpu_precision() -> str:
    """Return the type of numbers in which OpenVINO computes on this CPU: ``f32``, or ``bf16`` where that is faster."""
    return str(openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").type_name)


def _properties(device: str, streams: int, precision: str) -> dict[str, Any]:
    properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if device == "CPU":
        # Not pinned: a pinned thread would wait for its core while a detection worker uses it and another core is free.
        properties |= {"INFERENCE_NUM_THREADS": streams, "NUM_STREAMS": str(streams), "ENABLE_CPU_PINNING": False}
    if precision != "auto":
        properties["INFERENCE_PRECISION_HINT"] = precision
    return properties


def _check_signature(compiled: openvino.CompiledModel, classes: int) -> None:
    given, result = compiled.input(0), compiled.output(0)
    if given.element_type != openvino.Type.u8 or list(result.shape) != [1, classes]:
        msg = f"takes {given.element_type} and gives {list(result.shape)}, expected uint8 and [1, {classes}]"
        raise RuntimeError(msg)


def _translate(exc: BaseException) -> ModelError:
    text = str(exc).lower()
    if isinstance(exc, MemoryError) or any(sign in text for sign in _MEMORY_SIGNS):
        return ClassifierMemoryError(f"the device ran out of memory: {last_line(exc)}")
    return ModelError(f"OpenVINO failed: {last_line(exc)}")
