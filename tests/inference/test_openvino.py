"""The OpenVINO adapter: errors of the device, streams, and the GIL."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from ferstream.domain.face import FaceImage
from ferstream.errors import ClassifierMemoryError, ModelError
from ferstream.inference.bundle import Bundle
from ferstream.inference.classifier import Probabilities
from ferstream.inference.openvino import InferRequest, OpenVinoClassifier, compile_requests
from tests.support.bundles import random_crops
from tests.support.threads import Task


class FailingRequest:
    """A request whose device fails."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def start(self, crop: FaceImage) -> None:
        raise self.error

    def wait(self) -> Probabilities:
        raise AssertionError("never started")


def failing(bundle: Bundle, error: BaseException) -> OpenVinoClassifier:
    """A classifier whose device fails."""

    def requests(bundle: Bundle, device: str, streams: int, precision: str) -> Sequence[InferRequest]:
        return [FailingRequest(error)]

    return OpenVinoClassifier(bundle=bundle, compile_requests=requests)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("Exception from src/plugin.cpp:1:\n[GPU] CL_OUT_OF_RESOURCES exception"),
        RuntimeError("[GPU] out of GPU resources: CL_OUT_OF_RESOURCES"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("Out of memory while allocating"),
    ],
)
def test_a_device_without_memory_is_a_memory_error(bundle: Bundle, error: BaseException) -> None:
    with pytest.raises(ClassifierMemoryError, match="out of memory") as caught:
        failing(bundle, error).classify(random_crops(1))
    assert caught.value.__cause__ is error


def test_another_failure_of_the_device_is_a_model_error_with_the_last_line(bundle: Bundle) -> None:
    error = RuntimeError("Exception from src/plugin.cpp:1:\ndevice lost\n\n")
    with pytest.raises(ModelError, match=r"OpenVINO failed: device lost$") as caught:
        failing(bundle, error).classify(random_crops(1))
    assert not isinstance(caught.value, ClassifierMemoryError)


def test_each_stream_has_a_request_with_memory_of_its_own(bundle: Bundle) -> None:
    requests = compile_requests(bundle, "CPU", 3, "auto")
    assert len(requests) == 3
    assert len({request.input.ctypes.data for request in requests}) == 3


def test_streams_run_crops_in_rounds(bundle: Bundle) -> None:
    calls: list[str] = []

    class Request:
        """Records its calls."""

        def __init__(self, name: str) -> None:
            self._name = name

        def start(self, crop: FaceImage) -> None:
            calls.append(f"start {self._name} {crop[0, 0]}")

        def wait(self) -> Probabilities:
            calls.append(f"wait {self._name}")
            return np.zeros(7, np.float32)

    classifier = OpenVinoClassifier(bundle=bundle, compile_requests=lambda *_: [Request("a"), Request("b")])
    crops = np.zeros((3, 48, 48), np.uint8) + np.arange(3, dtype=np.uint8)[:, None, None]
    classifier.classify(crops)
    assert calls == ["start a 0", "start b 1", "wait a", "wait b", "start a 2", "wait a"]


def test_full_precision_gives_nearly_the_same_probabilities(bundle: Bundle) -> None:
    crops = random_crops(8)
    exact = OpenVinoClassifier(bundle=bundle, precision="f32").classify(crops)
    assert exact == pytest.approx(OpenVinoClassifier(bundle=bundle).classify(crops), abs=5e-3)


def test_other_threads_run_during_inference(bundle: Bundle) -> None:
    classifier, crops, stop = OpenVinoClassifier(bundle=bundle), random_crops(200), threading.Event()
    counted = 0

    def count() -> None:
        nonlocal counted
        while not stop.is_set():
            counted += 1

    task = Task(count)
    before = counted
    classifier.classify(crops)
    during = counted - before
    stop.set()
    task.result()
    assert during > 0
