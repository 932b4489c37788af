"""What a face costs: CPU time a face on one core, by backend.

CPU time of the process, not wall time: on one core they are equal when nothing else runs, and
only CPU time stays right when something does.
"""

from __future__ import annotations

import time

import numpy as np

from ferstream.errors import ModelError
from ferstream.inference.backends import keras_installed, open_classifier
from ferstream.inference.bundle import KERAS_FILE, OPENVINO_XML, Bundle
from ferstream.inference.classifier import Classifier
from ferstream.training.quiet import import_keras

_FACES = 32
_ROUNDS = 6
_DIGITS = 3


def ms_per_face(bundle: Bundle) -> dict[str, float]:
    """Measure every backend that the bundle has a file for and that is installed here; ms by backend name."""
    measured: dict[str, float] = {}
    for backend, file in (("openvino", OPENVINO_XML), ("keras", KERAS_FILE)):
        if not bundle.has(file) or (backend == "keras" and not keras_installed()):
            continue
        if backend == "keras":
            import_keras()
        classifier = open_classifier(bundle, backend=backend, threads=1, max_batch=_FACES, deterministic=True)
        try:
            measured[backend] = round(_measure(classifier), _DIGITS)
        finally:
            classifier.close()
    if not measured:
        raise ModelError(f"model {bundle.directory}: no backend that is installed here can run it")
    return measured


def _measure(classifier: Classifier) -> float:
    """Return the least CPU milliseconds a face over some rounds of 32 faces."""
    faces = np.random.default_rng(0).integers(0, 256, (_FACES, 48, 48), dtype=np.uint8)
    classifier.warm_up()
    classifier.classify(faces)
    rounds = []
    for _ in range(_ROUNDS):
        started = time.process_time_ns()
        classifier.classify(faces)
        rounds.append(time.process_time_ns() - started)
    return min(rounds) / _FACES / 1e6
