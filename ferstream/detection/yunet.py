"""YuNet on OpenVINO: one thread and one inference request per detection worker.

The network is compiled once for each picture size and shared by all workers. Each worker has requests with
buffers of their own, so that workers do not wait for each other and results do not depend on their number.
The conversion from HWC bytes to CHW floats is part of the compiled network (0.7 ms faster at 640x384 than in
numpy). The network writes its outputs into one flat array per kind.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from ferstream.detection.decode import (
    ALIGN_PX,
    STRIDES,
    Floats,
    Grid,
    as_faces,
    cells_above,
    decode_boxes,
    decode_landmarks,
    grid_for,
    suppress,
)
from ferstream.detection.detector import DetectorLimits, Picture
from ferstream.domain.face import Face
from ferstream.errors import ModelError, last_line
from ferstream.runtime.import_blocking import without

with without("openvino.tools.ovc"):  # the model converter: half of the time of the import, and not used here
    import openvino

_CHANNELS = (1, 1, 4, 10)
"""Values per cell of the four kinds of output, in file order: class, object, box, landmarks."""
_OUTPUTS = len(_CHANNELS) * len(STRIDES)


class YuNetModel:
    """The weights, and the networks compiled from them; see ``DetectorModel``. Any thread."""

    def __init__(self, *, weights: Path, device: str = "auto", workers: int = 1, keep_sizes: int = 0) -> None:
        """Read the weights; the network is compiled at the first picture of each size, or by ``warm_up``.

        Args:
            weights: A YuNet file, as ``find_weights`` returns it.
            device: OpenVINO's name (``CPU``, ``GPU``, ``NPU``); ``auto`` is the CPU, where this network is fastest.
            workers: Number of requests that run at the same time.
            keep_sizes: Largest number of picture sizes whose networks are kept, those used last; 0 keeps all. A network takes up to 40 MB.

        Raises:
            ModelError: The file cannot be read or is not a YuNet.
        """
        self._weights = weights
        self._device = "CPU" if device.lower() == "auto" else device.upper()
        self._workers = max(1, workers)
        self._keep_sizes = keep_sizes
        self._core = openvino.Core()
        self._lock = threading.Lock()
        self._compiled: dict[tuple[int, int], Any] = {}
        self._closed = False
        self._model = self._read()
        _check_is_yunet(self._model, weights)

    @property
    def name(self) -> str:
        """Name of the file of the weights."""
        return self._weights.name

    @property
    def keep_sizes(self) -> int:
        """Largest number of picture sizes whose networks are kept; 0 keeps all."""
        return self._keep_sizes

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of the pictures whose networks are in memory, the one used last at the end."""
        with self._lock:
            return tuple(self._compiled)

    def request(self, width: int, height: int) -> Request:
        """Make a request for pictures of ``width`` x ``height`` pixels, both multiples of 32.

        Raises:
            ModelError: The device cannot compile the network, or the model is closed.
        """
        return Request(self._compiled_for(width, height), width, height)

    def new_detector(self, limits: DetectorLimits) -> YuNet:
        """Make a detector for one worker thread."""
        return YuNet(model=self, limits=limits)

    def warm_up(self, width: int, height: int) -> None:
        """Compile the network for pictures of ``width`` x ``height`` pixels, both multiples of 32.

        Raises:
            ModelError: The device cannot compile the network, or the model is closed.
        """
        self._compiled_for(width, height)

    def close(self) -> None:
        """Free the compiled networks; those that detectors use are freed with the last of them."""
        with self._lock:
            self._closed = True
            self._compiled.clear()

    def _compiled_for(self, width: int, height: int) -> Any:
        with self._lock:
            if self._closed:
                raise ModelError("the face detector was used after close()")
            compiled = self._compiled.get((width, height))
            if compiled is None:
                compiled = self._compile(width, height)
            _keep_newest(self._compiled, (width, height), compiled, self._keep_sizes)
            return compiled

    def _read(self) -> Any:
        try:
            return self._core.read_model(str(self._weights))
        except RuntimeError as exc:
            raise ModelError(f"{self._weights} cannot be read as a model: is it a YuNet ONNX file?") from exc

    def _compile(self, width: int, height: int) -> Any:
        try:
            model = self._model.clone()
            model.reshape([1, 3, height, width])
            return self._core.compile_model(_with_byte_input(model), self._device, self._properties())
        except RuntimeError as exc:
            raise ModelError(f"the face detector cannot be compiled for device {self._device}: {last_line(exc)}") from exc

    def _properties(self) -> dict[str, Any]:
        if self._device != "CPU":
            return {"PERFORMANCE_HINT": "LATENCY"}
        # As many streams as workers, with one thread each; float32, so that boxes are the same on every CPU.
        return {
            "NUM_STREAMS": self._workers,
            "INFERENCE_NUM_THREADS": self._workers,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        }


class Request:
    """An inference request for one picture size, with output buffers of its own; used by one thread."""

    def __init__(self, compiled: Any, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.grid: Grid = grid_for(width, height)
        self._flat = [np.zeros((self.grid.cells, channels), np.float32) for channels in _CHANNELS]
        self._request = compiled.create_infer_request()
        self._bind_outputs()

    @property
    def outputs(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Raw outputs of the last ``infer``, float32: class (n,), object (n,), boxes (n, 4), landmarks (n, 10)."""
        cls, obj, boxes, landmarks = self._flat
        return cls[:, 0], obj[:, 0], boxes, landmarks

    def infer(self, picture: Picture) -> None:
        """Run the network on a contiguous (h, w, 3) uint8 BGR picture of exactly this request's size."""
        self._request.set_input_tensor(openvino.Tensor(picture[np.newaxis], shared_memory=True))
        self._request.infer()

    def _bind_outputs(self) -> None:
        # By position, because reshape changes the names. The rows of one stride are contiguous, so nothing is copied.
        for index in range(_OUTPUTS):
            kind, stride = divmod(index, len(STRIDES))
            rows = self._flat[kind][self.grid.slices[stride]]
            self._request.set_output_tensor(index, openvino.Tensor(rows[np.newaxis], shared_memory=True))


class YuNet:
    """The detector of one worker thread; see ``Detector``."""

    def __init__(self, *, model: YuNetModel, limits: DetectorLimits) -> None:
        """Use the networks of ``model``.

        Args:
            model: The shared weights and networks.
            limits: Which detections are returned.
        """
        self._model = model
        self._limits = limits
        self._requests: dict[tuple[int, int], Request] = {}
        self._closed = False

    def detect(self, picture: Picture, *, width: int, height: int) -> tuple[Face, ...]:
        """Find the faces of one picture; see ``Detector.detect``."""
        if self._closed:
            raise ModelError("the face detector was used after close()")
        _check_picture(picture)
        padded = _padded(picture)
        request = self._request_for(padded)
        request.infer(padded)
        return self._faces(request, width / picture.shape[1], height / picture.shape[0], width, height)

    def close(self) -> None:
        """Free the requests; may be called again."""
        self._closed = True
        self._requests.clear()

    def _request_for(self, picture: Picture) -> Request:
        size = (picture.shape[1], picture.shape[0])
        request = self._requests.get(size)
        if request is None:
            request = self._model.request(*size)
        _keep_newest(self._requests, size, request, self._model.keep_sizes)
        return request

    def _faces(self, request: Request, scale_x: float, scale_y: float, width: int, height: int) -> tuple[Face, ...]:
        cls, obj, raw_boxes, raw_landmarks = request.outputs
        cells, scores = cells_above(cls, obj, self._limits.score, self._limits.top_k)
        if not len(cells):
            return ()
        boxes = decode_boxes(cells, raw_boxes, request.grid)
        kept = suppress(boxes, self._limits.max_iou)
        corners = boxes[kept] * np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        points = decode_landmarks(cells[kept], raw_landmarks, request.grid) * np.array([scale_x, scale_y], np.float32)
        return as_faces(corners, scores[kept], points, (width, height), self._limits.min_face_px)


def _keep_newest(cache: dict[tuple[int, int], Any], size: tuple[int, int], value: Any, limit: int) -> None:
    """Store a value as the newest one, and remove the oldest ones above ``limit``; 0 removes none."""
    cache.pop(size, None)
    cache[size] = value
    while limit and len(cache) > limit:
        del cache[next(iter(cache))]


def _check_picture(picture: Picture) -> None:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise ValueError(f"expected a picture (h, w, 3) of uint8, got {picture.shape} of {picture.dtype}")


def _padded(picture: Picture) -> Picture:
    """Pad to multiples of 32 with black at the right and the bottom, so that coordinates stay the same."""
    height, width = picture.shape[:2]
    right, below = -width % ALIGN_PX, -height % ALIGN_PX
    if right or below:
        picture = np.pad(picture, ((0, below), (0, right), (0, 0)))
    return np.ascontiguousarray(picture)


def _with_byte_input(model: Any) -> Any:
    steps = openvino.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    return steps.build()


def _check_is_yunet(model: Any, weights: Path) -> None:
    wanted = [channels for channels in _CHANNELS for _ in STRIDES]
    shapes = [output.partial_shape for output in model.outputs]
    found = [int(shape[2].get_length()) if len(shape) == 3 and shape[2].is_static else -1 for shape in shapes]
    if len(model.inputs) != 1 or found != wanted:
        raise ModelError(f"{weights} is not a YuNet face detector: expected {_OUTPUTS} outputs of {wanted} values a cell, found {found}")
