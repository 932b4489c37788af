"""What a face costs: CPU time a face on one core, by backend, and on what that was measured.

CPU time of the process, not wall time: on one core they are equal when nothing else runs, and
only CPU time stays right when something does. A number without its machine misleads: without
bfloat16 the same model takes twice as long, so CPU and precision are recorded beside it.
"""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from ferstream.errors import ModelError
from ferstream.inference.backends import keras_installed, open_classifier
from ferstream.inference.bundle import KERAS_FILE, OPENVINO_XML, Bundle
from ferstream.inference.classifier import Classifier
from ferstream.training.keras_import import import_keras

COST = "ms_per_face"
COST_ON = "ms_per_face_on"
"""Keys in a manifest's metrics: milliseconds by backend; ``cpu`` and ``precision`` by backend."""

_FACES = 32
_ROUNDS = 6
_DIGITS = 3


def cost(bundle: Bundle) -> dict[str, Any]:
    """Return ``ms_per_face`` and ``ms_per_face_on`` as a manifest's metrics keep them."""
    measured = ms_per_face(bundle)
    return {COST: measured, COST_ON: {"cpu": cpu_name(), "precision": {name: _precision(bundle, name) for name in measured}}}


def measured_on(cost_on: object) -> str:
    """Return the machine of ``ms_per_face_on`` in words, for people."""
    if not isinstance(cost_on, dict):
        return "machine and precision not recorded"
    precision = cost_on.get("precision")
    ways = [f"{name} in {how}" for name, how in precision.items()] if isinstance(precision, dict) else []
    return ", ".join([str(cost_on.get("cpu", "unknown CPU")), *ways])


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the CPU's own name, or at least its architecture."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next((name for name in names if name), platform.machine())


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


def _precision(bundle: Bundle, backend: str) -> str:
    """Return what a backend computes in here, ``f32`` or ``bf16``; a quantised model's other layers."""
    if backend == "keras":
        return "f32"  # every served Keras model is float32 throughout
    import openvino

    compiled = openvino.Core().compile_model(bundle.file(OPENVINO_XML), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    return str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())


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
