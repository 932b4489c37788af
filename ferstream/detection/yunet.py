"""YuNet on OpenVINO: one small network, one thread, one request per worker.

The graph is compiled once for each picture size and shared by all workers; each worker has its own
request with its own buffers, so no worker waits for another and results do not depend on how many
there are. The conversion from HWC bytes to CHW floats is part of the graph (it saved 0.7 ms at
640x384 against numpy). The network's outputs are written straight into one flat array per kind.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferstream.detection.decode import ALIGN_PX, STRIDES, Floats, Grid, decode_boxes, decode_landmarks, grid_for, likely, suppress
from ferstream.domain.face import Box, Face
from ferstream.errors import ModelError
from ferstream.runtime.import_blocking import without

with without("openvino.tools.ovc"):  # the model converter: half of the import's time, never used here
    import openvino

Picture = npt.NDArray[np.uint8]
_CHANNELS = (1, 1, 4, 10)
"""Values per cell of the four kinds of output, in file order: class, object, box, landmarks."""
_OUTPUTS = len(_CHANNELS) * len(STRIDES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What counts as a face.

    Attributes:
        score: Least detector confidence, 0..1.
        min_face_px: Least shorter side of the (unclipped) box, in pixels of the source.
        max_iou: Boxes that overlap a better one by more are the same face.
        top_k: Most candidates looked at per picture.
    """

    score: float = 0.7
    min_face_px: float = 24.0
    max_iou: float = 0.3
    top_k: int = 750


class YuNetModel:
    """The weights and the graphs compiled from them; shared by the workers, safe from any thread."""

    def __init__(self, *, weights: Path, device: str = "auto", workers: int = 1) -> None:
        """Read the weights; nothing is compiled before the first picture of a size.

        Args:
            weights: A YuNet file, as ``find_weights`` returns it.
            device: OpenVINO's name (``CPU``, ``GPU``, ``NPU``); ``auto`` is the CPU, where this network is fastest.
            workers: How many requests run at once.

        Raises:
            ModelError: The file cannot be read or is not YuNet.
        """
        self._weights = weights
        self._device = "CPU" if device.lower() == "auto" else device.upper()
        self._workers = max(1, workers)
        self._core = openvino.Core()
        self._lock = threading.Lock()
        self._compiled: dict[tuple[int, int], Any] = {}
        self._model = self._read()
        _check_is_yunet(self._model, weights)

    def request(self, width: int, height: int) -> Request:
        """Make a request for pictures of ``width`` x ``height`` pixels, both multiples of 32.

        Raises:
            ModelError: The device cannot compile the network.
        """
        with self._lock:
            compiled = self._compiled.get((width, height))
            if compiled is None:
                compiled = self._compiled[width, height] = self._compile(width, height)
        return Request(compiled, width, height)

    def new_detector(self, limits: Limits) -> YuNet:
        """Make a detector for one worker thread."""
        return YuNet(model=self, limits=limits)

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
            raise ModelError(f"the face detector cannot be compiled for device {self._device}: {str(exc).splitlines()[0]}") from exc

    def _properties(self) -> dict[str, Any]:
        if self._device != "CPU":
            return {"PERFORMANCE_HINT": "LATENCY"}
        # As many streams as workers, of one thread each; float32 so that every CPU gives the same boxes.
        return {
            "NUM_STREAMS": self._workers,
            "INFERENCE_NUM_THREADS": self._workers,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        }


class Request:
    """One inference at one picture size, with its buffers: (n,) class, (n,) object, (n, 4) boxes, (n, 10) landmarks."""

    def __init__(self, compiled: Any, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.grid: Grid = grid_for(width, height)
        self._flat = [np.zeros((self.grid.cells, channels), np.float32) for channels in _CHANNELS]
        self._request = compiled.create_infer_request()
        self._bind_outputs()

    @property
    def outputs(self) -> tuple[Floats, Floats, Floats, Floats]:
        """What the last ``infer`` left: class (n,), object (n,), boxes (n, 4), landmarks (n, 10)."""
        cls, obj, boxes, landmarks = self._flat
        return cls[:, 0], obj[:, 0], boxes, landmarks

    def infer(self, picture: Picture) -> None:
        """Run the network on (h, w, 3) uint8 BGR, contiguous, of exactly this request's size."""
        self._request.set_input_tensor(openvino.Tensor(picture[np.newaxis], shared_memory=True))
        self._request.infer()

    def _bind_outputs(self) -> None:
        # By order, not by name: names change on reshape. Rows of one stride are contiguous, so no copy is made.
        for index in range(_OUTPUTS):
            kind, stride = divmod(index, len(STRIDES))
            rows = self._flat[kind][self.grid.slices[stride]]
            self._request.set_output_tensor(index, openvino.Tensor(rows[np.newaxis], shared_memory=True))


class YuNet:
    """A detector of one worker thread; see ``Detector``."""

    def __init__(self, *, model: YuNetModel, limits: Limits) -> None:
        """Take the shared graphs.

        Args:
            model: Weights and graphs.
            limits: What counts as a face.
        """
        self._model = model
        self._limits = limits
        self._requests: dict[tuple[int, int], Request] = {}
        self._closed = False

    def detect(self, small: Picture, *, width: int, height: int) -> tuple[Face, ...]:
        """Find the faces of one picture; see ``Detector.detect``."""
        if self._closed:
            raise ModelError("the face detector was used after close()")
        _check_picture(small)
        padded = _padded(small)
        request = self._request_for(padded)
        request.infer(padded)
        return self._faces(request, width / small.shape[1], height / small.shape[0], width, height)

    def close(self) -> None:
        """Free the requests; the graphs go with the last user of the model."""
        self._closed = True
        self._requests.clear()

    def _request_for(self, picture: Picture) -> Request:
        size = (picture.shape[1], picture.shape[0])
        request = self._requests.get(size)
        if request is None:
            request = self._requests[size] = self._model.request(*size)
        return request

    def _faces(self, request: Request, scale_x: float, scale_y: float, width: int, height: int) -> tuple[Face, ...]:
        cls, obj, raw_boxes, raw_landmarks = request.outputs
        cells, scores = likely(cls, obj, self._limits.score, self._limits.top_k)
        if not len(cells):
            return ()
        boxes = decode_boxes(cells, raw_boxes, request.grid)
        kept = suppress(boxes, self._limits.max_iou)
        corners = boxes[kept] * np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        points = decode_landmarks(cells[kept], raw_landmarks, request.grid) * np.array([scale_x, scale_y], np.float32)
        return _as_faces(corners, scores[kept], points, (width, height), self._limits.min_face_px)


def _as_faces(corners: Floats, scores: Floats, points: Floats, size: tuple[int, int], min_face_px: float) -> tuple[Face, ...]:
    big = np.flatnonzero((corners[:, 2:] - corners[:, :2]).min(axis=1) >= min_face_px)
    clipped = np.clip(corners[big], 0.0, np.array([*size, *size], np.float32))
    sized = np.concatenate([clipped[:, :2], clipped[:, 2:] - clipped[:, :2]], axis=1)
    seen = np.flatnonzero((sized[:, 2:] > 0).all(axis=1))
    rows = zip(sized[seen].tolist(), scores[big][seen].tolist(), points[big][seen].tolist(), strict=True)
    return tuple(_face(box, score, landmarks) for box, score, landmarks in rows)


def _face(box: list[float], score: float, points: list[list[float]]) -> Face:
    eye_r, eye_l, nose, mouth_r, mouth_l = ((x, y) for x, y in points)
    return Face(box=Box(*box), score=score, landmarks=(eye_r, eye_l, nose, mouth_r, mouth_l))


def _check_picture(small: Picture) -> None:
    if small.ndim != 3 or small.shape[2] != 3 or small.dtype != np.uint8 or 0 in small.shape:
        raise ValueError(f"expected a picture (h, w, 3) of uint8, got {small.shape} of {small.dtype}")


def _padded(small: Picture) -> Picture:
    """Extend to multiples of 32 with black at the right and the bottom, so that coordinates stay."""
    height, width = small.shape[:2]
    right, below = -width % ALIGN_PX, -height % ALIGN_PX
    if right or below:
        small = np.pad(small, ((0, below), (0, right), (0, 0)))
    return np.ascontiguousarray(small)


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
