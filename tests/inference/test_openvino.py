"""The OpenVINO adapter's own duties: errors in our tree, streams, the GIL left free."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ferstream.errors import ClassifierMemoryError, ModelError
from ferstream.inference.bundle import Bundle
from ferstream.inference.openvino import OpenVinoClassifier
from tests.support.bundles import random_crops


class FailingRequest:
    """Stands in for a request whose device fails."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def start(self, crop: object) -> None:
        raise self.error

    def wait(self) -> np.ndarray:
        raise AssertionError("never started")


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
def test_a_device_without_memory_is_told_apart(bundle: Bundle, error: BaseException) -> None:
    classifier = OpenVinoClassifier(bundle=bundle)
    classifier._requests = [FailingRequest(error)]  # type: ignore[list-item]
    with pytest.raises(ClassifierMemoryError, match="out of memory") as caught:
        classifier.classify(random_crops(1))
    assert caught.value.__cause__ is error


def test_another_failure_of_the_device_is_a_model_error(bundle: Bundle) -> None:
    classifier = OpenVinoClassifier(bundle=bundle)
    classifier._requests = [FailingRequest(RuntimeError("a\ndevice lost"))]  # type: ignore[list-item]
    with pytest.raises(ModelError, match="OpenVINO failed: device lost") as caught:
        classifier.classify(random_crops(1))
    assert not isinstance(caught.value, ClassifierMemoryError)


def test_two_streams_have_two_requests_of_their_own(bundle: Bundle) -> None:
    classifier = OpenVinoClassifier(bundle=bundle, streams=3)
    assert len(classifier._requests) == 3
    assert len({request._input.ctypes.data for request in classifier._requests}) == 3


def test_full_precision_can_be_asked_for(bundle: Bundle) -> None:
    crops = random_crops(8)
    exact = OpenVinoClassifier(bundle=bundle, precision="f32").classify(crops)
    assert exact == pytest.approx(OpenVinoClassifier(bundle=bundle).classify(crops), abs=5e-3)


def test_other_threads_run_while_it_computes(bundle: Bundle) -> None:
    classifier, crops, stop = OpenVinoClassifier(bundle=bundle), random_crops(200), threading.Event()
    beats = 0

    def beat() -> None:
        nonlocal beats
        while not stop.is_set():
            beats += 1

    thread = threading.Thread(target=beat)
    thread.start()
    before = beats
    classifier.classify(crops)
    during = beats - before
    stop.set()
    thread.join(10)
    assert during > 0
