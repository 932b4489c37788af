"""CPU time per face on one core, by backend, with the CPU and the precision it was measured in.

The process's CPU time is measured, not wall time, so that other load on the machine does not change the result much.
CPU and precision are recorded because the same model takes twice as long on a CPU without bfloat16.
"""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from ferstream.domain.face import FACE_SIZE_PX
from ferstream.errors import ModelError
from ferstream.inference.backends import keras_installed, open_classifier
from ferstream.inference.bundle import KERAS_FILE, OPENVINO_XML, Bundle
from ferstream.inference.classifier import Classifier
from ferstream.training.keras_import import import_keras

COST = "ms_per_face"
"""Key in a manifest's metrics: milliseconds by backend."""
COST_ON = "ms_per_face_on"
"""Key in a manifest's metrics: ``cpu``, and ``precision`` by backend."""

_FACES = 32
_ROUNDS = 6
_DIGITS = 3


def cost(bundle: Bundle, *, rounds: int = _ROUNDS) -> dict[str, Any]:
    """Return ``ms_per_face`` and ``ms_per_face_on`` for a manifest's metrics.

    Args:
        bundle: The bundle to run.
        rounds: Repetitions of 32 faces; the fastest one counts.

    Raises:
        ModelError: No installed backend can run the bundle.
    """
    measured = ms_per_face(bundle, rounds=rounds)
    return {COST: measured, COST_ON: {"cpu": cpu_name(), "precision": {name: _precision(bundle, name) for name in measured}}}


def measured_on(cost_on: object) -> str:
    """Return the text of a ``ms_per_face_on``, such as ``EPYC 9R14, openvino in bf16``."""
    if not isinstance(cost_on, dict):
        return "machine and precision not recorded"
    precision = cost_on.get("precision")
    backends = [f"{name} in {kind}" for name, kind in precision.items()] if isinstance(precision, dict) else []
    return ", ".join([str(cost_on.get("cpu", "unknown CPU")), *backends])


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the model name of the CPU, or its architecture where the system does not give the name."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next((name for name in names if name), platform.machine())


def ms_per_face(bundle: Bundle, *, rounds: int = _ROUNDS) -> dict[str, float]:
    """Measure each installed backend that the bundle has a file for; return milliseconds by backend."""
    measured: dict[str, float] = {}
    for backend, file in (("openvino", OPENVINO_XML), ("keras", KERAS_FILE)):
        if not bundle.has(file) or (backend == "keras" and not keras_installed()):
            continue
        if backend == "keras":
            import_keras()
        classifier = open_classifier(bundle, backend=backend, threads=1, max_batch=_FACES, deterministic=True)
        try:
            measured[backend] = round(_measure(classifier, rounds), _DIGITS)
        finally:
            classifier.close()
    if not measured:
        raise ModelError(f"model {bundle.directory}: no backend that is installed here can run it")
    return measured


def _precision(bundle: Bundle, backend: str) -> str:
    """Return the precision a backend computes in here, ``f32`` or ``bf16``; for a quantised model that of its other layers."""
    if backend == "keras":
        return "f32"  # the served form of a Keras model is float32 throughout
    import openvino

    compiled = openvino.Core().compile_model(bundle.file(OPENVINO_XML), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    return str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())


def _measure(classifier: Classifier, rounds: int) -> float:
    """Return the CPU milliseconds per face of the fastest round of 32 faces."""
    faces = np.random.default_rng(0).integers(0, 256, (_FACES, FACE_SIZE_PX, FACE_SIZE_PX), dtype=np.uint8)
    classifier.warm_up()
    classifier.classify(faces)
    times_ns = []
    for _ in range(rounds):
        started = time.process_time_ns()
        classifier.classify(faces)
        times_ns.append(time.process_time_ns() - started)
    return min(times_ns) / _FACES / 1e6
